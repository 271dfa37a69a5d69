# 043_page.pl: the page of web/, in a real browser, over nginx
#
# A person's work on each screen, seen in the page and in the database.  nginx is as examples/postgrest/setup writes it.
# web/test/browser.mjs has the checks.  Needs node, npm, which gets the packages, nginx, and Chromium.
#
#	POSTGREST=...	the program; without it test/postgrest stands in, which answers as PostgREST was seen to
#	SCREENSHOTS=...	a folder for pictures of all screens
use strict;
use warnings FATAL => 'all';

use FindBin;
use File::Copy;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

use constant PATIENCE => 180;

my ($nginx) = grep { -x } map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'nginx is not installed' unless $nginx;
my ($chromium) = grep { -x } map { "$_/chromium" } split(/:/, $ENV{PATH});
plan skip_all => 'Chromium is not installed' unless $chromium;
my $root = "$FindBin::RealBin/../..";
my $program = $ENV{POSTGREST} || "$root/test/postgrest";
note "through $program";
$ENV{HOME} = PostgreSQL::Test::Utils::tempdir();

my $log = "$ENV{HOME}/npm.log";
plan skip_all => 'npm cannot get the packages of the page' if system("cd $root/web && npm ci >$log 2>&1") != 0;
is(system("cd $root/web && npm run build >$log 2>&1"), 0, 'the page is built, and its types fit docs/openapi.json') or BAIL_OUT(slurp_file($log));
is(system("cd $root/web && npm test >$log 2>&1"), 0, 'what computes in it passes its tests') or diag slurp_file($log);

# What a browser fetches, compressed.
my $size = `cat $root/web/dist/*.html $root/web/dist/assets/* | gzip -9 | wc -c` + 0;
cmp_ok($size, '<', 250 * 1024, "all of the page has $size bytes, compressed");
my @foreign = grep { !m{^https?://(www\.w3\.org|[a-z.]*preactjs\.com)/} } map { /(https?:\/\/[^"'`\s)\\]+)/g } map { slurp_file($_) } glob "$root/web/dist/*.html $root/web/dist/assets/*";
is("@foreign", '', 'it names no other host');
unlike(slurp_file("$root/web/package-lock.json"), qr/"resolved"/, 'its lock file neither');

# Servers -------------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;
my $administrator = $node->safe_psql('postgres', 'SELECT current_user');
@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($node->host, $node->port, $administrator, 'postgres');

# Its name has all that means something to nginx.
my $folder = PostgreSQL::Test::Utils::tempdir() . q(/http "of; {all} kinds' \\ #);
my ($port, $postgrest_port, $answers_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 3;
{
	my ($out, $error) = ('', '');
	ok(!IPC::Run::run([ "$root/examples/postgrest/setup", 'postgres', PostgreSQL::Test::Utils::tempdir() . '/$http' ], '>', \$out, '2>', \$error),
		'a folder whose name nginx would take for a variable is refused');
	like($error, qr/has a "\$" in its name/, 'and says why');
	IPC::Run::run([ "$root/examples/postgrest/setup", '--port', $port, '--postgrest-port', $postgrest_port,
		'--answers-port', $answers_port, 'postgres', $folder ], '>', \$out, '2>', \$error) or die "$out$error";
	($ENV{CLIENT_ID}) = $out =~ /^client id: *(\S+)/m;
	($ENV{CLIENT_SECRET}) = $out =~ /^client secret: *(\S+)/m;
}

# The customer's page may be shown by pages of this host, where it is asked for under its name.
my $configuration = slurp_file("$folder/usage_events.conf");
$configuration =~ s/(map \$host \$usage_portal_ancestors \{\n)/$1\tlocalhost "http:\/\/localhost:*";\n/ or die 'nobody can be named';
unlink "$folder/usage_events.conf";
append_to_file("$folder/usage_events.conf", $configuration);

my %command = (postgrest => [ $program, "$folder/postgrest.conf" ], nginx => [ $nginx, '-e', 'stderr', '-p', $folder, '-c', 'nginx.conf' ]);
my %pid;
END
{
	my $status = $?;
	kill TERM => map { -$_ } values %pid;
	waitpid $_, 0 foreach values %pid;
	$? = $status;
}

delete $ENV{$_} foreach grep { /^PGRST_/ } keys %ENV;
foreach my $name (sort keys %command)
{
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

foreach my $one ($port, $postgrest_port)
{
	my $up;
	for (my $attempt = 0; $attempt < PATIENCE * 10 && !$up; $attempt++)
	{
		$up = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $one) or sleep 0.1;
	}
	die "nobody listens on port $one" if !$up;
}

# The demo's month, in a batch, and a metric over it.
$node->safe_psql('postgres', qq{
	SET search_path = api, public;
	CREATE TEMPORARY TABLE line (event jsonb);
	COPY line FROM '$root/examples/demo/events.ndjson' (FORMAT csv, DELIMITER E'\\1', QUOTE E'\\2');
	SELECT jsonb_array_length(ingest_usage_events(jsonb_agg(event)) -> 'outcomes') FROM line;
	SELECT create_usage_metric('{"name": "API time", "metricType": "SIMPLE", "eventType": "api-call", "aggregationType": "SUM",
		"aggregationProperty": "milliseconds", "unit": "ms"}');
	SELECT create_usage_metric('{"name": "Messages", "metricType": "SIMPLE", "eventType": "message-sent", "aggregationType": "COUNT"}');
	SELECT usage_events.refresh_rollups()});

# The browser ----------------------------------------------------------------------

# A line of its output is a check, or what it says of one that failed.
$ENV{PAGE} = "http://127.0.0.1:$port/ui/";
$ENV{CHROMIUM} = $chromium;
my $ran = 0;
open my $checks, '-|', 'node', "$root/web/test/browser.mjs" or die "could not start node: $!";
while (my $line = <$checks>)
{
	chomp $line;
	if ($line =~ /^(ok|not ok) - (.*)/)
	{
		ok($1 eq 'ok', $2);
		$ran++;
	}
	else
	{
		diag $line;
	}
}
ok(close $checks, 'the browser has come to its end');
cmp_ok($ran, '>=', 45, "it made $ran checks");

done_testing();
