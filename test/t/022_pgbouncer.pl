# 022_pgbouncer.pl: accounts behind PgBouncer in transaction mode, where one connection serves one client after the other
#
# An account that is set within the transaction, or belongs to the role, stays with its client.  One
# that is set for the session goes to whoever comes next on that connection: shown here, because the documentation
# warns of it.  All requests of the HTTP API come through it as PostgREST sends them.  Skipped without pgbouncer.
use strict;
use warnings FATAL => 'all';

use DBD::Pg ();
use DBI;
use FindBin;
use lib "$FindBin::RealBin/..";
use HttpCases;
use JSON::PP;
use MIME::Base64;
use PgBouncer;
use PostgREST;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

plan skip_all => 'pgbouncer is not installed' unless PgBouncer->is_installed;

my $node = server('log_statement = none');
my $administrator = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', q{CREATE EXTENSION usage_events; CREATE ROLE app LOGIN; SELECT usage_events.grant_access('app', 'ingest');
	GRANT SET ON PARAMETER usage_events.account_id TO app});
my %account;
foreach my $name ('one', 'two')
{
	$account{$name} = $node->safe_psql('postgres', "SELECT usage_events.create_account('$name')");
	$node->safe_psql('postgres', "CREATE ROLE app_$name LOGIN; SELECT usage_events.grant_access('app_$name', 'ingest'); ALTER ROLE app_$name SET usage_events.account_id = '$account{$name}'");
}

# A pool of one connection: whatever one client leaves behind, the next one finds.
my $pooler = PgBouncer->new($node, users => [ 'app', 'app_one', 'app_two', 'authenticator', $administrator ], pool_size => 1);
my ($directory, $port, $keeps_statements) = ($pooler->{host}, $pooler->{port}, $pooler->keeps_statements);

sub client
{
	my ($user, $prepare) = @_;
	foreach my $attempt (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $database = eval { DBI->connect("dbi:Pg:dbname=postgres;host=$directory;port=$port", $user, '', { RaiseError => 1, PrintError => 0, pg_server_prepare => $prepare // 0 }) };
		return $database if $database;
		select undef, undef, undef, 0.1;
	}
	die "no connection: $DBI::errstr";
}

sub send_event
{
	my ($database, $key) = @_;
	return scalar $database->selectrow_array(q{SELECT create_usage_event(jsonb_build_object('customerEventId', ?::text, 'customerAlias', 'acme', 'eventType', 'call')) ->> 'sequenceAccountId'}, undef, $key);
}

# The right way, for one pool of all accounts: within the transaction.
my ($first, $second) = (client('app'), client('app'));
foreach my $n (1 .. 20)
{
	foreach my $turn ([ $first, 'one' ], [ $second, 'two' ])
	{
		my ($database, $name) = @$turn;
		$database->begin_work;
		$database->do("SET LOCAL usage_events.account_id = '$account{$name}'");
		my $stored_for = send_event($database, "local-$n");
		my ($seen) = $database->selectrow_array('SELECT count(*) FROM usage_events');
		$database->commit;
		is("$stored_for $seen", "$account{$name} $n", "SET LOCAL: event $n of account $name") if $n == 1 || $n == 20;
		die "event of $name went to $stored_for" if $stored_for ne $account{$name};
	}
}
is($first->selectrow_array('SELECT count(*) FROM usage_events'), 0, 'and nothing is left behind for who sets no account');
# An error, and what is rolled back, leave nothing either.
$first->begin_work;
$first->do("SET LOCAL usage_events.account_id = '$account{one}'");
ok(!eval { $first->do(q{SELECT create_usage_event('{}')}); 1 }, 'an event is refused');
$first->rollback;
is($second->selectrow_array('SELECT usage_events.current_account_id()'), '00000000-0000-8000-8000-000000000001', 'after an error neither');

# The right way, for a role an account: PgBouncer has a pool for each.
my ($one, $two) = (client('app_one'), client('app_two'));
foreach my $n (1 .. 20)
{
	die 'an event went to another account' if send_event($one, "role-$n") ne $account{one} || send_event($two, "role-$n") ne $account{two};
}
is($one->selectrow_array('SELECT count(*) FROM usage_events'), 40, 'ALTER ROLE SET: one sees its own');
is($two->selectrow_array('SELECT count(*) FROM usage_events'), 40, 'ALTER ROLE SET: two sees its own');
ok(!eval { $one->do("SET usage_events.account_id = '$account{two}'"); 1 }, 'and may not name another');

# The wrong way: what is set for the session goes to the next client.
$first->do("SET usage_events.account_id = '$account{one}'");
is($second->selectrow_array('SELECT usage_events.current_account_id()'), $account{one}, 'SET without LOCAL reaches the next client');
$first->do('RESET usage_events.account_id');

# Prepared statements: of the protocol from 1.21 on; by then, without them.
my $prepared = client('app_one', 1);
my $statement = $prepared->prepare(q{SELECT create_usage_event(jsonb_build_object('customerEventId', $1::text, 'customerAlias', 'acme', 'eventType', 'call')) ->> 'sequenceAccountId'}, { pg_prepare_now => $keeps_statements });
my $others = 0;
if ($keeps_statements)
{
	foreach (1 .. 20) { $statement->execute("prepared-$_"); $others += $statement->fetchrow_array ne $account{one}; send_event($one, "between-$_"); }
	is($others, 0, 'prepared statements work');
}
my @pgbench = ('pgbench', '-n', '-c', 8, '-t', 50, '-h', $directory, '-p', $port, '-U', 'app_one', '-f', "$directory/script.sql", 'postgres');
open(my $script, '>', "$directory/script.sql") or die $!;
print $script q{\set n random(1, 100)
SELECT create_usage_event(jsonb_build_object('customerEventId', 'pgbench-' || :n::text, 'customerAlias', 'acme', 'eventType', 'call'));
};
close $script;
foreach my $protocol ($keeps_statements ? ('simple', 'extended', 'prepared') : ('simple', 'extended'))
{
	command_ok([ @pgbench, '-M', $protocol ], "eight clients, protocol $protocol");
}
is($node->safe_psql('postgres', "SELECT count(DISTINCT account_id) FROM usage_events.event WHERE customer_event_id LIKE 'pgbench%'"), 1, 'all went to one account');

# The HTTP API: all that 011_postgrest.pl sends, through the pooler; before 1.21 with db-prepared-statements = false.
$node->safe_psql('postgres', 'CREATE DATABASE http');
make_http_api($node, 'http');

sub postgrest_of
{
	my ($prepares) = @_;
	return PostgREST->new(host => $node->host, port => $node->port, database => 'http', user => 'authenticator', administrator => $administrator,
		schema => 'api', role => 'web', pooler => { host => $directory, port => $port }, prepares => $prepares);
}

run_cases(postgrest_of($keeps_statements));

# Two of them take turns on one connection to the server, each for an account of its own.
my %key = keys_of_accounts();
my %postgrest = map { $_ => postgrest_of($keeps_statements) } 'acme', 'globex';
my (%accounts, %backends);
foreach my $n (1 .. 20)
{
	foreach my $name (sort keys %postgrest)
	{
		my $answer = $postgrest{$name}->request('POST', '/usage-events', [ Authorization => 'Basic ' . encode_base64($key{$name}, '') ],
			'{"customerAlias": "a", "eventType": "in turn", "customerEventId": "turn-' . $n . '"}');
		$accounts{$name}{ decode_json($answer->{body})->{sequenceAccountId} // $answer->{body} }++;
		$backends{ $postgrest{$name}{session}->query('SELECT pg_backend_pid()')->[0][0] }++;
	}
}
is(join(' ', map { values %$_ } values %accounts), '20 20', 'two PostgREST in turn: each event goes to one account');
is(scalar keys %{ { map { %$_ } values %accounts } }, 2, 'and these are two');
is(scalar keys %backends, 1, 'over one connection to the server');

$_->disconnect foreach $first, $second, $one, $two, $prepared;
done_testing();
