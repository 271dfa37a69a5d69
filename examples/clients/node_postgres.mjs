// node_postgres.mjs: with node-postgres; see README.md
// Run with Node.js 20.20 and pg 8.23.
import pg from 'pg';

const pool = new pg.Pool();             // PGHOST, PGDATABASE, … say where
pool.on('error', () => {});             // a connection that is lost while idle: the pool makes another one
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Lost connections have no SQLSTATE, or one of 08 and 57P; 40001 and 40P01 are a transaction that lost to another.
const isTemporary = (error) => !/^[0-9A-Z]{5}$/.test(error.code ?? '') || /^(08|40|57P)/.test(error.code);

// Each event has a customerEventId: what was stored before the answer got lost is not stored again.
async function storeBatch(events, attempt = 1) {
  try {
    return await pool.query('SELECT create_usage_events($1)', [JSON.stringify(events)]);
  } catch (error) {
    if (attempt === 5 || !isTemporary(error)) throw error;
    await sleep(100 * 2 ** attempt * Math.random());
    return storeBatch(events, attempt + 1);
  }
}

const message = (id, length) => ({ customerEventId: id, customerAlias: 'acme', eventType: 'message-sent',
  eventTimestamp: '2026-10-05T10:00:00Z', eventProperties: { length } });
await pool.query('SELECT create_usage_event($1)', [message('message-1', 500)]);
await storeBatch([message('message-2', 30), message('message-3', 7)]);

const { rows } = await pool.query(`SELECT calculate_usage_metric(id, $1, $2) ->> 'value' AS value
  FROM usage_metrics WHERE name = 'Characters'`, [['acme'], '[2026-10-01 00:00Z, 2026-11-01 00:00Z)']);
console.log(rows[0].value);             // text: a number of JavaScript has 15 digits
await pool.end();
