// exact.ts: decimal numbers as text, with all of their digits
//
// What is billed never goes through a float.  A float says only how high a bar is.
// A number of an answer: its text, as lossless-json reads it.
export interface Exact {
	value: string;
	isLosslessNumber: boolean;
}

interface Decimal {
	digits: bigint;
	scale: number;
}

function decimal(text: string): Decimal {
	const match = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text);
	if (!match || match[2] + match[3] === '') throw new RangeError(`no number: ${text}`);
	const [, sign, whole, fraction, exponent] = match;
	const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
	const scale = fraction.length - Number(exponent ?? 0);
	return scale >= 0 ? { digits, scale } : { digits: digits * 10n ** BigInt(-scale), scale: 0 };
}

function written({ digits, scale }: Decimal): string {
	const sign = digits < 0n ? '-' : '';
	const text = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0');
	const whole = text.slice(0, text.length - scale);
	const fraction = text.slice(text.length - scale).replace(/0+$/, '');
	return sign + whole + (fraction === '' ? '' : `.${fraction}`);
}

function aligned(a: string, b: string): [bigint, bigint, number] {
	const [x, y] = [decimal(a), decimal(b)];
	const scale = Math.max(x.scale, y.scale);
	return [x.digits * 10n ** BigInt(scale - x.scale), y.digits * 10n ** BigInt(scale - y.scale), scale];
}

export function plus(a: string, b: string): string {
	const [x, y, scale] = aligned(a, b);
	return written({ digits: x + y, scale });
}

export function minus(a: string, b: string): string {
	const [x, y, scale] = aligned(a, b);
	return written({ digits: x - y, scale });
}

export function compare(a: string, b: string): number {
	const [x, y] = aligned(a, b);
	return x < y ? -1 : x > y ? 1 : 0;
}

export function magnitude(text: string): string {
	return plain(text).replace('-', '');
}

// Of a division, rounded half away from zero to so many places.
export function quotient(a: string, b: string, places: number): string {
	const [x, y] = aligned(a, b);
	const scaled = (x * 10n ** BigInt(places + 1)) / y;
	const half = scaled < 0n ? -5n : 5n;
	return written({ digits: (scaled + half) / 10n, scale: places });
}

// As it is, without an exponent and without zeros at its end: 1.50 and 1.5 are the same.
export function plain(text: string): string {
	return written(decimal(text));
}

// For people to read: groups of three digits.  Whoever sends events may have a value of 60,000 digits, so no time for each
// digit that grows with all of them.
export function grouped(text: string): string {
	const [whole, fraction] = plain(text).split('.');
	const digits = whole.replace('-', '');
	const first = digits.length % 3 || 3;
	const groups = [digits.slice(0, first), ...(digits.slice(first).match(/\d{3}/g) ?? [])];
	return (whole.startsWith('-') ? '-' : '') + groups.join('\u202f') + (fraction === undefined ? '' : `.${fraction}`);
}

export function isNumber(text: string): boolean {
	return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$/.test(text);
}

export function shown(value: Exact | null | undefined): string {
	return value === null || value === undefined ? '–' : grouped(value.value);
}

// A difference, which has a sign.
export function signed(text: string): string {
	return compare(text, '0') > 0 ? `+${grouped(text)}` : grouped(text);
}

// By how much of what it was: "+12.5 %"; nothing where it was nothing.  What is less than the last place, or beyond all sense,
// is said to be.
export function relative(difference: string, old: string): string | null {
	if (compare(old, '0') === 0) return null;
	const share = quotient(times100(difference), magnitude(old), 1);
	const [size, more] = [magnitude(share), compare(difference, '0') > 0];
	if (size === '0' && compare(difference, '0') !== 0) return more ? '<\u202f+0.1\u202f%' : '>\u202f-0.1\u202f%';
	if (compare(size, '10000') >= 0) return more ? '>\u202f+10\u202f000\u202f%' : '<\u202f-10\u202f000\u202f%';
	return `${signed(share)}\u202f%`;
}

function times100(text: string): string {
	const { digits, scale } = decimal(text);
	return written({ digits: digits * 100n, scale });
}

// How high a bar is.
export function height(value: Exact | null | undefined): number | null {
	return value === null || value === undefined ? null : Number(value.value);
}

// A share in per cent for a bar: 0 to 100.
export function percent(part: string, whole: string): number {
	if (compare(whole, '0') <= 0) return compare(part, '0') > 0 ? 100 : 0;
	return Math.min(100, Math.max(0, Number(quotient(part, whole, 4)) * 100));
}
