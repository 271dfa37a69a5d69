# 027_growth.pl: what a tenant sends, stores or asks for takes no more memory than a call may, and cannot fill the disk
#
# Each call is made by a role of ordinary rights, in a session of its own, whose process is measured at its peak: numbers of a few
# bytes that are a hundred thousand digits as text, batches, histories, lists.  A sanitizer's memory is not measured.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use MIME::Base64 qw(encode_base64);
use PostgREST;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;
use Time::HiRes qw(sleep);

my $megabyte = 1024 * 1024;

# Of the process, above what it had before: usage_events.max_memory is 192 MB, and what the server makes of an answer comes on top.
my $may_take = 256 * $megabyte;
my $is_measured = !defined $ENV{ASAN_OPTIONS} && -w '/proc/self/clear_refs';

# Shared buffers that a process has touched are a part of what it has: few.
my $node = server("log_statement = none\nautovacuum = off\nshared_buffers = 8MB\nmax_wal_size = 2GB\nfsync = off");
make_http_api($node, 'postgres');
$node->safe_psql('postgres', q{
	CREATE ROLE ingester LOGIN;
	ALTER ROLE ingester SET search_path = api;
	SELECT usage_events.grant_access('ingester', 'ingest');
	ALTER DATABASE postgres SET search_path = api});

sub value { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# The number after a name in the state of a process, in kilobytes.
sub state_of
{
	my ($pid, $name) = @_;
	my ($kilobytes) = slurp_file("/proc/$pid/status") =~ /^$name:\s+(\d+)/m or die "no $name";
	return $kilobytes * 1024;
}

# Does the work in a process, and checks its peak against what it had before.
sub check_peak
{
	my ($name, $pid, $work) = @_;
	return $work->() if !$is_measured;
	open(my $clear, '>', "/proc/$pid/clear_refs") or die $!;
	print $clear '5';
	close $clear;
	my $before = state_of($pid, 'VmHWM');
	my $result = $work->();
	my $taken = state_of($pid, 'VmHWM') - $before;
	cmp_ok($taken, '<', $may_take, "$name: memory");
	note(sprintf '%s: %.0f MB', $name, $taken / $megabyte);
	return $result;
}

# What a call as that role answers, or its error; the argument is made before it is measured.
sub check_call
{
	my ($name, $argument, $call, $expected, $before) = @_;
	my $session = PostgREST::Session->new(host => $node->host, port => $node->port, database => 'postgres', user => 'ingester');
	$session->query('SET search_path = api');
	my $pid = $session->query('SELECT pg_backend_pid()')->[0][0];
	my $value = defined $argument ? $session->query("SELECT $argument")->[0][0] : undef;
	$session->query($_) for @{ $before // [] };
	my $result = check_peak($name, $pid, sub {
		$session->start(defined $value ? $call =~ s/ARGUMENT/quoted($value)/er : $call);
		return $session->wait_ready;
	});
	my $text = $result->{error} ? "$result->{error}{C} $result->{error}{M}: " . ($result->{error}{D} // '') : $result->{rows}[0][0];
	like($text, $expected, "$name: answer");
	return;
}

sub quoted { my ($text) = @_; return "'" . ($text =~ s/'/''/gr) . "'"; }

my $too_large = qr/^54000 answer is too large: An answer may have 32768 kB as text, a sixth of usage_events\.max_memory\.$/;
my $too_much = qr/^54000 call needs more memory than it may take: One call may take 196608 kB \(usage_events\.max_memory\)\.$/;

# An element of 60 bytes that is 786 kB as text, 20,000 times: 15 GB.
my $hostile = q({"x":[1e131071,1e131071,1e131071,1e131071,1e131071,1e131071]});
my $hostile_batch = "'[' || repeat('$hostile,', 19999) || '$hostile]'";

# Refused ---------------------------------------------------------------------

check_call('20,000 refused elements of long numbers', $hostile_batch, q{SELECT ingest_usage_events(ARGUMENT) ->> 'refused'}, qr/^20000$/);
cmp_ok(value('SELECT rejected_bytes FROM usage_events.account_status'), '<=', 64 * $megabyte, 'so much of them is kept');
cmp_ok(value('SELECT count(*) FROM usage_events.rejected_event'), '>', 50, 'and not less');
is(value('SELECT rejected_waiting + rejected_not_kept FROM usage_events.account_status'), 20000, 'the others are counted');

check_call('the same once more', $hostile_batch, q{SELECT ingest_usage_events(ARGUMENT) #>> '{outcomes,0,faults,2,fault}'},
	qr/^was not kept: the refused events of its account would take more than 65536 kB \(usage_events\.max_rejected_bytes\)$/);
check_call('refused as a whole', $hostile_batch, 'SELECT create_usage_events(ARGUMENT)', qr/^22023 invalid usage events: 20000 of 20000: .*\nAnd 19900 more events\.$/s);
check_call('sent again', undef, q{SELECT retry_rejected_usage_events() ->> 'refused'}, qr/^\d\d+$/);
check_call('an import that skips', undef, "INSERT INTO usage_event_import SELECT '$hostile' FROM generate_series(1, 20000); SELECT 'imported'", qr/^/, ["SET usage_events.import_on_error = 'skip'"]);
is(value('SELECT rejected_waiting + rejected_not_kept FROM usage_events.account_status'), 60000, 'what came again, and by the import, is counted as well');
check_call('faults of which there are many', q{(SELECT jsonb_agg(o) FROM (SELECT jsonb_object_agg(n || repeat('u', 2000), 1) AS o FROM generate_series(1, 25) AS n) AS o, generate_series(1, 400))},
	q{SELECT ingest_usage_events(ARGUMENT) ->> 'refused'}, qr/^400$/, ['SET usage_events.reject_unknown_fields = on']);

# Cancelled: what takes a tenth of a second on the fastest machine ends after its time, and leaves nothing behind.
value('TRUNCATE usage_events.rejected_event, usage_events.rejected_overflow');
check_call('a batch that takes too long', $hostile_batch, 'SELECT ingest_usage_events(ARGUMENT)', qr/^57014 canceling statement due to statement timeout/, ["SET statement_timeout = '20ms'"]);
is(value('SELECT count(*) FROM usage_events.rejected_event'), 0, 'nothing of it is kept');

# Stored and answered -----------------------------------------------------------

# Parsed already: what the server takes to parse so much JSON is its own.
check_call('100,000 events in a call', undef, 'SELECT jsonb_array_length(create_usage_events((TABLE batch)))', qr/^100000$/, [
	q{CREATE TEMPORARY TABLE batch AS SELECT jsonb_agg(jsonb_build_object('customerAlias', 'acme', 'eventType', 'many', 'eventProperties', jsonb_build_object('n', n))) FROM generate_series(1, 100000) AS n} ]);
is(value(q{SELECT count(*) FROM usage_events.event WHERE event_type = 'many'}), 100000, 'they are stored');
check_call('an answer of long numbers',
	q{'[' || repeat('{"customerAlias": "acme", "eventType": "long", "eventProperties": {"x": 1e60000}},', 19999) || '{"customerAlias": "acme", "eventType": "long", "eventProperties": {"x": 1e60000}}]'},
	'SELECT create_usage_events(ARGUMENT)', $too_large);
is(value(q{SELECT count(*) FROM usage_events.event WHERE event_type = 'long'}), 0, 'nothing is stored of what cannot be answered');

# A text that does not compress, so that it is as large where it is stored.
value(q{CREATE FUNCTION public.text_of(n integer, size integer) RETURNS text LANGUAGE sql AS $$ SELECT string_agg(md5((n * 100000 + v)::text), '') FROM generate_series(1, size / 32) AS v $$});
value(q{
	INSERT INTO usage_events.event SELECT account_id, uuid_v7(), now(), 'large ' || n, 'acme', 'large', jsonb_build_object('x', public.text_of(n, 60000)) FROM usage_events.account, generate_series(1, 3000) AS n;
	INSERT INTO usage_events.superseded_event SELECT account_id, uuid_v7(), now(), now(), uuid_v7(), 'corrected', 'acme', 'corrected', jsonb_build_object('x', public.text_of(n, 60000)) FROM usage_events.account, generate_series(1, 1500) AS n});
check_call('3,000 small events that meet large ones',
	q{(SELECT jsonb_agg(jsonb_build_object('customerAlias', 'acme', 'eventType', 'large', 'customerEventId', 'large ' || n)) FROM generate_series(1, 3000) AS n)},
	'SELECT create_usage_events(ARGUMENT)', $too_much);
check_call('a page of large events', undef, q{SELECT jsonb_array_length(list_usage_events(100, event_type => 'large') -> 'items')}, qr/^100$/);
check_call('a history of large versions', undef, q{SELECT get_usage_event_history((SELECT id FROM usage_event_history LIMIT 1))}, $too_large);
check_call('the same by the view', undef, q{SELECT count(*) FROM usage_event_history}, qr/^1500$/);

# Metrics that were larger before there was a limit.
value(q{
	SET usage_events.max_metric_bytes = '1MB';
	SELECT count(create_usage_metric(('{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "COUNT", "propertyFilters": {"a": [1e131071, 1e131070, 1e131069, 1e131068, 1e131067, 1e131066]}}')::jsonb)) FROM generate_series(1, 50)});
check_call('a page of metrics of long numbers', undef, 'SELECT list_usage_metrics(100)', $too_large);
check_call('a shorter one', undef, q{SELECT jsonb_array_length(list_usage_metrics(40) -> 'items')}, qr/^40$/);
check_call('another such metric', undef,
	q{SELECT create_usage_metric('{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "COUNT", "propertyFilters": {"a": [1e131071]}}')},
	qr/^22023 invalid usage metric: The metric must take at most 65536 bytes \(usage_events\.max_metric_bytes\), with its numbers written out\.$/);

# The limits are the administrator's.
for my $name (qw(max_memory max_rejected_events max_rejected_bytes rejected_retention max_metrics max_metric_versions max_metric_bytes max_filter_values max_properties_bytes))
{
	check_call("$name by a tenant", undef, "SET usage_events.$name = 2000000", qr/^42501 permission denied to set parameter "usage_events\.$name"/, ['SELECT usage_events.library_version()']);
}

# Over HTTP ---------------------------------------------------------------------

my $api = PostgREST->new(host => $node->host, port => $node->port, database => 'postgres', user => 'authenticator',
	administrator => value('SELECT current_user'), schema => 'api', role => 'web');
my $account = value(q{SELECT usage_events.create_account('over HTTP')});
my $key = value("SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$account', 'test')");
my @headers = (Authorization => 'Basic ' . encode_base64($key, ''), 'Content-Type' => 'application/json');
my $backend = $api->{session}->query('SELECT pg_backend_pid()')->[0][0];

sub check_request
{
	my ($name, $method, $target, $body, $status, $expected) = @_;
	my $answer = check_peak("$name over HTTP", $backend, sub { return $api->request($method, $target, \@headers, $body); });
	is($answer->{status}, $status, "$name over HTTP: status");
	like($answer->{body}, $expected, "$name over HTTP: answer");
	return;
}

check_request('refused elements of long numbers', 'POST', '/usage-events/batch', '[' . join(',', ($hostile) x 15000) . ']', 200, qr/"refused": ?15000/);
check_request('a metric of long numbers', 'POST', '/usage-metrics',
	'{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "COUNT", "propertyFilters": {"a": [1e131071]}}', 400, qr/usage_events\.max_metric_bytes/);
$node->append_conf('postgresql.conf', 'usage_events.max_metrics = 0');
$node->reload;
# The session reads it some time after the server does.
sleep 0.1 until $api->{session}->query('SHOW usage_events.max_metrics')->[0][0] eq '0';
check_request('a metric too many', 'POST', '/usage-metrics', '{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "COUNT"}', 400,
	qr/"code":"54000".*"message":"account has as many usage metrics as it may"/);

done_testing();
