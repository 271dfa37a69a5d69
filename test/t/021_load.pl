# 021_load.pl: many clients at once, of all kinds, while it is refreshed, purged and vacuumed
#
# Ordinary roles of several accounts send new events, corrections (of ten events one), retries and
# refused ones: singly, in batches, by COPY, in transactions of their own; others ask for metrics, lists and history,
# change aliases and metrics, and purge.  In the midst of it one session stores very many events in one transaction,
# and keeps it open.  There must be no error but those asked for, no deadlock and no wrong answer; in the
# end every event sent is there, once, and no backend has more memory than its largest statement can need.  Dead
# rows, sizes, the marks that wait, rates and latencies are printed, and not judged.
#
#	CLIENTS="8 64 256" DURATION=600 EVENTS=1000000		the long form, make test-load
#	COMPARE=1											the question about all customers in plain SQL as well
#	POOL=4												pgbench's clients share so many sessions of each account, through PgBouncer
use strict;
use warnings FATAL => 'all';

use DBD::Pg ();
use DBI;
use FindBin;
use lib "$FindBin::RealBin/..";
use PgBouncer;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my @clients = split ' ', $ENV{CLIENTS} || '12';
my $duration = $ENV{DURATION} || 30;
my $events_at_once = $ENV{EVENTS} || 30_000;
my $pool_size = $ENV{POOL} || 0;

# The largest statement stores 20,000 events, at 2 kB each (docs/operations.md), and beside it a month of all customers is
# little: twice as much is a bound on either.  When it comes is the dice's affair; 006_memory.pl tells what must not grow.
use constant MOST_MEMORY => 20_000 * 4096 + 48 * 1024 * 1024;

my $directory = PostgreSQL::Test::Utils::tempdir;
note("CLIENTS=@clients DURATION=$duration EVENTS=$events_at_once POOL=$pool_size");

# What pgbench's clients do: name, how often, and how.
my @scripts = (
	[ new => 22, q{SELECT create_usage_event(load.new_event());} ],
	[ correction => 5, q{SELECT create_usage_event(load.correction());} ],
	[ hot => 1, q{SELECT create_usage_event(load.hot_event());} ],
	[ once => 4, q{SELECT create_usage_event(load.once_event(load.next('once')));} ],
	[ retry => 6, q{SELECT create_usage_event(load.retry());} ],
	[ refused => 1, q{SELECT load.send_refused();} ],
	[ batch => 4, q{\set count random(1, 100)
		SELECT create_usage_events(load.batch(:count));} ],
	[ ingest => 4, q{\set count random(1, 100)
		SELECT ingest_usage_events(load.batch(:count) || load.refused_event());} ],
	[ late => 2, q{SELECT create_usage_events(load.late_batch(50));} ],
	[ old => 1, q{SELECT create_usage_events(load.old_batch(20));} ],
	[ transaction => 3, q{BEGIN;
		INSERT INTO load.message (text) VALUES ('hello');
		SELECT create_usage_event(load.new_event());
		SELECT create_usage_event(load.new_event());
		COMMIT;} ],
	[ rollback => 1, q{\set n random(1, 1000)
		BEGIN;
		SELECT create_usage_event(load.event('back-' || :n::bigint, :n::bigint, now()));
		ROLLBACK;} ],
	# Whoever comes second is told to try again, and pgbench does.
	[ repeatable_read => 1, q{\set n random(1, 10)
		BEGIN ISOLATION LEVEL REPEATABLE READ;
		SELECT get_usage_event(uuid_v7());
		SELECT create_usage_event(load.event('race-' || :n::bigint, load.dice(1000000), now()));
		COMMIT;} ],
	[ calculate => 8, q{SELECT calculate_usage_metric(load.metric('SUM'), load.customers(), load.period('1 day'));} ],
	[ month => 4, q{SELECT calculate_usage_metric(load.metric('GROUPED'), load.customers(), load.period('30 days'));} ],
	[ unique => 1, q{SELECT calculate_usage_metric(load.metric('UNIQUE'), load.customers(), load.period('1 day'));} ],
	[ as_of => 1, q{SELECT calculate_usage_metric(load.metric('COUNT'), load.customers(), load.period('1 day'), now() - interval '1 second');} ],
	[ series => 2, q{SELECT count(*) FROM usage_metric_series(load.metric('SUM'), load.customers(), load.period('1 day'), 'hour');} ],
	[ by_customer => 1, q{SELECT count(*) FROM usage_metric_by_customer(load.metric('COUNT'), load.period('1 day'));} ],
	# The same question as a user would write it, to compare: it reads all events, and so is a load of its own.
	[ by_hand => $ENV{COMPARE} ? 1 : 0, q{SELECT count(*) FROM (SELECT customer_alias, count(*) FROM usage_events WHERE event_type = 'call' AND event_timestamp >= now() - interval '1 day' GROUP BY 1) AS c;} ],
	[ compare => 2, q{SELECT load.compare();} ],
	[ list => 4, q{SELECT list_usage_events(50, event_type => 'call') -> 'pagination' ->> 'after' AS after \gset
		SELECT list_usage_events(50, event_type => 'call', after => nullif(:after, ''));} ],
	[ list_customer => 3, q{SELECT list_usage_events(20, customer_aliases => load.customers(), sort_by => 'eventTimestamp', event_timestamp_after => now() - interval '1 day');} ],
	[ history => 2, q{SELECT get_usage_event_history(id) FROM usage_events WHERE customer_event_id = 'hot-1';} ],
	[ unmapped => 1, q{SELECT count(*) FROM unmapped_customer_aliases;} ]);
@scripts = grep { $_->[1] > 0 } @scripts;

foreach my $script (@scripts)
{
	open(my $file, '>', "$directory/$script->[0].sql") or die $!;
	print $file $script->[2] =~ s/^\t+//gmr, "\n";
	close $file;
}

# On a busy machine autovacuum is late with a process, or has one give way to a session that waits for its lock.
my $autovacuum_gives_way = qr/worker took too long to start; canceled|canceling autovacuum task/;

my $node;
my $monitor;

sub connect_as
{
	my ($user) = @_;
	return DBI->connect('dbi:Pg:' . ($node->connstr('postgres') =~ s/ /;/gr =~ s/'//gr), $user, '',
		{ RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_server_prepare => 1, AutoInactiveDestroy => 1 });
}

sub value { return scalar $monitor->selectrow_array(@_); }

# Ends with what went wrong in a file, which must be empty.
sub run_child
{
	my ($name, $work) = @_;
	my $child = fork() // die $!;
	return $child if $child;
	$monitor->{InactiveDestroy} = 1;
	open(my $file, '>', "$directory/$name.errors") or die $!;
	eval { $work->(); 1 } or print $file $@;
	close $file;
	POSIX::_exit(0);
}

# Files of up to 3,000 lines.
sub copy_files
{
	my ($account, $until) = @_;
	my $database = connect_as("sender_$account");
	my $is_first = 1;
	while (time() < $until || $is_first)
	{
		my $lines = $database->selectcol_arrayref(q{SELECT jsonb_array_elements_text(load.batch(?))}, undef, 1 + int rand 3000);
		$database->do(q{COPY usage_event_import FROM STDIN (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')});
		$database->pg_putcopydata("$_\n") foreach @$lines;
		$database->pg_putcopyend;
		$is_first = 0;
		sleep rand 1;
	}
}

# Aliases and metrics change, old events are purged, and refused ones sent again.
sub manage
{
	my ($account, $until) = @_;
	my $database = connect_as("manager_$account");
	my $definition = '{"name": "passing", "eventType": "login", "metricType": "SIMPLE", "aggregationType": "MAX", "aggregationProperty": "n"}';
	my $metric;
	while (time() < $until)
	{
		$database->do(q{SELECT load.change_alias()});
		# Beyond it may be what another client is about to send: it would be refused.
		$database->do(q{SELECT usage_events.purge('2020-01-01Z'::timestamptz + greatest(0, load.last('old') - 20000) * interval '1 second')});
		$database->do(q{SELECT retry_rejected_usage_events(ARRAY(SELECT id FROM rejected_usage_events ORDER BY id DESC LIMIT 3))});
		my $dice = rand();
		if (!defined $metric) { $metric = $database->selectrow_array(q{SELECT create_usage_metric(?::jsonb) ->> 'id'}, undef, $definition); }
		elsif ($dice < 0.2) { $database->do(q{SELECT update_usage_metric(?, ?::jsonb)}, undef, $metric, $definition); }
		elsif ($dice < 0.3) { $database->do(q{SELECT delete_usage_metric(?)}, undef, $metric); $metric = undef; }
		sleep 0.5 + rand 1;
	}
}

# All in one transaction, which stays open for a while; in batches, as a jsonb value has room for 256 MB.
sub send_at_once
{
	my $database = connect_as('sender_1');
	open(my $times, '>', "$directory/at_once") or die $!;
	print $times "pid $database->{pg_pid}\n";
	print $times 'began ', time(), "\n";
	$database->begin_work;
	for (my $first = 1; $first <= $events_at_once; $first += 20_000)
	{
		my $last = $first + 19_999;
		$last = $events_at_once if $last > $events_at_once;
		$database->do(q{SELECT jsonb_array_length(create_usage_events(load.all_batch(?, ?)))}, undef, $first, $last);
	}
	print $times 'sent ', time(), "\n";
	$times->flush;
	sleep $duration / 10;
	$database->commit;
	print $times 'committed ', time(), "\n";
	close $times;
}

# What is measured -----------------------------------------------------------

my @tables = qw(event superseded_event dirty_bucket metric_rollup metric_progress rejected_event);

# Bytes, rows and dead rows of the tables, and of their indexes how full a page is, as they are at this moment.
sub measure_tables
{
	my %measured;
	foreach my $table (@tables)
	{
		my $row = $monitor->selectrow_hashref(qq{SELECT table_len, tuple_count, dead_tuple_count, dead_tuple_percent, free_percent FROM pgstattuple('usage_events.$table')});
		$measured{$table} = { %$row };
		foreach my $index (@{ $monitor->selectcol_arrayref(qq{SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'usage_events.$table'::regclass ORDER BY 1}) })
		{
			$measured{$index} = { %{ $monitor->selectrow_hashref(qq{SELECT index_size AS table_len, avg_leaf_density AS density FROM pgstatindex('$index')}) } };
		}
	}
	return \%measured;
}

# Kilobytes that the clients' backends have for themselves, by pid: those that are there all the time.
sub measure_memory
{
	my %memory;
	foreach my $pid (@{ $monitor->selectcol_arrayref(q{SELECT pid FROM pg_stat_activity WHERE usename LIKE 'sender%'}) })
	{
		my $status = eval { slurp_file("/proc/$pid/status") } // next;
		$memory{$pid} = $1 if $status =~ /RssAnon:\s+(\d+)/;
	}
	return \%memory;
}

sub percentile
{
	my ($share, @values) = @_;
	return 0 unless @values;
	@values = sort { $a <=> $b } @values;
	return $values[ $share >= 1 ? -1 : int($share * @values) ];
}

sub megabytes { return sprintf '%.1f', $_[0] / 1048576; }

# Latencies of a set of transactions, as text: how many a second, and milliseconds.
sub describe
{
	my ($seconds, @latencies) = @_;
	return sprintf '%6.0f/s, median %.1f ms, p99 %.1f, longest %.0f', @latencies / $seconds,
	  map { percentile($_, @latencies) / 1000 } 0.5, 0.99, 1;
}

# One run -------------------------------------------------------------------

sub run_load
{
	my ($clients) = @_;
	my $accounts = $clients < 16 ? 2 : 4;
	my $long = $duration >= 60;
	$node = PostgreSQL::Test::Cluster->new("clients_$clients");
	$node->init;
	$node->append_conf('postgresql.conf', qq{
		shared_preload_libraries = 'usage_events'
		usage_events.refresh_interval = @{[ $long ? 10 : 2 ]}
		autovacuum_naptime = @{[ $long ? '1min' : '2s' ]}
		max_connections = @{[ $clients + 30 ]}
		shared_buffers = @{[ $long ? '1GB' : '128MB' ]}
		max_wal_size = 4GB
		log_statement = none
		log_min_messages = warning
		log_min_error_statement = error});
	$node->start;
	$node->safe_psql('postgres', q{CREATE EXTENSION usage_events; CREATE EXTENSION pgstattuple});
	$node->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', 'test/load.sql' ], "$clients clients: what they call is made");
	$node->safe_psql('postgres', q{
		CREATE TABLE load.message (id bigint GENERATED ALWAYS AS IDENTITY, text text);
		GRANT INSERT ON load.message TO PUBLIC});
	foreach my $account (1 .. $accounts)
	{
		my $id = $node->safe_psql('postgres', "SELECT usage_events.create_account('account $account')");
		$node->safe_psql('postgres', join '; ',
			(map { "CREATE SEQUENCE load.${_}_$account; GRANT ALL ON SEQUENCE load.${_}_$account TO PUBLIC" } qw(key version once old refused)),
			(map { "CREATE ROLE $_->[0]_$account LOGIN; SELECT usage_events.grant_access('$_->[0]_$account', '$_->[1]'); ALTER ROLE $_->[0]_$account SET usage_events.account_id = '$id'" }
			  [ sender => 'ingest' ], [ manager => 'admin' ]));
		$node->safe_psql('postgres', q{
			SELECT create_usage_metric(jsonb_build_object('name', name, 'eventType', 'call', 'metricType', CASE name WHEN 'GROUPED' THEN name ELSE 'SIMPLE' END,
				'aggregationType', CASE name WHEN 'GROUPED' THEN 'SUM' ELSE name END, 'aggregationProperty', CASE name WHEN 'COUNT' THEN NULL WHEN 'UNIQUE' THEN 'user' ELSE 'n' END,
				'groupingProperty', CASE name WHEN 'GROUPED' THEN 'region' END))
			FROM unnest('{COUNT,SUM,MAX,UNIQUE,GROUPED}'::text[]) AS name}, extra_params => [ '-U', "sender_$account" ]);
	}
	my $pooler = $pool_size ? PgBouncer->new($node, users => [ map { "sender_$_" } 1 .. $accounts ], pool_size => $pool_size) : undef;
	# Prepared statements do not go through each of its versions.
	my @way = $pooler ? ('-M', 'extended', '-h', $pooler->{host}, '-p', $pooler->{port}) : ('-M', 'prepared', '-h', $node->host, '-p', $node->port);
	$monitor = connect_as($node->safe_psql('postgres', 'SELECT current_user'));

	# With rollups from the beginning; and as of a moment before a metric was made there is no answer.
	ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 AND bool_and(state = 'ready') FROM usage_events.rollup_status}), "$clients clients: rollups are kept");
	sleep 1.5;

	# A client of COPY for each account, and the others of pgbench.
	my $began = time();
	my $until = $began + $duration;
	my @files = map { ('-f', "$directory/$_->[0].sql\@$_->[1]") } @scripts;
	my @children;
	foreach my $account (1 .. $accounts)
	{
		my $share = int(($clients - $accounts) / $accounts) + ($account <= ($clients - $accounts) % $accounts ? 1 : 0);
		push @children,
		  run_child("copy_$account", sub { copy_files($account, $until) }),
		  run_child("manage_$account", sub { manage($account, $until) });
		my $child = fork() // die $!;
		if (!$child)
		{
			$monitor->{InactiveDestroy} = 1;
			open(STDOUT, '>', "$directory/pgbench_$account.out") or die $!;
			open(STDERR, '>&', \*STDOUT) or die $!;
			exec 'pgbench', '-n', @way, '-c', $share, '-T', $duration, '-l', '--log-prefix', "$directory/latency_$account", '--max-tries', 1000,
			  '-U', "sender_$account", @files, 'postgres';
		}
		push @children, $child;
	}

	# Watch.  The first fifth is to warm up; at the half comes the large transaction.
	my ($warm, %memory, $at_once, $at_once_pid, %waits, @marks, @lags, %most_dead);
	my ($samples, $behind_at_once, $next_look) = (0, 0, 0);
	my $last_look = $until - ($duration < 100 ? 2 : 5);
	while ((my $now = time()) < $last_look)
	{
		if ($at_once && !$at_once_pid && -s "$directory/at_once") { ($at_once_pid) = slurp_file("$directory/at_once") =~ /^pid (\d+)/m; }
		# Whoever makes room in a file holds that lock for the moment of it, and not until the transaction's end.
		my $waiting = $monitor->selectall_arrayref(q{SELECT pid, unnest(pg_blocking_pids(pid)) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event <> 'extend'});
		$samples++;
		$waits{samples}++ if @$waiting;
		$behind_at_once += grep { $_->[1] == ($at_once_pid // 0) } @$waiting;
		if ($now >= $next_look)
		{
			$next_look = $now + $duration / 100;
			my ($marks, $lag) = $monitor->selectrow_array(q{SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(marked_at)), 0) FROM usage_events.dirty_bucket WHERE event_type = 'call'});
			push @marks, $marks;
			push @lags, $lag;
			foreach (@{ $monitor->selectall_arrayref(q{SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables WHERE schemaname = 'usage_events'}) })
			{
				my ($table, $dead, $live) = @$_;
				$most_dead{$table} = [ $dead, $live ] if $dead > ($most_dead{$table} // [-1])->[0];
			}
		}
		if (!$warm && $now > $began + $duration / 5)
		{
			$memory{warm} = measure_memory();
			$warm = measure_tables();
		}
		if (!$at_once && $now > $began + $duration / 2)
		{
			$memory{half} = measure_memory();
			$at_once = run_child('at_once', \&send_at_once);
			push @children, $at_once;
		}
		sleep($duration < 100 ? 0.05 : 0.2);
	}
	# Where a look takes long none may have come between the half and the end.
	push @children, run_child('at_once', \&send_at_once) if !$at_once;
	$memory{end} = measure_memory();
	my $end = measure_tables();
	$warm //= $end;

	foreach my $child (@children)
	{
		waitpid($child, 0);
		is($?, 0, "$clients clients: one ended as it should");
	}
	foreach my $file (glob "$directory/*.errors")
	{
		is(slurp_file($file), '', "$clients clients: no error in " . ($file =~ s/.*\///r));
		unlink $file;
	}
	my ($done, $tried_again) = (0, 0);
	foreach my $account (1 .. $accounts)
	{
		my $said = slurp_file("$directory/pgbench_$account.out");
		like($said, qr/number of failed transactions: 0 /, "$clients clients: no transaction of account $account has failed");
		unlike($said, qr/error|aborted|warning/i, "$clients clients: nor does pgbench complain");
		$done += $1 if $said =~ /number of transactions actually processed: (\d+)/;
		$tried_again += $1 if $said =~ /number of transactions retried: (\d+)/;
	}

	# What the server says.
	is(value(q{SELECT sum(deadlocks) FROM pg_stat_database}), 0, "$clients clients: no deadlock");
	my @complaints = grep { /(?:WARNING|ERROR|FATAL|PANIC):/ && !/could not serialize access/ && !/$autovacuum_gives_way/ } split /\n/, slurp_file($node->logfile);
	is(join("\n", @complaints), '', "$clients clients: nothing in the log but serialization failures of those who asked for them");
	is($behind_at_once, 0, "$clients clients: nobody waited for the large transaction");

	# What is stored.
	foreach my $account (1 .. $accounts)
	{
		my $id = value('SELECT account_id FROM usage_events.account WHERE name = ?', undef, "account $account");
		$monitor->do("SET usage_events.account_id = '$id'");
		is_stored("$clients clients, account $account", $account, $id, $account == 1 ? $events_at_once : 0);
	}

	# Autovacuum comes at 50 rows and a fifth of the table, of such a size as it last saw: it is behind nowhere for long.
	ok($node->poll_query_until('postgres', q{
		SELECT count(*) = 0 FROM pg_stat_user_tables AS s JOIN pg_class AS c ON c.oid = relid
		WHERE schemaname = 'usage_events' AND n_dead_tup > 50 + 0.2 * greatest(reltuples, n_live_tup)}),
		"$clients clients: no table keeps dead rows that autovacuum should have taken");

	# A backend keeps what its largest statement needed, whenever that came.
	my $most = percentile(1, map { values %$_ } values %memory);
	cmp_ok($most, '>', 0, "$clients clients: there are backends to measure");
	# A sanitizer keeps what was freed, to see whether it is still used.
	cmp_ok(1024 * $most, '<', MOST_MEMORY, "$clients clients: the memory of backends is bounded") unless defined $ENV{ASAN_OPTIONS};

	# Figures -----------------------------------------------------------------

	my ($versions, $superseded) = $monitor->selectrow_array(q{
		SELECT sum(n), sum(n) FILTER (WHERE is_old) FROM (SELECT count(*) AS n, false AS is_old FROM usage_events.event UNION ALL SELECT count(*), true FROM usage_events.superseded_event) AS v});
	note(sprintf '%d clients, %d s: %d transactions (%.0f/s), %d tried again; %d events stored (%.0f/s), %.1f %% superseded others', $clients, $duration,
		$done, $done / $duration, $tried_again, $versions, $versions / $duration, 100 * $superseded / $versions);
	print_latencies($began, $accounts);
	note(sprintf 'somebody waited for a lock in %d of %d samples; marks of the metrics that stay: median %d, at most %d, at last %d; the oldest: median %.1f s, at most %.1f s',
		$waits{samples} // 0, $samples, percentile(0.5, @marks), percentile(1, @marks), $marks[-1], percentile(0.5, @lags), percentile(1, @lags));
	foreach my $moment (qw(warm half end))
	{
		my @values = values %{ $memory{$moment} };
		note(sprintf 'memory of %d backends, %s: median %.1f MB, most %.1f MB', scalar @values, $moment, percentile(0.5, @values) / 1024, percentile(1, @values) / 1024);
	}
	foreach my $name (sort keys %$end)
	{
		my ($first, $last) = ($warm->{$name}, $end->{$name});
		note(sprintf '%-45s %8s -> %8s MB, %s', $name, megabytes($first->{table_len}), megabytes($last->{table_len}),
			defined $last->{density}
			? sprintf('pages %.0f -> %.0f %% full', map { $_->{density} eq 'NaN' ? 0 : $_->{density} } $first, $last)
			: sprintf('rows %d -> %d, dead %.1f -> %.1f %%, free %.1f -> %.1f %% of bytes', map { ($first->{$_}, $last->{$_}) } qw(tuple_count dead_tuple_percent free_percent)));
	}
	note(join ', ', map { sprintf '%s: at most %d dead beside %d live', $_, @{ $most_dead{$_} } } sort keys %most_dead);
	$monitor->disconnect;
	$pooler->stop if $pooler;
	$node->stop('immediate');
	$node->clean_node;
}

# Every version that was sent is there once, and metrics say what the events say.
sub is_stored
{
	my ($name, $account, $id, $all) = @_;
	my $versions = qq{(SELECT customer_event_id AS key, event_properties ->> 'n' AS n, id, NULL::uuid AS superseded_by FROM usage_events.event WHERE account_id = '$id'
		UNION ALL SELECT customer_event_id, event_properties ->> 'n', id, superseded_by FROM usage_events.superseded_event WHERE account_id = '$id') AS v};
	my $last = sub { return value("SELECT coalesce(pg_sequence_last_value('load.$_[0]_$account'), 0)") };

	is(join(' ', $monitor->selectrow_array("SELECT count(*), count(DISTINCT n) FROM $versions WHERE key ~ '^(k|hot)-'")), join(' ', ($last->('version')) x 2),
		"$name: each version is there, once");
	is(value("SELECT count(DISTINCT key) FROM $versions WHERE key LIKE 'k-%'"), $last->('key'), "$name: and each key");
	is(join(' ', $monitor->selectrow_array("SELECT count(DISTINCT key), count(superseded_by) FROM $versions WHERE key LIKE 'once-%'")), $last->('once') . ' 0', "$name: retries are no versions");
	is(value("SELECT count(*) FROM $versions WHERE key LIKE 'back-%'"), 0, "$name: what was rolled back is not there");
	is(value("SELECT count(*) FROM $versions WHERE key LIKE 'all-%'"), $all, "$name: nor less than the whole large transaction");
	is(value("SELECT count(*) FROM usage_events.rejected_event WHERE account_id = '$id' AND body LIKE '%\"n\":%'"), $last->('refused'), "$name: each refused event is kept");
	my ($purged_up_to, $left) = $monitor->selectrow_array(qq{
		SELECT extract(epoch FROM coalesce((SELECT purged_before FROM usage_events.purge_horizon WHERE account_id = '$id'), '2020-01-01Z') - '2020-01-01Z')::bigint,
			(SELECT count(*) FROM usage_events.event WHERE account_id = '$id' AND customer_event_id LIKE 'old-%' AND event_timestamp >= coalesce((SELECT purged_before FROM usage_events.purge_horizon WHERE account_id = '$id'), '2020-01-01Z'))});
	is($left, $last->('old') - greatest(0, $purged_up_to - 1), "$name: purged is what is old, and no more");
	is(value("SELECT count(*) FROM (SELECT superseded_by, lead(id) OVER (PARTITION BY key ORDER BY id) AS next FROM $versions) AS v WHERE superseded_by IS DISTINCT FROM next"), 0,
		"$name: each version was superseded by the next");

	my @names = qw(count sum max unique);
	my $of_events = 'SELECT customer, ' . join(', ', map { qq("$_"::numeric) } @names) . ' FROM load.total';
	my $of_metrics = 'SELECT customer, ' . join(', ', map { "max(value) FILTER (WHERE name = '\U$_\E') AS \"$_\"" } @names)
	  . q{ FROM usage_metrics, usage_metric_by_customer(id, '[2026-01-01Z, 2100-01-01Z)') WHERE name <> 'passing' GROUP BY 1};
	$monitor->do("SET ROLE sender_$account");
	$monitor->do("CREATE TEMPORARY TABLE of_events AS $of_events");
	$monitor->do("CREATE TEMPORARY TABLE of_metrics AS $of_metrics");
	cmp_ok(value('SELECT count(*) FROM of_events'), '>', 0, "$name: customers have used something");
	is(value('SELECT count(*) FROM ((TABLE of_events EXCEPT TABLE of_metrics) UNION ALL (TABLE of_metrics EXCEPT TABLE of_events)) AS d'), 0, "$name: metrics say what the events say");
	$monitor->do('DROP TABLE of_events, of_metrics; RESET ROLE');
}

sub greatest { return $_[0] > $_[1] ? $_[0] : $_[1]; }

# Of each kind of transaction, and of all before, beside and after the large transaction.
sub print_latencies
{
	my ($began, $accounts) = @_;
	my (%of_script, %of_phase, %seconds);
	my %at = slurp_file("$directory/at_once") =~ /^(\w+) ([\d.]+)$/mg;
	foreach my $file (map { glob "$directory/latency_$_.*" } 1 .. $accounts)
	{
		open(my $log, '<', $file) or die $!;
		while (<$log>)
		{
			my (undef, undef, $latency, $script, $second, $microsecond) = split;
			my $time = $second + $microsecond / 1e6;
			my $phase = $time < $at{began} ? 'before' : $time < $at{sent} ? 'while it is sent' : $time < $at{committed} ? 'while it stays open' : 'after';
			push @{ $of_script{ $scripts[$script][0] } }, $latency;
			push @{ $of_phase{$phase} }, $latency;
		}
		close $log;
		unlink $file;
	}
	note(sprintf '%-20s %7d, %s', $_->[0], scalar @{ $of_script{ $_->[0] } // [] }, describe($duration, @{ $of_script{ $_->[0] } // [] })) foreach @scripts;
	%seconds = (before => $at{began} - $began, 'while it is sent' => $at{sent} - $at{began}, 'while it stays open' => $at{committed} - $at{sent},
		after => $began + $duration - $at{committed});
	note(sprintf '%d events in one transaction; %-20s %6.1f s: %s', $events_at_once, $_, $seconds{$_}, describe(greatest(1, $seconds{$_}), @{ $of_phase{$_} // [] }))
	  foreach 'before', 'while it is sent', 'while it stays open', 'after';
}

run_load($_) foreach @clients;
done_testing();
