# 016_update.pl: ALTER EXTENSION UPDATE from every version there was
#
# A database of an old version, with events and roles, works with the new library
# as it did, before anybody updates it.  Updated, it cannot be told from a
# new one: all objects, privileges, comments and settings of them are compared.
# Events are there, roles can do what they could and what is new, and sessions that
# were open go on, as do writers beside the update.
use strict;
use warnings FATAL => 'all';

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

# An access list in an order of its own: grants may have come in another.
sub acl { return "(SELECT string_agg(a, ',' ORDER BY a COLLATE \"C\") FROM unnest(($_[0])::text[]) AS a)"; }

# All that an object is made of, for each object of the extension, those of its tables included.
my $describe = qq{
	WITH member AS (
		SELECT d.classid, d.objid FROM pg_depend AS d, pg_extension AS e
		WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'usage_events'
	), relation AS (
		SELECT c.* FROM pg_class AS c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid
	)
	SELECT line FROM (
		SELECT pg_describe_object(classid, objid, 0) || ' comment ' || coalesce(obj_description(objid, classid::regclass::text), '') FROM member
		UNION ALL SELECT 'function ' || pg_get_functiondef(p.oid) || coalesce(${\acl('p.proacl')}, '') || p.proowner::regrole
			FROM pg_proc AS p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
		UNION ALL SELECT concat_ws(' ', 'relation', oid::regclass, relkind, relpersistence, relrowsecurity, relforcerowsecurity, reloptions, ${\acl('relacl')}, relreplident, relowner::regrole) FROM relation
		UNION ALL SELECT concat_ws(' ', 'column', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attcollation::regcollation, attstorage, attcompression, ${\acl('attacl')}, 
				(SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum), col_description(attrelid, attnum))
			FROM pg_attribute JOIN relation ON relation.oid = attrelid WHERE attnum > 0
		UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index JOIN relation ON relation.oid = indrelid
		UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(c.oid)) FROM pg_constraint AS c JOIN relation ON relation.oid = conrelid
		UNION ALL SELECT concat_ws(' ', 'policy', polrelid::regclass, polname, polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy JOIN relation ON relation.oid = polrelid
		UNION ALL SELECT concat_ws(' ', 'view', oid::regclass, pg_get_viewdef(oid)) FROM relation WHERE relkind = 'v'
		UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid)) FROM pg_trigger AS t JOIN relation ON relation.oid = tgrelid
		UNION ALL SELECT concat_ws(' ', 'statistics', pg_get_statisticsobjdef(s.oid)) FROM pg_statistic_ext AS s JOIN relation ON relation.oid = stxrelid
		UNION ALL SELECT concat_ws(' ', 'event trigger', evtname, evtevent, evtfoid::regproc, evtenabled, array_to_string(evttags, ',')) FROM pg_event_trigger
		UNION ALL SELECT concat_ws(' ', 'initially', pg_describe_object(i.classoid, i.objoid, i.objsubid), privtype, ${\acl('initprivs')}) FROM pg_init_privs AS i JOIN member ON (classid, objid) = (classoid, objoid)
		UNION ALL SELECT concat_ws(' ', 'schema', nspname, ${\acl('nspacl')}, nspowner::regrole) FROM pg_namespace WHERE nspname = 'usage_events'
		UNION ALL SELECT concat_ws(' ', 'type', oid::regtype, typinput, typoutput, typreceive, typsend, typlen, typbyval, typalign, typstorage, typcategory, ${\acl('typacl')}) FROM pg_type JOIN member ON classid = 'pg_type'::regclass AND objid = oid
		UNION ALL SELECT concat_ws(' ', 'cast', castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext, castmethod) FROM pg_cast AS c JOIN member ON classid = 'pg_cast'::regclass AND objid = c.oid
		UNION ALL SELECT concat_ws(' ', 'dumped', c::regclass, condition) FROM pg_extension, unnest(extconfig, extcondition) AS u (c, condition) WHERE extname = 'usage_events'
		UNION ALL SELECT concat_ws(' ', 'extension', extversion, extrelocatable, extnamespace::regnamespace, extowner::regrole) FROM pg_extension WHERE extname = 'usage_events'
	) AS lines (line) ORDER BY line COLLATE "C"};

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
my $fresh = sql('fresh', $describe);
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
	refuses($database, 'DROP EXTENSION usage_events', qr/usage_events/, "$version: events do not go with DROP EXTENSION");
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

	my $updated = sql($database, $describe);
	sql('fresh', q{SELECT usage_events.grant_access('reader', 'read'), usage_events.grant_access('ingester', 'ingest'), usage_events.grant_access('administrator', 'admin')});
	is($updated, sql('fresh', $describe), "$version: updated, it is as a new one, privileges included");

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
