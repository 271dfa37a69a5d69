// limits.tsx: how much customers may use, when to tell, and what was told
import { useState } from 'preact/hooks';
import { all, answer, api, exact, metrics, type Schemas } from '../api';
import { isNumber, shown } from '../exact';
import { change, linkTo, useAsk, useForm, useZone, type Place } from '../hooks';
import { Badge, Empty, Input, Moment, Over, Problem, Select, Shown, Sure } from '../parts/basics';
import { Table, type Column } from '../parts/table';

type Limit = Schemas['UsageLimit'];
type Alert = Schemas['UsageAlert'];
type Metric = Schemas['UsageMetric'];

const PERIODS = ['HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR', 'ALL_TIME'] as const;
type PeriodName = (typeof PERIODS)[number];

export function Limits({ place }: { place: Place }) {
	const [limit, setLimit] = useState<Limit | 'new' | null>(place.values.get('customer') ? 'new' : null);
	const [alert, setAlert] = useState<Alert | 'new' | null>(null);
	const asked = useAsk(async (signal) => {
		const [limits, alerts, list] = await Promise.all([
			all((after) => answer(api.GET('/usage-limits', { params: { query: { limit: 100, after } }, signal })), 100),
			all((after) => answer(api.GET('/usage-alerts', { params: { query: { limit: 100, after } }, signal })), 100),
			metrics(signal),
		]);
		return { limits, alerts, metrics: list };
	}, []);
	const told = useAsk((signal) => answer(api.GET('/usage-alert-events', { params: { query: { limit: 100 } }, signal })), [], 5000);
	const close = () => {
		setLimit(null);
		setAlert(null);
		change({ customer: null });
	};
	const done = () => {
		close();
		asked.again();
	};
	const none = asked.data?.metrics.length === 0;
	return (
		<>
			<header class="top">
				<div>
					<h1>Limits and alerts</h1>
					<p class="faint">What customers may use, and when to tell</p>
				</div>
				<div class="actions">
					<button type="button" disabled={!asked.data || none} onClick={() => setAlert('new')}>
						New alert
					</button>
					<button type="button" class="solid" disabled={!asked.data || none} onClick={() => setLimit('new')}>
						New limit
					</button>
				</div>
			</header>
			<Shown asked={asked} what="limits and alerts">
				{(found) => {
					const name = (id: string) => found.metrics.find((metric) => metric.id === id)?.name ?? 'a deleted metric';
					return (
						<>
							{none && (
								<Empty title="No metric yet">
									<p>
										Limits and alerts are of what a metric says. <a href={linkTo(['metrics', 'new'])}>Make a metric</a>
									</p>
								</Empty>
							)}
							<section class="panel" aria-label="Limits">
								<h2>Limits</h2>
								{found.limits.length === 0 ? (
									<Empty title="No limit yet">
										<p>A limit says how much of a metric a customer may use in a period, and keeps out what would go beyond it.</p>
										{!none && (
											<button type="button" onClick={() => setLimit('new')}>
												Make the first one
											</button>
										)}
									</Empty>
								) : (
									<Table
										label="Limits"
										rows={found.limits}
										keyOf={(row) => row.id}
										open={setLimit}
										columns={[
											...scopeColumns<Limit>(name),
											{ title: 'Limit', width: 'minmax(100px, 1fr)', right: true, cell: (row) => shown(row.limit) },
											{ title: 'Beyond', width: '100px', cell: (row) => (row.mode === 'BLOCK' ? <Badge tone="bad">kept out</Badge> : <Badge>told</Badge>) },
										]}
									/>
								)}
							</section>
							<section class="panel" aria-label="Alerts">
								<h2>Alerts</h2>
								{found.alerts.length === 0 ? (
									<Empty title="No alert yet">
										<p>An alert tells when a customer’s use crosses a threshold.</p>
										{!none && (
											<button type="button" onClick={() => setAlert('new')}>
												Make the first one
											</button>
										)}
									</Empty>
								) : (
									<Table
										label="Alerts"
										rows={found.alerts}
										keyOf={(row) => row.id}
										open={setAlert}
										columns={[
											...scopeColumns<Alert>(name),
											{
												title: 'Tells when',
												width: 'minmax(140px, 1.5fr)',
												cell: (row) => `${row.direction.toLowerCase()} ${row.thresholds.map(shown).join(', ')}`,
											},
										]}
									/>
								)}
							</section>
							<section class="panel" aria-label="Crossed thresholds">
								<h2>Crossed thresholds</h2>
								<Shown asked={told} what="crossed thresholds">
									{({ items }) =>
										items.length === 0 ? (
											<p class="faint">None yet. They are noticed when rollups are refreshed.</p>
										) : (
											<Table
												label="Crossed thresholds"
												rows={items}
												keyOf={(row) => row.id}
												columns={[
													{ title: 'When', width: '215px', cell: (row) => <Moment at={row.occurredAt} /> },
													{
														title: 'Alert',
														width: 'minmax(120px, 1.5fr)',
														cell: (row) => found.alerts.find((one) => one.id === row.usageAlertId)?.name ?? 'a deleted alert',
													},
													{ title: 'Customer', width: 'minmax(110px, 1fr)', cell: (row) => row.customer },
													{ title: 'Threshold', width: 'minmax(90px, 1fr)', right: true, cell: (row) => shown(row.threshold) },
													{ title: 'Value', width: 'minmax(90px, 1fr)', right: true, cell: (row) => shown(row.value) },
													{
														title: 'State',
														width: '110px',
														cell: (row) => <Badge tone={row.state === 'TRIGGERED' ? 'bad' : 'good'}>{row.state.toLowerCase()}</Badge>,
													},
												]}
											/>
										)
									}
								</Shown>
							</section>
							{limit && (
								<LimitForm
									metrics={found.metrics}
									made={limit === 'new' ? undefined : limit}
									customer={place.values.get('customer') ?? ''}
									close={close}
									done={done}
								/>
							)}
							{alert && <AlertForm metrics={found.metrics} made={alert === 'new' ? undefined : alert} close={close} done={done} />}
						</>
					);
				}}
			</Shown>
		</>
	);
}

function scopeColumns<T extends Scoped>(metric: (id: string) => string): Column<T>[] {
	return [
		{ title: 'Name', width: 'minmax(130px, 2fr)', cell: (row) => <b>{row.name}</b> },
		{ title: 'Metric', width: 'minmax(110px, 1.5fr)', cell: (row) => metric(row.usageMetricId) },
		{ title: 'Customer', width: 'minmax(110px, 1.5fr)', cell: (row) => row.customer ?? <span class="faint">each</span> },
		{ title: 'Period', width: 'minmax(150px, 1.5fr)', cell: (row) => (row.period === 'ALL_TIME' ? row.period : `${row.period} ${row.timezone}`) },
	];
}

// What is no number is refused by the API, in its words.
function number(text: string) {
	return isNumber(text.trim()) ? exact(text.trim()) : (text as unknown as ReturnType<typeof exact>);
}

interface Scoped {
	name: string;
	usageMetricId: string;
	customer: string | null;
	period: string;
	timezone: string;
	anchor: string | null;
}

// What limits and alerts have in common: of which metric they are, of whom, and in which periods.
function scopeOf(scoped: Scoped | undefined, usual: { metrics: Metric[]; customer: string; timezone: string }) {
	return {
		name: scoped?.name ?? '',
		usageMetricId: scoped?.usageMetricId ?? usual.metrics.find((metric) => metric.aggregationType !== 'CUSTOM')?.id ?? '',
		customer: scoped?.customer ?? usual.customer,
		period: scoped?.period ?? 'MONTH',
		timezone: scoped?.timezone ?? usual.timezone,
		anchor: scoped?.anchor ?? '',
	};
}

type Scope = ReturnType<typeof scopeOf>;

function bodyOf({ name, usageMetricId, customer, period, timezone, anchor }: Scope) {
	return {
		name,
		usageMetricId,
		customer: customer === '' ? null : customer,
		period: period as PeriodName,
		timezone,
		anchor: anchor === '' ? null : anchor,
	};
}

type InputOf = (name: keyof Scope, label: string) => { label: string; value: string; fault: string | undefined; set: (text: string) => void };

function ScopeFields({ input, metrics: list, own }: { input: InputOf; metrics: Metric[]; own?: string }) {
	return (
		<>
			<Select
				{...input('usageMetricId', 'Metric')}
				options={list.filter((metric) => metric.aggregationType !== 'CUSTOM').map((metric): [string, string] => [metric.id, metric.name])}
			/>
			<Input {...input('customer', 'Customer')} help={`Empty: each customer.${own ? ` ${own}` : ''}`} />
			<div class="two">
				<Select {...input('period', 'Period')} options={[...PERIODS]} />
				<Input {...input('timezone', 'Time zone')} />
			</div>
			<Input {...input('anchor', 'Begins')} help="Empty: on the calendar. Or a moment with its offset, at whose day and time periods begin." />
		</>
	);
}

interface FooterProperties {
	busy: boolean;
	save: string;
	remove?: { question: string; work: () => Promise<void> };
}

function Footer({ busy, save, remove }: FooterProperties) {
	return (
		<footer>
			{remove && (
				<Sure question={remove.question} work={remove.work}>
					Delete
				</Sure>
			)}
			<button class="solid" disabled={busy}>
				{save}
			</button>
		</footer>
	);
}

interface FormProperties<T> {
	metrics: Metric[];
	made?: T;
	customer?: string;
	close: () => void;
	done: () => void;
}

function LimitForm({ metrics: list, made: limit, customer = '', close, done }: FormProperties<Limit>) {
	const timezone = useZone();
	const { form, busy, elsewhere, input, run, submit } = useForm(
		{
			...scopeOf(limit, { metrics: list, customer, timezone }),
			limit: limit?.limit.value ?? '',
			mode: limit?.mode ?? ('BLOCK' as string),
		},
		async (values) => {
			const body: Schemas['NewUsageLimit'] = { ...bodyOf(values), limit: number(values.limit), mode: values.mode as Limit['mode'] };
			await (limit ? answer(api.PUT('/usage-limits/{id}', { params: { path: { id: limit.id } }, body })) : answer(api.POST('/usage-limits', { body })));
			done();
		},
	);
	const remove = limit && {
		question: 'It ends now.',
		work: () =>
			run(async () => {
				await answer(api.DELETE('/usage-limits/{id}', { params: { path: { id: limit.id } } }));
				done();
			}),
	};
	return (
		<Over title={limit ? 'Limit' : 'New limit'} close={close}>
			<form class="form" onSubmit={submit} noValidate>
				<Input {...input('name', 'Name')} />
				<ScopeFields input={input} metrics={list} own="A customer’s own limit takes the place of the one for each." />
				<div class="two">
					<Input {...input('limit', 'Limit')} inputMode="decimal" />
					<Select
						{...input('mode', 'What goes beyond')}
						options={[
							['BLOCK', 'is kept out'],
							['REPORT', 'is only told'],
						]}
					/>
				</div>
				{form.mode === 'BLOCK' && <p class="note">Events beyond it are refused from now on.</p>}
				{elsewhere && <Problem error={elsewhere} />}
				<Footer busy={busy} save={limit ? 'Save' : 'Make the limit'} remove={remove} />
			</form>
		</Over>
	);
}

function AlertForm({ metrics: list, made: alert, customer = '', close, done }: FormProperties<Alert>) {
	const timezone = useZone();
	const { busy, elsewhere, input, run, submit } = useForm(
		{
			...scopeOf(alert, { metrics: list, customer, timezone }),
			thresholds: alert?.thresholds.map((one) => one.value).join(', ') ?? '',
			direction: alert?.direction ?? ('ABOVE' as string),
		},
		async (values) => {
			const thresholds = values.thresholds.split(',').filter((part) => part.trim() !== '');
			const body: Schemas['NewUsageAlert'] = { ...bodyOf(values), thresholds: thresholds.map(number), direction: values.direction as Alert['direction'] };
			await (alert ? answer(api.PUT('/usage-alerts/{id}', { params: { path: { id: alert.id } }, body })) : answer(api.POST('/usage-alerts', { body })));
			done();
		},
	);
	const remove = alert && {
		question: 'It tells nothing more.',
		work: () =>
			run(async () => {
				await answer(api.DELETE('/usage-alerts/{id}', { params: { path: { id: alert.id } } }));
				done();
			}),
	};
	return (
		<Over title={alert ? 'Alert' : 'New alert'} close={close}>
			<form class="form" onSubmit={submit} noValidate>
				<Input {...input('name', 'Name')} />
				{alert ? (
					<p class="note">Name and thresholds can be changed. Make another alert for another period.</p>
				) : (
					<>
						<ScopeFields input={input} metrics={list} />
						<Select
							{...input('direction', 'Tells when the value')}
							options={[
								['ABOVE', 'reaches a threshold'],
								['BELOW', 'falls below one'],
							]}
						/>
					</>
				)}
				<Input {...input('thresholds', 'Thresholds')} help="1 to 20 numbers, ascending, with commas between them" />
				{elsewhere && <Problem error={elsewhere} />}
				<Footer busy={busy} save={alert ? 'Save' : 'Make the alert'} remove={remove} />
			</form>
		</Over>
	);
}
