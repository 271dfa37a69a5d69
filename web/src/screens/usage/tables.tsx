// tables.tsx: usage by customer, and by the events that made a difference
import { answer, api, type Schemas } from '../../api';
import { compare, grouped, minus, percent, plus, shown, signed } from '../../exact';
import { adds } from '../../groups';
import { change, linkTo, useAsk } from '../../hooks';
import { Badge, Bar, Moment, Shown } from '../../parts/basics';
import { Table, withUnit } from '../../parts/table';
import type { Period } from '../../time';
import { listed, MOST_LINES } from './address';

type Metric = Schemas['UsageMetric'];

// The events that made the difference between then and now.
export function Why({ metric, customers, at, since }: { metric: Metric; customers: string[]; at: Period; since: string }) {
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

export function ByCustomer({ found, metric, chosen }: { found: Schemas['UsageMetricByCustomer']; metric: Metric; chosen: string[] }) {
	const most = found.items.reduce((high, one) => (one.value && compare(one.value.value, high) > 0 ? one.value.value : high), '0');
	const whole =
		adds(metric.aggregationType) && found.pagination.after === null ? found.items.reduce((sum, one) => plus(sum, one.value?.value ?? '0'), '0') : null;
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
					{ title: withUnit('Value', metric.unit), width: 'minmax(120px, 1fr)', right: true, cell: (row) => <b>{shown(row.value)}</b> },
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
