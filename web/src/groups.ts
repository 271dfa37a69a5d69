// groups.ts: groups of an answer, those with the most, and all the others together, to the digit; and filters of a question
import { exact, type Schemas } from './api';
import { compare, plus, type Exact } from './exact';

export type Group = Schemas['UsageMetricGroup'];
type Step = Schemas['UsageMetricStep'];
export type Filters = Record<string, (string | null)[]>;

export const MOST_PROPERTIES = 3;
// Lines of a chart; the others are one more.
export const MOST_GROUPS = 7;
// What is read of groups over time at once.
const MOST_VALUES = 20_000;
export const MOST_STEPS = 2000;

function order(a: Exact | null, b: Exact | null): number {
	if (!a || !b) return Number(!a) - Number(!b);
	if (a.value === b.value) return 0;
	// Floats have the order of the numbers, and where they are equal the digits decide.
	return Number(b.value) - Number(a.value) || compare(b.value, a.value);
}

// Those with the most first.
export function byValue(groups: Group[]): Group[] {
	return [...groups].sort((a, b) => order(a.value, b.value));
}

export function keyOf(group: Group): string {
	return JSON.stringify(group.grouping);
}

export function nameOf(group: Group): string {
	if (group.grouping === null) return 'without one';
	if (typeof group.grouping === 'string') return group.grouping;
	return Object.entries(group.grouping)
		.map(([property, text]) => text ?? `without ${property}`)
		.join(' · ');
}

// Only these groups: more come with several properties, but never more than there are of so many values each.
export function filtersOf(groups: Group[]): Filters {
	const filters = new Map<string, (string | null)[]>();
	for (const { grouping } of groups) {
		if (typeof grouping === 'string' || grouping === null) continue;
		for (const [property, text] of Object.entries(grouping)) filters.set(property, [...new Set([...(filters.get(property) ?? []), text])]);
	}
	return Object.fromEntries(filters);
}

// With one more value of a property, whatever that is named.
export function withValue(filters: Filters, property: string, value: string): Filters {
	const before = Object.hasOwn(filters, property) ? filters[property] : [];
	return { ...filters, [property]: [...new Set([...before, value])] };
}

export function valueIn(group: Group, property: string): string | null {
	if (typeof group.grouping !== 'object' || group.grouping === null) return group.grouping;
	return Object.hasOwn(group.grouping, property) ? group.grouping[property] : null;
}

// Whether all groups can be read in each step, so that the others are known; an event is in one of them.
export function areFew(groups: number, steps: number, events: number): boolean {
	return Math.min(groups * steps, events) <= MOST_VALUES;
}

// A series for each of the groups; where the metric adds up, a step without a group is zero, and the others are one more.
export function seriesOf(steps: Step[], shown: Group[], adds: boolean, withOthers: boolean): { name: string; steps: Step[] }[] {
	const keys = new Set(shown.map(keyOf));
	const values = steps.map((step) => new Map(step.groupedValues?.map((group) => [keyOf(group), group.value])));
	const empty = adds ? exact('0') : null;
	const series = shown.map((group) => ({
		name: nameOf(group),
		steps: steps.map((step, index) => ({ ...step, value: values[index].get(keyOf(group)) ?? empty })),
	}));
	if (!adds || !withOthers) return series;
	const others = steps.map((step) => ({
		...step,
		value: exact((step.groupedValues ?? []).reduce((sum, group) => (keys.has(keyOf(group)) ? sum : plus(sum, group.value?.value ?? '0')), '0')),
	}));
	return [...series, { name: 'all others', steps: others }];
}

// Filters as the address bar has them; what makes no sense filters nothing.
export function readFilters(text: string | null): Filters {
	try {
		const found = Object.entries(JSON.parse(text ?? '{}') as object);
		return Object.fromEntries(found.filter(([, values]) => Array.isArray(values) && values.every((one) => one === null || typeof one === 'string')));
	} catch {
		return {};
	}
}

export function writeFilters(filters: Filters): string | undefined {
	const used = Object.entries(filters).filter(([, values]) => values.length > 0);
	return used.length === 0 ? undefined : JSON.stringify(Object.fromEntries(used));
}
