# 030_hostile.pl: the most that one tenant can make one call take
#
# Each line is a request that a tenant with one key, or one role, can make, over data
# that he can store: it is answered, or refused with an error that names the limit and
# its setting; it takes a bounded amount of memory and of processor time, and can be
# cancelled.  Printed is the table of docs/reliability.md.
#
#	EVENTS=200000		how many groups, and values, the largest metric has; 1000000 in the table
#	CUSTOMERS=100000	how many customers an account has
#	ROLL_UP_CUSTOMERS=1	and all of them rolled up
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use PostgreSQL::Test::Utils;
use Server;
use Test::More;

plan skip_all => 'there is no /proc to measure a process with' unless -r '/proc/self/status';

my $events = $ENV{EVENTS} // 200_000;
my $customers = $ENV{CUSTOMERS} // 100_000;

# What docs/reliability.md says.  A sanitizer makes of each byte several, and takes its time.
my $most_megabytes = 256;
my $is_measured = !defined $ENV{ASAN_OPTIONS};

# Seconds of processor time; a machine may be several times slower than the one of the table.
my $most_seconds = 60;

# Pages of the server's cache count as the process's once it has touched them: few, here.
my $node = server("log_statement = none\nautovacuum = off\nmax_wal_size = 4GB\nshared_buffers = 16MB");
$node->safe_psql('postgres', q{
	CREATE EXTENSION usage_events;
	CREATE ROLE tenant;
	SELECT usage_events.grant_access('tenant', 'ingest');
	CREATE ROLE operator;
	SELECT usage_events.grant_access('operator', 'admin')});
my $account = $node->safe_psql('postgres', q{SELECT usage_events.create_account('hostile')});
my $month = q{'[2026-10-01Z, 2026-11-01Z)'};

# What the session's process has had at most, in bytes, and how many seconds it has computed.
my $measure = q{
	SELECT 1024 * (regexp_match(pg_read_file('/proc/self/status', 0, 10000, true), 'VmHWM:\s+(\d+)'))[1]::bigint,
		(SELECT (field[12]::numeric + field[13]::numeric) / 100
		 FROM regexp_split_to_array(regexp_replace(pg_read_file('/proc/self/stat', 0, 10000, true), '^.*\) ', ''), ' ') AS field)};

# As the role, for the account: the SQLSTATE, and what the session's process took.
sub run_as
{
	my ($role, $sql) = @_;
	my ($output, $errors);
	$node->psql('postgres', qq{
		\\set ON_ERROR_STOP 0
		SET usage_events.account_id = '$account';
		SET ROLE $role;
		\\o /dev/null
		$sql;
		\\o
		\\set state :SQLSTATE
		RESET ROLE;
		RESET statement_timeout;
		$measure, :'state'},
		stdout => \$output, stderr => \$errors, on_error_stop => 0);
	my ($bytes, $seconds, $state) = $output =~ /(\d+)\|([\d.]+)\|(\w+)\s*$/ or die "a measurement expected: $output $errors";
	my ($error) = $errors =~ /ERROR:\s+(.*)/;
	return { state => $state, error => $error // '', errors => $errors, megabytes => $bytes / 1024 / 1024, seconds => $seconds };
}

# One line of the table: what is expected is 'answered' or the text of an error.
sub attack
{
	my ($name, $role, $sql, $expected) = @_;
	my $run = run_as($role, $sql);
	note(sprintf '| %-70s | %-9s | %4d MB | %5.1f s |', $name, $run->{state} eq '00000' ? 'answered' : 'refused', $run->{megabytes}, $run->{seconds});
	if ($expected eq 'answered')
	{
		is($run->{state}, '00000', "$name: answered") or diag($run->{errors});
	}
	else
	{
		like($run->{errors}, qr/$expected/, "$name: refused");
	}
	return unless $is_measured;
	cmp_ok($run->{megabytes}, '<=', $most_megabytes, "$name: memory");
	cmp_ok($run->{seconds}, '<=', $most_seconds, "$name: processor time");
	my $cancelled = run_as($role, "SET statement_timeout = '1s'; $sql");
	# On a busy machine the process computes for less of that second.
	cmp_ok($cancelled->{seconds}, '<=', 3, "$name: ends soon after statement_timeout");
	return;
}

# Stores events as nobody but a superuser can: fast.
sub store
{
	my ($count, $alias, $type, $properties) = @_;
	$node->safe_psql('postgres', qq{
		INSERT INTO usage_events.event (account_id, id, event_timestamp, customer_event_id, customer_alias, event_type, event_properties)
		SELECT '$account', uuid_v7(), '2026-10-01T00:00:00Z'::timestamptz + n * interval '2 seconds', '$type-' || n, $alias, '$type', $properties
		FROM generate_series(1, $count) AS n});
	return;
}

sub metric
{
	my ($type, $fields) = @_;
	return $node->safe_psql('postgres', qq{
		SET usage_events.account_id = '$account';
		SELECT create_usage_metric(jsonb_build_object('name', '$type', 'metricType', 'SIMPLE', 'eventType', '$type', 'aggregationType', 'COUNT') || '$fields') ->> 'id'});
}

sub calculate
{
	my ($metric, $customer) = @_;
	return sprintf "SELECT calculate_usage_metric('%s', '{%s}', $month)", $metric, $customer // 'acme';
}

# Groups and values ------------------------------------------------------------

store($events, q{'acme'}, 'many', q{jsonb_build_object('value', md5(n::text), 'n', n, 'tenth', n / 10)});
my $unique = metric('many', '{"aggregationType": "UNIQUE", "aggregationProperty": "value"}');
my $percentile = metric('many', '{"aggregationType": "PERCENTILE", "aggregationProperty": "n", "percentile": 0.99}');
my $percentile_groups = metric('many', '{"metricType": "GROUPED", "groupingProperty": "tenth", "aggregationType": "PERCENTILE", "aggregationProperty": "n", "percentile": 0.99}');
my $groups = metric('many', '{"metricType": "GROUPED", "groupingProperty": "value"}');
my $unique_groups = metric('many', '{"metricType": "GROUPED", "groupingProperty": "value", "aggregationType": "UNIQUE", "aggregationProperty": "n"}');
my $too_many_groups = 'usage metric has too many groups for one answer\n.*\(usage_events\.max_groups\)';

attack("UNIQUE of $events values, nothing rolled up", 'tenant', calculate($unique), 'answered');
attack("PERCENTILE of $events values, nothing rolled up", 'tenant', calculate($percentile), 'answered');
attack("PERCENTILE of $events values, by a tenth as many groups", 'tenant', calculate($percentile_groups), $events < 1_000_000 ? 'answered' : $too_many_groups);
attack("GROUPED COUNT of $events groups", 'tenant', calculate($groups), $too_many_groups);
attack("GROUPED UNIQUE of $events groups", 'tenant', calculate($unique_groups), $too_many_groups);
attack("GROUPED COUNT of $events groups, hour by hour", 'tenant',
	"SELECT usage_metric_series('$groups', '{acme}', $month, 'hour')", $events < 900_000 ? 'answered' : 'call needs more memory than it may take');
# Each refresh is one step, of an alias of a metric, until all are built.
sub attack_by_refresh
{
	my ($name) = @_;
	# Transactions are over that a new metric has to wait for.
	$node->safe_psql('postgres', "SELECT usage_events.refresh_rollups('$account', 1)") foreach 1 .. 2;
	attack("refresh: $name", 'operator', "SELECT usage_events.refresh_rollups('$account', 1000000)", 'answered');
	is($node->safe_psql('postgres', "SELECT count(*) FROM usage_events.rollup_status WHERE state <> 'ready'"), 0, "$name: all is rolled up");
	return;
}
attack_by_refresh("UNIQUE and groups of $events");
attack("UNIQUE of $events values, rolled up", 'tenant', calculate($unique), 'answered');
attack("PERCENTILE of $events values, rolled up", 'tenant', calculate($percentile), 'answered');
attack("GROUPED COUNT of $events groups, rolled up", 'tenant', calculate($groups), $too_many_groups);

# Numbers that are short to send ------------------------------------------------

# 40,000 groups, each of a long number and a short one: their sum is as long, and none of its digits is zero.
store(80_000, q{'acme'}, 'long', q{jsonb_build_object('g', n / 2, 'n', CASE n % 2 WHEN 0 THEN 1 ELSE ('1e' || 60000 + n % 1000)::numeric END, 'u', ('1e' || 40000 + n)::numeric)});
store(80_000, q{'acme'}, 'shorter', q{jsonb_build_object('g', n / 2, 'n', CASE n % 2 WHEN 0 THEN 1 ELSE 1e15000 END)});
my $too_many_digits = 'sum of the usage metric has too many digits\n.*\(usage_events\.max_sum_digits\)';
my $too_much_memory = 'call needs more memory than it may take\n.*\(usage_events\.max_memory\)';
my $too_long = 'answer is too large\n.*usage_events\.max_memory';

my %grouped = ('SUM', '{"metricType": "GROUPED", "groupingProperty": "g", "aggregationType": "SUM", "aggregationProperty": "n"}',
	'MAX', '{"metricType": "GROUPED", "groupingProperty": "g", "aggregationType": "MAX", "aggregationProperty": "n"}',
	'UNIQUE', '{"aggregationType": "UNIQUE", "aggregationProperty": "u"}',
	'PERCENTILE', '{"aggregationType": "PERCENTILE", "aggregationProperty": "u", "percentile": 0.5}',
	'by number', '{"metricType": "GROUPED", "groupingProperty": "u"}');
attack('40,000 groups, SUM of numbers of 60,000 digits', 'tenant', calculate(metric('long', $grouped{SUM})), $too_many_digits);
attack('40,000 groups, SUM of numbers of 15,000 digits', 'tenant', calculate(metric('shorter', $grouped{SUM})), $too_much_memory);
attack('40,000 groups, MAX of numbers of 60,000 digits', 'tenant', calculate(metric('long', $grouped{MAX})), $too_long);
attack('UNIQUE of 80,000 numbers of 40,000 digits and more', 'tenant', calculate(metric('long', $grouped{UNIQUE})), 'answered');
attack('PERCENTILE of 80,000 numbers of 40,000 digits and more', 'tenant', calculate(metric('long', $grouped{PERCENTILE})), 'answered');
attack('80,000 groups by numbers of 40,000 digits and more', 'tenant', calculate(metric('long', $grouped{'by number'})), $too_much_memory);
attack_by_refresh('long numbers');

# Bodies, histories, lists ---------------------------------------------------------

# 1.2 MB to send, 16 GB to write out.
my $bodies = q{(SELECT format('[%s]', string_agg(format('{"x": [%s]}', repeat('1e131071, ', 5) || '1e131071'), ','))::jsonb FROM generate_series(1, 20000))};
attack('20,000 refused events of 6 numbers of 131,072 digits', 'tenant', "SELECT ingest_usage_events($bodies)", 'answered');
attack('the same, all or none', 'tenant', "SELECT create_usage_events($bodies)", 'invalid usage events: 20000 of 20000');

# The versions of an event, each of 60 kB that does not compress.
sub store_versions
{
	my ($key, $count) = @_;
	$node->safe_psql('postgres', qq{
		INSERT INTO usage_events.superseded_event (account_id, id, event_timestamp, superseded_at, superseded_by, customer_event_id, customer_alias, event_type, event_properties)
		SELECT '$account', uuid_v7(), '2026-10-01Z', now(), uuid_v7(), '$key', 'acme', 'version', jsonb_build_object('text', string_agg(md5(random()::text || n || m), ''))
		FROM generate_series(1, $count) AS n, generate_series(1, 1900) AS m GROUP BY n});
	return $node->safe_psql('postgres', "SELECT max(id::text) FROM usage_events.superseded_event WHERE customer_event_id = '$key'");
}
attack('history of 1,500 versions of 60 kB', 'tenant', sprintf("SELECT get_usage_event_history('%s')", store_versions('long', 1500)), $too_long);
attack('history of 500 versions of 60 kB', 'tenant', sprintf("SELECT get_usage_event_history('%s')", store_versions('shorter', 500)), 'answered');

$node->safe_psql('postgres', qq{
	SET usage_events.account_id = '$account';
	SELECT count(create_usage_metric(jsonb_build_object('name', 'large ' || m, 'metricType', 'SIMPLE', 'eventType', 'large', 'aggregationType', 'COUNT',
		'propertyFilters', jsonb_build_object('text', (SELECT jsonb_agg(md5(random()::text || m || n)) FROM generate_series(1, 1000) AS n))))) FROM generate_series(1, 100) AS m});
attack('a page of 100 metrics of 36 kB', 'tenant', 'SELECT list_usage_metrics(100)', 'answered');

# Customers ----------------------------------------------------------------------

store($customers, q{'customer-' || n}, 'each', q{jsonb_build_object('n', n, 'g', n % 3)});
my $each = metric('each', '{"aggregationType": "SUM", "aggregationProperty": "n"}');
my $each_group = metric('each', '{"metricType": "GROUPED", "groupingProperty": "g", "aggregationType": "SUM", "aggregationProperty": "n"}');
attack("$customers customers, nothing rolled up", 'tenant', "SELECT usage_metric_by_customer('$each', $month)", 'answered');
attack("$customers customers, GROUPED", 'tenant', "SELECT usage_metric_by_customer('$each_group', $month)", 'answered');
attack("$customers customers as of yesterday", 'tenant', "SELECT usage_metric_by_customer('$each', $month, now() - interval '1 second')", 'answered');
# Takes minutes, and is one customer a step.
if ($ENV{ROLL_UP_CUSTOMERS})
{
	attack_by_refresh("$customers customers");
	attack("$customers customers, rolled up", 'tenant', "SELECT usage_metric_by_customer('$each', $month)", 'answered');
}

done_testing();
