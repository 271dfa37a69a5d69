# 007_batch.pl: a batch ends exactly as its events sent one by one
#
# Random streams of events, with few keys, go to several accounts in different
# ways: one by one, in batches, through ingest_usage_events, and by COPY.  All
# accounts must end alike.  Then come batches that are large, that fail halfway,
# that are read while they are written, and that overlap.
#
#	SEED=...	the first stream; a stream that fails is named by its seed
#	SEEDS=40	how many streams
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use Digest::MD5 qw(md5_hex);
use List::Util qw(shuffle);
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $first_seed = $ENV{SEED} // time ^ $$;
my $seed_count = $ENV{SEEDS} // 40;
note("SEED=$first_seed SEEDS=$seed_count");

my $node = server_with_extension("log_statement = none\nmax_prepared_transactions = 1\nmax_wal_size = 2GB");

my $directory = PostgreSQL::Test::Utils::tempdir;

# Random streams ------------------------------------------------------------

# Who gets the stream, each in its own way; the first just what all get before it.
my @receivers = qw(prepared single batch ingest stop skip);
$node->safe_psql('postgres', qq{
	CREATE TABLE receiver AS SELECT name, usage_events.create_account(name) AS account_id
	FROM string_to_table('@receivers other', ' ') AS name});

# answer: what the receiver was told of the event at a position; told: all that is compared, line by line.
$node->safe_psql('postgres', q{
	CREATE TABLE sent (position integer PRIMARY KEY, batch integer, is_valid boolean, body text,
		element jsonb GENERATED ALWAYS AS (CASE body WHEN 'no JSON' THEN '"no JSON"' ELSE body END::jsonb) STORED);
	CREATE TABLE answer (receiver text, position integer, refusal text, outcome text, id uuid, event jsonb);
	CREATE INDEX ON answer (id);
	CREATE TABLE met (answer text);

	CREATE FUNCTION send_one(receiver text, at integer) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		stored jsonb;
		stored_id uuid;
	BEGIN
		stored := create_usage_event(element) FROM sent WHERE position = at;
		stored_id := stored ->> 'id';
		INSERT INTO answer VALUES (receiver, at, NULL,
			CASE WHEN EXISTS (SELECT FROM answer WHERE id = stored_id) THEN 'unchanged'
				WHEN EXISTS (SELECT FROM usage_event_history WHERE superseded_by = stored_id) THEN 'superseded'
				ELSE 'created' END,
			stored_id, stored);
	EXCEPTION WHEN invalid_parameter_value OR unique_violation THEN
		INSERT INTO answer VALUES (receiver, at, SQLSTATE, 'refused');
	END $$;

	-- What the error names is left out, and the rest sent again.  Before comes a batch that is all new, to another
	-- account: a large one after it is inserted without looking its keys up.
	CREATE FUNCTION send_batch(number integer) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		positions integer[] := ARRAY(SELECT position FROM sent WHERE batch = number ORDER BY position);
		refused integer[];
		detail text;
	BEGIN
		PERFORM usage_events.create_events(account_id, '[{"customerAlias": "acme", "eventType": "call"}]')
		FROM receiver WHERE name = 'other';
		LOOP
			BEGIN
				INSERT INTO answer SELECT 'batch', positions[n], NULL, NULL, (event ->> 'id')::uuid, event
				FROM jsonb_array_elements(create_usage_events(
					(SELECT coalesce(jsonb_agg(element ORDER BY position), '[]') FROM sent WHERE position = ANY (positions))))
					WITH ORDINALITY AS stored (event, n);
				RETURN;
			EXCEPTION WHEN invalid_parameter_value OR unique_violation THEN
				GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
				refused := ARRAY(SELECT DISTINCT positions[match[1]::integer + 1]
					FROM regexp_matches(detail, '^Event (\d+): ', 'gn') AS match);
				IF refused = '{}' THEN
					RAISE;
				END IF;
				INSERT INTO answer SELECT 'batch', position, SQLSTATE FROM unnest(refused) AS position;
				positions := ARRAY(SELECT position FROM unnest(positions) AS position
					WHERE position <> ALL (refused) ORDER BY position);
			END;
		END LOOP;
	END $$;

	CREATE FUNCTION send_ingest(number integer) RETURNS void LANGUAGE sql AS $$
		WITH batch AS (SELECT jsonb_agg(element ORDER BY position) AS elements, array_agg(position ORDER BY position) AS positions
			FROM sent WHERE batch = number)
		INSERT INTO answer SELECT 'ingest', positions[(o ->> 'index')::integer + 1], NULL, o ->> 'outcome', (o ->> 'id')::uuid
		FROM batch, jsonb_array_elements(ingest_usage_events(elements) -> 'outcomes') AS o
	$$;

	-- Streams have no timestamps after 2021: a later one was filled in.
	CREATE FUNCTION shown_timestamp(event_timestamp timestamptz) RETURNS text LANGUAGE sql AS $$
		SELECT CASE WHEN event_timestamp < '2022-01-01Z' THEN (event_timestamp AT TIME ZONE 'UTC')::text ELSE 'now' END
	$$;

	CREATE VIEW version AS
	SELECT name AS receiver, v.*, row_number() OVER versions AS number,
		superseded_by IS NOT DISTINCT FROM lead(id) OVER versions
			AND superseded_at IS NOT DISTINCT FROM uuid_v7_timestamp(superseded_by) AS is_chained
	FROM (SELECT account_id, id, customer_event_id, concat_ws(' ', customer_alias, event_type,
				shown_timestamp(event_timestamp), event_properties) AS content, superseded_at, superseded_by
			FROM (SELECT *, NULL::timestamptz AS superseded_at, NULL::uuid AS superseded_by FROM usage_events
				UNION ALL SELECT * FROM usage_event_history) AS every) AS v
	LEFT JOIN receiver USING (account_id)
	WINDOW versions AS (PARTITION BY account_id, customer_event_id ORDER BY id);

	CREATE VIEW told AS
	SELECT receiver, 'versions' AS what, concat_ws(' ', nullif(customer_event_id, id::text), number, content) AS line
	FROM version
	UNION ALL
	SELECT receiver, unnest(ARRAY['answers', 'outcomes']), unnest(ARRAY[
		concat_ws(' ', position, same_as, refusal, nullif(event ->> 'customerEventId', event ->> 'id'),
			shown_timestamp((event ->> 'eventTimestamp')::timestamptz),
			event - '{id,customerEventId,eventTimestamp,sequenceAccountId}'::text[]),
		concat_ws(' ', position, same_as, outcome)])
	FROM (SELECT *, CASE WHEN id IS NOT NULL THEN min(position) OVER (PARTITION BY id) END AS same_as FROM answer) AS a
	UNION ALL
	SELECT receiver, unnest(ARRAY['refused elements', 'refused lines']),
		unnest(ARRAY[element::text, body]) || ' ' || row_number() OVER (ORDER BY position)
	FROM answer JOIN sent USING (position) WHERE receiver = 'single' AND refusal IS NOT NULL AND batch > 0
	UNION ALL
	SELECT name, CASE name WHEN 'ingest' THEN 'refused elements' ELSE 'refused lines' END,
		body || ' ' || row_number() OVER (PARTITION BY account_id ORDER BY id)
	FROM rejected_usage_events JOIN receiver USING (account_id);

	CREATE FUNCTION differences(compared text, expected text, got text) RETURNS SETOF text LANGUAGE sql AS $$
		SELECT format('%s of %s lack: %s', compared, got, line) FROM (
			SELECT line FROM told WHERE what = compared AND receiver = expected
			EXCEPT ALL SELECT line FROM told WHERE what = compared AND receiver = got) AS lacking
		UNION ALL
		SELECT format('%s of %s have: %s', compared, got, line) FROM (
			SELECT line FROM told WHERE what = compared AND receiver = got
			EXCEPT ALL SELECT line FROM told WHERE what = compared AND receiver = expected) AS superfluous
	$$;
});

my %account_of = map { split /\|/ } split /\n/, $node->safe_psql('postgres', 'SELECT name, account_id FROM receiver');

my @keys = ('a', 'B', 'ab', 'a b', '\u00e4', '0', 'Z\"');
my @aliases = qw(acme acme globex VOID);
my @instants = (
	[ '2020-01-01T00:00:00Z', '2020-01-01T01:00+01', '2019-12-31T19:00:00.000-05:00' ],
	[ '2020-01-02T00:00:00.5Z', '2020-01-02T00:00:00.500000+00:00' ]);
my @quantities = ([ '1', '1.0', '1.00', '10e-1' ], [ '2', '2.0' ], [ '"1"' ], ['null'], ['{"b": 1, "a": []}', '{"a": [], "b": 1}']);
my @invalid = (
	'null', '5', '"text"', '[]', '{}', 'no JSON', '[{"customerAlias": "acme", "eventType": "call"}]',
	'{"customerAlias": "acme", "customerEventId": "a"}',
	'{"customerEventId": "a", "eventType": "call",   "customerAlias": " "}',
	'{"customerAlias": "acme", "eventType": "call", "customerEventId": "B", "eventTimestamp": "2020-01-01"}',
	'{"customerAlias": "acme", "eventType": "call", "customerEventId": "0", "eventProperties": []}');

sub one_of
{
	return $_[ rand @_ ];
}

# An event is what is spelled: members without spelling are left out.
sub random_event
{
	my ($key_count) = @_;
	my $key = int rand($key_count + 1);
	return {
		customerEventId => [ map { qq("$_") } $key == 0 ? () : $key <= @keys ? $keys[ $key - 1 ] : "key $key" ],
		customerAlias => [ '"' . one_of(@aliases) . '"' ],
		eventType => ['"call"'],
		eventTimestamp => rand() < 0.7 ? [] : [ map { qq("$_") } @{ one_of(@instants) } ],
		eventProperties => rand() < 0.2 ? [] : [ map { "{\"quantity\": $_}" } @{ one_of(@quantities) } ] };
}

sub spelled
{
	my ($event) = @_;
	my @members = map { qq("$_": ) . one_of(@{ $event->{$_} }) } grep { @{ $event->{$_} } } sort keys %$event;
	push @members, '"customerEventId": null' if !@{ $event->{customerEventId} } && rand() < 0.5;
	return '{' . join(rand() < 0.5 ? ', ' : ',  ', shuffle(@members)) . '}';
}

# Rows of the table sent: position, batch (0 comes before the stream), whether it is an event at all, body.
sub random_stream
{
	my ($size, $key_count) = @_;
	my (@rows, @events);
	my $prepared = int rand(40);
	my $batches_an_event = one_of(0.02, 0.1, 0.3);
	my $batch = 0;

	foreach my $position (1 .. $size)
	{
		$batch++ if $position > $prepared && ($batch == 0 || rand() < $batches_an_event);
		if (rand() < 0.05)
		{
			push @rows, [ $position, $batch, 'false', one_of(@invalid) ];
			next;
		}
		my $event = @events && rand() < 0.4 ? { %{ one_of(@events) } } : random_event($key_count);
		$event->{eventTimestamp} = [] if rand() < 0.1;
		push @events, $event;
		push @rows, [ $position, $batch, 'true', spelled($event) ];
	}
	return @rows;
}

# The rows as COPY takes them.
sub copy_text
{
	return join '', map { (my $line = join "\t", @$_) =~ s/\\/\\\\/g; "$line\n" } @_;
}

# SQL that acts for a receiver.
sub as_receiver
{
	my ($receiver, $sql) = @_;
	return "SET usage_events.account_id = '$account_of{$receiver}';\n$sql\n";
}

sub one_by_one
{
	my ($receiver, $which) = @_;
	return as_receiver($receiver,
		qq{SELECT format('SELECT send_one(%L, %s)', '$receiver', position) FROM sent WHERE $which ORDER BY position \\gexec});
}

sub in_batches
{
	my ($receiver) = @_;
	return as_receiver($receiver,
		qq{SELECT 'SELECT send_$receiver(' || batch || ')' FROM sent WHERE batch > 0 GROUP BY batch ORDER BY batch \\gexec});
}

sub by_copy
{
	my ($receiver, $which) = @_;
	return as_receiver($receiver, qq{
		SET usage_events.import_on_error = '$receiver';
		COPY (SELECT body FROM sent WHERE batch > 0 AND $which ORDER BY position) TO '$directory/lines'
			WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02');
		COPY usage_event_import FROM '$directory/lines' WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02');
		\\set state_of_$receiver :SQLSTATE});
}

# Sends a stream to all, and compares.
sub check_stream
{
	my ($seed) = @_;
	srand(hex substr(md5_hex($seed), 0, 8));	# neighbouring seeds themselves give much the same numbers
	my $mode = one_of(qw(supersede supersede ignore refuse));
	# One of them is longer than what COPY stores at once.
	my @rows = $seed % 40 == 0 ? random_stream(5500 + rand 500, 500) : random_stream(1 + rand 200, one_of(2, 10, 200));

	my $script = join "\n", '\o /dev/null',
		'TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event, sent, answer;',
		"COPY sent (position, batch, is_valid, body) FROM STDIN;\n" . copy_text(@rows) . '\.',
		"SET usage_events.on_conflict = '$mode';",
		(map { one_by_one($_, 'batch = 0') } @receivers),
		one_by_one('single', 'batch > 0'),
		in_batches('batch'),
		in_batches('ingest'),
		'\set ON_ERROR_STOP off',
		by_copy('stop', 'is_valid'),
		by_copy('skip', 'true'),
		'\set ON_ERROR_STOP on',
		q{
		INSERT INTO met SELECT DISTINCT concat_ws(' ', outcome, refusal) FROM answer WHERE receiver = 'single';
		\o
		SELECT differences('versions', 'single', got) FROM unnest('{batch, ingest, skip}'::text[]) AS got;
		SELECT differences('versions', CASE :'state_of_stop' WHEN '00000' THEN 'single' ELSE 'prepared' END, 'stop');
		SELECT differences('answers', 'single', 'batch');
		SELECT differences('outcomes', 'single', 'ingest');
		SELECT differences('refused elements', 'single', 'ingest');
		SELECT differences('refused lines', 'single', 'skip');
		SELECT format('version of %s is not chained: %s', receiver, id) FROM version WHERE is_chained IS NOT TRUE;
		SELECT format('event at %s: %s', position, refusal) FROM answer JOIN sent USING (position)
		WHERE refusal IS DISTINCT FROM CASE WHEN NOT is_valid THEN '22023' WHEN outcome = 'refused' THEN '23505' END
			AND receiver = 'single' OR refusal = '23505' AND current_setting('usage_events.on_conflict') <> 'refuse';
		SELECT format('import: %s, %s', :'state_of_stop', :'state_of_skip')
		WHERE :'state_of_skip' <> '00000' OR :'state_of_stop' <> CASE WHEN EXISTS (
			SELECT FROM answer JOIN sent USING (position) WHERE receiver = 'single' AND batch > 0 AND refusal = '23505')
			THEN '23505' ELSE '00000' END;
		};
	my $result = $node->psql('postgres', $script, stdout => \my $differences, stderr => \my $errors);
	is($result ? $errors : $differences, '', "SEED=$seed: $mode, " . @rows . ' events');
}

check_stream($_) foreach $first_seed .. $first_seed + $seed_count - 1;

SKIP:
{
	skip 'too few streams to meet every case', 1 if $seed_count < 40;
	is($node->safe_psql('postgres', 'SELECT DISTINCT answer FROM met ORDER BY answer'),
		"created\nrefused 22023\nrefused 23505\nsuperseded\nunchanged", 'the streams met every case');
}

# Large batches -------------------------------------------------------------

my $remove_all = 'TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.rejected_event';

# An array of so many events; another quantity makes other versions.
sub batch
{
	my ($count, $quantity) = @_;
	return qq{(SELECT jsonb_agg(jsonb_build_object('customerEventId', n::text, 'customerAlias', 'alice', 'eventType', 'call',
		'eventProperties', jsonb_build_object('quantity', $quantity))) FROM generate_series(1, $count) AS n)};
}

my ($stored, $outcomes, $memory) = split /\n/, $node->safe_psql('postgres',
	"$remove_all; SELECT jsonb_array_length(create_usage_events(" . batch(100000, 1) . q{));
	SELECT answer - 'outcomes' || jsonb_build_object('length', jsonb_array_length(answer -> 'outcomes'))
	FROM ingest_usage_events(} . batch(100000, '1 + n % 2') . q{) AS answer;
	SELECT sum(total_bytes) / 1024, coalesce((regexp_match(
		pg_read_file('/proc/self/status', 0, 10000, true), 'VmHWM:\s+(\d+)'))[1], '0')
	FROM pg_backend_memory_contexts});
is($stored, 100000, '100,000 events at once: an answer to each');
is($outcomes, '{"length": 100000, "created": 0, "refused": 0, "unchanged": 50000, "superseded": 50000}',
	'100,000 events at once: an outcome of each');

# Far above what is needed, and far below what a list in the wrong place would take.
my ($kilobytes_after, $kilobytes_at_most) = split /\|/, $memory;
cmp_ok($kilobytes_after, '<', 8 * 1024, '100,000 events at once: the memory is given back');
cmp_ok($kilobytes_at_most, '<', 1024 * 1024, '100,000 events at once: the process stayed below 1 GB');

# Batches that fail halfway -------------------------------------------------

my $everything = q{
	SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
		SELECT e::text AS line FROM usage_events.event AS e
		UNION ALL SELECT s::text FROM usage_events.superseded_event AS s
		UNION ALL SELECT r::text FROM usage_events.rejected_event AS r) AS rows;};

sub check_leaves_nothing
{
	my ($name, $sqlstate, $sql) = @_;
	$node->psql('postgres', "$everything\n\\o /dev/null\n$sql;\n\\o\n\\echo :LAST_ERROR_SQLSTATE\n$everything",
		on_error_stop => 0, stdout => \my $output);
	my ($before, $state, $after) = split /\n/, $output;
	is($state, $sqlstate, "$name: SQLSTATE");
	is($after, $before, "$name: leaves nothing");
}

$node->safe_psql('postgres', "$remove_all; SELECT create_usage_events(" . batch(10, 1) . ')');
check_leaves_nothing('a batch that is rolled back', '00000',
	'BEGIN; SELECT ingest_usage_events(' . batch(100, 2) . q{ || '[5]'); ROLLBACK});

# Somebody else holds a key from the middle of the batch, so that it comes to there and no further.
$node->safe_psql('postgres', q{
	BEGIN;
	SELECT create_usage_event('{"customerEventId": "5000", "customerAlias": "bob", "eventType": "call"}');
	PREPARE TRANSACTION 'holder'});
check_leaves_nothing('a batch that waits too long', '55P03',
	"SET lock_timeout = '10ms'; SELECT create_usage_events(" . batch(10000, 2) . ')');
check_leaves_nothing('a batch that takes too long', '57014',
	"SET statement_timeout = '200ms'; SELECT ingest_usage_events(" . batch(10000, 2) . ')');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'holder'});

# Batches side by side ------------------------------------------------------

# One client writes 100 new events, then supersedes them; the other reads.  After each 20 steps one waits for the other:
# neither is done before the other has begun.
$node->safe_psql('postgres', qq{
	$remove_all;
	CREATE TABLE seen (events bigint, superseded bigint);
	CREATE TABLE arrived (client integer, step integer);
	CREATE PROCEDURE meet(client integer, at_step integer) LANGUAGE plpgsql AS \$\$
	BEGIN
		INSERT INTO arrived VALUES (client, at_step);
		COMMIT;
		WHILE (SELECT count(*) FROM arrived WHERE step = at_step) < 2 LOOP
			PERFORM pg_sleep(0.001);
		END LOOP;
	END \$\$});
$node->pgbench('-n -c 2 -j 2 -t 200 -D step=0', 0, [qr/processed: 400\/400/], [qr/^$/], 'one writes batches, one reads',
	{ '007_read' => q{
\if :step % 20 = 0
CALL meet(:client_id, :step);
\endif
\if :client_id = 0
\sleep 2 ms
INSERT INTO seen SELECT (SELECT count(*) FROM usage_events), (SELECT count(*) FROM usage_event_history);
\else
SELECT create_usage_events(jsonb_agg(jsonb_build_object('customerEventId', (:step / 2 * 100 + n)::text, 'customerAlias', :step::text,
	'eventType', 'call'))) FROM generate_series(1, 100) AS n;
\endif
\set step :step + 1
} });
cmp_ok($node->safe_psql('postgres', 'SELECT count(DISTINCT (events, superseded)) FROM seen'), '>', 2,
	'batches came between the reads');
is($node->safe_psql('postgres', 'SELECT * FROM seen WHERE events % 100 <> 0 OR superseded % 100 <> 0'), '',
	'none was seen in part');

# Each client goes through the keys, 50 at a time, two upwards and two downwards; no two at the same places.  The event
# before each batch makes the session expect that the keys are free.
$node->safe_psql('postgres', $remove_all);
$node->pgbench('-n -c 4 -j 2 -t 150 -D step=0', 0, [ qr/processed: 600\/600/, qr/failed transactions: 0 / ], [qr/^$/],
	'batches that overlap, in opposite orders',
	{ '007_overlap' => q{
\set first :step * 50 + :client_id * 10
SELECT create_usage_events('[{"customerAlias": "bob", "eventType": "call"}]');
SELECT create_usage_events(jsonb_agg(jsonb_build_object('customerEventId', n::text, 'customerAlias', 'alice', 'eventType', 'call',
	'eventProperties', jsonb_build_object('client', :client_id)) ORDER BY n * (1 - :client_id % 2 * 2)))
FROM generate_series(:first, :first + 49) AS n;
\set step :step + 1
} });
is($node->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE is_chained IS NOT TRUE) FROM version'), '30600|0',
	'every version is there, and the chain of each key is intact');

SKIP:
{
	skip 'amcheck is not installed', 1
	  unless $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'});
	$node->safe_psql('postgres', 'CREATE EXTENSION amcheck');
	$node->command_ok([ 'pg_amcheck', '--heapallindexed', '--schema', 'usage_events', 'postgres' ],
		'tables and indexes are sound');
}

done_testing();
