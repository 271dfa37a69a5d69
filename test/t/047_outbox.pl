# 047_outbox.pl: events from a database without the extension, by examples/outbox and logical replication
#
# What its outbox has been given is stored once each, in the order of the calls: however the first copy has its rows ordered, with
# either server killed in the midst, and with all rows copied anew.  What is refused is kept, and what comes after it goes on.
#
#	EVENTS=...	how many are sent while servers are killed (10,000); make test-outbox sends 100,000
use strict;
use warnings FATAL => 'all';

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $events = $ENV{EVENTS} // 10_000;
my $source = PostgreSQL::Test::Cluster->new('source');
$source->init(allows_streaming => 'logical');
# What is sent here costs less than compiling the statement that does so.
$source->append_conf('postgresql.conf', "fsync = on\nautovacuum = off\njit = off");
$source->start;
my $server = PostgreSQL::Test::Cluster->new('server');
$server->init;
$server->append_conf('postgresql.conf', "fsync = on\nautovacuum = off\nwal_retrieve_retry_interval = 200ms\nmax_worker_processes = 20");
$server->start;
$server->safe_psql('postgres', 'CREATE EXTENSION usage_events');

# The source -------------------------------------------------------------------

my $outbox = "$FindBin::RealBin/../../examples/outbox/outbox.sql";
$source->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $source->connstr('postgres'), '-f', $outbox ], 'the outbox can be made');
is($source->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE installed_version IS NOT NULL AND name <> 'plpgsql'}), 0, 'without an extension');
$source->safe_psql('postgres', q{CREATE TABLE message (body text); CREATE ROLE app LOGIN; GRANT INSERT ON message TO app;
	GRANT USAGE ON SCHEMA usage_events TO app; GRANT INSERT ON usage_events.outbox_event TO app});

sub faults
{
	my ($event) = @_;
	my ($status, undef, $error) = $source->psql('postgres', "SELECT create_usage_event('$event')");
	return '' if $status == 0;
	$error =~ s/^psql:<stdin>:\d+: ERROR:  invalid usage event\nDETAIL:  //;
	$error =~ s/\nCONTEXT:.*//s;
	return $error;
}

my $valid = '"customerAlias": "acme", "eventType": "call"';
is(faults('7'), 'It is no object.', 'refused: a number');
is(faults('{"customerEventId": ""}'), qq("customerAlias" is missing.\n"eventType" is missing.\n"customerEventId" must not be blank.), 'refused: every fault at once');
is(faults('{"customerAlias": " acme", "eventType": 7}'), qq("customerAlias" must not begin or end with white space.\n"eventType" must be a string.), 'refused: keys');
is(faults(qq({$valid, "eventProperties": []})), '"eventProperties" must be an object.', 'refused: properties');
is(faults(qq({$valid, "eventTimestamp": "2026-10-01T00:00:00"})), '"eventTimestamp" has no offset from UTC, such as "Z" or "+02:00".', 'refused: a local time');
is(faults(qq({$valid, "eventTimestamp": "$_"})), '"eventTimestamp" is no time of ISO 8601.', "refused: $_")
  foreach 'now', '2026-02-30T00:00:00Z', '2026-10-01T24:01:00Z', '2026-10-01T00:60:00Z', '2026-10-01T00:00:61Z';
is($source->safe_psql('postgres', 'SELECT count(*) FROM usage_events.outbox_event'), 0, 'nothing of these is stored');
is(faults(qq({$valid, "customerEventId": "time-$_", "eventTimestamp": "$_"})), '', "taken: $_")
  foreach '2026-10-01T00:00:00Z', '2026-10-01 02:00+02:00', '2026-10-01T00:00:00.123456789+02', '2026-09-30T23:59:60.5Z';
is($source->safe_psql('postgres', qq(SET ROLE app; BEGIN; INSERT INTO message VALUES ('hello');
	SELECT create_usage_event('{$valid, "customerEventId": "in-transaction", "eventTimestamp": "2026-10-01T00:00:00Z"}') ->> 'customerEventId'; ROLLBACK)), 'in-transaction', 'an event in a transaction');
is($source->safe_psql('postgres', q{SELECT count(*) FROM usage_events.outbox_event WHERE event ->> 'customerEventId' = 'in-transaction'}), 0, 'goes with it');
my $made = "SELECT create_usage_event('{$valid}')";
is($source->safe_psql('postgres', "SELECT made ->> 'customerEventId' <> '' AND (made ->> 'eventTimestamp')::timestamptz BETWEEN now() - interval '1 hour' AND now() + interval '1 hour' AND made -> 'eventProperties' = '{}' FROM ($made AS made) AS t"),
	't', 'what is left out is added');

# Before anything is subscribed: corrections whose rows stand in the table before those that they correct.
$source->safe_psql('postgres', q{
	SELECT create_usage_event(jsonb_build_object('customerAlias', 'acme', 'eventType', 'reordered', 'customerEventId', 'r' || n, 'eventTimestamp', '2026-10-01T00:00:00Z',
		'eventProperties', jsonb_build_object('n', version))) FROM generate_series(1, 2) AS version, generate_series(1, 500) AS n;
	CREATE TABLE kept AS SELECT * FROM usage_events.outbox_event;
	DELETE FROM usage_events.outbox_event;
	INSERT INTO usage_events.outbox_event SELECT * FROM kept ORDER BY id DESC});

# Attaching --------------------------------------------------------------------

my $connection = $source->connstr . ' dbname=postgres';
my $account = $server->safe_psql('postgres', q{SELECT usage_events.create_account('of the outbox')});
my $other = $server->safe_psql('postgres', q{SELECT usage_events.create_account('another')});

sub refusal
{
	my ($sql) = @_;
	my (undef, undef, $error) = $server->psql('postgres', $sql);
	return $error =~ /ERROR:  (.*)/ ? $1 : 'none';
}

is(refusal("SELECT usage_events.attach_outbox('app', NULL)"), 'a subscription and an account are needed', 'an account is needed');
is(refusal("SELECT usage_events.attach_outbox('app', '00000000-0000-0000-0000-000000000007')"), 'account 00000000-0000-0000-0000-000000000007 does not exist', 'one that exists');
is(refusal("CREATE ROLE admin; SELECT usage_events.grant_access('admin', 'admin'); SET ROLE admin; SELECT usage_events.attach_outbox('app', '$account')"),
	'permission denied for function attach_outbox', 'and rights that no access has');

# Subscribed to before it is attached: nothing is taken, and nothing is lost.
$server->safe_psql('postgres', "CREATE SUBSCRIPTION app CONNECTION '$connection' PUBLICATION usage_events_outbox");
my $unattached = 'events of an outbox come without an account that they are for';
my $offset = 0;
$offset = $server->wait_for_log(qr/$unattached/, $offset);
is($server->safe_psql('postgres', 'SELECT count(*) FROM usage_events.outbox_event'), 0, 'without an account nothing comes');
$server->safe_psql('postgres', "SELECT usage_events.attach_outbox('app', '$account')");
$server->safe_psql('postgres', "SELECT usage_events.attach_outbox('app', '$account')");
is(refusal("SELECT usage_events.attach_outbox('app', '$other')"), 'the subscription "app" is attached to another account', 'attached once');
is(refusal("SELECT usage_events.detach_outbox('app')"), 'the subscription "app" is still there', 'not detached while it brings events');
$server->wait_for_subscription_sync($source, 'app');

my $as_account = "SET usage_events.account_id = '$account'";
sub stored { return $server->safe_psql('postgres', "$as_account; $_[0]"); }
my $reordered = q{SELECT count(*), sum((event_properties ->> 'n')::integer) FROM usage_events WHERE event_type = 'reordered' AND account_id = usage_events.current_account_id()};
is(stored($reordered), '500|1000', 'the first copy: of each the later call counts, though its row came first');
# A copy may begin in the midst of the table, as scans of others do: then some come in their order.
is($server->safe_psql('postgres', "SELECT count(*) FILTER (WHERE outcome = 'created'), count(*) FILTER (WHERE outcome IN ('older', 'superseded')), count(*) FILTER (WHERE outcome = 'older') > 0, count(*)
	FROM usage_events.outbox_event"), '505|500|t|1005', 'what came before it in the table is passed by');
is($server->safe_psql('postgres', 'SELECT count(*) FROM usage_events.outbox_event WHERE event IS NOT NULL'), 0, 'no event is there twice');

# What comes -------------------------------------------------------------------

my $of_call = q{SELECT string_agg(customer_event_id || ' ' || (event_properties ->> 'n'), ', ' ORDER BY customer_event_id) FROM usage_events WHERE event_type = 'call' AND event_properties ? 'n' AND account_id = usage_events.current_account_id()};
sub send_call
{
	my ($key, $n, $alias) = @_;
	$alias //= 'acme';
	$source->safe_psql('postgres', qq(SELECT create_usage_event('{"customerAlias": "$alias", "eventType": "call", "customerEventId": "$key", "eventTimestamp": "2026-10-01T00:00:00Z", "eventProperties": {"n": $n}}')));
	return;
}
send_call('a', 1);
send_call('b', 1);
send_call('a', 1);
send_call('a', 2);
$source->wait_for_catchup('app');
is(stored($of_call), 'a 2, b 1', 'a retry is one, and a correction corrects');
is(stored("SELECT count(*) FROM usage_event_history WHERE customer_event_id = 'a'"), 1, 'with its version before');

# What the source cannot see is refused here, kept, and holds nothing up.
send_call('c', 1, "ac\x{e2}\x{80}\x{8b}me");
send_call('d', 8);
$source->safe_psql('postgres', q{INSERT INTO usage_events.outbox_event VALUES (usage_events.outbox_id(clock_timestamp()), '[1]'), (usage_events.outbox_id(clock_timestamp()), '"x"'),
	(usage_events.outbox_id(clock_timestamp()), '{"customerAlias": "acme"}')});
send_call('e', 16);
$source->wait_for_catchup('app');
is(stored($of_call), 'a 2, b 1, d 8, e 16', 'what comes after refused events is stored');
is(stored('SELECT count(*) FROM rejected_usage_events'), 4, 'which are kept');
is($server->safe_psql('postgres', "SELECT count(*) FROM usage_events.outbox_event WHERE outcome = 'refused' AND event_id IS NULL"), 4, 'and known not to be stored');

# Limits and rollups are as for any other way in: the subscription is to no table that rollups are made of.
my $metric = stored(q(SELECT create_usage_metric('{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}') ->> 'id'));
stored(q{DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END$$});
is(stored('SELECT count(*) > 0 FROM usage_events.metric_rollup'), 't', 'there are rollups');
my $ask = "SELECT calculate_usage_metric('$metric', '{acme}', '[2026-10-01Z, 2026-11-01Z)') ->> 'value'";
is(stored($ask), 27, 'which answer');
send_call('e', 17);
$source->wait_for_catchup('app');
is(stored('SELECT count(*) > 0 FROM usage_events.dirty_bucket WHERE account_id = usage_events.current_account_id()'), 't', 'what comes leaves marks');
is(stored($ask), 28, 'and is counted');
stored(qq(SELECT create_usage_limit('{"name": "l", "usageMetricId": "$metric", "period": "MONTH", "limit": 30, "mode": "BLOCK"}')));
send_call('f', 3);
send_call('g', 1);
$source->wait_for_catchup('app');
is(stored($ask), 29, 'what a limit keeps out is kept out');
is(stored('SELECT count(*) FROM rejected_usage_events'), 5, 'and kept as refused');

is($server->safe_psql('postgres', 'SELECT subscription, is_running, lag_seconds >= 0 FROM usage_events.outbox_status'), 'app|t|t', 'how far behind it is');
is(stored('SELECT outbox_lag_seconds >= 0 FROM usage_events.account_status WHERE account_id = usage_events.current_account_id()'), 't', 'also by account');
is($server->safe_psql('postgres', "SET usage_events.account_id = '$other'; CREATE ROLE reader; SELECT usage_events.grant_access('reader', 'read'); SET ROLE reader;
	SELECT count(*) FROM usage_events.outbox_status"), "\n0", 'another account sees none of it');

# Servers that are killed ------------------------------------------------------

# 100 events in each transaction, in which every tenth of the one before is corrected.  Between the four parts, while what was sent is
# still on its way, one of the servers is killed.
my $script = $source->basedir . '/send.sql';
append_to_file($script, q{WITH t AS (UPDATE counter SET last = last + 100 RETURNING last) SELECT count(create_usage_event(jsonb_build_object('customerAlias', 'customer-' || n % 10, 'eventType', 'many', 'customerEventId', 'm' || n,
	'eventTimestamp', '2026-10-02T00:00:00Z', 'eventProperties', jsonb_build_object('n', version))))
	FROM t,
	LATERAL (SELECT n, 1 AS version FROM generate_series(last - 99, last) AS n
		UNION ALL SELECT n, 2 FROM generate_series(last - 190, last - 100, 10) AS n WHERE last > 100) AS sent;
});
$source->safe_psql('postgres', 'CREATE TABLE counter AS SELECT 0::bigint AS last');
my $transactions = $events / 100;
my $corrected = 10 * ($transactions - 1);
foreach my $part (1 .. 4)
{
	$source->command_ok([ 'pgbench', '-n', '-c', '1', '-t', $transactions / 4, '-f', $script, $source->connstr('postgres') ], "part $part is sent");
	my $killed = $part % 2 ? $server : $source;
	$killed->stop('immediate');
	$killed->start;
}
$source->wait_for_catchup('app');
my $many = q{SELECT count(*), sum((event_properties ->> 'n')::integer), count(DISTINCT customer_alias) FROM usage_events WHERE event_type = 'many' AND account_id = usage_events.current_account_id()};
is(stored($many), join('|', $events, $events + $corrected, 10), 'each event is there once, as corrected')
  || diag("the server's log:\n", grep { /ERROR|FATAL|WARNING|replication|starting up|redo/ } slurp_file($server->logfile) =~ /^.*\n/mg);
is(stored("SELECT count(*), count(*) FILTER (WHERE event_properties ->> 'n' = '1') FROM usage_event_history WHERE event_type = 'many'"), "$corrected|$corrected", 'and no version but those that were corrected');

# Copied anew ------------------------------------------------------------------

my $rows = 'SELECT md5(string_agg(id::text, \',\' ORDER BY id)) FROM usage_events WHERE account_id = usage_events.current_account_id()';
my $before = stored($rows);
$server->safe_psql('postgres', 'ALTER SUBSCRIPTION app DISABLE');
is(stored('SELECT outbox_lag_seconds FROM usage_events.account_status WHERE account_id = usage_events.current_account_id()'), 'Infinity', 'nothing runs')
  if $server->poll_query_until('postgres', 'SELECT NOT is_running FROM usage_events.outbox_status');
$server->safe_psql('postgres', 'DROP SUBSCRIPTION app');
is($server->safe_psql('postgres', "SELECT usage_events.detach_outbox('app'), usage_events.detach_outbox('app')"), 't|f', 'detached');
send_call('h', 1);
$server->safe_psql('postgres', "SELECT usage_events.attach_outbox('again', '$account')");
$server->safe_psql('postgres', "CREATE SUBSCRIPTION again CONNECTION '$connection' PUBLICATION usage_events_outbox");
$server->wait_for_subscription_sync($source, 'again');
is(stored(q{SELECT count(*) FROM usage_events WHERE customer_event_id = 'h' AND account_id = usage_events.current_account_id()}), 1, 'what was sent meanwhile has come');
stored(q{SELECT create_usage_event('{"customerAlias": "VOID", "eventType": "call", "customerEventId": "h", "eventTimestamp": "2026-10-01T00:00:00Z"}')});
is(stored("$rows AND customer_event_id <> 'h'"), $before, 'of all else nothing has changed');

# Trimmed ----------------------------------------------------------------------

my $in_outbox = $source->safe_psql('postgres', 'SELECT count(*) FROM usage_events.outbox_event');
is($source->safe_psql('postgres', "SELECT usage_events.trim_outbox()"), 0, 'nothing is as old as that');
is($source->safe_psql('postgres', "SELECT usage_events.trim_outbox('-1 second')"), $in_outbox, 'and all is older than now');
$source->wait_for_catchup('again');
is($server->safe_psql('postgres', 'SELECT count(*) FROM usage_events.outbox_event'), 0, 'what the outbox has no more need not be known here');
is(stored("$rows AND customer_event_id <> 'h'"), $before, 'events stay');

done_testing();
