// portal.tsx: what one customer used, by a portal token in the address behind the #
//
// #token=…&customer=…&metrics=ID,ID&zone=…: a token knows neither definitions nor lists, so the address names the metrics.
import { render } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { answer, api, Refusal, useCredentials } from './api';
import { grouped, shown } from './exact';
import { useAsk, Zone } from './hooks';
import { Choice, Empty, Problem, Shown } from './parts/basics';
import { UsageChart } from './parts/usage_chart';
import { date, isZone, period, ranges } from './time';
import './style.css';

interface Told {
	token: string;
	customer: string;
	metrics: string[];
	zone: string;
}

function told(): Told {
	const values = new URLSearchParams(location.hash.replace(/^#/, ''));
	const asked = values.get('zone') ?? '';
	const zone = isZone(asked) ? asked : Intl.DateTimeFormat().resolvedOptions().timeZone;
	return {
		token: values.get('token') ?? '',
		customer: values.get('customer') ?? '',
		metrics: (values.get('metrics') ?? '').split(',').filter((id) => id !== ''),
		zone,
	};
}

// Who reloads the page keeps it; who looks over a shoulder reads no token.
const KEY = 'usage_events.portal';

// A browser may keep nothing for a page within another one's.
function taken(): Told {
	const given = told();
	try {
		if (given.token !== '') sessionStorage.setItem(KEY, JSON.stringify(given));
		else return { ...given, ...(JSON.parse(sessionStorage.getItem(KEY) ?? '{}') as Partial<Told>) };
		history.replaceState(null, '', location.pathname);
	} catch {
		// The address keeps it.
	}
	return given;
}

function Portal() {
	const [given] = useState(taken);
	const [ended, setEnded] = useState(false);
	const [range, setRange] = useState('This month');
	useCredentials(given.token === '' ? null : { authorization: `Basic ${given.token}`, name: 'token' }, () => setEnded(true));
	const [from, to] = ranges[range](date(Date.now(), given.zone));
	if (given.token === '' || given.customer === '' || given.metrics.length === 0) {
		return (
			<main class="portal">
				<h1>Your usage</h1>
				<Empty title="This address is not whole">
					<p>Open the page again from where you came.</p>
				</Empty>
			</main>
		);
	}
	if (ended)
		return (
			<main class="portal">
				<h1>Your usage</h1>
				<Empty title="This page has ended">
					<p>It is open for a while only. Open it again from where you came.</p>
				</Empty>
			</main>
		);
	return (
		<Zone.Provider value={given.zone}>
			<main class="portal">
				<header class="top">
					<div>
						<h1>Your usage</h1>
						<p class="faint">
							{given.customer}, {from} to {to}, {given.zone}
						</p>
					</div>
					<Choice
						label="Range"
						value={range}
						set={setRange}
						options={['Last 7 days', 'This month', 'Last month'].map((name): [string, string] => [name, name])}
					/>
				</header>
				{given.metrics.map((id) => (
					<Metric key={id} id={id} customer={given.customer} from={from} to={to} zone={given.zone} />
				))}
			</main>
		</Zone.Provider>
	);
}

function Metric({ id, customer, from, to, zone }: { id: string; customer: string; from: string; to: string; zone: string }) {
	const asked = useAsk(
		async (signal) => {
			const at = period(from, to, zone);
			const query = { customerAliases: [customer], periodStart: at.start, periodEnd: at.end };
			const [value, series] = await Promise.all([
				answer(api.GET('/usage-metrics/{id}/calculate', { params: { path: { id }, query }, signal })),
				answer(api.GET('/usage-metrics/{id}/series', { params: { path: { id }, query: { ...query, step: 'day', timezone: zone } }, signal })),
			]);
			return { value, named: [{ name: value.name, steps: series.items }] };
		},
		[id, customer, from, to, zone],
	);
	if (asked.error instanceof Refusal && asked.error.status === 404) return null;
	return (
		<section class="panel">
			<Shown asked={asked} what="usage">
				{({ value, named }) => (
					<>
						<div>
							<h2>{value.name}</h2>
							<div class="big">
								<span data-value={value.value?.value}>{shown(value.value)}</span> <small class="faint">{value.unit}</small>
							</div>
							<span class="faint">{grouped(value.eventCount.value)} events</span>
						</div>
						<Days named={named} unit={value.unit} />
						{asked.error && <Problem error={asked.error} />}
					</>
				)}
			</Shown>
		</section>
	);
}

function Days({ named, unit }: { named: Parameters<typeof UsageChart>[0]['named']; unit: string | null }) {
	return useMemo(() => <UsageChart label={`${named[0].name} by day`} named={named} kind="bars" unit={unit} />, [named, unit]);
}

render(<Portal />, document.getElementById('page') as HTMLElement);
