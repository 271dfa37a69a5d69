// customers.tsx: who uses something: values by metric, limits, alerts, aliases; and aliases that are nobody's yet
import { useState } from 'preact/hooks';
import { all, answer, api, exact, metrics, Refusal, type Schemas } from '../api';
import { compare, percent, shown } from '../exact';
import { linkTo, useAsk, useForm, useZone, type Place } from '../hooks';
import { Badge, Bar, Empty, Input, Moment, Problem, Shown, Sure } from '../parts/basics';
import { RangeFields, rangeOf } from '../parts/range';
import { Table } from '../parts/table';
import { period } from '../time';

interface Customer {
	name: string;
	aliases: string[];
	mapped: boolean;
	last: string;
}

function grouped(rows: Schemas['Customer'][]): Customer[] {
	const found = new Map<string, Customer>();
	for (const row of rows) {
		const name = row.customerId ?? row.customerAlias;
		const known = found.get(name);
		if (!known) found.set(name, { name, aliases: [row.customerAlias], mapped: row.customerId !== null, last: row.lastEventTimestamp });
		else {
			known.aliases.push(row.customerAlias);
			known.mapped ||= row.customerId !== null;
			if (Date.parse(row.lastEventTimestamp) > Date.parse(known.last)) known.last = row.lastEventTimestamp;
		}
	}
	return [...found.values()].sort((a, b) => Date.parse(b.last) - Date.parse(a.last));
}

export function Customers({ place }: { place: Place }) {
	return place.rest[0] ? <Customer key={place.rest[0]} name={place.rest[0]} place={place} /> : <List />;
}

function List() {
	const asked = useAsk((signal) => all((after) => answer(api.GET('/customers', { params: { query: { limit: 100, after } }, signal })), 50), []);
	const [text, setText] = useState('');
	return (
		<>
			<header class="top">
				<div>
					<h1>Customers</h1>
					<p class="faint">The names that events came with, and whose they are</p>
				</div>
			</header>
			<Shown asked={asked} what="customers">
				{(rows) => {
					const found = grouped(rows.filter((row) => row.customerAlias !== 'VOID'));
					const seen = found.filter((one) => [one.name, ...one.aliases].some((name) => name.toLowerCase().includes(text.toLowerCase())));
					const unmapped = found.filter((one) => !one.mapped);
					if (found.length === 0)
						return (
							<Empty title="No customer yet">
								<p>
									A customer appears with the first event of an alias. <a href={linkTo(['events'])}>Send one</a>
								</p>
							</Empty>
						);
					return (
						<>
							<div class="filters">
								<Input label="Find" value={text} set={setText} placeholder="a customer or an alias" />
							</div>
							{seen.length === 0 ? (
								<Empty title="Nobody has this in the name">
									<button type="button" onClick={() => setText('')}>
										Show all
									</button>
								</Empty>
							) : (
								<Table
									label="Customers"
									rows={seen}
									keyOf={(row) => row.name}
									tall
									open={(row) => {
										location.hash = linkTo(['customers', row.name]);
									}}
									columns={[
										{ title: 'Customer', width: 'minmax(140px, 2fr)', cell: (row) => <b>{row.name}</b> },
										{ title: 'Aliases of events', width: 'minmax(160px, 3fr)', cell: (row) => <span class="faint">{row.aliases.join(', ')}</span> },
										{ title: 'Last event', width: '215px', cell: (row) => <Moment at={row.last} /> },
										{ title: 'Mapping', width: '110px', cell: (row) => (row.mapped ? <Badge tone="good">mapped</Badge> : <Badge tone="warn">unmapped</Badge>) },
									]}
								/>
							)}
							{unmapped.length > 0 && (
								<Unmapped names={unmapped.map((one) => one.name)} known={found.filter((one) => one.mapped).map((one) => one.name)} again={asked.again} />
							)}
						</>
					);
				}}
			</Shown>
		</>
	);
}

function Unmapped({ names, known, again }: { names: string[]; known: string[]; again: () => void }) {
	const few = names.slice(0, 20);
	return (
		<section class="panel" aria-label="Unmapped aliases">
			<h2>Unmapped aliases</h2>
			<p class="faint">They count under their own names. Mapped to a customer, they count with all of the customer’s other aliases, from the first event on.</p>
			<datalist id="known">
				{known.map((name) => (
					<option key={name} value={name} />
				))}
			</datalist>
			<ul class="lines">
				{few.map((name) => (
					<li key={name}>
						<span class="grow">{name}</span>
						<MapTo alias={name} done={again} />
					</li>
				))}
			</ul>
			{names.length > few.length && <p class="faint">And {names.length - few.length} more.</p>}
		</section>
	);
}

function MapTo({ alias, done }: { alias: string; done: () => void }) {
	const [customer, setCustomer] = useState('');
	const [error, setError] = useState<Error | null>(null);
	const map = async () => {
		setError(null);
		try {
			await answer(api.POST('/customer-aliases', { body: { customerId: customer, value: alias } }));
			done();
		} catch (caught) {
			setError(caught as Error);
		}
	};
	return (
		<form
			class="actions"
			onSubmit={(event) => {
				event.preventDefault();
				void map();
			}}>
			<input
				aria-label={`Customer of ${alias}`}
				list="known"
				placeholder="customer id"
				autocomplete="off"
				value={customer}
				onInput={(event) => setCustomer(event.currentTarget.value)}
			/>
			<button disabled={customer.trim() === ''}>Map</button>
			{error && (
				<span class="fault" role="alert">
					{error instanceof Refusal ? (error.details ?? error.message) : error.message}
				</span>
			)}
		</form>
	);
}

function Customer({ name, place }: { name: string; place: Place }) {
	const zone = useZone();
	const range = rangeOf(place.values, zone, 'This month');
	const at = period(range.from, range.to, zone);
	return (
		<>
			<header class="top">
				<div>
					<p>
						<a href={linkTo(['customers'])}>Customers</a>
					</p>
					<h1>{name}</h1>
				</div>
				<div class="actions">
					<a href={linkTo(['portal'], { customer: name })}>What this customer sees</a>
				</div>
			</header>
			<div class="filters">
				<RangeFields range={range} />
			</div>
			<div class="columns">
				<Values name={name} at={at} from={range.from} to={range.to} />
				<Limits name={name} />
				<Aliases name={name} />
				<Crossed name={name} />
			</div>
		</>
	);
}

function Values({ name, at, from, to }: { name: string; at: { start: string; end: string }; from: string; to: string }) {
	const asked = useAsk(
		async (signal) => {
			const list = (await metrics(signal)).filter((metric) => metric.aggregationType !== 'CUSTOM');
			return Promise.all(
				list.map(async (metric) => ({
					metric,
					value: await answer(
						api.GET('/usage-metrics/{id}/calculate', {
							params: { path: { id: metric.id }, query: { customerAliases: [name], periodStart: at.start, periodEnd: at.end } },
							signal,
						}),
					),
				})),
			);
		},
		[name, at],
	);
	return (
		<section class="panel" aria-label="Usage">
			<h2>Usage</h2>
			<Shown asked={asked} what="usage">
				{(found) =>
					found.length === 0 ? (
						<Empty title="No metric yet">
							<a href={linkTo(['metrics', 'new'])}>Make the first one</a>
						</Empty>
					) : (
						<ul class="lines">
							{found.map(({ metric, value }) => (
								<li key={metric.id}>
									<a class="grow" href={linkTo(['usage'], { metric: metric.id, customers: encodeURIComponent(name), from, to })}>
										{metric.name}
									</a>
									<span>
										<b class="number">{shown(value.value)}</b> {metric.unit} <span class="faint">of {shown(value.eventCount)} events</span>
									</span>
								</li>
							))}
						</ul>
					)
				}
			</Shown>
		</section>
	);
}

export function tone(used: string, limit: string): string {
	if (compare(used, limit) > 0) return 'bad';
	return percent(used, limit) >= 80 ? 'warn' : '';
}

function Limits({ name }: { name: string }) {
	const asked = useAsk(
		async (signal) => {
			const limits = await all((after) => answer(api.GET('/usage-limits', { params: { query: { limit: 100, after } }, signal })));
			const ids = [...new Set(limits.filter((limit) => limit.customer === null || limit.customer === name).map((limit) => limit.usageMetricId))];
			const checks = await Promise.all(
				ids.map((usageMetricId) =>
					answer(
						api.GET('/usage-limits/check', {
							params: { query: { customer: name, usageMetricId, amount: 0 } },
							signal,
						}),
					).catch((error: unknown) => {
						// Of a metric that was deleted, or whose events were purged.
						if (error instanceof Refusal && error.status !== 401) return null;
						throw error;
					}),
				),
			);
			const of = new Map(limits.map((limit) => [limit.id, limit]));
			return checks.flatMap((check) => check?.limits ?? []).map((use) => ({ use, limit: of.get(use.usageLimitId) }));
		},
		[name],
	);
	return (
		<section class="panel" aria-label="Limits">
			<h2>Limits</h2>
			<Shown asked={asked} what="limits">
				{(found) =>
					found.length === 0 ? (
						<Empty title="No limit holds here">
							<a href={linkTo(['limits'], { customer: name })}>Make one</a>
						</Empty>
					) : (
						<ul class="lines">
							{found.map(({ use, limit }) => {
								const used = use.used?.value ?? '0';
								return (
									<li key={use.usageLimitId}>
										<span class="grow">
											{limit?.name ?? use.usageLimitId} {limit?.mode === 'REPORT' && <Badge>only told</Badge>}
										</span>
										<span class="number">
											{shown(use.used ?? exact('0'))} of {shown(use.limit)}, {shown(use.remaining)} left
										</span>
										<span class="wide">
											<Bar percent={percent(used, use.limit.value)} tone={tone(used, use.limit.value)} label={`Used of ${limit?.name ?? 'the limit'}`} />
										</span>
										<span class="faint">
											{use.periodEnd ? (
												<>
													until <Moment at={use.periodEnd} />
												</>
											) : (
												'for all of time'
											)}
										</span>
									</li>
								);
							})}
						</ul>
					)
				}
			</Shown>
		</section>
	);
}

function Aliases({ name }: { name: string }) {
	const asked = useAsk(
		async (signal) =>
			(await all((after) => answer(api.GET('/customer-aliases', { params: { query: { limit: 100, after } }, signal })), 50)).filter(
				(alias) => alias.customerId === name,
			),
		[name],
	);
	const { form, busy, elsewhere, input, run, clear, submit } = useForm({ value: '', label: '' }, async ({ value, label }) => {
		await answer(api.POST('/customer-aliases', { body: { customerId: name, value, label: label === '' ? null : label } }));
		clear();
		asked.again();
	});
	const remove = (id: string) =>
		run(async () => {
			await answer(api.DELETE('/customer-aliases/{id}', { params: { path: { id } } }));
			asked.again();
		});
	return (
		<section class="panel" aria-label="Aliases">
			<h2>Aliases</h2>
			<Shown asked={asked} what="aliases">
				{(found) => (
					<ul class="lines">
						{found.length === 0 && <li class="faint">None: events come under the id itself.</li>}
						{found.map((alias) => (
							<li key={alias.id}>
								<span class="grow">
									{alias.value} {alias.label && <span class="faint">{alias.label}</span>}
								</span>
								<Sure question="It counts here no more." work={() => remove(alias.id)}>
									Delete
								</Sure>
							</li>
						))}
					</ul>
				)}
			</Shown>
			<form class="form" onSubmit={submit} noValidate>
				<div class="two">
					<Input {...input('value', 'Another alias')} />
					<Input {...input('label', 'Label')} help="For people to read" />
				</div>
				{elsewhere && <Problem error={elsewhere} />}
				<footer>
					<button disabled={busy || form.value === ''}>Add the alias</button>
				</footer>
			</form>
		</section>
	);
}

function Crossed({ name }: { name: string }) {
	const asked = useAsk(
		async (signal) => {
			const [{ items }, alerts] = await Promise.all([
				answer(api.GET('/usage-alert-events', { params: { query: { customer: name, limit: 20 } }, signal })),
				all((after) => answer(api.GET('/usage-alerts', { params: { query: { limit: 100, after } }, signal }))),
			]);
			return { items, names: new Map(alerts.map((alert) => [alert.id, alert.name])) };
		},
		[name],
	);
	return (
		<section class="panel" aria-label="Alerts">
			<h2>Alerts</h2>
			<Shown asked={asked} what="alerts">
				{({ items, names }) =>
					items.length === 0 ? (
						<Empty title="No threshold was crossed">
							<a href={linkTo(['limits'])}>Limits and alerts</a>
						</Empty>
					) : (
						<ul class="lines">
							{items.map((event) => (
								<li key={event.id}>
									<span class="grow">
										<Badge tone={event.state === 'TRIGGERED' ? 'bad' : 'good'}>{event.state.toLowerCase()}</Badge>{' '}
										{names.get(event.usageAlertId) ?? 'a deleted alert'}
									</span>
									<span class="number">
										{shown(event.threshold)} crossed with {shown(event.value)}
									</span>
									<Moment at={event.occurredAt} />
								</li>
							))}
						</ul>
					)
				}
			</Shown>
		</section>
	);
}
