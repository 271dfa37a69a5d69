// usage_chart.tsx: what series of a metric are, as a chart takes them
import type { Schemas } from '../api';
import { height, shown } from '../exact';
import { useZone } from '../hooks';
import { inZone } from '../time';
import { Chart, type Kind, type Series } from './chart';

export interface Named {
	name: string;
	steps: Schemas['UsageMetricStep'][];
	dashed?: boolean;
}

// Where a series is of another period, its first step is beside the first of the others.
export function UsageChart({ label, named, kind, unit }: { label: string; named: Named[]; kind: Kind; unit: string | null }) {
	const zone = useZone();
	const longest = named.reduce((longer, one) => (one.steps.length > longer.length ? one.steps : longer), named[0].steps);
	const series: Series[] = named.map(({ name, steps, dashed }) => ({
		name,
		dashed,
		values: longest.map((_, index) => height(steps[index]?.value)),
		texts: longest.map((_, index) => shown(steps[index]?.value)),
	}));
	return (
		<Chart
			label={label}
			unit={unit}
			kind={kind}
			series={series}
			times={longest.map((step) => Date.parse(step.periodStart) / 1000)}
			titles={longest.map((step) => inZone(step.periodStart, zone).replace(/ 00:00:00$/, ''))}
		/>
	);
}
