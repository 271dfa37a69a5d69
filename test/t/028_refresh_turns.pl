# 028_refresh_turns.pl: no account keeps the refresh from the others
#
# One account has so much to roll up that a single step of it takes long; twenty have one event each.  In the
# background each has its turn in a transaction of its own, and while one process is at that step
# another one does the rest.  By hand turns go round as well, from one session to the next.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server(q{
autovacuum = off
shared_preload_libraries = 'usage_events'
usage_events.refresh_interval = 0
usage_events.refresh_workers = 1
});

# Accounts and what they have.
$node->safe_psql('postgres', q{
	CREATE EXTENSION usage_events;
	CREATE FUNCTION make_metric(account uuid) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM set_config('usage_events.account_id', account::text, true);
		PERFORM create_usage_metric('{"name": "sum", "eventType": "call", "metricType": "GROUPED", "groupingProperty": "group", "aggregationType": "SUM", "aggregationProperty": "n"}');
	END $$;
	CREATE FUNCTION send(account uuid, alias text, first integer, last integer) RETURNS bigint LANGUAGE sql AS $$
		SELECT count(usage_events.create_events(account, events)) FROM (
			SELECT jsonb_agg(jsonb_build_object('customerAlias', alias, 'eventType', 'call', 'eventTimestamp', '2026-10-01T00:00:00Z',
				'customerEventId', alias || n, 'eventProperties', jsonb_build_object('n', n, 'group', 'group ' || n))) AS events
			FROM generate_series(first, last) AS n GROUP BY n / 5000) AS batch
	$$;
	-- Refreshes keep apart what they do by locks of 512 numbers: of an alias, of a type and of an account's rollups, as pg_locks shows them.
	CREATE FUNCTION combine(a bigint, b bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT (a # (b + 2654435769 + (a << 6) + (a >> 2))) & 4294967295 $$;
	CREATE FUNCTION number_of(hash integer) RETURNS bigint LANGUAGE sql AS $$ SELECT hash & 4294967295 $$;
	CREATE FUNCTION lock_numbers(account uuid, alias text) RETURNS bigint[] LANGUAGE sql AS $$
		SELECT ARRAY[combine(number_of(uuid_hash(account)), combine(number_of(hashtext('call')), number_of(hashtext(alias)))) & 511,
			combine(number_of(uuid_hash(account)), combine(number_of(hashtext('call')), number_of(hashtext('')))) & 511, number_of(uuid_hash(account)) & 511] $$;
	-- of other numbers than the account that it is to be refreshed beside
	CREATE FUNCTION make_account(name text, beside uuid) RETURNS uuid LANGUAGE plpgsql AS $$
	DECLARE
		account uuid;
	BEGIN
		LOOP
			BEGIN
				account = usage_events.create_account(name);
				IF beside IS NULL OR NOT EXISTS (SELECT FROM unnest(lock_numbers(account, 'acme'), lock_numbers(beside, 'slow')) AS n (own, others) WHERE own = others) THEN
					RETURN account;
				END IF;
				RAISE SQLSTATE 'UE001';
			EXCEPTION WHEN SQLSTATE 'UE001' THEN NULL;
			END;
		END LOOP;
	END $$;
	CREATE VIEW state AS
	SELECT account.name, status.state, status.dirty_buckets FROM usage_events.rollup_status AS status JOIN usage_events.account USING (account_id);
});

sub create_account
{
	my ($name, $beside) = @_;
	my $id = $node->safe_psql('postgres', "SELECT make_account('$name', " . ($beside ? "'$beside'" : 'NULL') . ')');
	$node->safe_psql('postgres', "SELECT make_metric('$id')");
	return $id;
}

sub restart_with
{
	$node->append_conf('postgresql.conf', join("\n", @_));
	$node->restart;
}

# Each in a transaction of its own, and in turn ------------------------------

my $heavy = create_account('heavy');
$node->safe_psql('postgres', "SELECT send('$heavy', 'many groups', 1, 30000)");
$node->safe_psql('postgres', "SELECT send('$heavy', 'customer ' || n, 1, 2) FROM generate_series(1, 100) AS n");
my @light = map { create_account("light $_", $heavy) } 1 .. 20;
$node->safe_psql('postgres', "SELECT send('$_', 'acme', 1, 1)") foreach @light;

# Writes down whose turn it was, and in which transaction; the owner, a superuser, may have that done.
$node->safe_psql('postgres', q{
	CREATE TABLE turn (number serial, account_id uuid, transaction xid8, is_built boolean);
	CREATE FUNCTION note_turn() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN INSERT INTO public.turn (account_id, transaction, is_built) VALUES (NEW.account_id, pg_current_xact_id(), NEW.is_built); RETURN NULL; END $$;
	CREATE TRIGGER note_turn AFTER UPDATE ON usage_events.metric_progress FOR EACH ROW WHEN (NEW.refreshed_at IS DISTINCT FROM OLD.refreshed_at) EXECUTE FUNCTION note_turn();
	ALTER TABLE usage_events.metric_progress ENABLE ALWAYS TRIGGER note_turn});
restart_with('usage_events.refresh_account_time = 1', 'usage_events.refresh_interval = 1');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 21 FROM state WHERE state = 'ready'}), 'all are built');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT FROM turn GROUP BY transaction HAVING count(DISTINCT account_id) > 1) AS shared}), 0, 'no account waits for the transaction of another');
is($node->safe_psql('postgres', q{SELECT count(DISTINCT account_id) FROM turn WHERE number <= 21}), 21, 'everybody has a turn before anybody has a second one');
is($node->safe_psql('postgres', qq{
	SELECT count(*) FROM (SELECT account_id, min(number) FILTER (WHERE is_built) AS built FROM turn GROUP BY account_id) AS light
	WHERE account_id <> '$heavy' AND built > (SELECT min(number) FROM turn WHERE account_id = '$heavy' AND is_built)}), 0, 'those with little are built before the one with much');
cmp_ok($node->safe_psql('postgres', qq{SELECT count(*) FROM turn WHERE account_id = '$heavy'}), '>', 5, 'which had many turns');
$node->safe_psql('postgres', q{DROP TRIGGER note_turn ON usage_events.metric_progress});

# While one process is at a step that does not end --------------------------

# As a metric of a million groups does: at the last moment of the step, until the gate is opened.
$node->safe_psql('postgres', qq{
	CREATE TABLE gate (is_open boolean);
	INSERT INTO gate VALUES (false);
	CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS \$\$
	BEGIN
		WHILE NOT (SELECT is_open FROM public.gate) LOOP PERFORM pg_sleep(0.05); END LOOP;
		RETURN NULL;
	END \$\$;
	CREATE TRIGGER wait_at_gate AFTER INSERT ON usage_events.metric_rollup FOR EACH ROW
		WHEN (NEW.account_id = '$heavy' AND NEW.customer_alias = 'slow') EXECUTE FUNCTION wait_at_gate();
	ALTER TABLE usage_events.metric_rollup ENABLE ALWAYS TRIGGER wait_at_gate});
restart_with('usage_events.refresh_account_time = 1s', 'usage_events.refresh_workers = 2');
$node->safe_psql('postgres', "SELECT send('$heavy', 'slow', 1, 1)");
my $stuck = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'usage_events refresh' AND wait_event = 'PgSleep'};
ok($node->poll_query_until('postgres', "$stuck", 1), 'a step that does not end');
is($node->safe_psql('postgres', q{SELECT array_agg(objid ORDER BY objsubid) FROM pg_locks JOIN pg_stat_activity USING (pid)
	WHERE backend_type = 'usage_events refresh' AND wait_event = 'PgSleep' AND locktype = 'object' AND classid = 'usage_events.metric_progress'::regclass AND objsubid IN (1, 2, 6)}),
	$node->safe_psql('postgres', "SELECT lock_numbers('$heavy', 'slow')"), 'which has the locks that the others do not need');
$node->safe_psql('postgres', "SELECT send('$_', 'acme', 2, 2)") foreach @light;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 20 FROM state WHERE name LIKE 'light%' AND state = 'ready' AND dirty_buckets = 0}), 'the marks of others are rolled up beside it');
my @new = map { create_account("new $_", $heavy) } 1 .. 5;
$node->safe_psql('postgres', "SELECT send('$_', 'acme', 1, 1)") foreach @new;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 5 FROM state WHERE name LIKE 'new%' AND state = 'ready' AND dirty_buckets = 0}), 'and their new metrics');
is($node->safe_psql('postgres', $stuck), 1, 'by the one process that is left: an account is given to one at a time');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'refresh rollups of account%' AND wait_event = 'PgSleep' AND query LIKE '%} . $heavy . q{'}), 1, 'pg_stat_activity says whose turn it is');

# Nobody else waits for that transaction: what he writes is at once there.
$node->safe_psql('postgres', "SET lock_timeout = '60s'; SELECT send('$heavy', 'slow', 2, 3), send('$light[0]', 'acme', 3, 3)");
$node->safe_psql('postgres', "SET lock_timeout = '60s'; SET usage_events.account_id = '$light[0]'; SELECT create_usage_metric('{\"name\": \"n\", \"eventType\": \"call\", \"metricType\": \"SIMPLE\", \"aggregationType\": \"COUNT\"}')");
pass('nobody who writes waits');
$node->safe_psql('postgres', q{UPDATE gate SET is_open = true});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 27 FROM state WHERE state = 'ready' AND dirty_buckets = 0}), 'in the end all are done');
is($node->safe_psql('postgres', qq{SELECT sum(event_count), sum(value) FROM usage_events.metric_rollup WHERE account_id = '$heavy' AND level = 1 AND customer_alias = 'slow'}), '3|6', 'and right');

# An error is of one account -------------------------------------------------

$node->safe_psql('postgres', qq{
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN RAISE EXCEPTION 'cannot be rolled up'; END \$\$;
	CREATE TRIGGER fail AFTER INSERT OR UPDATE ON usage_events.metric_rollup FOR EACH ROW WHEN (NEW.account_id = '$light[3]') EXECUTE FUNCTION fail();
	ALTER TABLE usage_events.metric_rollup ENABLE ALWAYS TRIGGER fail});
my $offset = -s $node->logfile;
$node->safe_psql('postgres', "SELECT send('$_', 'acme', 10, 10)") foreach @light;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 20 FROM state WHERE name LIKE 'light%' AND dirty_buckets = 0}), 'the others are refreshed');
ok($node->poll_query_until('postgres', "SELECT pg_read_file('" . $node->logfile . "', $offset, 100000000) ~ 'ERROR:  cannot be rolled up'"), 'the error is in the log');
like(slurp_file($node->logfile, $offset), qr/refreshing the rollups of account "$light[3]"/, 'with the account');
is($node->safe_psql('postgres', q{SELECT dirty_buckets FROM state WHERE name = 'light 4'}), 1, 'whose marks are still there');
$node->safe_psql('postgres', 'DROP TRIGGER fail ON usage_events.metric_rollup');
ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM state WHERE dirty_buckets > 0}), 'until it can be');

# By hand, without preloading: each call a session of its own ---------------

restart_with("shared_preload_libraries = ''", 'usage_events.refresh_account_time = 1s');
$node->safe_psql('postgres', "SELECT send('$_', 'a' || n, 1, 1) FROM generate_series(1, 3) AS n") foreach @light;
my $steps = q{SELECT string_agg(DISTINCT marks::text, ' ') FROM (SELECT count(*) AS marks FROM usage_events.dirty_bucket WHERE event_type <> '' GROUP BY account_id) AS account};
is($node->safe_psql('postgres', $steps), '3', 'each has three customers to do');
foreach my $left (2, 1)
{
	$node->safe_psql('postgres', 'SELECT usage_events.refresh_rollups(max_steps => 1)') foreach @light;
	is($node->safe_psql('postgres', $steps), $left, "a step a call: $left are left of each");
}

# An account with much to do has its time, and the next one's turn comes in the same call.
restart_with('usage_events.refresh_account_time = 1');
$node->safe_psql('postgres', "SELECT send('$heavy', 'customer ' || n, 3, 3) FROM generate_series(1, 100) AS n");
$node->safe_psql('postgres', 'SELECT usage_events.refresh_rollups()');
is($node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE name = 'heavy'), count(*) FILTER (WHERE name <> 'heavy') FROM state WHERE dirty_buckets > 0}), '1|0', 'one call comes to everybody');

$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
