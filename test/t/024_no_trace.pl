# 024_no_trace.pl: what was stored cannot be changed without a trace by anybody below the tables' owner
#
# Roles of each access try what their rights on the tables would let them, were it not for the policies: rows are
# written while a statement of the extension is executed, and in no other, wherever that one runs.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server();

my $count = q('{"name": "calls", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "COUNT"}');

# A row in every table, and a copy of each row to try to write.
$node->safe_psql('postgres', qq{
	CREATE EXTENSION usage_events;
	CREATE ROLE reader LOGIN; CREATE ROLE ingester LOGIN; CREATE ROLE web LOGIN; CREATE ROLE administrator LOGIN;
	SELECT usage_events.grant_access('reader', 'read'), usage_events.grant_access('ingester', 'ingest'),
		usage_events.grant_access('web', 'http'), usage_events.grant_access('administrator', 'admin');
	SELECT update_usage_metric((create_usage_metric($count) ->> 'id')::uuid, ${count}::jsonb || '{"unit": "calls"}');
	SELECT ingest_usage_events('[{"customerAlias": "alice", "eventType": "call", "customerEventId": "1"}, {}]');
	SET usage_events.max_rejected_events = 1;
	SELECT ingest_usage_events('[{}]');
	SELECT create_usage_event('{"customerAlias": "bob", "eventType": "call", "customerEventId": "1"}');
	SELECT create_customer_alias('{"customerId": "a", "value": "alice"}');
	SELECT create_usage_event('{"customerAlias": "erased", "eventType": "call"}'), usage_events.erase_customer('erased');
	SELECT usage_events.create_api_key(usage_events.current_account_id(), 'key');
	SELECT usage_events.purge('2020-01-01Z')});
$node->safe_psql('postgres', q{
	SELECT client_id || ':' || client_secret AS key FROM usage_events.create_api_key(usage_events.current_account_id(), 'key') \gset
	BEGIN;
	SELECT set_config('request.path', '/rpc/usage_api_write', true), set_config('request.headers', jsonb_build_object('usage-request', 'POST /portal-tokens',
		'authorization', 'Basic ' || translate(encode(convert_to(:'key', 'UTF8'), 'base64'), E'\n', ''))::text, true);
	SELECT usage_events.authenticate_request(), usage_api_write('{"customer": "a"}');
	COMMIT});
# A limit that holds for an event, and an alert that tells of one, both updated.
my $limit = q{jsonb_build_object('name', 'limit', 'usageMetricId', id, 'period', 'ALL_TIME', 'anchor', '2021-01-01T00:00:00Z', 'limit', 1000, 'mode', 'BLOCK')};
my $alert = q{jsonb_build_object('name', 'alert', 'usageMetricId', id, 'period', 'ALL_TIME', 'anchor', '2021-01-01T00:00:00Z', 'thresholds', '[1]'::jsonb, 'direction', 'ABOVE')};
$node->safe_psql('postgres', qq{
	SELECT update_usage_limit((create_usage_limit($limit) ->> 'id')::uuid, $limit || '{"name": "updated"}') FROM usage_metrics;
	SELECT create_usage_event('{"customerAlias": "bob", "eventType": "call"}');
	SELECT update_usage_alert((create_usage_alert($alert) ->> 'id')::uuid, $alert || '{"name": "updated"}') FROM usage_metrics});
$node->poll_query_until('postgres', 'SELECT usage_events.refresh_rollups() = 0 AND bool_and(is_built) FROM usage_events.metric_progress');
$node->poll_query_until('postgres', 'SELECT usage_events.refresh_rollups() = 0 AND EXISTS (SELECT FROM usage_alert_events)');
$node->safe_psql('postgres', q{SELECT take_usage_alert_events('consumer'), create_customer_alias('{"customerId": "b", "value": "bob"}')});
$node->safe_psql('postgres', q{SELECT create_usage_event('{"customerAlias": "bob", "eventType": "call", "customerEventId": "2"}')});
# An outbox, and a row that has come, as a restore brings it.
$node->safe_psql('postgres', q{SELECT usage_events.attach_outbox('app', usage_events.current_account_id());
	INSERT INTO usage_events.outbox_event (account_id, id, outcome) VALUES (usage_events.current_account_id(), uuid_v7(), 'created')});
my @tables = split /\n/, $node->safe_psql('postgres', q{
	SELECT relname FROM pg_class WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r' ORDER BY 1});
cmp_ok(@tables, '>=', 12, 'there are tables');
$node->safe_psql('postgres', join ';', map { "CREATE TABLE copy_of_$_ AS TABLE usage_events.$_; GRANT SELECT ON copy_of_$_ TO PUBLIC" } @tables);
is($node->safe_psql('postgres', join ' UNION ALL ', map { "SELECT '$_' WHERE NOT EXISTS (TABLE copy_of_$_)" } @tables), '', 'each has a row');

my $all = join ' UNION ALL ', map { "SELECT '$_', md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM usage_events.$_ AS t" } @tables;
my $before = $node->safe_psql('postgres', $all);

# The SQLSTATE with which a session of the role fails, or what it prints.
sub outcome
{
	my ($role, $sql) = @_;
	my ($status, $output, $errors) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$sql", extra_params => [ '-U', $role ]);
	return $errors =~ /ERROR:  (\w+)/ ? $1 : $output;
}

sub refused
{
	my ($role, $sql, $name) = @_;
	is(outcome($role, $sql), '42501', "$role: " . ($name // $sql) =~ s/\s+/ /gr);
}

# The same of many statements in one session, each with its name.
sub each_refused
{
	my ($role, @statements) = @_;
	my ($status, $output) = $node->psql('postgres', join('', map { "$_->[0];\n\\echo outcome :SQLSTATE\nROLLBACK;\n" } @statements),
		on_error_stop => 0, extra_params => [ '-U', $role ]);
	my @outcomes = $output =~ /^outcome (\w+)$/mg;
	is(@outcomes, @statements, "$role: has tried them all");
	is(shift @outcomes, '42501', "$role: $_->[1]") foreach @statements;
}

# The columns of which the role has that right.
sub columns
{
	my ($role, $table, $right) = @_;
	return split /\n/, $node->safe_psql('postgres', qq{
		SELECT attname FROM pg_attribute WHERE attrelid = 'usage_events.$table'::regclass AND attnum > 0 AND NOT attisdropped
			AND has_column_privilege('$role', attrelid, attnum, '$right') ORDER BY attnum});
}

# Statements -------------------------------------------------------------------

foreach my $role ('reader', 'ingester', 'web', 'administrator')
{
	my $written = 0;
	foreach my $table (@tables)
	{
		my $columns = join ', ', columns($role, $table, 'INSERT');
		my $insert = $columns eq '' ? "INSERT INTO usage_events.$table DEFAULT VALUES" : "INSERT INTO usage_events.$table ($columns) SELECT $columns FROM copy_of_$table";
		my @updated = columns($role, $table, 'UPDATE');

		$written++ if $columns ne '' || @updated;
		each_refused($role,
			[ $insert, "INSERT into $table" ],
			[ "$insert ON CONFLICT DO NOTHING", "INSERT into $table ON CONFLICT DO NOTHING" ],
			[ "WITH i AS ($insert RETURNING 1) SELECT count(*) FROM i", "INSERT into $table in a query" ],
			(map { [ "UPDATE usage_events.$table SET $_ = NULL", "UPDATE of $table.$_" ] } @updated ? @updated : 'account_id'),
			[ "DELETE FROM usage_events.$table", "DELETE FROM $table" ],
			[ "TRUNCATE usage_events.$table", "TRUNCATE $table" ],
			[ "MERGE INTO usage_events.$table AS t USING (SELECT account_id FROM usage_events.account) AS a ON a.account_id = t.account_id WHEN MATCHED THEN DELETE",
				"MERGE INTO $table" ],
			(map { [ "SELECT FROM usage_events.$table FOR $_", "$table FOR $_" ] } 'UPDATE', 'NO KEY UPDATE', 'SHARE', 'KEY SHARE'));
		like(outcome($role, "COPY usage_events.$table FROM STDIN;\n\\.\n"), qr/^(42501|0A000)$/, "$role: COPY into $table");
	}
	cmp_ok($written, $role eq 'reader' ? '==' : '>', 0, "$role: has rights to write, or none");
}

# A lock of a table, or view, would stop all accounts.
foreach my $role ('reader', 'ingester', 'web')
{
	foreach my $relation ((map { "usage_events.$_" } @tables), 'usage_events', 'rejected_usage_events', 'customer_aliases', 'usage_metrics')
	{
		each_refused($role, map { [ "BEGIN; LOCK TABLE $relation IN $_ MODE", "LOCK TABLE $relation IN $_ MODE" ] }
			'SHARE UPDATE EXCLUSIVE', 'SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE', 'ACCESS EXCLUSIVE');
	}
}
is($node->safe_psql('postgres', $all), $before, 'nothing has changed');

# Inside of our own statements ---------------------------------------------------

my $create = q{create_usage_event('{"customerAlias": "carol", "eventType": "call"}')};
my $many = q{create_usage_events('[{"customerAlias": "carol", "eventType": "call"}, {"customerAlias": "carol", "eventType": "call"}, {"customerAlias": "carol", "eventType": "call"}]')};
my $forge = q{UPDATE usage_events.event SET event_type = 'forged'};
my $is_forged = q{SELECT count(*) FROM usage_events.event WHERE event_type = 'forged'};

# Functions that forge, caught or not; as one of them is called by a trigger, by its condition, by a plain expression.
$node->safe_psql('postgres', qq{
	GRANT TRIGGER ON usage_events.event TO ingester;
	GRANT CREATE ON SCHEMA public TO ingester;
	SET ROLE ingester;
	CREATE FUNCTION forge(event usage_events.event) RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN $forge; RETURN true; END \$\$;
	CREATE FUNCTION forge_by_sql(event usage_events.event) RETURNS bigint LANGUAGE sql AS \$\$ WITH u AS ($forge RETURNING 1) SELECT count(*) FROM u \$\$;
	CREATE FUNCTION try_to_forge(event usage_events.event) RETURNS boolean LANGUAGE plpgsql AS \$\$
		BEGIN $forge; RETURN true; EXCEPTION WHEN insufficient_privilege THEN RETURN true; END \$\$;
	CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RETURN NEW; END \$\$;
	CREATE FUNCTION by_function() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN $forge; RETURN NEW; END \$\$;
	CREATE FUNCTION by_expression() RETURNS trigger LANGUAGE plpgsql AS \$\$ DECLARE n bigint; BEGIN n := forge_by_sql(NEW); RETURN NEW; END \$\$;
	CREATE FUNCTION by_insert() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
		IF NEW.customer_alias = 'mallory' THEN RETURN NEW; END IF;
		INSERT INTO usage_events.event SELECT account_id, uuid_v7(), now(), 'forged', 'mallory', 'forged', '{}' FROM usage_events.account; RETURN NEW; END \$\$;
	CREATE FUNCTION after_ours() RETURNS trigger LANGUAGE plpgsql AS \$\$ DECLARE e jsonb; BEGIN
		IF NEW.customer_alias = 'carol' THEN
			e := create_usage_event('{"customerAlias": "dave", "eventType": "call"}');
			$forge;
		END IF;
		RETURN NEW; END \$\$;
	CREATE FUNCTION caught() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM try_to_forge(NEW); RETURN NEW; END \$\$;
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN RAISE EXCEPTION 'no'; END \$\$;
	CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM pg_sleep(1000); RETURN NEW; END \$\$});

sub with_trigger
{
	my ($trigger, $sql) = @_;
	my $create_trigger = $trigger =~ s/ ON/ ON usage_events.event/r;
	$node->safe_psql('postgres', "CREATE TRIGGER t $create_trigger", extra_params => [ '-U', 'ingester' ]);
	my $outcome = outcome('ingester', $sql);
	$node->safe_psql('postgres', 'DROP TRIGGER t ON usage_events.event');
	return $outcome;
}

foreach my $trigger (
	'BEFORE INSERT ON FOR EACH ROW WHEN (forge(NEW)) EXECUTE FUNCTION pass()',
	'BEFORE INSERT ON FOR EACH ROW WHEN (forge_by_sql(NEW) > 0) EXECUTE FUNCTION pass()',
	'AFTER INSERT ON FOR EACH ROW WHEN (forge(NEW)) EXECUTE FUNCTION pass()',
	(map { ("BEFORE INSERT ON FOR EACH ROW EXECUTE FUNCTION $_()", "AFTER INSERT ON FOR EACH ROW EXECUTE FUNCTION $_()") } 'by_function', 'by_expression', 'by_insert', 'after_ours'),
	(map { ("$_ INSERT ON FOR EACH STATEMENT EXECUTE FUNCTION by_function()") } 'BEFORE', 'AFTER'))
{
	foreach my $call ($create, $many)
	{
		is(with_trigger($trigger, "SELECT $call"), '42501', "ingester: $trigger: " . ($call eq $many ? 'a batch' : 'an event'));
	}
}
is($node->safe_psql('postgres', $all), $before, 'nothing has changed');

# The trigger's refusal that is caught does not stop the statement that it is in, and leaves nothing behind.
foreach my $trigger ('BEFORE INSERT ON FOR EACH ROW WHEN (try_to_forge(NEW)) EXECUTE FUNCTION pass()',
	(map { "$_ INSERT ON FOR EACH ROW EXECUTE FUNCTION caught()" } 'BEFORE', 'AFTER'))
{
	is(with_trigger($trigger, "SELECT jsonb_array_length($many)"), 3, "ingester: $trigger: the batch is stored");
	is($node->safe_psql('postgres', $is_forged), 0, 'and nothing is forged');
}

# Nor does a statement of ours that fails, is cancelled or rolled back let one after it through.
sub after
{
	my ($call, $condition) = @_;
	return qq{DO \$\$ BEGIN
		BEGIN PERFORM $call; EXCEPTION WHEN $condition THEN RAISE NOTICE 'caught'; END;
		$forge;
	END \$\$};
}
my $fails = 'BEFORE INSERT ON FOR EACH ROW EXECUTE FUNCTION fail()';
my $waits = 'BEFORE INSERT ON FOR EACH ROW EXECUTE FUNCTION wait()';
is(with_trigger($fails, after($create, 'raise_exception')), '42501', 'ingester: after one that failed');
is(with_trigger($fails, after($many, 'raise_exception')), '42501', 'ingester: after a batch that failed');
is(with_trigger($waits, "SET statement_timeout = '100ms'; " . after($create, 'query_canceled')), '42501', 'ingester: after one that was cancelled');
is(with_trigger('AFTER INSERT ON FOR EACH ROW EXECUTE FUNCTION fail()', "\\set ON_ERROR_STOP 0\nSELECT $create;\n\\set ON_ERROR_STOP 1\n$forge"), 'P0001', 'ingester: one that fails at the end');
refused('ingester', "BEGIN; SAVEPOINT s; DO 'BEGIN PERFORM $_; END'; ROLLBACK TO s; $forge", 'after one that was rolled back') foreach $create =~ s/'/''/gr;
refused('ingester', "DO \$\$ BEGIN PERFORM $create; COMMIT; $forge; END \$\$", 'after one that was committed');

# Beside a statement of ours, in the same query.
refused('ingester', "WITH e AS MATERIALIZED (SELECT $create), u AS ($forge RETURNING 1) SELECT (SELECT count(*) FROM e), (SELECT count(*) FROM u)");
refused('ingester', "INSERT INTO usage_events.event SELECT (e ->> 'sequenceAccountId')::uuid, uuid_v7(), now(), 'x', 'x', 'x', '{}' FROM (SELECT $create AS e) AS e");
refused('ingester', "UPDATE usage_events.event SET event_type = ($create) ->> 'eventType'");

# By a cursor, by a prepared statement, by the very text of one of ours.
refused('ingester', 'BEGIN; DECLARE c CURSOR FOR SELECT * FROM usage_events.event FOR UPDATE; FETCH c');
refused('ingester', "BEGIN; DECLARE c CURSOR FOR SELECT * FROM usage_events.event; MOVE c; $forge WHERE CURRENT OF c");
refused('ingester', "DO 'BEGIN PERFORM $_; END'; PREPARE p AS $forge; EXECUTE p") foreach $create =~ s/'/''/gr;
refused('ingester', qq{
	DO \$\$ BEGIN PERFORM $create;
	EXECUTE 'INSERT INTO usage_events.event (account_id, customer_event_id, id, event_timestamp, customer_alias, event_type, event_properties) VALUES (\$1, \$2, \$3, \$4, \$5, \$6, \$7) ON CONFLICT (account_id, customer_event_id) DO NOTHING'
		USING usage_events.current_account_id(), 'forged', uuid_v7(), now(), 'mallory', 'forged', '{}'::jsonb; END \$\$}, 'the text of our own statement');
refused('ingester', 'SELECT usage_events.written_by_extension()');
is($node->safe_psql('postgres', $is_forged), 0, 'nothing is forged');
my ($status, undef, $error) = $node->psql('postgres', $forge, on_error_stop => 0, extra_params => [ '-U', 'ingester' ]);
like($error, qr/ERROR:  rows of usage_events are not written by hand\nDETAIL:  They change only by the functions of the extension, which leave a trace\.\nHINT:  Call a function such as create_usage_event\(\)\.$/m,
	'the refusal says what to do');

# The functions work, for each access, also where those of one are called in triggers on a table of one's own.
my %calls = (
	reader => [ 'list_usage_events()', 'list_usage_metrics()', 'list_customer_aliases()', q{calculate_usage_metric(id, '{a}', '[2021-01-02Z, 2021-02-01Z)') FROM usage_metrics},
		'list_usage_limits()', q{check_usage_limit('bob', id) FROM usage_metrics}, 'list_usage_alerts()', 'list_usage_alert_events()', 'get_usage_event_history(id) FROM usage_events' ],
	ingester => [ $create, $many, q{ingest_usage_events('[{}, {"customerAlias": "a", "eventType": "call"}]')}, 'retry_rejected_usage_events()',
		q{create_usage_event('{"customerAlias": "carol", "eventType": "call", "customerEventId": "1"}')},
		q{create_customer_alias('{"customerId": "c", "value": "carol"}')}, q{update_customer_alias(id, '{"label": "l"}') FROM customer_aliases WHERE value = 'carol'},
		q{delete_customer_alias(id) FROM customer_aliases WHERE value = 'carol'},
		"create_usage_limit($limit) FROM usage_metrics WHERE aggregation_type = 'COUNT'",
		q{update_usage_limit(id, jsonb_build_object('name', 'new', 'usageMetricId', usage_metric_id, 'period', period, 'anchor', anchor, 'limit', 2000, 'mode', mode)) FROM usage_limits}, 'delete_usage_limit(id) FROM usage_limits',
		"create_usage_alert($alert) FROM usage_metrics WHERE aggregation_type = 'COUNT'",
		q{update_usage_alert(id, jsonb_build_object('name', 'new', 'usageMetricId', usage_metric_id, 'period', period, 'anchor', anchor, 'thresholds', thresholds, 'direction', direction)) FROM usage_alerts},
		q{take_usage_alert_events('another')}, q{acknowledge_usage_alert_events('another', ARRAY(SELECT id FROM usage_alert_events))}, 'delete_usage_alert(id) FROM usage_alerts',
		"create_usage_metric($count)", "update_usage_metric(id, $count) FROM (SELECT id FROM usage_metrics WHERE metric_type = 'SIMPLE' AND aggregation_type = 'COUNT' LIMIT 1) AS m", 'delete_usage_metric(id) FROM usage_metrics LIMIT 1' ],
	administrator => [ q{usage_events.create_account('new')}, (map { "usage_events.create_event(usage_events.create_account('n'), $_)" } q('{"customerAlias": "a", "eventType": "t"}')),
		q{usage_events.create_api_key(usage_events.current_account_id(), 'k')}, q{usage_events.rotate_api_key((SELECT max(client_id) FROM usage_events.api_key))},
		q{usage_events.revoke_api_key((SELECT max(client_id) FROM usage_events.api_key))}, 'usage_events.refresh_rollups()', q{usage_events.purge('2021-01-01Z')},
		q{usage_events.create_custom_metric('{"name": "c", "eventType": "call", "expression": "count(*)"}')},
		q{usage_events.update_custom_metric((SELECT id FROM usage_metrics WHERE name = 'c'), '{"name": "c", "eventType": "call", "expression": "sum(1)"}')} ]);
$calls{web} = $calls{ingester};
foreach my $role (sort keys %calls)
{
	unlike(outcome($role, "SELECT $_"), qr/^[0-9A-Z]{5}$/, "$role: $_") foreach @{ $calls{$role} };
}
is(outcome('ingester', qq(COPY usage_event_import FROM STDIN;\n{"customerAlias": "imported", "eventType": "call"}\n\\.\nSELECT count(*) FROM usage_events WHERE customer_alias = 'imported')), 1, 'ingester: COPY into the view of imports');
is(outcome('ingester', q{INSERT INTO usage_event_import VALUES ('{"customerAlias": "inserted", "eventType": "call"}'); SELECT count(*) FROM usage_events WHERE customer_alias = 'inserted'}), 1, 'ingester: INSERT into it');
is(outcome('ingester', qq{
	CREATE TABLE mine (alias text);
	CREATE FUNCTION meter() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN PERFORM create_usage_event(jsonb_build_object('customerAlias', NEW.alias, 'eventType', 'call')); RETURN NEW; END \$\$;
	CREATE TRIGGER meter AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION meter();
	INSERT INTO mine VALUES ('mine'), ('mine');
	SELECT count(*) FROM usage_events WHERE customer_alias = 'mine'}), 2, 'ingester: by a trigger on a table of his own');

done_testing();
