// portal.mjs: the screen Portal tokens, and the page that a customer sees
import { createServer } from 'node:http';

export default async function portal({ sql, until, check, picture, accessible, go, heading, dialog, page, context, PAGE }) {
	const tokens = () => sql('SELECT count(*) FROM usage_events.portal_token WHERE expires_at > now()');
	let address = '';

	await check('a token is made, with the address of the customer’s page', async () => {
		await go('customers/acme');
		await page.getByText('What this customer sees').click();
		await heading('Portal tokens');
		if ((await dialog().getByLabel('Customer').inputValue()) !== 'acme') throw new Error('not of acme');
		await picture('token-form');
		await accessible('form of a token');
		for (const box of await dialog().getByRole('checkbox').all()) await box.uncheck();
		await dialog().getByLabel('API time').check();
		await dialog().getByRole('button', { name: 'Make the token' }).click();
		address = await dialog().locator('[data-address]').getAttribute('data-address');
		await picture('token');
		await dialog().getByRole('button', { name: 'Done' }).click();
		await until(
			() => tokens(),
			(count) => Number(count) >= 1,
		);
		await page.getByRole('table', { name: 'Portal tokens' }).getByText('acme').first().waitFor();
		await picture('tokens');
		await accessible('tokens');
	});

	const visit = await context.newPage();
	await check('the customer’s page shows that customer’s usage of those metrics, and no token in its address', async () => {
		const metric = sql("SELECT id FROM usage_metrics WHERE name = 'API time'");
		// A month that has events, whichever month it is.
		sql(
			`SELECT create_usage_event('{"customerEventId": "portal", "customerAlias": "acme", "eventType": "api-call", "eventProperties": {"milliseconds": 1234.5}}')`,
		);
		const response = await visit.goto(address);
		if (!response.headers()['content-security-policy'].includes("frame-ancestors 'none'")) throw new Error('frames');
		await visit.getByRole('heading', { name: 'Your usage' }).waitFor();
		const value = sql(
			`SELECT (calculate_usage_metric('${metric}', '{acme}', tstzrange(date_trunc('month', now(), 'Europe/Berlin'), date_trunc('month', now(), 'Europe/Berlin') + interval '1 month')) ->> 'value')::numeric`,
		);
		await until(async () => Number(await visit.locator('[data-value]').first().getAttribute('data-value')), Number(value));
		if (visit.url().includes('token')) throw new Error(visit.url());
		if ((await visit.getByText('Messages').count()) > 0) throw new Error('another metric');
		await picture('portal', visit);
		await accessible('the customer’s page', visit);
		await visit.reload();
		await visit.locator('[data-value]').first().waitFor();
	});

	await check('another origin cannot show it within its own page, unless it is named', async () => {
		const server = createServer((_, response) => {
			response.setHeader('Content-Type', 'text/html');
			response.end(`<iframe src="${new URL('portal.html', PAGE)}" width=600 height=400></iframe>`);
		});
		await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
		const outside = await context.newPage();
		const told = outside.waitForEvent('console', { predicate: (message) => message.text().includes('frame-ancestors') });
		await outside.goto(`http://localhost:${server.address().port}/`);
		await told;
		const inner = outside.frames()[1];
		if (
			inner &&
			(await inner
				.getByText('Your usage')
				.count()
				.catch(() => 0)) > 0
		)
			throw new Error('it is shown');
		await outside.close();
		server.close();
	});

	await check('a named origin shows it within its own page', async () => {
		const inside = new URL(address.replace('127.0.0.1', 'localhost'));
		const server = createServer((_, response) => {
			response.setHeader('Content-Type', 'text/html');
			response.end(`<iframe src="${inside.href.replace(/&/g, '&amp;')}" width=600 height=400></iframe>`);
		});
		await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
		const outside = await context.newPage();
		await outside.goto(`http://localhost:${server.address().port}/`);
		await outside.frameLocator('iframe').getByRole('heading', { name: 'Your usage' }).waitFor();
		await outside.frameLocator('iframe').locator('[data-value]').first().waitFor();
		await picture('portal-within', outside);
		const policy = (await outside.request.get(inside.href)).headers()['content-security-policy'];
		if (!policy.includes('frame-ancestors http://localhost:*;')) throw new Error(policy);
		// Named is the customer's page alone.
		const whole = (await outside.request.get(new URL('.', inside).href)).headers()['content-security-policy'];
		if (!whole.includes("frame-ancestors 'none'")) throw new Error(whole);
		await outside.close();
		server.close();
	});

	await check('a key of one customer is told on each screen what it is not for', async () => {
		const [id, secret] = sql(
			"SELECT client_id, client_secret FROM usage_events.create_api_key(usage_events.current_account_id(), 'one', access => 'read', customer => 'acme')",
		).split('|');
		const own = await context.browser().newContext({ timezoneId: 'Europe/Berlin' });
		const visitor = await own.newPage();
		await visitor.goto(PAGE);
		await visitor.getByLabel('Client id or token').fill(id);
		await visitor.getByLabel('Client secret').fill(secret);
		await visitor.getByRole('button', { name: 'Sign in' }).click();
		for (const screen of ['usage', 'metrics', 'customers', 'limits', 'rejected', 'health', 'portal']) {
			await visitor.goto(`${PAGE}#/${screen}`);
			await visitor.getByText('API key may not do this').first().waitFor();
			if (screen === 'usage') await picture('not-for-this-key', visitor);
		}
		await accessible('what a key is not for', visitor);
		await visitor.goto(`${PAGE}#/events`);
		await visitor.getByRole('table', { name: 'Events' }).getByText('acme').first().waitFor();
		if ((await visitor.getByText('globex').count()) > 0) throw new Error('another customer is shown');
		await own.close();
		sql(`SELECT usage_events.expire_api_key('${id}', now())`);
	});

	await check('an ended token ends the page, and says what to do', async () => {
		await page.bringToFront();
		const table = page.getByRole('table', { name: 'Portal tokens' });
		await table.getByRole('button', { name: 'End' }).first().click();
		await table.getByRole('button', { name: 'End' }).first().click();
		await page.getByText('No token is good now').waitFor();
		await until(() => tokens(), '0');
		await visit.bringToFront();
		await visit.reload();
		await visit.getByText('This page has ended').waitFor();
		await picture('portal-ended', visit);
		await visit.goto(new URL('portal.html', PAGE).href);
		await visit.evaluate(() => sessionStorage.clear());
		await visit.reload();
		await visit.getByText('This address is not whole').waitFor();
		await visit.close();
	});
}
