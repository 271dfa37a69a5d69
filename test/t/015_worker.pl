# 015_worker.pl: where the library is preloaded, rollups are refreshed in the background
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server(q{
shared_preload_libraries = 'usage_events'
usage_events.refresh_interval = 1
});

my $state = q{SELECT state || ' ' || dirty_buckets FROM usage_events.rollup_status};
my $value = q{SELECT calculate_usage_metric((SELECT id FROM usage_metrics), '{acme}', '[2026-10-01Z, 2026-11-01Z)') ->> 'value'};

# What the metric says: of the events of fill(), and of those sent since, each of a minute of its own.
my $total = 500501;

sub send_event
{
	my $minute = $total++ - 500501;
	$node->safe_psql('postgres', qq{SELECT create_usage_event(jsonb_build_object('customerAlias', 'acme', 'eventType', 'message',
		'eventTimestamp', to_json('2026-10-03Z'::timestamptz + $minute * interval '1 minute'), 'eventProperties', jsonb_build_object('length', 1)))});
}

sub fill
{
	my ($database) = @_;
	$node->safe_psql($database, q{
		CREATE EXTENSION usage_events;
		SELECT create_usage_metric('{"name": "length", "eventType": "message", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "length"}');
		SELECT create_usage_event(jsonb_build_object('customerAlias', 'acme', 'eventType', 'message',
			'eventTimestamp', '2026-10-01T00:00:00Z', 'eventProperties', jsonb_build_object('length', n))) FROM generate_series(1, 1000) AS n;
	});
}

# A database like any other that has a default of its own.
$node->safe_psql('postgres', q{CREATE DATABASE other});
$node->safe_psql('postgres', q{ALTER DATABASE other SET default_transaction_isolation = 'serializable'});
$node->safe_psql('postgres', q{CREATE DATABASE without_extension});

for my $database ('postgres', 'other')
{
	fill($database);
	ok($node->poll_query_until($database, $state, 'ready 0'), "$database: rollups are built");
	is($node->safe_psql($database, $value), '500500', "$database: the value is right");
	$node->safe_psql($database, q{SELECT create_usage_event('{"customerAlias": "acme", "eventType": "message", "eventTimestamp": "2026-10-02T00:00:00Z", "eventProperties": {"length": 1}}')});
	is($node->safe_psql($database, $value), '500501', "$database: and at once after an event");
	ok($node->poll_query_until($database, $state, 'ready 0'), "$database: whose mark is taken away");
	is($node->safe_psql($database, $value), '500501', "$database: which changes nothing");
}

# Nobody refreshes: the mark of a new event is still there after several intervals.  Whoever was under way, or had not
# heard of it yet, may take the marks of some events first.
sub is_left_alone
{
	my ($name) = @_;
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;
	my $found;
	do
	{
		send_event();
		sleep 3;
		$found = $node->safe_psql('postgres', $state);
	} while ($found ne 'ready 1' && time < $until);
	is($found, 'ready 1', $name);
	is($node->safe_psql('postgres', $value), $total, "$name, and the value is right");
}

# Also where transactions write nothing unless told so: nothing is in the log of it.
my $offset = -s $node->logfile;
$node->safe_psql('postgres', 'ALTER DATABASE other SET default_transaction_read_only = on');
$node->safe_psql('other', q{SET default_transaction_read_only = off;
	SELECT create_usage_event('{"customerAlias": "acme", "eventType": "message", "eventTimestamp": "2026-10-02T00:00:00Z", "eventProperties": {"length": 1}}')});
ok($node->poll_query_until('other', $state, 'ready 0'), 'a database that is read-only by default is refreshed');
is($node->safe_psql('other', $value), '500502', 'and right');
unlike(slurp_file($node->logfile, $offset), qr/ERROR|read-only/, 'without a word in the log');

# An interval that would be rounded to "never", or is too short, is refused, and the one before stays.
foreach my $interval ('400ms', '0.4', '999ms')
{
	my ($status, $output, $errors) = $node->psql('postgres', "ALTER SYSTEM SET usage_events.refresh_interval = '$interval'");
	like($errors, qr/ERROR:  invalid value for parameter "usage_events.refresh_interval": [\d.]+\nDETAIL:  It must be 1 second or more, or 0: never\./, "refresh_interval = $interval");
}
is($node->safe_psql('postgres', 'SHOW usage_events.refresh_interval'), '1s', 'the interval is what it was');

# No process stays in a database.
$node->safe_psql('postgres', 'DROP DATABASE without_extension');
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('databases can be dropped');

# Switched off by a reload, and on again.
$node->append_conf('postgresql.conf', 'usage_events.refresh_interval = 0');
$node->reload;
is_left_alone('an interval of 0: nothing is refreshed');
$node->append_conf('postgresql.conf', "usage_events.refresh_interval = 1\nusage_events.refresh_databases = 'nowhere, postgres'");
$node->reload;
ok($node->poll_query_until('postgres', $state, 'ready 0'), 'switched on again, for databases by name');

# A refresh that fails is tried again, and the server is none the worse.  (Triggers fire if the tables' owner says "always".)
$node->safe_psql('postgres', q{
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no rollups today'; END $$;
	CREATE TRIGGER fail BEFORE INSERT OR UPDATE OR DELETE ON usage_events.metric_rollup FOR EACH STATEMENT EXECUTE FUNCTION fail();
	ALTER TABLE usage_events.metric_rollup ENABLE ALWAYS TRIGGER fail});
send_event();
$node->wait_for_log(qr/ERROR:  no rollups today.*refreshing the rollups of account "00000000-0000-8000-8000-000000000001"/s);
pass('a failure is in the log');
$node->safe_psql('postgres', q{DROP TRIGGER fail ON usage_events.metric_rollup});
ok($node->poll_query_until('postgres', $state, 'ready 0'), 'and the next interval brings another');

# A refresh that takes for ever, by a trigger, ends soon after the postmaster: the server can be started again.
$node->safe_psql('postgres', q{
	CREATE FUNCTION never_end() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN LOOP END LOOP; END';
	CREATE TRIGGER never_end BEFORE INSERT OR UPDATE OR DELETE ON usage_events.metric_rollup FOR EACH STATEMENT EXECUTE FUNCTION never_end();
	ALTER TABLE usage_events.metric_rollup ENABLE ALWAYS TRIGGER never_end});
send_event();
my $running = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'usage_events refresh' AND query LIKE 'refresh rollups of account%'};
$node->poll_query_until('postgres', "SELECT EXISTS ($running AND xact_start < clock_timestamp() - interval '2 s')");
my @refreshes = split(/\n/, $node->safe_psql('postgres', $running));
cmp_ok(scalar @refreshes, '>', 0, 'a refresh is running');
$node->kill9;
my $waited = 0;
while (kill(0, @refreshes) && $waited++ < 10 * $PostgreSQL::Test::Utils::timeout_default) { select(undef, undef, undef, 0.1); }
ok(!kill(0, @refreshes), 'it ends without a postmaster');
kill('KILL', @refreshes);
$node->append_conf('postgresql.conf', 'usage_events.refresh_interval = 0');
$node->start;
$node->safe_psql('postgres', q{DROP TRIGGER never_end ON usage_events.metric_rollup});
$node->append_conf('postgresql.conf', 'usage_events.refresh_interval = 1');
$node->reload;
ok($node->poll_query_until('postgres', $state, 'ready 0'), 'and the next one begins where it was');

# pg_upgrade starts a server in a mode of its own, in which nothing is to happen beside it.
$node->safe_psql('postgres', q{ALTER SYSTEM SET usage_events.refresh_interval = 0});
$node->reload;
is_left_alone('switched off again: nothing is refreshed');
$node->safe_psql('postgres', q{ALTER SYSTEM RESET usage_events.refresh_interval});
$node->stop;
my @pg_ctl = ('pg_ctl', '--wait', '--pgdata', $node->data_dir);
$node->command_ok([ @pg_ctl, '--log', $node->logfile, '--options', '-b', 'start' ], 'started as pg_upgrade does');
sleep 3;
is($node->safe_psql('postgres', $state), 'ready 1', 'nothing is refreshed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'usage_events%'}), 0, 'nor is anybody there to do it');
$node->command_ok([ @pg_ctl, 'stop' ], 'stopped');
$node->start;
ok($node->poll_query_until('postgres', $state, 'ready 0'), 'as a server again it is refreshed');

$node->safe_psql('postgres', q{SET usage_events.allow_drop = on; DROP EXTENSION usage_events});
sleep 2;
$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
