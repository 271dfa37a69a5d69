// nothing.tsx: where nothing counts, what to do next
import { answer, api, type Schemas } from '../../api';
import { change, linkTo, useAsk, useZone } from '../../hooks';
import { Empty, Moment } from '../../parts/basics';
import { date, nextDay } from '../../time';

type Metric = Schemas['UsageMetric'];

export function NothingPasses() {
	return (
		<Empty title="Nothing in these days passes the filters">
			<button type="button" class="solid" onClick={() => change({ filters: null })}>
				Take the filters away
			</button>
		</Empty>
	);
}

// The demo's events are of October; so is many an import.
export function Nothing({ metric }: { metric: Metric }) {
	const zone = useZone();
	const types = useAsk((signal) => answer(api.GET('/usage-event-types', { signal })), []);
	const last = types.data?.items.find((type) => type.eventType === metric.eventType)?.lastEventTimestamp;
	const show = () => {
		const month = date(Date.parse(last ?? ''), zone).slice(0, 7);
		change({ range: null, from: `${month}-01`, to: nextDay(`${nextDay(`${month}-01`, 31).slice(0, 7)}-01`, -1) });
	};
	return (
		<Empty title="Nothing counts in these days">
			{last ? (
				<>
					<p>
						The newest event of the type {metric.eventType} is of <Moment at={last} />.
					</p>
					<button type="button" class="solid" onClick={show}>
						Show its month
					</button>
				</>
			) : (
				<p>
					There is no event of the type {metric.eventType} yet. <a href={linkTo(['events'])}>Send one</a>
				</p>
			)}
		</Empty>
	);
}
