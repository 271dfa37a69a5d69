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
	// A line over the others, whatever they are drawn as: what all of them were.
	over?: boolean;
	// Its own times, where they are others than the chart's.
	titles?: string[];
}

export type Kind = 'line' | 'bars' | 'stacked';

function colour(element: Element, name: string): string {
	return getComputedStyle(element).getPropertyValue(name).trim();
}

// Each upon the sum of those before it.
function stacked(series: Series[]): (number | null)[][] {
	let below: number[] = [];
	return series.map((one) => {
		if (one.over) return one.values;
		below = one.values.map((value, index) => (value ?? 0) + (below[index] ?? 0));
		return below;
	});
}

// A bar for each step; of several series beside each other.
function bars(step: number, place: number, count: number): uPlot.Series.PathBuilder {
	return (plot, index, first, last) => {
		const path = new Path2D();
		const values = plot.data[index];
		const whole = Math.min(80 * devicePixelRatio, (plot.valToPos(plot.data[0][0] + step, 'x', true) - plot.valToPos(plot.data[0][0], 'x', true)) * 0.8);
		const ground = plot.valToPos(0, 'y', true);
		for (let at = first; at <= last; at++) {
			const value = values[at];
			if (value === null || value === undefined) continue;
			const top = plot.valToPos(value, 'y', true);
			const left = plot.valToPos(plot.data[0][at], 'x', true) - whole / 2 + (place * whole) / count;
			path.rect(left, Math.min(top, ground), Math.max(1, whole / count - 1), Math.abs(ground - top));
		}
		return { stroke: null, fill: path, clip: null, band: null, gaps: null, flags: 0 } as unknown as uPlot.Series.Paths;
	};
}

// Below the axis: a day where steps are days, otherwise a time.
function tick(seconds: number, apart: number, zone: string): string {
	const form: Intl.DateTimeFormatOptions =
		apart >= 86_400 * 27
			? { month: 'short', year: 'numeric' }
			: apart >= 86_400
				? { day: 'numeric', month: 'short' }
				: { hour: '2-digit', minute: '2-digit', second: apart < 60 ? '2-digit' : undefined, hourCycle: 'h23' };
	return new Intl.DateTimeFormat('en-GB', { ...form, timeZone: zone }).format(seconds * 1000);
}

// Between seconds there are ticks that read the same.
function once(labels: string[]): string[] {
	return labels.map((label, index) => (label === labels[index - 1] ? '' : label));
}

interface Properties {
	label: string;
	times: number[];
	titles: string[];
	series: Series[];
	kind: Kind;
	unit: string | null;
}

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
		const colours = series.map((one, index) => colour(element, one.over ? '--ink' : `--series-${(index % 8) + 1}`));
		// The topmost of a stack is drawn first, and the others over it; last, what is over all.
		const beside = series.map((_, index) => index).filter((index) => !series[index].over);
		if (kind === 'stacked') beside.reverse();
		const order = [...beside, ...series.map((_, index) => index).filter((index) => series[index].over)];
		const values = kind === 'stacked' ? stacked(series) : series.map((one) => one.values);
		const step = times.length > 1 ? Math.min(...times.slice(1).map((time, index) => time - times[index])) : 86_400;
		const margin = kind === 'line' ? 0 : step / 2;
		const plot = new uPlot(
			{
				width: element.clientWidth,
				height: 260,
				tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
				legend: { show: false },
				cursor: { points: { show: kind === 'line' }, y: false, drag: { x: false, y: false } },
				scales: {
					x: { range: (_, low, high) => [low - margin, high + margin] },
					y: { range: (_, low, high) => [Math.min(0, low), high === 0 && low === 0 ? 1 : high * 1.05] },
				},
				axes: [
					{
						stroke: ink,
						grid: { show: false },
						ticks: { stroke: grid },
						space: 70,
						values: (_, splits, __, ___, apart) => once(splits.map((at) => tick(at, apart, zone))),
					},
					{ stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, size: 70, values: (_, splits) => splits.map(short) },
				],
				series: [
					{},
					...order.map((index): uPlot.Series => {
						const { name, dashed, over } = series[index];
						const isLine = kind === 'line' || over;
						return {
							label: name,
							stroke: colours[index],
							width: isLine ? 2 : 0,
							dash: dashed ? [6, 4] : undefined,
							fill: isLine ? undefined : dashed ? `${colours[index]}88` : colours[index],
							points: { show: kind === 'line' && times.length < 40, size: 5 },
							paths: isLine ? undefined : kind === 'stacked' ? bars(step, 0, 1) : bars(step, beside.indexOf(index), beside.length),
						};
					}),
				],
				hooks: { setCursor: [(self) => setAt(self.cursor.idx ?? null)] },
			},
			[times, ...order.map((index) => values[index])] as uPlot.AlignedData,
			element,
		);
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
					<span key={index} class="key">
						<i class={`swatch ${one.over ? 'over' : `series-${(index % 8) + 1}`}${one.dashed ? ' dashed' : ''}`} aria-hidden="true" />
						<span class="name" title={one.name}>
							{one.name}
						</span>
						{shown !== null && one.titles && <span class="time"> {one.titles[shown]}</span>}
						{shown !== null && (
							<b class="number">
								{one.texts[shown] ?? '–'}
								{unit ? ` ${unit}` : ''}
							</b>
						)}
					</span>
				))}
			</figcaption>
		</figure>
	);
}

function short(value: number): string {
	const steps: [number, string][] = [
		[1e18, 'E'],
		[1e15, 'P'],
		[1e12, 'T'],
		[1e9, 'G'],
		[1e6, 'M'],
		[1e3, 'k'],
	];
	const found = steps.find(([step]) => Math.abs(value) >= step);
	return found ? `${+(value / found[0]).toPrecision(3)} ${found[1]}` : String(+value.toPrecision(3));
}
