# 042_client.pl: a client that is generated from the API's document runs through every operation
#
# openapi-typescript makes types of docs/openapi.json, with which test/client/client.ts has to compile as it stands, and
# then to run under Node, against a stand-in of nginx and PostgREST that listens for HTTP and says to the database what they
# say (see PostgREST.pm).  An operation that the client does not call with success fails.  Needs node and npm, which gets
# the packages.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use File::Copy;
use IO::Socket::INET;
use OpenApi;
use POSIX ();
use PostgREST;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $client = PostgreSQL::Test::Utils::tempdir . '/client';
mkdir $client;
copy("$FindBin::RealBin/../client/$_", $client) or die "$_: $!" foreach qw(client.ts tsconfig.json package.json package-lock.json .npmrc);
plan skip_all => 'npm cannot get the packages of the client' if system("cd $client && HOME=$client npm ci >npm.log 2>&1") != 0;

my $node = server();
make_http_api($node, 'postgres');
my $account = $node->safe_psql('postgres', q{SELECT usage_events.create_account('acme')});
my $credentials = $node->safe_psql('postgres', qq{
	SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$account', 'client')});
my $document = $node->safe_psql('postgres', 'SELECT usage_events.openapi()');
append_to_file("$client/openapi.json", $document);

# Compiled -------------------------------------------------------------------

sub runs
{
	my ($what, $command) = @_;
	my $log = "$client/log";
	unlink $log;
	my $status = system("cd $client && HOME=$client $command >log 2>&1");
	is($status, 0, $what) or diag(slurp_file($log));
	return slurp_file($log);
}

runs('the document makes types', 'npm run --silent generate');
runs('with which the client agrees', 'npm run --silent check');
runs('and compiles', 'npm run --silent build');

# The stand-in ---------------------------------------------------------------

# A process that answers one request after the other, and writes down which they were: method, path and status.
my $log = "$client/requests";
my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 100, ReuseAddr => 1) or die "cannot listen: $!";
my $url = 'http://127.0.0.1:' . $socket->sockport;

sub read_request
{
	my ($connection) = @_;
	my ($method, $target) = (<$connection> // '') =~ m{^([A-Z]+) (\S+) HTTP/1\.1\r\n$} or return;
	my (@headers, $length);
	while ((my $line = <$connection> // '') =~ /^([^:]+): *(.*?)\r\n$/)
	{
		push @headers, $1, $2;
		$length = $2 if lc $1 eq 'content-length';
	}
	read $connection, my $body, $length // 0;
	return ($method, $target, \@headers, $body // '');
}

sub serve
{
	my $api = PostgREST->new(host => $node->host, port => $node->port, database => 'postgres', user => 'authenticator',
		administrator => $node->safe_psql('postgres', 'SELECT current_user'), schema => 'api', role => 'web');
	while (my $connection = $socket->accept)
	{
		my ($method, $target, @rest) = read_request($connection) or next;
		my $answer = $api->request($method, $target, @rest);
		append_to_file($log, join(' ', $method, $target =~ s/\?.*//r, $answer->{status}, @{ $answer->{faults} }) . "\n");
		my %headers = (%{ $answer->{headers} }, 'content-length' => length $answer->{body}, connection => 'close');
		print $connection "HTTP/1.1 $answer->{status} Answer\r\n", (map { "$_: $headers{$_}\r\n" } sort keys %headers), "\r\n", $answer->{body};
		close $connection;
	}
}

my $server = fork // die "cannot fork: $!";
if ($server == 0)
{
	eval { serve(); 1 } or print STDERR $@;
	POSIX::_exit(0);
}
close $socket;

# Run ------------------------------------------------------------------------

like(runs('the client runs to its end', "node built/client.js $url '$credentials'"), qr/^done$/m, 'and finds what it expects');
kill 'TERM', $server;
waitpid $server, 0;

my @requests = map { [ split / /, $_, 4 ] } split /\n/, slurp_file($log);
is(join("\n", map { $_->[3] } grep { defined $_->[3] } @requests), '', 'no request leaves anything behind');

# Whether a path is of such a form: "/usage-limits/check" is of none with an id.
my %operations = map { ("$_->{method} $_->{path}" => $_) } OpenApi->new($document)->operations;
my %has_succeeded;
foreach my $request (grep { $_->[2] =~ /^2/ } @requests)
{
	my ($method, $path) = @$request;
	my ($operation) = "$method $path";
	($operation) = grep { my $form = quotemeta($_) =~ s/\\\{\w+\\\}/[^\/]+/gr; "$method $path" =~ /^$form$/ } sort keys %operations
	  if !$operations{$operation};
	$has_succeeded{ $operation // "an unknown operation: $method $path" } = 1;
}
is_deeply([ sort keys %has_succeeded ], [ sort keys %operations ], 'every operation was called with success');

done_testing();
