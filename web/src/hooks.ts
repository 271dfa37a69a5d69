// hooks.ts: what the screens share: questions to the API, the place in the address bar, the chosen zone
import { createContext } from 'preact';
import { useCallback, useContext, useEffect, useRef, useState } from 'preact/hooks';
import { Refusal } from './api';

export interface Asked<T> {
	data: T | undefined;
	error: Error | undefined;
	loading: boolean;
	again: () => void;
}

// Asks when the inputs change, and every so many milliseconds while the page is seen.  The last answer stays while another
// comes, unless the inputs are others.
export function useAsk<T>(ask: (signal: AbortSignal) => Promise<T>, inputs: unknown[], every?: number): Asked<T> {
	const key = JSON.stringify(inputs);
	const [state, setState] = useState<{ key: string; data?: T; error?: Error; loading: boolean }>({ key, loading: true });
	const [turn, setTurn] = useState(0);
	const latest = useRef(ask);
	latest.current = ask;
	useEffect(() => {
		const controller = new AbortController();
		let timer: number | undefined;
		const go = async () => {
			if (document.hidden && every) {
				timer = window.setTimeout(go, every);
				return;
			}
			try {
				const data = await latest.current(controller.signal);
				if (!controller.signal.aborted) setState({ key, data, loading: false });
			} catch (error) {
				if (!controller.signal.aborted) {
					setState((before) => ({ key, data: before.key === key ? before.data : undefined, error: error as Error, loading: false }));
				}
			}
			if (every && !controller.signal.aborted) timer = window.setTimeout(go, every);
		};
		setState((before) => (before.key === key ? { ...before, loading: true } : { key, loading: true }));
		void go();
		return () => {
			controller.abort();
			window.clearTimeout(timer);
		};
	}, [key, turn, every]);
	const again = useCallback(() => setTurn((number) => number + 1), []);
	const current = state.key === key ? state : { data: undefined, error: undefined, loading: true };
	return { data: current.data, error: current.error, loading: current.loading, again };
}

// The address behind the #: "/events?eventType=call".
export interface Place {
	screen: string;
	rest: string[];
	values: URLSearchParams;
}

// An address that was cut off is no reason to fail.
export function decoded(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

function place(): Place {
	const [path, values] = location.hash.replace(/^#/, '').split('?');
	const [screen, ...rest] = path
		.split('/')
		.filter((part) => part !== '')
		.map(decoded);
	return { screen: screen ?? 'events', rest, values: new URLSearchParams(values) };
}

export function usePlace(): Place {
	const [current, setCurrent] = useState(place);
	useEffect(() => {
		const moved = () => setCurrent(place());
		addEventListener('hashchange', moved);
		return () => removeEventListener('hashchange', moved);
	}, []);
	return current;
}

export function linkTo(path: string[], values: Record<string, string | undefined> = {}): string {
	const parameters = new URLSearchParams(Object.entries(values).filter((entry): entry is [string, string] => !!entry[1]));
	const text = parameters.toString();
	return `#/${path.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}

// Changes what the address bar says behind the ?; what is empty goes.
export function change(values: Record<string, string | null>): void {
	const [path, before] = location.hash.replace(/^#/, '').split('?');
	const parameters = new URLSearchParams(before);
	for (const [name, value] of Object.entries(values)) {
		if (value === null || value === '') parameters.delete(name);
		else parameters.set(name, value);
	}
	const text = parameters.toString();
	history.replaceState(null, '', `#${path || '/events'}${text === '' ? '' : `?${text}`}`);
	dispatchEvent(new HashChangeEvent('hashchange'));
}

export const Zone = createContext('UTC');

export function useZone(): string {
	return useContext(Zone);
}

// What is typed, once it rests.
export function useRested<T>(value: T, milliseconds = 300): T {
	const [rested, setRested] = useState(value);
	useEffect(() => {
		const timer = window.setTimeout(() => setRested(value), milliseconds);
		return () => window.clearTimeout(timer);
	}, [value]);
	return rested;
}

// A form of texts.  What it was refused for is told at its field, until that is edited; what belongs to none of its fields, nor
// to those that the form tells by itself, is told elsewhere.
export function useForm<T extends Record<string, string>>(initial: T, save: (form: T) => Promise<unknown>, others: string[] = []) {
	const [form, setForm] = useState(initial);
	const [error, setError] = useState<Error | null>(null);
	const [edited, setEdited] = useState<string[]>([]);
	const [busy, setBusy] = useState(false);
	const faults = error instanceof Refusal ? error.faults() : new Map<string, string>();
	const fields = [...Object.keys(initial), ...others];
	const fault = (field: string) => (edited.includes(field) ? undefined : faults.get(field));
	const run = async (work: () => Promise<unknown>) => {
		setBusy(true);
		setError(null);
		setEdited([]);
		try {
			await work();
		} catch (caught) {
			setError(caught as Error);
		}
		setBusy(false);
	};
	return {
		form,
		busy,
		fault,
		elsewhere: error && (faults.size === 0 || [...faults.keys()].some((field) => !fields.includes(field))) ? error : null,
		run,
		clear: () => setForm(initial),
		input: (name: keyof T & string, label: string) => ({
			label,
			value: form[name],
			fault: fault(name),
			set: (text: string) => {
				setEdited((before) => [...before, name]);
				setForm((before) => ({ ...before, [name]: text }));
			},
		}),
		submit: (event: SubmitEvent) => {
			event.preventDefault();
			void run(() => save(form));
		},
	};
}
