// rejected.mjs: the screen Rejected
export default async function rejected({ sql, until, check, picture, accessible, go, heading, dialog, page, MARKUP }) {
	const id = `mended-${Date.now()}`;
	const waiting = () => sql('SELECT count(*) FROM rejected_usage_events');

	await check('nothing waits, and the page says what would', async () => {
		await until(waiting, '0');
		await go('rejected');
		await heading('Rejected');
		await page.getByText('Nothing waits').waitFor();
		await accessible('nothing rejected');
	});

	await check('rejected events are grouped by what is wrong with them, with markup as text', async () => {
		sql(`SELECT ingest_usage_events('[{"customerEventId": "${id}", "customerAlias": "acme"}, {"customerAlias": "acme", "eventTimestamp": "yesterday", "eventType": "x"},
			{"customerAlias": "acme", "eventTimestamp": "tomorrow", "eventType": "x"}]'::jsonb || jsonb_build_array(jsonb_build_object('eventType', '${MARKUP.replace(/'/g, "''")}')))`);
		await page.reload();
		await page.getByRole('region', { name: 'By fault' }).getByText('eventType').first().waitFor();
		await page.getByRole('table', { name: 'Rejected events' }).getByText(MARKUP.slice(0, 12)).first().waitFor();
		await picture('rejected');
		await accessible('rejected');
	});

	await check('one is mended, is stored, and waits no more', async () => {
		const before = Number(waiting());
		await page.getByRole('table', { name: 'Rejected events' }).getByText(id).first().click();
		const field = dialog().getByLabel('The event');
		await field.fill((await field.inputValue()).replace('"acme"', '"acme", "eventProperties": {"exact": 0.10000000000000000001}'));
		await dialog().getByRole('button', { name: 'Send it' }).click();
		// What is still wrong is told here, and the event still waits.
		await dialog().getByText('"eventType" is missing').waitFor();
		if (Number(waiting()) !== before) throw new Error('it waits no more');
		await picture('rejected-edit');
		await accessible('a rejected event');
		await field.fill((await field.inputValue()).replace('"acme"', '"acme", "eventType": "mended"'));
		await dialog().getByRole('button', { name: 'Send it' }).click();
		await page.getByText('1 stored').waitFor();
		await until(
			() => sql(`SELECT event_type || ' ' || (event_properties ->> 'exact') FROM usage_events WHERE customer_event_id = '${id}'`),
			'mended 0.10000000000000000001',
		);
		await until(() => Number(waiting()), before - 1);
	});

	const store = '**/usage-events';
	const gone = (table) => `SELECT count(*) FROM ${table} WHERE event_type = 'once-${id}'`;

	await check('one without an id is stored once, though its answer is lost, and though it cannot be taken away at first', async () => {
		sql(`SELECT ingest_usage_events('[{"customerAlias": "acme", "eventType": "once-${id}", "eventTimestamp": "soon"}]')`);
		await page.reload();
		await page.getByRole('table', { name: 'Rejected events' }).getByText(`once-${id}`).first().click();
		const field = dialog().getByLabel('The event');
		const whole = (await field.inputValue()).replace('"soon"', '"2026-10-05T12:00:00Z"');
		await field.fill(whole);
		// Stored, and the answer does not come.
		await page.route(store, async (route) => {
			await route.fetch();
			await route.abort('internetdisconnected');
		});
		await dialog().getByRole('button', { name: 'Send it' }).click();
		await dialog().getByText('The server cannot be reached').waitFor();
		await until(() => sql(gone('usage_events')), '1');
		await page.unroute(store);
		await field.fill(whole.replace('{', '{"customerEventId": "another", '));
		await dialog().getByRole('button', { name: 'Send it' }).click();
		await dialog().getByText('may be stored: keep that').waitFor();
		await field.fill(whole);
		// Stored, and known to be, but it stays in its place.
		await page.route('**/rejected-usage-events/*', (route) => route.abort('internetdisconnected'));
		await dialog().getByRole('button', { name: 'Send it' }).click();
		await dialog().getByText('is not to be sent again').waitFor();
		await accessible('stored and still waiting');
		await picture('rejected-stored');
		if ((await dialog().getByRole('button', { name: 'Send it' }).count()) > 0) throw new Error('it can be sent again');
		await page.unroute('**/rejected-usage-events/*');
		await dialog().getByRole('button', { name: 'Take it away' }).click();
		await page.getByText('1 stored').waitFor();
		await until(() => `${sql(gone('usage_events'))} ${sql(`SELECT count(*) FROM rejected_usage_events WHERE body ~ 'once-${id}'`)}`, '1 0');
	});

	await check('who gave it up meanwhile is told of', async () => {
		sql(`SELECT ingest_usage_events('[{"customerEventId": "gone-${id}", "customerAlias": "acme"}]')`);
		await page.reload();
		await page.getByRole('table', { name: 'Rejected events' }).getByText(`gone-${id}`).first().click();
		sql(`SELECT delete_rejected_usage_event(id) FROM rejected_usage_events WHERE body ~ 'gone-${id}'`);
		const field = dialog().getByLabel('The event');
		await field.fill((await field.inputValue()).replace('"acme"', '"acme", "eventType": "mended"'));
		await dialog().getByRole('button', { name: 'Send it' }).click();
		await page.getByText('The rejected one was gone already').waitFor();
		await until(() => sql(`SELECT count(*) FROM usage_events WHERE customer_event_id = 'gone-${id}'`), '1');
	});

	await check('all are sent again; what is still wrong waits on', async () => {
		const before = waiting();
		await page.getByRole('button', { name: 'Send all again' }).click();
		await page.getByText('refused again').waitFor();
		await until(waiting, before);
	});

	await check('what was refused by a limit is stored once there is room', async () => {
		const metric = sql(
			`SELECT create_usage_metric('{"name": "seats", "metricType": "SIMPLE", "eventType": "seat-${id}", "aggregationType": "COUNT"}') ->> 'id'`,
		);
		const limit = sql(
			`SELECT create_usage_limit('{"name": "no seats", "usageMetricId": "${metric}", "period": "ALL_TIME", "limit": 0, "mode": "BLOCK"}') ->> 'id'`,
		);
		sql(`SELECT ingest_usage_events('[{"customerEventId": "seat-${id}", "customerAlias": "acme", "eventType": "seat-${id}"}]')`);
		await page.reload();
		const group = page
			.getByRole('region', { name: 'By fault' })
			.locator('li', { hasText: 'no seats' })
			.or(page.getByRole('region', { name: 'By fault' }).locator('li', { hasText: 'usage limit' }));
		await group.first().waitFor();
		sql(`SELECT delete_usage_limit('${limit}')`);
		await group.first().getByRole('button', { name: 'Send these again' }).click();
		await page.getByText('1 stored').waitFor();
		await until(() => sql(`SELECT count(*) FROM usage_events WHERE customer_event_id = 'seat-${id}'`), '1');
	});

	await check('one is given up after a question', async () => {
		while (Number(waiting()) > 0) {
			const before = Number(waiting());
			await page.getByRole('table', { name: 'Rejected events' }).getByRole('row').nth(1).click();
			await dialog().getByRole('button', { name: 'Give it up' }).click();
			await dialog().getByRole('button', { name: 'Give it up' }).click();
			await until(() => Number(waiting()), before - 1);
			await dialog().waitFor({ state: 'detached' });
		}
		await page.getByText('Nothing waits').waitFor();
	});
}
