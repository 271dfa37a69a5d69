# 033_changes_by_hand.pl: metrics answer what the rows say, whoever changes the rows
#
# Writers use the functions, refreshers bring rollups up to date, and superusers change events, metrics, marks and
# rollups by SQL of their own, in every way: in long transactions, rolled back, in savepoints, as replicas, by COPY, with
# triggers turned off, and erase customers.  Meanwhile readers compare random answers with plain SQL over the same snapshot
# (metric_oracle.sql, metric_load.sql).  At last all is rolled up, and compared once more.
#
#	SEED=...	the random choices
#	DURATION=10	for how many seconds
use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{SEED} // time ^ $$;
my $seconds = $ENV{DURATION} // 10;
srand $seed;
note("SEED=$seed DURATION=$seconds");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "log_statement = none\ndeadlock_timeout = 100ms\nautovacuum = off");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION usage_events');
foreach my $script ('metric_oracle', 'metric_load')
{
	$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "test/$script.sql" ], $script);
}
$node->safe_psql('postgres', q{
	INSERT INTO test.account VALUES (1, usage_events.current_account_id()), (2, usage_events.create_account('another'));
	SELECT test.seed(} . int(rand 2**31) . q{);
	DO $$
	DECLARE
		account uuid;
	BEGIN
		FOR account IN SELECT id FROM test.account ORDER BY number LOOP
			PERFORM set_config('usage_events.account_id', account::text, false);
			PERFORM create_usage_events((SELECT jsonb_agg(test.event('key-' || i)) FROM generate_series(1, 1500) AS i));
			PERFORM create_usage_metric(jsonb_build_object('name', 'stable ' || aggregation, 'metricType', 'SIMPLE', 'eventType', 'call',
				'aggregationType', aggregation, 'aggregationProperty', 'amount', 'percentile', CASE aggregation WHEN 'PERCENTILE' THEN 0.5 END))
				FROM unnest('{COUNT,UNIQUE,SUM,MAX,LATEST,PERCENTILE}'::text[]) AS aggregation;
			PERFORM create_usage_metric('{"name": "stable groups", "metricType": "GROUPED", "eventType": "call", "aggregationType": "COUNT", "groupingProperty": "group"}');
		END LOOP;
	END $$;

	-- An event of somebody, as a row of his own making.
	CREATE FUNCTION test.row_by_hand(key text) RETURNS usage_events.event LANGUAGE sql VOLATILE AS $$
		SELECT ROW((SELECT id FROM test.account ORDER BY random() LIMIT 1), uuid_v7(), test.moment(), key, test.alias(), 'call', test.properties())::usage_events.event
	$$;
	CREATE PROCEDURE test.change_by_hand() LANGUAGE plpgsql AS $$
	DECLARE
		dice integer := test.dice(100);
		key text := test.key();
	BEGIN
		IF dice < 20 THEN
			UPDATE usage_events.event SET event_properties = test.properties() WHERE customer_event_id = key;
		ELSIF dice < 35 THEN
			UPDATE usage_events.event SET customer_alias = test.alias(), event_timestamp = test.moment() WHERE customer_event_id = key;
		ELSIF dice < 50 THEN
			DELETE FROM usage_events.event WHERE customer_event_id = key;
		ELSIF dice < 65 THEN
			INSERT INTO usage_events.event SELECT (test.row_by_hand(key || '-' || n)).* FROM generate_series(1, 3) AS n ON CONFLICT DO NOTHING;
		ELSIF dice < 70 THEN
			PERFORM set_config('session_replication_role', 'replica', true);
			DELETE FROM usage_events.event WHERE customer_event_id = key;
			PERFORM set_config('session_replication_role', 'origin', true);
		ELSIF dice < 75 THEN
			BEGIN
				DELETE FROM usage_events.event WHERE customer_event_id = key;
				RAISE SQLSTATE 'TEST1';
			EXCEPTION WHEN SQLSTATE 'TEST1' THEN
				UPDATE usage_events.event SET event_type = test.event_type() WHERE customer_event_id = key;
			END;
		ELSIF dice < 80 THEN
			UPDATE usage_events.metric SET aggregation_property = CASE aggregation_property WHEN 'amount' THEN 'group' ELSE 'amount' END WHERE name = 'stable ' || test.one_of('SUM', 'UNIQUE', 'PERCENTILE');
		ELSIF dice < 85 THEN
			DELETE FROM usage_events.metric_rollup WHERE level = test.dice(6) AND customer_alias = test.alias();
		ELSIF dice < 90 THEN
			DELETE FROM usage_events.dirty_bucket WHERE customer_alias = test.alias();
		ELSIF dice < 93 THEN
			ALTER TABLE usage_events.event DISABLE TRIGGER ALL;
			DELETE FROM usage_events.event WHERE customer_event_id = key;
			ALTER TABLE usage_events.event ENABLE TRIGGER ALL;
			ALTER TABLE usage_events.event ENABLE ALWAYS TRIGGER usage_events_watch;
		ELSE
			PERFORM usage_events.erase_customer(test.one_of('zoë, "ü"', 'x  y', 'a''b\c', 'Daily'), (SELECT id FROM test.account ORDER BY random() LIMIT 1), 1 + test.dice(50));
		END IF;
	END $$;
	INSERT INTO test.recorded (at) VALUES (clock_timestamp());
	ANALYZE});

sub refresh_to_the_end
{
	ok($node->poll_query_until('postgres', q{SELECT usage_events.refresh_rollups() = 0 AND bool_and(is_built) AND NOT EXISTS (SELECT FROM usage_events.dirty_bucket WHERE seconds < 0)
		FROM usage_events.metric_progress}), 'all is rolled up');
}
refresh_to_the_end();

my $change = "SELECT test.seed(:seed);\nCALL test.change_by_hand();";
my $compare = q{INSERT INTO oracle.comparison SELECT c.* FROM (SELECT test.seed(:seed) OFFSET 0) AS s, LATERAL %s AS c;};
my $of_now = sprintf $compare, 'oracle.compare(test.question(true))';
my $of_then = sprintf $compare, "(SELECT c.* FROM test.quiet_moment() AS at, LATERAL oracle.compare(test.question(true) || jsonb_build_object('as_of', at)) AS c WHERE at IS NOT NULL)";
my %work = (
	writers => [ 2, { 'write' => 'CALL test.write(:seed);', 'slow' => "BEGIN;\nCALL test.write(:seed);\n\\sleep :pause ms\nCOMMIT;" } ],
	superusers => [ 2, {
			'change@4' => "$change\n\\sleep :rest ms",
			'slow@3' => "BEGIN;\n$change\n\\sleep :pause ms\n$change\nCOMMIT;\n\\sleep :rest ms",
			'repeatable_read@1' => "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT 1;\n\\sleep :pause ms\n$change\nCOMMIT;",
			'rolled_back@1' => "BEGIN;\n$change\n\\sleep :pause ms\nROLLBACK;",
			'copy@1' => "COPY usage_events.event FROM PROGRAM 'true';\n\\sleep :pause ms" } ],
	refreshers => [ 2, {
			'refresh@8' => 'SELECT usage_events.refresh_rollups(max_steps => 1 + :seed % 50);',
			'slow@1' => "BEGIN;\nSELECT usage_events.refresh_rollups(max_steps => 5);\n\\sleep :pause ms\nCOMMIT;",
			'taken_back@1' => "BEGIN;\nSELECT usage_events.refresh_rollups(max_steps => 5);\nROLLBACK;" } ],
	readers => [ 2, {
			'now@4' => "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$of_now\nCOMMIT;",
			'then@1' => "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$of_then\nCOMMIT;",
			'while_open@1' => "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT 1;\n\\sleep :pause ms\n$of_now\nCOMMIT;",
			'own_changes@1' => "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$change\n$of_now\nROLLBACK;",
			'statement@2' => 'INSERT INTO oracle.comparison SELECT * FROM test.compare_in_one_statement(:seed);' } ]);

sub start_work
{
	my ($name) = @_;
	my ($clients, $scripts) = @{ $work{$name} };
	my @files;
	foreach my $script (sort keys %$scripts)
	{
		my ($script_name, $weight) = split /@/, $script;
		my $file = PostgreSQL::Test::Utils::tempdir() . "/${name}_$script_name";
		append_to_file($file, "\\set seed random(1, 2147483647)\n\\set pause random(1, 60)\n\\set rest random(1, 1500)\n$scripts->{$script}\n");
		push @files, '-f', "$file\@" . ($weight // 1);
	}
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $run = { name => $name, output => '', errors => '' };
	$run->{harness} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', $clients, '-T', $seconds, '--max-tries=1000', '--random-seed=' . int(rand 2**31), @files, 'postgres' ],
		'>', \$run->{output}, '2>', \$run->{errors});
	return $run;
}

foreach my $run (map { start_work($_) } sort keys %work)
{
	ok($run->{harness}->finish, "the $run->{name} worked to the end") or diag($run->{errors});
	note("$run->{name}: " . ($run->{output} =~ /actually processed: (\d+)/)[0] . ' transactions');
}
my $count = $node->safe_psql('postgres', 'SELECT count(*) FROM oracle.comparison');
cmp_ok($count, '>', 5, 'answers were compared');
note("$count answers, " . $node->safe_psql('postgres', 'SELECT count(*) FROM oracle.comparison WHERE is_of_rollups') . ' of them from rollups');
is($node->safe_psql('postgres', 'SELECT to_jsonb(c) FROM oracle.comparison AS c WHERE NOT is_equal LIMIT 3'), '', "SEED=$seed: every answer is what the rows say");

# At rest, before anything is refreshed, and when all is rolled up.
sub compare_at_rest
{
	my ($name) = @_;
	my $random = int rand 2**31;
	my @lines = split /\n/, $node->safe_psql('postgres', qq{
		BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
		SELECT test.seed($random) IS NULL;
		SELECT to_jsonb(oracle.compare(test.question(true))) AS c FROM generate_series(1, 150);
		COMMIT});
	is(scalar(grep { /"is_equal": false/ } @lines), 0, "SEED=$seed: $name") or diag(join "\n", (grep { /"is_equal": false/ } @lines)[ 0 .. 2 ]);
	return scalar grep { /"is_of_rollups": true/ } @lines;
}
compare_at_rest('as they were left');
refresh_to_the_end();
cmp_ok(compare_at_rest('rolled up'), '>', 20, 'many answers are from rollups');

done_testing();
