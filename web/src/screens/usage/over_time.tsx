// over_time.tsx: a metric over time, beside what it was, and the tables that explain it
import { useMemo } from 'preact/hooks';
import { answer, api, type Schemas } from '../../api';
import { compare, grouped, minus, quotient, shown, signed, type Exact } from '../../exact';
import { areFew, byValue, filtersOf, MOST_GROUPS, MOST_STEPS, seriesOf, writeFilters, type Filters, type Group } from '../../groups';
import { change, useAsk, useZone } from '../../hooks';
import { Badge, Shown } from '../../parts/basics';
import type { Kind } from '../../parts/chart';
import type { Range } from '../../parts/range';
import { UsageChart, type Named } from '../../parts/usage_chart';
import { before, instant, period, type Period } from '../../time';
import { stepCount, type Step } from './address';
import { ByGroup, Why } from './tables';

type Metric = Schemas['UsageMetric'];

interface LinesProperties {
	metric: Metric;
	customers: string[];
	range: Range;
	at: Period;
	step: Step;
	kind: Kind;
	comparison: string;
	asOf: string;
	groupBy: string[];
	filters: Filters;
}

export function Lines({ metric, customers, range, at, step, kind, comparison, asOf, groupBy, filters }: LinesProperties) {
	const zone = useZone();
	const id = metric.id;
	const then = comparison === 'before' ? period(...before(range.from, range.to), zone) : at;
	const since = comparison === 'asof' ? instant(asOf, zone) : undefined;
	const compares = comparison === 'before' || since !== undefined;
	const adds = metric.aggregationType === 'SUM' || metric.aggregationType === 'COUNT';
	const asked = useAsk(
		async (signal) => {
			const passing = writeFilters(filters);
			const groups = groupBy.length > 0 ? groupBy : undefined;
			const series = (aliases: string[], of: Period, known?: string, more?: { groupBy?: string[]; filters?: string }) =>
				answer(
					api.GET('/usage-metrics/{id}/series', {
						params: {
							path: { id },
							query: { customerAliases: aliases, periodStart: of.start, periodEnd: of.end, step, timezone: zone, asOf: known, filters: passing, ...more },
						},
						signal,
					}),
				);
			const value = (of: Period, known?: string) =>
				answer(
					api.GET('/usage-metrics/{id}/calculate', {
						params: {
							path: { id },
							query: { customerAliases: customers, periodStart: of.start, periodEnd: of.end, asOf: known, filters: passing, groupBy: groups },
						},
						signal,
					}),
				);
			const apart = () =>
				Promise.all([
					series(customers, at).then((found): Named => ({ name: 'Now', steps: found.items })),
					series(customers, then, since).then((found): Named => ({
						name: comparison === 'before' ? 'The period before' : `As of ${asOf.replace('T', ' ')}`,
						steps: found.items,
						dashed: true,
					})),
				]);
			const [now, old, lines] = await Promise.all([
				value(at),
				compares ? value(then, since) : undefined,
				compares
					? apart()
					: groups
						? undefined
						: Promise.all(customers.map((name) => series([name], at).then((found): Named => ({ name, steps: found.items })))),
			]);
			if (lines) return { now, old, lines, note: null };
			return { now, old, ...(await inGroups(now.groupedValues ?? [])) };

			// The groups with the most.  Where there are too many for each step to have them all, the others are not asked for.
			async function inGroups(found: Group[]): Promise<{ lines: Named[]; note: string | null }> {
				const count = stepCount(at, step);
				const most = byValue(found).slice(0, MOST_GROUPS);
				const few = areFew(found.length, count, Number(now.eventCount.value));
				if (most.length === 0 || count > MOST_STEPS) {
					const note = most.length === 0 ? null : 'Groups are drawn in at most 2,000 steps: choose a longer step.';
					return { lines: [{ name: 'all', steps: (await series(customers, at)).items }], note };
				}
				const { items } = await series(customers, at, undefined, {
					groupBy: groups,
					filters: few ? passing : writeFilters({ ...filters, ...filtersOf(most) }),
				});
				const rest = found.length > most.length;
				const what = `The ${most.length} groups with the most, of ${grouped(String(found.length))}`;
				const note = !rest
					? null
					: adds && few
						? `${what}, and all others together.`
						: `${what}. ${adds ? 'The others are too many to be drawn' : `Of ${metric.aggregationType} the others have no sum`}: the table has them.`;
				return { lines: seriesOf(items, most, adds, rest && few), note };
			}
		},
		[id, customers, at, then, step, comparison, since, zone, groupBy, filters],
	);
	return (
		<section class="panel" aria-label="Chart">
			<Shown asked={asked} what="the chart">
				{({ now, old, lines, note }) => (
					<>
						<div class="top">
							<div>
								<span class="label">{customers.length === 1 ? customers[0] : `${customers.length} customers together`}</span>
								<div class="big">
									<span class="number" data-value={now.value?.value}>
										{shown(now.value)}
									</span>{' '}
									{metric.unit && <small class="faint">{metric.unit}</small>}
								</div>
								<span class="faint">
									{grouped(now.eventCount.value)} events
									{now.skippedEventCount.value !== '0' && `, ${grouped(now.skippedEventCount.value)} skipped: without a usable ${metric.aggregationProperty}`}
								</span>
							</div>
							{old && <Difference now={now.value} old={old.value} unit={metric.unit} title={comparison === 'before' ? 'The period before' : 'Known then'} />}
						</div>
						<Drawn metric={metric} lines={lines} kind={compares && kind === 'stacked' ? 'bars' : kind} />
						{note && <p class="faint">{note}</p>}
					</>
				)}
			</Shown>
			{asked.data?.now.groupedValues && (
				<ByGroup
					groups={asked.data.now.groupedValues}
					properties={groupBy.length > 0 ? groupBy : [metric.groupingProperty ?? '']}
					unit={metric.unit}
					only={groupBy.length > 0 ? (group) => change({ filters: writeFilters({ ...filters, ...filtersOf([group]) }) ?? null }) : undefined}
				/>
			)}
			{since !== undefined && writeFilters(filters) !== undefined && (
				<p class="faint">The events below are of all that the metric counts: filters are not asked of them.</p>
			)}
			{since !== undefined && <Why metric={metric} customers={customers} at={at} since={since} />}
		</section>
	);
}

// The chart is drawn anew only where its numbers are.
function Drawn({ metric, lines, kind }: { metric: Metric; lines: Named[]; kind: Kind }) {
	return useMemo(() => <UsageChart label={`${metric.name} over time`} named={lines} kind={kind} unit={metric.unit} />, [lines, kind, metric]);
}

function Difference({ now, old, unit, title }: { now: Exact | null; old: Exact | null; unit: string | null; title: string }) {
	const difference = now && old ? minus(now.value, old.value) : null;
	const share = difference !== null && old && compare(old.value, '0') !== 0 ? `${signed(quotient(`${difference}e2`, old.value, 1))} %` : null;
	return (
		<dl class="facts">
			<dt>{title}</dt>
			<dd class="number">
				{shown(old)} {unit}
			</dd>
			<dt>Difference</dt>
			<dd class="number" data-difference={difference ?? ''}>
				{difference === null ? '–' : <b>{signed(difference)}</b>} {unit} {share && <Badge>{share}</Badge>}
			</dd>
		</dl>
	);
}
