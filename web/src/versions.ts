// versions.ts: what changed between two versions of an event, and when each was stored
import { write, type Json, type Schemas } from './api';

type Event = Schemas['UsageEvent'];

export interface Change {
	field: string;
	old: string | null;
	new: string | null;
}

// An id of version 7 begins with the millisecond at which it was made.
export function storedAt(id: string): string {
	return new Date(parseInt(id.replace('-', '').slice(0, 12), 16)).toISOString();
}

function fields(event: Event): Map<string, string> {
	const found = new Map<string, string>([
		['customerAlias', event.customerAlias],
		['eventType', event.eventType],
		['eventTimestamp', event.eventTimestamp],
	]);
	for (const [name, value] of Object.entries(event.eventProperties)) found.set(`eventProperties.${name}`, write(value as Json));
	return found;
}

export function changes(older: Event, newer: Event): Change[] {
	const [before, after] = [fields(older), fields(newer)];
	return [...new Set([...before.keys(), ...after.keys()])]
		.filter((field) => before.get(field) !== after.get(field))
		.map((field) => ({ field, old: before.get(field) ?? null, new: after.get(field) ?? null }));
}
