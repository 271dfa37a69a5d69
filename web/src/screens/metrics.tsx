// metrics.tsx: what is counted of which events; a new one shows what it would say before it is made
import { useState } from 'preact/hooks';
import { answer, api, exact, metrics, read, write, type Json, type Schemas } from '../api';
import { grouped, isNumber } from '../exact';
import { linkTo, useAsk, useForm, useRested, type Place } from '../hooks';
import { Badge, Empty, Input, Moment, Problem, Select, Shown, Sure } from '../parts/basics';
import { Table } from '../parts/table';
import { reason, value, type Draft } from '../preview';
import { changesOfMetric } from '../versions';

type Metric = Schemas['UsageMetric'];

const AGGREGATIONS = ['COUNT', 'SUM', 'UNIQUE', 'MAX', 'MIN', 'AVERAGE', 'LATEST', 'PERCENTILE'] as const;

export function Metrics({ place }: { place: Place }) {
	const [id] = place.rest;
	if (id === 'new') return <Form key="new" type={place.values.get('type') ?? ''} />;
	if (id) return <One key={id} id={id} />;
	return <List />;
}

function what(metric: Metric): string {
	if (metric.aggregationType === 'CUSTOM') return metric.expression ?? 'CUSTOM';
	const property = metric.aggregationProperty === null ? '' : ` of ${metric.aggregationProperty}`;
	return `${metric.aggregationType}${property}${metric.groupingProperty === null ? '' : ` by ${metric.groupingProperty}`}`;
}

function List() {
	const asked = useAsk((signal) => metrics(signal), []);
	return (
		<>
			<header class="top">
				<div>
					<h1>Metrics</h1>
					<p class="faint">What is counted, of which events</p>
				</div>
				<div class="actions">
					<a class="button solid" href={linkTo(['metrics', 'new'])}>
						New metric
					</a>
				</div>
			</header>
			<Shown asked={asked} what="metrics">
				{(list) =>
					list.length === 0 ? (
						<Empty title="No metric yet">
							<p>A metric says what is counted of which events. It counts those that are there as well.</p>
							<p>
								<a href={linkTo(['metrics', 'new'])}>Make the first one</a>
							</p>
						</Empty>
					) : (
						<Table
							label="Metrics"
							tall
							rows={list}
							keyOf={(row) => row.id}
							open={(row) => {
								location.hash = linkTo(['metrics', row.id]);
							}}
							columns={[
								{ title: 'Name', width: 'minmax(140px, 2fr)', cell: (row) => <b>{row.name}</b> },
								{ title: 'What', width: 'minmax(160px, 2fr)', cell: (row) => what(row) },
								{ title: 'Event type', width: 'minmax(120px, 1fr)', cell: (row) => row.eventType },
								{
									title: 'Filters',
									width: 'minmax(120px, 2fr)',
									cell: (row) => <span class="faint">{Object.keys(row.propertyFilters).length === 0 ? '' : write(row.propertyFilters)}</span>,
								},
								{ title: 'Unit', width: '90px', cell: (row) => row.unit ?? '' },
								{ title: 'Made', width: '215px', cell: (row) => <Moment at={row.createdAt} /> },
							]}
						/>
					)
				}
			</Shown>
		</>
	);
}

function One({ id }: { id: string }) {
	const asked = useAsk((signal) => answer(api.GET('/usage-metrics/{id}', { params: { path: { id } }, signal })), [id]);
	return (
		<Shown asked={asked} what="the metric">
			{(metric) =>
				metric.aggregationType === 'CUSTOM' ? (
					<>
						<header class="top">
							<div>
								<p>
									<a href={linkTo(['metrics'])}>Metrics</a>
								</p>
								<h1>{metric.name}</h1>
							</div>
						</header>
						<p>Its value is an expression, which the administrator changes with SQL:</p>
						<pre class="json">{metric.expression}</pre>
						<Versions id={id} />
					</>
				) : (
					<Form key={metric.createdAt + metric.name} metric={metric} type={metric.eventType} />
				)
			}
		</Shown>
	);
}

interface Filter {
	name: string;
	values: string;
	negated: boolean;
}

// Values are written as people do: eu, us, 200. What is JSON is taken as such.
function valuesOf(text: string): Json[] {
	return text
		.split(',')
		.map((part) => part.trim())
		.filter((part) => part !== '')
		.map((part) => {
			try {
				const found = read(part);
				return typeof found === 'object' && found !== null && !isNumber(part) ? part : found;
			} catch {
				return part;
			}
		});
}

function textOf(values: Json[]): string {
	return values
		.map((one) => (typeof one === 'string' && !/[",]/.test(one) && !isNumber(one) && !['null', 'true', 'false'].includes(one) ? one : write(one)))
		.join(', ');
}

function filtersOf(metric: Metric | undefined): Filter[] {
	return Object.entries(metric?.propertyFilters ?? {}).map(([name, values]) => ({
		name,
		values: textOf(values as Json[]),
		negated: !!metric?.propertiesToNegate?.includes(name),
	}));
}

function Form({ metric, type }: { metric?: Metric; type: string }) {
	const { form, busy, elsewhere, input, run, submit } = useForm(
		{
			name: metric?.name ?? '',
			description: metric?.description ?? '',
			eventType: type,
			aggregationType: metric?.aggregationType ?? 'COUNT',
			aggregationProperty: metric?.aggregationProperty ?? '',
			percentile: metric?.percentile?.value ?? '0.95',
			groupingProperty: metric?.groupingProperty ?? '',
			unit: metric?.unit ?? '',
			caseSensitive: metric?.caseSensitive === false ? 'no' : 'yes',
		},
		async () => {
			const saved = metric
				? await answer(api.PUT('/usage-metrics/{id}', { params: { path: { id: metric.id } }, body }))
				: await answer(api.POST('/usage-metrics', { body }));
			location.hash = linkTo(['usage'], { metric: saved.id });
		},
	);
	const [filters, setFilters] = useState<Filter[]>(filtersOf(metric));
	const types = useAsk((signal) => answer(api.GET('/usage-event-types', { signal })), []);
	const eventType = useRested(form.eventType);
	const properties = useAsk(
		(signal) =>
			eventType.trim() === ''
				? Promise.resolve(null)
				: answer(api.GET('/usage-event-types/{eventType}/properties', { params: { path: { eventType } }, signal })),
		[eventType],
	);
	const counts = form.aggregationType === 'COUNT';
	const named = filters.filter((filter) => filter.name.trim() !== '');
	const propertyFilters = Object.fromEntries(named.map((filter) => [filter.name, valuesOf(filter.values)]));
	const propertiesToNegate = named.filter((filter) => filter.negated).map((filter) => filter.name);
	const body: Schemas['NewUsageMetric'] = {
		name: form.name,
		description: form.description === '' ? null : form.description,
		metricType: form.groupingProperty === '' ? 'SIMPLE' : 'GROUPED',
		eventType: form.eventType,
		aggregationType: form.aggregationType as (typeof AGGREGATIONS)[number],
		aggregationProperty: counts ? null : form.aggregationProperty === '' ? null : form.aggregationProperty,
		percentile: form.aggregationType === 'PERCENTILE' && isNumber(form.percentile) ? exact(form.percentile) : undefined,
		groupingProperty: form.groupingProperty === '' ? null : form.groupingProperty,
		unit: form.unit === '' ? null : form.unit,
		propertyFilters: propertyFilters as Schemas['NewUsageMetric']['propertyFilters'],
		propertiesToNegate,
		caseSensitive: form.caseSensitive === 'yes',
	};
	const draft: Draft = { ...form, propertyFilters, propertiesToNegate, caseSensitive: form.caseSensitive === 'yes' };
	const remove = () =>
		run(async () => {
			await answer(api.DELETE('/usage-metrics/{id}', { params: { path: { id: metric?.id ?? '' } } }));
			location.hash = linkTo(['metrics']);
		});
	return (
		<>
			<header class="top">
				<div>
					<p>
						<a href={linkTo(['metrics'])}>Metrics</a>
					</p>
					<h1>{metric ? metric.name : 'New metric'}</h1>
				</div>
				{metric && (
					<div class="actions">
						<a href={linkTo(['usage'], { metric: metric.id })}>Its usage</a>
					</div>
				)}
			</header>
			<div class="columns">
				<form class="panel" onSubmit={submit} noValidate>
					<Input {...input('name', 'Name')} />
					<Input {...input('description', 'Description')} />
					<Input {...input('eventType', 'Event type')} list="types" />
					<datalist id="types">
						{types.data?.items.map((one) => (
							<option key={one.eventType} value={one.eventType} />
						))}
					</datalist>
					<datalist id="properties">
						{properties.data?.items.map((one) => (
							<option key={one.name} value={one.name} />
						))}
					</datalist>
					<div class="two">
						<Select {...input('aggregationType', 'Aggregation')} options={[...AGGREGATIONS]} />
						{!counts && <Input {...input('aggregationProperty', 'Property')} list="properties" />}
						{form.aggregationType === 'PERCENTILE' && <Input {...input('percentile', 'Percentile')} help="0.5 is the median" />}
					</div>
					<div class="two">
						<Input {...input('unit', 'Unit')} />
						<Input {...input('groupingProperty', 'Split by')} list="properties" help="A property; empty for one value" />
					</div>
					<fieldset>
						<legend>Filters</legend>
						{filters.map((filter, number) => {
							const set = (part: Partial<Filter>) => setFilters(filters.map((one, index) => (index === number ? { ...one, ...part } : one)));
							return (
								<div class="filter" key={number}>
									<input
										aria-label={`Property of filter ${number + 1}`}
										list="properties"
										placeholder="property"
										value={filter.name}
										onInput={(event) => set({ name: event.currentTarget.value })}
									/>
									<select
										aria-label={`Kind of filter ${number + 1}`}
										value={filter.negated ? 'not' : 'is'}
										onChange={(event) => set({ negated: event.currentTarget.value === 'not' })}>
										<option value="is" selected={!filter.negated}>
											is one of
										</option>
										<option value="not" selected={filter.negated}>
											is none of
										</option>
									</select>
									<input
										aria-label={`Values of filter ${number + 1}`}
										placeholder="eu, us"
										value={filter.values}
										onInput={(event) => set({ values: event.currentTarget.value })}
									/>
									<button
										type="button"
										class="quiet"
										aria-label={`Without filter ${number + 1}`}
										onClick={() => setFilters(filters.filter((_, index) => index !== number))}>
										✕
									</button>
								</div>
							);
						})}
						<button type="button" class="small" onClick={() => setFilters([...filters, { name: '', values: '', negated: false }])}>
							Add a filter
						</button>
						{filters.length > 0 && (
							<Select
								{...input('caseSensitive', 'Upper and lower case')}
								options={[
									['yes', 'are different'],
									['no', 'are the same'],
								]}
							/>
						)}
					</fieldset>
					{elsewhere && <Problem error={elsewhere} />}
					<div class="footer">
						{metric && (
							<Sure question="It keeps its past, and counts no more." work={remove}>
								Delete
							</Sure>
						)}
						<button class="solid" disabled={busy}>
							{busy ? 'Saving …' : metric ? 'Save' : 'Make the metric'}
						</button>
					</div>
					{metric && <p class="faint">What it said before the change can still be asked for, as of a moment before it.</p>}
				</form>
				<Preview eventType={eventType} draft={draft} unit={form.unit} />
			</div>
			{metric && <Versions id={metric.id} />}
		</>
	);
}

const MOST_VERSIONS = 100;

// What it said before, which is what answers as of a moment go by.
function Versions({ id }: { id: string }) {
	const asked = useAsk(
		(signal) => answer(api.GET('/usage-metrics/{id}/versions', { params: { path: { id }, query: { limit: MOST_VERSIONS } }, signal })),
		[id],
	);
	return (
		<section class="panel" aria-label="Versions">
			<h2>Versions</h2>
			<Shown asked={asked} what="versions">
				{({ items, pagination }) => (
					<>
						<ol class="versions" reversed>
							{items.map((version, number) => (
								<li key={version.versionId}>
									<div>
										<Moment at={version.inForceSince} />{' '}
										{version.deletedAt !== null ? <Badge tone="bad">deleted</Badge> : version.supersededAt === null && <Badge tone="good">in force</Badge>}{' '}
										{version.supersededAt !== null && (
											<span class="faint">
												until <Moment at={version.supersededAt} />
											</span>
										)}
									</div>
									{items[number + 1] ? (
										<ul class="changes">
											{changesOfMetric(items[number + 1], version).map((one) => (
												<li key={one.field}>
													<code>{one.field}</code> <del>{one.old ?? 'nothing'}</del> <ins>{one.new ?? 'nothing'}</ins>
												</li>
											))}
										</ul>
									) : (
										pagination.after === null && <p class="faint">As it was made: {what(version)}</p>
									)}
								</li>
							))}
						</ol>
						{pagination.after !== null && <p class="faint">The newest {items.length}. All of them: list_usage_metric_versions(), or its pages over HTTP.</p>}
					</>
				)}
			</Shown>
		</section>
	);
}

function Preview({ eventType, draft, unit }: { eventType: string; draft: Draft; unit: string }) {
	const asked = useAsk(
		(signal) => (eventType.trim() === '' ? Promise.resolve(null) : answer(api.GET('/usage-events', { params: { query: { eventType, limit: 100 } }, signal }))),
		[eventType],
	);
	return (
		<section class="panel" aria-label="Preview">
			<h2>Preview</h2>
			<Shown asked={asked} what="events">
				{(page) => {
					if (!page) return <p class="faint">Say an event type, and the newest events of it show what the metric would make of them.</p>;
					if (page.items.length === 0)
						return (
							<Empty title={`No event of the type ${eventType} yet`}>
								<p>The metric can be made before they come.</p>
							</Empty>
						);
					const judged = page.items.map((event) => ({ event, why: reason(event, draft) }));
					const counted = judged.filter((one) => one.why === null).map((one) => one.event);
					const total = value(counted, draft);
					return (
						<>
							<div>
								<span class="label">Of the newest {page.items.length} events</span>
								<div class="big" data-preview={total ?? ''}>
									{total === null ? '–' : grouped(total)} <small class="faint">{unit}</small>
								</div>
								<span class="faint">
									{counted.length} would count{draft.aggregationType === 'AVERAGE' ? '; rounded to six places here' : ''}
								</span>
							</div>
							<Table
								label="Preview of events"
								rows={judged}
								keyOf={(row) => row.event.id}
								columns={[
									{ title: 'Customer', width: 'minmax(90px, 1fr)', cell: (row) => row.event.customerAlias },
									{ title: 'Properties', width: 'minmax(140px, 2fr)', cell: (row) => <span class="faint">{write(row.event.eventProperties)}</span> },
									{
										title: 'Counts',
										width: 'minmax(130px, 1.2fr)',
										cell: (row) => (row.why === null ? <Badge tone="good">counts</Badge> : <span title={row.why}>{row.why}</span>),
									},
								]}
							/>
						</>
					);
				}}
			</Shown>
		</section>
	);
}
