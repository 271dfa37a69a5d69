// by_group.tsx: usage of each group, now or beside what it was
import { useMemo } from 'preact/hooks';
import { grouped, relative, shown, signed } from '../../exact';
import { beside, byDifference, byValueFirst, keyOf, textOf, valueIn, type Group, type Pair } from '../../groups';
import { Badge } from '../../parts/basics';
import { Table, withUnit, type Column } from '../../parts/table';
import type { Earlier } from './address';

interface GroupsProperties {
	properties: string[];
	unit: string | null;
	only?: (group: Grouping) => void;
}

type Grouping = Pick<Group, 'grouping'>;

function groupColumns<T extends Grouping>(properties: string[]): Column<T>[] {
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

function Groups({ count, only }: { count: number; only: boolean }) {
	return (
		<p class="faint">
			{grouped(String(count))} {count === 1 ? 'group' : 'groups'}. A click on a column’s title orders them{only && ', on a group shows it alone'}.
		</p>
	);
}

// The table draws what is seen, so a hundred thousand groups are no more work than ten.
export function ByGroup({ groups, properties, unit, only }: GroupsProperties & { groups: Group[] }) {
	return (
		<section>
			<h2>By {properties.join(', ')}</h2>
			<Table
				key={properties.join('\n')}
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
			<Groups count={groups.length} only={only !== undefined} />
		</section>
	);
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
				key={properties.join('\n')}
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
			<Groups count={pairs.length} only={only !== undefined} />
		</section>
	);
}

function Share({ pair }: { pair: Pair }) {
	if (pair.only !== null) return <Badge>{pair.only === 'now' ? 'new' : 'gone'}</Badge>;
	return <span class="faint">{(pair.difference !== null && pair.then && relative(pair.difference, pair.then.value)) || '–'}</span>;
}
