# 020_secrets.pl: the secret of an API key is in no log, no statistics, and no error
#
# A server that logs all it can: statements, their parameters, those inside of functions,
# and durations.  A key is made, rotated and used, also wrongly.  Its secret is the answer
# to whoever made it; the header of a request, which PostgREST hands over as a
# parameter, is what the administrator must keep out of the log, with the settings
# that the documentation names.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use IPC::Run;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server(q{
	shared_preload_libraries = 'pg_stat_statements, auto_explain, usage_events'
	autovacuum = off
	log_statement = all
	log_min_duration_statement = 0
	log_duration = on
	log_error_verbosity = verbose
	log_min_messages = debug2
	pg_stat_statements.track = all
	pg_stat_statements.track_utility = on
	auto_explain.log_min_duration = 0
	auto_explain.log_nested_statements = on
	auto_explain.log_analyze = on
	auto_explain.log_verbose = on});
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_stat_statements;
	CREATE EXTENSION usage_events;
	CREATE ROLE web LOGIN;
	SELECT usage_events.grant_access('web', 'http')});

my $account = '00000000-0000-8000-8000-000000000001';
my ($client, $secret) = split /\|/, $node->safe_psql('postgres', "SELECT * FROM usage_events.create_api_key('$account', 'label')");
my ($next_client, $next_secret) = split /\|/, $node->safe_psql('postgres', "SELECT * FROM usage_events.rotate_api_key('$client', '1 day')");
like($secret, qr/^\S{32,}$/, 'a secret is shown');
isnt($next_secret, $secret, 'and another');

# As PostgREST sends it: the headers are a parameter of a prepared statement.
sub request
{
	my ($key) = @_;
	my $header = encode_base64($key, '');
	my $headers = qq({"authorization": "Basic $header"});
	open(my $script, '>', $node->basedir . '/request.sql') or die $!;
	print $script "BEGIN;\nSELECT set_config('request.headers', :headers, true) IS NULL;\nSELECT usage_events.authenticate_request();\nROLLBACK;\n";
	close $script;
	my ($output, $error) = ('', '');
	IPC::Run::run([ 'pgbench', '-n', '-t', '1', '-M', 'extended', '-D', "headers=$headers", '-U', 'web', '-f', $node->basedir . '/request.sql',
		'-h', $node->host, '-p', $node->port, 'postgres' ], '>', \$output, '2>', \$error);
	return ($header, $output . $error);
}

# Why the documentation asks for a setting: with every statement in the log, its parameters are there as well.
my $logged_key = $node->safe_psql('postgres', "SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$account', 'logged')");
my ($logged_header, $said) = request($logged_key);
cmp_ok(index(slurp_file($node->logfile), $logged_header), '>', 0, 'a header that is a parameter is in the log');

$node->append_conf('postgresql.conf', "log_parameter_max_length = 0\nlog_parameter_max_length_on_error = 0");
$node->restart;
# A plan made for a value shows it, whatever becomes of parameters.
$node->safe_psql('postgres', 'ALTER ROLE web SET auto_explain.log_min_duration = -1');
(my $good_header, $said) = request("$client:$secret");
like($said, qr/number of transactions actually processed: 1/, 'a request with the key is let in');
my $wrong = $secret =~ tr/a-z0-9/b-za1-90/r;
(my $wrong_header, $said) = request("$client:$wrong");
unlike($said, qr/\Q$wrong\E|\Q$wrong_header\E/, 'an error does not repeat a wrong secret');
like($said, qr/processed: 0/, 'which is not let in');

my $log = slurp_file($node->logfile);
my $statements = $node->safe_psql('postgres', 'SELECT query FROM pg_stat_statements');
cmp_ok(() = $log =~ /api_key/g, '>', 5, 'the log tells of keys');
like($statements, qr/create_api_key/, 'so do the statistics');
foreach my $hidden ([ 'the secret', $secret ], [ 'the secret after rotation', $next_secret ], [ 'the header', $good_header ], [ 'a wrong secret', $wrong ], [ 'a wrong header', $wrong_header ])
{
	is(index($log, $hidden->[1]), -1, "$hidden->[0] is not in the log");
	is(index($statements, $hidden->[1]), -1, "$hidden->[0] is not in the statistics");
}
my $hash = $node->safe_psql('postgres', "SELECT encode(sha256('$secret'), 'hex')");
is($node->safe_psql('postgres', "SELECT count(*) FROM usage_events.api_key WHERE client_id = '$client' AND position(convert_to('$secret', 'UTF8') IN secret_hash) > 0"), 0, 'nor in the table');

done_testing();
