# 011_postgrest.pl: the HTTP API as PostgREST would serve it, replayed statement by statement
#
# PostgREST.pm sends what PostgREST would, on one connection of its login role for all requests; HttpCases.pm has them.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";
use HttpCases;
use MIME::Base64;
use PostgREST;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;
$node->safe_psql('postgres', q{
	CREATE SCHEMA api;
	CREATE EXTENSION usage_events SCHEMA api;
	CREATE ROLE web NOLOGIN;
	CREATE ROLE authenticator LOGIN NOINHERIT;
	GRANT web TO authenticator;
	SELECT usage_events.grant_access('web', 'http')});

my $administrator = $node->safe_psql('postgres', 'SELECT current_user');

sub postgrest_of
{
	my ($server) = @_;
	return PostgREST->new(host => $server->host, port => $server->port, database => 'postgres', user => 'authenticator',
		administrator => $administrator, schema => 'api', role => 'web');
}

my $postgrest = postgrest_of($node);
my $backend = 'SELECT pg_backend_pid()';
my $first_backend = $postgrest->{session}->query($backend)->[0][0];
run_cases($postgrest);
is($postgrest->{session}->query($backend)->[0][0], $first_backend, 'one connection has served all requests');
cmp_ok(scalar keys %{ $postgrest->{session}{prepared} }, '<', 60, 'with statements that were prepared once');

# What a client is not told stands in the log, and no secret does.
my %key = keys_of_accounts();
my $log = slurp_file($node->logfile);
like($log, qr/ LOG:  secret of the server$/m, 'the cause of an internal error is in the log');
my @seen = grep { index($log, $_) >= 0 } map { ($key{$_} =~ s/.*://r, encode_base64($key{$_}, '')) } keys %key;
is(scalar @seen, 0, 'no secret is in the log');

# A standby answers what is read.  What is written PostgREST cannot even begin there.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $reader = postgrest_of($standby);
my @credentials = (Authorization => 'Basic ' . encode_base64($key{lister}, ''));
foreach my $target ('/usage-events?limit=5', '/usage-events?unmappedAliasesOnly=true', '/customer-aliases', '/usage-metrics', '/')
{
	my @answers = map { $_->request('GET', $target, [@credentials], '') } $postgrest, $reader;
	is_deeply($answers[1], $answers[0], "a standby answers as its primary: GET $target");
}
is($reader->request('GET', '/usage-events', [], '')->{status}, 401, 'a standby asks for credentials');
my $answer = $reader->request('POST', '/usage-events', [@credentials], '{"customerAlias": "a", "eventType": "t"}');
like($answer->{body}, qr/recovery/, 'a standby takes no events');

done_testing();
