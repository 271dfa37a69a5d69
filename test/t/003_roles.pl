# 003_roles.pl: what each role may do, and that no account sees another's data
#
# Each line of the tables is a role, what a new session of it sends, and what
# comes of it.  Roles are of the default account, whose customers are alice and
# bob; those named other_... are of another account, of carol and dave.  Each
# account has an API key, an alias, a metric that was updated, and an event that
# was refused.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server();

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
	CREATE ROLE web LOGIN;
	CREATE ROLE other_reader LOGIN;
	CREATE ROLE other_ingester LOGIN;
	SELECT usage_events.grant_access('reader', 'read'), usage_events.grant_access('other_reader', 'read'),
		usage_events.grant_access('ingester', 'ingest'), usage_events.grant_access('other_ingester', 'ingest'),
		usage_events.grant_access('chooser', 'ingest'), usage_events.grant_access('administrator', 'admin'),
		usage_events.grant_access('web', 'http');
	GRANT USAGE ON SCHEMA usage_events TO caller;
	GRANT EXECUTE ON FUNCTION create_usage_event(jsonb), get_usage_event(uuid), get_usage_event_history(uuid), list_usage_events,
		create_customer_alias(jsonb), delete_customer_alias(uuid), list_customer_aliases, usage_events.authenticate_request() TO caller;
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

sub new_limit
{
	my ($metric, $customer) = @_;
	return qq('{"name": "$customer", "usageMetricId": "$metric", "customer": "$customer", "period": "ALL_TIME", "limit": 10, "mode": "REPORT"}');
}

# The other account, and the default one, have the same of everything else.
my (%alias, %key, %metric, %limit);
foreach my $account ([ $default, 'al', 'alice' ], [ $other, 'ca', 'carol' ])
{
	my ($account_id, $value, $customer) = @$account;
	my $alias = qq('{"customerId": "$customer", "value": "$value"}');
	my $metric = qq('{"name": "$value", "metricType": "SIMPLE", "eventType": "$value", "aggregationType": "COUNT"}');
	($alias{$account_id}, $key{$account_id}, $metric{$account_id}) = split /\n/, $node->safe_psql('postgres', qq{
		SET usage_events.account_id = '$account_id';
		SELECT create_customer_alias($alias) ->> 'id';
		SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$account_id', '$value');
		SELECT update_usage_metric((create_usage_metric($metric) ->> 'id')::uuid, ($metric)::jsonb || '{"unit": "calls"}') ->> 'id';
		DO \$\$ BEGIN PERFORM ingest_usage_events('["$value"]'); END \$\$});
	my $limit = new_limit($metric{$account_id}, $value);
	$limit{$account_id} = $node->safe_psql('postgres', qq{
		SET usage_events.account_id = '$account_id';
		SELECT update_usage_limit((create_usage_limit($limit) ->> 'id')::uuid, ($limit)::jsonb || '{"limit": 20}') ->> 'id'});
}
my ($client_id, $other_client_id) = map { $key{$_} =~ s/:.*//r } $default, $other;

# All that a role can see: row-level security alone keeps the accounts apart.
my $see = join ' UNION ALL ', map { "(SELECT string_agg($_->[0], ' ' ORDER BY $_->[0]) FROM $_->[1])" } (
	[ 'customer_alias', 'usage_events' ],
	[ 'customer_alias', 'usage_event_history' ],
	[ 'customer_alias', 'usage_events.event' ],
	[ 'customer_alias', 'usage_events.superseded_event' ],
	[ 'name', 'usage_events.account' ]);
my $see_customers = join ' UNION ALL ', map { "(SELECT string_agg($_->[0], ' ' ORDER BY $_->[0]) FROM $_->[1])" } (
	[ 'value', 'customer_aliases' ],
	[ 'value', 'usage_events.customer_alias' ],
	[ 'customer_alias', 'unmapped_customer_aliases' ],
	[ 'body', 'rejected_usage_events' ],
	[ 'body', '(SELECT body FROM usage_events.rejected_event WHERE taken_at IS NULL) AS r' ],
	[ q{"customerAlias"}, q{jsonb_to_recordset(list_usage_events() -> 'items') AS i("customerAlias" text)} ],
	[ 'value', q{jsonb_to_recordset(list_customer_aliases() -> 'items') AS i(value text)} ],
	[ 'name', 'usage_metrics' ],
	[ 'name', 'usage_events.metric' ],
	[ 'name', 'usage_events.superseded_metric' ],
	[ 'event_type', '(SELECT DISTINCT event_type FROM usage_events.metric_progress) AS p' ],
	[ 'name', q{jsonb_to_recordset(list_usage_metrics() -> 'items') AS i(name text)} ],
	[ 'name', 'usage_limits' ],
	[ 'name', 'usage_events.usage_limit' ],
	[ 'name', 'usage_events.superseded_usage_limit' ],
	[ 'name', 'usage_limit_status' ],
	[ 'name', q{jsonb_to_recordset(list_usage_limits() -> 'items') AS i(name text)} ]);

# What a session of the role prints, or the error that ends it.
sub outcome
{
	my ($role, $sql) = @_;
	my ($status, $output, $errors) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	return $output if $status == 0;
	return $errors =~ /ERROR:  (.*)/ ? "ERROR: $1" . ($errors =~ /^(DETAIL:  .*)/m ? "\n$1" : '') : $errors;
}

# How values that change from run to run, and long ones, are named in the output.
my %words = (
	'see all' => $see,
	'see customers' => $see_customers,
	'default account' => $default,
	'other account' => $other,
	'event' => $id,
	'other event' => $other_id,
	'alias' => $alias{$default},
	'other alias' => $alias{$other},
	'metric' => $metric{$default},
	'other metric' => $metric{$other},
	'limit' => $limit{$default},
	'other limit' => $limit{$other},
	'client id' => $client_id,
	'other client id' => $other_client_id);

sub check
{
	my ($role, $sql, $expected) = @_;
	my $name = "$role: $sql";
	$name =~ s/\Q$words{$_}\E/$_/g foreach sort { length $words{$b} <=> length $words{$a} } keys %words;
	$name =~ s/\s+/ /g;
	ref $expected ? like(outcome($role, $sql), $expected, $name) : is(outcome($role, $sql), $expected, $name);
}

my $new_metric = q('{"name": "n", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "COUNT"}');

my $denied = qr/^ERROR: permission denied for (function|table|view) /;
my $denied_table = 'ERROR: permission denied for table event';
my $denied_schema = 'ERROR: permission denied for schema usage_events';
my $denied_setting = 'ERROR: permission denied to set parameter "usage_events.account_id"';
my $by_hand = "ERROR: rows of usage_events are not written by hand\nDETAIL:  They change only by the functions of the extension, which leave a trace.";
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
	[ 'caller', create('mallory', 1) . q{'id'}, 'ERROR: permission denied for table usage_limit' ],
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


# Customers, lists, histories --------------------------------------------------

# What $see_customers prints.
sub customers_seen
{
	my ($aliases, $unmapped, $current) = @_;
	return join "\n", $aliases, $aliases, $unmapped, ($aliases eq '' ? '' : qq("$aliases")) x 2, $current, ($aliases) x 11;
}

sub insert_alias
{
	my ($account_id, $value) = @_;
	return "INSERT INTO usage_events.customer_alias (account_id, id, customer_id, value, created_at) VALUES ('$account_id', uuid_v7(), 'mallory', '$value', now())";
}

my $cursor = outcome('other_reader', q{SELECT list_usage_events(1, sort_order => 'ASC') #>> '{pagination,after}'});
$words{'cursor of the other account'} = $cursor;
my $create_alias = q{SELECT create_customer_alias('{"customerId": "mallory", "value": "ca"}') ->> 'customerId'};
my $wrong_account_of_alias = 'ERROR: new row violates row-level security policy for table "customer_alias"';

check(@$_) foreach (
	(map { [ 'stranger', "SELECT $_", $denied ] } 'list_usage_events()', "get_usage_event_history('$id')", 'list_customer_aliases()',
		q{create_customer_alias('{}')}, "update_customer_alias('$alias{$default}', '{}')", "delete_customer_alias('$alias{$default}')",
		'usage_api_read()', q{usage_api_write('')}),
	(map { [ 'stranger', "SELECT usage_events.$_", $denied_schema ] } 'openapi()', 'authenticate_request()', "list_api_keys('$default')",
		"create_api_key('$default', 'x')", q{revoke_access('reader')}),
	(map { [ 'stranger', "TABLE $_", $denied ] } 'customer_aliases', 'unmapped_customer_aliases', 'rejected_usage_events'),
	(map { [ 'stranger', "TABLE usage_events.$_", $denied_schema ] } 'customer_alias', 'unmapped_alias', 'rejected_event', 'api_key'),
	(map { [ 'caller', "SELECT $_", $denied ] } 'list_usage_events()', "get_usage_event_history('$id')", 'list_customer_aliases()',
		q{create_customer_alias('{"customerId": "c", "value": "v"}')}, "delete_customer_alias('$alias{$default}')"),
	[ 'reader', $see_customers, customers_seen('al', 'bob 2', 'alice bob 2') ],
	[ 'other_reader', $see_customers, customers_seen('ca', 'carol 2 dave 2', 'carol 2 dave 2') ],
	[ 'reader', "SELECT list_usage_metric_versions('$metric{$default}') #>> '{items,0,name}', list_usage_metric_versions('$metric{$other}') IS NULL", 'al|t' ],
	[ 'reader', "SELECT get_usage_metric('$metric{$default}') ->> 'name', get_usage_metric('$metric{$other}') IS NULL", 'al|t' ],
	[ 'other_reader', "SELECT get_usage_metric('$metric{$default}') IS NULL, get_usage_metric('$metric{$other}') ->> 'name'", 't|ca' ],
	[ 'reader', "SELECT delete_usage_metric('$metric{$default}')", $denied ],
	[ 'ingester', "SELECT delete_usage_metric('$metric{$other}') IS NULL", 't' ],
	[ 'ingester', "SELECT update_usage_metric('$metric{$other}', $new_metric) IS NULL", 't' ],
	[ 'ingester', "UPDATE usage_events.metric SET deleted_at = NULL WHERE id = '$metric{$other}' RETURNING 'updated'", '' ],
	[ 'ingester', "UPDATE usage_events.metric SET expression = 'sum(1)'", $denied ],
	[ 'ingester', "DELETE FROM usage_events.metric_progress WHERE account_id = '$other' RETURNING 'deleted'", $denied ],
	[ 'reader', "SELECT get_usage_limit('$limit{$default}') ->> 'name', get_usage_limit('$limit{$other}') IS NULL", 'al|t' ],
	[ 'other_reader', "SELECT get_usage_limit('$limit{$default}') IS NULL, get_usage_limit('$limit{$other}') ->> 'name'", 't|ca' ],
	[ 'reader', "SELECT check_usage_limit('al', '$metric{$default}') #> '{limits,0,limit}'", 20 ],
	[ 'reader', "SELECT check_usage_limit('ca', '$metric{$other}')", qr/^ERROR: invalid check of usage limits\nDETAIL:  "usageMetricId" names no usage metric\.$/ ],
	[ 'other_reader', "SELECT check_usage_limit('al', '$metric{$other}')", '{"limits": [], "allowed": true}' ],
	(map { [ 'reader', "SELECT $_", $denied ] } "delete_usage_limit('$limit{$default}')", "create_usage_limit(@{[ new_limit($metric{$default}, 'x') ]})",
		"update_usage_limit('$limit{$default}', '{}')"),
	[ 'ingester', "SELECT delete_usage_limit('$limit{$other}') IS NULL", 't' ],
	[ 'ingester', "SELECT update_usage_limit('$limit{$other}', @{[ new_limit($metric{$default}, 'x') ]}) IS NULL", 't' ],
	[ 'ingester', "SELECT create_usage_limit(@{[ new_limit($metric{$other}, 'x') ]})", qr/^ERROR: invalid usage limit\nDETAIL:  "usageMetricId" names no usage metric\.$/ ],
	[ 'ingester', "UPDATE usage_events.usage_limit SET limit_value = 1000 RETURNING 'updated'", $by_hand ],
	[ 'ingester', "UPDATE usage_events.usage_limit SET limit_value = 1000 WHERE id = '$limit{$other}' RETURNING 'updated'", '' ],
	[ 'ingester', "UPDATE usage_events.usage_limit SET account_id = '$default' RETURNING 'updated'", $denied ],
	[ 'ingester', 'DELETE FROM usage_events.usage_limit', $denied ],
	(map { [ 'stranger', "TABLE $_", $denied ] } 'usage_limits', 'usage_limit_status'),
	(map { [ 'stranger', "TABLE usage_events.$_", $denied_schema ] } 'usage_limit', 'superseded_usage_limit'),
	(map { [ 'caller', "SELECT $_", $denied ] } 'list_usage_limits()', "get_usage_limit('$limit{$default}')", "check_usage_limit('al', '$metric{$default}')"),
	[ 'caller', 'SELECT usage_events.limit_status()', $denied ],
	[ 'ingester', "INSERT INTO usage_events.dirty_bucket VALUES ('$other', 'call', 'carol', now(), now())",
		'ERROR: new row violates row-level security policy for table "dirty_bucket"' ],
	[ 'reader', 'TABLE usage_events.unmapped_alias', 'bob 2' ],
	[ 'reader', "SELECT get_usage_event_history('$id') #>> '{items,0,customerAlias}'", 'alice' ],
	[ 'reader', "SELECT get_usage_event_history('$other_id') IS NULL", 't' ],
	[ 'other_reader', "SELECT jsonb_path_query_array(get_usage_event_history('$other_id'), '\$.items[*].customerAlias')", '["dave", "carol", "carol 2"]' ],
	[ 'reader', "SELECT list_usage_events(100, '$cursor', sort_order => 'ASC') -> 'items'", '[]' ],
	[ 'reader', "SELECT jsonb_path_query_array(list_usage_events(100, before => '$cursor', sort_order => 'ASC'), '\$.items[*].customerAlias')", '["alice", "bob 2"]' ],
	[ 'reader', "SELECT list_usage_events(event_id => '$other_id') -> 'items'", '[]' ],
	[ 'reader', q{SELECT list_usage_events(customer_aliases => '{carol,dave,carol 2}') -> 'items'}, '[]' ],
	[ 'reader', q{SELECT list_customer_aliases(value => 'ca') -> 'items'}, '[]' ],
	[ 'reader', $create_alias, $denied ],
	[ 'reader', "SELECT update_customer_alias('$alias{$default}', '{}')", $denied ],
	[ 'reader', "SELECT delete_customer_alias('$alias{$default}')", $denied ],
	[ 'reader', insert_alias($default, 'x'), $denied ],
	[ 'reader', q{UPDATE customer_aliases SET label = 'x'}, $denied ],
	[ 'reader', q{UPDATE usage_events.customer_alias SET label = 'x'}, $denied ],
	[ 'reader', 'DELETE FROM customer_aliases', $denied ],
	[ 'reader', 'DELETE FROM usage_events.rejected_event', $denied ],
	[ 'reader', 'SELECT retry_rejected_usage_events()', $denied ],

	# 'ingest' makes aliases, also of values that another account has; relabels and deletes its own; rewrites none.
	[ 'ingester', $create_alias, 'mallory' ],
	[ 'ingester', q{SELECT delete_customer_alias(id) ->> 'value' FROM customer_aliases WHERE customer_id = 'mallory'}, 'ca' ],
	[ 'superuser', q{DELETE FROM usage_events.customer_alias WHERE customer_id = 'mallory'}, '' ],
	[ 'ingester', "SELECT update_customer_alias('$alias{$default}', '{\"label\": \"l\"}') ->> 'label'", 'l' ],
	[ 'ingester', "SELECT update_customer_alias('$alias{$other}', '{\"label\": \"l\"}') IS NULL", 't' ],
	[ 'ingester', "SELECT delete_customer_alias('$alias{$other}') IS NULL", 't' ],
	[ 'ingester', "UPDATE usage_events.customer_alias SET label = 'x' WHERE account_id = '$other' RETURNING 1", '' ],
	[ 'ingester', insert_alias($other, 'x'), $wrong_account_of_alias ],
	[ 'ingester', insert_alias($other, 'ca') . ' ON CONFLICT (account_id, value) WHERE deleted_at IS NULL DO NOTHING', $wrong_account_of_alias ],
	[ 'ingester', insert_alias($other, 'ca') . q{ ON CONFLICT (account_id, value) WHERE deleted_at IS NULL DO UPDATE SET label = 'x'}, $wrong_account_of_alias ],
	(map { [ 'ingester', "UPDATE usage_events.customer_alias SET $_", $denied ] } "account_id = '$other'", q{value = 'x'}, q{customer_id = 'x'}, 'created_at = now()'),
	[ 'ingester', 'DELETE FROM usage_events.customer_alias', $denied ],
	[ 'ingester', 'SELECT retry_rejected_usage_events() -> \'refused\'', '1' ],
	[ 'ingester', "DELETE FROM usage_events.rejected_event WHERE account_id = '$other' RETURNING 1", $denied ],
	[ 'ingester', "UPDATE usage_events.rejected_event SET taken_at = NULL WHERE account_id = '$other' RETURNING 1", '' ],
	[ 'ingester', "INSERT INTO usage_events.rejected_event (account_id, id, body, faults) VALUES ('$other', uuid_v7(), '', '[]')", qr/^ERROR: new row violates row-level security policy/ ],
	[ 'ingester', "INSERT INTO usage_events.superseded_event SELECT '$other', id, event_timestamp, now(), id, customer_event_id, customer_alias, event_type, event_properties FROM usage_events",
		qr/^ERROR: new row violates row-level security policy/ ]);

# API keys ---------------------------------------------------------------------

# What a session does once it has shown an account's key.
sub as_client
{
	my ($account_id, $sql) = @_;
	my $header = 'Basic ' . encode_base64($key{$account_id}, '');
	$words{ $account_id eq $default ? 'default key' : 'other key' } = $header;
	return qq{BEGIN; DO \$\$ BEGIN PERFORM set_config('request.headers', '{"authorization": "$header", "usage-request": "GET /usage-events?sortOrder=ASC"}', true), usage_events.authenticate_request(); END \$\$; $sql};
}

my $denied_keys = 'ERROR: permission denied for table api_key';
my $insert_key = q{INSERT INTO usage_events.api_key (account_id, client_id, secret_hash, label, created_at) VALUES ('%s', '%s', '', '', now())};

check(@$_) foreach (
	[ 'reader', 'SELECT count(*) FROM usage_events.api_key', $denied ],
	# whoever sends events may know whether there are keys of single customers: marks of batches depend on it
	[ 'ingester', 'SELECT count(*), count(customer) FROM usage_events.api_key', "1|0" ],
	(map { my $role = $_; map { [ $role, $_, $denied ] } 'SELECT client_id FROM usage_events.api_key', 'SELECT id FROM usage_events.portal_token',
		"SELECT usage_events.list_api_keys('$default')", "SELECT usage_events.create_api_key('$default', 'x')", "SELECT usage_events.rotate_api_key('$client_id')",
		"SELECT usage_events.revoke_api_key('$client_id')", 'SELECT usage_events.authenticate_request()', 'SELECT usage_api_read()' } 'reader', 'ingester'),

	# 'http' finds the keys of the account it acts for, and may neither list nor change them.
	[ 'web', 'SELECT client_id FROM usage_events.api_key', $client_id ],
	[ 'web', as_client($other, 'SELECT client_id FROM usage_events.api_key'), $other_client_id ],
	(map { [ 'web', $_, $denied_keys ] } 'TABLE usage_events.api_key', 'SELECT label FROM usage_events.api_key', 'SELECT api_key FROM usage_events.api_key',
		'UPDATE usage_events.api_key SET expires_at = NULL', 'DELETE FROM usage_events.api_key', 'TRUNCATE usage_events.api_key', sprintf($insert_key, $default, 'x'),
		'COPY usage_events.api_key TO STDOUT', 'SELECT FROM usage_events.api_key FOR UPDATE'),
	(map { [ 'web', "SELECT usage_events.$_", $denied ] } "list_api_keys('$default')", "create_api_key('$default', 'x')", "rotate_api_key('$client_id')",
		"expire_api_key('$client_id', NULL)", "revoke_api_key('$client_id')", q{create_account('x')}, "create_event('$other', '{}')", "create_events('$other', '[]')"),
	[ 'web', 'SET row_security = off; SELECT client_id FROM usage_events.api_key', qr/^ERROR: query would be affected by row-level security/ ],

	# It acts for the account whose key it was shown, until the transaction ends, and can name no other.
	[ 'web', $see_customers, customers_seen('al', 'bob 2', 'alice bob 2') ],
	[ 'web', as_client($other, $see_customers), customers_seen('ca', 'carol 2 dave 2', 'carol 2 dave 2') ],
	[ 'web', as_client($other, "$see; COMMIT; $current_account"), seen('carol 2 dave 2', 'carol dave', 'other') . "\n$default" ],
	[ 'web', as_client($other, "ROLLBACK; $current_account"), $default ],
	[ 'web', as_client($other, create('carol 2', 1) . q{'sequenceAccountId'}), $other ],
	[ 'web', as_client($other, "SELECT get_usage_event('$id') IS NULL"), 't' ],
	[ 'web', as_client($other, q{SELECT usage_api_read()::jsonb #>> '{items,0,customerAlias}'}), 'carol 2' ],
	[ 'web', as_client($other, 'COMMIT; SELECT usage_api_read()'), qr/^ERROR: \{"code":"401"/ ],
	[ 'web', as_client($other, q{COMMIT; SELECT usage_api_write('')}), qr/^ERROR: \{"code":"401"/ ],
	[ 'web', as_client($other, "SET LOCAL usage_events.account_id = '$default'"), $denied_setting ],
	[ 'web', as_client($other, 'RESET usage_events.account_id'), $denied_setting ],
	[ 'web', as_client($other, "SET ROLE web; $current_account"), $other ],
	[ 'web', as_client($other, insert_row($default)), $wrong_account ],
	[ 'web', "BEGIN READ ONLY; " . as_client($other, 'SELECT client_id FROM usage_events.api_key') =~ s/^BEGIN; //r, $other_client_id ],
	[ 'web', as_client($other, as_client($default, $current_account) =~ s/^BEGIN; //r), $default ],
	[ 'web', 'SELECT usage_events.authenticate_request()', qr/^ERROR: \{"code":"401","message":"request has no credentials"/ ],
	[ 'web', as_client($other, 'SELECT 1') =~ s/Basic /Basic x/r, qr/^ERROR: \{"code":"401"/ ],
	[ 'web', "SET usage_events.account_id = '$other'; $see_customers", customers_seen('al', 'bob 2', 'alice bob 2') ],
	[ 'web', q{PREPARE seen AS SELECT string_agg(value, ' ') FROM customer_aliases; SET plan_cache_mode = force_generic_plan; EXECUTE seen;} .
		as_client($other, 'EXECUTE seen; COMMIT;') . as_client($default, 'EXECUTE seen'), "al\nca\nal" ],
	# back to where the session began, and nowhere else
	[ 'web', as_client($other, "RESET ALL; $current_account"), $default ],
	[ 'caller', as_client($default, 'SELECT 1'), qr/^ERROR: \{"code":"42501","message":"internal server error"\}/ ],

	# 'admin' makes, rotates and revokes keys of any account; nobody can read a hash, or put one in place.
	[ 'administrator', "SELECT client_id LIKE '$other.%' FROM usage_events.create_api_key('$other', 'new')", 't' ],
	[ 'administrator', "SELECT string_agg(label, ' ') FROM usage_events.list_api_keys('$other')", 'ca new' ],
	[ 'administrator', "SELECT count(*) FROM usage_events.list_api_keys('$other'), usage_events.rotate_api_key(client_id, '1 hour') WHERE label = 'new'", 1 ],
	[ 'administrator', "SELECT usage_events.revoke_api_key(client_id) FROM usage_events.list_api_keys('$other') WHERE label = 'new'; $current_account", "\n\n$default" ],
	[ 'administrator', 'SELECT client_id FROM usage_events.api_key', $client_id ],
	[ 'administrator', 'COPY usage_events.api_key (client_id) TO STDOUT', $client_id ],
	(map { [ 'administrator', $_, $denied_keys ] } 'TABLE usage_events.api_key', 'SELECT secret_hash FROM usage_events.api_key', 'SELECT api_key FROM usage_events.api_key',
		q{SELECT client_id FROM usage_events.api_key WHERE secret_hash = ''}, 'SELECT client_id FROM usage_events.api_key ORDER BY secret_hash', 'COPY usage_events.api_key TO STDOUT',
		'UPDATE usage_events.api_key SET expires_at = NULL RETURNING secret_hash', 'UPDATE usage_events.api_key SET expires_at = NULL RETURNING *',
		q{UPDATE usage_events.api_key SET secret_hash = ''}, "UPDATE usage_events.api_key SET account_id = '$other'", q{UPDATE usage_events.api_key SET label = 'x'},
		'DELETE FROM usage_events.api_key', 'TRUNCATE usage_events.api_key',
		sprintf($insert_key, $default, $client_id) . q{ ON CONFLICT (account_id, client_id) DO UPDATE SET secret_hash = ''}),
	[ 'administrator', "UPDATE usage_events.api_key SET expires_at = NULL WHERE account_id = '$other' RETURNING client_id", '' ],
	[ 'administrator', sprintf($insert_key, $other, $other_client_id) . ' ON CONFLICT (account_id, client_id) DO UPDATE SET expires_at = NULL', qr/^ERROR: new row violates row-level security policy for table "api_key"$/ ],
	[ 'administrator', sprintf($insert_key, $default, $client_id), $by_hand ],
	[ 'administrator', "SELECT usage_events.revoke_access('reader')", $denied ]);

# Ways around row-level security -------------------------------------------------

my @tables = qw(account event superseded_event rejected_event customer_alias api_key metric superseded_metric metric_rollup
	metric_progress dirty_bucket usage_limit superseded_usage_limit);

# All of the other account, to see that nothing below changes it.
my $all_of_other = join ' UNION ALL ', map { "SELECT coalesce(md5(string_agg(t::text, ' ' ORDER BY t::text)), '') FROM usage_events.$_ AS t WHERE account_id = '$other'" }
  @tables;
$node->safe_psql('postgres', 'ANALYZE');
my $before = $node->safe_psql('postgres', $all_of_other);

# A function that tells what it is shown, and an operator that the planner may try on statistics.
my $tell = q{CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE EXCEPTION '%', $1; END $$};
my $operator = q{CREATE FUNCTION pg_temp.is_other(text, text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
	$$ BEGIN IF $1 ~ '^(ca|dave)' THEN RAISE EXCEPTION '%', $1; END IF; RETURN false; END $$;
	CREATE OPERATOR pg_temp.<<< (FUNCTION = pg_temp.is_other, LEFTARG = text, RIGHTARG = text, RESTRICT = scalarltsel)};
my $of_other = qr/^(?!.*(\bca\b|carol|dave|other))/s;
my $merge = q{MERGE INTO usage_events.event AS event USING (VALUES ('%s'::uuid, '%s')) AS sent (account_id, key)
	ON event.account_id = sent.account_id AND event.customer_event_id = sent.key
	WHEN MATCHED THEN UPDATE SET event_type = 'merged' WHEN NOT MATCHED THEN %s};
my $own_row = insert_row($default) =~ s/'row'/'1'/r;
my $other_row = insert_row($other) =~ s/'row'/'1'/r;

check(@$_) foreach (
	# a function in a filter, an operator in an estimate, a plan, statistics
	(map { [ 'reader', "$tell; SELECT FROM $_->[0] WHERE pg_temp.tell($_->[1])", qr/^ERROR: $_->[2]$/ ] } [ 'customer_aliases', 'value', 'al' ],
		[ 'usage_events.customer_alias', 'value', 'al' ], [ 'unmapped_customer_aliases', 'customer_alias', 'alice|bob 2' ], [ 'usage_event_history', 'customer_alias', 'bob' ],
		[ 'rejected_usage_events', 'body', '"al"' ], [ 'usage_events.account', 'name', 'default' ]),
	[ 'web', "$tell; SELECT FROM usage_events.api_key WHERE pg_temp.tell(client_id)", "ERROR: $client_id" ],
	(map { [ 'reader', "$operator; SELECT FROM $_->[0] WHERE $_->[1] OPERATOR(pg_temp.<<<) 'x'", '' ] } [ 'usage_events.event', 'customer_alias' ],
		[ 'usage_events.superseded_event', 'customer_alias' ], [ 'usage_events.customer_alias', 'value' ], [ 'usage_events.account', 'name' ]),
	(map { [ 'reader', "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM $_ ORDER BY 1", $of_other ] } 'usage_events', 'usage_event_history', 'customer_aliases', 'unmapped_customer_aliases'),
	(map { [ $_, q{SELECT count(*) FROM pg_stats WHERE schemaname = 'usage_events'}, 0 ] } 'stranger', 'reader', 'ingester', 'web', 'administrator'),
	[ 'superuser', q{SELECT count(*) > 0 FROM pg_stats WHERE schemaname = 'usage_events'}, 't' ],

	# COPY, of every table
	(map { [ 'reader', "COPY usage_events.$_->[0] ($_->[1]) TO STDOUT", $_->[2] ] } [ 'account', 'name', 'default' ], [ 'superseded_event', 'customer_alias', 'bob' ],
		[ 'rejected_event', 'body', '"al"' ], [ 'customer_alias', 'customer_id', 'alice' ]),
	[ 'reader', 'COPY usage_events.api_key (client_id) TO STDOUT', $denied ],
	(map { [ 'ingester', "COPY usage_events.$_ FROM STDIN;\n\\.\n", qr/^ERROR: COPY FROM not supported with row-level security/ ] } 'superseded_event', 'rejected_event (account_id, id, body, faults)',
		'customer_alias (account_id, id, customer_id, value, label, created_at)'),
	[ 'ingester', "COPY usage_events.account FROM STDIN;\n\\.\n", $denied ],
	[ 'reader', "COPY usage_event_import FROM STDIN;\n\\.\n", $denied ],
	[ 'web', as_client($other, qq(COPY usage_event_import FROM STDIN;\n{"customerAlias": "carol 2", "eventType": "call", "customerEventId": "1"}\n\\.\n)), '' ],
	(map { [ 'reader', "SET row_security = off; TABLE usage_events.$_", qr/^ERROR: query would be affected by row-level security policy for table "$_"/ ] }
		qw(account event superseded_event rejected_event customer_alias)),

	# statements that find a row before they are refused it
	[ 'ingester', "$other_row ON CONFLICT (account_id, customer_event_id) DO UPDATE SET event_type = 'x'", $wrong_account ],
	[ 'ingester', "$other_row ON CONFLICT DO NOTHING", $wrong_account ],
	[ 'ingester', sprintf($merge, $other, '1', 'DO NOTHING'), '' ],
	[ 'ingester', sprintf($merge, $other, '1', "INSERT VALUES ('$other', uuid_v7(), now(), '1', 'm', 'm', '{}')"), $wrong_account ],
	[ 'ingester', sprintf($merge, $default, '2', 'DO NOTHING'), $by_hand ],
	[ 'ingester', 'SELECT customer_alias FROM usage_events.event ORDER BY 1 FOR UPDATE', $by_hand ],
	[ 'reader', 'SELECT FROM usage_events.event FOR SHARE', $denied ],
	[ 'ingester', 'BEGIN; LOCK TABLE usage_events.event IN ACCESS EXCLUSIVE MODE', $denied ],

	# nor are rows of one's own account written by hand; and an error says nothing of a row that is there
	[ 'ingester', $own_row, $by_hand ],
	[ 'ingester', insert_alias($default, 'al'), $by_hand ],
	[ 'ingester', "UPDATE usage_events.event SET id = '$id'", $by_hand ],
	[ 'ingester', 'UPDATE usage_events.event SET event_type = NULL', $by_hand ],

	# what one role planned
	[ 'superuser', qq{
		SET plan_cache_mode = force_generic_plan;
		PREPARE see AS $see_customers;
		PREPARE get AS SELECT get_usage_event_history('$id') IS NULL;
		EXECUTE get; SET ROLE reader; EXECUTE see; EXECUTE get;
		RESET ROLE; $set_other; SET ROLE reader; EXECUTE see; EXECUTE get},
		join("\n", 'f', customers_seen('al', 'bob 2', 'alice bob 2'), 'f', customers_seen('ca', 'carol 2 dave 2', 'carol 2 dave 2'), 't') ],
	[ 'superuser', "SELECT count(*) FROM usage_events.list_api_keys('$default'); SET ROLE web; SELECT usage_events.list_api_keys('$default')", $denied ],
	[ 'superuser', as_client($other, "$current_account; SET LOCAL ROLE web; SELECT bool_and(account_id = '$other') FROM usage_events.api_key"), "$other\nt" ]);
is($node->safe_psql('postgres', $all_of_other), $before, 'nothing of the other account has changed');

# The tables' owner is held as well, if it is no superuser.
$node->safe_psql('postgres', q{CREATE ROLE owner LOGIN; GRANT USAGE ON SCHEMA usage_events TO owner} .
	join '', map { "; ALTER TABLE usage_events.$_ OWNER TO owner" } @tables);
check(@$_) foreach (
	(map { [ 'owner', "SELECT count(*) FROM usage_events.$_ WHERE account_id <> '$default'", 0 ] } @tables),
	[ 'owner', q{SELECT string_agg(customer_alias, ' ' ORDER BY customer_alias) FROM usage_events.event}, 'alice bob 2' ],
	[ 'owner', 'SELECT client_id FROM usage_events.api_key', $client_id ],
	[ 'owner', 'DELETE FROM usage_events.api_key WHERE true', $by_hand ],
	[ 'owner', insert_alias($other, 'x'), $wrong_account_of_alias ],
	[ 'owner', 'SET row_security = off; TABLE usage_events.api_key', qr/^ERROR: query would be affected by row-level security/ ]);
is($node->safe_psql('postgres', $all_of_other), $before, 'nor by the owner');
$node->safe_psql('postgres', join '; ', map { "ALTER TABLE usage_events.$_ OWNER TO CURRENT_USER" } @tables);

# Access is taken back whole: the role can be dropped without more ado.
foreach my $access ('read', 'ingest', 'http', 'admin')
{
	my $leaver = "Leaver of $access";
	$node->safe_psql('postgres', qq{
		CREATE ROLE "$leaver" LOGIN;
		SELECT usage_events.grant_access('"$leaver"', '$access');
		SELECT usage_events.revoke_access('"$leaver"');
		SELECT usage_events.revoke_access('"$leaver"')});
	check($leaver, @$_) foreach (
		(map { [ "TABLE $_", $denied ] } 'usage_events', 'usage_event_history', 'rejected_usage_events', 'customer_aliases', 'unmapped_customer_aliases'),
		(map { [ "TABLE usage_events.$_", $denied_schema ] } qw(account event superseded_event rejected_event customer_alias api_key unmapped_alias)),
		(map { [ "SELECT $_", $denied ] } 'list_usage_events()', q{create_usage_event('{}')}, q{create_customer_alias('{}')}, 'usage_api_read()'),
		[ 'SELECT usage_events.authenticate_request()', $denied_schema ],
		[ q{SELECT usage_events.create_account('x')}, $denied_schema ]);
	check('superuser', qq(DROP ROLE "$leaver"), '');
}
check('reader', q{SELECT count(*) FROM customer_aliases}, 1);

done_testing();
