// usage_chart.tsx: what series of a metric are, as a chart takes them
import type { Schemas } from '../api';
import { axis } from '../axis';
import { height, shown } from '../exact';
import { useZone } from '../hooks';
import { inZone } from '../time';
import { Chart, type Kind, type Series } from './chart';

export interface Named {
	name: string;
	steps: Schemas['UsageMetricStep'][];
	dashed?: boolean;
	over?: boolean;
}

// Where a series is of another period, its first step is beside the first of the others, and it says what its own time is.
export function UsageChart({ label, named, kind, unit }: { label: string; named: Named[]; kind: Kind; unit: string | null }) {
	const zone = useZone();
	const times = axis(named);
	const title = (time: string) => inZone(time, zone).replace(/ 00:00:00$/, '');
	const series: Series[] = named.map(({ name, steps, dashed, over }) => ({
		name,
		dashed,
		over,
		values: times.map((_, index) => height(steps[index]?.value)),
		texts: times.map((_, index) => shown(steps[index]?.value)),
		titles: steps.length > 0 && steps[0].periodStart !== times[0] ? times.map((_, index) => (steps[index] ? title(steps[index].periodStart) : '')) : undefined,
	}));
	return <Chart label={label} unit={unit} kind={kind} series={series} times={times.map((time) => Date.parse(time) / 1000)} titles={times.map(title)} />;
}
