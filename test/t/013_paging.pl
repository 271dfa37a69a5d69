# 013_paging.pl: whoever pages through a list while it is written to sees every event once
#
# Writers insert and correct all the time, some in transactions that stay open for
# a while, or are rolled back.  A reader pages through lists of random order,
# filter and page size, to the end and back.  What it must see is what one
# statement saw together with the first page: the same versions, in order, each
# once.  Exempt are events whose correction was in flight at that moment, with an
# id from before it; and such ids may come in.
#
#	SEED=...	the random choices of the reader
#	DURATION=12	for how many seconds, and again for as long where the machine was too busy to try much
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use IPC::Run;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $seed = $ENV{SEED} // time ^ $$;
my $seconds = $ENV{DURATION} // 12;
srand $seed;
note("SEED=$seed DURATION=$seconds");

my $node = server('log_statement = none');
$node->safe_psql('postgres', q{
	CREATE EXTENSION usage_events;

	-- Event number n in some version; the versions differ in all that lists filter and sort by.  Some aliases are of one version alone.
	CREATE FUNCTION version(n integer, version integer) RETURNS jsonb LANGUAGE sql AS $$
		SELECT jsonb_build_object('customerEventId', 'e-' || n, 'customerAlias', 'a-' || CASE version % 4 WHEN 0 THEN version ELSE version % 3 END, 'eventType', 't-' || version % 2,
			'eventTimestamp', '2026-10-01T0' || version % 5 || ':00:00Z', 'eventProperties', jsonb_build_object('version', version))
	$$;
	SELECT count(create_usage_event(version(n, n))) FROM generate_series(1, 200) AS n;
	SELECT create_customer_alias('{"customerId": "customer", "value": "a-1"}');

	CREATE TABLE fault (walk text, what text);
	-- How many events the walks saw, and how many of those were corrected meanwhile, or exempt.
	CREATE TABLE walked (events bigint, corrected bigint, exempt bigint);

	CREATE PROCEDURE walk(page_limit integer, sort_by text, sort_order text, aliases text[], type text, unmapped boolean) LANGUAGE plpgsql AS $$
	DECLARE
		name text := concat_ws(' ', page_limit, sort_by, sort_order, aliases, type, CASE WHEN unmapped THEN 'unmapped' END);
		page jsonb;
		forward jsonb;
		backward jsonb;
		expected uuid[];
		newest uuid;
		snapshot_end bigint;
		totals jsonb;
	BEGIN
		SELECT list_usage_events(page_limit, NULL, NULL, 0, sort_by, sort_order, aliases, unmapped, type),
			(SELECT array_agg(id ORDER BY place * CASE sort_order WHEN 'ASC' THEN 1 ELSE -1 END)
				FROM (SELECT id, row_number() OVER (ORDER BY CASE sort_by WHEN 'eventTimestamp' THEN event_timestamp END, id) AS place
					FROM usage_events WHERE (customer_alias = ANY (aliases) OR aliases IS NULL) AND (event_type = type OR type IS NULL)
						AND (NOT unmapped OR customer_alias <> 'a-1')) AS e),
			(SELECT id FROM usage_events ORDER BY id DESC LIMIT 1),
			pg_snapshot_xmax(pg_current_snapshot())::text
		INTO page, expected, newest, snapshot_end;
		COMMIT;

		forward := page -> 'items';
		totals := jsonb_build_array(page #> '{pagination,totalResultSize}');
		WHILE page #>> '{pagination,after}' IS NOT NULL LOOP
			page := list_usage_events(page_limit, page #>> '{pagination,after}', NULL, 0, sort_by, sort_order, aliases, unmapped, type);
			COMMIT;
			forward := forward || (page -> 'items');
			totals := totals || (page #> '{pagination,totalResultSize}');
		END LOOP;
		backward := page -> 'items';
		WHILE page #>> '{pagination,before}' IS NOT NULL LOOP
			page := list_usage_events(page_limit, NULL, page #>> '{pagination,before}', 0, sort_by, sort_order, aliases, unmapped, type);
			COMMIT;
			backward := (page -> 'items') || backward;
			totals := totals || (page #> '{pagination,totalResultSize}');
		END LOOP;

		WITH seen AS (
			SELECT direction, n, (item ->> 'id')::uuid AS id, item ->> 'customerEventId' AS key, item
			FROM (VALUES ('forward', forward), ('backward', backward)) AS d(direction, items), jsonb_array_elements(items) WITH ORDINALITY AS i(item, n)
		), version AS (
			SELECT v.n, v.id, coalesce(e.customer_event_id, s.customer_event_id) AS key, s.id IS NOT NULL AS corrected,
				s.superseded_by <= newest AND s.xmin::text::bigint < snapshot_end IS TRUE AS exempt
			FROM unnest(expected) WITH ORDINALITY AS v(id, n)
			LEFT JOIN usage_events.event AS e ON e.id = v.id LEFT JOIN usage_events.superseded_event AS s ON s.id = v.id
		), counted AS (
			INSERT INTO walked SELECT count(*), count(*) FILTER (WHERE corrected AND exempt IS NOT TRUE), count(*) FILTER (WHERE exempt) FROM version
		)
		INSERT INTO fault
		SELECT name, format('%s: %s is at %s instead of %s', direction, key, seen_at, expected_at)
		FROM (SELECT direction, key, id, row_number() OVER (PARTITION BY direction ORDER BY n) AS seen_at FROM seen
			WHERE key IN (SELECT key FROM version WHERE exempt IS NOT TRUE)) AS s
		FULL JOIN (SELECT direction, key, id, row_number() OVER (PARTITION BY direction ORDER BY n) AS expected_at FROM version, unnest('{forward,backward}'::text[]) AS direction
			WHERE exempt IS NOT TRUE) AS v USING (direction, key, id)
		WHERE seen_at IS DISTINCT FROM expected_at
		UNION ALL
		SELECT name, format('%s: %s has come in', direction, key) FROM seen WHERE id > newest
		UNION ALL
		SELECT name, format('%s: %s is there twice in the same version', direction, key) FROM seen GROUP BY direction, key, id HAVING count(*) > 1
		UNION ALL
		SELECT name, format('%s: %s is out of order', direction, key)
		FROM (SELECT *, row_number() OVER (PARTITION BY direction ORDER BY CASE sort_by WHEN 'eventTimestamp' THEN item ->> 'eventTimestamp' END COLLATE "C", id) AS place,
				count(*) OVER (PARTITION BY direction) AS count FROM seen) AS p
		WHERE n <> CASE sort_order WHEN 'ASC' THEN place ELSE count + 1 - place END
		UNION ALL
		SELECT name, format('total %s instead of %s', total, cardinality(expected)) FROM jsonb_array_elements(totals) AS total
		WHERE total <> to_jsonb(coalesce(cardinality(expected), 0));
		COMMIT;
	END $$});

# Writers ---------------------------------------------------------------------

my %scripts = (
	'correct@40' => 'SELECT create_usage_event(version(:key, :version));',
	'insert@1' => q{SELECT create_usage_event(version(:key, :version) - 'customerEventId');},
	'batch@5' => 'SELECT create_usage_events((SELECT jsonb_agg(version(1 + (:key + n * 7) % 200, :version + n)) FROM generate_series(1, 5) AS n));',
	'slow@5' => "BEGIN;\nSELECT create_usage_event(version(:key, :version));\n\\sleep 3 ms\nCOMMIT;",
	'taken_back@2' => "BEGIN;\nSELECT create_usage_event(version(:key, :version));\nROLLBACK;");
my @files;
foreach my $script (sort keys %scripts)
{
	my ($name, $weight) = split /@/, $script;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name";
	append_to_file($file, "\\set key random(1, 200)\n\\set version random(1, 1000000)\n$scripts{$script}\n");
	push @files, '-f', "$file\@$weight";
}
my $writer_count = 3;
my $most_at_once = 5;    # events of a transaction
my ($output, $errors) = ('', '');

sub start_writers
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	return IPC::Run::start([ 'pgbench', '-n', '-c', $writer_count, '-j', 2, '-T', $seconds, @files, 'postgres' ], '>', \$output, '2>', \$errors);
}

# The reader ------------------------------------------------------------------

sub one_of
{
	return $_[ rand @_ ];
}

my $walks = 0;

sub walk_while_they_write
{
	my $writers = start_writers();
	my $end = time + $seconds - 1;
	walk_in_every_order() while time < $end;
	ok($writers->finish, 'the writers wrote to the end') or diag($errors);
	return split /\|/, $node->safe_psql('postgres', 'SELECT coalesce(sum(events), 0), coalesce(sum(corrected), 0), coalesce(sum(exempt), 0) FROM walked');
}

sub walk_in_every_order
{
	foreach my $order ('createdAt ASC', 'createdAt DESC', 'eventTimestamp ASC', 'eventTimestamp DESC')
	{
		my ($sort_by, $sort_order) = split / /, $order;
		my $limit = one_of(1, 3, 7, 20, 100);
		my $filter = one_of(q(NULL, NULL, false), q('{a-1}', NULL, false), q('{a-0, a-2}', NULL, false), q(NULL, 't-1', false),
			q('{a-1, a-2}', 't-0', false), q(NULL, NULL, true), q('{a-1, a-2}', NULL, true));
		$node->safe_psql('postgres', "CALL walk($limit, '$sort_by', '$sort_order', $filter)");
		$walks++;
	}
}

my $until = time + $PostgreSQL::Test::Utils::timeout_default;
my ($events, $corrected, $exempt);
do { ($events, $corrected, $exempt) = walk_while_they_write() } while ($corrected <= 100 && time < $until);

is($node->safe_psql('postgres', 'SELECT walk, what FROM fault LIMIT 20'), '', "SEED=$seed: $walks walks saw each event once");
note("$events events, $corrected of them corrected meanwhile, $exempt exempt; " . ($output =~ /actually processed: (\d+)/)[0] . ' transactions');
cmp_ok($corrected, '>', 100, 'many of them were corrected meanwhile');
cmp_ok($exempt, '<=', $writer_count * $most_at_once * $walks, 'exempt were no more than can be in flight');
cmp_ok($exempt, '<', $events, 'and not all of them');

done_testing();
