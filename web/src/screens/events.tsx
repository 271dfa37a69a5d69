// events.tsx: what comes in, as it comes; each event with its versions, and why it counts
import { useEffect, useRef, useState } from 'preact/hooks';
import { answer, api, read, write, type Json, type Schemas } from '../api';
import { grouped } from '../exact';
import { change, linkTo, useAsk, useForm, useRested, type Place } from '../hooks';
import { Badge, Copy, Empty, Input, JsonText, Loading, Moment, Over, Problem, Shown, TextArea } from '../parts/basics';
import { Table } from '../parts/table';
import { changes, storedAt } from '../versions';

type Event = Schemas['UsageEvent'];

const MOST = 5000;
const EVERY = 2000;

const FILTERS = ['customer', 'type', 'id', 'after', 'before', 'unmapped'] as const;

function queryOf(place: Place) {
	const value = (name: string) => place.values.get(name) ?? undefined;
	const customer = value('customer');
	return {
		limit: 100,
		customerAlias:
			customer === undefined
				? undefined
				: customer
						.split(',')
						.map((alias) => alias.trim())
						.filter((alias) => alias !== ''),
		eventType: value('type'),
		eventId: value('id'),
		eventTimestampAfter: value('after'),
		eventTimestampBefore: value('before'),
		unmappedAliasesOnly: value('unmapped') === 'true' ? true : undefined,
	};
}

interface Listed {
	rows: Event[];
	after: string | null;
	total: string | null;
	gap: boolean;
}

// New events above those that are there.  Where more came than a page has, the list begins anew.
function merged(before: Listed | undefined, page: Schemas['UsageEventPage']): Listed {
	const total = page.pagination.totalResultSize?.value ?? null;
	const known = new Set(before?.rows.map((row) => row.id));
	const fresh = page.items.filter((row) => !known.has(row.id));
	if (!before || fresh.length === page.items.length) {
		return { rows: page.items, after: page.pagination.after, total, gap: !!before && before.rows.length > 0 && page.items.length > 0 };
	}
	const current = new Set(fresh.map((row) => row.customerEventId));
	const kept = before.rows.filter((row) => !current.has(row.customerEventId));
	return { rows: [...fresh, ...kept].slice(0, MOST), after: before.after, total, gap: false };
}

function useLive(place: Place, live: boolean) {
	const query = queryOf(place);
	const key = JSON.stringify(query);
	const [state, setState] = useState<{ key: string; listed?: Listed; error?: Error }>({ key });
	const [turn, setTurn] = useState(0);
	const loadingMore = useRef(false);
	const asked = useRef('');
	useEffect(() => {
		// Who pauses has what he wants to look at.
		if (!live && asked.current === `${key} ${turn}`) return undefined;
		asked.current = `${key} ${turn}`;
		const controller = new AbortController();
		let timer: number | undefined;
		const go = async () => {
			if (!document.hidden) {
				try {
					const page = await answer(api.GET('/usage-events', { params: { query }, signal: controller.signal }));
					if (controller.signal.aborted) return;
					setState((before) => ({ key, listed: merged(before.key === key ? before.listed : undefined, page) }));
				} catch (error) {
					if (controller.signal.aborted) return;
					setState((before) => ({ key, listed: before.key === key ? before.listed : undefined, error: error as Error }));
				}
			}
			if (live) timer = window.setTimeout(() => void go(), EVERY);
		};
		void go();
		return () => {
			controller.abort();
			window.clearTimeout(timer);
		};
	}, [key, live, turn]);
	const listed = state.key === key ? state.listed : undefined;
	const more = async () => {
		if (loadingMore.current || !listed?.after || listed.rows.length >= MOST) return;
		loadingMore.current = true;
		try {
			const page = await answer(api.GET('/usage-events', { params: { query: { ...query, after: listed.after } } }));
			setState((before) => {
				if (before.key !== key || !before.listed) return before;
				const known = new Set(before.listed.rows.map((row) => row.id));
				return {
					key,
					listed: { ...before.listed, rows: [...before.listed.rows, ...page.items.filter((row) => !known.has(row.id))], after: page.pagination.after },
				};
			});
		} catch (error) {
			setState((before) => ({ ...before, error: error as Error }));
		} finally {
			loadingMore.current = false;
		}
	};
	return { listed, error: state.key === key ? state.error : undefined, more, again: () => setTurn((number) => number + 1) };
}

function brief(properties: Record<string, unknown>): string {
	return Object.entries(properties)
		.map(([name, value]) => `${name} ${typeof value === 'string' ? value : write(value)}`)
		.join(' · ');
}

export function Events({ place }: { place: Place }) {
	const [live, setLive] = useState(true);
	const [sending, setSending] = useState(false);
	const { listed, error, more, again } = useLive(place, live);
	const opened = place.values.get('open');
	const filtered = FILTERS.some((name) => place.values.get(name));
	return (
		<>
			<header class="top">
				<div>
					<h1>Events</h1>
					<p class="faint">{listed?.total != null ? `${grouped(listed.total)} ${listed.total === '1' ? 'event' : 'events'}` : 'Newest first'}</p>
				</div>
				<div class="actions">
					<button type="button" aria-pressed={live} class={live ? 'live' : ''} onClick={() => setLive(!live)}>
						<i class="dot" aria-hidden="true" />
						{live ? 'Live: pause' : 'Paused: follow'}
					</button>
					<button type="button" class="solid" onClick={() => setSending(true)}>
						Send a test event
					</button>
				</div>
			</header>
			<Filters place={place} />
			{error && <Problem error={error} again={again} />}
			{listed?.gap && <p class="note">More came than the list can show at once: it begins with the newest.</p>}
			{!listed && !error && <Loading what="events" />}
			{listed &&
				listed.rows.length === 0 &&
				(filtered ? (
					<Empty title="No event passes these filters">
						<button type="button" onClick={() => change(Object.fromEntries(FILTERS.map((name) => [name, null])))}>
							Take the filters away
						</button>
					</Empty>
				) : (
					<Empty title="No events yet">
						<p>
							They appear here as soon as they are stored.{' '}
							<button type="button" onClick={() => setSending(true)}>
								Send a test event
							</button>
						</p>
					</Empty>
				))}
			{listed && listed.rows.length > 0 && (
				<Table
					label="Events"
					rows={listed.rows}
					keyOf={(row) => row.id}
					chosen={opened ?? undefined}
					nearEnd={() => void more()}
					tall
					open={(row) => change({ open: row.id })}
					columns={[
						{ title: 'Happened', width: '205px', cell: (row) => <Moment at={row.eventTimestamp} /> },
						{ title: 'Customer', width: 'minmax(110px, 1fr)', cell: (row) => (row.customerAlias === 'VOID' ? <Badge>taken back</Badge> : row.customerAlias) },
						{ title: 'Type', width: 'minmax(120px, 1fr)', cell: (row) => row.eventType },
						{ title: 'Properties', width: 'minmax(160px, 3fr)', cell: (row) => <span class="faint">{brief(row.eventProperties)}</span> },
						{ title: 'Event id', width: 'minmax(120px, 1.2fr)', cell: (row) => <code>{row.customerEventId}</code> },
					]}
				/>
			)}
			{opened && <Opened id={opened} close={() => change({ open: null })} />}
			{sending && (
				<Send
					close={() => setSending(false)}
					sent={(id) => {
						setSending(false);
						again();
						change({ open: id });
					}}
				/>
			)}
		</>
	);
}

function Filters({ place }: { place: Place }) {
	const types = useAsk((signal) => answer(api.GET('/usage-event-types', { signal })), []);
	const [typed, setTyped] = useState<Record<string, string>>({});
	const rested = useRested(typed);
	useEffect(() => {
		if (Object.keys(rested).length === 0) return;
		change(rested);
		// What was typed meanwhile stays.
		setTyped((now) => Object.fromEntries(Object.entries(now).filter(([name, value]) => rested[name] !== value)));
	}, [rested]);
	const text = (name: (typeof FILTERS)[number]) => ({
		value: typed[name] ?? place.values.get(name) ?? '',
		set: (value: string) => setTyped((before) => ({ ...before, [name]: value })),
	});
	return (
		<div class="filters" role="search" aria-label="Filter events">
			<Input label="Customer alias" {...text('customer')} placeholder="any, or one, two" />
			<Input label="Type" {...text('type')} placeholder="any" list="types" />
			<datalist id="types">
				{types.data?.items.map((type) => (
					<option key={type.eventType} value={type.eventType} />
				))}
			</datalist>
			<Input label="Event id" {...text('id')} placeholder="any" />
			<Input label="Happened from" {...text('after')} placeholder="2026-10-01T00:00:00Z" />
			<Input label="Happened before" {...text('before')} placeholder="2026-11-01T00:00:00Z" />
			<label class="check">
				<input
					type="checkbox"
					checked={place.values.get('unmapped') === 'true'}
					onChange={(event) => change({ unmapped: event.currentTarget.checked ? 'true' : null })}
				/>
				Unmapped only
			</label>
		</div>
	);
}

function Opened({ id, close }: { id: string; close: () => void }) {
	const asked = useAsk((signal) => answer(api.GET('/usage-events/{id}', { params: { path: { id } }, signal })), [id]);
	return (
		<Over title="Event" close={close} kind="drawer">
			<Shown asked={asked} what="the event">
				{(event) => (
					<>
						<dl class="facts">
							<dt>Customer</dt>
							<dd>
								<a href={linkTo(['customers', event.customerAlias])}>{event.customerAlias}</a>
							</dd>
							<dt>Type</dt>
							<dd>{event.eventType}</dd>
							<dt>Happened</dt>
							<dd>
								<Moment at={event.eventTimestamp} />
							</dd>
							<dt>Stored</dt>
							<dd>
								<Moment at={storedAt(event.id)} />
							</dd>
							<dt>Event id</dt>
							<dd>
								<code>{event.customerEventId}</code>
							</dd>
							<dt>Version</dt>
							<dd>
								<code>{event.id}</code>
							</dd>
						</dl>
						<Explained event={event} />
						<History event={event} />
						<section>
							<h3>
								JSON <Copy what="the JSON" text={write(event, 2)} />
							</h3>
							<JsonText value={event as unknown as Json} />
						</section>
					</>
				)}
			</Shown>
		</Over>
	);
}

function Explained({ event }: { event: Event }) {
	const asked = useAsk(
		async (signal) => {
			const { items } = await answer(api.GET('/usage-metrics', { params: { query: { eventType: [event.eventType], limit: 100 } }, signal }));
			return Promise.all(
				items.map(async (metric) => ({
					metric,
					explanation:
						metric.aggregationType === 'CUSTOM'
							? null
							: await answer(api.GET('/usage-events/{id}/explain', { params: { path: { id: event.id }, query: { usageMetricId: metric.id } }, signal })),
				})),
			);
		},
		[event.id],
	);
	return (
		<section>
			<h3>Does it count?</h3>
			<Shown asked={asked} what="metrics">
				{(found) =>
					found.length === 0 ? (
						<Empty title={`No metric counts events of the type ${event.eventType}`}>
							<a href={linkTo(['metrics', 'new'], { type: event.eventType })}>Make one</a>
						</Empty>
					) : (
						<ul class="explained">
							{found.map(({ metric, explanation }) => (
								<li key={metric.id}>
									<a href={linkTo(['metrics', metric.id])}>{metric.name}</a>
									{!explanation && <span class="faint">a custom metric: its expression decides</span>}
									{explanation?.counts && (
										<span>
											<Badge tone="good">counts</Badge>{' '}
											{metric.aggregationType !== 'COUNT' && (
												<b class="number">
													{typeof explanation.value === 'string' ? explanation.value : explanation.value?.value} {metric.unit}
												</b>
											)}
											{explanation.grouping != null && <span class="faint"> in {explanation.grouping}</span>}
										</span>
									)}
									{explanation && !explanation.counts && (
										<span>
											<Badge tone={explanation.skipped ? 'warn' : ''}>{explanation.skipped ? 'skipped' : 'does not count'}</Badge>{' '}
											{explanation.reasons.join('; ')}
										</span>
									)}
								</li>
							))}
						</ul>
					)
				}
			</Shown>
		</section>
	);
}

function History({ event }: { event: Event }) {
	const asked = useAsk((signal) => answer(api.GET('/usage-events/{id}/history', { params: { path: { id: event.id } }, signal })), [event.id]);
	return (
		<section>
			<h3>Versions</h3>
			<Shown asked={asked} what="versions">
				{({ items }) => {
					// By the time at which they were stored, the newest first.
					const versions = [...items].sort((a, b) => (a.supersededAt === null ? -1 : b.supersededAt === null ? 1 : a.id < b.id ? 1 : -1));
					if (versions.length === 1) return <p class="faint">This is the only one: it was never corrected.</p>;
					return (
						<ol class="versions">
							{versions.map((version, number) => (
								<li key={version.id}>
									<div>
										<Moment at={storedAt(version.id)} />{' '}
										{version.supersededAt === null ? (
											<Badge tone="good">current</Badge>
										) : (
											<span class="faint">
												until <Moment at={version.supersededAt} />
											</span>
										)}
									</div>
									{versions[number + 1] && (
										<ul class="changes">
											{changes(versions[number + 1], version).map((one) => (
												<li key={one.field}>
													<code>{one.field}</code> <del>{one.old ?? 'nothing'}</del> <ins>{one.new ?? 'nothing'}</ins>
												</li>
											))}
										</ul>
									)}
								</li>
							))}
						</ol>
					);
				}}
			</Shown>
		</section>
	);
}

function Send({ close, sent }: { close: () => void; sent: (id: string) => void }) {
	const [json, setJson] = useState<string | undefined>(undefined);
	const { busy, elsewhere, fault, input, submit } = useForm(
		{ customerAlias: '', eventType: '', eventTimestamp: '', customerEventId: '', eventProperties: '{}' },
		async (form) => {
			let properties: Json;
			setJson(undefined);
			try {
				properties = read(form.eventProperties.trim() === '' ? '{}' : form.eventProperties);
			} catch (caught) {
				setJson(`is no JSON: ${(caught as Error).message}`);
				return;
			}
			const body = {
				// What is missing shall be refused by the API, in its words.
				...(form.customerAlias === '' ? ({} as { customerAlias: string }) : { customerAlias: form.customerAlias }),
				...(form.eventType === '' ? ({} as { eventType: string }) : { eventType: form.eventType }),
				eventTimestamp: form.eventTimestamp === '' ? undefined : form.eventTimestamp,
				customerEventId: form.customerEventId === '' ? undefined : form.customerEventId,
				eventProperties: properties as Record<string, unknown>,
			};
			sent((await answer(api.POST('/usage-events', { body }))).id);
		},
	);
	return (
		<Over title="Send a test event" close={close}>
			<form class="form" onSubmit={submit} noValidate>
				<p class="note">It is stored, and counts. Take it back by sending its event id again with the customer VOID.</p>
				<Input {...input('customerAlias', 'Customer alias')} />
				<Input {...input('eventType', 'Type')} list="types" />
				<Input {...input('eventTimestamp', 'Happened')} placeholder="now" help="With an offset: 2026-10-15T08:44:47+02:00. Empty for now." />
				<Input {...input('customerEventId', 'Event id')} help="The same one again is a correction. Empty for a new one." />
				<TextArea
					{...input('eventProperties', 'Properties')}
					fault={json ?? fault('eventProperties')}
					help="A JSON object. Numbers keep all of their digits."
				/>
				{elsewhere && <Problem error={elsewhere} />}
				<footer>
					<button type="button" onClick={close}>
						Cancel
					</button>
					<button class="solid" disabled={busy}>
						{busy ? 'Sending …' : 'Send'}
					</button>
				</footer>
			</form>
		</Over>
	);
}
