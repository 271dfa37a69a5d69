# 010_regressions.pl: what was once wrong, and must not come back
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";
use HttpCases;
use IPC::Run;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server('autovacuum = off');
$node->safe_psql('postgres', q{
	CREATE EXTENSION usage_events;
	CREATE ROLE reader;
	SELECT usage_events.grant_access('reader', 'read')});

sub fails_like
{
	my ($sql, $error, $what) = @_;
	my ($result, $stdout, $stderr) = $node->psql('postgres', $sql);
	like($stderr, $error, $what);
}

# The import's trigger function on another table: it would find other rows, or no import.
my $trigger = q{CREATE TRIGGER t AFTER INSERT ON other FOR EACH STATEMENT EXECUTE FUNCTION usage_events.import_usage_events()};
fails_like("SET ROLE reader; CREATE TEMP TABLE other (a text); $trigger", qr/permission denied/,
	'a role cannot use the import\'s function for a trigger of its own');
fails_like("CREATE TEMP TABLE other (a text); $trigger; INSERT INTO other VALUES ('x')",
	qr/must be called as trigger of usage_event_import/, 'nor does a superuser get far with one');

# The guard sees what was committed after the transaction's snapshot.
my $old = $node->background_psql('postgres', on_error_stop => 0);
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$node->safe_psql('postgres', q{SELECT create_usage_event('{"customerAlias": "a", "eventType": "t", "customerEventId": "e"}')});
my $answer = $old->query('DROP EXTENSION usage_events; ROLLBACK');
$old->quit;
is($node->safe_psql('postgres', q{SELECT count(*) FROM usage_events}), 1, 'an old snapshot does not drop a new event');

# The guard knows its tables from others of their names, and runs none of their code as another role.
$node->safe_psql('postgres', q{CREATE DATABASE other; CREATE ROLE mallory LOGIN; GRANT CREATE ON DATABASE other TO mallory});
$node->safe_psql('other', 'CREATE EXTENSION usage_events');
my $mallory = $node->background_psql('other', extra_params => [ '-U', 'mallory' ], on_error_stop => 0);
$mallory->query('DROP SCHEMA IF EXISTS nothing_here');
$node->safe_psql('other', 'DROP EXTENSION usage_events');
$node->safe_psql('other', q{
	SET ROLE mallory;
	CREATE SCHEMA usage_events;
	CREATE FUNCTION usage_events.spy() RETURNS int LANGUAGE plpgsql IMMUTABLE AS
		$$ BEGIN RAISE WARNING 'runs as %', current_user; RETURN 1; END $$;
	CREATE TABLE usage_events.event (a int) PARTITION BY RANGE ((a + usage_events.spy()));
	CREATE TABLE usage_events.rest PARTITION OF usage_events.event DEFAULT});
$mallory->{stderr} = '';
$mallory->query('DROP TABLE usage_events.event');
unlike($mallory->{stderr}, qr/runs as/, 'the guard does not look into tables of somebody else');
$mallory->quit;

# An import stores each row for the account that is the session's when the row comes.
is( $node->safe_psql('postgres', q{
		CREATE TEMP TABLE a AS SELECT n, usage_events.create_account('account ' || n)::text AS id FROM generate_series(1, 2) AS n;
		INSERT INTO usage_event_import SELECT format('{"customerAlias": "%s", "eventType": "import"}', a.id)
		FROM a, LATERAL set_config('usage_events.account_id', a.id, false) AS c WHERE c IS NOT NULL;
		SELECT count(*), bool_and(customer_alias = account_id::text) FROM usage_events WHERE event_type = 'import'}) =~ s/.*\n//sr,
	'2|t', 'an import keeps rows of several accounts apart');

# A compressed file that was cut short is not loaded in part.
my $folder = PostgreSQL::Test::Utils::tempdir();
open my $file, '>', "$folder/events.ndjson" or die "could not write: $!";
print $file map { qq({"customerAlias": "c-$_", "eventType": "cut"}\n) } 1 .. 2000;
close $file;
run_log([ 'gzip', "$folder/events.ndjson" ]);
truncate("$folder/events.ndjson.gz", (-s "$folder/events.ndjson.gz") - 20);
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	local $ENV{PGOPTIONS} = '-c usage_events.import_on_error=skip';
	ok(!IPC::Run::run([ 'examples/import/import_events', "$folder/events.ndjson.gz" ], '2>', \my $stderr),
		'a file that was cut short is refused');
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM usage_events WHERE event_type = 'cut'}), 0, 'and nothing of it stored');

# An event that a user's trigger keeps out is not answered as stored.
my $batch = q{(SELECT jsonb_agg(jsonb_build_object('customerAlias', 'a', 'eventType', 'trigger', 'customerEventId', 'k' || n)) FROM generate_series(%d, %d) AS n)};
fails_like(sprintf(qq{
		CREATE FUNCTION keep_out() RETURNS trigger LANGUAGE plpgsql AS
			\$\$ BEGIN RETURN CASE WHEN NEW.customer_event_id = 'k150' THEN NULL ELSE NEW END; END \$\$;
		CREATE TRIGGER keep_out BEFORE INSERT ON usage_events.event FOR EACH ROW EXECUTE FUNCTION keep_out();
		SELECT ingest_usage_events($batch) IS NOT NULL;
		SELECT ingest_usage_events($batch)}, 1, 100, 101, 200),
	qr/could not store usage event/, 'an event that a trigger keeps out is an error');
$node->safe_psql('postgres', 'DROP TRIGGER keep_out ON usage_events.event');

# Plans that were made while the table was small do not read an account for a key.
my $read = q{(SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relid = 'usage_events.event'::regclass)};
is( $node->safe_psql('postgres', qq{
		TRUNCATE usage_events.event, usage_events.superseded_event;
		VACUUM ANALYZE usage_events.event;
		SELECT create_usage_event('{"customerAlias": "a", "eventType": "t", "customerEventId": "k1"}') IS NOT NULL;
		SELECT create_usage_event('{"customerAlias": "a", "eventType": "t", "customerEventId": "k1"}') IS NOT NULL;
		SELECT create_usage_event('{"customerAlias": "b", "eventType": "t", "customerEventId": "k1"}') IS NOT NULL;
		BEGIN;
		SELECT jsonb_array_length(create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerAlias', 'a', 'eventType', 't', 'customerEventId', 'm' || n))
			FROM generate_series(1, 20000) AS n)));
		SELECT $read AS before \\gset
		SELECT count(create_usage_event(jsonb_build_object('customerAlias', 'a', 'eventType', 't', 'customerEventId', 'm' || n))) FROM generate_series(1, 10) AS n;
		SELECT count(create_usage_event(jsonb_build_object('customerAlias', 'b', 'eventType', 't', 'customerEventId', 'm' || n))) FROM generate_series(1, 10) AS n;
		SELECT $read - :before < 1000;
		COMMIT}) =~ s/.*\n//sr, 't', 'a key is found by its key, however the table has grown');

# A trigger of the user's that comes back to a statement which is running does not take its plan away.
is( $node->safe_psql('postgres', q{
		TRUNCATE usage_events.event, usage_events.superseded_event;
		CREATE FUNCTION derive() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF NEW.event_type = 'call' THEN
				PERFORM create_usage_event(jsonb_build_object('customerAlias', NEW.customer_alias, 'eventType', derived))
				FROM unnest('{seconds,bytes,hops}'::text[]) AS derived;
			END IF;
			RETURN NEW;
		END $$;
		CREATE TRIGGER derive AFTER INSERT ON usage_events.event FOR EACH ROW EXECUTE FUNCTION derive();}
	  . q{SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call"}') IS NOT NULL;} x 100
	  . q{DROP TRIGGER derive ON usage_events.event;
		SELECT string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM usage_events GROUP BY event_type) AS types}) =~ s/.*\n//sr,
	'100 100 100 100', 'events can be derived from events by a trigger');

# The events of one customer are read in the order of time, wherever among the others' they are.
is( $node->safe_psql('postgres', qq{
		TRUNCATE usage_events.event, usage_events.superseded_event;
		INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
		SELECT usage_events.current_account_id(), uuid_v7(), timestamptz '2026-01-01Z' + n * interval '1 s', n,
			CASE WHEN n <= 2000 THEN 'old' ELSE 'c' || n % 20 END, 't', '{}' FROM generate_series(1, 50000) AS n;
		ANALYZE usage_events.event;
		SELECT usage_events.grant_access('reader', 'read');
		SET ROLE reader;
		SET usage_events.list_total_limit = 0;
		BEGIN;
		SELECT $read AS before \\gset
		SELECT jsonb_array_length(list_usage_events(customer_aliases => '{old}', sort_by => 'eventTimestamp') -> 'items');
		RESET ROLE;
		SELECT $read - :before < 100;
		COMMIT}) =~ s/.*\n(20\n)/$1/sr, "20\nt", 'a page of one customer by time reads little more than the page');

# A cursor that somebody made up lets a list do no more than a true one does.
my %fields = (key => 4, newest => 5, total => 6);

sub forged
{
	my ($cursor, %with) = @_;
	my @fields = unpack 'CCa4a8a16a16q>', decode_base64($cursor =~ tr{-_}{+/}r . '==');
	$fields[ $fields{$_} ] = $with{$_} foreach keys %with;
	my $bytes = pack 'CCa4a8a16a16q>', @fields;
	return encode_base64($bytes . pack('N', HttpCases::crc32c($bytes)), '') =~ tr{+/}{-_}r =~ s/=//gr;
}

$node->safe_psql('postgres', q{
	CREATE ROLE lister LOGIN;
	SELECT usage_events.grant_access('lister', 'read');
	ALTER ROLE lister SET usage_events.list_total_limit = 100;
	INSERT INTO usage_events.superseded_event (account_id, id, event_timestamp, superseded_at, superseded_by, customer_event_id, customer_alias, event_type, event_properties)
	SELECT account_id, uuid_v7(), event_timestamp, now(), id, customer_event_id, customer_alias, event_type, '{}' FROM usage_events.event;
	ANALYZE usage_events.superseded_event});
my @as_lister = (extra_params => [ '-U', 'lister' ]);
my $read_in_all = q{(SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables WHERE schemaname = 'usage_events')};

foreach my $filters (q{event_timestamp_after => '2026-01-01Z'}, q{event_type => 't', sort_by => 'eventTimestamp'}, q{customer_aliases => '{old,c1}'})
{
	my $after = $node->safe_psql('postgres', "SELECT list_usage_events(20, $filters) #>> '{pagination,after}'", @as_lister);
	my $few = forged($after, total => 1);
	is($node->safe_psql('postgres', "BEGIN; SELECT list_usage_events(20, after => '$few', $filters) #>> '{pagination,totalResultSize}'; SELECT $read_in_all < 1000", @as_lister),
		"1\nt", "events are not gathered because a cursor says that they are few: $filters");
	my $old = forged($after, newest => "\0" x 16);
	$node->safe_psql('postgres', 'ALTER ROLE lister SET usage_events.list_lookup_limit = 1000');
	my (undef, undef, $error) = $node->psql('postgres', "SELECT list_usage_events(20, after => '$old', $filters)", @as_lister);
	like($error, qr/cursor is too old/, "the history is not looked through because a cursor says that it is old: $filters");
	$node->safe_psql('postgres', 'ALTER ROLE lister RESET usage_events.list_lookup_limit');
}
my $after = $node->safe_psql('postgres', q{SELECT list_usage_events(20) #>> '{pagination,after}'}, @as_lister);
fails_like("SELECT list_usage_events(20, after => '@{[ forged($after, total => -2) ]}')", qr/"after" is not a cursor of this list/, 'no list has fewer events than none');

# Aliases of no customer are kept while their list is read: so many bytes of them, and no more.
$node->safe_psql('postgres', q{
	TRUNCATE usage_events.event, usage_events.superseded_event;
	INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
	SELECT usage_events.current_account_id(), uuid_v7(), timestamptz '2026-01-01Z', n, n || repeat('x', 1000), 't', '{}' FROM generate_series(1, 8500) AS n});
fails_like('SELECT list_usage_events(20, unmapped_aliases_only => true)', qr/too many aliases/, 'aliases of 8.5 MB are too many');

# A session whose first statement of ours is cancelled at a warning of the configuration goes on with the next.
$node->append_conf('postgresql.conf', 'usage_events.misspelt = 1');
$node->restart;
my $cancelled = 0;
my @loaded;
while (@loaded < 20)
{
	my (undef, $answer, $error) = $node->psql('postgres', q{SET statement_timeout = 1; LOAD 'usage_events'; RESET statement_timeout;
		SHOW statement_timeout; SELECT uuid_v7() IS NOT NULL}, on_error_stop => 0);
	# On a busy machine any statement is cancelled, also the one that ends that.
	next unless $answer =~ s/^0(?:\n|\z)//;
	$cancelled++ if $error =~ /canceling statement due to statement timeout/;
	push @loaded, $answer;
}
note("$cancelled of 20 were cancelled");
is("@loaded", join(' ', ('t') x 20), 'it has the library, and the whole of it');
$node->adjust_conf('postgresql.conf', 'usage_events.misspelt', undef);

# A row that was frozen is nobody's, also when a transaction has the number again of the one that wrote it.
$node->safe_psql('postgres', q{
	CREATE DATABASE frozen;
	ALTER DATABASE template0 ALLOW_CONNECTIONS true});
$node->safe_psql('frozen', q{
	CREATE EXTENSION usage_events;
	CREATE FUNCTION send(n int) RETURNS jsonb LANGUAGE sql AS $$
		SELECT create_usage_event(jsonb_build_object('customerAlias', 'a', 'eventType', 'call', 'eventProperties', jsonb_build_object('n', n))) $$;
	SELECT create_usage_metric('{"name": "sum", "metricType": "SIMPLE", "eventType": "call", "aggregationType": "SUM", "aggregationProperty": "n"}');
	SELECT create_usage_limit(jsonb_build_object('name', 'l', 'usageMetricId', id, 'period', 'ALL_TIME', 'limit', 6, 'mode', 'BLOCK')) FROM usage_metrics});
$node->safe_psql('frozen', 'SELECT send(1)');
my $writer = $node->safe_psql('frozen', 'SELECT xmin FROM usage_events.usage_limit_lock');
$node->safe_psql($_, 'VACUUM FREEZE') foreach split /\n/, $node->safe_psql('postgres', 'SELECT datname FROM pg_database');
$node->stop;
$node->command_ok([ 'pg_resetwal', '-f', '-e', 1, '-x', $writer, '-D', $node->data_dir ], 'as many transactions have been as there are numbers');
$node->start;
my $sender = $node->background_psql('frozen');
is($sender->query_safe('BEGIN; SELECT txid_current() % (1::bigint << 32)'), $writer, 'one has the number of that one');
$sender->query_safe('SELECT send(4)');
my (undef, undef, $refusal) = $node->psql('frozen', q{SET lock_timeout = '200ms'; SELECT send(4)});
like($refusal, qr/canceling statement due to lock timeout/, 'and takes the row of the limit');
$sender->query_safe('COMMIT');
$sender->quit;
(undef, undef, $refusal) = $node->psql('frozen', 'SELECT send(4)');
like($refusal, qr/usage limit exceeded/, 'no more gets in than the limit');

done_testing();
