// health.tsx: what comes in at the moment, what was refused, and how far rollups are behind
import { useEffect, useMemo, useState } from 'preact/hooks';
import { answer, api } from '../api';
import { grouped, height, percent, shown, type Exact } from '../exact';
import { linkTo, useAsk, useZone } from '../hooks';
import { Bar, Empty, Moment, Shown } from '../parts/basics';
import { Chart } from '../parts/chart';
import { inZone, roughly } from '../time';

const EVERY = 2000;
const MOST = 300;

interface Seen {
	at: number;
	stored: Exact;
	rejected: Exact;
}

function size(bytes: string): string {
	const number = Number(bytes);
	return number < 1024
		? `${number} bytes`
		: number < 1024 ** 2
			? `${(number / 1024).toFixed(1)} kB`
			: number < 1024 ** 3
				? `${(number / 1024 ** 2).toFixed(1)} MB`
				: `${(number / 1024 ** 3).toFixed(1)} GB`;
}

export function Health() {
	const zone = useZone();
	const asked = useAsk((signal) => answer(api.GET('/status', { signal })), [], EVERY);
	const types = useAsk((signal) => answer(api.GET('/usage-event-types', { signal })), []);
	const [seen, setSeen] = useState<Seen[]>([]);
	useEffect(() => {
		const status = asked.data;
		if (status) setSeen((before) => [...before, { at: Date.now(), stored: status.storedLastMinute, rejected: status.rejectedLastMinute }].slice(-MOST));
	}, [asked.data]);
	const chart = useMemo(
		() =>
			seen.length > 1 && (
				<Chart
					label="Events in the last minute"
					unit={null}
					kind="line"
					times={seen.map((one) => one.at / 1000)}
					titles={seen.map((one) => inZone(new Date(one.at).toISOString(), zone).slice(0, 19))}
					series={[
						{ name: 'Stored in a minute', values: seen.map((one) => height(one.stored)), texts: seen.map((one) => shown(one.stored)) },
						{ name: 'Refused in a minute', values: seen.map((one) => height(one.rejected)), texts: seen.map((one) => shown(one.rejected)), dashed: true },
					]}
				/>
			),
		[seen, zone],
	);
	return (
		<>
			<header class="top">
				<div>
					<h1>Health</h1>
					<p class="faint">As it is now, asked every two seconds</p>
				</div>
			</header>
			<Shown asked={asked} what="the status">
				{(status) => {
					const lag = Number(status.refreshLagSeconds?.value ?? 0);
					return (
						<>
							<div class="tiles">
								<Tile
									label="Stored in the last minute"
									name="stored"
									value={shown(status.storedLastMinute)}
									note={status.newestEventAgeSeconds ? `the newest ${roughly(Number(status.newestEventAgeSeconds.value))} ago` : 'no event yet'}
								/>
								<Tile label="Corrected in the last minute" name="superseded" value={shown(status.supersededLastMinute)} />
								<Tile
									label="Refused in the last minute"
									name="rejected"
									bad={status.rejectedLastMinute.value !== '0'}
									value={shown(status.rejectedLastMinute)}
									note={`${shown(status.overLimitLastMinute)} by a usage limit`}
								/>
								<Tile
									label="Waiting to be sent again"
									name="waiting"
									value={shown(status.rejectedWaiting)}
									note={size(status.rejectedBytes.value)}
									link={linkTo(['rejected'])}
								/>
								<Tile
									label="Refused and not kept"
									name="lost"
									bad={status.rejectedNotKept.value !== '0'}
									value={shown(status.rejectedNotKept)}
									note={status.rejectedNotKeptAt ? <Moment at={status.rejectedNotKeptAt} /> : 'none, ever'}
								/>
								<Tile
									label="Rollups are behind"
									name="lag"
									bad={lag > 600}
									value={status.refreshLagSeconds ? roughly(lag) : '0 s'}
									note={`${shown(status.marksWaiting)} ${status.marksWaiting.value === '1' ? 'mark waits' : 'marks wait'}; answers are exact all the same`}
								/>
								<Tile
									label="Metrics"
									name="metrics"
									value={shown(status.metricCount)}
									note={`${shown(status.metricVersionCount)} ${status.metricVersionCount.value === '1' ? 'version' : 'versions'}, with those of deleted ones`}
									link={linkTo(['metrics'])}
								/>
								<Tile
									label="Limits and alerts"
									name="limits"
									value={`${shown(status.limitCount)} / ${shown(status.alertCount)}`}
									note="in force"
									link={linkTo(['limits'])}
								/>
								{status.purgedBefore && <Tile label="Purged before" name="purged" value={inZone(status.purgedBefore, zone).slice(0, 10)} />}
							</div>
							<section class="panel" aria-label="Rate">
								<h2>While this page is open</h2>
								{chart || <p class="faint">The first points come in a few seconds.</p>}
							</section>
						</>
					);
				}}
			</Shown>
			<section class="panel" aria-label="Types">
				<h2>What comes</h2>
				<Shown asked={types} what="types">
					{({ items, sample }) =>
						items.length === 0 ? (
							<Empty title="No events yet">
								<a href={linkTo(['events'])}>Send a test event</a>
							</Empty>
						) : (
							<>
								<ul class="lines">
									{items.slice(0, 20).map((type) => (
										<li key={type.eventType}>
											<a class="grow" href={linkTo(['events'], { type: type.eventType })}>
												{type.eventType}
											</a>
											<span class="number">{shown(type.eventCount)}</span>
											<span class="wide">
												<Bar percent={percent(type.eventCount.value, sample.eventCount.value)} label={`Share of ${type.eventType}`} />
											</span>
										</li>
									))}
								</ul>
								<p class="faint">
									{sample.isComplete ? `All ${grouped(sample.eventCount.value)} events.` : `Of the newest ${grouped(sample.eventCount.value)} events.`}
								</p>
							</>
						)
					}
				</Shown>
			</section>
		</>
	);
}

function Tile({
	label,
	name,
	value,
	note,
	bad,
	link,
}: {
	label: string;
	name: string;
	value: string;
	note?: preact.ComponentChildren;
	bad?: boolean;
	link?: string;
}) {
	return (
		<div class={`tile${bad ? ' bad' : ''}`} data-tile={name}>
			<span class="label">{label}</span>
			<div class="big">{value}</div>
			<span class="faint">{link ? <a href={link}>{note}</a> : note}</span>
		</div>
	);
}
