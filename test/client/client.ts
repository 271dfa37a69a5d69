// client.ts: every operation of the API, through a client that openapi-typescript has made of docs/openapi.json
//
// Compiling it shows that the document describes what a program needs; running it shows that the server answers so.
// Nothing here is cast, so that each member that is read has to be in the document.
//
//	node built/client.js http://127.0.0.1:PORT CLIENT_ID:CLIENT_SECRET
import assert from 'node:assert/strict'
import createClient from 'openapi-fetch'
import type { components, paths } from './api.js'

const [baseUrl = '', credentials = ''] = process.argv.slice(2)
const options = {
  baseUrl,
  headers: { Authorization: `Basic ${Buffer.from(credentials).toString('base64')}`, 'Sequence-Version': '2024-07-30' }
}
// Answers are of one form: JSON, but where CSV is asked for.
const { GET, POST, PUT, DELETE } = createClient<paths, 'application/json'>(options)
const ofCsv = createClient<paths, 'text/csv'>(options)

type Failure = components['schemas']['Error']
type Answer<Data, Refusal = unknown> = { data?: Data, error?: Refusal, response: Response }

// What is answered, or the end.
function must<Data>({ data, error, response }: Answer<Data>): Data {
  if (data === undefined) throw new Error(`${response.url}: ${response.status} ${JSON.stringify(error)}`)
  return data
}

// The refusal, with its code.
function refused<Data>({ data, error, response }: Answer<Data, Failure>, status: number): Failure {
  assert.equal(response.status, status)
  assert.equal(data, undefined)
  if (error === undefined) throw new Error(`${response.url} is refused without a body`)
  return error
}

// The document.
assert.equal(must(await GET('/')).openapi, '3.0.3')

// Events: sent, corrected, in a batch, read.
const sent = must(await POST('/usage-events', {
  body: { customerEventId: 'first', customerAlias: 'acme-web', eventType: 'call', eventTimestamp: '2026-10-05T12:00:00Z',
    eventProperties: { ms: 40, model: 'large', region: 'eu' } }
}))
const corrected = must(await POST('/usage-events', {
  body: { customerEventId: 'first', customerAlias: 'acme-web', eventType: 'call', eventTimestamp: '2026-10-05T12:00:00Z',
    eventProperties: { ms: 50, model: 'large', region: 'eu' } }
}))
assert.notEqual(corrected.id, sent.id)
const batch = must(await POST('/usage-events/batch', {
  body: [
    { customerEventId: 'second', customerAlias: 'acme', eventType: 'call', eventTimestamp: '2026-10-06T12:00:00Z', eventProperties: { ms: 7, model: 'small' } },
    { customerEventId: 'refused', customerAlias: '', eventType: 'call' },
    { customerEventId: 'refused too', customerAlias: '', eventType: 'call' }
  ]
}))
assert.deepEqual(batch.outcomes.map(({ outcome }) => outcome), ['created', 'refused', 'refused'])
const events = must(await GET('/usage-events', { params: { query: { customerAlias: ['acme', 'acme-web'], sortBy: 'eventTimestamp', sortOrder: 'ASC', limit: 1 } } }))
assert.deepEqual(events.items.map(({ customerEventId }) => customerEventId), ['first'])
const after = events.pagination.after
assert.ok(after !== null)
const next = must(await GET('/usage-events', { params: { query: { customerAlias: ['acme', 'acme-web'], sortBy: 'eventTimestamp', sortOrder: 'ASC', limit: 1, after } } }))
assert.deepEqual(next.items.map(({ customerEventId }) => customerEventId), ['second'])
assert.equal(must(await GET('/usage-events/{id}', { params: { path: { id: corrected.id } } })).eventProperties?.['ms'], 50)
const history = must(await GET('/usage-events/{id}/history', { params: { path: { id: corrected.id } } }))
assert.equal(history.items.find(({ id }) => id === sent.id)?.supersededBy, corrected.id)

// Refused events: sent again, given up.
const rejected = must(await GET('/rejected-usage-events')).items
assert.equal(rejected.length, 2)
const [one, other] = rejected
assert.ok(one !== undefined && other !== undefined)
assert.deepEqual(must(await POST('/rejected-usage-events/retry', { body: { ids: [one.id] } })).outcomes.map(({ outcome }) => outcome), ['refused'])
assert.equal(must(await DELETE('/rejected-usage-events/{id}', { params: { path: { id: other.id } } })).id, other.id)

// Customers.
const alias = must(await POST('/customer-aliases', { body: { customerId: 'acme', value: 'acme-web' } }))
assert.equal(must(await PUT('/customer-aliases/{id}', { params: { path: { id: alias.id } }, body: { label: 'the web' } })).label, 'the web')
assert.deepEqual(must(await GET('/customer-aliases', { params: { query: { value: 'acme-web' } } })).items.map(({ id }) => id), [alias.id])
assert.deepEqual(must(await GET('/customers')).items.map(({ customerAlias, customerId }) => [customerAlias, customerId]),
  [['acme', null], ['acme-web', 'acme']])
assert.deepEqual(must(await GET('/usage-event-types')).items.map(({ eventType }) => eventType), ['call'])
assert.deepEqual(must(await GET('/usage-event-types/{eventType}/properties', { params: { path: { eventType: 'call' } } })).items.map(({ name }) => name),
  ['model', 'ms', 'region'])

// Metrics: defined, and what they say.
const definition = { name: 'Milliseconds', metricType: 'SIMPLE', eventType: 'call', aggregationType: 'SUM', aggregationProperty: 'ms' } as const
const metric = must(await POST('/usage-metrics', { body: definition }))
const path = { id: metric.id }
assert.equal(must(await PUT('/usage-metrics/{id}', { params: { path }, body: { ...definition, unit: 'ms' } })).unit, 'ms')
assert.equal(must(await GET('/usage-metrics/{id}', { params: { path } })).name, 'Milliseconds')
assert.deepEqual(must(await GET('/usage-metrics/{id}/versions', { params: { path } })).items.map(({ unit, supersededAt }) => [unit, supersededAt === null]),
  [['ms', true], [null, false]])
assert.deepEqual(must(await GET('/usage-metrics', { params: { query: { eventType: ['call'] } } })).items.map(({ id }) => id), [metric.id])
const october = { periodStart: '2026-10-01', periodEnd: '2026-10-31' }
const ofAcme = { ...october, customerAliases: ['acme'] }
assert.equal(must(await GET('/usage-metrics/{id}/calculate', { params: { path, query: ofAcme } })).value, 57)
const broken = must(await GET('/usage-metrics/{id}/calculate', {
  params: { path, query: { ...ofAcme, groupBy: ['model', 'region'], filters: JSON.stringify({ model: ['large', 'small'] }) } }
}))
assert.deepEqual(broken.groupedValues?.map(({ grouping, value }) => [grouping, value]),
  [[{ model: 'large', region: 'eu' }, 50], [{ model: 'small', region: null }, 7]])
const series = must(await GET('/usage-metrics/{id}/series', { params: { path, query: { ...ofAcme, step: 'day', timezone: 'Europe/Berlin' } } }))
assert.equal(series.items.reduce((sum, { value }) => sum + (value ?? 0), 0), 57)
assert.deepEqual(must(await GET('/usage-metrics/{id}/by-customer', { params: { path, query: { ...october, sortBy: 'customer' } } })).items
  .map(({ customer, value }) => [customer, value]), [['acme', 57]])
assert.ok(must(await GET('/usage-metrics/{id}/changes', { params: { path, query: { ...ofAcme, since: '2026-01-01T00:00:00Z' } } })).items
  .every(({ change }) => change === 'added'))
assert.equal(must(await GET('/usage-events/{id}/explain', { params: { path: { id: corrected.id }, query: { usageMetricId: metric.id } } })).counts, true)
const csv = await ofCsv.GET('/usage-metrics/{id}/by-customer', { params: { path, query: { ...october, format: 'csv' } }, parseAs: 'text' })
assert.match(must(csv), /^\ufeff?customer,eventCount,value,skippedEventCount\r\nacme,2,57,0\r\n$/)

// Limits, alerts, tokens.
const limit = { name: 'Much', usageMetricId: metric.id, period: 'MONTH', limit: 100, mode: 'REPORT' } as const
const madeLimit = must(await POST('/usage-limits', { body: limit }))
const limitPath = { id: madeLimit.id }
assert.equal(must(await PUT('/usage-limits/{id}', { params: { path: limitPath }, body: { ...limit, limit: 200 } })).limit, 200)
assert.equal(must(await GET('/usage-limits/{id}', { params: { path: limitPath } })).name, 'Much')
assert.deepEqual(must(await GET('/usage-limits')).items.map(({ id }) => id), [madeLimit.id])
const check = must(await GET('/usage-limits/check', {
  params: { query: { customer: 'acme', usageMetricId: metric.id, amount: 10, at: '2026-10-15T00:00:00Z' } }
}))
assert.equal(check.limits[0]?.used, 57)
const alert = { name: 'Near', usageMetricId: metric.id, period: 'MONTH', thresholds: [80, 100], direction: 'ABOVE' } as const
const madeAlert = must(await POST('/usage-alerts', { body: { ...alert, thresholds: [...alert.thresholds] } }))
const alertPath = { id: madeAlert.id }
assert.equal(must(await PUT('/usage-alerts/{id}', { params: { path: alertPath }, body: { ...alert, thresholds: [90] } })).thresholds[0], 90)
assert.equal(must(await GET('/usage-alerts/{id}', { params: { path: alertPath } })).name, 'Near')
assert.deepEqual(must(await GET('/usage-alerts')).items.map(({ id }) => id), [madeAlert.id])
assert.deepEqual(must(await GET('/usage-alert-events')).items, [])
const token = must(await POST('/portal-tokens', { body: { customer: 'acme', expiresIn: 600 } }))
assert.deepEqual(must(await GET('/portal-tokens')).items.map(({ id }) => id), [token.id])
assert.ok(must(await GET('/status')).storedLastMinute !== undefined)

// Refusals are described, too.
assert.match(refused(await POST('/usage-events', { body: { customerAlias: '', eventType: 'call' } }), 400).details ?? '', /"customerAlias" must not be blank/)
refused(await GET('/usage-metrics/{id}', { params: { path: { id: sent.id } } }), 404)
const asPortal = { headers: { Authorization: `Basic ${token.token}` } }
refused(await GET('/usage-metrics', asPortal), 403)
assert.equal(must(await GET('/usage-metrics/{id}/calculate', { ...asPortal, params: { path, query: ofAcme } })).value, 57)

// And the end of all.
must(await DELETE('/portal-tokens/{id}', { params: { path: { id: token.id } } }))
must(await DELETE('/usage-alerts/{id}', { params: { path: alertPath } }))
must(await DELETE('/usage-limits/{id}', { params: { path: limitPath } }))
must(await DELETE('/usage-metrics/{id}', { params: { path } }))
must(await DELETE('/customer-aliases/{id}', { params: { path: { id: alias.id } } }))
refused(await GET('/portal-tokens', asPortal), 401)
console.log('done')
