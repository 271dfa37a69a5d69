# 016_update.pl: ALTER EXTENSION UPDATE, to this version and to the next one
#
# A database of an old version, with events and roles, works with the new library
# as it did, before anybody updates it.  Updated, it cannot be told from a
# new one: all objects, privileges, comments and settings of them are compared.
# Events are there, roles can do what they could and what is new, and sessions that
# were open go on, as do writers beside the update.
#
# So it has to be from each version that was released, and to a next one, which is made
# up here: it has a column, a table and a function more.  Its update script is
# one as RELEASING.md describes it, and each of its statements is missed where it is not there.
#
# Runs alone: while it goes, the next version is what CREATE EXTENSION installs.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";
use Contents;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server("autovacuum = off");

chomp(my $folder = `pg_config --sharedir`);
$folder .= '/extension';
plan skip_all => "no version can be made up in $folder" unless -w "$folder/usage_events.control";

sub sql { return $node->safe_psql(@_); }

sub write_file
{
	my ($name, $text) = @_;
	open my $file, '>', $name or die "could not write $name: $!";
	print $file $text;
	close $file;
}

sub create
{
	my ($key, $alias, $n) = @_;
	return qq(SELECT create_usage_event('{"customerAlias": "$alias", "eventType": "call", "customerEventId": "$key",
		"eventTimestamp": "2026-10-01T00:00:00Z", "eventProperties": {"n": $n}}') ->> 'id');
}

sub refuses
{
	my ($database, $statement, $error, $name) = @_;
	my ($result, $stdout, $stderr) = $node->psql($database, $statement);
	like($stderr, $error, $name);
}

sub as { my ($role, $statement) = @_; return "SET ROLE $role; $statement"; }

my $access = join ', ', map { "usage_events.%s_access($_)" } q('reader'%s), q('ingester'%s), q('administrator'%s);
my $grants = 'SELECT ' . sprintf $access, 'grant', q(, 'read'), 'grant', q(, 'ingest'), 'grant', q(, 'admin');
my $revokes = 'SELECT ' . sprintf $access, 'revoke', '', 'revoke', '', 'revoke', '';
sql('postgres', 'CREATE ROLE reader; CREATE ROLE ingester; CREATE ROLE administrator');

# The old version with the new library, as an ordinary role.
sub works
{
	my ($database, $name) = @_;
	my $first = sql($database, as('ingester', create('a', 'acme', 1)));
	is(sql($database, as('ingester', create('a', 'acme', 1))), $first, "$name: a retry gets the first answer");
	my $second = sql($database, as('ingester', create('a', 'acme', 2)));
	is(sql($database, as('reader', 'SELECT id, superseded_by FROM usage_event_history')), "$first|$second", "$name: a correction supersedes");
	sql($database, as('ingester', create('b', 'acme', 1)));
	sql($database, as('ingester', create('b', 'VOID', 1)));
	sql($database, as('ingester', 'BEGIN ISOLATION LEVEL REPEATABLE READ; ' . create('c', 'acme', 4) . '; COMMIT'));
	is(sql($database, as('reader', "SELECT get_usage_event('$second') -> 'eventProperties' ->> 'n'")), 2, "$name: an event is found by its id");
	my $account = sql($database, as('administrator', q(SELECT usage_events.create_account('other'))));
	is(sql($database, as('administrator', qq(SELECT usage_events.create_event('$account', '{"customerAlias": "a", "eventType": "call"}') ->> 'sequenceAccountId'))),
		$account, "$name: an administrator acts for another account");
	is(sql($database, q(SELECT '{"customerAlias": "a", "eventType": "t"}'::usage_event::jsonb)), '{"eventType": "t", "customerAlias": "a", "eventProperties": {}}', "$name: the type");
	is(sql($database, as('reader', q(SELECT string_agg(customer_event_id || customer_alias, ' ' ORDER BY customer_event_id) FROM usage_events
			WHERE account_id = usage_events.current_account_id() AND ingested_at <= now()))), 'aacme bVOID cacme', "$name: events by the view");
	refuses($database, as('ingester', "SET usage_events.on_conflict = 'refuse'; " . create('a', 'acme', 9)), qr/conflicts with a stored one/, "$name: a conflict is refused where that is asked for");
	refuses($database, "DROP EXTENSION usage_events CASCADE", qr/holds usage events/, "$name: events do not go with DROP EXTENSION");
	refuses($database, as('reader', create('d', 'acme', 1)), qr/permission denied/, "$name: who may read may not write");
	refuses($database, create('d', '', 1), qr/"customerAlias" must not be blank/, "$name: faults are told");
	return $second;
}

sub updates
{
	my ($from, $to) = @_;
	my ($name, $database) = ("from $from to $to", 'updated');
	sql('postgres', 'CREATE DATABASE fresh; CREATE DATABASE updated');
	sql('fresh', "CREATE EXTENSION usage_events; $grants");
	sql($database, "CREATE EXTENSION usage_events VERSION '$from'; $grants");
	my $current = works($database, $name);

	# Sessions that were there before, one of them in a transaction, and one that is to write all along.
	my @sessions = map { $node->background_psql($database, on_error_stop => 0) } 1 .. 2;
	$sessions[$_]->query_safe('SET ROLE ingester; ' . create("before $_", 'acme', 8)) foreach 0 .. 1;
	$sessions[1]->query_safe('BEGIN; ' . create('within', 'acme', 16));
	my $before = sql($database, 'SELECT e::text FROM usage_events AS e ORDER BY 1');
	my $history = sql($database, 'SELECT e::text FROM usage_event_history AS e ORDER BY 1');

	# An update that changes the table of events waits for the transaction that has written.
	my $update = $node->background_psql($database, on_error_stop => 0);
	$update->query_until(qr/started/, "\\echo started\nBEGIN;\nALTER EXTENSION usage_events UPDATE;\nSELECT * FROM usage_events.renew_access();\nCOMMIT;\n\\echo updated\n");
	ok($node->poll_query_until($database, q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted}), "$name: the update waits for a writer") if $to eq 'next';
	$sessions[1]->query_safe('COMMIT');
	like($update->query_until(qr/updated/, ""), qr/^administrator\|admin\ningester\|ingest\nreader\|read$/m, "$name: roles get what is new");
	$update->quit;

	is(description($node, $database), description($node, 'fresh'), "$name: updated, it is as a new one, privileges included");
	is(sql($database, q(SELECT e::text FROM usage_events AS e WHERE customer_event_id <> 'within' ORDER BY 1)), $before, "$name: events stay");
	is(sql($database, 'SELECT e::text FROM usage_event_history AS e ORDER BY 1'), $history, "$name: so does history");
	is(sql($database, as('ingester', create('a', 'acme', 2))), $current, "$name: a retry across the update");

	# Sessions that knew the old version write marks, as roles that got their access then.
	$sessions[0]->query_safe(create('after', 'acme', 32));
	my $metric = sql($database, as('ingester', q(SELECT create_usage_metric('{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}') ->> 'id')));
	my $ask = "SELECT calculate_usage_metric('$metric', '{acme}', '[2026-10-01Z, 2026-11-01Z)') ->> 'value'";
	my $refresh = q{DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END$$};
	sql($database, $refresh);
	is(sql($database, q(SELECT state FROM usage_events.rollup_status)), 'ready', "$name: events of before are rolled up");
	is(sql($database, as('reader', $ask)), 2 + 4 + 8 + 8 + 16 + 32, "$name: and counted");
	$sessions[$_]->query_safe(create("again $_", 'acme', 64)) foreach 0 .. 1;
	is(sql($database, as('reader', $ask)), 70 + 128, "$name: what an old session writes now is marked");
	sql($database, $refresh);
	is(sql($database, as('reader', $ask)), 198, "$name: and rolled up");
	is(sql($database, as('administrator', q{SELECT usage_events.purge('2026-01-01Z')})), 0, "$name: an administrator has what is new");
	$_->quit foreach @sessions;
}

sub forget_databases { sql('postgres', join ';', map { "DROP DATABASE $_" } 'fresh', 'updated'); }

# Versions that were released ---------------------------------------------------

my $version = sql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'usage_events'});
my @released = split /\n/, sql('postgres', qq{
	SELECT source FROM pg_extension_update_paths('usage_events') WHERE target = '$version' AND path IS NOT NULL ORDER BY 1});
foreach my $released (@released)
{
	updates($released, $version);
	is(sql('updated', 'SELECT usage_events.library_version() = extversion FROM pg_extension WHERE extname = $$usage_events$$'), 't', 'the library is of this version');
	forget_databases();
}

# The next version --------------------------------------------------------------

my $control = slurp_file("$folder/usage_events.control");
my $script = slurp_file("$folder/usage_events--$version.sql");
my @made_up = map { "$folder/usage_events--$_.sql" } 'next', "$version--next", "$version--later";

END { unlink @made_up; write_file("$folder/usage_events.control", $control) if $control; }

my $column = q{COMMENT ON COLUMN usage_events.event.note IS 'For people to read';
};
my $added = q{CREATE TABLE usage_events.note (
    account_id uuid NOT NULL,
    note text,
    CONSTRAINT note_pkey PRIMARY KEY (account_id)
);
COMMENT ON TABLE usage_events.note IS 'Notes on accounts';
COMMENT ON COLUMN usage_events.note.account_id IS 'The account';
COMMENT ON COLUMN usage_events.note.note IS 'For people to read';
SELECT pg_catalog.pg_extension_config_dump('usage_events.note', '');
CREATE FUNCTION @extschema@.count_notes() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 0::bigint';
COMMENT ON FUNCTION @extschema@.count_notes() IS 'How many notes there are';
};
my $rights = q{    ('read', 'SELECT', 'usage_events.note'),
    ('ingest', 'EXECUTE', '@extschema@.count_notes'),
};

# The script of the version itself: each object where it belongs.
my $next = $script;
$next =~ s/^(    event_properties jsonb NOT NULL,\n)(    CONSTRAINT event_pkey )/$1    note text,\n$2/m or die;
$next =~ s/^(?=-- access\.sql: )/$column$added/m or die;
$next =~ s/^(    \('read', 'SELECT', 'usage_events\.account'\),\n)/$1$rights/m or die;
my ($access_rights) = $next =~ /^CREATE (FUNCTION usage_events\.access_rights\(\).*?^\$\$;\n)/ms or die;

# And what makes it of the version before.  What loops do for all objects, it has to do for the new ones.
my $own = 'account_id OPERATOR(pg_catalog.=) usage_events.current_account_id()';
my $written = "$own AND usage_events.written_by_extension()";
my $update = qq{\\echo Use "ALTER EXTENSION usage_events UPDATE TO 'next'" to load this file. \\quit
ALTER TABLE usage_events.event ADD COLUMN note text;
$column$added
ALTER TABLE usage_events.note ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_events.note FORCE ROW LEVEL SECURITY;
CREATE POLICY own_read ON usage_events.note FOR SELECT USING ($own);
CREATE POLICY own_insert ON usage_events.note FOR INSERT WITH CHECK ($written);
CREATE POLICY own_update ON usage_events.note FOR UPDATE USING ($written);
CREATE POLICY own_delete ON usage_events.note FOR DELETE USING ($written);
SELECT usage_events.hide_statistics();
REVOKE EXECUTE ON FUNCTION \@extschema@.count_notes FROM PUBLIC;
CREATE OR REPLACE $access_rights};

write_file("$folder/usage_events--next.sql", $next);
write_file("$folder/usage_events--$version--next.sql", $update);
# The library is a third one, as when a server has not got it yet: it lacks a function.
write_file("$folder/usage_events--$version--later.sql", qq{ALTER TABLE usage_events.event ADD COLUMN note text;
CREATE FUNCTION usage_events.later() RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'usage_events_later';});
write_file("$folder/usage_events.control", $control =~ s/^(default_version = ).*/$1'next'/mr);

updates($version, 'next');
is(sql('updated', 'SELECT usage_events.library_version() = extversion FROM pg_extension WHERE extname = $$usage_events$$'), 'f', 'the library is of another version, and says so');
is(sql('updated', as('ingester', 'SELECT count_notes()')), 0, 'a role has what its access means now');
is(sql('updated', q{SELECT count(*) FROM pg_stats WHERE schemaname = 'usage_events' AND attname NOT IN ('account_id', 'event_type')}), 0, 'no statistics are told');

# A dump says no version: restored, it is of the next one.  Roles have what they had, until somebody renews it.
sql('postgres', 'CREATE DATABASE before; CREATE DATABASE restored');
sql('before', "CREATE EXTENSION usage_events VERSION '$version'; $grants");
my $first = sql('before', create('a', 'acme', 1));
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-f', $dump, 'before' ], 'the version before: dump');
$node->command_ok([ qw(psql -X -q -o /dev/null -v ON_ERROR_STOP=1 -d restored -f), $dump ], 'the version before: restore');
is(sql('restored', as('ingester', create('a', 'acme', 1))), $first, 'the version before: a retry gets the first answer');
refuses('restored', as('ingester', 'SELECT count_notes()'), qr/permission denied for function count_notes/, 'the version before: access is of before');
sql('restored', 'SELECT usage_events.renew_access()');
is(sql('restored', as('ingester', 'SELECT count_notes()')), 0, 'the version before: until it is renewed');
is(description($node, 'restored'), description($node, 'fresh'), 'the version before: all else is of the next one');

# A library that has not got what the script calls: nothing is done.
refuses('before', "ALTER EXTENSION usage_events UPDATE TO 'later'", qr/could not find function "usage_events_later" in file/, 'an older library: the update is refused');
is(sql('before', q{SELECT extversion FROM pg_extension WHERE extname = 'usage_events'}), $version, 'an older library: and has done nothing');
is(sql('before', as('ingester', create('a', 'acme', 1))), $first, 'an older library: all goes on');
refuses('before', "ALTER EXTENSION usage_events UPDATE TO 'never'", qr/extension "usage_events" has no update path from version "\Q$version\E" to version "never"/, 'a version that is not there');
sql('postgres', 'DROP DATABASE before; DROP DATABASE restored');
sql('updated', $revokes);
sql('postgres', 'DROP DATABASE updated');

# What an update script forgets is found: each of its statements, left out alone.
my $fresh = description($node, 'fresh');
cmp_ok(() = $fresh =~ /^/mg, '>', 500, 'the description of a new database says much');
my @statements = $update =~ s/^\\echo.*\n//r =~ /\G(.*?(?:\$\$.*?\$\$)?;)\s*/gs;
cmp_ok(scalar @statements, '==', 18, 'the update script has so many statements');
foreach my $left_out (0 .. $#statements)
{
	my ($name) = $statements[$left_out] =~ /(\S.*)/;
	# A table or column, and what is about it.
	my ($object) = $name =~ /^CREATE (?:TABLE|FUNCTION) (\S+?)(?:\(\))? |^ALTER TABLE \S+ ADD COLUMN (note)/ ? $1 // "event.$2" : undef;
	my @others = grep { $_ != $left_out && !($object && $statements[$_] =~ /\Q$object\E\b/ && $statements[$_] !~ /access_rights/) } 0 .. $#statements;
	write_file("$folder/usage_events--$version--next.sql", join "\n", map { $statements[$_] } @others);
	sql('postgres', 'CREATE DATABASE updated');
	sql('updated', "CREATE EXTENSION usage_events VERSION '$version'; ALTER EXTENSION usage_events UPDATE");
	if ($name =~ /access_rights/) { sql('fresh', $grants); sql('updated', $grants); }
	isnt(description($node, 'updated'), description($node, 'fresh'), "is missed: $name");
	sql($_, $revokes) foreach 'updated', 'fresh';
	sql('postgres', 'DROP DATABASE updated');
}

done_testing();
