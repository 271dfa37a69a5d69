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
	return between(fields(older), fields(newer));
}

type Version = Schemas['UsageMetricVersion'];

// What a version of a metric says of itself, and not of when.
function definition({ id, versionId, inForceSince, supersededAt, createdAt, sequenceAccountId, ...said }: Version): Map<string, string> {
	const empty = (value: unknown) => value === null || ['[]', '{}'].includes(write(value));
	return new Map(
		Object.entries(said)
			.filter(([, value]) => !empty(value))
			.map(([name, value]) => [name, typeof value === 'string' ? value : write(value)]),
	);
}

export function changesOfMetric(older: Version, newer: Version): Change[] {
	return between(definition(older), definition(newer));
}

function between(before: Map<string, string>, after: Map<string, string>): Change[] {
	return [...new Set([...before.keys(), ...after.keys()])]
		.filter((field) => before.get(field) !== after.get(field))
		.map((field) => ({ field, old: before.get(field) ?? null, new: after.get(field) ?? null }));
}
