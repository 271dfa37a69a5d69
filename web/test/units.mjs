// units.mjs: what computes in the page: exact numbers, times in zones, what counts in a preview
import assert from 'node:assert/strict';
import test from 'node:test';
import { createServer } from 'vite';

const server = await createServer({ server: { middlewareMode: true }, appType: 'custom', logLevel: 'error', optimizeDeps: { noDiscovery: true } });
const { plus, minus, compare, quotient, plain, grouped, percent } = await server.ssrLoadModule('/src/exact.ts');
const { inZone, moment, period, before, ranges, days } = await server.ssrLoadModule('/src/time.ts');
const { literal, word } = await server.ssrLoadModule('/src/quote.ts');
// The API's address is the page's.
globalThis.location = new URL('http://localhost/ui/');
const { read, shallow } = await server.ssrLoadModule('/src/api.ts');
const { byValue, filtersOf, nameOf, readFilters, seriesOf, withValue, writeFilters } = await server.ssrLoadModule('/src/groups.ts');
const { changes, storedAt } = await server.ssrLoadModule('/src/versions.ts');
const { reason, value } = await server.ssrLoadModule('/src/preview.ts');
test.after(() => server.close());

test('sums and differences keep every digit', () => {
	assert.equal(plus('0.1', '0.2'), '0.3');
	assert.equal(plus('12345678901234567890.123456789', '0.000000001'), '12345678901234567890.12345679');
	assert.equal(minus('79.646', '179.646'), '-100');
	assert.equal(minus('1e3', '0.5'), '999.5');
	assert.equal(plus('-0.5', '0.5'), '0');
});

test('numbers are compared and written by their value', () => {
	assert.equal(compare('1.50', '1.5'), 0);
	assert.equal(compare('-1', '1e-9'), -1);
	assert.equal(plain('1.500'), '1.5');
	assert.equal(plain('15e-1'), '1.5');
	assert.equal(grouped('1234567.1234567'), '1\u202f234\u202f567.1234567');
	assert.equal(grouped('-1234'), '-1\u202f234');
	assert.equal(grouped('-123'), '-123');
	assert.equal(grouped('0'), '0');
	assert.equal(grouped('123456.5'), '123\u202f456.5');
	assert.equal(grouped('9'.repeat(60_000)), Array(20_000).fill('999').join('\u202f'));
	assert.throws(() => plain('x'));
});

test('groups are in the order of their values, to the digit, and those without one last', () => {
	const groups = ['9007199254740992', '9007199254740993', null, '-1', '1e3'].map((text, at) => ({
		grouping: { a: String(at) },
		value: text && { value: text },
	}));
	assert.deepEqual(
		byValue(groups).map((group) => group.grouping.a),
		['1', '0', '4', '3', '2'],
	);
	assert.equal(byValue(Array.from({ length: 100_000 }, (_, n) => ({ grouping: String(n), value: { value: String(n % 7) } })))[0].value.value, '6');
});

test('the others of a step are all that is not drawn, in decimal', () => {
	const group = (a, text) => ({ grouping: { a }, value: { value: text } });
	const steps = [{ groupedValues: [group('x', '1'), group('y', '0.1'), group(null, '0.2'), group('z', '12345678901234567890')] }, { groupedValues: [] }];
	const told = (series) => series.map(({ name, steps: values }) => [name, ...values.map((step) => step.value?.value ?? null)]);
	const shown = [group('x', '1'), group(null, '0.2')];
	assert.deepEqual(told(seriesOf(steps, shown, true, true)), [
		['x', '1', '0'],
		['without a', '0.2', '0'],
		['all others', '12345678901234567890.1', '0'],
	]);
	// Of a largest value there are no others, and where there is no group there is none.
	assert.deepEqual(told(seriesOf(steps, shown, false, true)), [
		['x', '1', null],
		['without a', '0.2', null],
	]);
	assert.equal(nameOf({ grouping: { a: 'x', b: null } }), 'x · without b');
	assert.deepEqual(filtersOf([...shown, group('x', '1')]), { a: ['x', null] });
});

test('filters of an address that make no sense filter nothing', () => {
	for (const text of [null, '', 'x', '[]', '5', 'null', '{"a": 1}', '{"a": [1]}']) assert.equal(writeFilters(readFilters(text)), undefined);
	assert.deepEqual(readFilters('{"a": ["b", null], "c": {}}'), { a: ['b', null] });
	for (const name of ['toString', '__proto__']) {
		assert.equal(writeFilters(withValue(withValue({}, name, 'x'), name, 'y')), `{"${name}":["x","y"]}`);
	}
	assert.equal(writeFilters({ a: ['b'], c: [] }), '{"a":["b"]}');
});

test('quotients are rounded half away from zero', () => {
	assert.equal(quotient('2', '3', 4), '0.6667');
	assert.equal(quotient('-1', '8', 2), '-0.13');
	assert.equal(quotient('1', '8', 2), '0.13');
});

test('a bar is from 0 to 100 per cent', () => {
	assert.equal(percent('50', '200'), 25);
	assert.equal(percent('500', '200'), 100);
	assert.equal(percent('1', '0'), 100);
	assert.equal(percent('0', '0'), 0);
});

test('a moment is shown by the clock of a zone, with the digits that it came with', () => {
	assert.equal(inZone('2026-10-15T06:44:47.123456Z', 'Europe/Berlin'), '2026-10-15 08:44:47.123456');
	assert.equal(inZone('2026-10-15T06:44:47Z', 'UTC'), '2026-10-15 06:44:47');
	assert.equal(inZone('2026-12-31T23:30:00Z', 'Asia/Kolkata'), '2027-01-01 05:00:00');
});

test('days begin by the clock, also when it is changed', () => {
	assert.equal(new Date(moment('2026-10-25', 'Europe/Berlin')).toISOString(), '2026-10-24T22:00:00.000Z');
	assert.equal(new Date(moment('2026-10-26', 'Europe/Berlin')).toISOString(), '2026-10-25T23:00:00.000Z');
	// 24:00 does not come in Santiago on this day: the clock goes on at 1:00.
	assert.equal(new Date(moment('2026-09-06', 'America/Santiago')).toISOString(), '2026-09-06T04:00:00.000Z');
	assert.deepEqual(period('2026-10-25', '2026-10-25', 'Europe/Berlin'), {
		start: '2026-10-24T22:00:00.000Z',
		end: '2026-10-25T22:59:59.999999Z',
		endExclusive: '2026-10-25T23:00:00.000Z',
	});
});

test('the period before is as long, or the month before', () => {
	assert.deepEqual(before('2026-03-01', '2026-03-31'), ['2026-02-01', '2026-02-28']);
	assert.deepEqual(before('2026-03-10', '2026-03-16'), ['2026-03-03', '2026-03-09']);
	assert.equal(days('2026-02-01', '2026-03-01'), 29);
	assert.deepEqual(ranges['Last month']('2026-03-31'), ['2026-02-01', '2026-02-28']);
	assert.deepEqual(ranges['Last month']('2026-01-01'), ['2025-12-01', '2025-12-31']);
});

test('texts are quoted for SQL and for a shell', () => {
	assert.equal(literal("it's"), "'it''s'");
	assert.equal(literal("a\\'b"), "E'a\\\\''b'");
	assert.equal(word("it's $(x)"), "'it'\\''s $(x)'");
});

test('what is nested too deeply is not shown, and all else is', () => {
	const nested = (depth, inside = '') => '['.repeat(depth) + inside + ']'.repeat(depth);
	const kept = '{"a\\\\": "]}\\"[", "b": [' + nested(98, '1.50') + ', 2]}';
	assert.equal(shallow(kept), kept);
	assert.equal(
		shallow(`{"items": [${nested(6000, '"]"')}, {"b": 1}, ${nested(99)}]}`),
		`{"items": [${nested(98, '"… nested too deeply to be shown"')}, {"b": 1}, ${nested(98, '"… nested too deeply to be shown"')}]}`,
	);
	assert.equal(read(shallow(nested(6000))).length, 1);
	assert.equal(shallow('"no end'), '"no end');
});

const event = (properties, more = {}) => ({
	id: '01910382-f600-7b6c-9c53-2f0e6d1a8b47',
	customerAlias: 'a',
	eventType: 't',
	eventTimestamp: '2026-01-01T00:00:00Z',
	...more,
	eventProperties: read(properties),
});
const draft = (more) => ({
	aggregationType: 'SUM',
	aggregationProperty: 'n',
	percentile: '0.5',
	propertyFilters: {},
	propertiesToNegate: [],
	caseSensitive: true,
	...more,
});

test('a preview counts what the server would, and says why not', () => {
	assert.equal(reason(event('{"n": 1}'), draft()), null);
	assert.equal(reason(event('{"n": "1e3"}'), draft()), null);
	assert.equal(reason(event('{"n": "007"}'), draft()), 'n is no number');
	assert.equal(reason(event('{}'), draft()), 'n is missing');
	assert.equal(reason(event('{"n": 1}', { customerAlias: 'VOID' }), draft()), 'was taken back');
	assert.equal(reason(event('{}'), draft({ aggregationProperty: 'constructor' })), 'constructor is missing');
	assert.equal(reason(event('{"__proto__": 1}'), draft({ aggregationProperty: '__proto__' })), null);
	assert.equal(reason(event('{}'), draft({ aggregationType: 'COUNT', propertyFilters: { toString: [null] } })), null);
	const filtered = draft({ aggregationType: 'COUNT', propertyFilters: { status: read('[200, null]') } });
	assert.equal(reason(event('{"status": 200.0}'), filtered), null);
	assert.equal(reason(event('{}'), filtered), null);
	assert.equal(reason(event('{"status": 404}'), filtered), 'status is 404');
	assert.equal(reason(event('{"status": 404}'), { ...filtered, propertiesToNegate: ['status'] }), null);
	assert.equal(reason(event('{"status": "EU"}'), draft({ aggregationType: 'COUNT', caseSensitive: false, propertyFilters: { status: ['eu'] } })), null);
});

test('a preview adds up exactly', () => {
	const events = ['{"n": 0.1}', '{"n": 0.2}', '{"n": 12345678901234567890}', '{"n": 0.20}'].map((properties) => event(properties));
	assert.equal(value(events, draft()), '12345678901234567890.5');
	assert.equal(value(events, draft({ aggregationType: 'UNIQUE' })), '3');
	assert.equal(value(events, draft({ aggregationType: 'MIN' })), '0.1');
	assert.equal(value(events, draft({ aggregationType: 'MAX' })), '12345678901234567890');
	assert.equal(value(events, draft({ aggregationType: 'PERCENTILE', percentile: '0.75' })), '0.2');
	assert.equal(value(events, draft({ aggregationType: 'PERCENTILE', percentile: '0.76' })), '12345678901234567890');
	assert.equal(value([], draft({ aggregationType: 'AVERAGE' })), null);
	assert.equal(value([event('{"n": 1}'), event('{"n": 2}', { eventTimestamp: '2026-01-01T00:00:00.000001Z' })], draft({ aggregationType: 'LATEST' })), '2');
});

test('versions of an event say what changed, and when each was stored', () => {
	assert.deepEqual(changes(event('{"n": 1, "old": true}'), event('{"n": 1.0, "new": "x"}', { customerAlias: 'b' })), [
		{ field: 'customerAlias', old: 'a', new: 'b' },
		{ field: 'eventProperties.n', old: '1', new: '1.0' },
		{ field: 'eventProperties.old', old: 'true', new: null },
		{ field: 'eventProperties.new', old: null, new: '"x"' },
	]);
	assert.equal(storedAt('01910382-f600-7b6c-9c53-2f0e6d1a8b47'), new Date(0x01910382f600).toISOString());
});
