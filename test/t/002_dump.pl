# 002_dump.pl: a dump and its restore lose nothing
#
# A database with events, history and accounts is dumped and restored in every
# usual way.  The copy must have the same rows and the same privileges, and
# go on as the original would: a retry is still a retry, a correction supersedes,
# each account sees its own events alone, and its API key is still good.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";
use Contents;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

# Without autovacuum, whose transactions a new metric would have to wait for.
my $node = server('autovacuum = off');

my $event = q({"customerAlias": "alice", "eventType": "call", "customerEventId": "1",
	"eventTimestamp": "2024-02-29T12:00:00.5+02:00", "eventProperties": {"quantity": 1.50, "tag": "\\u00fc"}});
my $correction = q({"customerAlias": "alice", "eventType": "call", "customerEventId": "1",
	"eventTimestamp": "2024-02-29T12:00:00.5+02:00", "eventProperties": {"quantity": 2}});

$node->safe_psql('postgres', q{
	CREATE ROLE reader LOGIN;
	CREATE ROLE ingester LOGIN;
	CREATE ROLE administrator LOGIN;
	CREATE ROLE web LOGIN;
	CREATE DATABASE original ENCODING 'UTF8' TEMPLATE template0;});
$node->safe_psql('original', qq{
	CREATE SCHEMA api;
	CREATE EXTENSION usage_events SCHEMA api;
	SELECT usage_events.grant_access('reader', 'read'),
		usage_events.grant_access('ingester', 'ingest'),
		usage_events.grant_access('administrator', 'admin'),
		usage_events.grant_access('web', 'http');
	SELECT api.create_customer_alias('{"customerId": "customer-1", "value": "carol"}');
	SELECT api.create_usage_event('$correction');
	SELECT api.create_usage_event('$event');
	SELECT api.create_usage_event(jsonb_build_object('customerAlias', 'bob', 'eventType', 'call', 'eventProperties',
		jsonb_build_object('n', n))) FROM generate_series(1, 100) AS n;
	SELECT api.ingest_usage_events('[{}, 5]');
	SELECT api.create_usage_metric('{"name": "sum", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "quantity"}');
	SELECT api.update_usage_metric(id, '{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}') FROM api.usage_metrics;
	SELECT api.create_usage_limit(jsonb_build_object('name', customer, 'usageMetricId', id, 'customer', customer, 'period', period, 'limit', 100, 'mode', mode,
		'timezone', 'Asia/Tokyo', 'anchor', '2024-01-31T12:00:00Z'))
	FROM api.usage_metrics, (VALUES ('carol', 'YEAR', 'REPORT'), ('bob', 'ALL_TIME', 'REPORT'), ('gone', 'ALL_TIME', 'BLOCK')) AS v (customer, period, mode);
	SELECT api.update_usage_limit(id, jsonb_build_object('name', customer, 'usageMetricId', usage_metric_id, 'period', 'ALL_TIME', 'limit', 10000, 'mode', 'BLOCK',
		'anchor', '2024-01-31T12:00:00Z'))
	FROM api.usage_limits WHERE customer = 'carol';
	SELECT api.delete_usage_limit(id) FROM api.usage_limits WHERE customer = 'gone';
	SELECT api.update_usage_alert((api.create_usage_alert(alert) ->> 'id')::uuid, alert || '{"name": "updated"}')
	FROM (SELECT jsonb_build_object('name', 'alert', 'usageMetricId', id, 'period', 'ALL_TIME', 'anchor', '2024-01-31T12:00:00Z', 'thresholds', '[100, 10000]'::jsonb, 'direction', 'ABOVE') AS alert
		FROM api.usage_metrics) AS a;
	SELECT usage_events.create_custom_metric('{"name": "custom", "eventType": "call", "expression": "count(*) * factor",
		"parameters": [{"name": "factor", "type": "POSITIVE_INTEGER", "description": "x", "defaultValue": "2"}]}');
	SELECT usage_events.refresh_rollups() FROM generate_series(1, 3);
	SELECT api.take_usage_alert_events('consumer');
	SELECT usage_events.purge('2020-01-01Z');
	SELECT usage_events.create_event(usage_events.create_account('another'), '$event');
	CREATE TABLE typed (event api.usage_event PRIMARY KEY);
	INSERT INTO typed VALUES ('$event'), ('{"customerAlias": "bob", "eventType": "call"}');});

# A portal token is made over HTTP.
$node->safe_psql('original', q{
	SELECT client_id || ':' || client_secret AS key FROM usage_events.create_api_key(usage_events.current_account_id(), 'of portals') \gset
	BEGIN;
	SELECT set_config('request.path', '/rpc/usage_api_write', true), set_config('request.headers', jsonb_build_object('usage-request', 'POST /portal-tokens',
		'authorization', 'Basic ' || translate(encode(convert_to(:'key', 'UTF8'), 'base64'), E'\n', ''))::text, true);
	SELECT usage_events.authenticate_request(), api.usage_api_write('{"customer": "customer-1"}');
	COMMIT});

# What the metrics say, of customers and of all, what limits leave of it, and what alerts have told; with rollups and without.
sub answers
{
	my ($database, $schema) = @_;
	$schema ||= 'api';
	return $node->safe_psql($database, qq{
		SELECT m.name, $schema.calculate_usage_metric(m.id, '{alice,bob}', '[2024-01-01Z, 2100-01-01Z)') FROM $schema.usage_metrics AS m ORDER BY 1;
		SELECT c.* FROM $schema.usage_metrics AS m, $schema.usage_metric_by_customer(m.id, '[2024-01-01Z, 2100-01-01Z)') AS c WHERE m.name = 'n' ORDER BY 1;
		SELECT customer, $schema.check_usage_limit(customer, id, 4950) FROM $schema.usage_metrics, unnest('{alice,bob,gone}'::text[]) AS customer
		WHERE name = 'n' ORDER BY 1;
		SELECT customer, threshold, value, state FROM $schema.usage_alert_events ORDER BY id});
}

sub call
{
	my ($database, $json) = @_;
	return $node->safe_psql($database, "SELECT api.create_usage_event('$json') ->> 'id'");
}

my $key = $node->safe_psql('original', q{
	SELECT client_id || ':' || client_secret
	FROM usage_events.account, usage_events.create_api_key(account_id, 'dumped') WHERE name = 'another'});
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
my $rows = rows($node, 'original');
my $privileges = privileges($node, 'original');
my $answers = answers('original');
like($answers, qr/"value": 5050,/, 'the original has metrics');
like($answers, qr/^bob\|.*"used": 5050,.*"allowed": false/m, 'and limits');
like($answers, qr/^bob\|100\|5050\|TRIGGERED$/m, 'and alerts that have told something');
is($node->safe_psql('original', 'SELECT (SELECT count(*) FROM usage_events.portal_token), (SELECT count(*) FROM usage_events.usage_alert_delivery)'), '1|1', 'a portal token, and an event that was taken');
is($node->safe_psql('original', 'SELECT count(*) > 0 FROM usage_events.metric_rollup'), 't', 'and rollups');
my $id = call('original', $event);
my $another = $node->safe_psql('original', q{SELECT account_id FROM usage_events.account WHERE name = 'another'});

cmp_ok(() = $rows =~ /alice/g, '==', 3, 'the original has events, a superseded one, and another account');
is(total_of_key($node, 'original', 'api', $key), 1, 'the original has an API key');
like($privileges, qr/^usage_events\.event\.id\|ingester\|UPDATE\|f$/m, 'the original has privileges on columns');

sub dump_and_restore
{
	my ($name, $dump_options, @restore) = @_;
	PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', $dump);
	$node->command_ok([ 'pg_dump', '-f', $dump, @$dump_options, 'original' ], "$name: dump");
	$node->command_ok([ @restore, $dump ], "$name: restore");
}

my @psql = qw(psql -X -q -o /dev/null -v ON_ERROR_STOP=1 -d restored -f);
my @pg_restore = qw(pg_restore -j2 --exit-on-error -d restored);
foreach my $way (
	[ 'plain', [ [], @psql ] ],
	[ 'custom', [ ['-Fc'], @pg_restore ] ],
	[ 'directory, in parallel', [ [ '-Fd', '-j2' ], @pg_restore ] ],
	[ 'schema, then data', [ ['--schema-only'], @psql ], [ ['--data-only'], @psql ] ],
	[ 'of schemas and the extension by name', [ [ '-n', 'api', '-n', 'usage_events', '-e', 'usage_events' ], @psql ], [ [ '-t', 'public.typed' ], @psql ] ],
	[ 'custom, schema, then data', [ ['-Fc'], @pg_restore, '--schema-only' ], [ ['-Fc'], @pg_restore, '--data-only' ] ],
	[ 'custom, schema, then data without triggers', [ ['-Fc'], @pg_restore, '--schema-only' ], [ ['-Fc'], @pg_restore, '--data-only', '--disable-triggers' ] ],
	[ 'custom, data of a dump of data', [ ['--schema-only'], @psql ], [ [ '-Fc', '--data-only' ], @pg_restore ] ])
{
	my ($name, @steps) = @$way;

	$node->safe_psql('postgres', q{CREATE DATABASE restored ENCODING 'UTF8' TEMPLATE template0});
	dump_and_restore($name, @$_) foreach @steps;

	is(rows($node, 'restored'), $rows, "$name: the rows are the same");
	is($node->safe_psql('restored', q{SELECT count(*), count(DISTINCT event) FROM typed}), '2|2', "$name: a table of events, with an index");
	is(privileges($node, 'restored'), $privileges, "$name: the privileges are the same");
	is($node->safe_psql('restored', 'SELECT count(*) FROM usage_events.metric_rollup'), 0, "$name: rollups are not dumped");
	is($node->safe_psql('restored', 'SELECT count(*) FROM usage_events.portal_token'), 0, "$name: nor are tokens that end within a day");
	is(answers('restored'), $answers, "$name: metrics say the same");
	$node->safe_psql('restored', 'SELECT usage_events.refresh_rollups() FROM generate_series(1, 3)');
	is(answers('restored'), $answers, "$name: and with new rollups");

	is(call('restored', $event), $id, "$name: a retry gets the first answer");
	is(rows($node, 'restored'), $rows, "$name: and writes nothing");
	my $new_id = call('restored', $correction);
	my $versions = $node->safe_psql('restored', qq{
		SELECT current.id, superseded_by FROM api.usage_events AS current
		JOIN api.usage_event_history AS history USING (account_id, customer_event_id)
		WHERE history.id = '$id'});
	is($versions, "$new_id|$new_id", "$name: a correction supersedes");

	my $own = $node->safe_psql('restored', qq{
		SET usage_events.account_id = '$another';
		SET ROLE reader;
		SELECT count(*) FROM api.usage_events;
		SET ROLE ingester;
		SELECT api.create_usage_event('$correction') ->> 'sequenceAccountId';
		SELECT count(*) FROM api.usage_event_history;});
	is($own, "1\n$another\n1", "$name: an account sees its own events alone");

	is(total_of_key($node, 'restored', 'api', $key), 1, "$name: an API key is still good");

	$node->safe_psql('postgres', 'DROP DATABASE restored');
}

# Into a database where the extension is in another schema: its data alone.
foreach my $way ([ 'plain', ['--data-only'], @psql ], [ 'custom', ['-Fc'], @pg_restore, '--data-only' ])
{
	my ($format, $options, @restore) = @$way;
	my $name = "into another schema, $format";
	$node->safe_psql('postgres', q{CREATE DATABASE restored ENCODING 'UTF8' TEMPLATE template0});
	$node->safe_psql('restored', 'CREATE SCHEMA other; CREATE EXTENSION usage_events SCHEMA other; CREATE TABLE typed (event other.usage_event PRIMARY KEY)');
	dump_and_restore($name, $options, @restore);
	is(rows($node, 'restored'), $rows, "$name: the rows are the same");
	is(answers('restored', 'other'), $answers, "$name: metrics say the same");
	is($node->safe_psql('restored', "SELECT other.create_usage_event('$event') ->> 'id'"), $id, "$name: a retry gets the first answer");
	$node->safe_psql('postgres', 'DROP DATABASE restored');
}

# Table by table into a database that is in use: metrics first, which are rolled up of nothing, then what they are about.
foreach my $triggers ([], ['--disable-triggers'], ['--single-transaction'])
{
	my $name = "table by table @$triggers";
	$node->safe_psql('postgres', q{CREATE DATABASE restored ENCODING 'UTF8' TEMPLATE template0});
	dump_and_restore($name, ['-Fc'], @pg_restore[ 0, 2 .. $#pg_restore ], '--schema-only');
	my $some = sub { $node->command_ok([ $pg_restore[0], '--exit-on-error', '-d', 'restored', '--data-only', @$triggers, (map { ('-t', $_) } @_), $dump ], "$name: @_") };
	$some->('account', 'metric', 'superseded_metric', 'customer_alias', 'usage_limit', 'superseded_usage_limit');
	my $refreshed = 'SELECT usage_events.refresh_rollups() IS NOT NULL AND bool_and(is_built) FROM usage_events.metric_progress';
	ok($node->poll_query_until('restored', $refreshed), "$name: a refresh has rolled up what was there");
	$some->('event', 'superseded_event', 'purge_horizon', map { "usage_alert$_" } '', '_state', '_event', '_consumer', '_delivery');
	is(answers('restored'), $answers, "$name: metrics say the same");
	ok($node->poll_query_until('restored', $refreshed), "$name: what has come is rolled up");
	is(answers('restored'), $answers, "$name: and with new rollups");
	$node->safe_psql('postgres', 'DROP DATABASE restored');
}

# Of schemas by name a dump has no rows: the extension has to be named as well (docs/operations.md).
my ($of_schemas) = PostgreSQL::Test::Utils::run_command([ 'pg_dump', '-n', 'usage_events', '-n', 'api', $node->connstr('original') ]);
unlike($of_schemas, qr/alice/, 'a dump of schemas alone has no events');

# Over what is there: the guard has to be told that all events may go, to come back from the dump.
$node->safe_psql('postgres', q{CREATE DATABASE restored ENCODING 'UTF8' TEMPLATE template0});
dump_and_restore('over what is there', ['-Fc'], @pg_restore);
$node->safe_psql('restored', q{SELECT api.create_usage_event('{"customerAlias": "later", "eventType": "call"}')});
$node->command_fails_like([ 'pg_restore', '--clean', '--if-exists', '-d', 'restored', $dump ], qr/cannot drop extension usage_events because it holds usage events/, 'over what is there: the guard');
{
	local $ENV{PGOPTIONS} = '-c usage_events.allow_drop=on';
	$node->command_ok([ 'pg_restore', '--clean', '--if-exists', '-d', 'restored', $dump ], 'over what is there: restore');
}
is(rows($node, 'restored'), rows($node, 'original'), 'over what is there: the rows are the same');
is(privileges($node, 'restored'), $privileges, 'over what is there: the privileges are the same');
is(answers('restored'), $answers, 'over what is there: metrics say the same');
$node->safe_psql('postgres', 'DROP DATABASE restored');

done_testing();
