// api.ts: asks the API, by the types of docs/openapi.json; numbers keep every digit
import { isLosslessNumber, LosslessNumber, parse, stringify } from 'lossless-json';
import createClient from 'openapi-fetch';
import type { Exact } from './exact';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export type Json = null | boolean | string | Exact | Json[] | { [name: string]: Json };

// The page is below the API: /ui/ beside /usage-events.
export const base = location.pathname.replace(/\/ui\/[^/]*$/, '');

// A refusal as the API words it.
export class Refusal extends Error {
	constructor(
		readonly status: number,
		readonly code: string,
		message: string,
		readonly details: string | null,
		readonly hint: string | null,
	) {
		super(message);
	}

	// Faults by the field that each names: '"customerAlias" is missing.'
	faults(): Map<string, string> {
		const faults = new Map<string, string>();
		for (const line of (this.details ?? '').split('\n')) {
			const match = /^"([^"]+)" (.*)$/.exec(line);
			if (match) faults.set(match[1], match[2]);
		}
		return faults;
	}
}

export class Unreachable extends Error {}

export function read(text: string): Json {
	return parse(text) as Json;
}

// Levels of an answer that are shown.  Whoever sends events may nest thousands, at which a browser's stack ends, and with it
// all of a list.
const DEEPEST = 100;
const DEEPER = JSON.stringify('… nested too deeply to be shown');

function isEscaped(text: string, at: number): boolean {
	let before = at;
	while (text[before - 1] === '\\') before--;
	return (at - before) % 2 === 1;
}

// The same JSON, where what lies deeper is a text that says so.
export function shallow(text: string): string {
	const parts: string[] = [];
	let [depth, start, copied] = [0, 0, 0];
	for (let at = 0; at < text.length; at++) {
		const letter = text[at];
		if (letter === '"') {
			do at = text.indexOf('"', at + 1);
			while (at > 0 && isEscaped(text, at));
			if (at < 0) return text;
		} else if (letter === '[' || letter === '{') {
			if (++depth === DEEPEST + 1) start = at;
		} else if (letter === ']' || letter === '}') {
			if (depth-- === DEEPEST + 1) {
				parts.push(text.slice(copied, start), DEEPER);
				copied = at + 1;
			}
		}
	}
	return copied === 0 ? text : parts.join('') + text.slice(copied);
}

export function write(value: unknown, indent?: number): string {
	return stringify(value, null, indent) ?? '';
}

export function isExact(value: unknown): value is Exact {
	return isLosslessNumber(value);
}

export function exact(text: string): Exact {
	return new LosslessNumber(text);
}

async function fetchExact(request: Request): Promise<Response> {
	let text: string;
	let response: Response;
	try {
		response = await fetch(request);
		text = await response.text();
	} catch (error) {
		if ((error as Error).name === 'AbortError') throw error;
		throw new Unreachable('The server cannot be reached.');
	}
	const headers = new Headers(response.headers);
	// Its length tells openapi-fetch to call json().
	headers.set('content-length', String(text.length));
	const answer = new Response(text, { status: response.status, headers });
	return Object.defineProperty(answer, 'json', { value: async () => parse(shallow(text)) });
}

// A list is one parameter, with commas between what is encoded by itself; customerAlias repeats its name.
function query(values: Record<string, unknown>): string {
	const parts: string[] = [];
	for (const [name, value] of Object.entries(values)) {
		if (value === undefined || value === null || value === '') continue;
		if (Array.isArray(value) && name !== 'customerAlias') parts.push(`${name}=${value.map(encodeURIComponent).join(',')}`);
		else for (const one of Array.isArray(value) ? value : [value]) parts.push(`${name}=${encodeURIComponent(String(one))}`);
	}
	return parts.join('&');
}

export interface Credentials {
	authorization: string;
	name: string;
}

let credentials: Credentials | null = null;
let refused: (refusal: Refusal) => void = () => undefined;

export function useCredentials(given: Credentials | null, whenRefused: (refusal: Refusal) => void): void {
	credentials = given;
	refused = whenRefused;
}

export function authorization(): string {
	return credentials?.authorization ?? '';
}

export const api = createClient<paths, 'application/json'>({
	baseUrl: `${location.origin}${base}`,
	fetch: fetchExact,
	querySerializer: query,
	bodySerializer: (body) => write(body),
	headers: { Accept: 'application/json' },
	credentials: 'omit',
	cache: 'no-store',
});

api.use({
	onRequest({ request }) {
		request.headers.set('Authorization', authorization());
		return request;
	},
});

// What was asked for, or the refusal as an exception.
export async function answer<T>(asked: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
	const { data, error, response } = await asked;
	if (response.ok && data !== undefined) return data;
	const told = (typeof error === 'object' && error !== null ? error : {}) as Partial<Schemas['Error']>;
	const refusal = new Refusal(
		response.status,
		told.code ?? String(response.status),
		told.message ?? 'The answer cannot be read.',
		told.details ?? null,
		told.hint ?? null,
	);
	if (response.status === 401) refused(refusal);
	throw refusal;
}

// A list as CSV, as it comes.
export async function csv(path: string, values: Record<string, unknown>): Promise<string> {
	const address = `${base}${path}?${query({ ...values, format: 'csv' })}`;
	const response = await fetch(address, { headers: { Authorization: authorization() }, credentials: 'omit', cache: 'no-store' });
	const text = await response.text();
	if (!response.ok) {
		const told = JSON.parse(text) as Schemas['Error'];
		throw new Refusal(response.status, told.code, told.message, told.details, told.hint);
	}
	return text;
}

export function addressOf(path: string, values: Record<string, unknown>): string {
	return `${location.origin}${base}${path}?${query(values)}`;
}

// All pages of a list, up to so many.
export async function all<T>(page: (after: string | undefined) => Promise<{ items: T[]; pagination: Schemas['Pagination'] }>, pages = 10): Promise<T[]> {
	const items: T[] = [];
	let after: string | undefined;
	for (let number = 0; number < pages; number++) {
		const { items: more, pagination } = await page(after);
		items.push(...more);
		if (pagination.after === null) break;
		after = pagination.after;
	}
	return items;
}

export function metrics(signal?: AbortSignal): Promise<Schemas['UsageMetric'][]> {
	return all((after) => answer(api.GET('/usage-metrics', { params: { query: { limit: 100, after } }, signal })));
}
