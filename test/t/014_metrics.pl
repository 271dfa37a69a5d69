# 014_metrics.pl: metrics answer what the rows say, whatever happens beside
#
# Writers insert, correct, take back and roll back; metrics and aliases come, change
# and go; refreshers bring rollups up to date, and now and then somebody throws these
# away.  Meanwhile readers compare the answers of random metrics for random customers
# and periods with plain SQL over the same snapshot (test/metric_oracle.sql).
# Answers of some moments are kept: asked for as of that moment, they must stay.
# Then all is compared once more: with rollups that are all up to date, without any,
# after a crash in the middle of it, and in a restored dump.
#
#	SEED=...	the random choices (test/metric_load.sql)
#	DURATION=20	for how many seconds, and again for as long where the machine was too busy to compare much
use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{SEED} // time ^ $$;
my $seconds = $ENV{DURATION} // 20;
srand $seed;
note("SEED=$seed DURATION=$seconds");
# Rollups of buckets that have more groups or values than this are left out, and read from shorter ones.
my $most_rows = (3, 20, 50_000)[int rand 3];

my $node = PostgreSQL::Test::Cluster->new('main');
# Lower case is also that of other letters than English ones.
$node->init(extra => [ '--encoding=UTF8', `locale -a` =~ /^C\.utf-?8$/mi ? '--locale=C.UTF-8' : '--no-locale' ]);
$node->append_conf('postgresql.conf', 
	"log_statement = none\ndeadlock_timeout = 100ms\nmax_prepared_transactions = 5\nusage_events.max_rollup_rows = $most_rows");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION usage_events');
foreach my $script ('metric_oracle', 'metric_load')
{
	$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "test/$script.sql" ], $script);
}
my $random = int rand 2**31;
$node->safe_psql('postgres', qq{
	INSERT INTO test.account VALUES (1, usage_events.current_account_id()), (2, usage_events.create_account('another'));
	SELECT test.seed($random);
	DO \$\$
	DECLARE
		account uuid;
	BEGIN
		FOR account IN SELECT id FROM test.account ORDER BY number LOOP
			PERFORM set_config('usage_events.account_id', account::text, false);
			PERFORM create_customer_alias(a) FROM unnest(ARRAY[
				'{"value": "hot-1", "customerId": "customer-1"}', '{"value": "shop", "customerId": "customer-1"}', '{"value": "daily", "customerId": "customer-2"}',
				'{"value": "customer-2", "customerId": "customer-3"}']::jsonb[]) AS a;
			-- Some metrics are there before their events, the others after.
			PERFORM create_usage_metric(test.metric('stable ' || aggregation, aggregation)) FROM unnest('{COUNT,SUM,LATEST}'::text[]) AS aggregation;
			FOR n IN 1..10 LOOP
				PERFORM create_usage_events((SELECT jsonb_agg(test.event('key-' || i)) FROM generate_series(n * 300 - 299, n * 300) AS i));
			END LOOP;
			PERFORM create_usage_metric(test.metric('stable ' || aggregation, aggregation)) FROM unnest('{UNIQUE,SUM,MAX,MIN,AVERAGE,PERCENTILE}'::text[]) AS aggregation;
			-- One of each of plain shape, of the type of most events.
			PERFORM create_usage_metric(jsonb_build_object('name', 'stable plain ' || aggregation, 'metricType', 'SIMPLE', 'eventType', 'call',
					'aggregationType', aggregation, 'aggregationProperty', 'amount') || CASE WHEN aggregation IN ('SUM', 'UNIQUE') THEN '{"metricType": "GROUPED", "groupingProperty": "group"}' ELSE '{}' END::jsonb
					|| CASE aggregation WHEN 'PERCENTILE' THEN '{"percentile": 0.5}' ELSE '{}' END::jsonb)
				FROM unnest('{COUNT,UNIQUE,SUM,MAX,MIN,AVERAGE,LATEST,PERCENTILE}'::text[]) AS aggregation;
		END LOOP;
	END \$\$;
	CALL test.record($random);
	-- So that answers read few events where they are from rollups.
	ANALYZE;});

# A metric that is new waits for older transactions, such as one of autovacuum.
sub refresh_to_the_end
{
	my ($database) = @_;
	my $steps = 0;
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;
	while (time < $until)
	{
		my ($done, $left) = split /\n/, $node->safe_psql($database, q{SELECT usage_events.refresh_rollups();
			SELECT count(*) FROM usage_events.metric_progress WHERE NOT is_built});
		return $steps if $done == 0 && $left == 0;
		$steps += $done;
		sleep 1 if $done == 0;
	}
	fail('refreshing ends');
	return $steps;
}
note(refresh_to_the_end('postgres') . ' steps to begin with');

# What is there, in a few words.
sub state
{
	my ($database) = @_;
	return $node->safe_psql($database, q{
		SELECT format('%s events, %s superseded; %s metrics, %s versions; %s of %s are rolled up, in %s rows; %s marks',
			(SELECT count(*) FROM usage_events.event), (SELECT count(*) FROM usage_events.superseded_event),
			(SELECT count(*) FROM usage_events.metric WHERE deleted_at IS NULL), (SELECT count(*) FROM usage_events.superseded_metric),
			(SELECT count(*) FROM usage_events.metric_progress WHERE is_built), (SELECT count(*) FROM usage_events.metric_progress),
			(SELECT count(*) FROM usage_events.metric_rollup), (SELECT count(*) FROM usage_events.dirty_bucket))});
}
note(state('postgres'));

# Side by side ----------------------------------------------------------------

my $write = 'CALL test.write(:seed);';
my %work = (
	writers => {
		clients => 3,
		scripts => {
			'write@300' => $write,
			'rolled_back@10' => "BEGIN;\n$write\nROLLBACK;",
			'savepoint@20' => "BEGIN;\n$write\nSAVEPOINT a;\n$write\nROLLBACK TO a;\n$write\nCOMMIT;",
			'slow@30' => "BEGIN;\n$write\n\\sleep :pause ms\n$write\nCOMMIT;",
			'repeatable_read@30' => "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$write\n\\sleep :pause ms\n$write\nCOMMIT;",
			'serializable@10' => "BEGIN ISOLATION LEVEL SERIALIZABLE;\n$write\nCOMMIT;",
			'prepared@5' => "BEGIN;\n$write\nPREPARE TRANSACTION 'client :client_id';\n\\sleep :pause ms\nCOMMIT PREPARED 'client :client_id';",
			'change_metric@20' => 'CALL test.change_metric(:seed);',
			'change_alias@12' => 'CALL test.change_alias(:seed);' } },
	refreshers => {
		clients => 2,
		scripts => {
			'refresh@10' => "SET usage_events.max_rollup_rows = :rows;\nSELECT usage_events.refresh_rollups(max_steps => 1 + :seed % 50);",
			'taken_back@1' => "BEGIN;\nSELECT usage_events.refresh_rollups(max_steps => 5);\nROLLBACK;",
			'slow@1' => "BEGIN;\nSELECT usage_events.refresh_rollups(max_steps => 5);\n\\sleep :pause ms\nCOMMIT;" } },
	readers => {
		clients => 3,
		scripts => {
			'compare@4' => "BEGIN ISOLATION LEVEL REPEATABLE READ;\nINSERT INTO oracle.comparison SELECT * FROM test.compare(:seed);\nCOMMIT;",
			'while_open@1' => "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT 1;\n\\sleep :pause ms\nINSERT INTO oracle.comparison SELECT * FROM test.compare(:seed);\nCOMMIT;",
			'own_writes@1' => "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$write\nINSERT INTO oracle.comparison SELECT * FROM test.compare(:seed);\nROLLBACK;",
			'statement@2' => 'INSERT INTO oracle.comparison SELECT * FROM test.compare_in_one_statement(:seed);' } },
	others => {
		clients => 1,
		scripts => {
			'record@20' => "CALL test.record(:seed);\n\\sleep :pause ms",
			'throw_rollups_away@1' => "\\sleep 2 s\nTRUNCATE usage_events.metric_rollup;",
			'throw_marks_away@1' => "\\sleep 2 s\nTRUNCATE usage_events.dirty_bucket;" } });

# In the background; returns the process and where it writes to.
sub start_work
{
	my ($name, $duration) = @_;
	my @files;
	foreach my $script (sort keys %{ $work{$name}{scripts} })
	{
		my ($script_name, $weight) = split /@/, $script;
		my $file = PostgreSQL::Test::Utils::tempdir() . "/${name}_$script_name";
		unlink $file;
		append_to_file($file, "\\set seed random(1, 2147483647)\n\\set pause random(1, 60)\n\\set rows random(1, 40)\n$work{$name}{scripts}{$script}\n");
		push @files, '-f', "$file\@$weight";
	}
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $run = { name => $name, output => '', errors => '' };
	$run->{harness} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', $work{$name}{clients}, '-T', $duration, '--max-tries=1000', '--random-seed=' . int(rand 2**31), @files, 'postgres' ],
		'>', \$run->{output}, '2>', \$run->{errors});
	return $run;
}

# One more reader, in transactions that may not write.
my $read_only = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;';
my @faults;
my ($compared, $of_rollups) = (0, 0);

sub compare_read_only
{
	foreach my $line (split /\n/, $node->safe_psql('postgres', "$read_only SELECT to_jsonb(c) FROM test.compare(" . int(rand 2**31) . ') AS c; COMMIT'))
	{
		$compared++;
		$of_rollups++ if $line =~ /"is_of_rollups": true/;
		push @faults, $line unless $line =~ /"is_equal": true/;
	}
}

# All kinds at once; returns how many answers were compared by then, and how many of them were from rollups.
sub work_side_by_side
{
	my @runs = map { start_work($_, $seconds) } sort keys %work;
	my $end = time + $seconds - 1;
	compare_read_only() while time < $end;
	foreach my $run (@runs)
	{
		ok($run->{harness}->finish, "the $run->{name} worked to the end") or diag($run->{errors});
		note("$run->{name}: " . ($run->{output} =~ /actually processed: (\d+)/)[0] . ' transactions');
	}
	note(state('postgres'));
	my ($count, $rolled) = split /\|/, $node->safe_psql('postgres', 'SELECT count(*), count(*) FILTER (WHERE is_of_rollups) FROM oracle.comparison');
	return ($compared + $count, $of_rollups + $rolled);
}

my $enough = 100;
my $until = time + $PostgreSQL::Test::Utils::timeout_default;
my ($all_compared, $all_of_rollups);
do { ($all_compared, $all_of_rollups) = work_side_by_side() }
  while (($all_compared <= $enough || $all_of_rollups <= $all_compared / 50) && time < $until);

# A fault with the metric's definition; of rows those that differ.
sub fault_text
{
	my ($database, $fault) = @_;
	$fault =~ s/'/''/g;
	return $node->safe_psql($database, qq{
		WITH f AS (SELECT '$fault'::jsonb AS fault),
		side AS (
			SELECT side, row
			FROM f, unnest('{ours,expected}'::text[]) AS side, jsonb_array_elements(CASE jsonb_typeof(fault -> side) WHEN 'array' THEN fault -> side ELSE jsonb_build_array(fault -> side) END) AS row)
		SELECT E'\nasked:    ' || (fault -> 'question')::text
			|| E'\nof:       ' || coalesce((SELECT jsonb_strip_nulls(to_jsonb(m))::text FROM usage_events.metric AS m WHERE id = (fault -> 'question' ->> 'metric')::uuid), '')
			|| E'\nanswered: ' || coalesce((SELECT string_agg(left(row::text, 2000), ' ') FROM (SELECT row FROM side WHERE side = 'ours' EXCEPT SELECT row FROM side WHERE side = 'expected') AS d), '')
			|| E'\nis:       ' || coalesce((SELECT string_agg(left(row::text, 2000), ' ') FROM (SELECT row FROM side WHERE side = 'expected' EXCEPT SELECT row FROM side WHERE side = 'ours') AS d), '')
		FROM f});
}

sub no_faults
{
	my ($database, $what, @found) = @_;
	ok(@found == 0, $what);
	diag(scalar @found . ' answers are wrong, among them:', map { fault_text($database, $_) } @found[ 0 .. (@found < 3 ? $#found : 2) ]) if @found;
}

push @faults, split /\n/, $node->safe_psql('postgres', 'SELECT to_jsonb(c) FROM oracle.comparison AS c WHERE NOT is_equal');
no_faults('postgres', "SEED=$seed: every answer is what the rows say", @faults);
note("$all_compared answers compared, $all_of_rollups of them from rollups");
note($node->safe_psql('postgres', q{
	SELECT string_agg(format('%s: %s, %s', aggregation, count, rolled), '; ' ORDER BY aggregation)
	FROM (SELECT aggregation, count(*), count(*) FILTER (WHERE is_of_rollups) AS rolled FROM oracle.comparison GROUP BY aggregation) AS c}));
cmp_ok($all_compared, '>', $enough, 'many answers were compared');
cmp_ok($all_of_rollups, '>', $all_compared / 50, 'many of them were from rollups');

# At rest ---------------------------------------------------------------------

# The same questions from now on, and all that were recorded.
$node->safe_psql('postgres', qq{
	CREATE TABLE test.final (question jsonb, answer jsonb);
	SELECT test.seed($random);
	INSERT INTO test.final
		SELECT q.question, oracle.expected(question, oracle.ours(question))
		FROM (SELECT test.question(id, account_id) || jsonb_build_object('n', n) AS question FROM usage_metrics, generate_series(1, 6) AS n OFFSET 0) AS q;
	INSERT INTO test.final SELECT question, answer FROM test.recorded;});

# What became of all of them: how many, how many of them from rollups, and the faults.
sub compare_all
{
	my ($database) = @_;
	my @lines = split /\n/, $node->safe_psql($database, "$read_only SELECT to_jsonb(oracle.compare(question, answer)) FROM test.final; COMMIT");
	return (scalar @lines, scalar(grep { /"is_of_rollups": true/ } @lines), grep { !/"is_equal": true/ } @lines);
}

sub all_is_right
{
	my ($database, $what) = @_;
	my ($count, $rolled, @found) = compare_all($database);
	no_faults($database, "SEED=$seed: $what: $count answers, $rolled of them from rollups", @found);
	return $rolled;
}

all_is_right('postgres', 'as they were left');
refresh_to_the_end('postgres');
note(state('postgres'));
is($node->safe_psql('postgres', 'SELECT count(*) FROM usage_events.metric_progress WHERE NOT is_built'), 0, 'all is rolled up');
cmp_ok(all_is_right('postgres', 'rolled up'), '>', 50, 'many of them are from rollups');

# The count is wrong where it comes from a rollup that says something wrong.
my $changed = $node->safe_psql('postgres', q{
	BEGIN;
	ALTER TABLE usage_events.metric_rollup DISABLE TRIGGER usage_events_watch;
	UPDATE usage_events.metric_rollup SET event_count = event_count + 1000000 WHERE customer_alias <> '';
	SELECT count(*) FROM test.final WHERE NOT question ? 'as_of' AND NOT (oracle.compare(question, answer)).is_equal;
	ROLLBACK});
cmp_ok($changed, '>', 50, 'many answers depend on rollups');

$node->safe_psql('postgres', 'TRUNCATE usage_events.metric_rollup');
is(all_is_right('postgres', 'without rollups'), 0, 'none is from rollups then');

# A crash in the middle of it.
my $newest = $node->safe_psql('postgres', 'SELECT id FROM usage_events.event ORDER BY id DESC LIMIT 1');
my @runs = map { start_work($_, 2 * $PostgreSQL::Test::Utils::timeout_default) } 'writers', 'refreshers';
ok($node->poll_query_until('postgres', "SELECT count(*) > 10 FROM usage_events.event WHERE id > '$newest'"), 'writers are at work');
sleep 3;
$node->stop('immediate');
$_->{harness}->finish foreach @runs;
$node->start;
$node->safe_psql('postgres', "ROLLBACK PREPARED '$_'") foreach split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');
$node->safe_psql('postgres', q{UPDATE test.final SET answer = oracle.expected(question, oracle.ours(question)) WHERE NOT question ? 'as_of';
	DELETE FROM test.final WHERE NOT question ? 'as_of' AND NOT EXISTS (SELECT FROM usage_metrics WHERE id = (question ->> 'metric')::uuid)});
note(state('postgres'));
all_is_right('postgres', 'after a crash');
refresh_to_the_end('postgres');
all_is_right('postgres', 'after a crash, rolled up');

# A dump has no rollups, and all that they are made from.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr('restored'), '-f', $dump ], 'restore');
all_is_right('restored', 'restored');
$node->safe_psql('restored', 'ANALYZE');
refresh_to_the_end('restored');
note(state('restored'));
cmp_ok(all_is_right('restored', 'restored, rolled up'), '>', 50, 'many of them are from rollups');

done_testing();
