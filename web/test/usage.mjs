// usage.mjs: the screen Usage
export default async function usage({ sql, until, check, picture, accessible, go, heading, dialog, page, MARKUP }) {
	const metric = sql("SELECT id FROM usage_metrics WHERE name = 'API time'");
	const october = "'[2026-09-30 22:00Z, 2026-10-31 23:00Z)'";
	const value = (customers) => sql(`SELECT trim_scale((calculate_usage_metric('${metric}', '{${customers}}', ${october}) ->> 'value')::numeric)`);
	const exact = () => page.locator('[data-value]').getAttribute('data-value');

	// 1.50 and 1.5 are the same number.
	const plain = (text) => text?.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');

	await check('usage without events in these days says so, and leads to the month that has some', async () => {
		await go(`usage?metric=${metric}&from=2020-01-01&to=2020-01-31`);
		await heading('Usage');
		await page.getByText('Nothing counts in these days').waitFor();
		await page.getByRole('button', { name: 'Show its month' }).click();
		await page.locator('[data-drawn]').waitFor();
	});

	await check('a month is drawn, and its value is what the database says, to the digit', async () => {
		await go(`usage?metric=${metric}&from=2026-10-01&to=2026-10-31`);
		await page.locator('[data-drawn="31"]').waitFor();
		const all = sql(
			`SELECT string_agg(quote_ident(customer), ',') FROM (SELECT customer FROM usage_metric_by_customer('${metric}', ${october}) ORDER BY value DESC LIMIT 5) AS most`,
		);
		await until(async () => plain(await exact()), value(all));
		await picture('usage');
		await accessible('usage');
	});

	await check('a customer is picked from the table, and a series is exact where it is pointed at', async () => {
		await page.getByRole('table', { name: 'By customer' }).getByText('globex').click();
		await until(async () => plain(await exact()), value('globex'));
		if (!page.url().includes('customers=globex')) throw new Error(page.url());
		const box = await page.locator('.plot .u-over').boundingBox();
		await page.mouse.move(box.x + 1, box.y + 40);
		const first = sql(`SELECT value FROM usage_metric_series('${metric}', '{globex}', ${october}, 'day', 'Europe/Berlin') ORDER BY period_start LIMIT 1`);
		await until(
			async () => (await page.locator('.chart .key b').first().innerText()).replace(/[\s\u202f]|ms/g, ''),
			String(first).replace(/(\.\d*?)0+$/, '$1'),
		);
		for (const kind of ['Line', 'Stacked']) {
			await page.getByRole('button', { name: kind }).click();
			await page.locator('[data-drawn="31"]').waitFor();
			await picture(`usage-${kind.toLowerCase()}`);
		}
	});

	await check('against what was known earlier, the events that made the difference are listed', async () => {
		const then = sql("SELECT to_char((clock_timestamp() - interval '1 second') AT TIME ZONE 'Europe/Berlin', 'YYYY-MM-DD\"T\"HH24:MI:SS')");
		sql(`SELECT create_usage_event(to_jsonb(event) || '{"eventProperties": {"milliseconds": ${1000 + (Date.now() % 1000)}.5}}')
			FROM (SELECT customer_event_id AS "customerEventId", customer_alias AS "customerAlias", event_type AS "eventType", event_timestamp AS "eventTimestamp" FROM usage_events
				WHERE customer_alias = 'globex' AND event_type = 'api-call' AND event_timestamp < '2026-10-20' ORDER BY event_timestamp DESC LIMIT 1) AS event`);
		await go(`usage?metric=${metric}&from=2026-10-01&to=2026-10-31&customers=globex&compare=asof&asof=${then}`);
		const difference = sql(
			`SELECT trim_scale(sum(coalesce(new_value, 0) - coalesce(old_value, 0))) FROM usage_metric_changes('${metric}', '{globex}', ${october}, '${then} Europe/Berlin')`,
		);
		await until(() => page.locator('[data-difference]').getAttribute('data-difference'), difference);
		await page.getByRole('table', { name: 'What made the difference' }).getByText('corrected').first().waitFor();
		await picture('usage-as-of');
		await accessible('usage as of');
	});

	await check('against the period before, both are drawn', async () => {
		await go(`usage?metric=${metric}&from=2026-10-16&to=2026-10-31&customers=globex&compare=before`);
		await page.getByText('The period before', { exact: true }).first().waitFor();
		await page.locator('[data-drawn="16"]').waitFor();
		const difference = sql(`SELECT trim_scale((calculate_usage_metric('${metric}', '{globex}', '[2026-10-15 22:00Z, 2026-10-31 23:00Z)') ->> 'value')::numeric
			- (calculate_usage_metric('${metric}', '{globex}', '[2026-09-29 22:00Z, 2026-10-15 22:00Z)') ->> 'value')::numeric)`);
		await until(() => page.locator('[data-difference]').getAttribute('data-difference'), difference);
		await picture('usage-before');
	});

	await check('split by properties that nobody thought of: the most are drawn, and the others together, to the digit', async () => {
		await go(`usage?metric=${metric}&from=2026-10-01&to=2026-10-31&customers=globex`);
		await page.locator('[data-drawn="31"]').waitFor();
		const field = page.getByLabel('Group by a property');
		await until(
			() => page.locator('#group-properties option').count(),
			(count) => count > 2,
		);
		await field.fill('endpoint');
		await field.press('Enter');
		const rows = page.getByRole('table', { name: 'By group' }).getByRole('row');
		const groups = (by) => `calculate_usage_metric('${metric}', '{globex}', ${october}, group_by => '{${by}}')`;
		const count = (by) => sql(`SELECT jsonb_array_length(${groups(by)} -> 'groupedValues')`);
		await page.getByText(`${count('endpoint')} groups. A click`).waitFor();
		const most = sql(`SELECT trim_scale(max((one ->> 'value')::numeric)) FROM jsonb_array_elements(${groups('endpoint')} -> 'groupedValues') AS one`);
		const cell = async (row) => (await rows.nth(row).getByRole('cell').last().innerText()).replace(/[\s\u202f]/g, '');
		await until(() => cell(1), most);
		await picture('usage-grouped');
		await accessible('usage by a property');

		// One that has more values than are drawn.
		await field.fill('milliseconds');
		await field.press('Enter');
		await page.getByText('and all others together').waitFor();
		if (!page.url().includes('group=endpoint%2Cmilliseconds')) throw new Error(page.url());
		const keys = page.locator('.chart .key');
		await until(() => keys.count(), 8);
		await page.locator('[data-drawn="31"]').waitFor();
		const box = await page.locator('.plot .u-over').boundingBox();
		await page.mouse.move(box.x + 1, box.y + 40);
		const first = sql(
			`SELECT trim_scale(value) FROM usage_metric_series('${metric}', '{globex}', ${october}, 'day', 'Europe/Berlin') ORDER BY period_start LIMIT 1`,
		);
		const shown = async () => (await keys.locator('b').allInnerTexts()).map((text) => text.replace(/[\s\u202f]|ms/g, ''));
		await until(async () => sql(`SELECT trim_scale(sum(n::numeric)) FROM unnest('{${(await shown()).join(',')}}'::text[]) AS n`), first);
		await picture('usage-grouped-others');
	});

	await check('a group alone, and filters, are in the address, the answer, and what is copied', async () => {
		await go(`usage?metric=${metric}&from=2026-10-01&to=2026-10-31&customers=globex&group=endpoint`);
		await page.getByRole('table', { name: 'By group' }).getByText('/v1/orders').click();
		const orders = sql(
			`SELECT trim_scale((calculate_usage_metric('${metric}', '{globex}', ${october}, filters => '{"endpoint": ["/v1/orders"]}') ->> 'value')::numeric)`,
		);
		await until(async () => plain(await exact()), orders);
		await page.getByText('endpoint is /v1/orders').waitFor();
		await page.getByRole('button', { name: 'Copy as' }).click();
		await dialog().getByRole('button', { name: 'SQL', exact: true }).click();
		const statement = await dialog().locator('pre').innerText();
		if (sql(`SELECT trim_scale(sum(value)) FROM (${statement.replace(/;$/, '')}) AS series`) !== orders) throw new Error(statement);
		if (!statement.includes("group_by => ARRAY['endpoint']")) throw new Error(statement);
		await dialog().getByRole('button', { name: 'curl', exact: true }).click();
		await dialog().getByText('groupBy=endpoint').waitFor();
		await dialog().getByText('filters=%7B%22endpoint').waitFor();
		await dialog().getByRole('button', { name: 'CSV', exact: true }).click();
		await dialog().getByText('periodStart,periodEnd,endpoint').waitFor();
		await page.keyboard.press('Escape');
		await page.getByRole('button', { name: 'Without the filter of endpoint' }).click();
		await page.getByLabel('Property of a filter').fill('endpoint');
		await page.getByLabel('Value of a filter').fill('nowhere');
		await page.getByRole('button', { name: 'Add', exact: true }).click();
		await page.getByText('endpoint is nowhere').waitFor();
		await until(exact, '0');
		await page.getByLabel('Without globex').click();
		await page.getByText('Nothing in these days passes the filters').waitFor();
		await accessible('nothing passes');
		await page.getByRole('button', { name: 'Take the filters away' }).click();
		await page.locator('[data-drawn="31"]').waitFor();
	});

	await check('against the period before, each group is shown now and then, to the digit, and an event that comes moves it', async () => {
		const now = "'[2026-10-15 22:00Z, 2026-10-31 23:00Z)'";
		const before = "'[2026-09-29 22:00Z, 2026-10-15 22:00Z)'";
		const one = (period) =>
			`SELECT one ->> 'grouping' AS grouping, one -> 'grouping' ->> 'endpoint' AS endpoint, (one ->> 'value')::numeric AS value
				FROM calculate_usage_metric('${metric}', '{globex}', ${period}, group_by => '{endpoint}') AS answer, jsonb_array_elements(answer -> 'groupedValues') AS one`;
		const pairs = `SELECT coalesce(now.endpoint, before.endpoint) AS endpoint, coalesce(before.value, 0) AS before, coalesce(now.value, 0) AS now,
				coalesce(now.value, 0) - coalesce(before.value, 0) AS difference
			FROM (${one(now)}) AS now FULL JOIN (${one(before)}) AS before USING (grouping)`;
		const largest = (column, order) => sql(`SELECT trim_scale(${column}) FROM (${pairs}) AS pair ORDER BY ${order} LIMIT 1`);
		const table = page.getByRole('table', { name: 'By group, now and then' });
		const cells = async (row) => (await table.getByRole('row').nth(row).getByRole('cell').allInnerTexts()).map((text) => text.replace(/[\s\u202f+]/g, ''));
		const send = (id, endpoint, milliseconds, day) =>
			sql(`SELECT create_usage_event(jsonb_build_object('customerEventId', '${id}', 'customerAlias', 'globex', 'eventType', 'api-call',
				'eventTimestamp', '2026-10-${day}T12:00:00Z', 'eventProperties', jsonb_build_object('milliseconds', ${milliseconds}, 'endpoint', '${endpoint}')))`);
		const void_ = (id) =>
			sql(`SELECT create_usage_event(to_jsonb(event) || '{"customerAlias": "VOID"}') FROM (SELECT customer_event_id AS "customerEventId", event_type AS "eventType",
				event_timestamp AS "eventTimestamp", event_properties AS "eventProperties" FROM usage_events WHERE customer_event_id = '${id}') AS event`);
		send('moved-now', MARKUP, '98765432109876543.125', '20');
		send('moved-then', 'x'.repeat(3000), '0.1', '10');
		send('moved-empty', '', '0.5', '10');
		await go(`usage?metric=${metric}&from=2026-10-16&to=2026-10-31&customers=globex&compare=before&group=endpoint`);
		await page.locator('[data-drawn="16"]').waitFor();
		await until(async () => (await cells(1)).slice(1, 5).join(' '), '0 98765432109876543.125 98765432109876543.125 new');
		await table.getByText(MARKUP).waitFor();
		await page.locator('.chart .key', { hasText: 'The period before, all groups' }).waitFor();
		await page.getByText(`${sql(`SELECT count(*) FROM (${pairs}) AS pair`)} groups. A click`).waitFor();
		await page.setViewportSize({ width: 1360, height: 1120 });
		await picture('usage-groups-hostile');
		await page.setViewportSize({ width: 1360, height: 850 });
		await accessible('usage by group, now and then');
		if (await page.evaluate(() => window.broken)) throw new Error('markup was run');
		await table.getByRole('columnheader', { name: 'Difference' }).getByRole('button').click();
		await until(async () => (await cells(1))[3], largest('difference', 'abs(difference)'));
		await table.getByRole('columnheader', { name: 'endpoint' }).getByRole('button').click();
		await until(async () => (await cells(1)).join(' '), '(empty) 0.5 0 -0.5 gone');
		await table.getByRole('columnheader', { name: 'Then' }).getByRole('button').click();
		await until(async () => (await cells(1))[1], largest('before', 'before DESC'));

		['moved-now', 'moved-then', 'moved-empty'].forEach(void_);
		await page.reload();
		await until(
			async () => (await cells(1)).slice(1, 4).join(' '),
			sql(`SELECT concat_ws(' ', trim_scale(before), trim_scale(now), trim_scale(difference))
			FROM (${pairs}) AS pair ORDER BY abs(difference) DESC LIMIT 1`),
		);
		await page.locator('[data-drawn="16"]').waitFor();
		await page.setViewportSize({ width: 1360, height: 1120 });
		await picture('usage-groups-before');
		await page.setViewportSize({ width: 1360, height: 850 });
		await accessible('groups and the period before');

		// What is copied is of the time that is chosen.
		await page.getByRole('button', { name: 'Copy as' }).click();
		await dialog().getByRole('button', { name: 'SQL', exact: true }).click();
		const copied = async (when) => {
			await dialog().getByRole('button', { name: when, exact: true }).click();
			const statement = await dialog().locator('pre').innerText();
			return sql(`SELECT trim_scale(sum(value)) FROM (${statement.replace(/;$/, '')}) AS series`);
		};
		const sum = (column) => sql(`SELECT trim_scale(sum(${column})) FROM (${pairs}) AS pair`);
		await until(() => copied('The period before'), sum('before'));
		await picture('usage-copy-then');
		await accessible('copying what was');
		await until(() => copied('Now'), sum('now'));
		await page.keyboard.press('Escape');
		await table.getByText('/v1/orders', { exact: true }).click();
		await until(exact, sql(`SELECT trim_scale(now) FROM (${pairs}) AS pair WHERE endpoint = '/v1/orders'`));
		await until(
			() => page.locator('[data-difference]').getAttribute('data-difference'),
			sql(`SELECT trim_scale(difference) FROM (${pairs}) AS pair WHERE endpoint = '/v1/orders'`),
		);
	});

	await check('as of the day of the invoice, the groups say where the difference is, and the events which it is', async () => {
		const then = sql("SELECT to_char((clock_timestamp() - interval '1 second') AT TIME ZONE 'Europe/Berlin', 'YYYY-MM-DD\"T\"HH24:MI:SS')");
		sql(`SELECT create_usage_event('{"customerEventId": "late", "customerAlias": "globex", "eventType": "api-call", "eventTimestamp": "2026-10-30T12:00:00Z",
			"eventProperties": {"milliseconds": 4321.0625, "endpoint": "/v2/late"}}')`);
		await go(`usage?metric=${metric}&from=2026-10-01&to=2026-10-31&customers=globex&compare=asof&asof=${then}&group=endpoint`);
		const row = page.getByRole('table', { name: 'By group, now and then' }).getByRole('row', { name: '/v2/late' });
		await until(async () => (await row.getByRole('cell').allInnerTexts()).join(' ').replace(/\u202f/g, ''), '/v2/late 0 4321.0625 +4321.0625 new');
		await page.getByRole('table', { name: 'What made the difference' }).getByText('late', { exact: true }).waitFor();
		await page.locator('[data-drawn="31"]').waitFor();
		await picture('usage-groups-as-of');
		await accessible('groups as of a day');

		// Of a largest value a group that is new has no difference.
		const slowest = sql(`SELECT create_usage_metric('{"name": "Slowest", "metricType": "GROUPED", "eventType": "api-call", "aggregationType": "MAX",
			"aggregationProperty": "milliseconds", "groupingProperty": "endpoint"}') ->> 'id'`);
		await go(`usage?metric=${slowest}&from=2026-10-30&to=2026-10-31&customers=globex&compare=before`);
		await until(async () => (await row.getByRole('cell').allInnerTexts()).join(' ').replace(/\u202f/g, ''), '/v2/late – 4321.0625 – new');
		sql(`SELECT delete_usage_metric('${slowest}')`);
	});

	await check('on a telephone, and dark, groups now and then are there', async () => {
		await page.emulateMedia({ colorScheme: 'dark' });
		await go(`usage?metric=${metric}&from=2026-10-16&to=2026-10-31&customers=globex&compare=before&group=endpoint`);
		await page.locator('[data-drawn="16"]').waitFor();
		await picture('usage-groups-dark');
		await accessible('groups, dark');
		await page.setViewportSize({ width: 390, height: 1600 });
		await picture('usage-groups-telephone');
		await accessible('groups on a telephone');
		const wide = await page.evaluate(() => document.documentElement.scrollWidth);
		if (wide > 390) throw new Error(`the page is ${wide} wide`);
		await page.emulateMedia({ colorScheme: 'light' });
		await page.setViewportSize({ width: 1360, height: 850 });
	});

	await check('a hundred thousand groups are listed, and those with the most drawn', async () => {
		const many = sql(
			`SELECT create_usage_metric('{"name": "Many", "metricType": "SIMPLE", "eventType": "many", "aggregationType": "SUM", "aggregationProperty": "n"}') ->> 'id'`,
		);
		sql(`SELECT count(*) FROM (SELECT ingest_usage_events(jsonb_agg(jsonb_build_object('customerEventId', 'many-' || n, 'customerAlias', 'many', 'eventType', 'many',
			'eventTimestamp', '2026-10-05T12:00:00Z', 'eventProperties', jsonb_build_object('n', n, 'key', 'key ' || n)))) FROM generate_series(1, 100000) AS n GROUP BY n / 10000) AS part`);
		await go(`usage?metric=${many}&from=2026-10-01&to=2026-10-31&customers=many&group=key`);
		await page.getByText('The others are too many to be drawn').waitFor();
		await until(() => page.locator('.chart .key').count(), 7);
		await page.getByRole('table', { name: 'By group' }).getByRole('row').nth(1).getByText('key 100000').waitFor();
		await picture('usage-many-groups');
		await go(`usage?metric=${many}&from=2026-10-01&to=2026-10-31&customers=many&group=key&compare=before`);
		await page.getByText(/100.000 groups. A click/).waitFor();
		await page.getByRole('table', { name: 'By group, now and then' }).getByRole('row').nth(1).getByText('key 100000').waitFor();
		await go(`usage?metric=${many}&from=2026-10-01&to=2026-10-31&customers=many&group=key`);
		sql(
			`SELECT create_usage_event('{"customerEventId": "one more", "customerAlias": "many", "eventType": "many", "eventTimestamp": "2026-10-05T12:00:00Z", "eventProperties": {"n": 1, "key": "one more"}}')`,
		);
		await page.reload();
		await page.getByText('max_groups').first().waitFor();
		await picture('usage-too-many-groups');
		sql(`SELECT delete_usage_metric('${many}')`);
		sql("DELETE FROM usage_events.event WHERE event_type = 'many'");
	});

	await check('it is copied as curl, as SQL that says the same, and as CSV', async () => {
		await go(`usage?metric=${metric}&from=2026-10-01&to=2026-10-31&customers=globex`);
		await page.locator('[data-drawn]').waitFor();
		await page.getByRole('button', { name: 'Copy as' }).click();
		const copied = async (what) => {
			await dialog().getByRole('button', { name: what, exact: true }).click();
			await dialog().getByRole('button', { name: 'Copy', exact: false }).last().click();
			return page.evaluate(() => navigator.clipboard.readText());
		};
		if (!(await copied('curl')).startsWith('curl -u "$CLIENT_ID:$CLIENT_SECRET" \'http://')) throw new Error('curl');
		const statement = await copied('SQL');
		if (sql(`SELECT trim_scale(sum(value)) FROM (${statement.replace(/;$/, '')}) AS series`) !== value('globex')) throw new Error(statement);
		await picture('usage-copy');
		await dialog().getByRole('button', { name: 'CSV', exact: true }).click();
		await dialog().getByText('periodStart,periodEnd').waitFor();
		if ((await dialog().locator('pre').innerText()).trim().split('\n').length !== 32) throw new Error('lines of CSV');
		await page.keyboard.press('Escape');
	});

	await check('a metric in groups lists them, and an address that makes no sense is no reason to fail', async () => {
		const groups = sql(
			`SELECT create_usage_metric('{"name": "Calls by endpoint", "metricType": "GROUPED", "eventType": "api-call", "aggregationType": "COUNT", "groupingProperty": "endpoint"}') ->> 'id'`,
		);
		await go(`usage?metric=${groups}&from=2026-10-01&to=2026-10-31&customers=globex`);
		const row = page.getByRole('table', { name: 'By group' }).getByRole('row', { name: '/v1/orders' });
		const count = sql(
			`SELECT one ->> 'value' FROM calculate_usage_metric('${groups}', '{globex}', ${october}) AS answer, jsonb_array_elements(answer -> 'groupedValues') AS one WHERE one ->> 'grouping' = '/v1/orders'`,
		);
		await until(async () => (await row.getByRole('cell').last().innerText()).replace(/[\s\u202f]/g, ''), count);
		await picture('usage-groups');
		await accessible('usage in groups');
		sql(`SELECT delete_usage_metric('${groups}')`);
		await page.reload();
		await page.getByText('This metric is not there').waitFor();
		await go(`usage?metric=${metric}&from=2026-99-99&to=x&customers=%E0%A4%A&compare=asof&asof=never&kind=x&step=x`);
		await page.getByRole('region', { name: 'Chart' }).waitFor();
	});
}
