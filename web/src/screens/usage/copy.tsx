// copy.tsx: the same question as curl, as SQL and as CSV
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { addressOf, authorization, csv } from '../../api';
import { writeFilters } from '../../groups';
import { useAsk } from '../../hooks';
import { Choice, Copy, Doing, Loading, Over, Problem } from '../../parts/basics';
import { literal, word } from '../../quote';
import type { Period } from '../../time';
import type { Question } from './address';

export function CopyAs({ question, close }: { question: Question; close: () => void }) {
	const { metric, customers, step, zone, groupBy, earlier } = question;
	const [as, setAs] = useState('curl');
	const [when, setWhen] = useState('now');
	const [error, setError] = useState<Error | null>(null);
	const { at, asOf }: { at: Period; asOf?: string } = when === 'then' && earlier ? earlier : question;
	const filters = writeFilters(question.filters);
	const path = `/usage-metrics/${metric.id}/series`;
	const query = {
		customerAliases: customers,
		periodStart: at.start,
		periodEnd: at.end,
		step,
		timezone: zone,
		asOf,
		groupBy: groupBy.length > 0 ? groupBy : undefined,
		filters,
	};
	const asked = useAsk(() => (as === 'csv' ? csv(path, query) : Promise.resolve('')), [as, when]);
	const named = [
		asOf && `,\n    as_of => ${literal(asOf)}`,
		filters && `,\n    filters => ${literal(filters)}`,
		groupBy.length > 0 && `,\n    group_by => ARRAY[${groupBy.map(literal).join(', ')}]`,
	].filter((part) => part);
	const text =
		as === 'curl'
			? `curl -u "$CLIENT_ID:$CLIENT_SECRET" ${word(addressOf(path, query))}`
			: as === 'sql'
				? `SELECT * FROM usage_metric_series(\n    ${literal(metric.id)},\n    ARRAY[${customers.map(literal).join(', ')}],\n    tstzrange(${literal(at.start)}, ${literal(at.endExclusive)}),\n    ${literal(step)}, ${literal(zone)}${named.join('')});`
				: (asked.data ?? '');
	const save = async () => {
		try {
			const file = URL.createObjectURL(new Blob([await csv(path, query)], { type: 'text/csv' }));
			const link = document.createElement('a');
			link.href = file;
			link.download = 'usage.csv';
			link.click();
			URL.revokeObjectURL(file);
		} catch (caught) {
			setError(caught as Error);
		}
	};
	const blocks: ComponentChildren =
		as === 'csv' && !asked.data ? (
			<Loading what="the CSV" />
		) : (
			<pre class="json" tabIndex={0}>
				{text}
			</pre>
		);
	return (
		<Over title="Copy as" close={close}>
			<div class="top">
				<Choice
					label="Form"
					value={as}
					set={setAs}
					options={[
						['curl', 'curl'],
						['sql', 'SQL'],
						['csv', 'CSV'],
					]}
				/>
				<Copy text={text} what={as} />
			</div>
			{earlier && (
				<Choice
					label="Of which time"
					value={when}
					set={setWhen}
					options={[
						['now', 'Now'],
						['then', earlier.name],
					]}
				/>
			)}
			{asked.error ? <Problem error={asked.error} /> : blocks}
			{as === 'curl' && <p class="faint">The key is not in it: {authorization() === '' ? '' : 'set CLIENT_ID and CLIENT_SECRET first.'}</p>}
			{as === 'csv' && (
				<div class="footer">
					<Doing work={save}>Save as a file</Doing>
				</div>
			)}
			{error && <Problem error={error} />}
		</Over>
	);
}
