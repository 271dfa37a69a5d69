# upgrade.pl: a database with the extension goes to newer servers (see test/upgrade, which calls it)
#
# Usage: upgrade.pl INSTALLATION...: folders with bin and lib, the oldest version first
#
# A cluster with all there can be, metrics at every stage of being rolled up among it, goes through
# pg_upgrade from each version to the next, and from the first to the last, copied and linked; its database is also
# dumped and restored into each newer version, by the old pg_dump and by the new one.  What comes out must
# hold the same, answer the same, be made as a fresh install is, and go on as the original would.
#
# Servers themselves may be at odds: the releases of November 2026 note a version with each column (pg_attver), which an
# older release of the next version cannot take over, of any table.  Where a plain table cannot go, that way is skipped.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Contents;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @installations = @ARGV;
my %version_of = map { my ($version) = m{/(\d+)$} or die "no version in $_"; $_ => $version } @installations;
my $folder = PostgreSQL::Test::Utils::tempdir;
chdir $folder or die;

my $period = "'[2026-01-01Z, 2026-05-01Z)'";
my $customers = "'{c01,c02,c15,c29,c30,customer}'";

# The library is preloaded, as where the background process refreshes: which must keep out of pg_upgrade's way.
sub server
{
	my ($name, $installation) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, install_path => $installation);
	# From 18 on pages have checksums unless one says no; both clusters must have them, or none.
	my @checksums = $version_of{$installation} >= 18 ? '--no-data-checksums' : ();
	$node->init(extra => [ '--no-locale', '--encoding', 'UTF8', @checksums ]);
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'usage_events'\nautovacuum = off\nfsync = off");
	refresh_every($node, 0);
	return $node;
}

# By its path: a name alone would be looked up once for all servers.
sub program { my ($node, $name) = @_; return $node->install_path . "/bin/$name"; }

sub refresh_every
{
	my ($node, $seconds) = @_;
	$node->append_conf('postgresql.conf', "usage_events.refresh_interval = $seconds");
}

sub event
{
	my ($key, $alias, $n, $day) = @_;
	$day ||= '2026-04-01';
	return qq({"customerAlias": "$alias", "eventType": "call", "customerEventId": "$key",
		"eventTimestamp": "${day}T00:00:00.5+02:00", "eventProperties": {"n": $n, "status": "s$n"}});
}

sub create
{
	my ($schema, @event) = @_;
	return "SELECT $schema.create_usage_event('" . event(@event) . "') ->> 'id'";
}

sub metric
{
	my ($name, $rest) = @_;
	return qq(SELECT api.create_usage_metric('{"name": "$name", "eventType": "call", $rest}') IS NULL);
}

sub refuses
{
	my ($node, $database, $statement, $error, $name) = @_;
	my ($result, $stdout, $stderr) = $node->psql($database, $statement);
	like($stderr, $error, $name);
}

# What metrics say: with rollups where there are some, or from the events alone.
sub answers
{
	my ($node, $database, $schema, $before) = @_;
	$before ||= '';
	return $node->safe_psql($database, qq{
		BEGIN; $before;
		SELECT m.name, $schema.calculate_usage_metric(m.id, $customers, $period) FROM $schema.usage_metrics AS m ORDER BY 1;
		SELECT m.name, s.* FROM $schema.usage_metrics AS m, $schema.usage_metric_series(m.id, $customers, $period, 'day', 'Europe/Berlin') AS s
			WHERE m.aggregation_type <> 'CUSTOM' AND s.event_count > 0 ORDER BY 1, 2;
		SELECT m.name, c.* FROM $schema.usage_metrics AS m, $schema.usage_metric_by_customer(m.id, $period) AS c
			WHERE m.aggregation_type <> 'CUSTOM' ORDER BY 1, 2;
		SELECT m.name, $schema.calculate_usage_metric(m.id, $customers, $period, '2026-01-01Z'::timestamptz + '100 years') FROM $schema.usage_metrics AS m ORDER BY 1;
		ROLLBACK;});
}

sub answers_from_events { return answers(@_[ 0 .. 2 ], 'TRUNCATE usage_events.metric_rollup'); }

sub states
{
	my ($node) = @_;
	return $node->safe_psql('usage', 'SELECT name, state, built_through, dirty_buckets FROM usage_events.rollup_status ORDER BY name COLLATE "C", metric_id');
}

sub highest_id { my ($node, $database) = @_; return $node->safe_psql($database, 'SELECT id FROM usage_events.event ORDER BY id DESC LIMIT 1'); }

sub as { my ($role, $statement) = @_; return "SET ROLE $role; $statement"; }

# The oldest cluster --------------------------------------------------------

my $grants = q{SELECT usage_events.grant_access('reader', 'read'), usage_events.grant_access('ingester', 'ingest'),
	usage_events.grant_access('administrator', 'admin'), usage_events.grant_access('web', 'http'), usage_events.grant_access('tenant', 'ingest')};
my ($another, $key);

sub fill
{
	my ($node) = @_;
	$node->safe_psql('postgres', q{
		CREATE ROLE reader; CREATE ROLE ingester; CREATE ROLE administrator; CREATE ROLE web; CREATE ROLE tenant LOGIN; CREATE ROLE switcher LOGIN;
		GRANT tenant TO switcher; GRANT SET ON PARAMETER usage_events.account_id TO switcher;
		CREATE DATABASE usage});
	$node->safe_psql('usage', "CREATE SCHEMA api; CREATE EXTENSION usage_events SCHEMA api; $grants");
	$node->safe_psql('usage', qq{
		SELECT api.create_usage_event(jsonb_build_object('customerAlias', 'c' || to_char(n % 30 + 1, 'FM00'), 'eventType', CASE WHEN n % 11 = 0 THEN 'other' ELSE 'call' END,
			'customerEventId', n::text, 'eventTimestamp', ('2026-01-01Z'::timestamptz + n * CASE WHEN n % 30 < 3 THEN interval '2 seconds' ELSE interval '40 minutes' END),
			'eventProperties', jsonb_build_object('n', n / 7.0, 'status', 's' || n % 5, 'user', n % 97))) FROM generate_series(1, 4000) AS n;
		SELECT api.create_usage_event(jsonb_build_object('customerAlias', CASE WHEN n % 3 = 0 THEN 'VOID' ELSE 'c02' END, 'eventType', 'call',
			'customerEventId', n::text, 'eventTimestamp', '2026-03-01T00:00:00Z', 'eventProperties', jsonb_build_object('n', n))) FROM generate_series(1, 4000, 19) AS n;
		SELECT api.create_customer_alias('{"customerId": "customer", "value": "c03", "label": "x"}');
		SELECT api.delete_customer_alias((api.create_customer_alias('{"customerId": "customer", "value": "c04"}') ->> 'id')::uuid);
		SELECT api.ingest_usage_events('[{}, 5, {"customerAlias": " ", "eventType": "call"}]');
		${\metric('sum', '"metricType": "SIMPLE", "aggregationType": "AVERAGE", "aggregationProperty": "n"')};
		SELECT api.update_usage_metric(id, '{"name": "sum", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}') FROM api.usage_metrics;
		${\metric('grouped', '"metricType": "GROUPED", "groupingProperty": "status", "aggregationType": "COUNT"')};
		${\metric('unique', '"metricType": "SIMPLE", "aggregationType": "UNIQUE", "aggregationProperty": "user", "propertyFilters": {"status": ["s1", "s2"]}')};
		${\metric('latest', '"metricType": "SIMPLE", "aggregationType": "LATEST", "aggregationProperty": "n"')};
		SELECT usage_events.create_custom_metric('{"name": "custom", "eventType": "call", "expression": "count(*) * factor",
			"parameters": [{"name": "factor", "type": "POSITIVE_INTEGER", "description": "x", "defaultValue": "2"}]}');
		SELECT usage_events.purge('2025-06-01Z');
		CREATE TABLE api.outbox (id int PRIMARY KEY, event api.usage_event);
		INSERT INTO api.outbox VALUES (1, '${\event('outbox', 'c01', 1.50)}');
	});
	$another = $node->safe_psql('usage', q{SELECT usage_events.create_account('another')});
	$node->safe_psql('usage', "SELECT usage_events.create_event('$another', '" . event('1', 'c01', 1) . "')");
	$node->safe_psql('postgres', "ALTER ROLE tenant SET usage_events.account_id = '$another'");
	$key = $node->safe_psql('usage', "SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$another', 'upgraded')");
}

# Another day each time, so that it is a correction.
sub day { return 2 + length($_[0]) % 4; }

# Metrics at every stage, and marks that wait.  A transaction is open at first, so that new metrics have to wait for it.
sub begin_to_build
{
	my ($node, $tag) = @_;
	$node->safe_psql('usage', q{DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END$$});
	my $writer = $node->background_psql('usage', on_error_stop => 1);
	$writer->query_safe("BEGIN; " . create('api', "open $tag", 'c01', 5));
	$node->safe_psql('usage', metric("building $tag", '"metricType": "SIMPLE", "aggregationType": "MAX", "aggregationProperty": "n"'));
	$node->safe_psql('usage', metric("waiting $tag", '"metricType": "SIMPLE", "aggregationType": "COUNT"'));
	$node->safe_psql('usage', 'SELECT usage_events.refresh_rollups()');
	is($node->safe_psql('usage', 'SELECT count(*) FROM usage_events.metric_progress WHERE horizon IS NOT NULL AND NOT is_built'), 2, "$tag: new metrics wait for a transaction");
	$writer->query_safe('COMMIT');
	$writer->quit;
	$node->safe_psql('usage', 'SELECT usage_events.refresh_rollups(max_steps => 8)');
	$node->safe_psql('usage', metric("new $tag", '"metricType": "SIMPLE", "aggregationType": "MIN", "aggregationProperty": "n"'));
	$node->safe_psql('usage', create('api', "late $tag", 'c15', 7, '2026-01-02'));
	$node->safe_psql('usage', create('api', '3001', 'c02', 11, '2026-02-0' . day($tag)));
	like(states($node), qr/^building \Q$tag\E\|building\|c\d\d\|[1-9]\d*\n(.*\n)*new \Q$tag\E\|waiting\|\|.*\n(.*\n)*waiting \Q$tag\E\|waiting\|\|/m, "$tag: metrics are waiting, and half built");
}

# From 17 on owners have one more privilege on their tables.
sub grants { return join "\n", grep { !/\|MAINTAIN\|/ } split /\n/, privileges(@_); }

# Comparisons ----------------------------------------------------------------

sub contents
{
	my ($node) = @_;
	return {
		rows => rows($node, 'usage'), rollups => rows_of_rollups($node, 'usage'), privileges => grants($node, 'usage'),
		answers => answers($node, 'usage', 'api'), outbox => $node->safe_psql('usage', 'SELECT o::text FROM api.outbox AS o'),
		states => states($node), highest_id => highest_id($node, 'usage'),
		first_id => $node->safe_psql('usage', "SELECT id FROM usage_events.event WHERE customer_event_id = '3001'") };
}

sub make_fresh
{
	my ($node) = @_;
	$node->safe_psql('postgres', 'CREATE DATABASE fresh');
	$node->safe_psql('fresh', "CREATE SCHEMA api; CREATE EXTENSION usage_events SCHEMA api; $grants");
}

# It goes on as the original would have.
sub goes_on
{
	my ($name, $node, $database, $schema, $before) = @_;
	is($node->safe_psql($database, create($schema, '3001', 'c02', 11, '2026-02-0' . $before->{day})), $before->{first_id}, "$name: a retry gets the first answer");
	is(rows($node, $database), $before->{rows}, "$name: and writes nothing");
	my $new_id = $node->safe_psql($database, as('ingester', create($schema, '3001', 'c29', 13, '2026-02-07')));
	cmp_ok($new_id, 'gt', $before->{highest_id}, "$name: ids ascend");
	is($node->safe_psql($database, as('reader', "SELECT superseded_by FROM $schema.usage_event_history WHERE id = '$before->{first_id}'")), $new_id, "$name: a correction gives history");
	refuses($node, $database, as('reader', create($schema, 'no', 'c01', 1)), qr/permission denied/, "$name: who may read may not write");
	refuses($node, $database, create($schema, 'no', 'c01', 1, '2025-05-01'), qr/purged/, "$name: what is of before the purge is refused");
	refuses($node, $database, "SELECT $schema.calculate_usage_metric(id, $customers, '[2025-01-01Z, 2026-05-01Z)') FROM $schema.usage_metrics", qr/purged/, "$name: and not asked for");
	is(total_of_key($node, $database, $schema, $key), 1, "$name: an API key is still good");
	is($node->safe_psql($database, as('administrator', "SELECT $schema.retry_rejected_usage_events() ->> 'refused'")), 3, "$name: refused events are refused again");
	refuses($node, $database, "DROP EXTENSION usage_events CASCADE", qr/holds usage events/, "$name: events do not go with DROP EXTENSION");
	refuses($node, $database, "DROP SCHEMA $schema CASCADE", qr/holds usage events/, "$name: nor with a schema");
}

sub upgrade
{
	my ($source, $installation, @options) = @_;
	my ($from, $to) = ($version_of{ $source->install_path }, $version_of{$installation});
	my $name = "pg_upgrade $from to $to" . (@options ? ' ' . join ' ', @options : '');
	my $node = server(join('_', "upgraded_${from}_$to", map { s/-//gr } @options), $installation);

	$source->start;
	my $tag = join ' ', "$from-$to", map { s/-//gr } @options;
	begin_to_build($source, $tag);
	my $before = contents($source);
	$before->{day} = day($tag);
	is(answers_from_events($source, 'usage', 'api'), $before->{answers}, "$name: rollups say what the events say");
	$source->stop;

	my @command = (program($node, 'pg_upgrade'), '--no-sync', '--old-datadir', $source->data_dir, '--new-datadir', $node->data_dir, '--old-bindir', $source->install_path . '/bin',
		'--new-bindir', "$installation/bin", '--socketdir', $node->host, '--old-port', $source->port, '--new-port', $node->port);
	# Both servers would refresh, if they could.
	refresh_every($_, 1) foreach $source, $node;
	$node->command_ok([ @command, '--check', @options ], "$name: --check");
	$node->command_ok([ @command, @options ], $name);
	refresh_every($_, 0) foreach $source, $node;
	$node->start;

	my $after = contents($node);
	is($after->{$_}, $before->{$_}, "$name: the same $_") foreach sort keys %$after;
	make_fresh($node);
	is(description($node, 'usage'), description($node, 'fresh'), "$name: all is made as in a fresh install, privileges included");
	is(answers_from_events($node, 'usage', 'api'), $before->{answers}, "$name: the same answers from the events alone");

	goes_on($name, $node, 'usage', 'api', $before);
	is($node->safe_psql('usage', q{SELECT count(*) FROM api.usage_events}, connstr => $node->connstr('usage') . ' user=tenant'), 1, "$name: a role's account is its own");
	is($node->safe_psql('usage', "SET usage_events.account_id = '$another'; SET ROLE tenant; SELECT count(*) FROM api.usage_events", connstr => $node->connstr('usage') . ' user=switcher'),
		1, "$name: who may set the account still may");

	# Rollups go on: those that were there are used, and those half built are finished, by the background process.
	my $answers = answers($node, 'usage', 'api');
	isnt($answers, $before->{answers}, "$name: what is new is counted");
	is($answers, answers_from_events($node, 'usage', 'api'), "$name: rightly, before a refresh");
	refresh_every($node, 1);
	$node->reload;
	ok($node->poll_query_until('usage', q{SELECT count(*) > 5 AND bool_and(state = 'ready' AND dirty_buckets = 0) FROM usage_events.rollup_status}),
		"$name: all metrics are built");
	refresh_every($node, 0);
	$node->reload;
	is(answers($node, 'usage', 'api'), $answers, "$name: and say the same");
	$node->safe_psql('usage', create('api', "after $tag", 'c30', 17));
	is(answers($node, 'usage', 'api'), answers_from_events($node, 'usage', 'api'), "$name: with another event, too");

	$node->command_ok([ program($node, 'pg_amcheck'), '--install-missing', '--heapallindexed', '--parent-check', '--database', 'usage' ], "$name: amcheck finds nothing");
	$node->safe_psql('postgres', 'DROP DATABASE fresh');
	$node->stop;
	return $node;
}

# Dumps ------------------------------------------------------------------------

sub dump_and_restore
{
	my ($name, $source, $target, $dumper, $options, $restore, @options_of_restore) = @_;
	my $file = "$folder/dump";
	unlink $file;
	$dumper->command_ok([ program($dumper, 'pg_dump'), '--dbname', $source->connstr('usage'), '-f', $file, @$options ], "$name: dump");
	$target->command_ok([ program($target, $restore), @options_of_restore, '--dbname', $target->connstr('restored'), $restore eq 'psql' ? '-f' : (), $file ], "$name: restore");
}

sub dumps
{
	my ($source, $target) = @_;
	my ($from, $to) = map { $version_of{ $_->install_path } } $source, $target;
	my @psql = qw(psql -X -q -o /dev/null -v ON_ERROR_STOP=1);
	my @pg_restore = qw(pg_restore -j2 --exit-on-error);

	my $before = contents($source);
	$before->{day} = 1;
	$before->{first_id} = $source->safe_psql('usage', create('api', '3001', 'c02', 11, '2026-02-01'));
	$before = { %$before, %{ contents($source) }, day => 1, first_id => $before->{first_id} };

	my $takes = 0;
	foreach my $dumper ($source, $target)
	{
		my $with = $version_of{ $dumper->install_path };
		# A server's own pg_dump does not read a newer server.
		$takes = takes_plain_tables($source, $target, $dumper);
		skip_or("pg_dump $with of $from to $to", $takes, sub { 1 }) or next;
		foreach my $way ([ 'plain', [], @psql ], [ 'custom', ['-Fc'], @pg_restore ])
		{
			my ($format, $options, @restore) = @$way;
			my $name = "pg_dump $with of $from to $to, $format";
			$target->safe_psql('postgres', 'CREATE DATABASE restored');
			dump_and_restore($name, $source, $target, $dumper, $options, @restore);
			is(rows($target, 'restored'), $before->{rows}, "$name: the same rows");
			is(grants($target, 'restored'), $before->{privileges}, "$name: the same privileges");
			is(description($target, 'restored'), description($target, 'fresh'), "$name: all is made as in a fresh install");
			is(answers($target, 'restored', 'api'), $before->{answers}, "$name: the same answers");
			is($target->safe_psql('restored', 'SELECT o::text FROM api.outbox AS o'), $before->{outbox}, "$name: the same in a table of our own");
			goes_on($name, $target, 'restored', 'api', $before);
			my $answers = answers($target, 'restored', 'api');
			$target->safe_psql('restored', q{DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END$$});
			is(answers($target, 'restored', 'api'), $answers, "$name: rollups built anew say the same");
			$target->safe_psql('postgres', 'DROP DATABASE restored');
		}
	}

	# Where the extension is in another schema, its data alone; the table of our own needs that schema.
	my $name = "pg_dump $to of $from to $to, another schema";
	$target->safe_psql('postgres', 'CREATE DATABASE restored');
	$target->safe_psql('restored', 'CREATE SCHEMA other; CREATE EXTENSION usage_events SCHEMA other;' . $grants);
	dump_and_restore($name, $source, $target, $target, [ '--data-only', '--exclude-table=api.outbox' ], @psql);
	is(rows($target, 'restored'), $before->{rows}, "$name: the same rows");
	is(answers($target, 'restored', 'other'), $before->{answers}, "$name: the same answers");
	goes_on($name, $target, 'restored', 'other', $before);
	$target->safe_psql('postgres', 'DROP DATABASE restored');
}

# Whether the second server takes a plain table, dumped by its own pg_dump, of the first.  Both run.
sub takes_plain_tables
{
	my ($source, $target, $dumper) = @_;
	my $dump = "$folder/plain_table";
	$source->safe_psql('postgres', 'DROP TABLE IF EXISTS plain; CREATE TABLE plain (n int)');
	$dumper->command_ok([ program($dumper, 'pg_dump'), '--table=plain', '--dbname', $source->connstr('postgres'), '-f', $dump ], 'a plain table: dump');
	my ($result, $stdout, $stderr) = $target->psql('postgres', "BEGIN; ${\slurp_file($dump) =~ s/^\\.*//mgr}; ROLLBACK", on_error_stop => 1);
	return 1 if $result == 0;
	like($stderr, qr/unrecognized parameter "pg_attver"/, 'a plain table: cannot be restored, for a known reason');
	return 0;
}

sub skip_or
{
	my ($what, $takes, $code) = @_;
	my $done;
  SKIP:
	{
		skip "$what: these releases do not take over a plain table either", 1 unless $takes;
		$done = $code->();
	}
	return $done;
}

# All of it ----------------------------------------------------------------------

my ($oldest, @newer) = @installations;
my $source = server('oldest', $oldest);
# Transaction ids of more than 32 bits: where the metrics' horizons are, they need to be kept whole.
$source->command_ok([ program($source, 'pg_resetwal'), '--epoch', 3, $source->data_dir ], 'an old cluster has run for long');
$source->start;
fill($source);
$source->stop;

my @targets;
foreach my $installation (@newer)
{
	my $target = server("dumps_$version_of{$installation}", $installation);
	$target->start;
	push @targets, $target;
}

# Every server's dumps into every newer one; and it is upgraded to the next.
my @sources = ($source);
for my $i (0 .. $#targets)
{
	my $from = $sources[-1];
	$from->start;
	foreach my $target (@targets[ $i .. $#targets ])
	{
		if ($i == 0)
		{
			my $globals = "$folder/globals";
			$target->command_ok([ program($target, 'pg_dumpall'), '--globals-only', '--dbname', $from->connstr('postgres'), '-f', $globals ], 'roles: dump');
			my $superuser = getpwuid($>);
			$target->safe_psql('postgres', slurp_file($globals) =~ s/^CREATE ROLE \Q$superuser\E;$//mr);
			make_fresh($target);
		}
		dumps($from, $target);
	}
	my $takes = takes_plain_tables($from, $targets[$i], $targets[$i]);
	$from->stop;
	my $upgraded = skip_or("pg_upgrade to $version_of{ $newer[$i] }", $takes, sub { upgrade($from, $newer[$i]) }) or last;
	push @sources, $upgraded;
}

# What was copied is still whole: linked this time, as far as it can go in one step.
$source->start;
my ($farthest) = grep { takes_plain_tables($source, $_, $_) } reverse @targets;
$source->stop;
upgrade($source, $farthest->install_path, '--link');

$_->stop foreach @targets;
done_testing();
