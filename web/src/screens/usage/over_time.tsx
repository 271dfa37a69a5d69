// over_time.tsx: a metric over time, beside what it was, and the tables that explain it
import { useMemo } from 'preact/hooks';
import type { Schemas } from '../../api';
import { grouped, minus, relative, shown, signed, type Exact } from '../../exact';
import { filtersOf, writeFilters } from '../../groups';
import { change, useAsk } from '../../hooks';
import { Badge, Shown } from '../../parts/basics';
import type { Kind } from '../../parts/chart';
import { UsageChart, type Named } from '../../parts/usage_chart';
import { listed, type Earlier, type Question } from './address';
import { usage } from './ask';
import { ByGroup, ByGroupThen } from './by_group';
import { Why } from './tables';

export function OverTime({ question, kind }: { question: Question; kind: Kind }) {
	const { metric, customers, at, groupBy, filters, earlier } = question;
	const asked = useAsk((signal) => usage(question, signal), [question]);
	const properties = groupBy.length > 0 ? groupBy : [metric.groupingProperty ?? ''];
	const tables = {
		properties,
		unit: metric.unit,
		// The same customers: who has the most may be others where a group is alone.
		only:
			groupBy.length === 0
				? undefined
				: (group: Parameters<typeof filtersOf>[0][number]) =>
						change({ customers: listed(customers), filters: writeFilters({ ...filters, ...filtersOf([group]) }) ?? null }),
	};
	return (
		<section class="panel" aria-label="Chart">
			<Shown asked={asked} what="the chart">
				{({ now, then, lines, note }) => (
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
							{then && earlier && <Difference now={now.value} old={then.value} unit={metric.unit} earlier={earlier} />}
						</div>
						<Drawn metric={metric} lines={lines} kind={earlier && kind === 'stacked' && groupBy.length === 0 ? 'bars' : kind} />
						{note && <p class="faint">{note}</p>}
						{now.groupedValues &&
							(then && earlier ? (
								<ByGroupThen now={now.groupedValues} then={then.groupedValues ?? []} earlier={earlier} aggregationType={metric.aggregationType} {...tables} />
							) : (
								<ByGroup groups={now.groupedValues} {...tables} />
							))}
					</>
				)}
			</Shown>
			{earlier?.asOf !== undefined && writeFilters(filters) !== undefined && (
				<p class="faint">The events below are of all that the metric counts: filters are not asked of them.</p>
			)}
			{earlier?.asOf !== undefined && <Why metric={metric} customers={customers} at={at} since={earlier.asOf} />}
		</section>
	);
}

// The chart is drawn anew only where its numbers are.
function Drawn({ metric, lines, kind }: { metric: Schemas['UsageMetric']; lines: Named[]; kind: Kind }) {
	return useMemo(() => <UsageChart label={`${metric.name} over time`} named={lines} kind={kind} unit={metric.unit} />, [lines, kind, metric]);
}

function Difference({ now, old, unit, earlier }: { now: Exact | null; old: Exact | null; unit: string | null; earlier: Earlier }) {
	const difference = now && old ? minus(now.value, old.value) : null;
	const share = difference !== null && old ? relative(difference, old.value) : null;
	return (
		<dl class="facts">
			<dt>{earlier.days ? earlier.name : 'Known then'}</dt>
			<dd class="number">
				{shown(old)} {unit}
				{earlier.days && <div class="faint">{earlier.days}</div>}
			</dd>
			<dt>Difference</dt>
			<dd class="number" data-difference={difference ?? ''}>
				{difference === null ? '–' : <b>{signed(difference)}</b>} {unit} {share && <Badge>{share}</Badge>}
			</dd>
		</dl>
	);
}
