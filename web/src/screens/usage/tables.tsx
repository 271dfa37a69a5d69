// tables.tsx: usage by customer, by group, and by the events that made a difference
import { useMemo } from 'preact/hooks';
import { answer, api, type Schemas } from '../../api';
import { compare, grouped, minus, percent, plus, relative, shown, signed } from '../../exact';
import { adds, beside, byDifference, byValueFirst, keyOf, textOf, valueIn, type Group, type Pair } from '../../groups';
import { change, linkTo, useAsk } from '../../hooks';
import { Badge, Bar, Moment, Shown } from '../../parts/basics';
import { Table, type Column } from '../../parts/table';
import type { Period } from '../../time';
import { listed, MOST_LINES, type Earlier } from './address';

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

interface GroupsProperties {
	properties: string[];
	unit: string | null;
	only?: (group: Named) => void;
}

type Named = Pick<Group, 'grouping'>;

function groupColumns<T extends Named>(properties: string[]): Column<T>[] {
	return properties.map((property) => ({
		title: property,
		width: 'minmax(140px, 2fr)',
		order: { key: (row) => valueIn(row, property), as: 'texts' },
		cell: (row) => {
			const text = valueIn(row, property);
			return text === null || text === '' ? <span class="faint">{textOf(text)}</span> : text;
		},
	}));
}

function Groups({ count, order, only }: { count: number; order: string; only: boolean }) {
	return (
		<p class="faint">
			{grouped(String(count))} {count === 1 ? 'group' : 'groups'}, {order}.{only && ' A click shows one alone.'}
		</p>
	);
}

// The table draws what is seen, so a hundred thousand groups are no more work than ten.
export function ByGroup({ groups, properties, unit, only }: GroupsProperties & { groups: Group[] }) {
	return (
		<section>
			<h2>By {properties.join(', ')}</h2>
			<Table
				label="By group"
				rows={groups}
				first={properties.length + 1}
				keyOf={keyOf}
				open={only}
				columns={[
					...groupColumns<Group>(properties),
					{
						title: 'Events',
						width: 'minmax(80px, 1fr)',
						right: true,
						order: { key: (row) => row.eventCount.value, as: 'numbers' },
						cell: (row) => grouped(row.eventCount.value),
					},
					{ title: withUnit('Value', unit), width: 'minmax(120px, 1fr)', right: true, order: byValueFirst, cell: (row) => shown(row.value) },
				]}
			/>
			<Groups count={groups.length} order="the most first" only={only !== undefined} />
		</section>
	);
}

function withUnit(title: string, unit: string | null): string {
	return unit ? `${title} (${unit})` : title;
}

interface ThenProperties extends GroupsProperties {
	now: Group[];
	then: Group[];
	earlier: Earlier;
	aggregationType: string;
}

// What each group was and is.
export function ByGroupThen({ now, then, earlier, aggregationType, properties, unit, only }: ThenProperties) {
	const pairs = useMemo(() => beside(now, then, aggregationType), [now, then, aggregationType]);
	return (
		<section>
			<h2>
				By {properties.join(', ')}: now and {earlier.days ? 'the period before' : earlier.name.toLowerCase()}
			</h2>
			<Table
				label="By group, now and then"
				rows={pairs}
				first={properties.length + 2}
				keyOf={keyOf}
				open={only}
				columns={[
					...groupColumns<Pair>(properties),
					{
						title: withUnit('Then', unit),
						width: 'minmax(110px, 1fr)',
						right: true,
						order: { key: (row) => row.then?.value ?? null, as: 'numbers' },
						cell: (row) => shown(row.then),
					},
					{
						title: withUnit('Now', unit),
						width: 'minmax(110px, 1fr)',
						right: true,
						order: { key: (row) => row.now?.value ?? null, as: 'numbers' },
						cell: (row) => shown(row.now),
					},
					{
						title: 'Difference',
						width: 'minmax(110px, 1fr)',
						right: true,
						order: byDifference,
						cell: (row) => (row.difference === null ? '–' : signed(row.difference)),
					},
					{ title: 'Change', width: '90px', right: true, cell: (row) => <Share pair={row} /> },
				]}
			/>
			<Groups count={pairs.length} order="the largest difference first" only={only !== undefined} />
		</section>
	);
}

function Share({ pair }: { pair: Pair }) {
	if (pair.only !== null) return <Badge>{pair.only === 'now' ? 'new' : 'gone'}</Badge>;
	return <span class="faint">{(pair.difference !== null && pair.then && relative(pair.difference, pair.then.value)) || '–'}</span>;
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
