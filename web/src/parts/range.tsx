// range.tsx: a range of days on the chosen clock: one that moves with today, or two dates
import { change, useZone } from '../hooks';
import { date, isDay, ranges } from '../time';
import { Input, Select } from './basics';

export interface Range {
	name: string;
	from: string;
	to: string;
}

export function rangeOf(values: URLSearchParams, zone: string, usual = 'Last 30 days'): Range {
	const today = date(Date.now(), zone);
	const [from, to] = [values.get('from') ?? '', values.get('to') ?? ''];
	if (isDay(from) && isDay(to)) return { name: '', from, to: to < from ? from : to };
	const name = values.get('range') ?? usual;
	const [first, last] = (ranges[name] ?? ranges[usual])(today);
	return { name: name in ranges ? name : usual, from: first, to: last };
}

export function RangeFields({ range }: { range: Range }) {
	const zone = useZone();
	return (
		<>
			<Select
				label={`Range (${zone})`}
				value={range.name}
				options={[...Object.keys(ranges), ['', 'These days']]}
				set={(name) => change(name === '' ? { range: null, from: range.from, to: range.to } : { range: name, from: null, to: null })}
			/>
			<Input label="From" type="date" value={range.from} set={(from) => from && change({ range: null, from, to: range.to < from ? from : range.to })} />
			<Input label="To" type="date" value={range.to} set={(to) => to && change({ range: null, from: range.from > to ? to : range.from, to })} />
		</>
	);
}
