// ask.ts: what a question about usage needs of the API: the value now and earlier, and what is drawn
import { answer, api } from '../../api';
import { grouped } from '../../exact';
import { adds, areFew, byValue, filtersOf, fitting, MOST_GROUPS, MOST_STEPS, seriesOf, writeFilters, type Group } from '../../groups';
import type { Named } from '../../parts/usage_chart';
import type { Period } from '../../time';
import { stepCount, type Earlier, type Question } from './address';

interface Narrower {
	groupBy?: string[];
	filters?: string;
}

interface Drawing {
	lines: Named[];
	note: string | null;
}

function series({ metric, customers, step, zone, filters }: Question, at: Period, signal: AbortSignal, asOf?: string, more?: Narrower) {
	const query = { customerAliases: customers, periodStart: at.start, periodEnd: at.end, step, timezone: zone, asOf, filters: writeFilters(filters), ...more };
	return answer(api.GET('/usage-metrics/{id}/series', { params: { path: { id: metric.id }, query }, signal }));
}

function value({ metric, customers, groupBy, filters }: Question, at: Period, signal: AbortSignal, asOf?: string) {
	const groups = groupBy.length > 0 ? groupBy : undefined;
	const query = { customerAliases: customers, periodStart: at.start, periodEnd: at.end, asOf, filters: writeFilters(filters), groupBy: groups };
	return answer(api.GET('/usage-metrics/{id}/calculate', { params: { path: { id: metric.id }, query }, signal }));
}

export async function usage(question: Question, signal: AbortSignal) {
	const { at, customers, earlier, groupBy } = question;
	const isSplit = groupBy.length > 0;
	const [now, then, before, apart] = await Promise.all([
		value(question, at, signal),
		earlier ? value(question, earlier.at, signal, earlier.asOf) : null,
		earlier ? whole(question, earlier, signal) : null,
		isSplit
			? null
			: earlier
				? all(question, 'Now', signal).then((one) => [one])
				: Promise.all(customers.map((name) => all({ ...question, customers: [name] }, name, signal))),
	]);
	const { lines, note } = apart ? { lines: apart, note: null } : await inGroups(question, now.groupedValues ?? [], Number(now.eventCount.value), signal);
	return { now, then, lines: before ? [...lines, before] : lines, note };
}

async function all(question: Question, name: string, signal: AbortSignal): Promise<Named> {
	return { name, steps: (await series(question, question.at, signal)).items };
}

// Beside groups, all that was earlier is one line over them.
async function whole(question: Question, { name, at, asOf }: Earlier, signal: AbortSignal): Promise<Named> {
	const isSplit = question.groupBy.length > 0;
	const { items } = await series(question, at, signal, asOf);
	return { name: isSplit ? `${name}, all groups` : name, steps: items, dashed: true, over: isSplit };
}

// The groups with the most.  Where there are too many for each step to have them all, the others are not asked for.
async function inGroups(question: Question, found: Group[], events: number, signal: AbortSignal): Promise<Drawing> {
	const { at, filters, groupBy, metric, step } = question;
	const count = stepCount(at, step);
	const few = areFew(found.length, count, events);
	const first = byValue(found).slice(0, MOST_GROUPS);
	const most = few ? first : fitting(first, filters);
	if (most.length === 0 || count > MOST_STEPS) {
		const note = count > MOST_STEPS ? 'Groups are drawn in at most 2,000 steps: choose a longer step.' : 'The names of the groups are too long to be drawn.';
		return { lines: [await all(question, 'all', signal)], note: found.length === 0 ? null : note };
	}
	const only = few ? writeFilters(filters) : writeFilters({ ...filters, ...filtersOf(most) });
	const { items } = await series(question, at, signal, undefined, { groupBy, filters: only });
	const rest = found.length > most.length;
	return {
		lines: seriesOf(items, most, adds(metric.aggregationType), rest && few),
		note: rest ? told(metric.aggregationType, most.length, found.length, few) : null,
	};
}

function told(aggregationType: string, drawn: number, count: number, few: boolean): string {
	const what = `The ${drawn} groups with the most, of ${grouped(String(count))}`;
	if (!adds(aggregationType)) return `${what}. Of ${aggregationType} the others have no sum: the table has them.`;
	return few ? `${what}, and all others together.` : `${what}. The others are too many to be drawn: the table has them.`;
}
