// drizzle.mjs: with Drizzle over node-postgres; see README.md
// Run with Node.js 20.20, drizzle-orm 0.45 and pg 8.23.
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';

const pool = new pg.Pool();             // PGHOST, PGDATABASE, … say where
pool.on('error', () => {});             // a connection that is lost while idle: the pool makes another one
const db = drizzle(pool);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Drizzle's error has that of the driver as its cause.  Lost connections have no SQLSTATE, or one of 08 and 57P.
const codeOf = (error) => (error.cause ?? error).code ?? '';
const isTemporary = (error) => !/^[0-9A-Z]{5}$/.test(codeOf(error)) || /^(08|40|57P)/.test(codeOf(error));

// Each event has a customerEventId: what was stored before the answer got lost is not stored again.
async function storeBatch(events, attempt = 1) {
  try {
    return await db.execute(sql`SELECT create_usage_events(${JSON.stringify(events)}::jsonb)`);
  } catch (error) {
    if (attempt === 5 || !isTemporary(error)) throw error;
    await sleep(100 * 2 ** attempt * Math.random());
    return storeBatch(events, attempt + 1);
  }
}

const message = (id, length) => ({ customerEventId: id, customerAlias: 'acme', eventType: 'message-sent',
  eventTimestamp: '2026-10-05T10:00:00Z', eventProperties: { length } });
// In the transaction of the business change: both rows are stored, or none.
await db.transaction((tx) => tx.execute(sql`SELECT create_usage_event(${JSON.stringify(message('message-1', 500))}::jsonb)`));
await storeBatch([message('message-2', 30), message('message-3', 7)]);

const { rows } = await db.execute(sql`SELECT calculate_usage_metric(id, ARRAY[${'acme'}],
  ${'[2026-10-01 00:00Z, 2026-11-01 00:00Z)'}::tstzrange) ->> 'value' AS value FROM usage_metrics WHERE name = 'Characters'`);
console.log(rows[0].value);             // text: a number of JavaScript has 15 digits
await pool.end();
