# 016_update.pl: ALTER EXTENSION UPDATE from every version there was
#
# A database of an old version, with events and roles, works with the new library
# as it did, before anybody updates it.  Updated, it cannot be told from a
# new one: all objects, privileges, comments and settings of them are compared.
# Events are there, roles can do what they could and what is new, and sessions that
# were open go on, as do writers beside the update.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";
use Contents;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off");
$node->start;

my @old_versions = split /\n/, $node->safe_psql('postgres', q{
	SELECT source FROM pg_extension_update_paths('usage_events'), pg_available_extensions AS e
	WHERE e.name = 'usage_events' AND target = default_version AND path IS NOT NULL ORDER BY 1});
ok(grep({ $_ eq '0.1' } @old_versions), 'there is a way from 0.1');

sub create
{
	my ($key, $alias, $n) = @_;
	return qq(SELECT create_usage_event('{"customerAlias": "$alias", "eventType": "call", "customerEventId": "$key",
		"eventTimestamp": "2026-10-01T00:00:00Z", "eventProperties": {"n": $n}}') ->> 'id');
}

sub sql { return $node->safe_psql(@_); }

sub refuses
{
	my ($database, $statement, $error, $name) = @_;
	my ($result, $stdout, $stderr) = $node->psql($database, $statement);
	like($stderr, $error, $name);
}

$node->safe_psql('postgres', 'CREATE DATABASE fresh');
sql('fresh', 'CREATE EXTENSION usage_events');
my $fresh = description($node, 'fresh');
cmp_ok(() = $fresh =~ /^/mg, '>', 500, 'the description of a new database says much');

foreach my $version (@old_versions)
{
	my $database = "from_$version";
	$node->safe_psql('postgres', qq(CREATE DATABASE "$database"; CREATE ROLE reader; CREATE ROLE ingester; CREATE ROLE administrator));
	sql($database, qq{
		CREATE EXTENSION usage_events VERSION '$version';
		SELECT usage_events.grant_access('reader', 'read'), usage_events.grant_access('ingester', 'ingest'), usage_events.grant_access('administrator', 'admin')});

	# The old version with the new library, as an ordinary role.
	sub as { my ($role, $statement) = @_; return "SET ROLE $role; $statement"; }
	my $first = sql($database, as('ingester', create('a', 'acme', 1)));
	is(sql($database, as('ingester', create('a', 'acme', 1))), $first, "$version: a retry gets the first answer");
	my $second = sql($database, as('ingester', create('a', 'acme', 2)));
	is(sql($database, as('reader', 'SELECT id, superseded_by FROM usage_event_history')), "$first|$second", "$version: a correction supersedes");
	sql($database, as('ingester', create('b', 'acme', 1)));
	sql($database, as('ingester', create('b', 'VOID', 1)));
	sql($database, as('ingester', 'BEGIN ISOLATION LEVEL REPEATABLE READ; ' . create('c', 'acme', 4) . '; COMMIT'));
	is(sql($database, as('reader', "SELECT get_usage_event('$second') -> 'eventProperties' ->> 'n'")), 2, "$version: an event is found by its id");
	my $account = sql($database, as('administrator', q(SELECT usage_events.create_account('other'))));
	is(sql($database, as('administrator', qq(SELECT usage_events.create_event('$account', '{"customerAlias": "a", "eventType": "call"}') ->> 'sequenceAccountId'))),
		$account, "$version: an administrator acts for another account");
	is(sql($database, q(SELECT '{"customerAlias": "a", "eventType": "t"}'::usage_event::jsonb)), '{"eventType": "t", "customerAlias": "a", "eventProperties": {}}', "$version: the type");
	is(sql($database, 'SELECT usage_events.library_version() = extversion FROM pg_extension WHERE extname = $$usage_events$$'), 'f', "$version: the library is of another version");
	is(sql($database, q(SELECT uuid_v7_timestamp(uuid_v7()) BETWEEN now() - interval '1 minute' AND now() + interval '1 minute')), 't', "$version: ids");
	is(sql($database, 'SELECT usage_events.current_account_id()'), '00000000-0000-8000-8000-000000000001', "$version: the default account");
	is(sql($database, as('reader', q(SELECT string_agg(customer_event_id || customer_alias, ' ' ORDER BY customer_event_id) FROM usage_events
			WHERE account_id = usage_events.current_account_id() AND ingested_at <= now()))), 'aacme bVOID cacme', "$version: events by the view");
	sql($database, as('ingester', "SET usage_events.on_conflict = 'ignore'; " . create('a', 'acme', 9)));
	refuses($database, as('ingester', "SET usage_events.on_conflict = 'refuse'; " . create('a', 'acme', 9)), qr/conflicts with a stored one/, "$version: a conflict is refused where that is asked for");
	is(sql($database, "SELECT get_usage_event('$second') -> 'eventProperties' ->> 'n'"), 2, "$version: and ignored where that is");
	my $file = PostgreSQL::Test::Utils::tempdir . '/binary';
	is(sql($database, qq(CREATE TABLE typed (event usage_event); INSERT INTO typed VALUES ('{"customerAlias": "a", "eventType": "t"}');
			COPY typed TO '$file' (FORMAT binary); COPY typed FROM '$file' (FORMAT binary); SELECT count(*), count(DISTINCT event::text) FROM typed; DROP TABLE typed)), '2|1', "$version: the type in binary");
	foreach my $drop ('EXTENSION usage_events', 'EXTENSION usage_events CASCADE', 'SCHEMA public CASCADE')
	{
		refuses($database, "DROP $drop", qr/holds usage events/, "$version: events do not go with DROP $drop");
	}
	refuses($database, as('reader', create('d', 'acme', 1)), qr/permission denied/, "$version: who may read may not write");
	refuses($database, create('d', '', 1), qr/"customerAlias" must not be blank/, "$version: faults are told");

	# Sessions that were there before, one of them in a transaction, and one that is to write all along.
	my @sessions = map { $node->background_psql($database, on_error_stop => 0) } 1 .. 2;
	$sessions[$_]->query_safe('SET ROLE ingester; ' . create("before $_", 'acme', 8)) foreach 0 .. 1;
	$sessions[1]->query_safe('BEGIN; ' . create('within', 'acme', 16));
	my $before = sql($database, 'SELECT e::text FROM usage_events AS e ORDER BY 1');
	my $history = sql($database, 'SELECT e::text FROM usage_event_history AS e ORDER BY 1');

	# The update waits for the transaction that has written.
	my $update = $node->background_psql($database, on_error_stop => 0);
	$update->query_until(qr/started/, "\\echo started\nBEGIN;\nALTER EXTENSION usage_events UPDATE;\nSELECT * FROM usage_events.renew_access();\nCOMMIT;\n\\echo updated\n");
	ok($node->poll_query_until($database, q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted}), "$version: the update waits for a writer");
	$sessions[1]->query_safe('COMMIT');
	like($update->query_until(qr/updated/, ""), qr/^administrator\|admin\ningester\|ingest\nreader\|read$/m, "$version: roles get what is new");
	$update->quit;

	my $updated = description($node, $database);
	sql('fresh', q{SELECT usage_events.grant_access('reader', 'read'), usage_events.grant_access('ingester', 'ingest'), usage_events.grant_access('administrator', 'admin')});
	is($updated, description($node, 'fresh'), "$version: updated, it is as a new one, privileges included");

	is(sql($database, q(SELECT e::text FROM usage_events AS e WHERE customer_event_id <> 'within' ORDER BY 1)), $before, "$version: events stay");
	is(sql($database, 'SELECT e::text FROM usage_event_history AS e ORDER BY 1'), $history, "$version: so does history");
	is(sql($database, as('ingester', create('a', 'acme', 2))), $second, "$version: a retry across the update");

	# Sessions that knew the old version write marks, as roles that got their access then.
	$sessions[0]->query_safe(create('after', 'acme', 32));
	my $metric = sql($database, as('ingester', q(SELECT create_usage_metric('{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}') ->> 'id')));
	my $ask = "SELECT calculate_usage_metric('$metric', '{acme}', '[2026-10-01Z, 2026-11-01Z)') ->> 'value'";
	my $refresh = q{DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END$$};
	sql($database, $refresh);
	is(sql($database, q(SELECT state FROM usage_events.rollup_status)), 'ready', "$version: events of before are rolled up");
	is(sql($database, as('reader', $ask)), 2 + 4 + 8 + 8 + 16 + 32, "$version: and counted");
	$sessions[$_]->query_safe(create("again $_", 'acme', 64)) foreach 0 .. 1;
	is(sql($database, as('reader', $ask)), 70 + 128, "$version: what an old session writes now is marked");
	sql($database, $refresh);
	is(sql($database, as('reader', $ask)), 198, "$version: and rolled up");
	is(sql($database, as('administrator', q{SELECT usage_events.purge('2026-01-01Z')})), 0, "$version: an administrator has what is new");
	$_->quit foreach @sessions;

	sql($_, q{SELECT usage_events.revoke_access('reader'), usage_events.revoke_access('ingester'), usage_events.revoke_access('administrator')}) foreach ($database, 'fresh');
	$node->safe_psql('postgres', qq(DROP DATABASE "$database"; DROP ROLE reader, ingester, administrator));
}

done_testing();
