// pickers.tsx: whose usage, split by what, and of which events alone
import { useState } from 'preact/hooks';
import { answer, api, write, type Schemas } from '../../api';
import { MOST_PROPERTIES, textOf, withValue, writeFilters, type Filters } from '../../groups';
import { change, useAsk } from '../../hooks';
import { listed, MOST_LINES } from './address';

type Metric = Schemas['UsageMetric'];

export function Customers({ chosen, offered, shownNow }: { chosen: string[]; offered: string[]; shownNow: string[] }) {
	return (
		<div class="chips">
			<span class="label">Customers</span>
			{chosen.map((name) => (
				<Chip key={name} text={name} without={name} remove={() => change({ customers: listed(chosen.filter((one) => one !== name)) })} />
			))}
			{chosen.length === 0 && shownNow.length > 0 && (
				<span class="faint">{shownNow.length === 1 ? 'the only one' : `the ${shownNow.length} with the most`}</span>
			)}
			<Adder
				label="Add a customer"
				placeholder="Add a customer"
				list="customers"
				offered={offered}
				add={(name) => !chosen.includes(name) && change({ customers: listed([...chosen, name].slice(-MOST_LINES)) })}
			/>
			<Offered list="customers" names={offered.filter((name) => !chosen.includes(name))} />
		</div>
	);
}

function Offered({ list, names }: { list: string; names: string[] }) {
	return (
		<datalist id={list}>
			{names.map((name) => (
				<option key={name} value={name} />
			))}
		</datalist>
	);
}

interface AdderProperties {
	label: string;
	placeholder: string;
	list: string;
	offered: string[];
	add: (name: string) => void;
}

// Takes what is typed at Enter, and what is picked from the list at once.
function Adder({ label, placeholder, list, offered, add }: AdderProperties) {
	const [text, setText] = useState('');
	const take = (name: string) => {
		if (name !== '') add(name);
		setText('');
	};
	return (
		<form
			onSubmit={(event) => {
				event.preventDefault();
				take(text.trim());
			}}>
			<input
				aria-label={label}
				list={list}
				placeholder={placeholder}
				autocomplete="off"
				value={text}
				onInput={(event) => {
					const value = event.currentTarget.value;
					// What is picked from the list comes without a key.
					if (!('inputType' in event && event.inputType === 'insertText') && offered.includes(value)) take(value);
					else setText(value);
				}}
			/>
		</form>
	);
}

// By which properties it is split, and which values of them count; properties are offered that events of the type have.
export function Properties({ metric, groupBy, filters }: { metric: Metric; groupBy: string[]; filters: Filters }) {
	const [property, setProperty] = useState('');
	const [value, setValue] = useState('');
	const eventType = metric.eventType;
	const found = useAsk((signal) => answer(api.GET('/usage-event-types/{eventType}/properties', { params: { path: { eventType } }, signal })), [eventType]);
	const properties = found.data?.items ?? [];
	const names = properties.map((one) => one.name);
	const examples = properties.find((one) => one.name === property)?.examples ?? [];
	return (
		<div class="chips">
			<span class="label">Group by</span>
			{groupBy.map((name) => (
				<Chip key={name} text={name} without={name} remove={() => change({ group: listed(groupBy.filter((one) => one !== name)) })} />
			))}
			{groupBy.length < MOST_PROPERTIES && (
				<Adder
					label="Group by a property"
					placeholder="A property"
					list="group-properties"
					offered={names}
					add={(name) => !groupBy.includes(name) && change({ group: listed([...groupBy, name]) })}
				/>
			)}
			<Offered list="group-properties" names={names} />
			<span class="label">Only</span>
			{Object.entries(filters).map(([name, values]) => (
				<Chip
					key={name}
					text={`${name} is ${values.map((one) => (one === null ? 'missing' : textOf(one))).join(' or ')}`}
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
				<Offered list="filter-values" names={examples.map((one) => (typeof one === 'string' ? one : write(one)))} />
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
			<span class="name" title={text}>
				{text}
			</span>
			<button type="button" aria-label={`Without ${without}`} onClick={remove}>
				✕
			</button>
		</span>
	);
}
