// send.mjs: sends usage alert events to endpoints on the web, as Standard Webhooks
//
// Usage: node send.mjs config.json
//
// Each endpoint is a consumer of its own: it gets every event, and one that is down holds up nobody else.  An event is
// acknowledged once its endpoint has answered 2xx, so it arrives at least once, whatever crashes: act on webhook-id once.
// Events of one alert and one customer arrive in order.  Any number of these processes may run at a time.
//
// The database is the one that PGHOST, PGUSER, PGDATABASE and the like name.  Numbers are sent digit by digit as the
// database has them: the body is made of its text, and never of a number of this language.
import { EventEmitter, setMaxListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Counter, Gauge, Histogram, register } from 'prom-client';
import { Webhook } from 'standardwebhooks';

const config = {
	consumer: 'webhooks', // names of consumers begin with it
	eventsAtATime: 20,
	leaseSeconds: 60, // how long an event is held by a process that does not come back
	timeoutSeconds: 10, // for an answer
	attempts: 3, // until an event is left for later
	pollSeconds: 10, // how often to look without being notified
	firstDelaySeconds: 1, // after a failure; twice as long after each that follows it
	longestDelaySeconds: 300,
	metricsPort: 9187, // 0: none
	...JSON.parse(readFileSync(process.argv[2], 'utf8')),
};

const deliveries = new Counter({
	name: 'webhook_deliveries_total',
	help: 'Attempts to send an event, by what became of them',
	labelNames: ['endpoint', 'result'],
});
const failures = new Gauge({
	name: 'webhook_rounds_failed',
	help: 'Rounds in which nothing could be sent, since the last one in which something was',
	labelNames: ['endpoint'],
});
const seconds = new Histogram({
	name: 'webhook_delivery_seconds',
	help: 'Time to an answer',
	labelNames: ['endpoint'],
});

const stopping = new AbortController();
setMaxListeners(0, stopping.signal);
const database = new pg.Pool({ max: config.endpoints.length });
// A connection that breaks while it is idle is replaced by the next one that is asked for.
database.on('error', (error) => log('database', error.message));

function log(where, message) {
	console.error(`${new Date().toISOString()} ${where}: ${message}`);
}

// Waits so long, or until this process is to stop, or is notified of events after the given number of notifications.
const notifications = Object.assign(new EventEmitter(), { count: 0 });
notifications.setMaxListeners(0);
async function rest(duration, counted = Infinity) {
	if (stopping.signal.aborted || notifications.count > counted) return;
	const waking = new AbortController();
	const wake = () => waking.abort();
	stopping.signal.addEventListener('abort', wake);
	if (counted < Infinity) notifications.on('come', wake);
	await sleep(duration * 1000, undefined, { signal: waking.signal }).catch(() => {});
	stopping.signal.removeEventListener('abort', wake);
	notifications.off('come', wake);
}

function notify() {
	notifications.count++;
	notifications.emit('come');
}

// Whether an endpoint wants an event; what it does not want is acknowledged for it.
function wants(endpoint, event) {
	return (
		(!endpoint.usageAlertIds || endpoint.usageAlertIds.includes(event.usageAlertId)) &&
		(!endpoint.customers || endpoint.customers.includes(event.customer))
	);
}

async function post(endpoint, { event, text }) {
	const now = new Date();
	const type = `usage_alert.${event.state.toLowerCase()}`;
	const body = `{"type":"${type}","timestamp":"${event.occurredAt}","data":${text}}`;
	const response = await fetch(endpoint.url, {
		method: 'POST',
		redirect: 'manual', // whoever moves says so to people, and not to a program that has a secret
		signal: AbortSignal.timeout(config.timeoutSeconds * 1000),
		headers: {
			'content-type': 'application/json',
			'webhook-id': event.id,
			'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
			'webhook-signature': endpoint.webhook.sign(event.id, now, body),
		},
		body,
	});
	await response.body?.cancel();
	if (!response.ok) throw new Error(`answered ${response.status}`);
}

// Returns whether the endpoint has the event.
async function attempt(endpoint, item) {
	const stop = seconds.startTimer({ endpoint: endpoint.name });
	let result = 'delivered';
	try {
		await post(endpoint, item);
	} catch (error) {
		result = 'failed';
		log(endpoint.name, `${item.event.id}: ${error.cause?.message ?? error.message}`);
	}
	stop();
	deliveries.inc({ endpoint: endpoint.name, result });
	return result === 'delivered';
}

async function deliver(endpoint, item, until) {
	for (let failed = 1; Date.now() < until; failed++) {
		if (await attempt(endpoint, item)) return true;
		if (failed === config.attempts || stopping.signal.aborted) return false;
		await rest(delay(failed));
	}
	return false;
}

// Events with their text, which has all digits.  The lease is one that outlasts an answer to the last of them.
async function take(endpoint) {
	const { rows } = await database.query(
		`SELECT item::text AS text, item ->> 'id' AS id, item ->> 'usageAlertId' AS "usageAlertId", item ->> 'customer' AS customer,
			item ->> 'state' AS state, item ->> 'occurredAt' AS "occurredAt"
		 FROM jsonb_array_elements(take_usage_alert_events($1, $2, make_interval(secs => $3))) WITH ORDINALITY AS taken (item, n) ORDER BY n`,
		[endpoint.consumer, config.eventsAtATime, config.leaseSeconds + config.timeoutSeconds],
	);
	return rows.map(({ text, ...event }) => ({ event, text }));
}

async function acknowledge(endpoint, items) {
	if (items.length > 0)
		await database.query('SELECT acknowledge_usage_alert_events($1, $2)', [
			endpoint.consumer,
			items.map(({ event }) => event.id),
		]);
}

// Sends events of one alert and one customer, one after the other; returns how many the endpoint has.  What is left comes
// again when the lease has ended.
async function sendInOrder(endpoint, items, until) {
	for (const [sent, item] of items.entries()) {
		if (!(await deliver(endpoint, item, until))) return sent;
		await acknowledge(endpoint, [item]);
	}
	return items.length;
}

function inOrder(items) {
	const lines = new Map();
	for (const item of items) {
		const key = JSON.stringify([item.event.usageAlertId, item.event.customer]);
		lines.set(key, [...(lines.get(key) ?? []), item]);
	}
	return [...lines.values()];
}

// Takes what there is, and sends it: what fails for one customer holds up no other.  Returns whether there may be more.
async function work(endpoint) {
	const until = Date.now() + config.leaseSeconds * 1000;
	const items = await take(endpoint);
	const wanted = items.filter(({ event }) => wants(endpoint, event));

	await acknowledge(endpoint, items.filter((item) => !wanted.includes(item)));
	const sent = await Promise.all(inOrder(wanted).map((line) => sendInOrder(endpoint, line, until)));
	endpoint.failures = wanted.length === 0 || sent.some((count) => count > 0) ? 0 : endpoint.failures + 1;
	failures.set({ endpoint: endpoint.name }, endpoint.failures);
	return items.length > 0;
}

// Grows with each failure, and is never the same for all who wait.
function delay(failed) {
	const longest = Math.min(config.firstDelaySeconds * 2 ** (failed - 1), config.longestDelaySeconds);
	return longest * (0.5 + Math.random() / 2);
}

async function serve(endpoint) {
	endpoint.consumer = `${config.consumer} ${endpoint.name}`;
	endpoint.webhook = new Webhook(endpoint.secret);
	endpoint.failures = 0;
	while (!stopping.signal.aborted) {
		try {
			const counted = notifications.count;
			const isMore = await work(endpoint);
			if (endpoint.failures > 0) await rest(delay(endpoint.failures));
			else if (!isMore) await rest(config.pollSeconds, counted);
		} catch (error) {
			log(endpoint.name, error.message);
			await rest(config.pollSeconds);
		}
	}
}

// A connection of its own: who listens must not lose it to the pool.  What is missed while it is away is polled for.
async function listen() {
	while (!stopping.signal.aborted) {
		const client = new pg.Client();
		try {
			await client.connect();
			const ended = new Promise((resolve) => {
				client.on('error', resolve);
				client.on('end', resolve);
				stopping.signal.addEventListener('abort', resolve);
			});
			client.on('notification', notify);
			await client.query('LISTEN usage_events_alert');
			notify();
			await ended;
		} catch (error) {
			log('listen', error.message);
		}
		await client.end().catch(() => {});
		await rest(config.pollSeconds);
	}
}

function serveMetrics() {
	const server = createServer(async (request, response) => {
		response.setHeader('content-type', register.contentType);
		response.end(await register.metrics());
	});
	if (config.metricsPort) server.listen(config.metricsPort, '127.0.0.1');
	stopping.signal.addEventListener('abort', () => server.close());
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stopping.abort());
serveMetrics();
await Promise.all([listen(), ...config.endpoints.map(serve)]);
await database.end();
