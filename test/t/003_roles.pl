# 003_roles.pl: what each role may do, and that no account sees another's events
#
# Each line of the tables is a role, what a new session of it sends, and what
# comes of it.  Roles are of the default account, whose customers are alice and
# bob; those named other_... are of another account, of carol and dave.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

sub event
{
	my ($customer, $key) = @_;
	return qq('{"customerAlias": "$customer", "eventType": "call", "customerEventId": "$key"}');
}

sub create
{
	my ($customer, $key) = @_;
	return 'SELECT create_usage_event(' . event($customer, $key) . ') ->> ';
}

$node->safe_psql('postgres', q{
	CREATE EXTENSION usage_events;
	CREATE ROLE superuser SUPERUSER LOGIN;
	CREATE ROLE stranger LOGIN;
	CREATE ROLE caller LOGIN;
	CREATE ROLE reader LOGIN;
	CREATE ROLE ingester LOGIN;
	CREATE ROLE chooser LOGIN;
	CREATE ROLE administrator LOGIN;
	CREATE ROLE other_reader LOGIN;
	CREATE ROLE other_ingester LOGIN;
	SELECT usage_events.grant_access('reader', 'read'), usage_events.grant_access('other_reader', 'read'),
		usage_events.grant_access('ingester', 'ingest'), usage_events.grant_access('other_ingester', 'ingest'),
		usage_events.grant_access('chooser', 'ingest'), usage_events.grant_access('administrator', 'admin');
	GRANT USAGE ON SCHEMA usage_events TO caller;
	GRANT EXECUTE ON FUNCTION create_usage_event(jsonb), get_usage_event(uuid) TO caller;
	GRANT SET ON PARAMETER usage_events.account_id TO chooser;});

my $default = $node->safe_psql('postgres', 'SELECT usage_events.current_account_id()');
my $other = $node->safe_psql('postgres', q{SELECT usage_events.create_account('other')});
my $id = $node->safe_psql('postgres', create('alice', 1) . q{'id'});
$node->safe_psql('postgres', qq{
	ALTER ROLE other_reader SET usage_events.account_id = '$other';
	ALTER ROLE other_ingester SET usage_events.account_id = '$other';
	SELECT usage_events.create_event('$other', @{[ event('dave', 1) ]});
	SELECT usage_events.create_event('$other', @{[ event('carol', 1) ]});});
my $other_id = $node->safe_psql('postgres', q{SELECT id FROM usage_events WHERE customer_alias = 'carol'});

# All that a role can see: row-level security alone keeps the accounts apart.
my $see = join ' UNION ALL ', map { "(SELECT string_agg($_->[0], ' ' ORDER BY $_->[0]) FROM $_->[1])" } (
	[ 'customer_alias', 'usage_events' ],
	[ 'customer_alias', 'usage_event_history' ],
	[ 'customer_alias', 'usage_events.event' ],
	[ 'customer_alias', 'usage_events.superseded_event' ],
	[ 'name', 'usage_events.account' ]);

# What a session of the role prints, or the error that ends it.
sub outcome
{
	my ($role, $sql) = @_;
	my ($status, $output, $errors) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	return $status == 0 ? $output : $errors =~ /ERROR:  (.*)/ ? "ERROR: $1" : $errors;
}

# How values that change from run to run, and long ones, are named in the output.
my %words = (
	'see all' => $see,
	'default account' => $default,
	'other account' => $other,
	'event' => $id,
	'other event' => $other_id);

sub check
{
	my ($role, $sql, $expected) = @_;
	my $name = "$role: $sql";
	$name =~ s/\Q$words{$_}\E/$_/g foreach keys %words;
	$name =~ s/\s+/ /g;
	ref $expected ? like(outcome($role, $sql), $expected, $name) : is(outcome($role, $sql), $expected, $name);
}

my $denied = qr/^ERROR: permission denied for (function|table|view) /;
my $denied_table = 'ERROR: permission denied for table event';
my $denied_schema = 'ERROR: permission denied for schema usage_events';
my $denied_setting = 'ERROR: permission denied to set parameter "usage_events.account_id"';
my $wrong_account = 'ERROR: new row violates row-level security policy for table "event"';

my $set_other = "SET usage_events.account_id = '$other'";
my $current_account = 'SELECT usage_events.current_account_id()';

# What $see prints for these current and superseded customers.
sub seen
{
	my ($current, $superseded, $account) = @_;
	return join "\n", $current, $superseded, $current, $superseded, $account;
}

# An event as the row that a role would write without create_usage_event().
sub insert_row
{
	my ($account_id) = @_;
	return "INSERT INTO usage_events.event VALUES ('$account_id', uuid_v7(), now(), 'row', 'mallory', 'call', '{}')";
}

# Without a grant nothing goes; with a function's alone, its statements are refused.
check(@$_) foreach (
	[ 'stranger', create('mallory', 1) . q{'id'}, $denied ],
	[ 'stranger', "SELECT get_usage_event('$id')", $denied ],
	[ 'stranger', 'TABLE usage_events', $denied ],
	[ 'stranger', 'TABLE usage_event_history', $denied ],
	[ 'stranger', 'TABLE usage_events.event', $denied_schema ],
	[ 'stranger', 'TABLE usage_events.superseded_event', $denied_schema ],
	[ 'stranger', 'TABLE usage_events.account', $denied_schema ],
	[ 'stranger', q{SELECT usage_events.create_account('x')}, $denied_schema ],
	[ 'stranger', 'SELECT usage_events.create_event(NULL, NULL)', $denied_schema ],
	[ 'stranger', q{SELECT usage_events.grant_access('stranger', 'admin')}, $denied_schema ],
	[ 'caller', create('mallory', 1) . q{'id'}, $denied_table ],
	[ 'caller', "SELECT get_usage_event('$id')", $denied_table ]);

# 'read' sees its account's rows: also by COPY, in a parallel worker, and through a function that tells.
check(@$_) foreach (
	[ 'reader', $see, seen('alice', '', 'default') ],
	[ 'other_reader', $see, seen('carol', 'dave', 'other') ],
	[ 'reader', "SELECT get_usage_event('$id') ->> 'customerAlias'", 'alice' ],
	[ 'reader', "SELECT get_usage_event('$other_id') IS NULL", 't' ],
	[ 'other_reader', "SELECT get_usage_event('$other_id') ->> 'customerAlias'", 'carol' ],
	[ 'other_reader', "SELECT get_usage_event('$id') IS NULL", 't' ],
	[ 'reader', 'COPY usage_events.event (customer_alias) TO STDOUT', 'alice' ],
	[ 'reader', 'SET row_security = off; TABLE usage_events', qr/^ERROR: query would be affected by row-level security/ ],
	[ 'other_reader', q{
		SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
		SET enable_indexscan = off; SET enable_bitmapscan = off; SET parallel_leader_participation = off;
		EXPLAIN ANALYZE SELECT customer_alias FROM usage_events;
		SELECT customer_alias FROM usage_events}, qr/Workers Launched: [1-9].*\ncarol$/s ],
	[ 'reader', q{
		CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
		BEGIN RAISE EXCEPTION '%', $1; END $$;
		SELECT FROM usage_events WHERE pg_temp.tell(customer_alias)}, 'ERROR: alice' ],
	[ 'other_reader', q{
		CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
		BEGIN RAISE EXCEPTION '%', $1; END $$;
		SELECT FROM usage_events WHERE pg_temp.tell(customer_alias)}, 'ERROR: carol' ]);

# 'read' writes nothing.
check(@$_) foreach (
	[ 'reader', create('mallory', 1) . q{'id'}, $denied ],
	[ 'reader', "SELECT usage_events.create_event('$default', @{[ event('mallory', 1) ]})", $denied ],
	[ 'reader', q{SELECT usage_events.create_account('x')}, $denied ],
	[ 'reader', insert_row($default), $denied ],
	[ 'reader', q{UPDATE usage_events SET customer_alias = 'x'}, $denied ],
	[ 'reader', q{UPDATE usage_events.event SET customer_alias = 'x'}, $denied ],
	[ 'reader', q{UPDATE usage_events.account SET name = 'x'}, $denied ],
	[ 'reader', 'DELETE FROM usage_events', $denied ],
	[ 'reader', 'DELETE FROM usage_events.superseded_event', $denied ],
	[ 'reader', 'TRUNCATE usage_events.event', $denied ]);

# 'ingest' creates, sends again and corrects, in its own account alone.
check(@$_) foreach (
	[ 'ingester', create('bob', 2) . q{'sequenceAccountId'}, $default ],
	[ 'ingester', create('alice', 1) . q{'id'}, $id ],
	[ 'ingester', create('bob 2', 2) . q{'sequenceAccountId'}, $default ],
	[ 'ingester', $see, seen('alice bob 2', 'bob', 'default') ],
	[ 'other_ingester', create('carol 2', 1) . q{'sequenceAccountId'}, $other ],
	[ 'other_ingester', $see, seen('carol 2', 'carol dave', 'other') ],
	[ 'ingester', "SELECT usage_events.create_event('$default', @{[ event('mallory', 1) ]})", $denied ],
	[ 'ingester', q{SELECT usage_events.create_account('x')}, $denied ],
	[ 'ingester', q{SELECT usage_events.grant_access('ingester', 'admin')}, $denied ],
	[ 'ingester', insert_row($other), $wrong_account ],
	[ 'ingester', "UPDATE usage_events.event SET account_id = '$other'", $denied ],
	[ 'ingester', "UPDATE usage_events.event SET event_type = 'x' WHERE account_id = '$other' RETURNING 1", '' ],
	[ 'ingester', 'DELETE FROM usage_events.event', $denied ],
	[ 'ingester', q{UPDATE usage_events.superseded_event SET customer_alias = 'x'}, $denied ],
	[ 'ingester', 'DELETE FROM usage_events.superseded_event', $denied ]);

# It cannot name another account once the library is loaded, and what it named before counts for nothing.
check(@$_) foreach (
	[ 'ingester', "$current_account IS NULL; $set_other", $denied_setting ],
	[ 'ingester', "$set_other; $current_account", $default ],
	[ 'ingester', "$set_other; $see", seen('alice bob 2', 'bob', 'default') ],
	[ 'ingester', "$set_other; " . create('bob 2', 2) . q{'sequenceAccountId'}, $default ],
	[ 'ingester', "BEGIN; $set_other; SAVEPOINT s; SET LOCAL usage_events.account_id = '$other'; $current_account", $default ],
	[ 'ingester', "ALTER ROLE ingester $set_other", $denied_setting ],
	[ 'ingester', "CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql $set_other AS 'SELECT 1'", $denied_setting ],
	[ 'chooser', "$set_other; $current_account", $other ],
	[ 'chooser', "$current_account; $set_other; $current_account", "$default\n$other" ],
	[ 'chooser', "$set_other; " . create('carol 2', 1) . q{'sequenceAccountId'}, $other ]);
{
	local $ENV{PGOPTIONS} = "-c usage_events.account_id=$other";
	is(outcome('ingester', $current_account), $default, 'ingester: connection options count for nothing either');
	is(outcome('chooser', $current_account), $other, 'chooser: connection options name another account');
}

# 'admin' makes accounts and writes to any; between its calls it is of its own account, also after a refusal.
check(@$_) foreach (
	[ 'administrator', q{SELECT usage_events.create_account('third') IS NOT NULL}, 't' ],
	[ 'administrator', "SELECT usage_events.create_event('$other', @{[ event('dave 2', 2) ]}) IS NULL; $see",
		"f\n" . seen('alice bob 2', 'bob', 'default') ],
	[ 'administrator', qq{
		DO \$\$ BEGIN
			PERFORM usage_events.create_event(uuid_v7(), @{[ event('mallory', 1) ]});
		EXCEPTION WHEN invalid_parameter_value THEN END \$\$;
		$current_account}, $default ],
	[ 'administrator', insert_row($other), $wrong_account ],
	[ 'administrator', q{SELECT usage_events.grant_access('administrator', 'admin')}, $denied ],
	[ 'other_reader', $see, seen('carol 2 dave 2', 'carol dave', 'other') ]);

# What one role planned lets the next do and see no more than it may.
check(@$_) foreach (
	[ 'superuser', qq{
		SET plan_cache_mode = force_generic_plan;
		PREPARE see AS SELECT string_agg(customer_alias, ' ' ORDER BY customer_alias) FROM usage_events;
		PREPARE get AS SELECT get_usage_event('$id') IS NULL;
		EXECUTE see; EXECUTE get;
		SET ROLE reader;
		EXECUTE see; EXECUTE get;
		RESET ROLE; $set_other; SET ROLE reader;
		EXECUTE see; EXECUTE get;
		RESET ROLE; RESET usage_events.account_id;
		EXECUTE see; EXECUTE get},
		join("\n", 'alice bob 2 carol 2 dave 2', 'f', 'alice bob 2', 'f', 'carol 2 dave 2', 't',
			'alice bob 2 carol 2 dave 2', 'f') ],
	[ 'superuser', create('alice', 1) . q{'id'; SET ROLE reader; } . create('mallory', 1) . q{'id'}, $denied ],
	[ 'superuser', create('alice', 1) . q{'id'; SET ROLE caller; } . create('mallory', 1) . q{'id'}, $denied_table ]);

done_testing();
