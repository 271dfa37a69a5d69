// usage.mjs: the screen Usage
export default async function usage({ sql, until, check, picture, accessible, go, heading, dialog, page }) {
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
