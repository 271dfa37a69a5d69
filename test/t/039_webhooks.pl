# 039_webhooks.pl: the sender of examples/webhooks, against receivers that fail, hang, and lose their answers
#
# Each endpoint must get every event, signed as Standard Webhooks says (which is computed here once more), those of a customer in
# order, also while another endpoint is down, and when the sender is killed in the midst.  An event may come twice, under
# the same id.  Needs node and npm, which gets the sender's packages.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use Digest::SHA qw(hmac_sha256);
use File::Copy;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;
use Time::HiRes qw(sleep time);

my $sender = PostgreSQL::Test::Utils::tempdir . '/webhooks';
mkdir $sender;
copy($_, $sender) foreach map { "$FindBin::RealBin/../../examples/webhooks/$_" } qw(send.mjs package.json package-lock.json .npmrc);
plan skip_all => 'npm cannot get the packages of the sender' if system("cd $sender && HOME=$sender npm ci >npm.log 2>&1") != 0;

my $secret = 'whsec_' . encode_base64(join('', map { chr(int(rand 256)) } 1 .. 32), '');

# Receivers ---------------------------------------------------------------

# What receivers do with an event that comes for the first time; the second time each says that it has it.
my %behaviour = (
	good => sub { 200 },
	fails => sub { 500 },
	moves => sub { 302 },
	hangs => sub { sleep 30; 200 },
	forgets => sub { undef });    # takes it, and goes away without a word

# A process that listens, and a child for each request: they write down what came, a line of JSON each.
my $log = "$sender/received";
my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 100, ReuseAddr => 1) or die "cannot listen: $!";
my $port = $socket->sockport;
my $receiver = fork // die $!;
if ($receiver == 0)
{
	$SIG{CHLD} = 'IGNORE';
	while (my $client = $socket->accept)
	{
		next if fork;
		receive($client);
		POSIX::_exit(0);
	}
	POSIX::_exit(0);
}

sub read_request
{
	my ($client) = @_;
	my ($path) = (<$client> // '') =~ m{^POST /(\S+) };
	my %header;
	while ((my $line = <$client> // '') =~ /^([^:]+): *(.*?)\r\n$/)
	{
		$header{ lc $1 } = $2;
	}
	read($client, my $body, $header{'content-length'} // 0);
	return ($path, $body, \%header);
}

sub signature_of
{
	my ($body, $header) = @_;
	my $key = decode_base64($secret =~ s/^whsec_//r);
	return 'v1,' . encode_base64(hmac_sha256("$header->{'webhook-id'}.$header->{'webhook-timestamp'}.$body", $key), '');
}

sub receive
{
	my ($client) = @_;
	my ($path, $body, $header) = read_request($client);
	my $seen = "$sender/seen.$path.$header->{'webhook-id'}";
	my $is_first = !-e $seen;
	append_to_file($seen, '');
	my $status = $is_first ? $behaviour{$path}->() : 200;
	append_to_file($log, encode_json({
		path => $path,
		body => $body,
		id => $header->{'webhook-id'},
		has => !defined $status || $status == 200,
		age => abs(time - $header->{'webhook-timestamp'}),
		is_signed => $header->{'webhook-signature'} eq signature_of($body, $header) }) . "\n");
	print $client "HTTP/1.1 $status Status\r\nContent-Length: 0\r\nLocation: /good\r\nConnection: close\r\n\r\n" if defined $status;
	close $client;
}

# What came to an endpoint, in the order in which it was done with.
sub received
{
	my ($path) = @_;
	return grep { $_->{path} eq $path } map { decode_json($_) } split /\n/, -e $log ? slurp_file($log) : '';
}

# Ids that an endpoint has, each once, in order.
sub ids_of
{
	my ($path) = @_;
	my %seen;
	return grep { !$seen{$_}++ } map { $_->{id} } grep { $_->{has} } received($path);
}

# Events ------------------------------------------------------------------

my $node = server_with_extension('max_connections = 40');
$node->safe_psql('postgres', q{
	CREATE ROLE webhooks LOGIN;
	SELECT usage_events.grant_access('webhooks', 'ingest');
	SELECT create_usage_metric('{"name": "m", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM",
		"aggregationProperty": "n"}') ->> 'id' AS id \gset
	SELECT create_usage_alert(jsonb_build_object('name', 'a', 'usageMetricId', :'id', 'period', 'MONTH', 'direction', 'ABOVE',
		'thresholds', '[10, 20.00000000000000000000001, 30]'::jsonb)) ->> 'id'});

# Brings these customers to that value, and has it told.
sub use_up
{
	my ($n, @customers) = @_;
	foreach my $customer (@customers)
	{
		$node->safe_psql('postgres', qq{SELECT create_usage_event('{"customerEventId": "$customer", "customerAlias": "$customer", "eventType": "call",
			"eventTimestamp": "2026-10-05T00:00:00Z", "eventProperties": {"n": $n}}')});
	}
	$node->safe_psql('postgres', 'SELECT usage_events.refresh_rollups()') foreach 1 .. 6;
}

sub start_sender
{
	my ($name, @paths) = @_;
	my $config = "$sender/$name.json";
	append_to_file($config, encode_json({
		leaseSeconds => 3, timeoutSeconds => 1, pollSeconds => 1, firstDelaySeconds => 0.1, longestDelaySeconds => 2,
		metricsPort => 0 + PostgreSQL::Test::Cluster::get_free_port(),
		endpoints => [ map { { name => $_, url => "http://127.0.0.1:$port/$_", secret => $secret } } @paths ] })) unless -e $config;
	my $pid = fork // die $!;
	return $pid if $pid;
	open(STDOUT, '>>', "$sender/$name.log");
	open(STDERR, '>&', \*STDOUT);
	local @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($node->host, $node->port, 'webhooks', 'postgres');
	exec('node', "$sender/send.mjs", $config) or POSIX::_exit(1);
}

sub metrics_of
{
	my ($name) = @_;
	my $config = decode_json(slurp_file("$sender/$name.json"));
	my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $config->{metricsPort}) or return '';
	print $client "GET /metrics HTTP/1.0\r\n\r\n";
	return join '', <$client>;
}

sub wait_until
{
	my ($condition) = @_;
	for (1 .. 1800)
	{
		return 1 if $condition->();
		sleep 0.1;
	}
	diag(slurp_file($_)) foreach glob "$sender/*.log";
	return 0;
}

# Waits until an endpoint has so many events.
sub wait_for
{
	my ($path, $count) = @_;
	return wait_until(sub { ids_of($path) >= $count });
}

# In the order in which they were told, of each customer.
sub told
{
	return $node->safe_psql('postgres',
		q{SELECT string_agg(customer || ' ' || threshold || ' ' || state, ', ' ORDER BY customer, number) FROM usage_events.usage_alert_event});
}

sub got
{
	my ($path) = @_;
	my %of;
	my %seen;
	foreach my $request (grep { $_->{has} && !$seen{ $_->{id} }++ } received($path))
	{
		my ($threshold) = $request->{body} =~ /"threshold": ([0-9.]+)/;
		my $data = decode_json($request->{body})->{data};
		push @{ $of{ $data->{customer} } }, "$data->{customer} $threshold $data->{state}";
	}
	return join ', ', map { @{ $of{$_} } } sort keys %of;
}

# What happens ------------------------------------------------------------

my @paths = sort keys %behaviour;
use_up(25, qw(acme globex initech));
use_up(5, 'acme');
my $pid = start_sender('all', @paths);
foreach my $path (@paths)
{
	ok(wait_for($path, 8), "$path: every event comes");
	is(got($path), told(), "$path: each as it was told, those of a customer in order, with every digit");
	is(scalar(grep { !$_->{is_signed} } received($path)), 0, "$path: each is signed");
	is(scalar(grep { $_->{age} > 60 } received($path)), 0, "$path: at the time at which it is sent");
}
ok(wait_until(sub { received('forgets') > 8 }), 'what was not answered comes again, under its id');
# Unless the answer came too late: then under the same id, and with the same body.
is(scalar(ids_of('good')), 8, 'what was answered comes under no other id');
my %body_of;
is(scalar(grep { ($body_of{ $_->{id} } //= $_->{body}) ne $_->{body} } map { received($_) } @paths), 0, 'and each says the same, whenever and wherever it comes');
like((received('good'))[0]->{body}, qr/^\{"type":"usage_alert\.triggered","timestamp":"20.*Z","data":\{.*\}\}$/, 'a body says its type, when, and the event');
like(metrics_of('all'), qr/^webhook_deliveries_total\{endpoint="fails",result="failed"\} [1-9]/m, 'failures are counted');
like(metrics_of('all'), qr/^webhook_deliveries_total\{endpoint="good",result="delivered"\} (?:[89]|\d\d+)$/m, 'and what was delivered');

# Notified, it sends what comes later.
use_up(31, 'globex');
ok(wait_for('good', 9), 'an event that comes while it listens');

# Killed in the midst, and another begins.
kill 'KILL', $pid;
waitpid($pid, 0);
use_up(35, map { "late $_" } 1 .. 20);
$pid = start_sender('all', @paths);
wait_for('good', 30);
kill 'KILL', $pid;
waitpid($pid, 0);
$node->restart;
$pid = start_sender('all', @paths);
foreach my $path (@paths)
{
	ok(wait_for($path, 69), "$path: nothing is lost where a sender is killed");
	is(got($path), told(), "$path: and the order is kept");
}

# Asked to stop, it ends.
kill 'TERM', $pid;
waitpid($pid, 0);
is($?, 0, 'it ends when it is told to');

kill 'TERM', $receiver;
waitpid($receiver, 0);
done_testing();
