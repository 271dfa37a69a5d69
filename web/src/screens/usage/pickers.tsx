// pickers.tsx: whose usage, split by what, and of which events alone
import { useState } from 'preact/hooks';
import { answer, api, write, type Schemas } from '../../api';
import { MOST_PROPERTIES, withValue, writeFilters, type Filters } from '../../groups';
import { change, useAsk } from '../../hooks';
import { listed, MOST_LINES } from './address';

type Metric = Schemas['UsageMetric'];

export function Customers({ chosen, offered, shownNow }: { chosen: string[]; offered: string[]; shownNow: string[] }) {
	const [text, setText] = useState('');
	const add = (name: string) => {
		const trimmed = name.trim();
		if (trimmed !== '' && !chosen.includes(trimmed)) change({ customers: listed([...chosen, trimmed].slice(-MOST_LINES)) });
		setText('');
	};
	return (
		<div class="chips">
			<span class="label">Customers</span>
			{chosen.map((name) => (
				<span key={name} class="chip">
					{name}
					<button type="button" aria-label={`Without ${name}`} onClick={() => change({ customers: listed(chosen.filter((one) => one !== name)) })}>
						✕
					</button>
				</span>
			))}
			{chosen.length === 0 && shownNow.length > 0 && (
				<span class="faint">{shownNow.length === 1 ? 'the only one' : `the ${shownNow.length} with the most`}</span>
			)}
			<form
				onSubmit={(event) => {
					event.preventDefault();
					add(text);
				}}>
				<input
					aria-label="Add a customer"
					list="customers"
					placeholder="Add a customer"
					autocomplete="off"
					value={text}
					onInput={(event) => {
						const value = event.currentTarget.value;
						if (offered.includes(value)) add(value);
						else setText(value);
					}}
				/>
				<datalist id="customers">
					{offered
						.filter((name) => !chosen.includes(name))
						.map((name) => (
							<option key={name} value={name} />
						))}
				</datalist>
			</form>
		</div>
	);
}

// By which properties it is split, and which values of them count; properties are offered that events of the type have.
export function Properties({ metric, groupBy, filters }: { metric: Metric; groupBy: string[]; filters: Filters }) {
	const [group, setGroup] = useState('');
	const [property, setProperty] = useState('');
	const [value, setValue] = useState('');
	const eventType = metric.eventType;
	const found = useAsk((signal) => answer(api.GET('/usage-event-types/{eventType}/properties', { params: { path: { eventType } }, signal })), [eventType]);
	const names = found.data?.items ?? [];
	const examples = names.find((one) => one.name === property)?.examples ?? [];
	const split = (name: string) => {
		if (name !== '' && !groupBy.includes(name)) change({ group: listed([...groupBy, name]) });
		setGroup('');
	};
	return (
		<div class="chips">
			<span class="label">Group by</span>
			{groupBy.map((name) => (
				<Chip key={name} text={name} without={name} remove={() => change({ group: listed(groupBy.filter((one) => one !== name)) })} />
			))}
			{groupBy.length < MOST_PROPERTIES && (
				<form
					onSubmit={(event) => {
						event.preventDefault();
						split(group);
					}}>
					<input
						aria-label="Group by a property"
						list="group-properties"
						placeholder="A property"
						autocomplete="off"
						value={group}
						onInput={(event) => {
							const text = event.currentTarget.value;
							// What is picked from the list comes without a key.
							if (!('inputType' in event && event.inputType === 'insertText') && names.some((one) => one.name === text)) split(text);
							else setGroup(text);
						}}
					/>
				</form>
			)}
			<datalist id="group-properties">
				{names.map((one) => (
					<option key={one.name} value={one.name} />
				))}
			</datalist>
			<span class="label">Only</span>
			{Object.entries(filters).map(([name, values]) => (
				<Chip
					key={name}
					text={`${name} is ${values.map((one) => one ?? 'missing').join(' or ')}`}
					without={`the filter of ${name}`}
					remove={() => change({ filters: writeFilters({ ...filters, [name]: [] }) ?? null })}
				/>
			))}
			<form
				onSubmit={(event) => {
					event.preventDefault();
					if (property === '') return;
					change({ filters: writeFilters(withValue(filters, property, value)) ?? null });
					setValue('');
				}}>
				<input
					aria-label="Property of a filter"
					list="group-properties"
					placeholder="A property"
					autocomplete="off"
					value={property}
					onInput={(event) => setProperty(event.currentTarget.value)}
				/>
				<input
					aria-label="Value of a filter"
					list="filter-values"
					placeholder="is"
					autocomplete="off"
					value={value}
					onInput={(event) => setValue(event.currentTarget.value)}
				/>
				<datalist id="filter-values">
					{examples.map((one) => {
						const text = typeof one === 'string' ? one : write(one);
						return <option key={text} value={text} />;
					})}
				</datalist>
				<button class="small" disabled={property === ''}>
					Add
				</button>
			</form>
		</div>
	);
}

function Chip({ text, without, remove }: { text: string; without: string; remove: () => void }) {
	return (
		<span class="chip">
			{text}
			<button type="button" aria-label={`Without ${without}`} onClick={remove}>
				✕
			</button>
		</span>
	);
}
