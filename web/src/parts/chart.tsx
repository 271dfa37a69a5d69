// chart.tsx: series over time, as lines, bars or stacked; what it draws are floats, what it says are exact numbers
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useZone } from '../hooks';

export interface Series {
	name: string;
	values: (number | null)[];
	texts: string[];
	dashed?: boolean;
}

export type Kind = 'line' | 'bars' | 'stacked';

function colour(element: Element, name: string): string {
	return getComputedStyle(element).getPropertyValue(name).trim();
}

// Each upon the sum of those before it.
function stacked(series: Series[]): (number | null)[][] {
	let below: number[] = [];
	return series.map((one) => {
		below = one.values.map((value, index) => (value ?? 0) + (below[index] ?? 0));
		return below;
	});
}

interface Properties { label: string; times: number[]; titles: string[]; series: Series[]; kind: Kind; unit: string | null }

export function Chart({ label, times, titles, series, kind, unit }: Properties) {
	const box = useRef<HTMLDivElement>(null);
	const zone = useZone();
	const [at, setAt] = useState<number | null>(null);
	const [dark, setDark] = useState(matchMedia('(prefers-color-scheme: dark)').matches);
	useEffect(() => {
		const query = matchMedia('(prefers-color-scheme: dark)');
		const changed = () => setDark(query.matches);
		query.addEventListener('change', changed);
		return () => query.removeEventListener('change', changed);
	}, []);
	useLayoutEffect(() => {
		const element = box.current;
		if (!element) return undefined;
		const ink = colour(element, '--faint');
		const grid = colour(element, '--line');
		const colours = series.map((_, index) => colour(element, `--series-${index % 8 + 1}`));
		// The topmost of a stack is drawn first, and the others over it.
		const order = series.map((_, index) => index);
		if (kind === 'stacked') order.reverse();
		const values = kind === 'stacked' ? stacked(series) : series.map((one) => one.values);
		const bars = uPlot.paths.bars?.({ size: [0.8, 60], radius: 0.1 });
		const side = (index: number) => uPlot.paths.bars?.({ size: [0.8 / series.length, 40], align: (index < series.length / 2 ? -1 : 1) as 1 });
		const plot = new uPlot({
			width: element.clientWidth,
			height: 260,
			tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
			legend: { show: false },
			cursor: { points: { show: kind === 'line' }, y: false, drag: { x: false, y: false } },
			scales: { y: { range: (_, low, high) => [Math.min(0, low), high === 0 && low === 0 ? 1 : high * 1.05] } },
			axes: [
				{ stroke: ink, grid: { show: false }, ticks: { stroke: grid } },
				{ stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 70, values: (_, splits) => splits.map(short) },
			],
			series: [
				{},
				...order.map((index) => ({
					label: series[index].name,
					stroke: colours[index],
					width: 2,
					dash: series[index].dashed ? [6, 4] : undefined,
					fill: kind === 'line' ? undefined : colours[index],
					points: { show: kind === 'line' && times.length < 40, size: 5 },
					paths: kind === 'stacked' ? bars : kind === 'bars' ? (series.length === 1 ? bars : side(index)) : undefined,
				})),
			],
			hooks: { setCursor: [(self) => setAt(self.cursor.idx ?? null)] },
		}, [times, ...order.map((index) => values[index])] as uPlot.AlignedData, element);
		const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: 260 }));
		observer.observe(element);
		element.dataset.drawn = String(times.length);
		return () => {
			observer.disconnect();
			plot.destroy();
		};
	}, [times, series, kind, zone, dark]);
	const shown = at !== null && at < times.length ? at : null;
	return (
		<figure class="chart">
			<div ref={box} class="plot" role="img" aria-label={label} />
			<figcaption aria-live="off">
				<span class="time">{shown === null ? 'Point at the chart for exact values' : titles[shown]}</span>
				{series.map((one, index) => (
					<span key={one.name} class="key">
						<i class={`swatch series-${index % 8 + 1}${one.dashed ? ' dashed' : ''}`} aria-hidden="true" />
						{one.name}
						{shown !== null && <b class="number">{one.texts[shown] ?? '–'}{unit ? ` ${unit}` : ''}</b>}
					</span>
				))}
			</figcaption>
		</figure>
	);
}

function short(value: number): string {
	const steps: [number, string][] = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];
	const found = steps.find(([step]) => Math.abs(value) >= step);
	return found ? `${+(value / found[0]).toPrecision(3)} ${found[1]}` : String(+value.toPrecision(3));
}
