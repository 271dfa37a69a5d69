// contract_hooks.js: how contract's requests come to the answers that the document has
//
// dredd makes a request of the document's examples for each status.  An id is that of what was made before; what is
// refused is made wrong here; and what no request can bring about is left out: 429 and 500.
const hooks = require('hooks');

const LARGEST_BODY = 16 * 1024 * 1024;

// The id of what was made last, by the first part of its path.
const made = {};

function collection(transaction) {
  return transaction.request.uri.split(/[/?]/)[1];
}

const change = {
  400: (transaction) => { transaction.request.headers['Sequence-Version'] = 'none'; },
  401: (transaction) => { delete transaction.request.headers.Authorization; },
  413: (transaction) => { transaction.request.body = ' '.repeat(LARGEST_BODY + 1); },
  415: (transaction) => {
    transaction.request.headers['Content-Encoding'] = 'gzip';
    // dredd reads no examples of headers, and wants this one to be equal.
    transaction.expected.headers['Accept-Encoding'] = 'identity';
  },
  429: (transaction) => { transaction.skip = true; },
  500: (transaction) => { transaction.skip = true; },
};

// A key that is for no path but one: it may ask what its metrics say, and not as of a moment.
async function limit(transaction) {
  const { token } = await post(transaction, '/portal-tokens', { customer: 'acme', usageMetricIds: ['01910382-f600-7b6c-9c53-2f0e6d1a8b47'] });
  transaction.request.headers.Authorization = `Basic ${token}`;
  if (/\/(calculate|series)/.test(transaction.fullPath)) {
    transaction.fullPath += '&asOf=2024-08-01T00:00:00Z';
  }
}

async function send(transaction, path, options) {
  const { protocol, host, port, request } = transaction;
  const headers = { Authorization: request.headers.Authorization };
  const answer = await fetch(`${protocol}//${host}:${port}${path}`, { headers, ...options });
  return answer.json();
}

function post(transaction, path, body) {
  return send(transaction, path, { method: 'POST', body: JSON.stringify(body) });
}

// What is to be there before, and was not made by the requests so far.
async function prepare(transaction) {
  if (transaction.fullPath.includes('/history')) {
    await post(transaction, '/usage-events', {
      customerEventId: 'message-5193', customerAlias: 'acme', eventType: 'message-sent',
      eventTimestamp: '2024-07-30T12:00:00Z', eventProperties: { length: 450, channel: 'email' },
    });
  }
  if (transaction.fullPath.startsWith('/rejected-usage-events/')) {
    await post(transaction, '/usage-events/batch', [{ customerAlias: 'acme', eventType: '' }]);
    made['rejected-usage-events'] = (await send(transaction, '/rejected-usage-events')).items[0].id;
  }
  if (transaction.fullPath.includes('/calculate')) {
    const metric = { name: 'Messages sent', metricType: 'SIMPLE', eventType: 'message-sent', aggregationType: 'SUM', aggregationProperty: 'length', unit: 'characters' };
    made['usage-metrics'] = (await post(transaction, '/usage-metrics', metric)).id;
  }
}

const METRIC_OF_LIMITS = /("usageMetricId": ?"|usageMetricId=)[0-9a-f-]{36}/;

// A limit is of a metric that is there, and an alert stays with its own.
async function nameMetric(transaction) {
  const metric = { name: 'Messages sent', metricType: 'SIMPLE', eventType: 'message-sent', aggregationType: 'SUM', aggregationProperty: 'length' };
  made.limited ??= (await post(transaction, '/usage-metrics', metric)).id;
  const named = `$1${made.limited}`;
  transaction.request.body = transaction.request.body.replace(METRIC_OF_LIMITS, named);
  transaction.fullPath = transaction.fullPath.replace(METRIC_OF_LIMITS, named);
}

// An answer in each format that is described.  dredd would have text equal to the example, and every header there:
// those of a page come only in CSV, where another page is next to it.
function chooseFormat(transaction) {
  const { headers } = transaction.expected;
  if (headers['Content-Type'] === 'text/csv') {
    transaction.fullPath = transaction.fullPath.replace('format=json', 'format=csv');
    headers['Content-Type'] = 'text/csv; charset=utf-8';
    delete transaction.expected.body;
    delete transaction.expected.bodySchema;
  }
  delete headers['Usage-After'];
  delete headers['Usage-Before'];
}

// The id of what there is, in place of the example's.
function nameMade(transaction) {
  const id = made[collection(transaction)];
  if (id) {
    transaction.fullPath = transaction.fullPath.replace(/\/[0-9a-f]{8}-[0-9a-f-]{27}/, `/${id}`);
  }
}

async function before(transaction) {
  const status = transaction.expected.statusCode;
  chooseFormat(transaction);
  if (status === '403') {
    await limit(transaction);
    return;
  }
  if (!change[status] && METRIC_OF_LIMITS.test(transaction.fullPath + transaction.request.body)) {
    await nameMetric(transaction);
  }
  if (change[status]) {
    change[status](transaction);
  } else if (status !== '404') {
    await prepare(transaction);
    nameMade(transaction);
  }
}

hooks.beforeEach((transaction, done) => {
  before(transaction).then(() => done(), done);
});

hooks.afterEach((transaction) => {
  if (transaction.real && transaction.real.statusCode === 201) {
    made[collection(transaction)] = JSON.parse(transaction.real.body).id;
  }
});
