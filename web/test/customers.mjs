// customers.mjs: the screen Customers
export default async function customers({ sql, until, check, picture, accessible, go, heading, page, MARKUP }) {
	const quoted = MARKUP.replace(/'/g, "''");

	await check('customers are listed, the unmapped ones apart, with markup as text', async () => {
		await go('customers');
		await heading('Customers');
		const table = page.getByRole('table', { name: 'Customers' });
		await table.getByText('acme').first().waitFor();
		await table.getByText(MARKUP).first().waitFor();
		await picture('customers');
		await accessible('customers');
	});

	await check('an unmapped alias is mapped in place, and counts for its customer', async () => {
		if (sql(`SELECT count(*) FROM customer_aliases WHERE value = '${quoted}'`) !== '0')
			sql(`SELECT delete_customer_alias(id) FROM customer_aliases WHERE value = '${quoted}'`);
		await page.reload();
		const panel = page.getByRole('region', { name: 'Unmapped aliases' });
		const field = panel.getByLabel(`Customer of ${MARKUP}`);
		await field.fill('acme');
		await field.press('Enter');
		await field.waitFor({ state: 'detached' });
		await until(() => sql(`SELECT customer_id FROM customer_aliases WHERE value = '${quoted}'`), 'acme');
	});

	await check('a customer shows usage, limits with bars, aliases and crossed thresholds', async () => {
		const metric = sql("SELECT id FROM usage_metrics WHERE name = 'API time'");
		sql(`SELECT create_usage_limit('{"name": "${MARKUP.replace(/"/g, '\\"')}", "usageMetricId": "${metric}", "period": "ALL_TIME", "limit": 50000.5, "mode": "REPORT"}')
			WHERE NOT EXISTS (SELECT FROM usage_limits)`);
		await go('customers/globex?from=2026-10-01&to=2026-10-31');
		await heading('globex');
		const value = sql(`SELECT trim_scale((calculate_usage_metric('${metric}', '{globex}', '[2026-09-30 22:00Z, 2026-10-31 23:00Z)') ->> 'value')::numeric)`);
		const usage = page.getByRole('region', { name: 'Usage' }).locator('li', { hasText: 'API time' }).locator('b');
		await until(async () => (await usage.innerText()).replace(/\s|\u202f/g, ''), value);
		const limits = page.getByRole('region', { name: 'Limits' });
		await limits.getByText(MARKUP).waitFor();
		await limits.getByText('50\u202f000.5').waitFor();
		await limits.getByRole('meter').waitFor();
		await picture('customer');
		await accessible('a customer');
	});

	await check('an alias is added with a label of markup, and deleted after a question', async () => {
		const aliases = page.getByRole('region', { name: 'Aliases' });
		await aliases.getByLabel('Another alias').fill('globex-eu');
		await aliases.getByLabel('Label').fill(MARKUP);
		await aliases.getByRole('button', { name: 'Add the alias' }).click();
		await aliases.getByText(MARKUP).waitFor();
		await until(() => sql("SELECT label FROM customer_aliases WHERE value = 'globex-eu' AND customer_id = 'globex'"), MARKUP);
		await aliases.getByRole('button', { name: 'Delete' }).click();
		await aliases.getByText('It counts here no more.').waitFor();
		await aliases.getByRole('button', { name: 'Delete' }).click();
		await aliases.getByText(MARKUP).waitFor({ state: 'detached' });
		await until(() => sql("SELECT count(*) FROM customer_aliases WHERE value = 'globex-eu'"), '0');
	});

	await check('a refusal of an alias stands at its field', async () => {
		await page.getByRole('region', { name: 'Aliases' }).getByLabel('Another alias').fill('VOID');
		await page.getByRole('button', { name: 'Add the alias' }).click();
		await page.locator('.fault').first().waitFor();
	});
}
