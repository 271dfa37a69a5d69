# 023_plans.pl: ordinary roles find rows by an index, as a superuser does
#
# Row-level security lets the index look up only what cannot leak: a condition with a function that is not known not to
# is applied to each row instead, and a statement that is fast for a superuser reads the whole table for a role.  Here
# roles call everything that reads events or marks, auto_explain logs the plans of all that this runs, and no scan
# may throw away more than a few of the rows that it read.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant MAX_REMOVED => 500;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
	session_preload_libraries = 'auto_explain'
	auto_explain.log_nested_statements = on
	auto_explain.log_analyze = on
	auto_explain.log_timing = off
	autovacuum = off});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION usage_events');

# Two accounts, each of 20 customers and 12,000 events in 200 minutes.
foreach my $account ('one', 'two')
{
	my $id = $node->safe_psql('postgres', "SELECT usage_events.create_account('$account')");
	foreach my $access ('ingest', 'read', 'admin')
	{
		$node->safe_psql('postgres', "CREATE ROLE ${access}_$account LOGIN; SELECT usage_events.grant_access('${access}_$account', '$access');
			ALTER ROLE ${access}_$account SET usage_events.account_id = '$id'");
	}
	$node->safe_psql('postgres', q{
		SELECT create_usage_metric('{"name": "calls", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "COUNT"}'),
			create_usage_metric('{"name": "users", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "UNIQUE", "aggregationProperty": "user"}');
		SELECT usage_events.refresh_rollups()}, extra_params => [ '-U', "admin_$account" ]);
	send_batches($account, 1, 12);
}
$node->safe_psql('postgres', 'VACUUM ANALYZE');

# Batches of 1,000 events, of all customers and times: their minutes are marked for all customers.
sub send_batches
{
	my ($account, $first, $last) = @_;
	$node->safe_psql('postgres', qq{
		SELECT count(create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerEventId', 'e-' || batch || '-' || n, 'customerAlias', 'c-' || n % 20, 'eventType', 'call',
			'eventTimestamp', to_json('2026-10-01Z'::timestamptz + ((n * 7 + n / 20) % 200) * interval '1 minute' + n * interval '11 ms'), 'eventProperties', jsonb_build_object('user', n % 5))) FROM generate_series(1, 1000) AS n)))
		FROM generate_series($first, $last) AS batch}, extra_params => [ '-U', "ingest_$account" ]);
}

# Scans that threw away many rows, by the plans of all that the SQL runs.
sub wasteful_scans
{
	my ($user, $sql) = @_;
	my $seen = -s $node->logfile;
	$node->safe_psql('postgres', $sql, extra_params => [ '-U', $user ]);
	my $log = slurp_file($node->logfile, $seen);
	my @wasteful;
	my $statements = 0;
	foreach my $plan (split /(?=^\S.* LOG:  duration: )/m, $log)
	{
		my ($text) = $plan =~ /Query Text: (.*)/ or next;
		$statements++;
		my ($scan, $loops) = ('', 1);
		foreach my $line (split /\n/, $plan)
		{
			($scan, $loops) = ($1, $2) if $line =~ /(\w.* (?:on|using) \S.*?)  \(cost.*loops=(\d+)\)/;
			push @wasteful, "$scan: $1 rows removed, $loops times: $text" if $line =~ /Rows Removed by (?:Index Recheck|Filter): (\d+)/ && $1 * $loops > MAX_REMOVED;
		}
	}
	return ($statements, join "\n", @wasteful);
}

sub is_found
{
	my ($user, $sql, $what) = @_;
	my ($statements, $wasteful) = wasteful_scans($user, $sql);
	is($wasteful, '', $what);
	cmp_ok($statements, '>', 0, "$what: the log has plans");
}

$node->safe_psql('postgres', 'ALTER SYSTEM SET auto_explain.log_min_duration = 0');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');

my $period = q{'[2026-10-01 00:30Z, 2026-10-01 02:00Z)'};
my $calls = q{(SELECT id FROM usage_metrics WHERE name = 'calls')};
my $users = q{(SELECT id FROM usage_metrics WHERE name = 'users')};
my %questions = (
	'one customer' => "SELECT calculate_usage_metric($calls, '{c-7}', $period)",
	'another metric of one customer' => "SELECT calculate_usage_metric($users, '{c-7}', $period)",
	'a series' => "SELECT count(*) FROM usage_metric_series($calls, '{c-7,c-8}', $period, 'hour')",
	'all customers' => "SELECT count(*) FROM usage_metric_by_customer($calls, $period)");

foreach my $state ('without rollups', 'with rollups', 'with marks')
{
	is_found('admin_one', 'SELECT usage_events.refresh_rollups()', 'a refresh') if $state eq 'with rollups';
	send_batches('one', 13, 13) if $state eq 'with marks';
	foreach my $what (sort keys %questions)
	{
		next if $what eq 'all customers' && $state eq 'without rollups';    # it reads all there is of the account
		is_found('read_one', $questions{$what}, "$what, $state");
	}
}
is_found('admin_one', 'SELECT usage_events.refresh_rollups()', 'a refresh of some minutes');
is_found('read_one', q{SELECT list_usage_events(20), list_usage_events(20, customer_aliases => '{c-7}'), list_usage_events(20, event_type => 'call')}, 'lists');
is_found('read_one', q{SELECT list_usage_events(20, unmapped_aliases_only => true), list_usage_events(20, event_id => 'e-3-7'),
	list_usage_events(20, sort_by => 'eventTimestamp', event_timestamp_after => '2026-10-01Z', event_timestamp_before => '2026-10-01 00:05Z')}, 'more lists');
is_found('read_one', q{SELECT list_usage_metrics(10), list_customer_aliases(10)}, 'lists of other things');
is_found('read_one', q{SELECT count(*) FROM unmapped_customer_aliases}, 'aliases of no customer');
is_found('read_one', "SELECT explain_usage_event($calls, id) FROM usage_events WHERE customer_event_id = 'e-3-7'", 'an explanation');
is_found('read_one', "SELECT calculate_usage_metric($calls, '{c-7}', $period, now()), (SELECT count(*) FROM usage_metric_by_customer($calls, $period, now()))", 'as of a moment');
is_found('read_one', "SELECT count(*) FROM usage_metric_changes($calls, '{c-7}', $period, now())", 'what has changed');
is_found('admin_one', 'SELECT count(*) FROM usage_events.rollup_status', 'the state of rollups');
is_found('read_one', q{SELECT get_usage_event_history(id) FROM usage_events WHERE customer_event_id = 'e-3-7'}, 'a history');
is_found('read_one', q{SELECT * FROM usage_events WHERE customer_alias = 'c-7' AND event_timestamp >= '2026-10-01Z' AND event_timestamp < '2026-10-01 00:05Z'}, 'the view');
is_found('ingest_one', q{SELECT create_usage_event('{"customerEventId": "e-3-7", "customerAlias": "c-7", "eventType": "call"}')}, 'a correction');
is_found('ingest_one', q{SELECT create_usage_events('[{"customerEventId": "e-3-8", "customerAlias": "c-7", "eventType": "call"}, {"customerEventId": "new", "customerAlias": "c-7", "eventType": "call"}]')}, 'a batch');
is_found('ingest_one', q{SELECT ingest_usage_events('[{"customerEventId": "e-3-8", "customerAlias": "c-7", "eventType": "call"}, {"customerEventId": "newer", "customerAlias": "c-7", "eventType": "call"}, {}]')}, 'a batch with a refused event');
is_found('admin_one', q{SELECT usage_events.purge('2026-10-01 00:02Z')}, 'a purge');

# Statistics that autovacuum took when there was little, and all of it of a few keys: a batch looks its keys up all the same,
# and does not compare each of them with each event of the account, which would take minutes.  (A plan for these keys
# has them in it, and where it filters by them, it does so by a hash; one for any has a parameter.)
my $batch = q{SELECT jsonb_array_length(create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerEventId', n::text, 'customerAlias', 'a', 'eventType', '%s'))
	FROM generate_series(1, 2000) AS n)))};
$node->safe_psql('postgres', q{
	TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.dirty_bucket;
	SELECT count(create_usage_event(jsonb_build_object('customerEventId', n::text, 'customerAlias', 'a', 'eventType', 't'))) FROM generate_series(1, 7) AS n;
	ANALYZE usage_events.event;
	TRUNCATE usage_events.event});
$node->safe_psql('postgres', sprintf($batch, 'call'));
my $seen = -s $node->logfile;
$node->safe_psql('postgres', sprintf($batch, 'other'));
my $log = slurp_file($node->logfile, $seen);
like($log, qr/customer_event_id = ANY \(/, 'a batch of corrections: the log has plans');
unlike($log, qr/Filter: .*customer_event_id = ANY \(\$/, 'old statistics do not have each key compared with each event');

done_testing();
