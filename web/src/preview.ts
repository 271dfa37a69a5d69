// preview.ts: what a metric would say of some events, before it is made; as docs/metrics.md has the rules
//
// The same comparison as the server's: values as text, numbers without zeros at their ends, filters that may be negated.
import { isExact, write, type Json, type Schemas } from './api';
import { compare, isNumber, plain, plus, quotient } from './exact';

export interface Draft {
	aggregationType: string;
	aggregationProperty: string;
	percentile: string;
	propertyFilters: Record<string, Json[]>;
	propertiesToNegate: string[];
	caseSensitive: boolean;
}

type Event = Schemas['UsageEvent'];

// Of its own: every object has a "constructor".
function property(event: Event, name: string): Json | undefined {
	const properties = event.eventProperties as Record<string, Json>;
	return Object.prototype.hasOwnProperty.call(properties, name) ? properties[name] : undefined;
}

// Null and what is missing are the same.
function text(value: Json | undefined): string | null {
	if (value === undefined || value === null) return null;
	if (isExact(value)) return plain(value.value);
	return typeof value === 'string' ? value : typeof value === 'boolean' ? String(value) : write(value);
}

function folded(value: string | null, draft: Draft): string | null {
	return value === null || draft.caseSensitive ? value : value.toLowerCase();
}

// Why the event does not count, or null.
export function reason(event: Event, draft: Draft): string | null {
	if (event.customerAlias === 'VOID') return 'was taken back';
	for (const [name, values] of Object.entries(draft.propertyFilters)) {
		const has = folded(text(property(event, name)), draft);
		const passes = values.some((value) => folded(text(value), draft) === has);
		if (passes === draft.propertiesToNegate.includes(name)) return `${name} is ${has ?? 'missing'}`;
	}
	if (draft.aggregationType === 'COUNT' || draft.aggregationProperty === '') return null;
	const found = property(event, draft.aggregationProperty);
	const value = text(found);
	if (value === null) return `${draft.aggregationProperty} is missing`;
	if (draft.aggregationType !== 'UNIQUE' && !isNumeric(found as Json)) return `${draft.aggregationProperty} is no number`;
	return null;
}

// A JSON number, or a string that looks like one in JSON.
function isNumeric(value: Json): boolean {
	if (isExact(value)) return true;
	return typeof value === 'string' && /^[+-]?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,4})?$/.test(value) && isNumber(value);
}

// Of the events that count; null where there is no value.
export function value(events: Event[], draft: Draft): string | null {
	if (draft.aggregationType === 'COUNT') return String(events.length);
	const texts = events.map((event) => text(property(event, draft.aggregationProperty)) ?? '');
	if (draft.aggregationType === 'UNIQUE') return String(new Set(texts).size);
	if (draft.aggregationType === 'SUM') return texts.reduce(plus, '0');
	if (texts.length === 0) return null;
	const ascending = [...texts].sort(compare);
	switch (draft.aggregationType) {
		case 'MIN':
			return plain(ascending[0]);
		case 'MAX':
			return plain(ascending[ascending.length - 1]);
		case 'AVERAGE':
			return quotient(texts.reduce(plus, '0'), String(texts.length), 6);
		case 'LATEST': {
			// Of several at the same time, the one with the highest id.
			const order = events.map((event, index) => ({ at: `${instant(event.eventTimestamp)} ${event.id}`, text: texts[index] }));
			order.sort((a, b) => (a.at < b.at ? 1 : -1));
			return plain(order[0].text);
		}
		case 'PERCENTILE': {
			if (!isNumber(draft.percentile)) return null;
			return plain(ascending.find((_, index) => compare(String(index + 1), times(draft.percentile, ascending.length)) >= 0) ?? ascending[ascending.length - 1]);
		}
		default:
			return null;
	}
}

// To the microsecond, in an order that texts have.
function instant(moment: string): string {
	const [seconds, fraction = ''] = moment.replace('Z', '').split('.');
	return `${seconds}.${fraction.padEnd(6, '0')}`;
}

function times(number: string, count: number): string {
	const [whole, fraction = ''] = plain(number).split('.');
	const product = BigInt(whole + fraction) * BigInt(count);
	return `${product}e-${fraction.length}`;
}
