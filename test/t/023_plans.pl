# 023_plans.pl: ordinary roles find rows by an index, as a superuser does
#
# Row-level security lets the index look up only what cannot leak: a condition with a function that is not known not to
# is applied to each row instead, and a statement that is fast for a superuser reads the whole table for a role.  Here
# roles call everything that reads events or marks, auto_explain logs the plans of all that this runs, and no scan
# may throw away more than a few of the rows that it read.
use strict;
use warnings FATAL => 'all';

use List::Util qw(max pairs);
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
	log_statement = none
	track_functions = all
	autovacuum = off});
# What statements are called with may be long, and is of no interest here.
$node->append_conf('postgresql.conf', 'auto_explain.log_parameter_max_length = 0') if $node->config_data('--version') =~ / (\d+)/ && $1 >= 16;
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

# A customer's first event takes as long where 20,000 others are rolled up: none of theirs are gone through.
$node->safe_psql('postgres', q{
	ALTER TABLE usage_events.metric_rollup DISABLE TRIGGER USER;
	INSERT INTO usage_events.metric_rollup (account_id, metric_version_id, customer_alias, level, bucket, group_key, unique_key, is_branch, event_count, skipped_event_count)
		SELECT account_id, version_id, 'other-' || n, 1, '2026-10-01Z', '', '', false, 1, 0 FROM usage_events.metric, generate_series(1, 20000) AS n WHERE name = 'calls';
	ALTER TABLE usage_events.metric_rollup ENABLE TRIGGER USER});
my $pages_of_rollups = q{SELECT idx_blks_hit + idx_blks_read FROM pg_statio_user_indexes WHERE indexrelname = 'metric_rollup_pkey'};
my $first_event = q{SELECT create_usage_event('{"customerAlias": "%s", "eventType": "call"}') IS NOT NULL;
	SELECT usage_events.refresh_rollups(), pg_stat_force_next_flush()};
$node->safe_psql('postgres', sprintf($first_event, 'early'), extra_params => [ '-U', 'admin_one' ]);
my $pages_before = $node->safe_psql('postgres', $pages_of_rollups);
$node->safe_psql('postgres', sprintf($first_event, 'late'), extra_params => [ '-U', 'admin_one' ]);
cmp_ok($node->safe_psql('postgres', $pages_of_rollups) - $pages_before, '<', 100, 'the first event of a customer is rolled up without a look at those of others');

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

# Every statement, whatever the planner knows -----------------------------------

# A plan that reads all for each of many shows as rows read, however fast the machine is.  Everything that the extension runs is run
# for an account with so many events, versions, aliases, marks …, in databases of which the planner knows nothing, or what is out of date.
use constant {
	SIZE => 2000,
	MAX_ROWS => 100 * 2000,      # that the nodes of a plan put out or threw away: a twentieth of what a quadratic one would
	MAX_THROWN_AWAY => 5 * 2000, # of them: less than other accounts have in each table
	MAX_PAGES => 40 * 2000,      # that it looked at: also of an index of which it puts nothing out
};

# Tables of another account, which is larger.
my $other_account = q{
	SELECT usage_events.create_account('other') AS other \gset
	SET synchronous_commit = off;
	INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
		SELECT :'other', uuid_v7(), '2026-10-01Z'::timestamptz + n * interval '10 s', 'e-' || n, 'alias-' || n % 20000, 'call', '{"n": 1}' FROM generate_series(1, 200000) AS n;
	INSERT INTO usage_events.superseded_event (account_id, id, event_timestamp, superseded_at, superseded_by, customer_event_id, customer_alias, event_type, event_properties)
		SELECT account_id, uuid_v7(), event_timestamp, now(), id, customer_event_id, customer_alias, event_type, event_properties FROM usage_events.event LIMIT 60000;
	INSERT INTO usage_events.customer_alias (account_id, id, customer_id, value, created_at) SELECT :'other', uuid_v7(), 'customer-' || n % 5000, 'alias-' || n, now() FROM generate_series(1, 20000) AS n;
	INSERT INTO usage_events.metric (account_id, id, version_id, name, metric_type, event_type, aggregation_type, property_filters, case_sensitive, created_at)
		SELECT :'other', uuid_v7(), uuid_v7(), 'metric ' || n, 'SIMPLE', 'call', 'COUNT', '{}', true, now() FROM generate_series(1, 20000) AS n;
	INSERT INTO usage_events.superseded_metric (account_id, id, version_id, name, metric_type, event_type, aggregation_type, property_filters, case_sensitive, created_at)
		SELECT account_id, id, uuid_v7(), name, metric_type, event_type, aggregation_type, property_filters, case_sensitive, created_at FROM usage_events.metric;
	INSERT INTO usage_events.metric_progress (account_id, metric_version_id, event_type, is_built, started_at) SELECT account_id, version_id, event_type, true, now() FROM usage_events.metric;
	INSERT INTO usage_events.metric_rollup (account_id, metric_version_id, customer_alias, level, bucket, group_key, unique_key, is_branch, event_count, skipped_event_count)
		SELECT :'other', (SELECT version_id FROM usage_events.metric LIMIT 1), 'alias-' || n, 1, '2026-10-01Z', '', '', false, 10, 0 FROM generate_series(1, 60000) AS n;
	INSERT INTO usage_events.dirty_bucket (account_id, event_type, customer_alias, bucket, marked_at, seconds)
		SELECT :'other', 'call', CASE WHEN n % 2 = 0 THEN 'alias-' || n ELSE '' END, '2026-10-01Z'::timestamptz + n * interval '1 minute', now(), 60 FROM generate_series(1, 60000) AS n;
	INSERT INTO usage_events.rejected_event (account_id, id, body, faults, taken_at) SELECT :'other', uuid_v7(), '{}', '[]', CASE WHEN n % 2 = 0 THEN now() END FROM generate_series(1, 20000) AS n;
	INSERT INTO usage_events.rejected_overflow (account_id, id, event_count, last_at) SELECT :'other', uuid_v7(), 1, now() FROM generate_series(1, 20000) AS n;
	INSERT INTO usage_events.api_key (account_id, client_id, secret_hash, label, created_at) SELECT :'other', :'other' || '.' || n, '', 'key', now() FROM generate_series(1, 20000) AS n;
	INSERT INTO usage_events.portal_token (account_id, id, secret_hash, created_at, expires_at, customer) SELECT :'other', uuid_v7(), '', now(), now() + (n - 10000) * interval '1 second', 'acme' FROM generate_series(1, 20000) AS n;
	INSERT INTO usage_events.usage_limit (account_id, id, version_id, name, metric_id, customer, period, timezone, limit_value, mode, created_at, updated_at)
		SELECT account_id, uuid_v7(), uuid_v7(), 'limit', id, CASE WHEN right(name, 1) < '5' THEN 'alias-7' END, 'MONTH', 'UTC', 10, 'BLOCK', now(), now() FROM usage_events.metric;
	INSERT INTO usage_events.superseded_usage_limit SELECT * FROM usage_events.usage_limit;
	INSERT INTO usage_events.usage_limit_lock (account_id, metric_id, customer_hash, turn) SELECT account_id, id, 7, 1 FROM usage_events.metric;
	INSERT INTO usage_events.usage_alert (account_id, id, version_id, name, metric_id, customer, period, timezone, thresholds, direction, created_at, updated_at)
		SELECT account_id, uuid_v7(), uuid_v7(), 'alert', id, CASE WHEN right(name, 1) < '5' THEN 'alias-7' END, 'MONTH', 'UTC', '{10}', 'ABOVE', now(), now() FROM usage_events.metric;
	INSERT INTO usage_events.superseded_usage_alert SELECT * FROM usage_events.usage_alert;
	INSERT INTO usage_events.usage_alert_progress (account_id, usage_alert_id, version_id, metric_version_id, customer_alias, is_over)
		SELECT account_id, id, version_id, metric_id, 'alias-7', name < 'b' FROM usage_events.usage_alert;
	INSERT INTO usage_events.usage_alert_due (account_id, id, usage_alert_id, customer, period_start)
		SELECT account_id, uuid_v7(), id, 'alias-7', '2026-10-01Z' FROM usage_events.usage_alert;
	INSERT INTO usage_events.usage_alert_state (account_id, usage_alert_id, customer, period_start, threshold, is_triggered, period_end)
		SELECT account_id, id, 'alias-' || n, '2026-10-01Z', 10, true, '2026-11-01Z' FROM usage_events.usage_alert, generate_series(1, 3) AS n;
	INSERT INTO usage_events.usage_alert_event (account_id, id, usage_alert_id, customer, period_start, threshold, value, state, occurred_at, number)
		SELECT account_id, uuid_v7(), usage_alert_id, customer, period_start, threshold, 11, 'TRIGGERED', now(), row_number() OVER () FROM usage_events.usage_alert_state;
	INSERT INTO usage_events.usage_alert_consumer (account_id, consumer, acknowledged_through, created_at) SELECT :'other', 'consumer-' || n, n, now() FROM generate_series(1, 20000) AS n;
	INSERT INTO usage_events.usage_alert_delivery (account_id, consumer, event_number, leased_until, acknowledged_at)
		SELECT account_id, 'consumer-1', number, now(), CASE WHEN number % 2 = 0 THEN now() END FROM usage_events.usage_alert_event;
};

# Statistics of a user's own: of all columns, and of some together.
my $own_statistics = q{
	DO $$ DECLARE attribute record; BEGIN
		FOR attribute IN SELECT attrelid::regclass AS relation, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
			WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
		LOOP EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 100', attribute.relation, attribute.attname); END LOOP; END $$;
	CREATE STATISTICS public.events (ndistinct, dependencies, mcv) ON account_id, event_type, customer_alias FROM usage_events.event;
	CREATE STATISTICS public.versions (ndistinct, dependencies, mcv) ON account_id, customer_event_id FROM usage_events.superseded_event;
	CREATE STATISTICS public.aliases (ndistinct, dependencies, mcv) ON account_id, customer_id, value FROM usage_events.customer_alias};

# As if there had been a row in each table when it was last analyzed, on as many pages as now.
my $one_row = q{UPDATE pg_class SET reltuples = 1, relpages = greatest(pg_relation_size(oid) / 8192, 1) WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r'};

# What the planner is told before the account's own rows are there, and after.
my %states = (
	'nothing known' => { template => 'alone' },
	'analyzed when empty' => { template => 'alone', before => 'VACUUM ANALYZE' },
	'beside another account, nothing known' => { template => 'beside' },
	'beside another account, which alone is known' => { template => 'beside', before => 'VACUUM ANALYZE' },
	'beside another account, one row known' => { template => 'beside', before => $one_row, after => $one_row, is_wrong => 1 },
	'beside another account, all known' => { template => 'beside', after => 'VACUUM ANALYZE' },
	'beside another account, all known by statistics of the user' => { template => 'beside', before => $own_statistics, after => 'ANALYZE' });

# JSON of events 1 to SIZE, but for these fields.
sub events
{
	my ($fields, $count) = @_;
	return qq{(SELECT jsonb_agg(jsonb_build_object('eventType', 'call', 'eventTimestamp', to_json('2026-10-01Z'::timestamptz + n * interval '7 s'),
		'eventProperties', jsonb_build_object('n', n, 'user', n % 50, 'kind', n % 5)) || $fields) FROM generate_series(1, @{[ $count // SIZE ]}) AS n)};
}

my $of_acme = q{jsonb_build_object('customerAlias', 'acme', 'customerEventId', 'a-' || n)};
my $of_many = q{jsonb_build_object('customerAlias', 'alias-' || n, 'customerEventId', 'm-' || n, 'eventType', 'other')};
my $of_some = q{jsonb_build_object('customerAlias', 'some-' || n % 20, 'customerEventId', 's-' || n)};
my $other = q{jsonb_build_object('eventProperties', jsonb_build_object('n', n + 1, 'user', n % 60, 'kind', n % 6))};
my $october = q{'[2026-10-01 00:00Z, 2026-11-01 00:00Z)'};
my $midst = q{'[2026-10-01 00:30:10Z, 2026-10-01 02:10:20Z)'};
my $customers = q{(SELECT array_agg('customer-' || n) FROM generate_series(0, 999) AS n)};
my $named = q{(SELECT array_agg('alias-' || n) FROM generate_series(1, 2000) AS n)};

# Statements are the functions' of each metric; $1 is its id.
sub of_metrics { my ($sql) = @_; return join ";\n", map { my $id = qq{(SELECT id FROM usage_metrics WHERE name = '$_')}; $sql =~ s/METRIC/$id/gr } qw(sum unique median grouped); }

# Questions whose answers come from events, rollups and marks, as these are.
my @questions = (
	'one customer' => of_metrics("SELECT calculate_usage_metric(METRIC, '{acme}', $october), calculate_usage_metric(METRIC, '{acme}', $midst)"),
	'ids of customers' => of_metrics("SELECT calculate_usage_metric(METRIC, $customers, $october)"),
	'aliases' => of_metrics("SELECT calculate_usage_metric(METRIC, $named, $midst)"),
	'a series' => of_metrics("SELECT count(*) FROM usage_metric_series(METRIC, '{acme,some-1}', $midst, 'hour')"),
	'all customers' => of_metrics("SELECT count(*) FROM usage_metric_by_customer(METRIC, $midst)"),
	'as of a moment' => of_metrics("SELECT calculate_usage_metric(METRIC, '{acme}', $october, moment), calculate_usage_metric(METRIC, $customers, $midst, moment) FROM moment"),
	'all customers as of a moment' => of_metrics("SELECT (SELECT count(*) FROM usage_metric_by_customer(METRIC, $october, moment)) FROM moment"),
	'a series as of a moment' => of_metrics("SELECT (SELECT count(*) FROM usage_metric_series(METRIC, '{acme}', $midst, 'hour', as_of => moment)) FROM moment"),
	'what has changed' => of_metrics("SELECT (SELECT count(*) FROM usage_metric_changes(METRIC, '{acme}', $october, moment)), (SELECT count(*) FROM usage_metric_changes(METRIC, $customers, $october, moment)) FROM moment"),
	'why an event counts' => of_metrics("SELECT explain_usage_event(METRIC, id) FROM usage_events WHERE customer_event_id = 'a-7'"));

my $moment = 'INSERT INTO moment SELECT clock_timestamp()';
my $refresh = join ';', ('SELECT usage_events.refresh_rollups(usage_events.current_account_id())') x 6;
my $late = q{SELECT create_usage_events('[{"customerAlias": "acme", "customerEventId": "late", "eventType": "call", "eventTimestamp": "2026-10-01T01:00:00Z", "eventProperties": {"n": 1}},
	{"customerAlias": "some-1", "customerEventId": "late too", "eventType": "call", "eventTimestamp": "2026-10-01T01:00:00Z"},
	{"customerAlias": "VOID", "customerEventId": "lone", "eventType": "call", "eventTimestamp": "2026-10-01T01:00:00Z"}]') IS NOT NULL};

# Requests over HTTP, as far as the database is concerned.
sub request_function
{
	return q{
		CREATE FUNCTION pg_temp.request(credentials text, request text, body text DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM set_config('request.headers', jsonb_build_object('usage-request', request, 'authorization',
				'Basic ' || translate(encode(convert_to(credentials, 'UTF8'), 'base64'), E'\n', ''))::text, true), set_config('request.path', '/rpc/', true);
			PERFORM usage_events.authenticate_request();
			RETURN CASE WHEN body IS NULL THEN usage_api_read()::text ELSE usage_api_write(convert_to(body, 'UTF8'))::text END;
		EXCEPTION WHEN OTHERS THEN
			IF SQLERRM !~ 'not found' THEN RAISE; END IF;
			RETURN NULL;
		END $$;};
}

# Limits that hold for events which others count as well, and so high that they keep none out; and those of a metric of their own, which do.
my $limit = q{jsonb_build_object('name', 'limit', 'usageMetricId', id, 'period', 'MONTH', 'limit', 1e12, 'mode', 'BLOCK')};
my $of_blocked = q{jsonb_build_object('customerAlias', 'acme', 'customerEventId', 'b-' || n, 'eventType', 'blocked')};
my $of_level = q{jsonb_build_object('customerAlias', 'acme', 'customerEventId', 'v-' || n, 'eventType', 'level')};
my @limit_steps = (
	'limits are made' => qq{
		SELECT create_usage_metric(m || '{"metricType": "SIMPLE", "eventType": "blocked"}') FROM jsonb_array_elements('[
			{"name": "blocked", "aggregationType": "COUNT"}, {"name": "blocked users", "aggregationType": "UNIQUE", "aggregationProperty": "user"}]') AS m;
		SELECT create_usage_limit($limit) FROM usage_metrics WHERE name IN ('sum', 'unique', 'grouped', 'others');
		SELECT create_usage_limit($limit || '{"mode": "REPORT", "period": "ALL_TIME"}') FROM usage_metrics WHERE name IN ('sum', 'median');
		SELECT create_usage_limit($limit || '{"period": "ALL_TIME", "limit": 1700}') FROM usage_metrics WHERE name LIKE 'blocked%';
		SELECT create_usage_limit($limit || jsonb_build_object('customer', c)) FROM usage_metrics, unnest('{acme,customer-7,some-1,alias-9}'::text[]) AS c WHERE name IN ('sum', 'others')},
	'limits are updated, and deleted' => qq{
		SELECT update_usage_limit(l.id, jsonb_set($limit || '{"customer": "acme", "name": "updated"}', '{usageMetricId}', to_jsonb(usage_metric_id))) FROM usage_limits AS l WHERE customer = 'acme';
		SELECT get_usage_limit(id), delete_usage_limit(id) FROM usage_limits WHERE customer = 'some-1'},
	'limits are listed' => q{SELECT list_usage_limits(20), list_usage_limits(20, name => 'LIMIT 7'), list_usage_limits(20, usage_metric_id => usage_metric_id::text), list_usage_limits(20, customer => 'acme'),
			list_usage_limits(20, period => 'DAY'), list_usage_limits(20, mode => 'REPORT'), list_usage_limits(20, usage_metric_id => usage_metric_id::text, customer => 'alias-9', mode => 'BLOCK'),
			list_usage_limits(20, after => list_usage_limits(20) #>> '{pagination,after}'), list_usage_limits(20, after => list_usage_limits(20, mode => 'BLOCK') #>> '{pagination,after}', mode => 'BLOCK')
		FROM usage_limits WHERE customer = 'alias-9' LIMIT 1},
	'limits are checked' => q{SELECT check_usage_limit(c, id, 1, '2026-10-01 01:00Z') FROM usage_metrics, unnest('{acme,customer-7,alias-7,alias-9,some-1,nobody}'::text[]) AS c WHERE metric_type <> 'CUSTOM'},
	'what is used of limits' => q{SELECT count(*) FROM usage_limit_status; SELECT count(*) FROM usage_limits},
	'events under limits, one by one' => join(';', map { "SELECT create_usage_event($_)" } (q{'{"customerAlias": "acme", "customerEventId": "under a limit", "eventType": "call", "eventProperties": {"n": 3}}'}) x 2,
		q{'{"customerAlias": "acme", "customerEventId": "under a limit", "eventType": "call", "eventProperties": {"n": 2}}'}, q{'{"customerAlias": "alias-7", "eventType": "other"}'}),
	'an event under a limit, in a transaction that keeps its snapshot' => q{BEGIN ISOLATION LEVEL REPEATABLE READ;
		SELECT create_usage_event('{"customerAlias": "acme", "eventType": "call", "eventProperties": {"n": 1}}'); COMMIT},
	'corrections of one customer, under limits' => "SELECT jsonb_array_length(create_usage_events(@{[ events(qq($of_acme || jsonb_build_object('eventProperties', jsonb_build_object('n', n + 2)))) ]}))",
	'events of some customers, under limits' => "SELECT jsonb_array_length(create_usage_events(@{[ events(qq($of_some || jsonb_build_object('customerEventId', 'l-' || n))) ]}))",
	'events of many customers, under limits' => "SELECT jsonb_array_length(create_usage_events(@{[ events(qq($of_many || jsonb_build_object('customerEventId', 'l-' || n)), 500) ]}))",
	'ingested under limits' => "SELECT ingest_usage_events(@{[ events(qq($of_many || $other), 200) ]}) -> 'superseded'",
	'refused by limits' => "SELECT ingest_usage_events(@{[ events($of_blocked) ]}) -> 'refused'; SELECT retry_rejected_usage_events() -> 'refused';
		SELECT ingest_usage_events(@{[ events(qq($of_blocked || jsonb_build_object('customerEventId', 'over-' || n)), 20) ]}) -> 'refused'",
	'corrections under limits, whose order matters' => qq{
		SELECT create_usage_metric(m || '{"metricType": "SIMPLE", "eventType": "level", "aggregationProperty": "n"}') FROM jsonb_array_elements('[
			{"name": "level", "aggregationType": "LATEST"}, {"name": "average level", "aggregationType": "AVERAGE"}]') AS m;
		SELECT create_usage_limit($limit || '{"period": "ALL_TIME", "limit": 5000}') FROM usage_metrics WHERE name LIKE '%level';
		SELECT ingest_usage_events(@{[ events($of_level, 400) ]}) -> 'created';
		SELECT ingest_usage_events(@{[ events(qq($of_level || $other), 400) ]}) -> 'refused'},
	'refused by a limit, one by one' => q{DO $$ BEGIN PERFORM create_usage_event('{"customerAlias": "acme", "eventType": "blocked"}'); EXCEPTION WHEN configuration_limit_exceeded THEN NULL; END $$},
	'a refresh of events under limits' => $refresh);

# Alerts of one customer and of each.
my $alert = q{jsonb_build_object('name', 'alert', 'usageMetricId', id, 'period', 'ALL_TIME', 'thresholds', '[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]'::jsonb, 'direction', 'ABOVE')};
my $take = q{SELECT jsonb_array_length(take_usage_alert_events('%s', 1000))};
my $take_and_acknowledge = q{SELECT acknowledge_usage_alert_events('%s', ARRAY(SELECT (e ->> 'id')::uuid FROM jsonb_array_elements(take_usage_alert_events('%1$s', 1000)) AS e))};
my @alert_steps = (
	'alerts are made' => qq{
		SELECT create_usage_alert($alert) FROM usage_metrics WHERE name = 'others';
		SELECT create_usage_metric('{"name": "seen", "eventType": "seen", "metricType": "SIMPLE", "aggregationType": "COUNT"}');
		SELECT create_usage_alert($alert || '{"customer": "seen"}') FROM usage_metrics WHERE name = 'seen';
		SELECT create_usage_event('{"customerEventId": "seen", "customerAlias": "seen", "eventType": "seen"}');
		SELECT create_usage_alert($alert || jsonb_build_object('direction', 'BELOW', 'customer', c)) FROM usage_metrics, unnest('{acme,customer-7,some-1,alias-9}'::text[]) AS c WHERE name = 'others'},
	'alerts are updated, and deleted' => qq{
		SELECT update_usage_alert(a.id, jsonb_set($alert || '{"direction": "BELOW", "customer": "acme", "name": "updated"}', '{usageMetricId}', to_jsonb(usage_metric_id))) FROM usage_alerts AS a WHERE customer = 'acme';
		SELECT get_usage_alert(id), delete_usage_alert(id) FROM usage_alerts WHERE customer = 'some-1'},
	'alerts are listed' => q{SELECT list_usage_alerts(20), list_usage_alerts(20, usage_metric_id => usage_metric_id), list_usage_alerts(20, customer => 'acme'),
			list_usage_alerts(20, after => list_usage_alerts(20) #>> '{pagination,after}'), list_usage_alerts(20, usage_metric_id => usage_metric_id, customer => 'alias-9')
		FROM usage_alerts WHERE customer = 'alias-9' LIMIT 1},
	'a refresh looks at all customers' => $refresh,
	'an event that alerts have told of is taken back' => q{SELECT create_usage_event('{"customerEventId": "seen", "customerAlias": "VOID", "eventType": "seen"}')},
	'events of more customers, with alerts' => "SELECT jsonb_array_length(create_usage_events(@{[ events(qq($of_many || jsonb_build_object('customerEventId', 'w-' || n)), 100) ]}))",
	'a refresh looks at those that have changed' => $refresh,
	'aliases are made and deleted, with alerts' => q{
		SELECT count(create_customer_alias(jsonb_build_object('customerId', 'acme', 'value', 'watched-' || n))) FROM generate_series(1, 20) AS n;
		SELECT delete_customer_alias(id) FROM customer_aliases WHERE value LIKE 'watched-%'},
	'alert events are listed' => q{SELECT list_usage_alert_events(20), list_usage_alert_events(20, usage_alert_id => usage_alert_id), list_usage_alert_events(20, customer => customer), list_usage_alert_events(20, state => 'RESOLVED'),
			list_usage_alert_events(20, after => list_usage_alert_events(20) #>> '{pagination,after}'),
			list_usage_alert_events(20, usage_alert_id => usage_alert_id, after => list_usage_alert_events(20, usage_alert_id => usage_alert_id) #>> '{pagination,after}')
		FROM usage_alert_events LIMIT 1},
	'alert events are taken' => join(';', map { sprintf $take, $_ } 'slow', 'slow', 'other'),
	'alert events are acknowledged' => join(';', (sprintf $take_and_acknowledge, 'quick') x 4),
	'a refresh after that' => $refresh,
	'alert events are taken again' => join(';', map { sprintf $take, $_ } 'slow', 'quick', 'other'),
	'a refresh deletes old alert events' => $refresh);

# Rows of which there would be too many to be made one by one, or that time has to make: what is done before a step.
my %beforehand = (
	'limits are listed' => q{
		INSERT INTO usage_events.usage_limit (account_id, id, version_id, name, metric_id, customer, period, timezone, limit_value, mode, created_at, updated_at)
			SELECT m.account_id, uuid_v7(), uuid_v7(), 'limit ' || n, m.id, 'alias-' || n, 'DAY', 'UTC', 1e12, CASE WHEN n % 2 = 0 THEN 'BLOCK' ELSE 'REPORT' END, now(), now()
			FROM usage_events.metric AS m, generate_series(1, 2000) AS n WHERE account_id = '00000000-0000-8000-8000-000000000001' AND m.name = 'others';
		INSERT INTO usage_events.superseded_usage_limit SELECT * FROM usage_events.usage_limit WHERE account_id = '00000000-0000-8000-8000-000000000001'},
	'alerts are listed' => q{
		INSERT INTO usage_events.usage_alert (account_id, id, version_id, name, metric_id, customer, period, timezone, thresholds, direction, created_at, updated_at)
			SELECT m.account_id, uuid_v7(), uuid_v7(), 'alert ' || n, m.id, 'alias-' || n, 'DAY', 'UTC', '{5}', 'ABOVE', now(), now()
			FROM usage_events.metric AS m, generate_series(1, 80) AS n WHERE account_id = '00000000-0000-8000-8000-000000000001' AND m.name = 'sum';
		INSERT INTO usage_events.superseded_usage_alert (account_id, id, version_id, name, metric_id, customer, period, timezone, thresholds, direction, created_at, updated_at)
			SELECT account_id, id, uuid_v7(), name, metric_id, customer, period, timezone, thresholds, direction, created_at, updated_at
			FROM usage_events.usage_alert, generate_series(1, 25) WHERE account_id = '00000000-0000-8000-8000-000000000001'},
	# It has looked at most customers already, and each that is left tells as many thresholds as there are.
	'a refresh looks at all customers' => q{
		INSERT INTO usage_events.usage_alert_progress (account_id, usage_alert_id, version_id, metric_version_id, customer_alias, is_over)
			SELECT a.account_id, a.id, a.version_id, m.version_id, 'alias-8', false FROM usage_events.usage_alert AS a JOIN usage_events.metric AS m ON m.account_id = a.account_id AND m.id = a.metric_id
			WHERE a.account_id = '00000000-0000-8000-8000-000000000001' AND a.deleted_at IS NULL AND a.customer IS NULL},
	'a refresh looks at those that have changed' => q{
		INSERT INTO usage_events.usage_alert_due (account_id, id, usage_alert_id, customer, period_start)
			SELECT account_id, uuid_v7(), id, 'alias-' || n, '2026-10-01Z' FROM usage_events.usage_alert, generate_series(1, 2000) AS n
			WHERE account_id = '00000000-0000-8000-8000-000000000001' AND deleted_at IS NOT NULL},
	'a refresh deletes old alert events' => q{
		UPDATE usage_events.usage_alert_event SET occurred_at = '2020-01-01Z' WHERE account_id = '00000000-0000-8000-8000-000000000001';
		UPDATE usage_events.usage_alert_state SET period_end = '2020-01-01Z' WHERE account_id = '00000000-0000-8000-8000-000000000001'});

# What is run, in this order; each key says as whom.
my @steps = (
	'metrics are made' => q{SELECT create_usage_metric(m || '{"eventType": "call"}') IS NOT NULL FROM jsonb_array_elements('[
			{"name": "sum", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"},
			{"name": "unique", "metricType": "SIMPLE", "aggregationType": "UNIQUE", "aggregationProperty": "user"},
			{"name": "median", "metricType": "SIMPLE", "aggregationType": "PERCENTILE", "aggregationProperty": "n", "percentile": 0.5},
			{"name": "grouped", "metricType": "GROUPED", "aggregationType": "MAX", "aggregationProperty": "n", "groupingProperty": "kind"},
			{"name": "updated", "metricType": "SIMPLE", "aggregationType": "COUNT"}]') AS m},
	'new events' => "SELECT jsonb_array_length(create_usage_events(@{[ events($of_acme) ]}))",
	'more of them' => "SELECT jsonb_array_length(create_usage_events(@{[ events($of_some) ]}))",
	'of many customers' => "SELECT jsonb_array_length(create_usage_events(@{[ events($of_many) ]}))",
	'the same again' => "SELECT jsonb_array_length(create_usage_events(@{[ events($of_acme) ]}))",
	'a moment' => $moment,
	'corrections' => "SELECT jsonb_array_length(create_usage_events(@{[ events(qq($of_acme || $other)) ]}))",
	'ingested' => "SELECT ingest_usage_events(@{[ events($of_some) ]}) -> 'unchanged', ingest_usage_events(@{[ events(qq($of_many || $other), 200) ]}) -> 'superseded'",
	'few at a time' => "SELECT jsonb_array_length(create_usage_events(@{[ events($of_acme, 20) ]})), jsonb_array_length(create_usage_events(@{[ events(qq($of_acme || $other), 20) ]}))",
	'imported' => "INSERT INTO usage_event_import SELECT e::text FROM jsonb_array_elements(@{[ events(q(jsonb_build_object('customerAlias', 'acme', 'customerEventId', 'i-' || n))) ]}) AS e",
	'one by one' => join(';', map { "SELECT create_usage_event($_)" } (q{'{"customerAlias": "acme", "customerEventId": "single", "eventType": "call", "eventTimestamp": "2026-10-01T01:00:00Z"}'}) x 2,
		q{'{"customerAlias": "acme", "customerEventId": "single", "eventType": "other"}'}, q{'{"customerAlias": "acme", "eventType": "of no metric"}'}, q{'{"customerAlias": "acme", "eventType": "call"}'}),
	'an event that will be taken back' => q{SELECT create_usage_event('{"customerAlias": "lone", "customerEventId": "lone", "eventType": "call", "eventTimestamp": "2026-10-01T01:00:00Z"}')},
	'keys that nobody may have' => q{SELECT ingest_usage_events('[{"customerAlias": " a", "eventType": " b", "customerEventId": " c"}]');
		DO $$ BEGIN PERFORM create_customer_alias('{"customerId": "c", "value": " a"}'); EXCEPTION WHEN invalid_parameter_value THEN NULL; END $$;
		DO $$ BEGIN PERFORM create_usage_metric('{"name": "m", "eventType": " b", "metricType": "SIMPLE", "aggregationType": "COUNT"}'); EXCEPTION WHEN invalid_parameter_value THEN NULL; END $$},
	'for an account that is named' => q{SELECT usage_events.create_event(usage_events.current_account_id(), '{"customerAlias": "acme", "eventType": "call"}') IS NOT NULL},
	'refused' => "SELECT ingest_usage_events(@{[ events(q(jsonb_build_object('customerAlias', CASE WHEN n % 2 = 0 THEN 'acme' END, 'eventType', NULL))) ]}) -> 'refused'",
	'refused, and not kept' => "SELECT ingest_usage_events(@{[ events(q(jsonb_build_object('customerAlias', NULL))) ]}) -> 'refused'; SELECT ingest_usage_events(@{[ events(q(jsonb_build_object('customerAlias', NULL)), 10) ]}) -> 'refused'",
	'refused, sent again' => q{SELECT retry_rejected_usage_events() -> 'refused'; SELECT retry_rejected_usage_events((SELECT array_agg(id) FROM rejected_usage_events)) -> 'refused'},
	'events found' => q{SELECT get_usage_event(id), get_usage_event_history(id) FROM usage_events WHERE customer_event_id = 'a-7'},
	'aliases are made' => q{
		SELECT count(create_customer_alias(jsonb_build_object('customerId', 'made', 'value', 'made-' || n))) FROM generate_series(1, 20) AS n;
		SELECT create_customer_alias('{"customerId": "made", "value": "made-1"}');
		SELECT update_customer_alias(id, '{"label": "one"}'), delete_customer_alias(id) FROM customer_aliases WHERE value = 'made-1';
		SELECT list_customer_aliases(), list_customer_aliases(100, value => 'alias-7'), list_customer_aliases(2, after => list_customer_aliases(2) #>> '{pagination,after}')},
	map({ ('without rollups: ' . $_->[0] => $_->[1]) } pairs(@questions)),
	'a refresh' => $refresh,
	map({ ('with rollups: ' . $_->[0] => $_->[1]) } pairs(@questions)),
	'late events' => $late,
	map({ ('with marks: ' . $_->[0] => $_->[1]) } pairs(@questions)),
	'a refresh of late events' => $refresh,
	'all corrected again' => "SELECT jsonb_array_length(create_usage_events(@{[ events($of_acme) ]})), jsonb_array_length(create_usage_events(@{[ events(qq($of_some || $other)) ]}))",
	'with many marks: one customer' => { @questions }->{'one customer'},
	'with many marks: all customers' => { @questions }->{'all customers'},
	'a refresh of all' => $refresh,
	'a metric of many customers' => q{SELECT create_usage_metric('{"name": "others", "eventType": "other", "metricType": "SIMPLE", "aggregationType": "COUNT"}') IS NOT NULL},
	'all of many customers' => "SELECT (SELECT count(*) FROM usage_metric_by_customer(id, $october)), (SELECT count(*) FROM usage_metric_by_customer(id, $october, now())) FROM usage_metrics WHERE name = 'others'",
	'ids of many customers' => "SELECT calculate_usage_metric(id, $customers, $october), calculate_usage_metric(id, $customers, $october, now()), calculate_usage_metric(id, $named, $october) FROM usage_metrics WHERE name = 'others'",
	'what changed with a new metric' => "SELECT count(*) FROM moment, usage_metric_changes((SELECT id FROM usage_metrics WHERE name = 'others'), $customers, $october, moment)",
	'what changed with an update' => "SELECT update_usage_metric(id, '{\"name\": \"sum\", \"eventType\": \"call\", \"metricType\": \"SIMPLE\", \"aggregationType\": \"SUM\", \"aggregationProperty\": \"user\"}') IS NOT NULL FROM usage_metrics WHERE name = 'sum';
		SELECT count(*) FROM moment, usage_metric_changes((SELECT id FROM usage_metrics WHERE name = 'sum'), '{acme}', $october, moment)",
	'a metric is updated, and deleted' => q{SELECT update_usage_metric(id, '{"name": "updated", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}') IS NOT NULL FROM usage_metrics WHERE name = 'updated';
		SELECT get_usage_metric(id), list_usage_metric_versions(id), list_usage_metric_versions(id, 1, after => list_usage_metric_versions(id, 1) #>> '{pagination,after}'),
			delete_usage_metric(id) FROM usage_metrics WHERE name = 'updated';
		SELECT list_usage_metrics(10), list_usage_metrics(10, name => 'S', metric_id => '0', event_types => '{call}', event_properties => '{n}', aggregation_types => '{SUM}'), list_usage_metrics(1, after => list_usage_metrics(1) #>> '{pagination,after}')},
	'a custom metric' => qq{
		SELECT usage_events.create_custom_metric('{"name": "custom", "eventType": "call", "expression": "count(*)"}') IS NOT NULL;
		SELECT calculate_usage_metric(id, '{acme}', $midst), calculate_usage_metric(id, $customers, $october, now()) FROM usage_metrics WHERE name = 'custom';
		SELECT count(*) FROM usage_metric_series((SELECT id FROM usage_metrics WHERE name = 'custom'), '{acme}', $midst, 'hour');
		SELECT usage_events.update_custom_metric(id, '{"name": "custom", "eventType": "call", "expression": "sum(1)"}') IS NOT NULL FROM usage_metrics WHERE name = 'custom'},
	'lists' => q{SELECT list_usage_events(20), list_usage_events(20, sort_order => 'ASC'), list_usage_events(20, sort_by => 'eventTimestamp'), list_usage_events(20, sort_by => 'eventTimestamp', sort_order => 'ASC'), list_usage_events(20, customer_aliases => '{acme}'), list_usage_events(20, event_type => 'other'),
		list_usage_events(20, event_id => 'a-7'), list_usage_events(20, event_id => '01a207ec-ed42-7599-b554-5d1b40ef75a0')},
	'filtered lists' => q{SELECT list_usage_events(20, customer_aliases => '{acme}', sort_by => s, sort_order => 'ASC', page_offset => 1000), list_usage_events(20, customer_aliases => '{acme,some-1}', event_type => 'call', sort_by => s),
		list_usage_events(20, event_timestamp_after => '2026-10-01 00:30Z', event_timestamp_before => '2026-10-01 01:00Z', sort_by => s), list_usage_events(20, event_type => 'other', sort_by => s), list_usage_events(20, event_type => 'absent', sort_by => s), list_usage_events(20, customer_aliases => '{nobody}', sort_by => s)
		FROM unnest('{createdAt,eventTimestamp}'::text[]) AS s},
	'lists of unmapped aliases' => q{SELECT list_usage_events(20, unmapped_aliases_only => true)},
	'lists of named aliases' => "SELECT list_usage_events(20, unmapped_aliases_only => true, customer_aliases => $named), list_usage_events(20, customer_aliases => $named), list_usage_events(20, customer_aliases => $named, sort_by => 'eventTimestamp')",
	@limit_steps,
	@alert_steps,
	'later pages' => qq{CREATE TEMPORARY TABLE page AS SELECT list_usage_events(20) AS by_id, list_usage_events(20, sort_by => 'eventTimestamp') AS by_time, list_usage_events(20, unmapped_aliases_only => true) AS unmapped, list_usage_events(20, customer_aliases => '{acme}') AS of_acme;
		SELECT jsonb_array_length(create_usage_events(@{[ events(qq($of_acme || $other)) ]})), jsonb_array_length(create_usage_events(@{[ events(qq($of_some), 1000) ]}));
		SELECT list_usage_events(20, after => by_id #>> '{pagination,after}'), list_usage_events(20, after => by_time #>> '{pagination,after}', sort_by => 'eventTimestamp'),
			list_usage_events(20, after => unmapped #>> '{pagination,after}', unmapped_aliases_only => true), list_usage_events(20, after => of_acme #>> '{pagination,after}', customer_aliases => '{acme}') FROM page},
	'accounts and keys' => q{SELECT usage_events.create_account('third') AS third \gset
		SELECT usage_events.create_event(:'third', '{"customerAlias": "acme", "eventType": "call"}') IS NOT NULL;
		SELECT client_id AS key FROM usage_events.create_api_key(usage_events.current_account_id(), 'label') \gset
		SELECT client_id AS other_key, client_secret AS secret FROM usage_events.rotate_api_key(:'key', '1 day') \gset
		SELECT usage_events.expire_api_key(:'key', 'infinity'), usage_events.revoke_api_key(:'key');
		SELECT count(*) FROM usage_events.list_api_keys(usage_events.current_account_id());
		BEGIN;
		SELECT set_config('request.headers', jsonb_build_object('authorization', 'Basic ' || translate(encode(convert_to(:'other_key' || ':' || :'secret', 'UTF8'), 'base64'), E'\n', ''))::text, true), set_config('request.path', '/rpc/usage_api_read', true);
		SELECT usage_events.authenticate_request();
		COMMIT},
	'keys with a scope' => request_function() . q{
		SELECT client_id || ':' || client_secret AS full FROM usage_events.create_api_key(usage_events.current_account_id(), 'full') \gset
		SELECT client_id || ':' || client_secret AS of_one FROM usage_events.create_api_key(usage_events.current_account_id(), 'one', 'read', 'customer-7') \gset
		SELECT client_id || ':' || client_secret AS of_acme FROM usage_events.create_api_key(usage_events.current_account_id(), 'acme', 'read', 'acme',
			(SELECT array_agg(id) FROM (SELECT id FROM usage_metrics LIMIT 2) AS m)) \gset
		SELECT id AS metric FROM usage_metrics ORDER BY id DESC LIMIT 1 \gset
		SELECT id AS event FROM usage_events WHERE customer_alias = 'acme' LIMIT 1 \gset
		SELECT client_id || ':' || client_secret AS sees_acme FROM usage_events.create_api_key(usage_events.current_account_id(), 'acme', 'read', 'acme') \gset
		SELECT pg_temp.request(:'of_one', 'GET /usage-events?limit=20'), pg_temp.request(:'of_one', 'GET /usage-events?sortBy=eventTimestamp&customerAlias=alias-7&customerAlias=nobody');
		SELECT pg_temp.request(:'sees_acme', 'GET /usage-events/' || :'event'), pg_temp.request(:'of_one', 'GET /usage-events/' || :'event');
		SELECT pg_temp.request(:'of_acme', 'GET /usage-metrics/' || :'metric' || '/calculate?customerAliases=acme,alias-7&periodStart=2026-10-01&periodEnd=2026-10-31');
		SELECT pg_temp.request(:'sees_acme', 'GET /usage-metrics/' || id || '/' || asked || 'customerAliases=acme&periodStart=2026-10-01&periodEnd=2026-10-31')
			FROM usage_metrics, unnest('{calculate?,series?step=day&}'::text[]) AS asked WHERE name = 'sum';
		SELECT pg_temp.request(:'full', 'POST /portal-tokens', '{"customer": "acme"}') ->> 'id' AS ended \gset
		SELECT pg_temp.request(:'full', 'POST /portal-tokens', '{"customer": "acme", "usageMetricIds": null}') AS token \gset
		SELECT pg_temp.request(:'full', 'GET /status');
		SELECT pg_temp.request(:'full', 'GET /portal-tokens?customer=acme'), pg_temp.request(:'full', 'DELETE /portal-tokens/' || :'ended', ''),
			pg_temp.request(:'full', 'POST /portal-tokens', '{"customer": "acme"}') IS NOT NULL;
		SELECT pg_temp.request(:'token'::jsonb ->> 'clientId' || ':' || (:'token'::jsonb ->> 'clientSecret'), 'GET /usage-events?limit=5')},
	'refused events are listed, explained and given up' => q{
		SELECT list_rejected_usage_events(20), list_rejected_usage_events(20, after => list_rejected_usage_events(20) #>> '{pagination,after}');
		SELECT explain_usage_event((SELECT id FROM usage_metrics WHERE name = 'sum'), id) FROM rejected_usage_events LIMIT 1;
		SELECT delete_rejected_usage_event(id) FROM rejected_usage_events LIMIT 3;
		SELECT ingest_usage_events('[{"customerAlias": "acme"}]') -> 'refused'},
	'customers, types and properties' => q{SELECT list_usage_customers(20), list_usage_customers(20, after => list_usage_customers(20) #>> '{pagination,after}'),
		list_usage_event_types(), list_usage_event_properties('call')},
	'a customer is erased' => q{SELECT usage_events.erase_customer('acme', max_rows => 1500); SELECT usage_events.erase_customer('acme'); SELECT usage_events.erase_customer('acme'); SELECT usage_events.erase_customer('acme'); SELECT usage_events.erase_customer('customer-7')},
	'a purge' => q{SELECT usage_events.purge('2026-10-01 02:00Z', max_rows => 1500); SELECT usage_events.purge('2026-10-01 02:00Z'); SELECT usage_events.purge('2026-10-01 02:00Z')},
	'a purge of all' => q{SELECT usage_events.purge(now()); SELECT usage_events.purge(now())},
	'a last refresh' => "$refresh; SELECT usage_events.refresh_rollups()");

# What an ordinary role asks by SQL of its own, as the README does.
my @questions_of_readers = (
	'what each customer used' => q{SELECT customer_alias, event_type, count(*), sum((event_properties ->> 'n')::numeric) FROM usage_events WHERE event_timestamp >= '2026-10-01Z' AND event_timestamp < '2026-11-01Z' AND customer_alias <> 'VOID' GROUP BY customer_alias, event_type},
	'history' => q{SELECT id, event_properties, ingested_at, superseded_at, superseded_by FROM usage_event_history},
	'what came in the last hour' => q{SELECT count(*) FROM usage_events WHERE id >= uuid_v7_floor(now() - interval '1 hour')},
	'a customer and period' => q{SELECT * FROM usage_events WHERE customer_alias = 'acme' AND event_timestamp >= '2026-10-01Z' AND event_timestamp < '2026-10-01 01:00Z'},
	'customers and their aliases' => q{SELECT a.customer_id, count(*) FROM usage_events AS e JOIN customer_aliases AS a ON a.value = e.customer_alias GROUP BY a.customer_id},
	'an event and its versions' => q{SELECT count(*) FROM usage_events AS e JOIN usage_event_history AS h USING (customer_event_id)},
	'an event by its id' => q{SELECT count(*) FROM usage_events WHERE customer_event_id = 'a-7'});

# Every view of the extension that can be read.
sub views
{
	my ($database) = @_;
	return split /\n/, $node->safe_psql($database, q{SELECT oid::regclass FROM pg_class JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = oid AND deptype = 'e' WHERE relkind = 'v' AND has_table_privilege('app', oid, 'SELECT') ORDER BY 1});
}

# The SQL in the library: whole statements, and parts of those that are put together.
my $library = slurp_file($node->safe_psql('postgres', q{SELECT setting || '/usage_events.so' FROM pg_config WHERE name = 'PKGLIBDIR'}));
# What lies before a string in the library may be the end of a number that looks like characters.
my $before = qr/^(?: +|[^(\s]{1,7})(?=(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH) )/;
my @sql = map { s/$before//r } grep { /OPERATOR\(pg_catalog|^[^(\s]{0,7} *(?:SELECT|INSERT|UPDATE|DELETE|WITH) .*(?:usage_events|pg_catalog)\./ } $library =~ /([\x09\x20-\x7e]{8,})\0/g;
cmp_ok(scalar @sql, '>', 150, 'the library has SQL');

# Of a cluster's tables, of a DROP EXTENSION, of a subscription's end, which is of all rows; and one that is only parsed, to see what an expression is.
my $never_run = qr/pg_dist_|is_built = false, customer_alias = NULL, horizon = NULL|usage_events\.%s%s|^SELECT NULL::pg_catalog\.uuid AS id/;

# Statements of moments that no test can wait for, and one of clusters: the types of their parameters, and values.
my $default = q{'00000000-0000-8000-8000-000000000001'};
my @by_hand = (
	[ qr/^SELECT pg_catalog\.pg_logical_emit_message/, 'uuid', $default ],
	[ qr/^UPDATE usage_events\.usage_alert_progress SET customer_alias = \$2, is_over = false/, 'uuid, text', "$default, ''" ],
	[ qr/^UPDATE usage_events\.usage_alert_progress SET customer_alias = '', is_over = false/, 'uuid, uuid', "$default, :'version'" ],
	[ qr/^UPDATE usage_events\.metric_progress SET turn_at = \$2/, 'uuid, timestamptz, timestamptz', "$default, now(), now()" ],
	[ qr/^UPDATE usage_events\.metric_progress SET horizon = \$3/, 'uuid, uuid, xid8', "$default, :'version', '1'" ],
	[ qr/^DELETE FROM usage_events\.metric_rollup WHERE account_id \S+ \$1 AND metric_version_id \S+ \$2 AND level/, 'uuid, uuid', "$default, :'version'" ],
	[ qr/^SELECT i\.place, e\.id.* UNION ALL SELECT e\.id/, 'uuid, text, text[], timestamptz[], timestamptz[], uuid', "$default, 'call', :'aliases', :'starts', :'ends', uuid_v7()" ],
	# Where a lookup may not be.
	[ qr/^SELECT i\.place, e\.id.*\$2 OFFSET 0\) AS e$/, 'uuid, text, text[], timestamptz[], timestamptz[]', "$default, 'call', :'aliases', :'starts', :'ends'" ],
	[ qr/^SELECT i\.place, e\.id.*\$6 OFFSET 0\) AS e$/, 'uuid, text, text[], timestamptz[], timestamptz[], uuid', "$default, 'call', :'aliases', :'starts', :'ends', uuid_v7()" ],
	[ qr/^SELECT e\.customer_alias, e\.id, e\.event_timestamp, e\.event_properties FROM ROWS/, 'uuid, text, uuid[], uuid[]', "$default, 'call', ARRAY['00000000-0000-0000-0000-000000000000'::uuid], ARRAY['ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid]" ],
	[ qr/^SELECT d\.customer_alias, d\.bucket, pg_catalog\.max/, 'uuid, text, timestamptz, timestamptz', "$default, 'call', '2026-01-01Z', '2027-01-01Z'" ]);

# Planned as the extension would have them planned.
sub run_by_hand
{
	my ($statement) = @_;
	my ($pattern, $types, $values) = @$statement;
	my @found = grep { $_ =~ $pattern } @sql;
	die "$pattern is of " . scalar(@found) . " statements" if @found != 1;
	return "SELECT version_id AS version FROM usage_events.metric WHERE account_id = $default LIMIT 1 \\gset
		SELECT array_agg('some-' || n % 20) AS aliases, array_agg('2026-10-01Z'::timestamptz + n * interval '1 minute') AS starts, array_agg('2026-10-01 00:01Z'::timestamptz + n * interval '1 minute') AS ends FROM generate_series(0, 1999) AS n \\gset
		SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_sort = off;
		LOAD 'usage_events'; BEGIN; PREPARE by_hand ($types) AS $found[0]; EXECUTE by_hand ($values); ROLLBACK";
}

# SQL and PL/pgSQL, which are for administrators.
my $administration = q{
	CREATE ROLE role;
	SELECT usage_events.grant_access('role', 'read'), usage_events.revoke_access('role'), usage_events.hide_statistics(), usage_events.distribute(), usage_events.undistribute();
	SELECT * FROM usage_events.renew_access();
	SELECT usage_events.attach_outbox('outbox', '00000000-0000-8000-8000-000000000001'), usage_events.outbox_lag_seconds('00000000-0000-8000-8000-000000000001'),
		usage_events.outbox_has_newer('00000000-0000-8000-8000-000000000001', uuid_v7(), 'a-7'), usage_events.detach_outbox('outbox');
	SELECT uuid_v7() AS row \gset
	INSERT INTO usage_events.outbox_event VALUES ('00000000-0000-8000-8000-000000000001', :'row', NULL, 'created', NULL);
	SET session_replication_role = replica;
	INSERT INTO usage_events.account SELECT * FROM usage_events.account WHERE account_id = '00000000-0000-8000-8000-000000000001';
	INSERT INTO usage_events.outbox_event VALUES ('00000000-0000-8000-8000-000000000001', :'row', '{}', '', NULL);
	RESET session_replication_role;
	DROP ROLE role};
# What refuses a write has no statement, and what asks for the subscription of its process is called where one is applied.
my $not_called = q{
	SELECT p.oid::regprocedure FROM pg_proc AS p JOIN pg_language AS l ON l.oid = prolang JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e'
	WHERE lanname IN ('sql', 'plpgsql') AND p.proname NOT IN ('refuse_view_write', 'subscription_account') AND refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'usage_events')
		AND NOT EXISTS (SELECT FROM pg_stat_user_functions WHERE funcid = p.oid)};

# What the nodes of a plan put out, threw away and looked at.
sub measure
{
	my ($plan) = @_;
	my %work = (rows => 0, thrown_away => 0, pages => 0, compared => 0);
	my ($rows, $loops, $filter) = (0, 1, '');
	foreach my $line (split /\n/, $plan)
	{
		if ($line =~ /\(cost=.*\(actual rows=([\d.]+) loops=(\d+)\)/)
		{
			($rows, $loops, $filter) = ($1, $2, '');
			$work{rows} += $rows * $loops;
		}
		elsif ($line =~ /Filter: (.*)/)
		{
			$filter = $1;
		}
		elsif ($line =~ /Rows Removed by (?:Index Recheck|(?:Join )?Filter): (\d+)/)
		{
			my $removed = $1;
			$work{rows} += $removed * $loops;
			$work{thrown_away} += $removed * $loops;
			# Each compared with each of the parameter's values, one after the other.
			$work{compared} += ($rows + $removed) * $loops if $filter =~ /= ANY \(\$/;
		}
		elsif ($line =~ /Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/)
		{
			$work{pages} = max($work{pages}, ($1 // 0) + ($2 // 0));
		}
	}
	return \%work;
}

# Statements that were run, with how often, and what the most is that one took.
sub plans_of
{
	my ($log) = @_;
	my %plans;
	foreach my $entry (split /(?=^\S.* LOG:  duration: )/m, $log)
	{
		my ($text, $plan) = $entry =~ /Query Text: (.*?)\n(\t[^\n]*\(cost=.*)/s or next;
		$text =~ s/\n\t/\n/g;
		my $work = measure($plan);
		my $found = $plans{$text} //= { times => 0, map { $_ => 0 } keys %$work };
		$found->{times}++;
		$found->{$_} = max($found->{$_}, $work->{$_}) foreach keys %$work;
		$found->{plan} = $plan if $work->{rows} >= $found->{rows};
	}
	return \%plans;
}

my %limits = (rows => MAX_ROWS, thrown_away => MAX_THROWN_AWAY, pages => MAX_PAGES, compared => MAX_REMOVED);
my %was_run;

# Runs the SQL, and looks at the plans of all that it runs.
sub step_is_linear
{
	my ($database, $user, $name, $sql) = @_;
	my $seen = -s $node->logfile;
	$node->safe_psql($database, $sql, defined $user ? (extra_params => [ '-U', $user ]) : ());
	my $plans = plans_of(slurp_file($node->logfile, $seen));
	my @beyond;
	foreach my $text (sort keys %$plans)
	{
		my $plan = $plans->{$text};
		$was_run{$text} += $plan->{times};
		# The pages of what is called are counted with those of the caller's own statement.
		my @what = grep { $plan->{$_} > $limits{$_} && ($_ ne 'pages' || index($sql, $text) < 0) } sort keys %limits;
		push @beyond, join(' ', map { "$_: $plan->{$_}" } @what) . "\n$text\n$plan->{plan}" if @what;
	}
	return is(join("\n\n", @beyond), '', $name) && %$plans > 0;
}

$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE ROLE reader LOGIN; CREATE DATABASE alone');
$node->safe_psql('postgres', 'ALTER ROLE app SET usage_events.max_rejected_events = 2000');
$node->safe_psql('alone', q{
	CREATE EXTENSION usage_events;
	SELECT usage_events.grant_access('app', 'admin'), usage_events.grant_access('app', 'http'), usage_events.grant_access('reader', 'read');
	GRANT CREATE, USAGE ON SCHEMA public TO app;
	CREATE TABLE moment (moment timestamptz);
	GRANT SELECT, INSERT ON moment TO app});
$node->safe_psql('postgres', 'CREATE DATABASE beside TEMPLATE alone');
$node->safe_psql('beside', $other_account);
$node->safe_psql('postgres', q{ALTER SYSTEM SET auto_explain.log_buffers = on});
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');

foreach my $state (sort keys %states)
{
	my %state = %{ $states{$state} };
	note($state);
	$node->safe_psql('postgres', "CREATE DATABASE d TEMPLATE $state{template}");
	$node->safe_psql('d', $state{before}) if $state{before};
	$node->safe_psql('d', q{INSERT INTO usage_events.customer_alias (account_id, id, customer_id, value, created_at) SELECT usage_events.current_account_id(), uuid_v7(), 'customer-' || n % 1000, 'alias-' || n, now() FROM generate_series(1, 2000) AS n});
	foreach my $step (pairs(@steps))
	{
		my ($name, $sql) = @$step;
		$node->safe_psql('d', $state{after}) if $state{after} && $name =~ /^(?:a moment|refused, sent again|aliases are made|late events|a refresh of all|lists|a purge)$/;
		$node->safe_psql('d', $beforehand{$name}) if $beforehand{$name};
		step_is_linear('d', 'app', "$state: $name", $sql);
		next if $name ne 'later pages';    # while there is most of everything
		step_is_linear('d', undef, "$state: by hand: $_->[0]", run_by_hand($_)) foreach @by_hand;
		next if $state{is_wrong};          # what others ask is planned by what is known
		step_is_linear('d', 'reader', "$state: asked by SQL: $_->[0]", $_->[1]) foreach pairs(@questions_of_readers);
		step_is_linear('d', 'app', "$state: the view $_", "SELECT count(*) FROM $_") foreach views('d');
	}
	if ($state eq 'nothing known')
	{
		step_is_linear('d', undef, "$state: administration", $administration);
		is($node->safe_psql('d', $not_called), '', 'all functions with statements of their own were called');
	}
	$node->safe_psql('postgres', 'DROP DATABASE d');
}

my $all = join "\n", sort keys %was_run;
my @not_run = grep { my $pattern = join '.*', map { quotemeta } split /%[sd]/, $_, -1; $all !~ /$pattern/ } grep { !/$never_run/ } @sql;
is(join("\n", @not_run), '', 'all of it was run');

done_testing();
