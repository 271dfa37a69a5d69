# ruby_pg.rb: with the gem pg; see README.md
# Run with Ruby 3.1 and pg 1.4.5.
require 'json'
require 'pg'

# Lost connections have no SQLSTATE, or one of 08 and 57P; 40001 and 40P01 are a transaction that lost to another.
def temporary?(error)
  error.result.nil? || error.result.error_field(PG::PG_DIAG_SQLSTATE).start_with?('08', '40', '57P')
end

# Each event has a customerEventId: what was stored before the answer got lost is not stored again.
def store_batch(events, attempt = 1)
  connection = PG.connect # PGHOST, PGDATABASE, ... say where
  connection.exec_params('SELECT create_usage_events($1)', [events.to_json])
rescue PG::Error => e
  raise if attempt == 5 || !temporary?(e)

  sleep(0.1 * 2**attempt * rand)
  store_batch(events, attempt + 1)
ensure
  connection&.close
end

def message(id, length)
  { customerEventId: id, customerAlias: 'acme', eventType: 'message-sent', eventTimestamp: '2026-10-05T10:00:00Z',
    eventProperties: { length: length } }
end

connection = PG.connect
connection.exec_params('SELECT create_usage_event($1)', [message('message-1', 500).to_json])
store_batch([message('message-2', 30), message('message-3', 7)])
puts connection.exec_params("SELECT calculate_usage_metric(id, $1, $2) ->> 'value' AS value FROM usage_metrics WHERE name = 'Characters'",
                            ['{acme}', '[2026-10-01 00:00Z, 2026-11-01 00:00Z)'])[0]['value']
