// groups.ts: groups of an answer, those with the most, and all the others together, to the digit; how they differ from
// earlier ones; and filters of a question
import { exact, type Schemas } from './api';
import { magnitude, minus, plus, type Exact } from './exact';
import { ordered, type Order } from './order';

export type Group = Schemas['UsageMetricGroup'];
type Step = Schemas['UsageMetricStep'];
export type Filters = Record<string, (string | null)[]>;

export const MOST_PROPERTIES = 3;
// Lines of a chart; the others are one more.
export const MOST_GROUPS = 7;
// What is read of groups over time at once.
const MOST_VALUES = 20_000;
export const MOST_STEPS = 2000;
// nginx takes a line of 32 kB.
const MOST_ADDRESS = 24_000;

export const byValueFirst: Order<Group> = { key: (group) => group.value?.value ?? null, as: 'numbers' };

// Those with the most first.
export function byValue(groups: Group[]): Group[] {
	return ordered(groups, byValueFirst);
}

export function keyOf(group: Pick<Group, 'grouping'>): string {
	return JSON.stringify(group.grouping);
}

// A value as people read it: a text may be empty, or not be there.
export function textOf(value: string | null, property?: string): string {
	if (value === null) return property === undefined ? 'without one' : `without ${property}`;
	return value === '' ? '(empty)' : value;
}

export function nameOf(group: Pick<Group, 'grouping'>): string {
	if (group.grouping === null || typeof group.grouping === 'string') return textOf(group.grouping);
	return Object.entries(group.grouping)
		.map(([property, text]) => textOf(text, property))
		.join(' · ');
}

// Only these groups: more come with several properties, but never more than there are of so many values each.
export function filtersOf(groups: Pick<Group, 'grouping'>[]): Filters {
	const filters = new Map<string, (string | null)[]>();
	for (const { grouping } of groups) {
		if (typeof grouping === 'string' || grouping === null) continue;
		for (const [property, text] of Object.entries(grouping)) filters.set(property, [...new Set([...(filters.get(property) ?? []), text])]);
	}
	return Object.fromEntries(filters);
}

// As many of the groups, from the first, as the address of a question has room for.
export function fitting(groups: Group[], filters: Filters): Group[] {
	let count = groups.length;
	const room = () => encodeURIComponent(writeFilters({ ...filters, ...filtersOf(groups.slice(0, count)) }) ?? '').length <= MOST_ADDRESS;
	while (count > 0 && !room()) count--;
	return groups.slice(0, count);
}

// With one more value of a property, whatever that is named.
export function withValue(filters: Filters, property: string, value: string): Filters {
	const before = Object.hasOwn(filters, property) ? filters[property] : [];
	return { ...filters, [property]: [...new Set([...before, value])] };
}

export function valueIn(group: Pick<Group, 'grouping'>, property: string): string | null {
	if (typeof group.grouping !== 'object' || group.grouping === null) return group.grouping;
	return Object.hasOwn(group.grouping, property) ? group.grouping[property] : null;
}

export function adds(aggregationType: string): boolean {
	return aggregationType === 'SUM' || aggregationType === 'COUNT';
}

// Now and earlier, side by side.  A group that is in one of them alone is nothing in the other: 0 of what counts or adds up,
// and of a largest value, say, no value, so that there is no difference either.
export interface Pair {
	grouping: Group['grouping'];
	now: Exact | null;
	then: Exact | null;
	difference: string | null;
	only: 'now' | 'then' | null;
}

export function beside(now: Group[], then: Group[], aggregationType: string): Pair[] {
	const none = adds(aggregationType) || aggregationType === 'UNIQUE' ? exact('0') : null;
	const earlier = new Map(then.map((group) => [keyOf(group), group]));
	const pair = (grouping: Group['grouping'], one: Group | undefined, other: Group | undefined): Pair => {
		const [current, old] = [one ? one.value : none, other ? other.value : none];
		const difference = current && old ? minus(current.value, old.value) : null;
		return { grouping, now: current, then: old, difference, only: !other ? 'now' : !one ? 'then' : null };
	};
	const pairs = now.map((group) => {
		const key = keyOf(group);
		const other = earlier.get(key);
		earlier.delete(key);
		return pair(group.grouping, group, other);
	});
	return [...pairs, ...[...earlier.values()].map((group) => pair(group.grouping, undefined, group))];
}

export const byDifference: Order<Pair> = { key: ({ difference }) => (difference === null ? null : magnitude(difference)), as: 'numbers' };

// Whether all groups can be read in each step, so that the others are known; an event is in one of them.
export function areFew(groups: number, steps: number, events: number): boolean {
	return Math.min(groups * steps, events) <= MOST_VALUES;
}

// A series for each of the groups; where the metric adds up, a step without a group is zero, and the others are one more.
export function seriesOf(steps: Step[], shown: Group[], sums: boolean, withOthers: boolean): { name: string; steps: Step[] }[] {
	const keys = new Set(shown.map(keyOf));
	const values = steps.map((step) => new Map(step.groupedValues?.map((group) => [keyOf(group), group.value])));
	const empty = sums ? exact('0') : null;
	const series = shown.map((group) => ({
		name: nameOf(group),
		steps: steps.map((step, index) => ({ ...step, value: values[index].get(keyOf(group)) ?? empty })),
	}));
	if (!sums || !withOthers) return series;
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
