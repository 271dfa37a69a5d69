// units.mjs: what computes in the page: exact numbers, times in zones, what counts in a preview
import assert from 'node:assert/strict';
import test from 'node:test';
import { createServer } from 'vite';

const server = await createServer({ server: { middlewareMode: true }, appType: 'custom', logLevel: 'error', optimizeDeps: { noDiscovery: true } });
const { plus, minus, compare, quotient, plain, grouped, magnitude, percent, relative, signed } = await server.ssrLoadModule('/src/exact.ts');
const { inZone, moment, period, before, ranges, days } = await server.ssrLoadModule('/src/time.ts');
const { literal, word } = await server.ssrLoadModule('/src/quote.ts');
// The API's address is the page's.
globalThis.location = new URL('http://localhost/ui/');
const { read, shallow } = await server.ssrLoadModule('/src/api.ts');
const { axis } = await server.ssrLoadModule('/src/axis.ts');
const { ordered } = await server.ssrLoadModule('/src/order.ts');
const { beside, byDifference, byValue, filtersOf, fitting, nameOf, readFilters, seriesOf, withValue, writeFilters } =
	await server.ssrLoadModule('/src/groups.ts');
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

test('rows are ordered by numbers, to the digit, or by texts, either way round, and what has none stays last', () => {
	const told = (keys, as, turned) =>
		ordered(
			keys.map((key, at) => ({ key, at })),
			{ key: (row) => row.key, as },
			turned,
		).map((row) => row.at);
	const numbers = ['1', null, '9007199254740993', '9007199254740992', '-5', '1'];
	assert.deepEqual(told(numbers, 'numbers', false), [2, 3, 0, 5, 4, 1]);
	assert.deepEqual(told(numbers, 'numbers', true), [4, 0, 5, 3, 2, 1]);
	assert.deepEqual(told(['1e400', '2e400', '-1e400'], 'numbers', false), [1, 0, 2]);
	assert.deepEqual(told(['b', '', null, 'a'], 'texts', false), [1, 3, 0, 2]);
	assert.deepEqual(told(['b', '', null, 'a'], 'texts', true), [0, 3, 1, 2]);
});

test('groups now and then stand side by side, with an exact difference, and one that is missing is nothing', () => {
	const group = (a, text) => ({ grouping: { a }, value: text === null ? null : { value: text }, eventCount: { value: '1' } });
	const now = [group('same', '1.10'), group('new', '0.3'), group(null, '5'), group('huge', '12345678901234567890.3'), group('', '1')];
	const then = [group('gone', '2'), group('same', '1.1'), group(null, '7.5'), group('huge', '12345678901234567890.1'), group('', '1.000')];
	const told = (pairs) => pairs.map((pair) => [pair.grouping.a, pair.then?.value ?? null, pair.now?.value ?? null, pair.difference, pair.only]);
	assert.deepEqual(told(ordered(beside(now, then, 'SUM'), byDifference)), [
		[null, '7.5', '5', '-2.5', null],
		['gone', '2', '0', '-2', 'then'],
		['new', '0', '0.3', '0.3', 'now'],
		['huge', '12345678901234567890.1', '12345678901234567890.3', '0.2', null],
		['same', '1.1', '1.10', '0', null],
		['', '1.000', '1', '0', null],
	]);
	// Of no events a count is 0, and a largest value is none.
	assert.deepEqual(told(beside([], [group('gone', '2')], 'UNIQUE')), [['gone', '2', '0', '-2', 'then']]);
	assert.deepEqual(told(beside([group('new', '2')], [group('gone', '3')], 'MAX')), [
		['new', null, '2', null, 'now'],
		['gone', '3', null, null, 'then'],
	]);
	assert.deepEqual(told(beside([group('a', '2')], [group('a', null)], 'AVERAGE')), [['a', null, '2', null, null]]);
	// Of a metric in groups each is a text; one may be named like a part of every object.
	assert.deepEqual(
		beside([{ grouping: '__proto__', value: { value: '2' } }], [{ grouping: null, value: { value: '1' } }], 'COUNT').map((pair) => [
			pair.grouping,
			pair.difference,
		]),
		[
			['__proto__', '2'],
			[null, '-1'],
		],
	);
	const many = Array.from({ length: 100_000 }, (_, n) => ({ grouping: String(n), value: { value: String(n) } }));
	assert.equal(ordered(beside(many, [], 'SUM'), byDifference)[0].grouping, '99999');
});

test('a difference is signed, and has a share of what was', () => {
	assert.equal(signed('1234.5'), '+1\u202f234.5');
	assert.equal(signed('-1'), '-1');
	assert.equal(signed('0'), '0');
	assert.equal(magnitude('-1.50'), '1.5');
	assert.equal(relative('1', '8'), '+12.5\u202f%');
	assert.equal(relative('-100', '179.646'), '-55.7\u202f%');
	// More than a negative number is more.
	assert.equal(relative('1', '-2'), '+50\u202f%');
	assert.equal(relative('1', '0.00'), null);
	assert.equal(relative('0', '5'), '0\u202f%');
	assert.equal(relative('-1', '1e9'), '>\u202f-0.1\u202f%');
	assert.equal(relative('1e9', '1'), '>\u202f+10\u202f000\u202f%');
});

test('only as many groups are asked for as an address has room for', () => {
	const group = (a) => ({ grouping: { a } });
	assert.equal(fitting([group('x'), group('y')], {}).length, 2);
	assert.equal(fitting([group('x'), group('y'.repeat(30_000)), group('z')], {}).length, 1);
	assert.equal(fitting([group('ü'.repeat(5_000))], {}).length, 0);
});

test('a longer period before goes on beyond the days of now', () => {
	const series = (...times) => ({ steps: times.map((day) => ({ periodStart: `${day}T00:00:00Z` })) });
	const days = (...given) => axis(given).map((time) => time.slice(0, 10));
	assert.deepEqual(days(series('2026-02-27', '2026-02-28'), series('2026-01-27', '2026-01-28', '2026-01-29')), ['2026-02-27', '2026-02-28', '2026-03-01']);
	assert.deepEqual(days(series('2026-02-27', '2026-02-28'), series('2026-01-27')), ['2026-02-27', '2026-02-28']);
	assert.deepEqual(days(series(), series('2026-01-27')), ['2026-01-27']);
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
	assert.equal(nameOf({ grouping: { a: 'x', b: null, c: '' } }), 'x · without b · (empty)');
	assert.equal(nameOf({ grouping: null }), 'without one');
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
