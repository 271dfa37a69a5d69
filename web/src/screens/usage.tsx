// usage.tsx: what a metric says over time, who used how much, and why it is not what it was
import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { addressOf, answer, api, authorization, csv, metrics, write, type Schemas } from '../api';
import { compare, grouped, minus, percent, plus, quotient, shown, type Exact } from '../exact';
import { change, decoded, linkTo, useAsk, useZone, type Place } from '../hooks';
import { Badge, Bar, Choice, Copy, Doing, Empty, Input, Loading, Moment, Over, Problem, Select, Shown } from '../parts/basics';
import { RangeFields, rangeOf, type Range } from '../parts/range';
import {
	areFew,
	byValue,
	filtersOf,
	keyOf,
	MOST_GROUPS,
	MOST_PROPERTIES,
	MOST_STEPS,
	readFilters,
	seriesOf,
	valueIn,
	withValue,
	writeFilters,
} from '../groups';
import type { Filters, Group } from '../groups';
import { Table } from '../parts/table';
import { UsageChart, type Named } from '../parts/usage_chart';
import type { Kind } from '../parts/chart';
import { literal, word } from '../quote';
import { before, date, days, instant, nextDay, period, type Period } from '../time';

type Metric = Schemas['UsageMetric'];
type Step = 'minute' | 'hour' | 'day' | 'week' | 'month';

const MOST_LINES = 8;
const USUAL_LINES = 5;

const SECONDS: Record<Step, number> = { minute: 60, hour: 3600, day: 86_400, week: 604_800, month: 2_592_000 };

// How many steps there are, about.
function stepCount(at: Period, step: Step): number {
	return Math.ceil((Date.parse(at.endExclusive) - Date.parse(at.start)) / 1000 / SECONDS[step]) + 1;
}

function listOf(text: string | null): string[] {
	return (text ?? '')
		.split(',')
		.filter((part) => part !== '')
		.map(decoded);
}

function listed(names: string[]): string | null {
	return names.length === 0 ? null : names.map(encodeURIComponent).join(',');
}

function stepOf(text: string | null, range: Range): Step {
	const steps: Step[] = ['minute', 'hour', 'day', 'week', 'month'];
	const length = days(range.from, range.to);
	return steps.find((step) => step === text) ?? (length <= 2 ? 'hour' : length <= 120 ? 'day' : 'month');
}

export function Usage({ place }: { place: Place }) {
	const wanted = place.values.get('metric');
	const found = useAsk((signal) => metrics(signal), [wanted]);
	return (
		<Shown asked={found} what="metrics">
			{(list) => {
				const usable = list.filter((metric) => metric.aggregationType !== 'CUSTOM');
				const metric = wanted ? list.find((one) => one.id === wanted) : (usable[0] ?? list[0]);
				if (metric) return <OfMetric key={metric.id} place={place} list={list} metric={metric} />;
				return (
					<>
						<header class="top">
							<h1>Usage</h1>
						</header>
						{wanted && list.length > 0 ? (
							<Empty title="This metric is not there, or not any more">
								<a href={linkTo(['usage'])}>Show another one</a>
							</Empty>
						) : (
							<Empty title="No metric yet">
								<p>A metric says what is counted of which events.</p>
								<p>
									<a href={linkTo(['metrics', 'new'])}>Make the first one</a>
								</p>
							</Empty>
						)}
					</>
				);
			}}
		</Shown>
	);
}

function OfMetric({ place, list, metric }: { place: Place; list: Metric[]; metric: Metric }) {
	const zone = useZone();
	const range = rangeOf(place.values, zone);
	const at = period(range.from, range.to, zone);
	const step = stepOf(place.values.get('step'), range);
	const comparison = place.values.get('compare') ?? '';
	const adds = metric.aggregationType === 'SUM' || metric.aggregationType === 'COUNT';
	const kind = (place.values.get('kind') ?? (comparison !== '' ? 'bars' : adds ? 'stacked' : 'line')) as Kind;
	const chosen = listOf(place.values.get('customers')).slice(0, MOST_LINES);
	const asOf = comparison === 'asof' ? (place.values.get('asof') ?? '') : '';
	const groupBy = listOf(place.values.get('group')).slice(0, MOST_PROPERTIES);
	const given = readFilters(place.values.get('filters'));
	const filters = writeFilters(given);
	const [copying, setCopying] = useState(false);
	const id = metric.id;

	const top = useAsk(
		(signal) =>
			answer(
				api.GET('/usage-metrics/{id}/by-customer', {
					params: { path: { id }, query: { periodStart: at.start, periodEnd: at.end, limit: 100, filters } },
					signal,
				}),
			),
		[id, at, filters],
	);
	const customers = chosen.length > 0 ? chosen : (top.data?.items ?? []).slice(0, USUAL_LINES).map((one) => one.customer);
	const known = customers.length > 0;

	return (
		<>
			<header class="top">
				<div>
					<h1>Usage</h1>
					<p class="faint">{metric.description ?? `${metric.aggregationType} of ${metric.aggregationProperty ?? 'events'}, type ${metric.eventType}`}</p>
				</div>
				<div class="actions">
					<Choice
						label="Chart"
						value={kind}
						set={(value) => change({ kind: value })}
						options={[
							['bars', 'Bars'],
							['line', 'Line'],
							['stacked', 'Stacked'],
						]}
					/>
					<button type="button" onClick={() => setCopying(true)} disabled={!known}>
						Copy as …
					</button>
				</div>
			</header>
			<div class="filters">
				<Select
					label="Metric"
					value={id}
					set={(value) => change({ metric: value, group: null, filters: null })}
					options={list.map((one): [string, string] => [one.id, one.name])}
				/>
				<RangeFields range={range} />
				<Select label="Step" value={step} set={(value) => change({ step: value })} options={['minute', 'hour', 'day', 'week', 'month']} />
				<Select
					label="Compare with"
					value={comparison}
					set={(value) => change({ compare: value, asof: value === 'asof' ? asOf || `${date(Date.now(), zone)}T00:00` : null })}
					options={[
						['', 'nothing'],
						['before', 'the period before'],
						['asof', 'what was known on …'],
					]}
				/>
				{comparison === 'asof' && <Input label="As of" type="datetime-local" step="1" value={asOf} set={(value) => change({ asof: value })} />}
			</div>
			<Customers chosen={chosen} offered={(top.data?.items ?? []).map((one) => one.customer)} shownNow={customers} />
			{metric.aggregationType !== 'CUSTOM' && <Properties metric={metric} groupBy={groupBy} filters={given} />}
			{top.error && <Problem error={top.error} again={top.again} />}
			{!top.data && !top.error && !known && <Loading what="usage" />}
			{top.data && !known && (filters === undefined ? <Nothing metric={metric} /> : <NothingPasses />)}
			{known && (
				<Lines
					key={comparison}
					metric={metric}
					customers={customers}
					range={range}
					at={at}
					step={step}
					kind={kind}
					comparison={comparison}
					asOf={asOf}
					groupBy={groupBy}
					filters={given}
				/>
			)}
			{top.data && top.data.items.length > 0 && <ByCustomer found={top.data} metric={metric} chosen={chosen} />}
			{copying && (
				<CopyAs
					metric={metric}
					customers={customers}
					at={at}
					step={step}
					zone={zone}
					asOf={asOf}
					groupBy={groupBy}
					filters={filters}
					close={() => setCopying(false)}
				/>
			)}
		</>
	);
}

function Customers({ chosen, offered, shownNow }: { chosen: string[]; offered: string[]; shownNow: string[] }) {
	const [text, setText] = useState('');
	const add = (name: string) => {
		const trimmed = name.trim();
		if (trimmed !== '' && !chosen.includes(trimmed)) change({ customers: listed([...chosen, trimmed].slice(-MOST_LINES)) });
		setText('');
	};
	return (
		<div class="chips">
			<span class="label">Customers</span>
			{chosen.map((name) => (
				<span key={name} class="chip">
					{name}
					<button type="button" aria-label={`Without ${name}`} onClick={() => change({ customers: listed(chosen.filter((one) => one !== name)) })}>
						✕
					</button>
				</span>
			))}
			{chosen.length === 0 && shownNow.length > 0 && (
				<span class="faint">{shownNow.length === 1 ? 'the only one' : `the ${shownNow.length} with the most`}</span>
			)}
			<form
				onSubmit={(event) => {
					event.preventDefault();
					add(text);
				}}>
				<input
					aria-label="Add a customer"
					list="customers"
					placeholder="Add a customer"
					autocomplete="off"
					value={text}
					onInput={(event) => {
						const value = event.currentTarget.value;
						if (offered.includes(value)) add(value);
						else setText(value);
					}}
				/>
				<datalist id="customers">
					{offered
						.filter((name) => !chosen.includes(name))
						.map((name) => (
							<option key={name} value={name} />
						))}
				</datalist>
			</form>
		</div>
	);
}

// By which properties it is split, and which values of them count; properties are offered that events of the type have.
function Properties({ metric, groupBy, filters }: { metric: Metric; groupBy: string[]; filters: Filters }) {
	const [group, setGroup] = useState('');
	const [property, setProperty] = useState('');
	const [value, setValue] = useState('');
	const eventType = metric.eventType;
	const found = useAsk((signal) => answer(api.GET('/usage-event-types/{eventType}/properties', { params: { path: { eventType } }, signal })), [eventType]);
	const names = found.data?.items ?? [];
	const examples = names.find((one) => one.name === property)?.examples ?? [];
	const split = (name: string) => {
		if (name !== '' && !groupBy.includes(name)) change({ group: listed([...groupBy, name]) });
		setGroup('');
	};
	return (
		<div class="chips">
			<span class="label">Group by</span>
			{groupBy.map((name) => (
				<Chip key={name} text={name} without={name} remove={() => change({ group: listed(groupBy.filter((one) => one !== name)) })} />
			))}
			{groupBy.length < MOST_PROPERTIES && (
				<form
					onSubmit={(event) => {
						event.preventDefault();
						split(group);
					}}>
					<input
						aria-label="Group by a property"
						list="group-properties"
						placeholder="A property"
						autocomplete="off"
						value={group}
						onInput={(event) => {
							const text = event.currentTarget.value;
							// What is picked from the list comes without a key.
							if (!('inputType' in event && event.inputType === 'insertText') && names.some((one) => one.name === text)) split(text);
							else setGroup(text);
						}}
					/>
				</form>
			)}
			<datalist id="group-properties">
				{names.map((one) => (
					<option key={one.name} value={one.name} />
				))}
			</datalist>
			<span class="label">Only</span>
			{Object.entries(filters).map(([name, values]) => (
				<Chip
					key={name}
					text={`${name} is ${values.map((one) => one ?? 'missing').join(' or ')}`}
					without={`the filter of ${name}`}
					remove={() => change({ filters: writeFilters({ ...filters, [name]: [] }) ?? null })}
				/>
			))}
			<form
				onSubmit={(event) => {
					event.preventDefault();
					if (property === '') return;
					change({ filters: writeFilters(withValue(filters, property, value)) ?? null });
					setValue('');
				}}>
				<input
					aria-label="Property of a filter"
					list="group-properties"
					placeholder="A property"
					autocomplete="off"
					value={property}
					onInput={(event) => setProperty(event.currentTarget.value)}
				/>
				<input
					aria-label="Value of a filter"
					list="filter-values"
					placeholder="is"
					autocomplete="off"
					value={value}
					onInput={(event) => setValue(event.currentTarget.value)}
				/>
				<datalist id="filter-values">
					{examples.map((one) => {
						const text = typeof one === 'string' ? one : write(one);
						return <option key={text} value={text} />;
					})}
				</datalist>
				<button class="small" disabled={property === ''}>
					Add
				</button>
			</form>
		</div>
	);
}

function Chip({ text, without, remove }: { text: string; without: string; remove: () => void }) {
	return (
		<span class="chip">
			{text}
			<button type="button" aria-label={`Without ${without}`} onClick={remove}>
				✕
			</button>
		</span>
	);
}

function NothingPasses() {
	return (
		<Empty title="Nothing in these days passes the filters">
			<button type="button" class="solid" onClick={() => change({ filters: null })}>
				Take the filters away
			</button>
		</Empty>
	);
}

// The demo's events are of October; so is many an import.
function Nothing({ metric }: { metric: Metric }) {
	const zone = useZone();
	const types = useAsk((signal) => answer(api.GET('/usage-event-types', { signal })), []);
	const last = types.data?.items.find((type) => type.eventType === metric.eventType)?.lastEventTimestamp;
	const show = () => {
		const month = date(Date.parse(last ?? ''), zone).slice(0, 7);
		change({ range: null, from: `${month}-01`, to: nextDay(`${nextDay(`${month}-01`, 31).slice(0, 7)}-01`, -1) });
	};
	return (
		<Empty title="Nothing counts in these days">
			{last ? (
				<>
					<p>
						The newest event of the type {metric.eventType} is of <Moment at={last} />.
					</p>
					<button type="button" class="solid" onClick={show}>
						Show its month
					</button>
				</>
			) : (
				<p>
					There is no event of the type {metric.eventType} yet. <a href={linkTo(['events'])}>Send one</a>
				</p>
			)}
		</Empty>
	);
}

interface LinesProperties {
	metric: Metric;
	customers: string[];
	range: Range;
	at: Period;
	step: Step;
	kind: Kind;
	comparison: string;
	asOf: string;
	groupBy: string[];
	filters: Filters;
}

function Lines({ metric, customers, range, at, step, kind, comparison, asOf, groupBy, filters }: LinesProperties) {
	const zone = useZone();
	const id = metric.id;
	const then = comparison === 'before' ? period(...before(range.from, range.to), zone) : at;
	const since = comparison === 'asof' ? instant(asOf, zone) : undefined;
	const compares = comparison === 'before' || since !== undefined;
	const adds = metric.aggregationType === 'SUM' || metric.aggregationType === 'COUNT';
	const asked = useAsk(
		async (signal) => {
			const passing = writeFilters(filters);
			const groups = groupBy.length > 0 ? groupBy : undefined;
			const series = (aliases: string[], of: Period, known?: string, more?: { groupBy?: string[]; filters?: string }) =>
				answer(
					api.GET('/usage-metrics/{id}/series', {
						params: {
							path: { id },
							query: { customerAliases: aliases, periodStart: of.start, periodEnd: of.end, step, timezone: zone, asOf: known, filters: passing, ...more },
						},
						signal,
					}),
				);
			const value = (of: Period, known?: string) =>
				answer(
					api.GET('/usage-metrics/{id}/calculate', {
						params: {
							path: { id },
							query: { customerAliases: customers, periodStart: of.start, periodEnd: of.end, asOf: known, filters: passing, groupBy: groups },
						},
						signal,
					}),
				);
			const apart = () =>
				Promise.all([
					series(customers, at).then((found): Named => ({ name: 'Now', steps: found.items })),
					series(customers, then, since).then((found): Named => ({
						name: comparison === 'before' ? 'The period before' : `As of ${asOf.replace('T', ' ')}`,
						steps: found.items,
						dashed: true,
					})),
				]);
			const [now, old, lines] = await Promise.all([
				value(at),
				compares ? value(then, since) : undefined,
				compares
					? apart()
					: groups
						? undefined
						: Promise.all(customers.map((name) => series([name], at).then((found): Named => ({ name, steps: found.items })))),
			]);
			if (lines) return { now, old, lines, note: null };
			return { now, old, ...(await inGroups(now.groupedValues ?? [])) };

			// The groups with the most.  Where there are too many for each step to have them all, the others are not asked for.
			async function inGroups(found: Group[]): Promise<{ lines: Named[]; note: string | null }> {
				const count = stepCount(at, step);
				const most = byValue(found).slice(0, MOST_GROUPS);
				const few = areFew(found.length, count, Number(now.eventCount.value));
				if (most.length === 0 || count > MOST_STEPS) {
					const note = most.length === 0 ? null : 'Groups are drawn in at most 2,000 steps: choose a longer step.';
					return { lines: [{ name: 'all', steps: (await series(customers, at)).items }], note };
				}
				const { items } = await series(customers, at, undefined, {
					groupBy: groups,
					filters: few ? passing : writeFilters({ ...filters, ...filtersOf(most) }),
				});
				const rest = found.length > most.length;
				const what = `The ${most.length} groups with the most, of ${grouped(String(found.length))}`;
				const note = !rest
					? null
					: adds && few
						? `${what}, and all others together.`
						: `${what}. ${adds ? 'The others are too many to be drawn' : `Of ${metric.aggregationType} the others have no sum`}: the table has them.`;
				return { lines: seriesOf(items, most, adds, rest && few), note };
			}
		},
		[id, customers, at, then, step, comparison, since, zone, groupBy, filters],
	);
	return (
		<section class="panel" aria-label="Chart">
			<Shown asked={asked} what="the chart">
				{({ now, old, lines, note }) => (
					<>
						<div class="top">
							<div>
								<span class="label">{customers.length === 1 ? customers[0] : `${customers.length} customers together`}</span>
								<div class="big">
									<span class="number" data-value={now.value?.value}>
										{shown(now.value)}
									</span>{' '}
									{metric.unit && <small class="faint">{metric.unit}</small>}
								</div>
								<span class="faint">
									{grouped(now.eventCount.value)} events
									{now.skippedEventCount.value !== '0' && `, ${grouped(now.skippedEventCount.value)} skipped: without a usable ${metric.aggregationProperty}`}
								</span>
							</div>
							{old && <Difference now={now.value} old={old.value} unit={metric.unit} title={comparison === 'before' ? 'The period before' : 'Known then'} />}
						</div>
						<Drawn metric={metric} lines={lines} kind={compares && kind === 'stacked' ? 'bars' : kind} />
						{note && <p class="faint">{note}</p>}
					</>
				)}
			</Shown>
			{asked.data?.now.groupedValues && (
				<ByGroup
					groups={asked.data.now.groupedValues}
					properties={groupBy.length > 0 ? groupBy : [metric.groupingProperty ?? '']}
					unit={metric.unit}
					only={groupBy.length > 0 ? (group) => change({ filters: writeFilters({ ...filters, ...filtersOf([group]) }) ?? null }) : undefined}
				/>
			)}
			{since !== undefined && writeFilters(filters) !== undefined && (
				<p class="faint">The events below are of all that the metric counts: filters are not asked of them.</p>
			)}
			{since !== undefined && <Why metric={metric} customers={customers} at={at} since={since} />}
		</section>
	);
}

// The chart is drawn anew only where its numbers are.
function Drawn({ metric, lines, kind }: { metric: Metric; lines: Named[]; kind: Kind }) {
	return useMemo(() => <UsageChart label={`${metric.name} over time`} named={lines} kind={kind} unit={metric.unit} />, [lines, kind, metric]);
}

function signed(text: string): string {
	return compare(text, '0') > 0 ? `+${grouped(text)}` : grouped(text);
}

function Difference({ now, old, unit, title }: { now: Exact | null; old: Exact | null; unit: string | null; title: string }) {
	const difference = now && old ? minus(now.value, old.value) : null;
	const share = difference !== null && old && compare(old.value, '0') !== 0 ? `${signed(quotient(`${difference}e2`, old.value, 1))} %` : null;
	return (
		<dl class="facts">
			<dt>{title}</dt>
			<dd class="number">
				{shown(old)} {unit}
			</dd>
			<dt>Difference</dt>
			<dd class="number" data-difference={difference ?? ''}>
				{difference === null ? '–' : <b>{signed(difference)}</b>} {unit} {share && <Badge>{share}</Badge>}
			</dd>
		</dl>
	);
}

// The events that made the difference between then and now.
function Why({ metric, customers, at, since }: { metric: Metric; customers: string[]; at: Period; since: string }) {
	const asked = useAsk(
		(signal) =>
			answer(
				api.GET('/usage-metrics/{id}/changes', {
					params: { path: { id: metric.id }, query: { customerAliases: customers, periodStart: at.start, periodEnd: at.end, since, limit: 100 } },
					signal,
				}),
			),
		[metric.id, customers, at, since],
	);
	return (
		<section>
			<h2>What made the difference</h2>
			<Shown asked={asked} what="changes">
				{({ items, pagination }) =>
					items.length === 0 ? (
						<p class="faint">No event of these days has come, gone or been corrected since.</p>
					) : (
						<>
							<Table
								label="What made the difference"
								rows={items}
								keyOf={(row) => row.customerEventId}
								open={(row) => {
									location.hash = linkTo(['events'], { id: row.customerEventId, open: row.newEventId });
								}}
								columns={[
									{ title: 'Changed', width: '215px', cell: (row) => <Moment at={row.changedAt} /> },
									{
										title: 'What',
										width: '110px',
										cell: (row) => <Badge tone={row.change === 'added' ? 'good' : row.change === 'removed' ? 'bad' : 'warn'}>{row.change}</Badge>,
									},
									{ title: 'Event id', width: 'minmax(160px, 2fr)', cell: (row) => <code>{row.customerEventId}</code> },
									{ title: 'Then', width: 'minmax(90px, 1fr)', right: true, cell: (row) => shown(row.oldValue) },
									{ title: 'Now', width: 'minmax(90px, 1fr)', right: true, cell: (row) => shown(row.newValue) },
									{
										title: 'Difference',
										width: 'minmax(90px, 1fr)',
										right: true,
										cell: (row) => signed(minus(row.newValue?.value ?? '0', row.oldValue?.value ?? '0')),
									},
								]}
							/>
							{pagination.after !== null && (
								<p class="faint">
									These are the first {items.length}. All of them: <code>usage_metric_changes()</code>, or pages of <code>/changes</code>.
								</p>
							)}
						</>
					)
				}
			</Shown>
		</section>
	);
}

// The table draws what is seen, so a hundred thousand groups are no more work than ten.
function ByGroup({ groups, properties, unit, only }: { groups: Group[]; properties: string[]; unit: string | null; only?: (group: Group) => void }) {
	const sorted = useMemo(() => byValue(groups), [groups]);
	return (
		<section>
			<h2>By {properties.join(', ')}</h2>
			<Table
				label="By group"
				rows={sorted}
				keyOf={keyOf}
				open={only}
				columns={[
					...properties.map((property) => ({
						title: property,
						width: 'minmax(140px, 2fr)',
						cell: (row: Group) => valueIn(row, property) ?? <span class="faint">without one</span>,
					})),
					{ title: 'Events', width: 'minmax(80px, 1fr)', right: true, cell: (row: Group) => grouped(row.eventCount.value) },
					{ title: `Value${unit ? ` (${unit})` : ''}`, width: 'minmax(120px, 1fr)', right: true, cell: (row: Group) => shown(row.value) },
				]}
			/>
			<p class="faint">
				{grouped(String(groups.length))} {groups.length === 1 ? 'group' : 'groups'}, the most first.{only && ' A click shows one alone.'}
			</p>
		</section>
	);
}

function ByCustomer({ found, metric, chosen }: { found: Schemas['UsageMetricByCustomer']; metric: Metric; chosen: string[] }) {
	const most = found.items.reduce((high, one) => (one.value && compare(one.value.value, high) > 0 ? one.value.value : high), '0');
	const adds = metric.aggregationType === 'SUM' || metric.aggregationType === 'COUNT';
	const whole = adds && found.pagination.after === null ? found.items.reduce((sum, one) => plus(sum, one.value?.value ?? '0'), '0') : null;
	return (
		<section class="panel" aria-label="By customer">
			<h2>By customer</h2>
			<Table
				label="By customer"
				rows={found.items}
				keyOf={(row) => row.customer}
				open={(row) =>
					change({
						customers: listed(chosen.includes(row.customer) ? chosen.filter((one) => one !== row.customer) : [...chosen, row.customer].slice(-MOST_LINES)),
					})
				}
				columns={[
					{
						title: 'Customer',
						width: 'minmax(120px, 2fr)',
						cell: (row) => (
							<>
								{chosen.includes(row.customer) && '✓ '}
								{row.customer}
							</>
						),
					},
					{
						title: 'Share',
						width: 'minmax(100px, 2fr)',
						cell: (row) => <Bar percent={percent(row.value?.value ?? '0', most)} label={`Share of ${row.customer}`} />,
					},
					{ title: 'Events', width: 'minmax(80px, 1fr)', right: true, cell: (row) => grouped(row.eventCount.value) },
					{ title: `Value${metric.unit ? ` (${metric.unit})` : ''}`, width: 'minmax(120px, 1fr)', right: true, cell: (row) => <b>{shown(row.value)}</b> },
				]}
			/>
			<p class="faint">
				{whole !== null
					? `All customers together: ${grouped(whole)}${metric.unit ? ` ${metric.unit}` : ''}. `
					: found.pagination.after !== null
						? 'The first 100. '
						: ''}
				A click puts a customer into the chart, or takes it out.
			</p>
		</section>
	);
}

function CopyAs({
	metric,
	customers,
	at,
	step,
	zone,
	asOf,
	groupBy,
	filters,
	close,
}: {
	metric: Metric;
	customers: string[];
	at: Period;
	step: Step;
	zone: string;
	asOf: string;
	groupBy: string[];
	filters: string | undefined;
	close: () => void;
}) {
	const [as, setAs] = useState('curl');
	const [error, setError] = useState<Error | null>(null);
	const known = instant(asOf, zone);
	const path = `/usage-metrics/${metric.id}/series`;
	const query = {
		customerAliases: customers,
		periodStart: at.start,
		periodEnd: at.end,
		step,
		timezone: zone,
		asOf: known,
		groupBy: groupBy.length > 0 ? groupBy : undefined,
		filters,
	};
	const asked = useAsk(() => (as === 'csv' ? csv(path, query) : Promise.resolve('')), [as]);
	const named = [
		known && `,\n    as_of => ${literal(known)}`,
		filters && `,\n    filters => ${literal(filters)}`,
		groupBy.length > 0 && `,\n    group_by => ARRAY[${groupBy.map(literal).join(', ')}]`,
	].filter((part) => part);
	const text =
		as === 'curl'
			? `curl -u "$CLIENT_ID:$CLIENT_SECRET" ${word(addressOf(path, query))}`
			: as === 'sql'
				? `SELECT * FROM usage_metric_series(\n    ${literal(metric.id)},\n    ARRAY[${customers.map(literal).join(', ')}],\n    tstzrange(${literal(at.start)}, ${literal(at.endExclusive)}),\n    ${literal(step)}, ${literal(zone)}${named.join('')});`
				: (asked.data ?? '');
	const save = async () => {
		try {
			const file = URL.createObjectURL(new Blob([await csv(path, query)], { type: 'text/csv' }));
			const link = document.createElement('a');
			link.href = file;
			link.download = 'usage.csv';
			link.click();
			URL.revokeObjectURL(file);
		} catch (caught) {
			setError(caught as Error);
		}
	};
	const blocks: ComponentChildren =
		as === 'csv' && !asked.data ? (
			<Loading what="the CSV" />
		) : (
			<pre class="json" tabIndex={0}>
				{text}
			</pre>
		);
	return (
		<Over title="Copy as" close={close}>
			<div class="top">
				<Choice
					label="Form"
					value={as}
					set={setAs}
					options={[
						['curl', 'curl'],
						['sql', 'SQL'],
						['csv', 'CSV'],
					]}
				/>
				<Copy text={text} what={as} />
			</div>
			{asked.error ? <Problem error={asked.error} /> : blocks}
			{as === 'curl' && <p class="faint">The key is not in it: {authorization() === '' ? '' : 'set CLIENT_ID and CLIENT_SECRET first.'}</p>}
			{as === 'csv' && (
				<div class="footer">
					<Doing work={save}>Save as a file</Doing>
				</div>
			)}
			{error && <Problem error={error} />}
		</Over>
	);
}
