// health.mjs: the screen Health
export default async function health({ sql, until, check, picture, accessible, go, heading, page }) {
	await check('what comes in is counted as it comes', async () => {
		await go('health');
		await heading('Health');
		sql(`SELECT create_usage_event(jsonb_build_object('customerAlias', 'acme', 'eventType', 'health')) FROM generate_series(1, 5)`);
		const shown = async () => Number((await page.locator('[data-tile="stored"] .big').innerText()).replace(/\D/g, ''));
		await until(shown, (count) => count >= 5);
		sql(`SELECT ingest_usage_events('[{}]')`);
		const waiting = async () => (await page.locator('[data-tile="waiting"] .big').innerText()).replace(/\D/g, '');
		await until(waiting, sql('SELECT count(*) FROM rejected_usage_events'));
		const told = (name) => page.locator(`[data-tile="${name}"]`).innerText();
		const versions = sql('SELECT metric_version_count FROM usage_events.account_status WHERE account_id = usage_events.current_account_id()');
		await until(async () => (await told('metrics')).replace(/\D+/g, ' ').trim(), `${sql('SELECT count(*) FROM usage_metrics')} ${versions}`);
		await until(
			async () => (await told('limits')).replace(/\D+/g, ' ').trim(),
			sql("SELECT jsonb_array_length(list_usage_limits(100) -> 'items') || ' ' || jsonb_array_length(list_usage_alerts(100) -> 'items')"),
		);
		await page.locator('[data-drawn]').waitFor();
		await page.getByRole('region', { name: 'Types' }).getByText('api-call').waitFor();
		await picture('health');
		await accessible('health');
		sql('SELECT delete_rejected_usage_event(id) FROM rejected_usage_events');
	});
}
