// limits.tsx: how much customers may use, when to tell, and what was told
import { useState } from 'preact/hooks';
import { all, answer, api, exact, metrics, type Schemas } from '../api';
import { isNumber, shown } from '../exact';
import { change, linkTo, useAsk, useRefusal, useZone, type Place } from '../hooks';
import { Badge, Empty, Input, Moment, Over, Problem, Select, Shown, Sure } from '../parts/basics';
import { Table } from '../parts/table';

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
									<p class="faint">None. A limit says how much of a metric a customer may use in a period, and keeps out what would go beyond it.</p>
								) : (
									<Table
										label="Limits"
										rows={found.limits}
										keyOf={(row) => row.id}
										open={setLimit}
										columns={[
											{ title: 'Name', width: 'minmax(130px, 2fr)', cell: (row) => <b>{row.name}</b> },
											{ title: 'Metric', width: 'minmax(110px, 1.5fr)', cell: (row) => name(row.usageMetricId) },
											{ title: 'Customer', width: 'minmax(110px, 1.5fr)', cell: (row) => row.customer ?? <span class="faint">each</span> },
											{ title: 'Period', width: 'minmax(130px, 1fr)', cell: (row) => `${row.period} ${row.timezone}` },
											{ title: 'Limit', width: 'minmax(100px, 1fr)', right: true, cell: (row) => shown(row.limit) },
											{ title: 'Beyond', width: '100px', cell: (row) => (row.mode === 'BLOCK' ? <Badge tone="bad">kept out</Badge> : <Badge>told</Badge>) },
										]}
									/>
								)}
							</section>
							<section class="panel" aria-label="Alerts">
								<h2>Alerts</h2>
								{found.alerts.length === 0 ? (
									<p class="faint">None. An alert tells when a customer’s use crosses a threshold.</p>
								) : (
									<Table
										label="Alerts"
										rows={found.alerts}
										keyOf={(row) => row.id}
										open={setAlert}
										columns={[
											{ title: 'Name', width: 'minmax(130px, 2fr)', cell: (row) => <b>{row.name}</b> },
											{ title: 'Metric', width: 'minmax(110px, 1.5fr)', cell: (row) => name(row.usageMetricId) },
											{ title: 'Customer', width: 'minmax(110px, 1.5fr)', cell: (row) => row.customer ?? <span class="faint">each</span> },
											{ title: 'Period', width: 'minmax(130px, 1fr)', cell: (row) => `${row.period} ${row.timezone}` },
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
									limit={limit === 'new' ? undefined : limit}
									customer={place.values.get('customer') ?? ''}
									close={close}
									done={done}
								/>
							)}
							{alert && <AlertForm metrics={found.metrics} alert={alert === 'new' ? undefined : alert} close={close} done={done} />}
						</>
					);
				}}
			</Shown>
		</>
	);
}

// What a form of fields with texts and a save needs.
function useForm<T extends Record<string, string>>(initial: T, save: (form: T) => Promise<unknown>, done: () => void) {
	const [form, setForm] = useState(initial);
	const { refuse, edit, fault, elsewhere } = useRefusal(Object.keys(initial));
	const [busy, setBusy] = useState(false);
	const run = async (work: () => Promise<unknown>) => {
		setBusy(true);
		refuse(null);
		try {
			await work();
			done();
		} catch (caught) {
			refuse(caught as Error);
			setBusy(false);
		}
	};
	return {
		form,
		busy,
		elsewhere,
		run,
		input: (name: keyof T & string, label: string) => ({
			label,
			value: form[name],
			fault: fault(name),
			set: (text: string) => {
				edit(name);
				setForm((old) => ({ ...old, [name]: text }));
			},
		}),
		submit: (event: SubmitEvent) => {
			event.preventDefault();
			void run(() => save(form));
		},
	};
}

// What is no number is refused by the API, in its words.
function number(text: string) {
	return isNumber(text.trim()) ? exact(text.trim()) : (text as unknown as ReturnType<typeof exact>);
}

function options(list: Metric[]): [string, string][] {
	return list.filter((metric) => metric.aggregationType !== 'CUSTOM').map((metric) => [metric.id, metric.name]);
}

function LimitForm({
	metrics: list,
	limit,
	customer,
	close,
	done,
}: {
	metrics: Metric[];
	limit?: Limit;
	customer: string;
	close: () => void;
	done: () => void;
}) {
	const zone = useZone();
	const offered = options(list);
	const { form, busy, elsewhere, input, run, submit } = useForm(
		{
			name: limit?.name ?? '',
			usageMetricId: limit?.usageMetricId ?? offered[0]?.[0] ?? '',
			customer: limit?.customer ?? customer,
			period: limit?.period ?? ('MONTH' as string),
			timezone: limit?.timezone ?? zone,
			anchor: limit?.anchor ?? '',
			limit: limit?.limit.value ?? '',
			mode: limit?.mode ?? ('BLOCK' as string),
		},
		(values) => {
			const body: Schemas['NewUsageLimit'] = {
				name: values.name,
				usageMetricId: values.usageMetricId,
				customer: values.customer === '' ? null : values.customer,
				period: values.period as PeriodName,
				timezone: values.timezone,
				anchor: values.anchor === '' ? null : values.anchor,
				limit: number(values.limit),
				mode: values.mode as Limit['mode'],
			};
			return limit ? answer(api.PUT('/usage-limits/{id}', { params: { path: { id: limit.id } }, body })) : answer(api.POST('/usage-limits', { body }));
		},
		done,
	);
	return (
		<Over title={limit ? 'Limit' : 'New limit'} close={close}>
			<form class="form" onSubmit={submit} noValidate>
				<Input {...input('name', 'Name')} />
				<Select {...input('usageMetricId', 'Metric')} options={offered} />
				<Input {...input('customer', 'Customer')} help="Empty: each customer. A customer’s own limit takes the place of the one for each." />
				<div class="two">
					<Select {...input('period', 'Period')} options={[...PERIODS]} />
					<Input {...input('timezone', 'Time zone')} />
				</div>
				<Input {...input('anchor', 'Begins')} help="Empty: on the calendar. Or a moment with its offset, at whose day and time periods begin." />
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
				<footer>
					{limit && (
						<Sure question="It ends now." work={() => run(() => answer(api.DELETE('/usage-limits/{id}', { params: { path: { id: limit.id } } })))}>
							Delete
						</Sure>
					)}
					<button class="solid" disabled={busy}>
						{limit ? 'Save' : 'Make the limit'}
					</button>
				</footer>
			</form>
		</Over>
	);
}

function AlertForm({ metrics: list, alert, close, done }: { metrics: Metric[]; alert?: Alert; close: () => void; done: () => void }) {
	const zone = useZone();
	const offered = options(list);
	const { busy, elsewhere, input, run, submit } = useForm(
		{
			name: alert?.name ?? '',
			usageMetricId: alert?.usageMetricId ?? offered[0]?.[0] ?? '',
			customer: alert?.customer ?? '',
			period: alert?.period ?? ('MONTH' as string),
			timezone: alert?.timezone ?? zone,
			anchor: alert?.anchor ?? '',
			thresholds: alert?.thresholds.map((one) => one.value).join(', ') ?? '',
			direction: alert?.direction ?? ('ABOVE' as string),
		},
		(values) => {
			const body: Schemas['NewUsageAlert'] = {
				name: values.name,
				usageMetricId: values.usageMetricId,
				customer: values.customer === '' ? null : values.customer,
				period: values.period as PeriodName,
				timezone: values.timezone,
				anchor: values.anchor === '' ? null : values.anchor,
				thresholds: values.thresholds
					.split(',')
					.filter((part) => part.trim() !== '')
					.map(number),
				direction: values.direction as Alert['direction'],
			};
			return alert ? answer(api.PUT('/usage-alerts/{id}', { params: { path: { id: alert.id } }, body })) : answer(api.POST('/usage-alerts', { body }));
		},
		done,
	);
	return (
		<Over title={alert ? 'Alert' : 'New alert'} close={close}>
			<form class="form" onSubmit={submit} noValidate>
				<Input {...input('name', 'Name')} />
				{alert && <p class="note">Name and thresholds can be changed. Make another alert for another period.</p>}
				{!alert && (
					<>
						<Select {...input('usageMetricId', 'Metric')} options={offered} />
						<Input {...input('customer', 'Customer')} help="Empty: each customer" />
						<div class="two">
							<Select {...input('period', 'Period')} options={[...PERIODS]} />
							<Input {...input('timezone', 'Time zone')} />
						</div>
						<Input {...input('anchor', 'Begins')} help="Empty: on the calendar" />
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
				<footer>
					{alert && (
						<Sure question="It tells nothing more." work={() => run(() => answer(api.DELETE('/usage-alerts/{id}', { params: { path: { id: alert.id } } })))}>
							Delete
						</Sure>
					)}
					<button class="solid" disabled={busy}>
						{alert ? 'Save' : 'Make the alert'}
					</button>
				</footer>
			</form>
		</Over>
	);
}
