// address.ts: what the address bar asks of usage: of whom, when, in which steps and groups, and compared with what
import type { Schemas } from '../../api';
import type { Filters } from '../../groups';
import { decoded } from '../../hooks';
import type { Range } from '../../parts/range';
import { before, days, instant, period, type Period } from '../../time';

export interface Question {
	metric: Schemas['UsageMetric'];
	customers: string[];
	at: Period;
	step: Step;
	zone: string;
	groupBy: string[];
	filters: Filters;
	earlier: Earlier | null;
}

// What it is compared with: other days, or the same ones as they were known at a moment.
export interface Earlier {
	name: string;
	at: Period;
	days?: string;
	asOf?: string;
}

export function earlierOf(comparison: string, asOf: string, range: Range, at: Period, zone: string): Earlier | null {
	if (comparison === 'before') {
		const [from, to] = before(range.from, range.to);
		return { name: 'The period before', at: period(from, to, zone), days: from === to ? from : `${from} – ${to}` };
	}
	const known = comparison === 'asof' ? instant(asOf, zone) : undefined;
	return known === undefined ? null : { name: `As of ${asOf.replace('T', ' ')}`, at, asOf: known };
}

export type Step = 'minute' | 'hour' | 'day' | 'week' | 'month';

export const MOST_LINES = 8;
export const USUAL_LINES = 5;

const SECONDS: Record<Step, number> = { minute: 60, hour: 3600, day: 86_400, week: 604_800, month: 2_592_000 };

// How many steps there are, about.
export function stepCount(at: Period, step: Step): number {
	return Math.ceil((Date.parse(at.endExclusive) - Date.parse(at.start)) / 1000 / SECONDS[step]) + 1;
}

export function listOf(text: string | null): string[] {
	return (text ?? '')
		.split(',')
		.filter((part) => part !== '')
		.map(decoded);
}

export function listed(names: string[]): string | null {
	return names.length === 0 ? null : names.map(encodeURIComponent).join(',');
}

export function stepOf(text: string | null, range: Range): Step {
	const steps: Step[] = ['minute', 'hour', 'day', 'week', 'month'];
	const length = days(range.from, range.to);
	return steps.find((step) => step === text) ?? (length <= 2 ? 'hour' : length <= 120 ? 'day' : 'month');
}
