// browser.mjs: how soon the page is seen, in Chromium: first paint, a customer's month as a chart, and the live list under load
//
//	BASE_URL, CLIENT_ID, CLIENT_SECRET	the API, and for psql and pgbench PGHOST, PGPORT, PGUSER, PGDATABASE
//	CHROMIUM, ROUNDS, LIVE_SECONDS, LIVE_RATE	the browser, how often and how long, and events a second
//	PLAYWRIGHT	the folder of playwright-core
//
// A time ends when the frame that shows what was waited for has been painted.
import { execFileSync, spawn } from 'node:child_process';
import { createRequire } from 'node:module';

const { BASE_URL, CLIENT_ID, CLIENT_SECRET, CHROMIUM, PLAYWRIGHT } = process.env;
const ROUNDS = Number(process.env.ROUNDS ?? 9);
const LIVE_SECONDS = Number(process.env.LIVE_SECONDS ?? 60);
const LIVE_RATE = Number(process.env.LIVE_RATE ?? 1000);
const PAGE = `${BASE_URL}/ui/`;
const FIRST_ROW = '[aria-label="Events"] [aria-rowindex="2"]';
const PATIENCE = 120_000;
const { chromium } = createRequire(import.meta.url)(PLAYWRIGHT);

process.env.PGOPTIONS = '-c search_path=api,public -c synchronous_commit=off';

function sql(text) {
	return execFileSync('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', text], { encoding: 'utf8' }).trim();
}

function quantile(values, part) {
	return [...values].sort((a, b) => a - b)[Math.ceil(part * values.length) - 1];
}

function say(what, values, wanted = '') {
	const [median, worst] = [quantile(values, 0.5), Math.max(...values)].map((value) => value.toFixed(0).padStart(8));
	console.log(`${what.padEnd(56)} ${median} ${worst} ${wanted.padStart(8)}`);
}

// In the page, before anything of its own runs.
function prepare(credentials) {
	if (credentials) sessionStorage.setItem('usage_events.credentials', credentials);
	addEventListener('click', (event) => (window.clicked = event.timeStamp), true);
	// What is posted in a frame comes after it was painted.
	const afterPaint = (run) =>
		requestAnimationFrame(() => {
			const { port1, port2 } = new MessageChannel();
			port1.onmessage = run;
			port2.postMessage(null);
		});
	const whenever = (look) => {
		const observer = new MutationObserver(look);
		observer.observe(document, {
			subtree: true,
			childList: true,
			characterData: true,
			attributes: true,
			attributeFilter: ['data-drawn', 'data-value', 'datetime'],
		});
		return observer;
	};
	window.painted = (selector) =>
		new Promise((resolve) => {
			const look = () => {
				if (!document.querySelector(selector)) return;
				observer.disconnect();
				afterPaint(() => resolve(performance.now()));
			};
			const observer = whenever(look);
			look();
		});
	// When the newest row of the list was another one, and when that event happened.
	window.follow = (row) => {
		window.draws = [];
		window.blocked = 0;
		new PerformanceObserver((list) => list.getEntries().forEach((task) => (window.blocked += task.duration))).observe({ type: 'longtask' });
		let last;
		whenever(() => {
			const newest = document.querySelector(`${row} time`)?.dateTime;
			if (!newest || newest === last) return;
			last = newest;
			afterPaint(() => window.draws.push({ at: Date.now(), newest: Date.parse(newest) }));
		});
	};
}

const browser = await chromium.launch({ executablePath: CHROMIUM });
const credentials = JSON.stringify({ authorization: `Basic ${Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString('base64')}`, name: CLIENT_ID });
const failures = [];

// A page that has nothing kept, of somebody who has signed in or has not.
async function fresh(signedIn) {
	const context = await browser.newContext({ viewport: { width: 1360, height: 850 }, timezoneId: 'UTC' });
	context.setDefaultTimeout(PATIENCE);
	await context.addInitScript(prepare, signedIn ? credentials : null);
	const page = await context.newPage();
	page.on('pageerror', (error) => failures.push(String(error)));
	page.on('response', (response) => response.status() >= 400 && failures.push(`${response.status()} ${response.url()}`));
	return page;
}

// Milliseconds until something is seen in a page that is opened.
async function opened(place, selector) {
	const page = await fresh(true);
	await page.addInitScript((wanted) => (window.opened = window.painted(wanted)), selector);
	await page.goto(`${PAGE}#/${place}`);
	const took = await page.evaluate(() => window.opened);
	await page.context().close();
	return took;
}

async function firstPaint() {
	const page = await fresh(false);
	await page.goto(PAGE);
	await page.evaluate(() => window.painted('form'));
	// Chromium tells of a paint some time after it.
	const took = await page.evaluate(
		() =>
			new Promise((resolve) => {
				const look = (list) => list.getEntriesByName('first-contentful-paint').forEach((entry) => resolve(entry.startTime));
				new PerformanceObserver(look).observe({ type: 'paint', buffered: true });
			}),
	);
	await page.context().close();
	return took;
}

// A customer's month --------------------------------------------------------------------

const [metric, from, to, days] =
	sql(`SELECT id, to_char(begin AT TIME ZONE 'UTC', 'YYYY-MM-DD'), to_char("end" AT TIME ZONE 'UTC' - interval '1 day', 'YYYY-MM-DD'),
	extract(day FROM "end" AT TIME ZONE 'UTC' - interval '1 day') FROM usage_metrics, bench_month`).split('|');
const month = `usage?metric=${metric}&from=${from}&to=${to}`;

// The chart that has the exact value of these customers.
function chartOf(customers) {
	const value = sql(`SELECT calculate_usage_metric('${metric}', '{${customers}}', tstzrange(begin, "end")) ->> 'value' FROM bench_month`);
	return `[aria-label="Chart"]:has([data-value="${value}"]) [data-drawn="${days}"]`;
}

// From the click on a customer's row to the chart of that customer alone, and until the API's last answer; and back.
async function clicked(page, customer, chart, all) {
	const row = page.getByRole('table', { name: 'By customer' }).getByText(customer, { exact: false }).first();
	const drawn = page.evaluate((wanted) => window.painted(wanted), chart);
	await row.click();
	const at = await drawn;
	const times = await page.evaluate((end) => {
		const answers = performance.getEntriesByType('resource').filter((one) => one.startTime >= window.clicked && one.responseEnd <= end);
		performance.clearResourceTimings();
		return { whole: end - window.clicked, answers: Math.max(...answers.map((one) => one.responseEnd)) - window.clicked };
	}, at);
	await row.click();
	await page.evaluate((wanted) => window.painted(wanted), all);
	return times;
}

// The list, followed ---------------------------------------------------------------------

// What pgbench says of what it did.
function send() {
	const arguments_ = [
		'-n',
		'-M',
		'prepared',
		'-c',
		'4',
		'-R',
		String(LIVE_RATE),
		'-T',
		String(LIVE_SECONDS),
		'-f',
		new URL('live.sql', import.meta.url).pathname,
	];
	const child = spawn('pgbench', arguments_, { stdio: ['ignore', 'pipe', 'inherit'] });
	return new Promise((resolve, reject) => {
		let said = '';
		child.stdout.on('data', (part) => (said += part));
		child.on('error', reject);
		child.on('close', (status) => (status === 0 ? resolve(said) : reject(new Error(`pgbench: ${status} ${said}`))));
	});
}

async function live() {
	const page = await fresh(true);
	await page.goto(`${PAGE}#/events`);
	await page.evaluate((row) => window.painted(row), FIRST_ROW);
	await page.evaluate((row) => window.follow(row), FIRST_ROW);
	const said = await send();
	const { draws, blocked } = await page.evaluate(() => ({ draws: window.draws, blocked: window.blocked }));
	await page.context().close();
	const late = draws.map((draw) => draw.at - draw.newest);
	const third = Math.floor(late.length / 3);
	if (third < 1) throw new Error(`the list was drawn ${late.length} times: LIVE_SECONDS are too few`);
	const rate = Number(/^tps = ([\d.]+)/m.exec(said)[1]).toFixed(0);
	say(`newest row of the list when drawn, at ${rate} events/s`, late);
	say('  in the first third of the time', late.slice(0, third));
	say('  in the last third', late.slice(-third));
	say(
		'  from one drawing to the next (it asks every 2000 ms)',
		draws.slice(1).map((draw, number) => draw.at - draws[number].at),
	);
	console.log(`  drawn ${draws.length} times; tasks longer than 50 ms took ${((blocked / LIVE_SECONDS) * 0.1).toFixed(1)} % of the time`);
}

// All of it --------------------------------------------------------------------------------

console.log(`${'milliseconds'.padEnd(56)} ${'median'.padStart(8)} ${'worst'.padStart(8)} ${'wanted'.padStart(8)}`);
const customers = ['small', 'medium', 'large'];
const chart = Object.fromEntries(customers.map((customer) => [customer, chartOf(customer)]));
const all = chartOf(customers);
const took = { paint: [], list: [], month: [], ...Object.fromEntries(customers.map((customer) => [customer, []])) };
const usage = await fresh(true);
await usage.goto(`${PAGE}#/${month}`);
await usage.evaluate((wanted) => window.painted(wanted), all);
for (let round = 0; round < ROUNDS; round++) {
	took.paint.push(await firstPaint());
	took.list.push(await opened('events', FIRST_ROW));
	took.month.push(await opened(`${month}&customers=large`, chart.large));
	for (const customer of customers) took[customer].push(await clicked(usage, customer, chart[customer], all));
}
await usage.context().close();
say('first paint of the page, nothing kept', took.paint, '500');
say('the list of events, nothing kept, signed in', took.list);
say('the month of "large", nothing kept, signed in', took.month);
for (const customer of customers) {
	const count = sql(`SELECT event_count FROM bench_month, usage_metric_by_customer('${metric}', tstzrange(begin, "end")) WHERE customer = '${customer}'`);
	say(
		`click to pixels: the month of ${count} events`,
		took[customer].map((one) => one.whole),
		'100',
	);
	say(
		'  until the last answer of the API',
		took[customer].map((one) => one.answers),
	);
}
await live();
await browser.close();
if (failures.length > 0) throw new Error(failures.join('\n'));
