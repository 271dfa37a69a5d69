# 006_memory.pl: the memory of a backend does not grow with what it has done
#
# Many calls in one transaction, and many in a session; a tenth of them is to warm
# up.  Measured is what the server has given out, and, where there is /proc, what
# the process has asked for: some of the library's memory is not of the server's
# contexts.  (What is resident may leap whenever the kernel makes huge pages of it.)
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use PostgreSQL::Test::Utils;
use Server;
use Test::More;

# The server's account of its memory is exact; the process asks for somewhat more at a time.
my $contexts_may_grow = 1024 * 1024;
my $process_may_grow = 2.5 * $contexts_may_grow;

# A sanitizer keeps what was freed, to see whether it is still used.
my $process_is_measured = !defined $ENV{ASAN_OPTIONS};

my $node = server_with_extension("log_statement = none\nautovacuum = off\nmax_wal_size = 2GB");
my $account = $node->safe_psql('postgres', q{SELECT usage_events.create_account('another')});

my $measure = q{
	SELECT sum(total_bytes), 1024 * coalesce((regexp_match(
		pg_read_file('/proc/self/status', 0, 10000, true), 'VmData:\s+(\d+)'))[1], '0')::bigint
	FROM pg_backend_memory_contexts};

# Event number n, as JSON; another quantity makes it another version.
sub event
{
	my ($quantity) = @_;
	return qq[format('{"customerAlias": "alice", "eventType": "call", "customerEventId": "%s",]
	  . qq[ "eventProperties": {"quantity": %s}}', n, $quantity)];
}

sub check_growth
{
	my ($name, $warm_up, $work) = @_;
	my $output = $node->safe_psql('postgres', "$warm_up; $measure; $work; $measure");
	my ($contexts_before, $process_before, $contexts_after, $process_after) =
	  $output =~ /^(\d+)\|(\d+)\n(?:.*\n)?(\d+)\|(\d+)$/m
	  or die "two measurements expected: $output";

	cmp_ok($contexts_after - $contexts_before, '<', $contexts_may_grow, "$name: memory contexts");
	cmp_ok($process_after - $process_before, '<', $process_may_grow, "$name: the process") if $process_is_measured;
}

sub check_transaction
{
	my ($name, $call, $count) = @_;
	my $tenth = $count / 10;
	check_growth(
		$name,
		"BEGIN; SELECT count($call) FROM generate_series(1, $tenth) AS n",
		"SELECT count($call) FROM generate_series($tenth + 1, $count) AS n");
}

# A session that calls once a transaction: a new event, a retry, and a correction by turns.
sub single_calls
{
	my ($first, $last) = @_;
	my $event = event('quantity');
	return qq{
		\\o /dev/null
		SELECT format('SELECT create_usage_event(%L)', $event)
		FROM generate_series($first, $last) AS n, unnest(ARRAY[1, 1, 2]) AS quantity \\gexec
		\\o
	};
}

my $new = event(1) . '::jsonb';
my $retry_or_correction = event('1 + n % 2') . '::jsonb';

check_transaction('100,000 events of another account', "usage_events.create_event('$account', $new)", 100000);

# Versions of what the same transaction made cost the server memory until its end, so another makes the first.
$node->safe_psql('postgres', "SELECT count(create_usage_event($new)) FROM generate_series(1, 20000) AS n");
check_transaction('20,000 retries and corrections', "create_usage_event($retry_or_correction)", 20000);

check_growth('20,000 single calls', single_calls(100001, 100667), single_calls(100668, 106667));

# A refresh of many events of one customer: what is read is let go of, bucket by bucket.  Its peak is measured, with few shared
# buffers, which count as well.
SKIP:
{
	skip 'the peak of a process is not known here', 1 unless $process_is_measured && -w '/proc/self/clear_refs';
	$node->append_conf('postgresql.conf', 'shared_buffers = 8MB');
	$node->restart;
	$node->safe_psql('postgres', q{
		SELECT create_usage_metric('{"name": "n", "eventType": "refreshed", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}');
		SELECT count(create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerAlias', 'acme', 'eventType', 'refreshed', 'eventTimestamp', to_json('2026-01-01Z'::timestamptz + (batch * 1000 + n) * interval '40 seconds'),
			'eventProperties', jsonb_build_object('n', n, 'text', repeat('x', 500)))) FROM generate_series(1, 1000) AS n))) FROM generate_series(0, 59) AS batch});
	my $session = $node->background_psql('postgres');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');
	my $peak = sub { my ($kilobytes) = slurp_file("/proc/$pid/status") =~ /VmHWM:\s+(\d+)/; return $kilobytes * 1024; };
	$session->query_safe('SELECT count(*) FROM usage_events.event');
	open(my $clear, '>', "/proc/$pid/clear_refs") or die $!;
	print $clear '5';
	close $clear;
	my $before = $peak->();
	# With the steps of metrics that are built, and of marks.
	$session->query_safe('DO $$ BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END $$');
	$session->query_safe('INSERT INTO usage_events.dirty_bucket SELECT account_id, event_type, customer_alias, date_trunc($$minute$$, event_timestamp), now(), 60 FROM usage_events.event WHERE event_type = $$refreshed$$');
	$session->query_safe('DO $$ BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END $$');
	cmp_ok($peak->() - $before, '<', 40 * 1024 * 1024, 'a refresh of 60,000 events of one customer: the process');
	note(sprintf 'from %d to %d MB', $before / 1048576, $peak->() / 1048576);
	$session->quit;
}

done_testing();
