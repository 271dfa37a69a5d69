// basics.tsx: states, fields, drawers and dialogs that every screen uses
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { isExact, Refusal, Unreachable, write, type Json } from '../api';
import type { Asked } from '../hooks';
import { useZone } from '../hooks';
import { inZone } from '../time';

export function Moment({ at }: { at: string | null | undefined }) {
	const zone = useZone();
	return at ? (
		<time dateTime={at} title={at} class="time">
			{inZone(at, zone)}
		</time>
	) : (
		<span class="faint">–</span>
	);
}

function next(error: Error): string {
	if (error instanceof Unreachable) return 'Is the server up? It is asked again when you press the button.';
	if (!(error instanceof Refusal)) return 'Reload the page. If it comes again, the browser’s console says more.';
	if (error.status === 401) return 'Sign in with a key that has not ended.';
	if (error.status === 403) return 'This key is not good for that. Sign in with another one, or ask who made it.';
	if (error.status === 404) return 'It is not there, or not any more. Go back to the list.';
	if (error.status === 429) return 'Wait a little, then try again.';
	return error.hint ?? 'Try again.';
}

export function Problem({ error, again }: { error: Error; again?: () => void }) {
	const details = error instanceof Refusal ? error.details : null;
	return (
		<div class="problem" role="alert">
			<strong>{error.message}</strong>
			{details && <pre class="wrapped">{details}</pre>}
			<p>{next(error)}</p>
			{error instanceof Refusal && (
				<p class="faint">
					Code {error.code}, status {error.status}
				</p>
			)}
			{again && (
				<button type="button" onClick={again}>
					Try again
				</button>
			)}
		</div>
	);
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
	return (
		<div class="empty">
			<strong>{title}</strong>
			<div>{children}</div>
		</div>
	);
}

export function Loading({ what }: { what: string }) {
	return (
		<div class="loading" role="status">
			<span class="spinner" aria-hidden="true" />
			Loading {what} …
		</div>
	);
}

// What was asked: while it comes, when it cannot, and then.
export function Shown<T>({ asked, what, children }: { asked: Asked<T>; what: string; children: (data: T) => ComponentChildren }) {
	if (asked.data !== undefined) {
		return (
			<>
				{asked.error && <Problem error={asked.error} again={asked.again} />}
				{children(asked.data)}
			</>
		);
	}
	return asked.error ? <Problem error={asked.error} again={asked.again} /> : <Loading what={what} />;
}

type Control = (attributes: { id: string; 'aria-invalid': boolean; 'aria-describedby': string | undefined }) => ComponentChildren;

// A field of a form, with its fault below it.
export function Field({ label, fault, help, children }: { label: string; fault?: string; help?: string; children: Control }) {
	const id = useId();
	const told = fault ?? help;
	return (
		<div class={`field${fault ? ' faulty' : ''}`}>
			<label for={id}>{label}</label>
			{children({ id, 'aria-invalid': !!fault, 'aria-describedby': told ? `${id}-told` : undefined })}
			{told && (
				<div id={`${id}-told`} class={fault ? 'fault' : 'help'}>
					{fault ? `${label} ${fault}` : told}
				</div>
			)}
		</div>
	);
}

type InputProps = Omit<JSX.IntrinsicElements['input'], 'value' | 'onInput' | 'label'> & {
	label: string;
	fault?: string;
	help?: string;
	value: string;
	set: (value: string) => void;
};

export function Input({ label, fault, help, value, set, ...rest }: InputProps) {
	return (
		<Field label={label} fault={fault} help={help}>
			{(attributes) => (
				<input autocomplete="off" spellcheck={false} {...rest} {...attributes} value={value} onInput={(event) => set(event.currentTarget.value)} />
			)}
		</Field>
	);
}

export function TextArea({
	label,
	fault,
	help,
	value,
	set,
	rows = 6,
}: {
	label: string;
	fault?: string;
	help?: string;
	value: string;
	set: (value: string) => void;
	rows?: number;
}) {
	return (
		<Field label={label} fault={fault} help={help}>
			{(attributes) => (
				<textarea class="code" spellcheck={false} rows={rows} {...attributes} value={value} onInput={(event) => set(event.currentTarget.value)} />
			)}
		</Field>
	);
}

export function Select({
	label,
	value,
	set,
	options,
	help,
	fault,
}: {
	label: string;
	value: string;
	set: (value: string) => void;
	options: (string | [string, string])[];
	help?: string;
	fault?: string;
}) {
	return (
		<Field label={label} help={help} fault={fault}>
			{(attributes) => (
				<select {...attributes} value={value} onChange={(event) => set(event.currentTarget.value)}>
					{options.map((option) => {
						const [key, text] = typeof option === 'string' ? [option, option] : option;
						return (
							<option key={key} value={key} selected={key === value}>
								{text}
							</option>
						);
					})}
				</select>
			)}
		</Field>
	);
}

// Buttons of which one is pressed.
export function Choice({ label, value, set, options }: { label: string; value: string; set: (value: string) => void; options: [string, string][] }) {
	return (
		<div class="choice" role="group" aria-label={label}>
			{options.map(([key, text]) => (
				<button key={key} type="button" aria-pressed={key === value} onClick={() => set(key)}>
					{text}
				</button>
			))}
		</div>
	);
}

// Over the page; Escape closes it, and the focus goes back to where it was.  A drawer is one at the side.
export function Over({
	title,
	close,
	kind = 'dialog',
	children,
}: {
	title: string;
	close: () => void;
	kind?: 'dialog' | 'drawer';
	children: ComponentChildren;
}) {
	const reference = useRef<HTMLDialogElement>(null);
	const id = useId();
	useEffect(() => {
		const dialog = reference.current;
		const back = document.activeElement as HTMLElement | null;
		if (dialog && !dialog.open) dialog.showModal();
		return () => {
			dialog?.close();
			back?.focus?.();
		};
	}, []);
	return (
		<dialog
			ref={reference}
			class={kind}
			aria-labelledby={id}
			onCancel={(event) => {
				event.preventDefault();
				close();
			}}
			onClick={(event) => {
				if (event.target === reference.current) close();
			}}>
			<header>
				<h2 id={id}>{title}</h2>
				<button type="button" class="quiet" aria-label="Close" onClick={close}>
					✕
				</button>
			</header>
			<div class="body">{children}</div>
		</dialog>
	);
}

// A button whose work takes a while, and may be refused.
export function Doing({ children, work, kind, disabled }: { children: ComponentChildren; work: () => Promise<void>; kind?: string; disabled?: boolean }) {
	const [busy, setBusy] = useState(false);
	const go = async () => {
		setBusy(true);
		try {
			await work();
		} finally {
			setBusy(false);
		}
	};
	return (
		<button type="button" class={kind} disabled={busy || disabled} aria-busy={busy} onClick={() => void go()}>
			{children}
		</button>
	);
}

// Asks once more, in place, before what cannot be undone.
export function Sure({ children, question, work }: { children: ComponentChildren; question: string; work: () => Promise<void> }) {
	const [asking, setAsking] = useState(false);
	if (!asking)
		return (
			<button type="button" class="danger" onClick={() => setAsking(true)}>
				{children}
			</button>
		);
	return (
		<span class="sure" role="group" aria-label={question}>
			<span>{question}</span>
			<Doing
				kind="danger solid"
				work={async () => {
					await work();
					setAsking(false);
				}}>
				{children}
			</Doing>
			<button type="button" onClick={() => setAsking(false)}>
				Keep it
			</button>
		</span>
	);
}

export function Copy({ text, what }: { text: string; what: string }) {
	const [done, setDone] = useState(false);
	const copy = async () => {
		await navigator.clipboard.writeText(text);
		setDone(true);
		window.setTimeout(() => setDone(false), 2000);
	};
	return (
		<button type="button" class="small" onClick={() => void copy()} aria-label={`Copy ${what}`}>
			{done ? 'Copied' : 'Copy'}
		</button>
	);
}

// JSON with colours, each piece a text of its own.
function pieces(value: Json, depth: number): ComponentChildren {
	const pad = '  '.repeat(depth + 1);
	const end = '  '.repeat(depth);
	if (isExact(value)) return <span class="number">{value.value}</span>;
	if (typeof value === 'string') return <span class="string">{write(value)}</span>;
	if (value === null || typeof value !== 'object') return <span class="word">{String(value)}</span>;
	const entries: [string | null, Json][] = Array.isArray(value) ? value.map((one) => [null, one]) : Object.entries(value);
	const [open, shut] = Array.isArray(value) ? '[]' : '{}';
	if (entries.length === 0) return open + shut;
	return (
		<>
			{open}
			{entries.map(([name, one], number) => (
				<span key={number}>
					{`\n${pad}`}
					{name !== null && (
						<>
							<span class="name">{write(name)}</span>:{' '}
						</>
					)}
					{pieces(one, depth + 1)}
					{number < entries.length - 1 && ','}
				</span>
			))}
			{`\n${end}${shut}`}
		</>
	);
}

export function JsonText({ value }: { value: Json }) {
	return (
		<pre class="json" tabIndex={0} aria-label="JSON">
			{pieces(value, 0)}
		</pre>
	);
}

export function Bar({ percent, tone, label }: { percent: number; tone?: string; label: string }) {
	return (
		<span class="bar" role="meter" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(percent)}>
			<span class={tone} style={{ width: `${percent}%` }} />
		</span>
	);
}

export function Badge({ tone, children }: { tone?: string; children: ComponentChildren }) {
	return <span class={`badge ${tone ?? ''}`}>{children}</span>;
}
