// axis.ts: series of different periods on one axis of times, step beside step
interface Dated {
	steps: { periodStart: string }[];
}

// The times of the first series; where another is longer, they go on as that one does.
export function axis(series: Dated[]): string[] {
	const [first] = series;
	const longest = series.reduce((longer, one) => (one.steps.length > longer.steps.length ? one : longer), first);
	const times = first.steps.map((step) => step.periodStart);
	const missing = longest.steps.slice(times.length);
	if (missing.length === 0) return times;
	if (times.length === 0) return missing.map((step) => step.periodStart);
	const shift = Date.parse(times[times.length - 1]) - Date.parse(longest.steps[times.length - 1].periodStart);
	return [...times, ...missing.map((step) => new Date(Date.parse(step.periodStart) + shift).toISOString())];
}
