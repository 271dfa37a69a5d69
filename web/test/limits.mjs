// limits.mjs: the screen Limits and alerts
export default async function limits({ sql, until, check, picture, accessible, go, heading, dialog, page, MARKUP }) {
	const name = `Calls ${MARKUP}`;
	const quoted = name.replace(/'/g, "''");

	await check('a limit’s form says its faults at their fields, and makes nothing', async () => {
		const before = sql('SELECT count(*) FROM usage_limits');
		await go('limits');
		await heading('Limits and alerts');
		await page.getByRole('button', { name: 'New limit' }).click();
		await dialog().getByLabel('Limit', { exact: true }).fill('many');
		await dialog().getByLabel('Time zone').fill('Atlantis');
		await dialog().getByRole('button', { name: 'Make the limit' }).click();
		await dialog().locator('.fault', { hasText: /^Name/ }).waitFor();
		await dialog()
			.locator('.fault', { hasText: /^Limit/ })
			.waitFor();
		await dialog().locator('.fault', { hasText: 'Time zone' }).waitFor();
		await picture('limit-faults');
		await accessible('faults of a limit');
		if (sql('SELECT count(*) FROM usage_limits') !== before) throw new Error('one was made');
	});

	await check('a limit is made with all of its digits, listed, changed, and deleted', async () => {
		await dialog().getByLabel('Name').fill(name);
		await dialog().getByLabel('Metric').selectOption({ label: 'API time' });
		await dialog().getByLabel('Customer').fill('initech');
		await dialog().getByLabel('Time zone').fill('Europe/Berlin');
		await dialog().getByLabel('Limit', { exact: true }).fill('12345678901234567890.125');
		await dialog().getByLabel('What goes beyond').selectOption('REPORT');
		await dialog().getByRole('button', { name: 'Make the limit' }).click();
		const table = page.getByRole('table', { name: 'Limits' });
		await table.getByText(name).first().waitFor();
		const row = () => sql(`SELECT "limit" || ' ' || mode || ' ' || customer FROM usage_limits WHERE name = '${quoted}'`);
		await until(row, '12345678901234567890.125 REPORT initech');
		await table.getByText(name).first().click();
		await dialog().getByLabel('Limit', { exact: true }).fill('7');
		await dialog().getByRole('button', { name: 'Save' }).click();
		await until(row, '7 REPORT initech');
		await dialog().waitFor({ state: 'detached' });
		await table.getByText(name).first().click();
		await dialog().getByRole('button', { name: 'Delete' }).click();
		await dialog().getByRole('button', { name: 'Delete' }).click();
		await until(row, '');
	});

	await check('an alert is made, and a threshold that is crossed appears by itself', async () => {
		await page.getByRole('button', { name: 'New alert' }).click();
		await dialog().getByLabel('Name').fill(name);
		await dialog().getByLabel('Metric').selectOption({ label: 'API time' });
		await dialog().getByLabel('Period').selectOption('ALL_TIME');
		await dialog().getByLabel('Thresholds').fill('1000, 2000.5');
		await picture('alert-form');
		await accessible('form of an alert');
		await dialog().getByRole('button', { name: 'Make the alert' }).click();
		await page.getByRole('table', { name: 'Alerts' }).getByText(name).first().waitFor();
		await until(() => sql(`SELECT thresholds FROM usage_alerts WHERE name = '${quoted}' LIMIT 1`), '{1000,2000.5}');
		sql(
			`SELECT create_usage_event('{"customerAlias": "hooli", "eventType": "api-call", "eventTimestamp": "2026-10-20T00:00:00Z", "eventProperties": {"milliseconds": 3000}}')`,
		);
		await until(
			() => {
				sql('SELECT usage_events.refresh_rollups()');
				return Number(sql("SELECT count(*) FROM usage_alert_events WHERE customer = 'hooli'"));
			},
			(count) => count >= 2,
		);
		await page.getByRole('table', { name: 'Crossed thresholds' }).getByText('hooli').first().waitFor();
		await picture('limits');
		await accessible('limits and alerts');
	});
}
