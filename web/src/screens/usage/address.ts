// address.ts: what the address bar asks of usage: lists of names, and how long a step is
import { decoded } from '../../hooks';
import type { Range } from '../../parts/range';
import { days, type Period } from '../../time';

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
