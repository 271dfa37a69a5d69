# 046_clients.pl: the programs of examples/clients, whose answers get lost
#
# Each stores an event and a batch, and asks.  Where it calls create_usage_events(), something of the test's own stands
# before the extension's: it fails as the test has planned.  40001 and 40P01 take back what was stored; "lost" ends the
# connection once another one has stored and committed all of it, so that the client cannot know.  Nothing may be
# counted twice, and what is refused must not be sent again.  A language that is not installed is left out.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use File::Copy;
use IPC::Run qw(run timeout);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $examples = "$FindBin::RealBin/../../examples/clients";
my $folder = PostgreSQL::Test::Utils::tempdir . '/clients';
mkdir $folder;
copy($_, $folder) foreach glob("$examples/*"), "$examples/.npmrc";
$ENV{HOME} = $folder;
delete $ENV{$_} foreach qw(PGSSLMODE PGOPTIONS);

# How each is run, and what tells whether it can be.
my $java = '/usr/share/java/postgresql.jar';
my $npm = "cd $folder && test ! -e npm_failed && (test -d node_modules || timeout 60 npm ci --fetch-retries=1 || { rm -rf node_modules; touch npm_failed; false; })";
my %client = (
	'node_postgres.mjs' => { run => ['node', 'node_postgres.mjs'], needs => $npm },
	'drizzle.mjs' => { run => ['node', 'drizzle.mjs'], needs => $npm },
	'psycopg3.py' => { run => ['/usr/bin/python3', 'psycopg3.py'], needs => '/usr/bin/python3 -c "import psycopg"' },
	'sqlalchemy_core.py' => { run => ['/usr/bin/python3', 'sqlalchemy_core.py'], needs => '/usr/bin/python3 -c "import sqlalchemy, psycopg2"' },
	'Jdbc.java' => { run => ['java', '-cp', $java, 'Jdbc.java'], needs => "javac -version && test -f $java" },
	'pgx.go' => { run => ["$folder/pgx"], needs => "cd $folder && GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$folder/cache go build -o pgx pgx.go" },
	'ruby_pg.rb' => { run => ['ruby', 'ruby_pg.rb'], needs => 'ruby -r pg -e 1' },
	'php_pdo.php' => { run => ['php', 'php_pdo.php'], needs => q{php -r 'exit(in_array("pgsql", PDO::getAvailableDrivers()) ? 0 : 1);'} });
is_deeply([ sort keys %client ], [ sort map { m{([^/]+)$} } grep { /\.(mjs|py|java|go|rb|php)$/ } glob("$examples/*") ], 'each example is run here');

my $node = server("listen_addresses = '127.0.0.1'");
plan skip_all => 'the server has no dblink' unless $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'dblink'});
$node->safe_psql('postgres', 'CREATE DATABASE pattern');
$node->safe_psql('pattern', q{
	CREATE EXTENSION usage_events;
	CREATE EXTENSION dblink;
	SELECT create_usage_metric('{"name": "Characters", "eventType": "message-sent", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "length"}');
	CREATE SCHEMA faults;
	CREATE SEQUENCE faults.calls;
	CREATE FUNCTION faults.create_usage_events(events jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
	DECLARE
		fault text := (string_to_array(current_setting('faults.plan'), ' '))[nextval('faults.calls')];
	BEGIN
		IF fault = 'lost' THEN
			PERFORM dblink_exec('host=127.0.0.1 port=' || current_setting('port') || ' dbname=' || current_database() || ' user=' || current_user,
				format('DO %L', format('BEGIN PERFORM public.create_usage_events(%L); END', events)));
			PERFORM pg_terminate_backend(pg_backend_pid());
			PERFORM pg_sleep(60);
		END IF;
		PERFORM public.create_usage_events(events);
		IF fault IS NOT NULL THEN
			RAISE EXCEPTION 'as planned' USING ERRCODE = fault;
		END IF;
		RETURN public.create_usage_events(events);
	END
	$$});

sub run_client
{
	my ($file, $database, $plan) = @_;
	$node->safe_psql('postgres', qq(ALTER DATABASE "$database" SET search_path = faults, public; ALTER DATABASE "$database" SET faults.plan = '$plan'));
	$node->safe_psql($database, 'SELECT setval(\'faults.calls\', 1, false)');
	my @command = @{ $client{$file}{run} };
	push @command, 'jdbc:postgresql://127.0.0.1:' . $node->port . "/$database?user=" . $node->safe_psql('postgres', 'SELECT current_user') if $file eq 'Jdbc.java';
	local @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} = ('127.0.0.1', $node->port, $database, $node->safe_psql('postgres', 'SELECT current_user'));
	my ($output, $errors) = ('', '');
	my $ended_well = run(\@command, '<', \'', '>', \$output, '2>', \$errors, init => sub { chdir $folder }, timeout(4 * $PostgreSQL::Test::Utils::timeout_default));
	note($errors) if $errors && $plan eq '40001 40P01 lost';
	return ($ended_well, $output, $node->safe_psql($database, 'SELECT last_value FROM faults.calls'));
}

my $stored = "SELECT count(*), sum((event_properties ->> 'length')::integer), (SELECT count(*) FROM public.usage_event_history) FROM public.usage_events";

foreach my $file (sort keys %client)
{
  SKIP:
	{
		skip "what $file needs is not installed", 8 if system("($client{$file}{needs}) >'$folder/needs.log' 2>&1") != 0;
		$node->safe_psql('postgres', qq(CREATE DATABASE "$file" TEMPLATE pattern));

		my ($ended_well, $output, $calls) = run_client($file, $file, '40001 40P01 lost');
		ok($ended_well, "$file: ends well after a conflict, a deadlock and a lost connection");
		is($output, "537\n", "$file: answers");
		is($calls, 4, "$file: sent its batch four times");
		is($node->safe_psql($file, $stored), '3|537|0', "$file: each event is there once, in one version");

		($ended_well, $output) = run_client($file, $file, '');
		is($output, "537\n", "$file: answers the same the second time");
		is($node->safe_psql($file, $stored), '3|537|0', "$file: and nothing more is there");

		($ended_well, $output, $calls) = run_client($file, $file, '22023 22023 22023 22023 22023 22023');
		ok(!$ended_well, "$file: says so where an event is refused");
		is($calls, 1, "$file: and does not send it again");
	}
}

done_testing();
