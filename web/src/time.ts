// time.ts: moments on the clock of a time zone
//
// The API answers in UTC, with up to six digits of a second; all of them are shown.

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string): Intl.DateTimeFormat {
	let found = formats.get(zone);
	if (!found) {
		found = new Intl.DateTimeFormat('en-CA', {
			timeZone: zone,
			hourCycle: 'h23',
			year: 'numeric',
			month: '2-digit',
			day: '2-digit',
			hour: '2-digit',
			minute: '2-digit',
			second: '2-digit',
		});
		formats.set(zone, found);
	}
	return found;
}

function clock(moment: number, zone: string): Record<string, string> {
	return Object.fromEntries(
		format(zone)
			.formatToParts(moment)
			.map((part) => [part.type, part.value]),
	);
}

export function date(moment: number, zone: string): string {
	const at = clock(moment, zone);
	return `${at.year}-${at.month}-${at.day}`;
}

// "2026-10-15 08:44:47.356": as precise as it was sent.
export function inZone(moment: string, zone: string): string {
	const at = clock(Date.parse(moment), zone);
	const fraction = /\.\d+/.exec(moment)?.[0] ?? '';
	return `${at.year}-${at.month}-${at.day} ${at.hour}:${at.minute}:${at.second}${fraction}`;
}

function offset(moment: number, zone: string): number {
	const at = clock(moment, zone);
	return Date.UTC(+at.year, +at.month - 1, +at.day, +at.hour, +at.minute, +at.second) - Math.floor(moment / 1000) * 1000;
}

// When the clock of the zone shows that; where it never does, when it goes on.
export function moment(local: string, zone: string): number {
	const wanted = Date.parse(`${local.length === 10 ? `${local}T00:00` : local}Z`);
	const first = wanted - offset(wanted, zone);
	const second = wanted - offset(first, zone);
	return offset(second, zone) === wanted - second ? second : Math.max(first, second);
}

// The same as the API takes it; nothing where it is no time.
export function instant(local: string, zone: string): string | undefined {
	return Number.isNaN(Date.parse(`${local}Z`)) ? undefined : new Date(moment(local, zone)).toISOString();
}

export function isDay(text: string): boolean {
	return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));
}

export function isZone(name: string): boolean {
	try {
		return format(name) !== undefined;
	} catch {
		return false;
	}
}

export function nextDay(day: string, days = 1): string {
	return new Date(Date.parse(`${day}T00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

// A period of whole days as the API takes it, both ends inclusive; and as SQL does, the end exclusive.
export interface Period {
	start: string;
	end: string;
	endExclusive: string;
}

export function period(from: string, to: string, zone: string): Period {
	const end = moment(nextDay(to), zone);
	return {
		start: new Date(moment(from, zone)).toISOString(),
		end: new Date(end - 1).toISOString().replace(/\.999Z$/, '.999999Z'),
		endExclusive: new Date(end).toISOString(),
	};
}

export function days(from: string, to: string): number {
	return Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000) + 1;
}

// As many days before, or the whole month before where it is one.
export function before(from: string, to: string): [string, string] {
	if (from.endsWith('-01') && nextDay(to).endsWith('-01') && from.slice(0, 7) === to.slice(0, 7)) {
		const last = nextDay(from, -1);
		return [`${last.slice(0, 7)}-01`, last];
	}
	return [nextDay(from, -days(from, to)), nextDay(from, -1)];
}

export const ranges: Record<string, (today: string) => [string, string]> = {
	Today: (today) => [today, today],
	'Last 7 days': (today) => [nextDay(today, -6), today],
	'Last 30 days': (today) => [nextDay(today, -29), today],
	'This month': (today) => [`${today.slice(0, 7)}-01`, today],
	'Last month': (today) => before(`${today.slice(0, 7)}-01`, nextDay(`${nextDay(`${today.slice(0, 7)}-01`, 31).slice(0, 7)}-01`, -1)),
};

// "3 s", "5 min", "2 h": how long something takes, roughly.
export function roughly(seconds: number): string {
	if (seconds < 90) return `${seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds)} s`;
	if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
	if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
	return `${Math.round(seconds / 86_400)} days`;
}

export function zones(): string[] {
	const all = (Intl as unknown as { supportedValuesOf?: (key: string) => string[] }).supportedValuesOf?.('timeZone') ?? [];
	return ['UTC', ...all.filter((zone) => zone !== 'UTC')];
}
