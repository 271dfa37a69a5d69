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

async function post(transaction, path, body) {
  const { protocol, host, port, request } = transaction;
  const headers = { Authorization: request.headers.Authorization };
  const answer = await fetch(`${protocol}//${host}:${port}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return answer.json();
}

// What is to be there before, and was not made by the requests so far.
async function prepare(transaction) {
  if (transaction.fullPath.includes('/history')) {
    await post(transaction, '/usage-events', {
      customerEventId: 'message-5193', customerAlias: 'acme', eventType: 'message-sent',
      eventTimestamp: '2024-07-30T12:00:00Z', eventProperties: { length: 450, channel: 'email' },
    });
  }
  if (transaction.fullPath.includes('/calculate')) {
    const metric = { name: 'Messages sent', metricType: 'SIMPLE', eventType: 'message-sent', aggregationType: 'SUM', aggregationProperty: 'length', unit: 'characters' };
    made['usage-metrics'] = (await post(transaction, '/usage-metrics', metric)).id;
  }
}

const METRIC_OF_LIMITS = /("usageMetricId": ?"|usageMetricId=)[0-9a-f-]{36}/;

// A limit is of a metric that is there.
async function nameMetric(transaction) {
  const metric = { name: 'Messages sent', metricType: 'SIMPLE', eventType: 'message-sent', aggregationType: 'SUM', aggregationProperty: 'length' };
  const named = `$1${(await post(transaction, '/usage-metrics', metric)).id}`;
  transaction.request.body = transaction.request.body.replace(METRIC_OF_LIMITS, named);
  transaction.fullPath = transaction.fullPath.replace(METRIC_OF_LIMITS, named);
}

async function before(transaction) {
  const status = transaction.expected.statusCode;
  if (!change[status] && METRIC_OF_LIMITS.test(transaction.fullPath + transaction.request.body)) {
    await nameMetric(transaction);
  }
  if (change[status]) {
    change[status](transaction);
  } else if (status !== '404' && made[collection(transaction)]) {
    await prepare(transaction);
    transaction.fullPath = transaction.fullPath.replace(/\/[0-9a-f]{8}-[0-9a-f-]{27}/, `/${made[collection(transaction)]}`);
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
