# 044_dashboards.pl: what examples/grafana, examples/prometheus and examples/psql ask, asked of the demo's month by an ordinary role
#
# Each query must run, and find something.  prometheus-sql-exporter is run for real where it is installed.
use strict;
use warnings FATAL => 'all';

use FindBin;
use HTTP::Tiny;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

use constant PATIENCE => 180;

my $examples = "$FindBin::RealBin/../../examples";
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

# The demo's month, two metrics, a limit, an alert that is crossed, a refused event, and a role that reads.
$node->safe_psql('postgres', qq{
	CREATE EXTENSION usage_events;
	CREATE TEMPORARY TABLE line (event jsonb);
	COPY line FROM '$examples/demo/events.ndjson' (FORMAT csv, DELIMITER E'\\1', QUOTE E'\\2');
	SELECT ingest_usage_events(jsonb_agg(event)) FROM line;
	SELECT ingest_usage_events('[{}]');
	SELECT create_usage_metric('{"name": "API time", "metricType": "SIMPLE", "eventType": "api-call", "aggregationType": "SUM",
		"aggregationProperty": "milliseconds"}') ->> 'id' AS metric \\gset
	SELECT create_usage_limit(jsonb_build_object('name', 'much', 'usageMetricId', :'metric', 'period', 'ALL_TIME', 'limit', 1000000, 'mode', 'REPORT'));
	SELECT create_usage_alert(jsonb_build_object('name', 'some', 'usageMetricId', :'metric', 'period', 'ALL_TIME', 'thresholds', '[1]'::jsonb,
		'direction', 'ABOVE'));
	DO \$\$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP NULL; END LOOP; END\$\$;
	CREATE ROLE viewer LOGIN;
	SELECT usage_events.grant_access('viewer', 'read')});
my ($metric, $account) = split /\|/, $node->safe_psql('postgres', 'SELECT id, account_id FROM usage_metrics');

sub ask
{
	my ($query) = @_;
	my ($status, $out, $error) = $node->psql('postgres', $query, extra_params => [ '-U', 'viewer' ]);
	return $status == 0 ? $out : die $error;
}

# Grafana: its macros and variables are replaced as it does.
my %variable = (metric => "'$metric'", customer => "'acme','it''s'", step => q('day'));

sub replaced
{
	my ($query, $from, $until) = @_;
	$query =~ s/\$__timeFrom\(\)/'$from'/g;
	$query =~ s/\$__timeTo\(\)/'$until'/g;
	$query =~ s/\$__timeFilter\((\w+)\)/$1 BETWEEN '$from' AND '$until'/g;
	$query =~ s/\$\{(\w+):sqlstring\}/$variable{$1} \/\/ die $1/ge;
	unlike($query, qr/\$/, 'nothing else is to be replaced');
	return $query;
}

foreach my $file (glob "$examples/grafana/*.json")
{
	my ($name) = $file =~ m{([^/]+)$};
	my $board = JSON::PP->new->utf8->decode(slurp_file($file));
	my %queries = ((map { ("the variable $_->{name}" => $_->{query}) } grep { $_->{type} eq 'query' } @{ $board->{templating}{list} }),
		map { my $title = $_->{title}; map { ($title => $_->{rawSql}) } @{ $_->{targets} } } @{ $board->{panels} });
	cmp_ok(scalar keys %queries, '>=', 5, "$name has queries");
	foreach my $title (sort keys %queries)
	{
		# What is of now is asked of today; what is of the past, of the demo's month.
		my $is_of_now = $queries{$title} =~ /uuid_v7_floor|occurred_at/;
		my $rows = eval { ask(replaced($queries{$title}, $is_of_now ? ('yesterday', 'tomorrow') : ('2026-10-01Z', '2026-11-01Z'))) };
		is($@, '', "$name: $title");
		isnt($rows // '', '', 'it finds something');
	}
}

# psql: each shortcut, of the demo's month.
my $event = $node->safe_psql('postgres', q(SELECT id FROM usage_events WHERE event_type = 'api-call' ORDER BY id LIMIT 1));
my @lines = split /\n/, slurp_file("$examples/psql/usage.psql");
my @shortcuts = map { /^\\set (\w+) 'SELECT/ ? $1 : () } @lines;
cmp_ok(scalar @shortcuts, '>=', 12, 'there are shortcuts');
foreach my $shortcut (@shortcuts)
{
	my $rows = eval { ask("\\i $examples/psql/usage.psql\n\\set from '2026-10-01Z'\n\\set until '2026-11-01Z'\n\\set event $event\n:$shortcut") };
	is($@, '', "the shortcut :$shortcut");
	isnt($rows // '', '', 'it finds something');
}

# Prometheus: the exporter itself, where it is there.
SKIP:
{
	my ($exporter) = grep { -x } map { "$_/prometheus-sql-exporter" } split /:/, $ENV{PATH};
	skip 'prometheus-sql-exporter is not installed', 4 unless $exporter;
	my $folder = PostgreSQL::Test::Utils::tempdir();
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my ($host, $server_port) = ($node->host =~ s{/}{%2F}gr, $node->port);
	my $configuration = slurp_file("$examples/prometheus/usage_events.yml");
	$configuration =~ s{postgres://[^']*}{postgres://viewer@/postgres?host=$host&port=$server_port&sslmode=disable} or die 'no connection';
	append_to_file("$folder/usage_events.yml", $configuration);
	my $pid = fork // die $!;
	if (!$pid)
	{
		open STDOUT, '>', "$folder/log" or POSIX::_exit(1);
		open STDERR, '>&', \*STDOUT;
		exec { $exporter } $exporter, '-config.file', "$folder/usage_events.yml", '-web.listen-address', "127.0.0.1:$port" or POSIX::_exit(1);
	}
	my $told = '';
	for (my $attempt = 0; $attempt < PATIENCE * 10 && $told !~ /sql_usage_rollups.*sql_usage_account|sql_usage_account.*sql_usage_rollups/s; $attempt++)
	{
		sleep 0.1;
		$told = HTTP::Tiny->new->get("http://127.0.0.1:$port/metrics")->{content};
	}
	kill TERM => $pid;
	waitpid $pid, 0;
	my $of = sub { my ($query, $column) = @_; return $told =~ /^sql_$query\{[^}]*col="$column"[^}]*\} (\S+)/m ? $1 + 0 : 'nothing: ' . slurp_file("$folder/log") };
	is($of->('usage_account', 'rejected_waiting'), 1, 'the exporter tells of refused events');
	is($of->('usage_account', 'metrics'), 1, 'of metrics');
	is($of->('usage_rollups', 'metrics'), 1, 'of rollups');
	like($told, qr/account="[^"]+"/, 'of whose they are');
}

done_testing();
