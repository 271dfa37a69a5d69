// metrics.mjs: the screen Metrics
export default async function metrics({ sql, until, check, picture, accessible, go, heading, page, MARKUP }) {
	const name = `Slow calls ${MARKUP}`;
	const quoted = name.replace(/'/g, "''");
	// What was taken back is among the newest, and counts nowhere.
	const newest =
		"(SELECT * FROM (SELECT * FROM usage_events WHERE event_type = 'api-call' ORDER BY id DESC LIMIT 100) AS any_event WHERE customer_alias <> 'VOID') AS newest";

	await check('a metric’s form says its faults at their fields, and makes nothing', async () => {
		const before = sql('SELECT count(*) FROM usage_metrics');
		await go('metrics/new');
		await heading('New metric');
		await page.getByLabel('Aggregation').selectOption('SUM');
		await page.getByRole('button', { name: 'Make the metric' }).click();
		await page.locator('.fault').first().waitFor();
		await picture('metric-faults');
		await accessible('faults of a metric');
		if (sql('SELECT count(*) FROM usage_metrics') !== before) throw new Error('one was made');
	});

	let previewed = '';

	await check('before it is made it shows what it would say of real events, exactly', async () => {
		await page.getByLabel('Name').fill(name);
		await page.getByLabel('Event type').fill('api-call');
		await page.getByLabel('Property', { exact: true }).fill('milliseconds');
		const preview = () => page.locator('[data-preview]').getAttribute('data-preview');
		await until(preview, sql(`SELECT trim_scale(sum((event_properties ->> 'milliseconds')::numeric)) FROM ${newest}`));
		await page.getByRole('button', { name: 'Add a filter' }).click();
		await page.getByLabel('Property of filter 1').fill('endpoint');
		await page.getByLabel('Values of filter 1').fill('/v1/orders, /v1/export');
		const filtered = "coalesce(event_properties ->> 'endpoint', '') IN ('/v1/orders', '/v1/export')";
		await until(preview, sql(`SELECT trim_scale(sum((event_properties ->> 'milliseconds')::numeric)) FROM ${newest} WHERE ${filtered}`));
		await page.getByLabel('Kind of filter 1').selectOption('not');
		await until(preview, sql(`SELECT trim_scale(sum((event_properties ->> 'milliseconds')::numeric)) FROM ${newest} WHERE NOT ${filtered}`));
		await page.getByLabel('Aggregation').selectOption('PERCENTILE');
		await page.getByLabel('Percentile').fill('0.9');
		await until(
			preview,
			sql(
				`SELECT trim_scale(percentile_disc(0.9) WITHIN GROUP (ORDER BY (event_properties ->> 'milliseconds')::numeric)) FROM ${newest} WHERE NOT ${filtered}`,
			),
		);
		previewed = /(\d+) would count/.exec(await page.getByRole('region', { name: 'Preview' }).innerText())[1];
		await picture('metric-preview');
		await accessible('preview of a metric');
	});

	await check('made, it is in the database as the form says, and its usage is shown', async () => {
		await page.getByRole('button', { name: 'Make the metric' }).click();
		await heading('Usage');
		await until(
			() => sql(`SELECT aggregation_type || ' ' || property_filters || ' ' || properties_to_negate::text FROM usage_metrics WHERE name = '${quoted}' LIMIT 1`),
			'PERCENTILE {"endpoint": ["/v1/orders", "/v1/export"]} ["endpoint"]',
		);
		// The server judges each event as the preview did.
		await until(
			() =>
				sql(`SELECT count(*) FROM ${newest}, usage_metrics AS metric WHERE metric.name = '${quoted}'
			AND (explain_usage_event(metric.id, newest.id) ->> 'counts')::boolean`),
			previewed,
		);
	});

	await check('it is changed, which its form shows, and deleted after a question', async () => {
		await go('metrics');
		await heading('Metrics');
		await picture('metrics');
		await accessible('metrics');
		await page.getByRole('table', { name: 'Metrics' }).getByText(name).first().click();
		await heading(name);
		await page.getByLabel('Unit').fill('ms of it');
		await page.getByRole('button', { name: 'Save' }).click();
		await heading('Usage');
		await until(() => sql(`SELECT unit FROM usage_metrics WHERE name = '${quoted}' LIMIT 1`), 'ms of it');
		await page.goBack();
		const versions = page.getByRole('region', { name: 'Versions' });
		await versions.locator('.changes', { hasText: 'unit' }).getByText('ms of it').waitFor();
		await until(
			async () => String(await versions.locator('ol > li').count()),
			sql(`SELECT jsonb_array_length(list_usage_metric_versions(id) -> 'items') FROM usage_metrics WHERE name = '${quoted}'`),
		);
		await picture('metric-versions');
		await accessible('versions of a metric');
		await page.getByRole('button', { name: 'Delete' }).click();
		await page.getByRole('button', { name: 'Delete' }).click();
		await heading('Metrics');
		await until(() => sql(`SELECT count(*) FROM usage_metrics WHERE name = '${quoted}'`), '0');
	});

	await check('a metric that is deleted while its usage is open says so', async () => {
		const id = sql(`SELECT create_usage_metric('{"name": "soon gone", "metricType": "SIMPLE", "eventType": "api-call", "aggregationType": "COUNT"}') ->> 'id'`);
		await go(`usage?metric=${id}&from=2026-10-01&to=2026-10-31`);
		await page.locator('[data-drawn]').waitFor();
		sql(`SELECT delete_usage_metric('${id}')`);
		await page.getByLabel('Step').selectOption('week');
		await page.getByText('It is not there, or not any more').first().waitFor();
	});
}
