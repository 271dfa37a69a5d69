// tokens.tsx: tokens for a page that shows one customer's usage: made, seen once, ended
import { useState } from 'preact/hooks';
import { all, answer, api, base, exact, metrics, type Schemas } from '../api';
import { change, useAsk, useForm, type Place } from '../hooks';
import { Copy, Empty, Input, Moment, Over, Problem, Select, Shown, Sure } from '../parts/basics';
import { Table } from '../parts/table';

type Made = Schemas['MadePortalToken'];

// What is behind the # no server sees.
function address(made: Made, ids: string[]): string {
	const told = new URLSearchParams({ token: made.token, customer: made.customer, metrics: ids.join(',') });
	return `${location.origin}${base}/ui/portal.html#${told.toString()}`;
}

export function Tokens({ place }: { place: Place }) {
	const customer = place.values.get('customer') ?? '';
	const [making, setMaking] = useState(customer !== '');
	const [error, setError] = useState<Error | null>(null);
	const asked = useAsk(async (signal) => {
		const [tokens, list] = await Promise.all([
			all((after) => answer(api.GET('/portal-tokens', { params: { query: { limit: 100, after } }, signal })), 50),
			metrics(signal),
		]);
		return { tokens, metrics: list };
	}, []);
	const end = async (id: string) => {
		setError(null);
		try {
			await answer(api.DELETE('/portal-tokens/{id}', { params: { path: { id } } }));
		} catch (caught) {
			setError(caught as Error);
		}
		asked.again();
	};
	return (
		<>
			<header class="top">
				<div>
					<h1>Portal tokens</h1>
					<p class="faint">Each lets one customer see what that customer used, for a while</p>
				</div>
				<div class="actions">
					<button type="button" class="solid" disabled={!asked.data} onClick={() => setMaking(true)}>
						New token
					</button>
				</div>
			</header>
			{error && <Problem error={error} />}
			<Shown asked={asked} what="tokens">
				{({ tokens, metrics: list }) => (
					<>
						{tokens.length === 0 ? (
							<Empty title="No token is good now">
								<p>
									Your application makes one for each visit, with <code>POST /portal-tokens</code>. To see what a customer would:{' '}
									<button type="button" onClick={() => setMaking(true)}>
										New token
									</button>
								</p>
							</Empty>
						) : (
							<Table
								label="Portal tokens"
								tall
								rows={tokens}
								keyOf={(row) => row.id}
								rowHeight={42}
								columns={[
									{ title: 'Customer', width: 'minmax(120px, 2fr)', cell: (row) => <b>{row.customer}</b> },
									{
										title: 'Metrics',
										width: 'minmax(140px, 2fr)',
										cell: (row) =>
											row.usageMetricIds === null ? (
												<span class="faint">all</span>
											) : (
												row.usageMetricIds.map((id) => list.find((metric) => metric.id === id)?.name ?? 'a deleted one').join(', ')
											),
									},
									{ title: 'Made', width: '215px', cell: (row) => <Moment at={row.createdAt} /> },
									{ title: 'Ends', width: '215px', cell: (row) => <Moment at={row.expiresAt} /> },
									{
										title: 'Now',
										width: 'minmax(200px, 1.5fr)',
										cell: (row) => (
											<Sure question="End it?" work={() => end(row.id)}>
												End
											</Sure>
										),
									},
								]}
							/>
						)}
						{making && (
							<Make
								metrics={list}
								customer={customer}
								close={() => {
									setMaking(false);
									change({ customer: null });
									asked.again();
								}}
							/>
						)}
					</>
				)}
			</Shown>
		</>
	);
}

function Make({ metrics: list, customer: given, close }: { metrics: Schemas['UsageMetric'][]; customer: string; close: () => void }) {
	const usable = list.filter((metric) => metric.aggregationType !== 'CUSTOM');
	const [chosen, setChosen] = useState<string[]>(usable.map((metric) => metric.id));
	const [made, setMade] = useState<Made | null>(null);
	const { busy, elsewhere, fault, input, submit } = useForm(
		{ customer: given, expiresIn: '3600' },
		async ({ customer, expiresIn }) => {
			setMade(await answer(api.POST('/portal-tokens', { body: { customer, usageMetricIds: chosen, expiresIn: exact(expiresIn) } })));
		},
		['usageMetricIds'],
	);
	if (made) {
		const link = address(made, chosen);
		return (
			<Over title="The token" close={close}>
				<p class="note">
					It is shown this once, and stored nowhere. Whoever has the address sees the usage of {made.customer} until <Moment at={made.expiresAt} />.
				</p>
				<section>
					<h3>
						Address of the customer’s page <Copy what="the address" text={link} />
					</h3>
					<pre class="json wrapped" tabIndex={0} data-address={link}>
						{link}
					</pre>
				</section>
				<div class="footer">
					<a href={link} target="_blank" rel="noopener noreferrer">
						Open it
					</a>
					<button type="button" class="solid" onClick={close}>
						Done
					</button>
				</div>
			</Over>
		);
	}
	return (
		<Over title="New token" close={close}>
			<form class="form" onSubmit={submit} noValidate>
				<Input {...input('customer', 'Customer')} help="The customer’s id" />
				<Select
					{...input('expiresIn', 'Good for')}
					options={[
						['900', 'a quarter of an hour'],
						['3600', 'an hour'],
						['28800', 'eight hours'],
						['86400', 'a day'],
					]}
				/>
				<fieldset>
					<legend>Metrics that the customer sees</legend>
					{usable.length === 0 && <p class="faint">There is none yet.</p>}
					{usable.map((metric) => (
						<label key={metric.id} class="check">
							<input
								type="checkbox"
								checked={chosen.includes(metric.id)}
								onChange={(event) => setChosen(event.currentTarget.checked ? [...chosen, metric.id] : chosen.filter((id) => id !== metric.id))}
							/>
							{metric.name}
						</label>
					))}
					{fault('usageMetricIds') && <div class="fault">Metrics {fault('usageMetricIds')}</div>}
				</fieldset>
				{elsewhere && <Problem error={elsewhere} />}
				<footer>
					<button class="solid" disabled={busy || chosen.length === 0}>
						Make the token
					</button>
				</footer>
			</form>
		</Over>
	);
}
