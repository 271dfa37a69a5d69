// rejected.tsx: events that batches refused, by what is wrong with them; mended here, and sent again
import { useState } from 'preact/hooks';
import { all, answer, api, isExact, read, Refusal, write, type Json, type Schemas } from '../api';
import { grouped } from '../exact';
import { linkTo, useAsk } from '../hooks';
import { Badge, Doing, Empty, Moment, Over, Problem, Shown, Sure, TextArea } from '../parts/basics';
import { Table } from '../parts/table';

type Rejected = Schemas['RejectedUsageEvent'];
type Outcome = { stored: number; refused: number; more?: string };

const PAGES = 20;
const AT_A_TIME = 1000;

function faultText(fault: Schemas['Fault']): string {
	return fault.field ? `${fault.field} ${fault.fault}` : fault.fault;
}

// What it says of the event itself is not what tells faults apart: a value, or of a limit an amount.
function kind(fault: Schemas['Fault']): string {
	const text = faultText(fault);
	return fault.usageLimitId ? text.replace(/\b\d[\d.]*\b(?!["\d:T-])/g, '…') : text.replace(/: ".*"$/s, '');
}

function byFault(rows: Rejected[]): [string, Rejected[]][] {
	const found = new Map<string, Rejected[]>();
	for (const row of rows) {
		for (const name of new Set(row.faults.map(kind))) found.set(name, [...(found.get(name) ?? []), row]);
	}
	return [...found].sort((a, b) => b[1].length - a[1].length);
}

function pretty(body: string): string {
	try {
		return write(read(body), 2);
	} catch {
		return body;
	}
}

export function RejectedEvents() {
	const asked = useAsk(async (signal) => {
		const rows = await all((after) => answer(api.GET('/rejected-usage-events', { params: { query: { limit: 100, after } }, signal })), PAGES);
		return rows;
	}, []);
	const [fault, setFault] = useState<string | null>(null);
	const [open, setOpen] = useState<Rejected | null>(null);
	const [outcome, setOutcome] = useState<Outcome | null>(null);
	const [error, setError] = useState<Error | null>(null);
	const retry = async (rows: Rejected[] | null) => {
		setError(null);
		setOutcome(null);
		try {
			let [stored, refused] = [0, 0];
			const lists =
				rows === null
					? [undefined]
					: Array.from({ length: Math.ceil(rows.length / AT_A_TIME) }, (_, part) => rows.slice(part * AT_A_TIME, (part + 1) * AT_A_TIME).map((row) => row.id));
			for (const ids of lists) {
				const result = await answer(api.POST('/rejected-usage-events/retry', { body: ids ? { ids } : {} }));
				stored += Number(result.created.value) + Number(result.superseded.value) + Number(result.unchanged.value);
				refused += Number(result.refused.value);
			}
			setOutcome({ stored, refused });
		} catch (caught) {
			setError(caught as Error);
		}
		asked.again();
	};
	return (
		<>
			<header class="top">
				<div>
					<h1>Rejected</h1>
					<p class="faint">Events that a batch brought and that were refused. They wait here to be sent again.</p>
				</div>
			</header>
			{outcome && (
				<p role="status" class="note">
					<b>{grouped(String(outcome.stored))} stored</b>
					{outcome.refused > 0 && `, ${grouped(String(outcome.refused))} refused again`}. {outcome.more}
				</p>
			)}
			{error && <Problem error={error} />}
			<Shown asked={asked} what="rejected events">
				{(rows) => {
					if (rows.length === 0)
						return (
							<Empty title="Nothing waits">
								<p>
									What <code>POST /usage-events/batch</code> refuses is kept here, with its faults. <a href={linkTo(['events'])}>Look at what came in</a>
								</p>
							</Empty>
						);
					const groups = byFault(rows);
					const chosen = groups.find(([name]) => name === fault);
					const seen = chosen ? chosen[1] : rows;
					return (
						<>
							<section class="panel" aria-label="By fault">
								<h2>By fault</h2>
								<ul class="lines">
									{groups.map(([name, members]) => (
										<li key={name}>
											<button type="button" class="quiet grow left" aria-pressed={name === fault} onClick={() => setFault(name === fault ? null : name)}>
												<Badge tone="bad">{grouped(String(members.length))}</Badge> {name}
											</button>
											<Doing work={() => retry(members)}>Send these again</Doing>
										</li>
									))}
								</ul>
								<div class="footer">
									{rows.length >= PAGES * 100 && <span class="faint">The newest {grouped(String(rows.length))} are shown.</span>}
									<Doing kind="solid" work={() => retry(null)}>
										Send all again
									</Doing>
								</div>
							</section>
							<Table
								label="Rejected events"
								tall
								rows={seen}
								keyOf={(row) => row.id}
								open={setOpen}
								columns={[
									{ title: 'Refused', width: '215px', cell: (row) => <Moment at={row.rejectedAt} /> },
									{ title: 'Faults', width: 'minmax(200px, 2fr)', cell: (row) => row.faults.map(faultText).join('; ') },
									{ title: 'Event as it came', width: 'minmax(200px, 3fr)', cell: (row) => <code class="faint">{row.body}</code> },
								]}
							/>
							{open && (
								<Edit
									row={open}
									close={() => setOpen(null)}
									done={(stored) => {
										setOpen(null);
										setOutcome(stored);
										asked.again();
									}}
								/>
							)}
						</>
					);
				}}
			</Shown>
		</>
	);
}

// The event to be sent. Sent again it must be known again, so one without an id gets that of the row.
function mended(text: string, row: Rejected): Record<string, Json> {
	const event = read(text);
	if (typeof event !== 'object' || event === null || Array.isArray(event) || isExact(event)) throw new SyntaxError('it must be a JSON object');
	return event.customerEventId === undefined || event.customerEventId === null ? { ...event, customerEventId: `rejected-${row.id}` } : event;
}

// Stored first and taken away then. Whatever fails between, no second one is stored: what was stored is only taken away, and
// where it is not known whether it was, it is sent again under the same id alone.
function Edit({ row, close, done }: { row: Rejected; close: () => void; done: (outcome: Outcome | null) => void }) {
	const [text, setText] = useState(pretty(row.body));
	const [error, setError] = useState<Error | null>(null);
	const [json, setJson] = useState<string | undefined>(undefined);
	const [stored, setStored] = useState(false);
	const [unsure, setUnsure] = useState<Json | undefined>(undefined);
	const remove = () => answer(api.DELETE('/rejected-usage-events/{id}', { params: { path: { id: row.id } } }));
	const run = async (work: () => Promise<Outcome | null>) => {
		setError(null);
		try {
			done(await work());
		} catch (caught) {
			setError(caught as Error);
		}
	};
	const store = async (event: Record<string, Json>) => {
		try {
			await answer(api.POST('/usage-events', { body: event as unknown as Schemas['NewUsageEvent'] }));
		} catch (caught) {
			// Of any other refusal it is known that nothing was stored.
			if (!(caught instanceof Refusal) || caught.status >= 500) setUnsure(event.customerEventId);
			throw caught;
		}
		setStored(true);
	};
	const takeAway = async (): Promise<Outcome> => {
		try {
			await remove();
		} catch (caught) {
			if (!(caught instanceof Refusal && caught.status === 404)) throw caught;
			return { stored: 1, refused: 0, more: 'The rejected one was gone already: somebody has given it up, or sent it as it was.' };
		}
		return { stored: 1, refused: 0 };
	};
	const send = async () => {
		setJson(undefined);
		let event: Record<string, Json>;
		try {
			event = mended(text, row);
		} catch (caught) {
			setJson(`is no event: ${(caught as Error).message}`);
			return;
		}
		if (unsure !== undefined && write(unsure) !== write(event.customerEventId)) {
			setJson(`was sent with the "customerEventId" ${write(unsure)}, and may be stored: keep that until there is an answer, or it may count twice`);
			return;
		}
		await run(async () => {
			await store(event);
			return takeAway();
		});
	};
	return (
		<Over title="Rejected event" close={close} kind="drawer">
			<dl class="facts">
				<dt>Refused</dt>
				<dd>
					<Moment at={row.rejectedAt} />
				</dd>
			</dl>
			<section>
				<h3>Faults</h3>
				<ul class="lines">
					{row.faults.map((fault, number) => (
						<li key={number} class="fault">
							{faultText(fault)}
							{fault.usageLimitId && <a href={linkTo(['limits'])}>The limit</a>}
						</li>
					))}
				</ul>
			</section>
			<TextArea
				label="The event"
				rows={16}
				value={text}
				set={setText}
				fault={json}
				help="Mend it here. It takes the rejected one’s place only when it is stored. Without a customerEventId it gets that of this row, so that it is never stored twice."
			/>
			{error && <Problem error={error} />}
			{stored ? (
				<div class="footer">
					<p class="note" role="status">
						It is stored. The rejected one still waits, and is not to be sent again.
					</p>
					<Doing kind="solid" work={() => run(takeAway)}>
						Take it away
					</Doing>
				</div>
			) : (
				<div class="footer">
					<Sure
						question="The event is lost then."
						work={() =>
							run(async () => {
								await remove();
								return null;
							})
						}>
						Give it up
					</Sure>
					<Doing kind="solid" work={send}>
						Send it
					</Doing>
				</div>
			)}
		</Over>
	);
}
