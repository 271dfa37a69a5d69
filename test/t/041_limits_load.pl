# 041_limits_load.pl: many clients push many customers over their BLOCK limits, and none gets in beyond them
#
# Single events, batches over several customers, corrections, events taken back and sent again, while rollups are refreshed
# and backends are killed.  What is committed is looked at all the time, by plain SQL over the events: no customer
# is above a limit at any moment.  A prepared transaction holds its customer up, also over a crash.
#
#	CLIENTS=64 KILLS=20		the long form
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use IPC::Run ();
use PostgreSQL::Test::Utils;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $clients = $ENV{CLIENTS} || 12;
my $kills = $ENV{KILLS} || 3;
my $customers = 100;
my $tokens = 200;
my $calls = 12;
note("CLIENTS=$clients KILLS=$kills");

my $node = server_with_extension(q{
	shared_preload_libraries = 'usage_events'
	usage_events.refresh_interval = 1
	restart_after_crash = on
	max_connections = 120
	max_prepared_transactions = 2
	deadlock_timeout = 100ms
	log_statement = none
	log_min_error_statement = panic});

$node->safe_psql('postgres', qq{
	CREATE ROLE sender LOGIN;
	SELECT usage_events.grant_access('sender', 'ingest');
	-- each customer has two aliases
	SELECT create_customer_alias(jsonb_build_object('customerId', 'c' || n, 'value', 'c' || n || ' too')) IS NOT NULL FROM generate_series(1, $customers) AS n;
	SELECT create_usage_metric('{"name": "tokens", "metricType": "SIMPLE", "eventType": "chat", "aggregationType": "SUM", "aggregationProperty": "n"}') ->> 'id' AS tokens \\gset
	SELECT create_usage_metric('{"name": "calls", "metricType": "SIMPLE", "eventType": "chat", "aggregationType": "COUNT"}') ->> 'id' AS calls \\gset
	SELECT create_usage_limit(jsonb_build_object('name', 'Tokens', 'usageMetricId', :'tokens', 'period', 'MONTH', 'limit', $tokens, 'mode', 'BLOCK')) IS NOT NULL;
	SELECT create_usage_limit(jsonb_build_object('name', 'Calls', 'usageMetricId', :'calls', 'period', 'ALL_TIME', 'limit', $calls, 'mode', 'BLOCK')) IS NOT NULL;

	CREATE FUNCTION event(customer int, key int, n int) RETURNS jsonb LANGUAGE sql AS \$\$
		SELECT jsonb_build_object('customerEventId', 'c' || customer || ' ' || key, 'eventType', 'chat', 'eventTimestamp', '2026-10-15T12:00:00Z',
			'customerAlias', 'c' || customer || CASE WHEN key % 2 = 0 THEN ' too' ELSE '' END, 'eventProperties', jsonb_build_object('n', n)) \$\$;
	CREATE FUNCTION some_event() RETURNS jsonb LANGUAGE sql AS \$\$
		SELECT event(1 + (random() * random() * ($customers - 1))::int, (random() * 100)::int, (random() * 40)::int) \$\$;
	CREATE FUNCTION some_events() RETURNS jsonb LANGUAGE sql AS \$\$ SELECT jsonb_agg(some_event()) FROM generate_series(1, 12) \$\$;

	-- by any door; a refusal is an answer
	CREATE FUNCTION act() RETURNS void LANGUAGE plpgsql AS \$\$
	DECLARE
		door CONSTANT float = random();
	BEGIN
		IF door < 0.6 THEN
			PERFORM create_usage_event(some_event());
		ELSIF door < 0.7 THEN
			PERFORM create_usage_event(some_event() || '{"customerAlias": "VOID"}');
		ELSIF door < 0.8 THEN
			PERFORM create_usage_events(some_events());
		ELSE
			PERFORM ingest_usage_events(some_events());
		END IF;
	EXCEPTION WHEN configuration_limit_exceeded THEN
		NULL;
	END \$\$;
	-- who is above, by what is committed
	CREATE VIEW above AS
	SELECT replace(customer_alias, ' too', '') AS customer, sum((event_properties ->> 'n')::numeric) AS tokens, count(*) AS calls
	FROM usage_events.event WHERE customer_alias <> 'VOID' GROUP BY 1
	HAVING sum((event_properties ->> 'n')::numeric) > $tokens OR count(*) > $calls;
	GRANT SELECT ON above TO sender});

my $script = $node->basedir . '/act.sql';
append_to_file($script, "SELECT act();\n");

sub start_clients
{
	my $output = '';
	return IPC::Run::start([ 'pgbench', '-n', '-c', $clients, '-j', 2, '-T', 60, '-f', $script, '-U', 'sender', '-h', $node->host, '-p', $node->port, 'postgres' ],
		'<', \undef, '>', \$output, '2>', \$output);
}

# Looks at what is committed, as often as it can in so many seconds; returns what was above, and how often it looked.
sub look
{
	my ($seconds) = @_;
	my $until = time() + $seconds;
	my ($looks, $above) = (0, '');
	while (time() < $until && $above eq '')
	{
		$above = $node->safe_psql('postgres', 'SELECT * FROM above');
		$looks++;
	}
	return ($above, $looks);
}

sub a_backend
{
	return $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE usename = 'sender' ORDER BY random() LIMIT 1});
}

foreach my $round (1 .. $kills)
{
	my $pgbench = start_clients();
	my ($above, $looks) = look(2);
	is($above, '', "round $round: nobody was above at any of " . ($looks > 0 ? 'several moments' : 'no moment'));
	my $pid = a_backend();
	like($pid, qr/^\d+$/, "round $round: there was a client to be killed");
	kill 'KILL', $pid;
	$pgbench->finish;
	$node->poll_query_until('postgres', 'SELECT true') or BAIL_OUT('the server did not come back');
	is($node->safe_psql('postgres', 'SELECT * FROM above'), '', "round $round: nobody is above after the crash");
}

# They did get up to their limits.
my $full = $node->safe_psql('postgres', qq{
	SELECT count(*) > 3 FROM (SELECT replace(customer_alias, ' too', '') FROM usage_events.event WHERE customer_alias <> 'VOID'
		GROUP BY 1 HAVING sum((event_properties ->> 'n')::numeric) > $tokens - 40 OR count(*) = $calls) AS near});
is($full, 't', 'customers were pushed up to their limits');
my $log = slurp_file($node->logfile);
unlike($log, qr/deadlock detected/, 'nobody waited in a circle');
unlike($log, qr/PANIC|TRAP|signal 11/, 'and no process failed by itself');

# Prepared: who comes next waits, over a crash as well.
my $try = q{SET lock_timeout = '300ms'; SELECT create_usage_event(event(1000, 3, 150)) IS NOT NULL};
$node->safe_psql('postgres', q{BEGIN; SELECT create_usage_event(event(1000, 1, 150)); PREPARE TRANSACTION 'one'});
my ($result, $stdout, $stderr) = $node->psql('postgres', $try);
like($stderr, qr/lock timeout/, 'a prepared transaction has the lock');
$node->stop('immediate');
$node->start;
($result, $stdout, $stderr) = $node->psql('postgres', $try);
like($stderr, qr/lock timeout/, 'and has it after a crash');
$node->safe_psql('postgres', q{COMMIT PREPARED 'one'});
($result, $stdout, $stderr) = $node->psql('postgres', $try);
like($stderr, qr/adds 150 to usage limit "Tokens", of whose 200 there are 150 used/, 'once it is committed the other does not fit');
$node->safe_psql('postgres', q{BEGIN; SELECT create_usage_event(event(1001, 1, 150)); PREPARE TRANSACTION 'two'; ROLLBACK PREPARED 'two'});
is($node->safe_psql('postgres', q{SELECT create_usage_event(event(1001, 3, 150)) IS NOT NULL}), 't', 'one that was rolled back makes room');

done_testing();
