// order.ts: the order of many rows: numbers to the digit, the largest first; texts from A to Z; what has neither comes last
import { compare } from './exact';

export interface Order<T> {
	key: (row: T) => string | null;
	as: 'numbers' | 'texts';
}

interface Keyed<T> {
	row: T;
	key: string | null;
	float: number;
}

function compared<T>(a: Keyed<T>, b: Keyed<T>, as: 'numbers' | 'texts'): number {
	if (a.key === b.key) return 0;
	if (as === 'texts') return (a.key ?? '') < (b.key ?? '') ? -1 : 1;
	// Floats have the order of the numbers, and where they are equal the digits decide.
	return a.float < b.float ? 1 : a.float > b.float ? -1 : compare(b.key ?? '0', a.key ?? '0');
}

// Rows that are alike keep their order, whichever way round.
export function ordered<T>(rows: T[], { key, as }: Order<T>, turned = false): T[] {
	const sign = turned ? -1 : 1;
	return rows
		.map((row): Keyed<T> => {
			const found = key(row);
			return { row, key: found, float: as === 'numbers' ? Number(found) : 0 };
		})
		.sort((a, b) => (a.key === null || b.key === null ? Number(a.key === null) - Number(b.key === null) : sign * compared(a, b, as)))
		.map(({ row }) => row);
}
