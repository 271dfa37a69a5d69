// usage.tsx: what a metric says over time, who used how much, and why it is not what it was
import { useState } from 'preact/hooks';
import { answer, api, metrics, type Schemas } from '../api';
import { adds, MOST_PROPERTIES, readFilters, writeFilters } from '../groups';
import { change, linkTo, useAsk, useZone, type Place } from '../hooks';
import { Choice, Empty, Input, Loading, Problem, Select, Shown } from '../parts/basics';
import type { Kind } from '../parts/chart';
import { RangeFields, rangeOf } from '../parts/range';
import { date, period } from '../time';
import { earlierOf, listOf, MOST_LINES, stepOf, USUAL_LINES } from './usage/address';
import { CopyAs } from './usage/copy';
import { Nothing, NothingPasses } from './usage/nothing';
import { OverTime } from './usage/over_time';
import { Customers, Properties } from './usage/pickers';
import { ByCustomer } from './usage/tables';

type Metric = Schemas['UsageMetric'];

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
	const chosen = listOf(place.values.get('customers')).slice(0, MOST_LINES);
	const asOf = comparison === 'asof' ? (place.values.get('asof') ?? '') : '';
	const groupBy = listOf(place.values.get('group')).slice(0, MOST_PROPERTIES);
	const usual = comparison !== '' && groupBy.length === 0 ? 'bars' : adds(metric.aggregationType) ? 'stacked' : 'line';
	const kind = (place.values.get('kind') ?? usual) as Kind;
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
	const question = { metric, customers, at, step, zone, groupBy, filters: given, earlier: earlierOf(comparison, asOf, range, at, zone) };

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
						['asof', 'what was known'],
					]}
				/>
				{comparison === 'asof' && (
					<div class="moment">
						<Input label="Known on" type="datetime-local" step="1" value={asOf} set={(value) => change({ asof: value })} />
					</div>
				)}
			</div>
			<Customers chosen={chosen} offered={(top.data?.items ?? []).map((one) => one.customer)} shownNow={customers} />
			{metric.aggregationType !== 'CUSTOM' && <Properties metric={metric} groupBy={groupBy} filters={given} />}
			{top.error && <Problem error={top.error} again={top.again} />}
			{!top.data && !top.error && !known && <Loading what="usage" />}
			{top.data && !known && (filters === undefined ? <Nothing metric={metric} /> : <NothingPasses />)}
			{known && <OverTime key={comparison} question={question} kind={kind} />}
			{top.data && top.data.items.length > 0 && <ByCustomer found={top.data} metric={metric} chosen={chosen} />}
			{copying && <CopyAs question={question} close={() => setCopying(false)} />}
		</>
	);
}
