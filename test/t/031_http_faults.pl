# 031_http_faults.pl: no client that obeys its answers loses or doubles an event, whoever fails
#
# Clients send events through nginx and PostgREST while connections are ended, in COMMIT as well, the server is restarted,
# grants and the schema are taken away, PostgREST and nginx are killed, nginx reads its configuration again, half of the clients
# do not wait for slow answers, and a standby is promoted.  Each does as it is told: what is acknowledged is stored,
# what is refused is given up, and what got a 500 or no answer is sent again.  In the end the database says who was right.
#
#	POSTGREST=...	the program; without it test/postgrest stands in, which answers as PostgREST was seen to
#	ROUNDS=...		how often each of it (1)
#
# make test-http-faults runs it with the program.  Skipped without nginx.
use strict;
use warnings FATAL => 'all';

use FindBin;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

use constant PATIENCE => 180;    # seconds until all is well again
use constant CLIENTS => 8;

my ($nginx) = grep { -x } map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'nginx is not installed' unless $nginx;
my $program = $ENV{POSTGREST} || "$FindBin::RealBin/../postgrest";
my $rounds = $ENV{ROUNDS} || 1;
$SIG{PIPE} = 'IGNORE';

# Servers -------------------------------------------------------------------------

# What is acknowledged is on both, so that it survives the loss of one.
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "log_statement = none\nmax_connections = 100\nwal_retrieve_retry_interval = 200ms");
$primary->start;
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = 'standby'");
$primary->reload;

my $folder = PostgreSQL::Test::Utils::tempdir() . '/http';
my ($port, $postgrest_port, $answers_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 3;
my $administrator = $primary->safe_psql('postgres', 'SELECT current_user');
$ENV{$_->[0]} = $_->[1] foreach [ PGHOST => $primary->host ], [ PGPORT => $primary->port ], [ PGUSER => $administrator ];
my ($client_id, $client_secret);
{
	my ($out, $error) = ('', '');
	IPC::Run::run([ "$FindBin::RealBin/../../examples/postgrest/setup", '--port', $port, '--postgrest-port', $postgrest_port,
		'--answers-port', $answers_port, 'postgres', $folder ], '>', \$out, '2>', \$error) or die "$out$error";
	($client_id) = $out =~ /^client id: *(\S+)/m;
	($client_secret) = $out =~ /^client secret: *(\S+)/m;
}

# More than a client that obeys would ever send.
my $limits = slurp_file("$folder/usage_events.conf");
$limits =~ s/(rate=)\d+r/${1}6000000r/g;
$limits =~ s/(burst=)\d+/${1}100000/g;
write_file("$folder/usage_events.conf", $limits);

sub write_file
{
	my ($name, $text) = @_;
	open my $file, '>', $name or die "could not open $name: $!";
	print $file $text;
	close $file or die "could not write $name: $!";
}

# Programs by name, each with its processes a group of its own.
my %command = (postgrest => [ $program, "$folder/postgrest.conf" ], nginx => [ $nginx, '-e', 'stderr', '-p', $folder, '-c', 'nginx.conf' ]);
my %pid;
my @clients;
END
{
	my $status = $?;
	kill TERM => (map { -$_ } values %pid), @clients;
	waitpid $_, 0 foreach values %pid, @clients;
	$? = $status;
}

sub start
{
	my ($name) = @_;
	my $pid = fork // die "could not fork: $!";
	if (!$pid)
	{
		setpgrp;
		open STDOUT, '>>', "$folder/$name.log" or POSIX::_exit(1);
		open STDERR, '>&', \*STDOUT;
		exec { $command{$name}[0] } @{ $command{$name} } or POSIX::_exit(1);
	}
	$pid{$name} = $pid;
}

delete $ENV{$_} foreach grep { /^PGRST_/ } keys %ENV;
start($_) foreach sort keys %command;

# Clients -------------------------------------------------------------------------

my $json = JSON::PP->new->utf8->canonical;
my $credentials = encode_base64("$client_id:$client_secret", '');

# The status of the answer to a request; 0 where there is none in so many seconds.
sub status_of
{
	my ($target, $body, $patience) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or return 0;
	syswrite $socket, join("\r\n", "POST $target HTTP/1.1", 'Host: localhost', 'Connection: close',
		"Authorization: Basic $credentials", 'Content-Length: ' . length $body, '', '') . $body or return 0;
	my $received = '';
	1 while IO::Select->new($socket)->can_read($patience) && sysread $socket, $received, 65536, length $received;
	my ($head, $rest) = split /\r\n\r\n/, $received, 2;
	return 0 if !defined $rest || $head !~ /^Content-Length: (\d+)/mi || length $rest < $1;
	return $head =~ m{^HTTP/1\.1 (\d+)} ? $1 : 0;
}

# Sends an event until it is told what became of it.  Returns the last status, and how often it was told that nobody knows.
sub send_event
{
	my ($number, $event, $patience) = @_;
	my ($target, $body) = $number % 5 ? ('/usage-events', $json->encode($event)) : ('/usage-events/batch', $json->encode([$event]));
	my $unknown = 0;
	my $until = time + PATIENCE;
	while (time < $until)
	{
		my $status = status_of($target, $body, $patience // PATIENCE);
		return ($status, $unknown) if $status != 0 && $status != 500 && $status != 429;
		$unknown++ if $status != 429;
		sleep 0.02;
	}
	return (0, $unknown);
}

# Writes a line for each of its events, until it is told to stop.
sub run_client
{
	my ($name) = @_;
	my $stopped = 0;
	local $SIG{TERM} = sub { $stopped = 1 };
	open my $log, '>', "$folder/client.$name" or POSIX::_exit(1);
	for (my $number = 1; !$stopped; $number++)
	{
		my $key = "$name-$number";
		my ($status, $unknown) = send_event($number,
			{ customerEventId => $key, customerAlias => "customer $name", eventType => 'fault', eventTimestamp => '2026-01-01T00:00:00Z', eventProperties => { number => $number } },
			$name % 2 ? PATIENCE : 0.5);
		syswrite $log, "$key $status $unknown\n";
	}
	POSIX::_exit(0);
}

# Until an event goes through.
my $probes = 0;

sub wait_until_well
{
	my ($what) = @_;
	my ($status) = send_event(1, { customerEventId => 'probe-' . ++$probes, customerAlias => 'probe', eventType => 'fault' });
	is($status, 201, "$what: events are taken again");
}

wait_until_well('all is there');
foreach my $name (1 .. CLIENTS)
{
	my $pid = fork // die "could not fork: $!";
	run_client($name) if !$pid;
	push @clients, $pid;
}

# Faults --------------------------------------------------------------------------

my $of_postgrest = "FROM pg_stat_activity WHERE usename = 'usage_events_authenticator'";

sub poll_until
{
	my ($node, $query) = @_;
	$node->poll_query_until('postgres', $query) or die "not in time: $query";
}

foreach my $round (1 .. $rounds)
{
	# Wherever they are.
	foreach (1 .. 10)
	{
		sleep 0.2;
		$primary->safe_psql('postgres', "SELECT pg_terminate_backend(pid) $of_postgrest");
	}
	wait_until_well('connections were ended');

	# In COMMIT: stored here, and not on the standby, which they wait for.  All of them, again and again.
	foreach (1 .. 3)
	{
		$standby->stop('immediate');
		poll_until($primary, "SELECT count(*) > 2 $of_postgrest AND wait_event = 'SyncRep'");
		$primary->safe_psql('postgres', "SELECT pg_terminate_backend(pid) $of_postgrest AND wait_event = 'SyncRep'");
		$standby->start;
		wait_until_well('connections were ended in COMMIT');
	}

	# Slow, for clients of whom half do not wait, and send again while the first is still being stored.
	$primary->safe_psql('postgres', 'BEGIN; LOCK TABLE usage_events.event IN EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT');
	wait_until_well('the table was locked');

	foreach my $name (sort keys %command)
	{
		kill KILL => -$pid{$name};
		waitpid $pid{$name}, 0;
		sleep 0.3;
		start($name);
		wait_until_well("$name was killed");
	}
	foreach (1 .. 5)
	{
		kill HUP => $pid{nginx};
		sleep 0.3;
	}
	wait_until_well('nginx has read its configuration again');

	foreach my $mode ('fast', 'immediate')
	{
		$primary->stop($mode);
		sleep 0.5;
		$primary->start;
		wait_until_well("the server was restarted ($mode)");
	}

	# What only the administrator can put right is not the client's fault either.
	foreach ([ 'REVOKE EXECUTE ON FUNCTION api.usage_api_write(bytea) FROM usage_events_web', 'GRANT EXECUTE ON FUNCTION api.usage_api_write(bytea) TO usage_events_web' ],
		[ 'REVOKE EXECUTE ON FUNCTION usage_events.authenticate_request() FROM usage_events_web', 'GRANT EXECUTE ON FUNCTION usage_events.authenticate_request() TO usage_events_web' ],
		[ 'REVOKE USAGE ON SCHEMA usage_events FROM usage_events_web', 'GRANT USAGE ON SCHEMA usage_events TO usage_events_web' ],
		[ 'REVOKE INSERT ON usage_events.event FROM usage_events_web', 'GRANT INSERT ON usage_events.event TO usage_events_web' ],
		[ 'REVOKE usage_events_web FROM usage_events_authenticator', 'GRANT usage_events_web TO usage_events_authenticator' ],
		[ 'ALTER SCHEMA api RENAME TO away', 'ALTER SCHEMA away RENAME TO api' ],
		[ 'ALTER FUNCTION api.usage_api_write(bytea) RENAME TO away; NOTIFY pgrst', 'ALTER FUNCTION api.away(bytea) RENAME TO usage_api_write; NOTIFY pgrst' ])
	{
		my ($away, $back) = @$_;
		$primary->safe_psql('postgres', $away);
		sleep 1;
		$primary->safe_psql('postgres', $back);
		wait_until_well($away);
	}
}

# The standby takes over, at the primary's address, after a while in which it takes nothing.
$standby->stop;
$primary->stop('immediate');
$standby->append_conf('postgresql.conf', 'port = ' . $primary->port);
$standby->{_port} = $primary->port;
$standby->start;
sleep 2;
$standby->promote;
$standby->safe_psql('postgres', "ALTER SYSTEM SET synchronous_standby_names = ''");
$standby->reload;
wait_until_well('a standby was promoted');
sleep 1;

# Who was right -------------------------------------------------------------------

kill TERM => @clients;
waitpid $_, 0 foreach splice @clients;
my %told;
foreach my $name (1 .. CLIENTS)
{
	foreach (split /\n/, slurp_file("$folder/client.$name"))
	{
		my ($key, $status, $unknown) = split / /;
		$told{$key} = { status => $status, unknown => $unknown };
	}
}
my %stored = map { $_ => 1 } split /\n/, $standby->safe_psql('postgres', q{SELECT customer_event_id FROM usage_events.event WHERE customer_alias LIKE 'customer %'});

my @acknowledged = grep { $told{$_}{status} =~ /^20[01]$/ } keys %told;
my @without_end = grep { $told{$_}{status} == 0 } keys %told;
my @refused = grep { $told{$_}{status} !~ /^(20[01]|0)$/ } keys %told;
my @unknown = grep { $told{$_}{unknown} } keys %told;
note(sprintf '%d stored, %d acknowledged, %d refused, %d of which nobody knew for a while, %d of which nobody ever knew',
	scalar keys %stored, scalar @acknowledged, scalar @refused, scalar @unknown, scalar @without_end);

cmp_ok(scalar @acknowledged, '>', 100, 'there was a load');
cmp_ok(scalar @unknown, '>=', CLIENTS, 'and its clients met with faults');
is(join(' ', sort grep { !$stored{$_} } @acknowledged), '', 'what was acknowledged is stored');
is(join(' ', sort grep { $stored{$_} } @refused), '', 'what was refused is not');
is(join(' ', sort @refused), '', 'and nothing of it had to be refused');
is(join(' ', sort @without_end), '', 'whoever asks again is told in the end');
is(join(' ', sort grep { !$told{$_} } keys %stored), '', 'nothing else is stored');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM usage_events.superseded_event'), 0, 'and nothing was stored twice');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM usage_events.event WHERE customer_alias LIKE 'customer %' AND customer_event_id <> replace(customer_alias, 'customer ', '') || '-' || (event_properties ->> 'number')}),
	0, 'each as it was sent');

done_testing();
