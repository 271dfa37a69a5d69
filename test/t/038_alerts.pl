# 038_alerts.pl: alerts tell what plain SQL says, whatever happens beside
#
# A random stream of events, corrections and events that are taken back, of customers of one alias and of several, over
# periods of four kinds.  Refreshes come in between.  After each, what was told last of each alert, customer, period and
# threshold is compared with plain SQL over the events.  Then writers and two refreshers run at the same time, the server
# crashes in the midst, and all is compared once more: nothing is lost, nothing is told twice, and a consumer that was cut
# off has got all of it in order.  A restored dump tells nothing again.
#
#	SEED=...	the random choices
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $seed = $ENV{SEED} // (time ^ $$) % 1_000_000;
note("SEED=$seed");
srand $seed;
my $node = server_with_extension("usage_events.usage_alert_retention = 0\nmax_connections = 30\n");

$node->safe_psql('postgres', q{
	CREATE SCHEMA test;
	SELECT count(create_usage_metric(jsonb_build_object('name', aggregation, 'metricType', 'SIMPLE', 'eventType', 'call', 'aggregationType', aggregation,
		'aggregationProperty', 'n'))) FROM unnest('{SUM,COUNT,MAX,MIN}'::text[]) AS aggregation;
	CREATE TABLE test.alert AS
	SELECT (create_usage_alert(jsonb_build_object('name', aggregation || ' ' || unit || ' ' || direction, 'usageMetricId', (SELECT id FROM usage_metrics WHERE name = aggregation),
			'period', unit, 'thresholds', thresholds, 'direction', direction, 'customer', customer)) ->> 'id')::uuid AS id,
		aggregation, unit, direction, customer, thresholds
	FROM (VALUES ('SUM', 'MONTH', 'ABOVE', NULL, '[20, 40, 80]'::jsonb), ('COUNT', 'DAY', 'ABOVE', NULL, '[1, 2, 4]'), ('MAX', 'WEEK', 'ABOVE', NULL, '[8, 9]'),
		('SUM', 'YEAR', 'BELOW', NULL, '[50, 100, 150]'), ('MIN', 'MONTH', 'BELOW', NULL, '[3, 5]'), ('SUM', 'HOUR', 'ABOVE', 'group', '[5, 10]'))
		AS a(aggregation, unit, direction, customer, thresholds);
	SELECT count(create_customer_alias(jsonb_build_object('customerId', 'group', 'value', alias))) FROM unnest('{g1,g2,g3}'::text[]) AS alias;
	-- One change: an event, or another version of one that is there, perhaps taken back.
	CREATE FUNCTION test.change(keys int) RETURNS void LANGUAGE sql AS $$
		SELECT create_usage_event(jsonb_build_object('customerEventId', (random() * keys)::int::text, 'eventType', 'call',
			'customerAlias', (ARRAY['a', 'b', 'c', 'g1', 'g2', 'g3', 'group', 'VOID'])[1 + floor(random() * 8)::int],
			'eventTimestamp', to_char(timestamp '2024-01-01' + floor(random() * 40) * interval '1 day' + floor(random() * 3) * interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
			'eventProperties', jsonb_build_object('n', 1 + floor(random() * 10)))) $$;
	-- What each customer has used in each period, by plain SQL.
	CREATE VIEW test.value AS
	SELECT a.id, a.direction, a.thresholds, c.customer, date_trunc(a.unit, e.event_timestamp, 'UTC') AS period_start,
		CASE a.aggregation WHEN 'SUM' THEN sum(n) WHEN 'COUNT' THEN count(*) WHEN 'MAX' THEN max(n) ELSE min(n) END AS value
	FROM test.alert AS a CROSS JOIN usage_events.event AS e
	CROSS JOIN LATERAL (SELECT (e.event_properties ->> 'n')::numeric AS n, CASE WHEN e.customer_alias LIKE 'g%' THEN 'group' ELSE e.customer_alias END AS customer) AS c
	WHERE e.customer_alias <> 'VOID' AND c.customer = coalesce(a.customer, c.customer)
	GROUP BY a.id, a.aggregation, a.unit, a.direction, a.thresholds, 4, 5;
	CREATE VIEW test.reached AS
	SELECT id, direction, customer, period_start, value, t.threshold::numeric AS threshold, value >= t.threshold::numeric AS is_there
	FROM test.value CROSS JOIN jsonb_array_elements_text(thresholds) AS t(threshold);
	-- Thresholds of alerts BELOW that a refresh has seen reached, while there is a value.
	CREATE TABLE test.been_there (id uuid, customer text, period_start timestamptz, threshold numeric, PRIMARY KEY (id, customer, period_start, threshold));
	CREATE VIEW test.told AS
	SELECT DISTINCT ON (usage_alert_id, customer, period_start, threshold) usage_alert_id AS id, customer, period_start, threshold, state
	FROM usage_events.usage_alert_event ORDER BY usage_alert_id, customer, period_start, threshold, number DESC;
	CREATE VIEW test.wrong AS
	SELECT * FROM (
		SELECT id, customer, period_start, threshold FROM test.reached WHERE direction = 'ABOVE' AND is_there
		UNION ALL
		SELECT r.id, r.customer, r.period_start, r.threshold FROM test.reached AS r JOIN test.been_there USING (id, customer, period_start, threshold)
		WHERE r.direction = 'BELOW' AND NOT r.is_there) AS expected
	FULL JOIN (SELECT id, customer, period_start, threshold FROM test.told WHERE state = 'TRIGGERED') AS told USING (id, customer, period_start, threshold)
	WHERE expected IS NULL OR told IS NULL;
	-- Told twice the same, or resolved before it was triggered.
	CREATE VIEW test.repeated AS
	SELECT * FROM (SELECT *, lag(state, 1, 'RESOLVED') OVER (PARTITION BY usage_alert_id, customer, period_start, threshold ORDER BY number) AS before
		FROM usage_events.usage_alert_event) AS e WHERE state = before;
	CREATE PROCEDURE test.refresh() LANGUAGE plpgsql AS $$
	DECLARE
		steps bigint;
	BEGIN
		FOR i IN 1 .. 6000 LOOP
			steps := usage_events.refresh_rollups();
			COMMIT;
			EXIT WHEN steps = 0 AND NOT EXISTS (SELECT FROM usage_events.rollup_status WHERE state <> 'ready' OR dirty_buckets > 0)
				AND NOT EXISTS (SELECT FROM usage_events.usage_alert_due) AND NOT EXISTS (SELECT FROM usage_events.usage_alert_progress WHERE NOT is_over);
			PERFORM pg_sleep(0.01) WHERE i > 5;
		END LOOP;
		DELETE FROM test.been_there AS b WHERE NOT EXISTS (SELECT FROM test.reached AS r WHERE (r.id, r.customer, r.period_start) = (b.id, b.customer, b.period_start));
		INSERT INTO test.been_there SELECT id, customer, period_start, threshold FROM test.reached WHERE direction = 'BELOW' AND is_there ON CONFLICT DO NOTHING;
	END $$;});

my $wrong = 'SELECT count(*) FROM test.wrong; SELECT count(*) FROM test.repeated';

# One after the other --------------------------------------------------------

$node->safe_psql('postgres', 'CALL test.refresh()');
my @differences;
foreach my $round (1 .. 40)
{
	my $changes = 1 + int rand 30;
	my $random = rand;
	my $found = $node->safe_psql('postgres', "SELECT setseed($random); SELECT count(test.change(150)) FROM generate_series(1, $changes); CALL test.refresh(); $wrong");
	push @differences, "round $round: $found" if $found !~ /\n0\n0$/;
}
is(join("\n", @differences), '', 'after each refresh what was told is what plain SQL says');
my ($triggered, $resolved) = split /\|/, $node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE state = 'TRIGGERED'), count(*) FILTER (WHERE state = 'RESOLVED')
	FROM usage_alert_events});
cmp_ok($triggered, '>', 50, "$triggered times a threshold was crossed");
cmp_ok($resolved, '>', 20, "and $resolved times a correction took it back");

# At the same time, and a crash ----------------------------------------------

# Alerts BELOW depend on what each refresh saw: from here on those ABOVE are compared.
$node->safe_psql('postgres', q{SELECT delete_usage_alert(id) FROM test.alert WHERE direction = 'BELOW';
	DELETE FROM usage_events.usage_alert_event WHERE usage_alert_id IN (SELECT id FROM test.alert WHERE direction = 'BELOW');
	DELETE FROM test.alert WHERE direction = 'BELOW'; TRUNCATE test.been_there});

sub psql_loop
{
	my ($sql) = @_;
	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ], '<', \undef, '>', \my $out, '2>', \my $err);
}

my $count = 'SELECT count(*) FROM usage_alert_events';
my $before = $node->safe_psql('postgres', $count);
my $writer = 'DO $$ BEGIN FOR i IN 1 .. 1000000 LOOP PERFORM test.change(150); COMMIT; END LOOP; END $$;';
my $refresher = 'DO $$ BEGIN FOR i IN 1 .. 1000000 LOOP PERFORM usage_events.refresh_rollups(max_steps => 1 + (random() * 20)::int); COMMIT; END LOOP; END $$;';
my @processes = map { psql_loop($_) } ($writer) x 2, ($refresher) x 2;
my %got;
my @out_of_order;

# Takes events as a consumer that may have been cut off before it could acknowledge.
sub consume
{
	my ($may_forget) = @_;
	my $taken = $node->safe_psql('postgres', q{SELECT string_agg(e ->> 'id' || ' ' || (SELECT number FROM usage_events.usage_alert_event WHERE id = (e ->> 'id')::uuid)
			|| ' ' || (e ->> 'usageAlertId') || (e ->> 'customer'), ',' ORDER BY n)
		FROM jsonb_array_elements(take_usage_alert_events('consumer', 50, '1 second')) WITH ORDINALITY AS t(e, n)});
	my @ids;
	foreach my $event (split /,/, $taken)
	{
		my ($id, $number, $sequence) = split / /, $event;
		push @ids, $id;
		# What comes for the first time comes after all of its alert and customer that came before.
		push @out_of_order, $id if !$got{$sequence}{$number} && grep { $_ > $number } keys %{ $got{$sequence} };
		$got{$sequence}{$number} = $id;
	}
	$node->safe_psql('postgres', "SELECT acknowledge_usage_alert_events('consumer', '{" . join(',', @ids) . "}')") if @ids && !($may_forget && rand() < 0.5);
	return scalar @ids;
}

# For some seconds, and until something was told.
my $until = time + 8;
my $patience = time + $PostgreSQL::Test::Utils::timeout_default;
consume(1) while time < $until || ($node->safe_psql('postgres', $count) <= $before && time < $patience);
$node->stop('immediate');
$_->finish foreach @processes;
$node->start;
$node->safe_psql('postgres', 'CALL test.refresh()');
is($node->safe_psql('postgres', $wrong), "0\n0", 'with writers and refreshers beside each other, and after a crash, nothing is lost or told twice');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT FROM usage_events.usage_alert_event GROUP BY account_id, number HAVING count(*) > 1) AS n}), 0,
	'and each has a number of its own');

# What was taken and not acknowledged comes again when its lease is over.
my $all = $node->safe_psql('postgres', $count);
cmp_ok($all, '>', $before, 'and something was told meanwhile');
$patience = time + $PostgreSQL::Test::Utils::timeout_default;
my $open = q{SELECT count(*) FROM usage_events.usage_alert_event AS e WHERE NOT EXISTS (SELECT FROM usage_events.usage_alert_delivery AS d
	WHERE d.event_number = e.number AND d.acknowledged_at IS NOT NULL) AND number > (SELECT acknowledged_through FROM usage_events.usage_alert_consumer)};
while ($node->safe_psql('postgres', $open) > 0 && time < $patience)
{
	consume(0) || select undef, undef, undef, 0.2;
}
is(scalar(map { keys %$_ } values %got), $all, "the consumer has got all of $all events");
is(join(' ', @out_of_order), '', 'and those of an alert and a customer in order');

# A dump ---------------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->safe_psql('postgres', 'DROP SCHEMA test CASCADE');
my $dump = "$PostgreSQL::Test::Utils::tmp_check/alerts.dump";
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'a dump');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'is restored');
$node->safe_psql('restored', 'SELECT usage_events.refresh_rollups()') foreach 1 .. 5;
is($node->safe_psql('restored', 'SELECT count(*), (SELECT count(*) FROM usage_alerts) FROM usage_alert_events'), "$all|4", 'with alerts and what they told, and tells nothing twice');
is($node->safe_psql('restored', q{SELECT take_usage_alert_events('consumer')}), '[]', 'the consumer has got all of it there as well');
is($node->safe_psql('restored', q{SELECT count(*) FROM jsonb_array_elements(take_usage_alert_events('another', 1000))}) > 0, 1, 'and another begins with the oldest');

done_testing();
