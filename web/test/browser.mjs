// browser.mjs: what a person does on each screen, in Chromium; the effect is looked for in the page and in the database
//
//	PAGE, CHROMIUM, CLIENT_ID, CLIENT_SECRET	and for psql PGHOST, PGPORT, PGUSER, PGDATABASE
//	SCREENSHOTS=...	a folder for pictures
//
// Prints "ok - NAME" or "not ok - NAME" for each check, and why.
import { execFileSync } from 'node:child_process';
import { readFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const { PAGE, CHROMIUM, CLIENT_ID, CLIENT_SECRET, SCREENSHOTS } = process.env;
const PATIENCE = 60_000;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
// New ones each time.
const LIVE = ['live', 'paused'].map((name) => `${name}-${Date.now()}`);
// As a name of everything that has one.
const MARKUP = '<img src=x onerror="window.broken=1">';

function sql(text) {
	return execFileSync('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-c', 'SET search_path = api, public', '-c', text], { encoding: 'utf8' }).trim();
}

async function until(what, expected) {
	const end = Date.now() + PATIENCE;
	let found;
	do {
		found = await what();
		if (typeof expected === 'function' ? expected(found) : found === expected) return;
		await new Promise((resolve) => setTimeout(resolve, 100));
	} while (Date.now() < end);
	throw new Error(`expected ${expected}, found ${found}`);
}

const browser = await chromium.launch({ executablePath: CHROMIUM });
const context = await browser.newContext({
	viewport: { width: 1360, height: 850 },
	timezoneId: 'Europe/Berlin',
	permissions: ['clipboard-read', 'clipboard-write'],
});
context.setDefaultTimeout(PATIENCE);
const page = await context.newPage();
const complaints = [];
page.on('console', (message) => {
	if (message.type() === 'error' && !/status of [45]\d\d|ERR_INTERNET_DISCONNECTED/.test(message.text())) complaints.push(message.text());
});
page.on('pageerror', (error) => complaints.push(String(error)));
const foreign = [];
page.on('request', (request) => {
	if (!request.url().startsWith(new URL(PAGE).origin)) foreign.push(request.url());
});

let failed = 0;
async function check(name, run) {
	try {
		await run();
		console.log(`ok - ${name}`);
	} catch (error) {
		failed++;
		console.log(`not ok - ${name}`);
		console.log(
			String(error.stack ?? error)
				.split('\n')
				.slice(0, 12)
				.map((line) => `  ${line}`)
				.join('\n'),
		);
		await picture(`failed-${failed}`);
	}
}

async function picture(name, of = page) {
	if (!SCREENSHOTS) return;
	mkdirSync(SCREENSHOTS, { recursive: true });
	await of.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}

async function accessible(name, of = page) {
	await of.evaluate(axe);
	const found = await of.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
	const told = found.violations.map(
		(one) =>
			`${one.id}: ${one.nodes
				.slice(0, 3)
				.map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`)
				.join(' | ')}`,
	);
	if (told.length > 0) throw new Error(`${name}\n${told.join('\n')}`);
}

const go = (place) => page.goto(`${PAGE}#/${place}`);
const heading = (text) => page.getByRole('heading', { name: text, level: 1 }).waitFor();
const dialog = () => page.getByRole('dialog');

// Signing in ----------------------------------------------------------------------

await check('nginx sends the page with a strict policy, and nothing of it is found elsewhere', async () => {
	const response = await page.goto(PAGE);
	const policy = response.headers()['content-security-policy'] ?? '';
	for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]) {
		if (!policy.includes(part)) throw new Error(`${part} is not in ${policy}`);
	}
	if (policy.includes('unsafe')) throw new Error(policy);
	if (response.headers()['x-content-type-options'] !== 'nosniff') throw new Error('nosniff');
});

await check('a wrong secret is told, and a good one lets in', async () => {
	await page.getByLabel('Client id or token').fill(CLIENT_ID);
	await page.getByLabel('Client secret').fill('0'.repeat(64));
	await page.getByRole('button', { name: 'Sign in' }).click();
	await page.getByText('This key is not known here').waitFor();
	await picture('sign-in');
	await accessible('signing in');
	await page.getByLabel('Client secret').fill(CLIENT_SECRET);
	await page.getByRole('button', { name: 'Sign in' }).click();
	await heading('Events');
});

await check('credentials are kept for this tab alone', async () => {
	const kept = await page.evaluate(() => [Object.keys(localStorage).length, document.cookie, sessionStorage.length]);
	if (kept[0] !== 0 || kept[1] !== '' || kept[2] === 0) throw new Error(JSON.stringify(kept));
	await page.reload();
	await heading('Events');
});

// Events --------------------------------------------------------------------------

await check('events are listed, as many as the database has', async () => {
	const count = sql('SELECT count(*) FROM usage_events');
	await until(async () => (await page.locator('main .top').innerText()).replace(/\D/g, ''), count);
	await page.getByRole('table', { name: 'Events' }).getByRole('row').nth(1).waitFor();
	await picture('events');
	await accessible('events');
});

await check('a test event says its faults at their fields, and nothing is stored', async () => {
	const before = sql('SELECT count(*) FROM usage_events');
	await page.getByRole('button', { name: 'Send a test event' }).click();
	await page.getByLabel('Happened', { exact: true }).fill('yesterday');
	await dialog().getByRole('button', { name: 'Send' }).click();
	await page.getByText('Customer alias is missing').waitFor();
	await page.getByText('Type is missing').waitFor();
	await page.locator('.fault', { hasText: 'Happened' }).waitFor();
	await picture('test-event-faults');
	await accessible('faults of a form');
	if (sql('SELECT count(*) FROM usage_events') !== before) throw new Error('something was stored');
});

await check('a test event is stored, with markup in its names and all of its digits, and opens', async () => {
	await dialog().getByLabel('Customer alias').fill(MARKUP);
	await dialog().getByLabel('Type').fill(`type ${MARKUP}`);
	await dialog().getByLabel('Happened', { exact: true }).fill('2026-10-15T08:44:47.123456+02:00');
	await dialog().getByLabel('Event id').fill('test-1');
	await dialog()
		.getByLabel('Properties')
		.fill(JSON.stringify({ [MARKUP]: MARKUP }).replace('{', '{"amount": 12345678901234567890.123456789, '));
	await dialog().getByRole('button', { name: 'Send' }).click();
	await dialog().getByText('12345678901234567890.123456789').waitFor();
	await until(() => sql("SELECT event_properties ->> 'amount' FROM usage_events WHERE customer_event_id = 'test-1'"), '12345678901234567890.123456789');
	await dialog().getByText('2026-10-15 08:44:47.123456').waitFor();
	await dialog().getByText('No metric counts events of the type').waitFor();
	await dialog().getByText('This is the only one').waitFor();
	await picture('event-markup');
	if (await page.evaluate(() => window.broken)) throw new Error('markup was run');
	await page.keyboard.press('Escape');
	await dialog().waitFor({ state: 'detached' });
});

await check('an event that comes appears by itself; paused, it does not', async () => {
	sql(`SELECT create_usage_event('{"customerEventId": "${LIVE[0]}", "customerAlias": "acme", "eventType": "live"}')`);
	await page.getByText(LIVE[0]).waitFor();
	await page.getByRole('button', { name: 'Live: pause' }).click();
	sql(`SELECT create_usage_event('{"customerEventId": "${LIVE[1]}", "customerAlias": "acme", "eventType": "live"}')`);
	await page.waitForTimeout(5000);
	if ((await page.getByText(LIVE[1]).count()) > 0) throw new Error('it is not paused');
	await page.getByRole('button', { name: 'Paused: follow' }).click();
	await page.getByText(LIVE[1]).waitFor();
});

await check('filters are in the address bar, and an address brings them back', async () => {
	await page.getByLabel('Customer alias').fill('globex');
	await page.getByLabel('Type').fill('api-call');
	await until(async () => page.url().includes('customer=globex') && page.url().includes('type=api-call'), true);
	const count = sql("SELECT count(*) FROM usage_events WHERE customer_alias = 'globex' AND event_type = 'api-call'");
	await until(async () => (await page.locator('main .top').innerText()).replace(/\D/g, ''), count);
	await page.reload();
	await until(async () => (await page.locator('main .top').innerText()).replace(/\D/g, ''), count);
	if ((await page.getByLabel('Customer alias').inputValue()) !== 'globex') throw new Error('the field is empty');
});

await check('what nobody has is said, with what to do next', async () => {
	await page.getByLabel('Event id').fill('nobody has this');
	await page.getByText('No event passes these filters').waitFor();
	await picture('events-empty');
	await page.getByRole('button', { name: 'Take the filters away' }).click();
	await page.getByRole('table', { name: 'Events' }).waitFor();
});

await check('a corrected event shows its versions, what changed, and that it counts', async () => {
	sql(`SELECT create_usage_event('{"customerEventId": "evt_5t0nthk33xhi0t8j", "customerAlias": "globex", "eventType": "api-call",
		"eventTimestamp": "2026-10-15T08:44:47.356+02:00", "eventProperties": {"milliseconds": 79.646, "endpoint": "/v1/orders", "status": 200}}')`);
	await go('events?id=evt_5t0nthk33xhi0t8j');
	await page.getByRole('table', { name: 'Events' }).getByText('evt_5t0nthk33xhi0t8j').click();
	await dialog().locator('.changes', { hasText: '179.646' }).getByText('79.646', { exact: true }).waitFor();
	await dialog().locator('.explained li', { hasText: 'API time' }).getByText('counts').waitFor();
	await dialog().locator('.explained').getByText('79.646 ms').waitFor();
	await until(
		() => sql("SELECT count(*) FROM usage_event_history WHERE customer_event_id = 'evt_5t0nthk33xhi0t8j'"),
		(count) => Number(count) >= 1,
	);
	await picture('event');
	await accessible('an event');
	await page.keyboard.press('Escape');
});

for (const module of ['usage', 'customers', 'metrics', 'limits', 'rejected', 'health', 'portal']) {
	try {
		readFileSync(new URL(`${module}.mjs`, import.meta.url));
	} catch {
		continue;
	}
	await (await import(`./${module}.mjs`)).default({ sql, until, check, picture, accessible, go, heading, dialog, page, context, MARKUP, PAGE });
}

// All screens ----------------------------------------------------------------------

await check('dark, and on a telephone, the list is there', async () => {
	await page.emulateMedia({ colorScheme: 'dark' });
	await go('events');
	await page.getByRole('table', { name: 'Events' }).getByRole('row').nth(3).waitFor();
	await picture('events-dark');
	await accessible('dark');
	await page.setViewportSize({ width: 390, height: 800 });
	await picture('events-telephone');
	await accessible('a telephone');
	const wide = await page.evaluate(() => document.documentElement.scrollWidth);
	if (wide > 390) throw new Error(`the page is ${wide} wide`);
	await page.emulateMedia({ colorScheme: 'light' });
	await page.setViewportSize({ width: 1360, height: 850 });
});

await check('a server that is gone is told, and its return noticed', async () => {
	await go('events');
	await page.getByRole('table', { name: 'Events' }).waitFor();
	await context.setOffline(true);
	await page.getByText('The server cannot be reached').waitFor();
	await picture('unreachable');
	await context.setOffline(false);
	await page.getByText('The server cannot be reached').waitFor({ state: 'detached' });
});

await check('a key that has ended leads back to signing in', async () => {
	sql(`SELECT usage_events.expire_api_key('${CLIENT_ID}', now())`);
	await page.getByText('The key is not good any more').waitFor();
	if ((await page.evaluate(() => sessionStorage.getItem('usage_events.credentials'))) !== null) throw new Error('it is kept');
});

await check('no policy was broken, no script failed, no other host asked, no markup run', async () => {
	if (complaints.length + foreign.length > 0) throw new Error([...complaints, ...foreign].join('\n'));
	if (await page.evaluate(() => window.broken)) throw new Error('markup was run');
});

await browser.close();
process.exit(0);
