// table.tsx: a table that draws the rows that are seen, however many there are
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { ordered, type Order } from '../order';

export interface Column<T> {
	title: string;
	width: string;
	right?: boolean;
	order?: Order<T>;
	cell: (row: T) => ComponentChildren;
}

interface Properties<T> {
	label: string;
	columns: Column<T>[];
	rows: T[];
	// The number of the column by which rows are ordered at first; where there is none, they come as they are.
	first?: number;
	keyOf: (row: T) => string;
	open?: (row: T) => void;
	chosen?: string;
	nearEnd?: () => void;
	rowHeight?: number;
	tall?: boolean;
}

const SPARE = 8;

// What is cut is told where it is pointed at.
function tellWhole(event: MouseEvent): void {
	const cell = event.currentTarget as HTMLElement;
	cell.title = cell.scrollWidth > cell.clientWidth ? (cell.textContent ?? '') : '';
}

// Up and down move between rows, Enter opens one.  A click on the title of a column that has an order brings it about, and a
// second one turns it round.
export function Table<T>({ label, columns, rows: given, first: initial, keyOf, open, chosen, nearEnd, rowHeight = 34, tall }: Properties<T>) {
	const box = useRef<HTMLDivElement>(null);
	const [view, setView] = useState({ top: 0, height: 600 });
	useLayoutEffect(() => {
		const element = box.current;
		if (!element) return undefined;
		const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
		measure();
		const observer = new ResizeObserver(measure);
		observer.observe(element);
		return () => observer.disconnect();
	}, []);
	const [by, setBy] = useState({ column: initial, turned: false });
	const order = by.column === undefined ? undefined : columns[by.column]?.order;
	const rows = useMemo(() => (order ? ordered(given, order, by.turned) : given), [given, by, columns.length]);
	const sort = (column: number) => {
		setBy((before) => ({ column, turned: before.column === column && !before.turned }));
		box.current?.scrollTo({ top: 0 });
	};
	const first = Math.max(0, Math.floor(view.top / rowHeight) - SPARE);
	const last = Math.min(rows.length, Math.ceil((view.top + view.height) / rowHeight) + SPARE);
	const scrolled = () => {
		const element = box.current;
		if (!element) return;
		setView({ top: element.scrollTop, height: element.clientHeight });
		if (nearEnd && element.scrollTop + element.clientHeight > element.scrollHeight - 20 * rowHeight) nearEnd();
	};
	const step = (event: KeyboardEvent, row: T) => {
		const target = event.currentTarget as HTMLElement;
		const sibling = event.key === 'ArrowDown' ? target.nextElementSibling : event.key === 'ArrowUp' ? target.previousElementSibling : null;
		if (sibling instanceof HTMLElement && sibling.getAttribute('role') === 'row') {
			event.preventDefault();
			sibling.focus();
			sibling.scrollIntoView({ block: 'nearest' });
		}
		if (open && (event.key === 'Enter' || event.key === ' ') && event.target === target) {
			event.preventDefault();
			open(row);
		}
	};
	const sorted = (column: Column<T>, number: number) =>
		!column.order ? undefined : number !== by.column ? 'none' : (column.order.as === 'numbers') === by.turned ? 'ascending' : 'descending';
	// Below it the table scrolls sideways: header and rows as one.
	const narrowest = columns.reduce((sum, column) => sum + Number(/\d+/.exec(column.width)?.[0] ?? 0) + 14, 26);
	// Few rows need no tall table.
	const least = tall ? { minHeight: `${Math.min(240, rows.length * rowHeight + 36)}px` } : undefined;
	const grid = { gridTemplateColumns: columns.map((column) => column.width).join(' ') };
	return (
		<div
			class={`table${tall ? ' tall' : ''}`}
			style={least}
			ref={box}
			onScroll={scrolled}
			role="table"
			aria-label={label}
			aria-rowcount={rows.length + 1}
			tabIndex={0}>
			<div role="rowgroup" class="head" style={{ minWidth: `${narrowest}px` }}>
				<div role="row" aria-rowindex={1} style={grid}>
					{columns.map((column, number) => (
						<div key={number} role="columnheader" class={column.right ? 'right' : ''} onMouseEnter={tellWhole} aria-sort={sorted(column, number)}>
							{column.order ? (
								<button type="button" onClick={() => sort(number)}>
									{column.title}
								</button>
							) : (
								column.title
							)}
						</div>
					))}
				</div>
			</div>
			<div role="rowgroup" class="rows" style={{ height: `${rows.length * rowHeight}px`, minWidth: `${narrowest}px` }}>
				{rows.slice(first, last).map((row, number) => (
					<div
						key={keyOf(row)}
						role="row"
						aria-rowindex={first + number + 2}
						tabIndex={open ? 0 : undefined}
						class={`${open ? 'opens' : ''}${chosen === keyOf(row) ? ' chosen' : ''}`}
						style={{ ...grid, height: `${rowHeight}px`, transform: `translateY(${(first + number) * rowHeight}px)` }}
						onClick={open && (() => open(row))}
						onKeyDown={open && ((event) => step(event, row))}>
						{columns.map((column, place) => (
							<div key={place} role="cell" class={column.right ? 'right number' : ''} onMouseEnter={tellWhole}>
								{column.cell(row)}
							</div>
						))}
					</div>
				))}
			</div>
		</div>
	);
}

export function withUnit(title: string, unit: string | null): string {
	return unit ? `${title} (${unit})` : title;
}
