# 029_refresh_rights.pl: refreshing rollups, as a superuser does, lends nobody a superuser's rights
#
# The background process is a superuser, and so is often who refreshes by hand.  Here attackers put their
# code where it would run: whoever was granted TRIGGER or REFERENCES, whoever owns the tables, one of
# them, the schema or the database.  Each piece of code writes down as whom it runs, and tries to make its author a
# superuser.
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
usage_events.refresh_interval = 1
max_locks_per_transaction = 128
});
$node->safe_psql('postgres', 'CREATE ROLE attacker LOGIN; CREATE ROLE owner LOGIN; CREATE ROLE admin LOGIN');

my @tables = qw(account event metric metric_progress metric_rollup dirty_bucket
	usage_alert usage_alert_due usage_alert_progress usage_alert_state usage_alert_event);
# What a refresh reads beside these, or deletes from now and then.
my @others = qw(rejected_event customer_alias purge_horizon usage_alert_consumer usage_alert_delivery);
my $number = 0;

# A database with an account that has a metric with rollups and an alert, and what attackers do in it: a table that
# all may write to, and a function that they run.
sub fresh_database
{
	my $database = 'database_' . ++$number;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, q{
		CREATE EXTENSION usage_events;
		SELECT usage_events.grant_access('admin', 'admin');
		SELECT create_usage_metric('{"name": "sum", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}');
		SELECT create_usage_alert(jsonb_build_object('name', 'alert', 'usageMetricId', id, 'period', 'MONTH', 'thresholds', '[1, 4, 6, 8]'::jsonb, 'direction', 'ABOVE'))
		FROM usage_metrics;
		CREATE TABLE public.ran (who text, what text);
		GRANT INSERT, SELECT ON public.ran TO PUBLIC;
		CREATE FUNCTION public.attack(what text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
		BEGIN
			PERFORM public.attack_now(what);
			RETURN true;
		END $$;
		CREATE FUNCTION public.attack_now(what text) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO public.ran VALUES (current_user, what);
			BEGIN
				RESET ROLE;
				SET SESSION AUTHORIZATION DEFAULT;
				INSERT INTO public.ran VALUES (current_user, what || ' after RESET');
			EXCEPTION WHEN OTHERS THEN NULL;
			END;
			BEGIN
				ALTER ROLE attacker SUPERUSER;
			EXCEPTION WHEN OTHERS THEN NULL;
			END;
		END $$;
		CREATE FUNCTION public.attack_by_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM public.attack_now(TG_NAME);
			RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
		END $$});
	send_event($database, 1);
	return $database;
}

# What a test itself asks for, it asks for as an ordinary role: also a question makes the planner run code of the tables' owner.
sub ask
{
	my ($database, $sql) = @_;
	return $node->safe_psql($database, $sql, extra_params => [ '-U', 'admin' ]);
}

sub is_refreshed
{
	my ($database, $name) = @_;
	my $state;
	my $waited = 0;

	until (($state = ask($database, q{SELECT state || ' ' || dirty_buckets FROM usage_events.rollup_status})) eq 'ready 0' || $waited++ >= 5 * $PostgreSQL::Test::Utils::timeout_default) { select(undef, undef, undef, 0.2); }
	is($state, 'ready 0', $name);
}

# Who sends events runs code that is in the way, too: as himself.
sub send_event
{
	my ($database, $n) = @_;
	ask($database, qq{SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call", "eventTimestamp": "2026-10-01T00:00:00Z", "eventProperties": {"n": $n}}')});
}

sub forget
{
	my ($database) = @_;
	$node->safe_psql($database, 'DELETE FROM public.ran');
	$node->safe_psql('postgres', 'ALTER ROLE attacker NOSUPERUSER');
}

my $superuser_ran = q{SELECT count(*) FROM public.ran JOIN pg_roles ON rolname = who WHERE rolsuper};
my $escalated = q{SELECT rolsuper FROM pg_roles WHERE rolname = 'attacker'};

sub nobody_became_superuser
{
	my ($database, $name) = @_;
	is($node->safe_psql($database, $superuser_ran), 0, "$name: no code ran as a superuser");
	is($node->safe_psql('postgres', $escalated), 'f', "$name: and nobody became one");
}

# In the background, and by hand of a superuser, rollups are refreshed all the same.  Returns as whom code ran then.
sub refreshes_safely
{
	my ($database, $name) = @_;
	my %ran;

	is_refreshed($database, "$name: in the background it is refreshed");
	nobody_became_superuser($database, $name);
	$ran{background} = who_ran($database);
	$node->append_conf('postgresql.conf', 'usage_events.refresh_interval = 0');
	$node->restart;
	foreach my $who ('postgres', 'admin')
	{
		send_event($database, 2);
		forget($database);
		$node->safe_psql($database, 'SELECT usage_events.refresh_rollups()', extra_params => [ '-U', $who ]) foreach 1 .. 3;
		$ran{$who} = who_ran($database);
		is_refreshed($database, "$name: by hand of $who, too");
		nobody_became_superuser($database, "$name, by hand of $who");
	}
	$node->append_conf('postgresql.conf', 'usage_events.refresh_interval = 1');
	$node->restart;
	return %ran;
}

sub who_ran
{
	my ($database) = @_;
	return $node->safe_psql($database, q{SELECT string_agg(DISTINCT who, ' ' ORDER BY who) FROM public.ran});
}

sub waits_for_log
{
	my ($pattern, $offset, $name) = @_;
	my $waited = 0;

	until (slurp_file($node->logfile, $offset) =~ $pattern || $waited++ >= 10 * $PostgreSQL::Test::Utils::timeout_default) { select(undef, undef, undef, 0.1); }
	like(slurp_file($node->logfile, $offset), $pattern, $name);
}

# TRIGGER, REFERENCES -------------------------------------------------------

my $database = fresh_database();
$node->safe_psql($database, "GRANT USAGE, CREATE ON SCHEMA public TO attacker; GRANT USAGE ON SCHEMA usage_events TO attacker");
foreach my $table (@tables)
{
	$node->safe_psql($database, "GRANT TRIGGER, REFERENCES, SELECT ON usage_events.$table TO attacker");
	$node->safe_psql($database, qq{
		SET ROLE attacker;
		CREATE TRIGGER row_before BEFORE INSERT OR UPDATE OR DELETE ON usage_events.$table FOR EACH ROW EXECUTE FUNCTION public.attack_by_trigger();
		CREATE TRIGGER row_after AFTER INSERT OR UPDATE OR DELETE ON usage_events.$table FOR EACH ROW EXECUTE FUNCTION public.attack_by_trigger();
		CREATE TRIGGER statement_before BEFORE INSERT OR UPDATE OR DELETE ON usage_events.$table FOR EACH STATEMENT EXECUTE FUNCTION public.attack_by_trigger();
		CREATE TRIGGER condition AFTER INSERT OR UPDATE ON usage_events.$table FOR EACH ROW WHEN (public.attack('condition of ' || NEW.account_id::text)) EXECUTE FUNCTION public.attack_by_trigger();
		CREATE CONSTRAINT TRIGGER deferred AFTER INSERT OR UPDATE OR DELETE ON usage_events.$table DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.attack_by_trigger()});
	my ($result, $output, $error) = $node->psql($database, "SET ROLE attacker; ALTER TABLE usage_events.$table ENABLE ALWAYS TRIGGER row_before");
	like($error, qr/must be owner of table $table/, "TRIGGER on $table lets nobody say that a trigger fires always");
}
# A row of the attacker's refers to rows that the refresh deletes, and goes along: by a deferred trigger, at the end of the transaction.
$node->safe_psql($database, q{
	SET ROLE attacker;
	CREATE TABLE public.child (account_id uuid, metric_version_id uuid, FOREIGN KEY (account_id, metric_version_id) REFERENCES usage_events.metric_progress ON UPDATE CASCADE ON DELETE CASCADE);
	CREATE CONSTRAINT TRIGGER deferred AFTER INSERT OR UPDATE OR DELETE ON public.child DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.attack_by_trigger();
	RESET ROLE;
	INSERT INTO public.child SELECT account_id, metric_version_id FROM usage_events.metric_progress});
forget($database);
send_event($database, 3);
my %ran = refreshes_safely($database, 'rights to make triggers and foreign keys');
is($ran{background}, 'admin', 'triggers fire where events are sent, and not in a refresh in the background');
is($ran{postgres}, '', 'nor in one of a superuser');
is($ran{admin}, '', 'nor in one of an administrator');
is($node->safe_psql($database, 'SHOW session_replication_role'), 'origin', 'which is of the refresh alone');
is($node->safe_psql($database, "SELECT usage_events.refresh_rollups(); SELECT current_user || ' ' || current_setting('session_replication_role') || ' ' || current_setting('search_path')") =~ s/^.*\n//r, 'postgres origin "$user", public', 'and nothing stays of it');

# The owner of all tables ----------------------------------------------------

$database = fresh_database();
$node->safe_psql($database, "GRANT USAGE, CREATE ON SCHEMA public TO owner; ALTER SCHEMA usage_events OWNER TO owner");
$node->safe_psql($database, "ALTER TABLE usage_events.$_ OWNER TO owner") foreach @tables, @others;
$node->safe_psql($database, join('; ', map { qq{
	CREATE TRIGGER always BEFORE INSERT OR UPDATE OR DELETE ON usage_events.$_ FOR EACH ROW EXECUTE FUNCTION public.attack_by_trigger();
	ALTER TABLE usage_events.$_ ENABLE ALWAYS TRIGGER always;
	ALTER TABLE usage_events.$_ ADD CHECK (public.attack('check of ' || account_id::text));
	ALTER TABLE usage_events.$_ ADD CHECK (public.attack('constant check'));
	CREATE INDEX ON usage_events.$_ ((public.attack('index')));
	CREATE INDEX ON usage_events.$_ (account_id) WHERE public.attack('index of some');
	CREATE STATISTICS usage_events.s_$_ ON (public.attack('statistics of ' || account_id::text)), account_id FROM usage_events.$_;
	CREATE POLICY attack ON usage_events.$_ USING (public.attack('policy')) WITH CHECK (public.attack('policy'));
	ALTER TABLE usage_events.$_ ADD COLUMN d_$_ boolean DEFAULT public.attack('default'), ADD COLUMN g_$_ boolean GENERATED ALWAYS AS (public.attack('generated ' || account_id::text)) STORED}
	} @tables), extra_params => [ '-U', 'owner' ]);
$node->safe_psql($database, q{
	ALTER DATABASE } . $database . q{ OWNER TO owner;
	SET ROLE owner;
	ALTER DATABASE } . $database . q{ SET constraint_exclusion = on;
	ALTER DATABASE } . $database . q{ SET row_security = off;
	ALTER DATABASE } . $database . q{ SET default_transaction_read_only = on;
	ALTER DATABASE } . $database . q{ SET lock_timeout = 1;
	ALTER DATABASE } . $database . q{ SET statement_timeout = 0;
	ALTER DATABASE } . $database . q{ SET search_path = public, pg_catalog});
$ENV{PGOPTIONS} = '-c default_transaction_read_only=off -c row_security=on -c lock_timeout=0 -c search_path=public';
forget($database);
send_event($database, 5);
%ran = refreshes_safely($database, 'the owner of all tables');
is($ran{background}, 'admin owner', 'his code runs in the background as himself');
is($ran{postgres}, 'owner', 'as in a refresh of a superuser');
is($ran{admin}, 'admin', 'others refresh with their own rights');

# By a trigger that is deferred to the end of the transaction, which is a superuser's again: refused, as in VACUUM.
$node->safe_psql($database, q{
	SET ROLE owner;
	CREATE CONSTRAINT TRIGGER deferred AFTER INSERT OR UPDATE OR DELETE ON usage_events.metric_rollup DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.attack_by_trigger();
	ALTER TABLE usage_events.metric_rollup ENABLE ALWAYS TRIGGER deferred});
my $offset = -s $node->logfile;
send_event($database, 7);
waits_for_log(qr/ERROR:  cannot fire deferred trigger within security-restricted operation/, $offset, 'a deferred trigger: the log says why');
nobody_became_superuser($database, 'a deferred trigger');
$node->safe_psql($database, 'DROP TRIGGER deferred ON usage_events.metric_rollup');
is_refreshed($database, 'without it, it is refreshed');
delete $ENV{PGOPTIONS};
$node->safe_psql('postgres', "DROP DATABASE $database WITH (FORCE)");

# Owners of one thing --------------------------------------------------------

foreach my $object ('SCHEMA usage_events', map { "TABLE usage_events.$_" } @tables)
{
	my $own = fresh_database();
	$node->safe_psql($own, "ALTER $object OWNER TO attacker; GRANT CREATE ON DATABASE $own TO attacker");
	my $offset = -s $node->logfile;
	waits_for_log(qr/the schema usage_events and its tables have different owners/, $offset, "$object of another owner: the log says that it is not refreshed");
	my ($result, $output, $error) = $node->psql($own, 'SELECT usage_events.refresh_rollups()');
	like($error, qr/ERROR:  the schema usage_events and its tables have different owners\nDETAIL:  .*attacker.*\nHINT:  .*/, 'and by hand it is refused');
	nobody_became_superuser($own, $object);
	$node->safe_psql($own, "ALTER $object OWNER TO postgres");
	is_refreshed($own, 'given back it is');
	$node->safe_psql('postgres', "DROP DATABASE $own WITH (FORCE)");
}

# The schema's owner puts views in the place of the tables.
$database = fresh_database();
$node->safe_psql($database, qq{
	ALTER SCHEMA usage_events OWNER TO attacker;
	GRANT CREATE ON DATABASE $database TO attacker;
	SET ROLE attacker;
	ALTER SCHEMA usage_events RENAME TO renamed;
	CREATE SCHEMA usage_events});
$node->safe_psql($database, "SET ROLE attacker; CREATE VIEW usage_events.$_ AS SELECT gen_random_uuid() AS account_id, now() AS turn_at WHERE public.attack('view')") foreach @tables, @others;
forget($database);
$offset = -s $node->logfile;
waits_for_log(qr/ERROR:  "usage_events.account" is not an ordinary table/, $offset, 'views instead of tables: the log says it');
nobody_became_superuser($database, 'views instead of tables');
$node->safe_psql('postgres', "DROP DATABASE $database WITH (FORCE)");

# The function of the SQL name is nobody's business: the background process does not call it by that.
$database = fresh_database();
$node->safe_psql($database, q{
	ALTER FUNCTION usage_events.refresh_rollups(uuid, integer) OWNER TO attacker;
	GRANT CREATE ON SCHEMA usage_events TO attacker;
	SET ROLE attacker;
	CREATE OR REPLACE FUNCTION usage_events.refresh_rollups(account_id uuid DEFAULT NULL, max_steps integer DEFAULT 1000) RETURNS bigint LANGUAGE sql AS $$SELECT 0::bigint WHERE public.attack('function')$$});
forget($database);
send_event($database, 7);
is_refreshed($database, 'a function that its owner has replaced: it is refreshed');
nobody_became_superuser($database, 'a function that its owner has replaced');

# A database that makes sessions of somebody else.
$node->safe_psql($database, "ALTER DATABASE $database SET role = 'attacker'");
{
	local $ENV{PGOPTIONS} = '-c role=none';
	send_event($database, 8);
	is_refreshed($database, 'a role set for the database: it is refreshed');
}

# Locks ----------------------------------------------------------------------

# All that a role without any right can lock: every advisory lock of the two numbers that refreshes once had.
$database = fresh_database();
my $locker = $node->background_psql($database, on_error_stop => 1, extra_params => [ '-U', 'attacker' ]);
$node->append_conf('postgresql.conf', 'usage_events.refresh_interval = 0');
$node->reload;
$locker->query_safe(q{SELECT count(pg_advisory_lock(class, key)) FROM generate_series(1970497381, 1970497382) AS class, generate_series(0, 511) AS key});
send_event($database, 9);
$node->safe_psql($database, 'SELECT usage_events.refresh_rollups()') foreach 1 .. 3;
is_refreshed($database, 'all advisory locks taken: it is refreshed');
is($node->safe_psql($database, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), 1024, 'which are taken still');
$locker->quit;

my $refresher = $node->background_psql($database, on_error_stop => 1);
$refresher->query_safe("SELECT create_usage_event('{\"customerAlias\": \"acme\", \"eventType\": \"call\"}'); BEGIN; SELECT usage_events.refresh_rollups()");
is($node->safe_psql($database, q{SELECT string_agg(DISTINCT locktype || ' ' || (objsubid & 15) || ' ' || mode, ', ') FROM pg_locks WHERE locktype IN ('object', 'userlock', 'advisory')}),
	'userlock 1 ExclusiveLock, userlock 2 ShareLock, userlock 6 ShareLock, userlock 8 ExclusiveLock', 'pg_locks shows of what they are');
$refresher->quit;

$node->stop('fast');
unlike(slurp_file($node->logfile), qr/PANIC|server process .* was terminated by signal/, 'no process has crashed');

done_testing();
