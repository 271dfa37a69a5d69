# 018_crash_load.pl: what is acknowledged is kept, once, whatever happens to the server
#
# Clients send new events, corrections and retries, one by one, in batches, in
# transactions and by COPY, while rollups are refreshed and metrics asked for.  The
# server is killed over and over: its processes one by one or all at once, its
# disk is full, statements are cancelled, sessions ended, and clients hang up
# without waiting for the answer.  As real senders do, clients send again what was
# not answered.  They write down what they sent and what was acknowledged;
# in the end all of it is compared with what is stored, here and on a standby, which then
# takes over.
#
#	KILLS=200 EVENTS=1000000 CLIENTS=8 SEED=...		the long form, make test-crash
use strict;
use warnings FATAL => 'all';

use DBD::Pg ();
use DBI;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $kills = $ENV{KILLS} || 10;
my $events_wanted = $ENV{EVENTS} || 20_000;
my $clients = $ENV{CLIENTS} || 6;
my $seed = defined $ENV{SEED} && $ENV{SEED} ne '' ? $ENV{SEED} : time() ^ $$;
srand($seed);
note("SEED=$seed KILLS=$kills EVENTS=$events_wanted CLIENTS=$clients");

my $directory = PostgreSQL::Test::Utils::tempdir;
my $full = "$directory/disk_is_full";
my $stop = "$directory/stop";
my $full_disk = "$directory/full_disk.so";
system('cc', '-shared', '-fPIC', '-O1', '-o', $full_disk, 'test/full_disk.c', '-ldl') == 0 or die 'could not build full_disk.so';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', qq{
	restart_after_crash = on
	shared_preload_libraries = 'usage_events'
	usage_events.refresh_interval = 1
	checkpoint_timeout = 30s
	max_wal_size = 96MB
	wal_keep_size = 64MB
	max_slot_wal_keep_size = -1
	shared_buffers = 64MB
	max_connections = 60
	deadlock_timeout = 100ms
	log_statement = none
	log_min_messages = warning});

# By hand: PostgreSQL::Test::Cluster takes it for a failure of the test that a server is not there.
sub pg_ctl { return system("pg_ctl -D '@{[ $node->data_dir ]}' -l '@{[ $node->logfile ]}' -w @_ >/dev/null 2>&1") == 0; }

sub postmaster
{
	my $file = $node->data_dir . '/postmaster.pid';
	return -f $file && slurp_file($file) =~ /^(\d+)/ ? $1 : 0;
}

sub start_server
{
	local %ENV = (%ENV, LD_PRELOAD => $full_disk, FULL_DISK => $full);
	# Of a server whose postmaster was killed each backend has to end its statement first.
	foreach my $attempt (1 .. 1200)
	{
		if (pg_ctl("-t $PostgreSQL::Test::Utils::timeout_default start")) { $node->_update_pid(1); return; }
		sleep 0.5;
	}
	BAIL_OUT('the server does not start');
}
start_server();
$node->safe_psql('postgres', q{
	CREATE EXTENSION usage_events;
	CREATE EXTENSION amcheck;
	CREATE ROLE sender LOGIN;
	SELECT usage_events.grant_access('sender', 'ingest');
	SELECT create_usage_metric(jsonb_build_object('name', a, 'eventType', 'call', 'metricType', 'SIMPLE', 'aggregationType', a, 'aggregationProperty', nullif('n', CASE a WHEN 'COUNT' THEN 'n' END)))
		FROM unnest('{COUNT,SUM,MAX,UNIQUE}'::text[]) AS a;
	SELECT pg_create_physical_replication_slot('standby')});
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "primary_slot_name = 'standby'");
$standby->start;

# Clients ------------------------------------------------------------------

my ($client, $database, $pid, $sent_file, $number, %last, @keys, %count);

sub connect_again
{
	my $old = $pid;
	until (-e $stop && -e "$stop.now")
	{
		$database = DBI->connect('dbi:Pg:' . ($node->connstr('postgres') =~ s/ /;/gr =~ s/'//gr), 'sender', '',
			{ RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_server_prepare => 0, AutoInactiveDestroy => 1 });
		last;
	}
	continue { sleep 0.05 }
	# What the server still does for a client that is gone must be over before the next is sent.
	while ($old)
	{
		my ($is_there) = $database->selectrow_array("SELECT count(*) FROM pg_stat_activity WHERE pid = $old");
		last unless $is_there;
		sleep 0.01;
	}
	$pid = $database->{pg_pid};
}

sub connect_until_it_works
{
	# In the midst of a transaction the end of a connection that is gone would be one more error.
	if ($database) { $database->{RaiseError} = 0; $database->disconnect; }
	while (1)
	{
		$database = undef;
		return if eval { connect_again(); 1 };
		sleep 0.05;
	}
}

# state: acknowledged, or in doubt.
sub write_down
{
	my ($state, $key, $n, $id) = @_;
	print $sent_file join("\t", $client, ++$count{written}, $key, $n, $state, defined $id ? $id : '\N'), "\n";
}

sub event_json
{
	my ($key, $n) = @_;
	# A moment and a customer that only the key and n decide: a retry has the same content.
	my $hash = ($n * 2654435761 + length $key) % 4294967296;
	my $time = POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(1790812800 + $hash % 2_592_000));
	my $alias = $hash % 50 == 7 ? 'VOID' : 'customer-' . $hash % 11;
	return qq({"customerEventId": "$key", "customerAlias": "$alias", "eventType": "call", "eventTimestamp": "$time", "eventProperties": {"n": $n}});
}

sub new_key { my $key = "c$client-" . scalar @keys; push @keys, $key; return $key; }
sub next_n { return ++$number * 100 + $client; }

# Some events to be sent together: [key, n], each key once.
sub choose
{
	my ($how_many) = @_;
	my %chosen;
	while (keys %chosen < $how_many)
	{
		my $key = @keys > 50 && rand() < 0.3 ? $keys[ rand @keys ] : new_key();
		$chosen{$key} = next_n() unless $chosen{$key};
	}
	return map { [ $_, $chosen{$_} ] } keys %chosen;
}

# What the server answers to each way of sending: ids in the order of the events.
my %ways = (
	create => sub {
		return map { $database->selectrow_array(q{SELECT create_usage_event(?::jsonb) ->> 'id'}, undef, event_json(@$_)) } @_;
	},
	batch => sub {
		my $json = '[' . join(',', map { event_json(@$_) } @_) . ']';
		my $ids = $database->selectcol_arrayref(q{SELECT e ->> 'id' FROM jsonb_array_elements(create_usage_events(?::jsonb)) AS e}, undef, $json);
		return @$ids;
	},
	ingest => sub {
		my $json = '[' . join(',', map { event_json(@$_) } @_) . ', {"customerAlias": ""}]';
		my $ids = $database->selectcol_arrayref(q{SELECT e ->> 'id' FROM jsonb_array_elements(ingest_usage_events(?::jsonb) -> 'outcomes') AS e}, undef, $json);
		pop @$ids;
		return @$ids;
	},
	copy => sub {
		$database->do(q{COPY usage_event_import FROM STDIN (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')});
		$database->pg_putcopydata(event_json(@$_) . "\n") foreach @_;
		$database->pg_putcopyend;
		return map { undef } @_;
	},
	transaction => sub {
		$database->begin_work;
		my @ids = map { $database->selectrow_array(q{SELECT create_usage_event(?::jsonb) ->> 'id'}, undef, event_json(@$_)) } @_;
		$database->commit;
		return @ids;
	});

# Sends until it is acknowledged.  Whether an attempt that failed was stored is in doubt; the next one has the same content.
sub send_events
{
	my ($way, @events) = @_;
	for (my $attempt = 0;; $attempt++)
	{
		my @ids;
		my $hangs_up = rand() < 0.01;
		if ($hangs_up)
		{
			# Sent, and gone before the answer.
			$count{hung_up}++;
			eval {
				$database->do(q{SELECT create_usage_events(?::jsonb)}, { pg_async => DBD::Pg::PG_ASYNC() }, '[' . join(',', map { event_json(@$_) } @events) . ']');
				sleep rand(0.01);
			};
			POSIX::close($database->{pg_socket});
			$database->{InactiveDestroy} = 1;
		}
		elsif (eval { @ids = $ways{$way}->(@events); 1 })
		{
			foreach my $i (0 .. $#events)
			{
				write_down('acknowledged', @{ $events[$i] }, $ids[$i]);
				$last{ $events[$i][0] } = [ $events[$i][1], $ids[$i] ];
			}
			$count{acknowledged} += @events;
			return;
		}
		if (!$attempt) { write_down('in doubt', @$_, undef) foreach @events; }
		$count{sent_again}++;
		if (!$hangs_up && $database->ping) { eval { $database->rollback unless $database->{AutoCommit} }; next; }
		connect_until_it_works();
		# One that was not answered may also be given up; its place is taken by the next.  It may
		# be stored, and then what was acknowledged before it is no retry any more.
		if (rand() < 0.1)
		{
			delete $last{ $_->[0] } foreach @events;
			return;
		}
	}
}

# A retry of what was acknowledged last: it must be answered with the same id.
sub retry
{
	my $key = $keys[ rand @keys ];
	my ($n, $id) = @{ $last{$key} || return };
	my $answer = eval { ($ways{create}->([ $key, $n ]))[0] };
	if (!defined $answer) { connect_until_it_works() unless $database->ping; return; }
	$count{retries}++;
	print $sent_file join("\t", $client, 0, $key, $n, 'retry answered by another', $answer), "\n" if defined $id && $answer ne $id;
}

# In one statement, and so in one snapshot: what the metric says, and what the events say.
my $compare = q{
	SELECT string_agg(format('%s %s: %s not %s', m.name, a, c.value, s.value), '; ')
	FROM usage_metrics AS m, (SELECT 'customer-' || trunc(random() * 11) AS a) AS a,
		LATERAL (SELECT (calculate_usage_metric(m.id, ARRAY[a], '[2026-10-01Z, 2026-11-01Z)') ->> 'value')::numeric AS value) AS c,
		LATERAL (SELECT CASE m.name WHEN 'COUNT' THEN count(*) WHEN 'SUM' THEN coalesce(sum(n), 0) WHEN 'MAX' THEN max(n) ELSE count(DISTINCT n) END AS value
			FROM (SELECT (event_properties ->> 'n')::numeric AS n FROM usage_events WHERE customer_alias = a AND event_type = 'call'
				AND event_timestamp >= '2026-10-01Z' AND event_timestamp < '2026-11-01Z') AS e) AS s
	WHERE c.value IS DISTINCT FROM s.value};

sub ask
{
	my $wrong = eval { ($database->selectrow_array($compare))[0] };
	$count{questions}++ unless $@;
	print $sent_file join("\t", $client, 0, 'question', 0, "wrong answer: $wrong", '\N'), "\n" if defined $wrong;
	connect_until_it_works() if $@ && !$database->ping;
}

# Keys that all clients write: of these no order is known.
sub send_shared
{
	my ($key, $n) = ('shared-' . int(rand 40), next_n());
	my $id = eval { ($ways{create}->([ $key, $n ]))[0] };
	write_down(defined $id ? 'acknowledged' : 'in doubt', $key, $n, $id);
	connect_until_it_works() if !defined $id && !$database->ping;
}

# What is taken back must not be there: it is not written down, so it would be found.
sub roll_back
{
	eval {
		$database->begin_work;
		$ways{batch}->(choose(3));
		$database->rollback;
		1;
	} or connect_until_it_works();
}

sub run_client
{
	srand($seed + 1000 * $client);
	open($sent_file, '>', "$directory/sent_$client") or die $!;
	connect_until_it_works();
	until (-e $stop)
	{
		my $dice = rand();
		if ($dice < 0.35) { send_events('create', choose(1)) }
		elsif ($dice < 0.45) { retry() if @keys }
		elsif ($dice < 0.50) { send_shared() }
		elsif ($dice < 0.65) { send_events('batch', choose(1 + int rand 300)) }
		elsif ($dice < 0.80) { send_events('ingest', choose(1 + int rand 300)) }
		elsif ($dice < 0.88) { send_events('copy', choose(1 + int rand 600)) }
		elsif ($dice < 0.94) { send_events('transaction', choose(1 + int rand 5)) }
		elsif ($dice < 0.97) { roll_back() }
		else { ask() }
	}
	close $sent_file or die $!;
	open(my $counts, '>', "$directory/counts_$client") or die $!;
	print $counts "$_ $count{$_}\n" foreach keys %count;
	close $counts;
	POSIX::_exit(0);
}

my @children;
foreach (1 .. $clients)
{
	$client = $_;
	my $child = fork();
	run_client() if !$child;
	push @children, $child;
}

# The killer ---------------------------------------------------------------

my %killed;

# A statement to a server that may go at any moment: true, and its output, if it came through.
sub try_sql
{
	my ($statement) = @_;
	my ($result, $output) = eval { $node->psql('postgres', $statement, timeout => 20) };
	return defined $result && $result == 0 ? (1, $output) : ();
}

sub pids_of
{
	my ($what) = @_;
	my ($is_done, $output) = try_sql("SELECT pid FROM pg_stat_activity WHERE $what ORDER BY random() LIMIT 1");
	return $is_done ? split /\n/, $output : ();
}

# A process that is gone for its postmaster, too, which then lets nobody in before it has recovered.
sub kill_process
{
	my ($process) = @_;
	my $killed = kill 'KILL', $process // return 0;
	sleep 0.01 while kill 0, $process;
	return $killed;
}

my %ways_to_kill = (
	'kill -9 of a backend' => sub { kill_process(pids_of("backend_type = 'client backend' AND usename = 'sender'")) },
	'kill -9 of a background process' => sub { kill_process(pids_of("backend_type <> 'client backend' AND backend_type <> 'walsender'")) },
	'kill -9 of the postmaster' => sub { kill 'KILL', postmaster(); start_server(); 1 },
	'immediate stop' => sub { pg_ctl('-m immediate stop'); start_server(); 1 },
	'full disk' => sub {
		open(my $sign, '>', $full) or die $!;
		close $sign;
		sleep 0.5 + rand 1;
		unlink $full;
		1;
	},
	'statement cancelled' => sub { (try_sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'sender' AND state = 'active'}))[0] },
	'session ended' => sub { (try_sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sender' ORDER BY random() LIMIT 2}))[0] });

# The server may have given up, such as where its disk was full while it recovered.
sub ensure_it_runs
{
	my $until = time() + $PostgreSQL::Test::Utils::timeout_default;
	while (time() < $until)
	{
		return if try_sql('SELECT 1');
		my $postmaster = postmaster();
		start_server() unless $postmaster && kill 0, $postmaster;
		sleep 0.1;
	}
	BAIL_OUT('the server does not come back');
}

# Each kind in turn, in a random order, so that none is missing in a short run.
my @turn;
my $deaths = 0;
while ($deaths < $kills)
{
	@turn = sort { rand() <=> 0.5 } keys %ways_to_kill unless @turn;
	my $kind = shift @turn;
	sleep 0.3 + rand 1.2;
	$killed{$kind}++ if $ways_to_kill{$kind}->();
	$deaths++ if $kind !~ /cancelled|ended/;
	ensure_it_runs();
}

# Enough events, however few deaths there were to be.
while (((try_sql('SELECT count(*) + (SELECT count(*) FROM usage_events.superseded_event) FROM usage_events.event'))[1] // 0) < $events_wanted)
{
	sleep 1;
}
open(my $sign, '>', $stop) or die $!;
close $sign;
foreach my $child (@children)
{
	waitpid($child, 0);
	is($?, 0, 'a client ended as it should');
}

# The reckoning ------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE TABLE sent (client integer, ordinal bigint, key text COLLATE "C", n bigint, state text, id uuid)');
$node->safe_psql('postgres', "COPY sent FROM '$directory/sent_$_'") foreach 1 .. $clients;
$node->safe_psql('postgres', q{
	CREATE TABLE version AS
	SELECT customer_event_id AS key, id, (event_properties ->> 'n')::bigint AS n, NULL::uuid AS superseded_by FROM usage_events.event
	UNION ALL SELECT customer_event_id, id, (event_properties ->> 'n')::bigint, superseded_by FROM usage_events.superseded_event;
	CREATE INDEX ON version (key, n);
	CREATE INDEX ON sent (key, n);
	ANALYZE version, sent;
	-- Of one client's keys the order is known.
	CREATE VIEW own AS SELECT * FROM version WHERE key NOT LIKE 'shared%'});

sub none
{
	my ($name, $query) = @_;
	is($node->safe_psql('postgres', "SELECT * FROM ($query) AS found LIMIT 5"), '', $name);
}

none('clients saw no wrong answer', q{SELECT * FROM sent WHERE state NOT IN ('acknowledged', 'in doubt')});
none('what was acknowledged is there, by its id', q{
	SELECT * FROM sent AS s WHERE state = 'acknowledged'
		AND NOT EXISTS (SELECT FROM version AS v WHERE v.key = s.key AND v.n = s.n AND (s.id IS NULL OR v.id = s.id))});
none('nothing is there that was not sent, or was rolled back', q{
	SELECT * FROM version AS v WHERE NOT EXISTS (SELECT FROM sent AS s WHERE s.key = v.key AND s.n = v.n)});
none('nothing is there twice', q{SELECT key, n, count(*) FROM version GROUP BY key, n HAVING count(*) > 1});
none('no id was given twice', q{SELECT id, count(*) FROM version GROUP BY id HAVING count(*) > 1});
none('what is current is what was acknowledged last, or sent later', q{
	SELECT * FROM own AS v, LATERAL (SELECT max(n) AS n FROM sent AS s WHERE s.key = v.key AND state = 'acknowledged') AS last
	WHERE superseded_by IS NULL AND v.n < last.n});
none('versions have the order in which they were sent', q{
	SELECT * FROM (SELECT *, lag(n) OVER (PARTITION BY key ORDER BY id) AS before FROM own) AS o WHERE before > n});
none('each version was superseded by the next', q{
	SELECT * FROM (SELECT *, lead(id) OVER (PARTITION BY key ORDER BY id) AS next FROM version) AS v WHERE superseded_by IS DISTINCT FROM next});

my $all_answers = q{
	SELECT string_agg(format('%s %s %s', name, customer, value), E'\n' ORDER BY name COLLATE "C", customer COLLATE "C")
	FROM usage_metrics AS m, LATERAL usage_metric_by_customer(m.id, '[2026-10-01Z, 2026-11-01Z)')};
my $expected = $node->safe_psql('postgres', q{
	SELECT string_agg(format('%s %s %s', name, customer, value), E'\n' ORDER BY name COLLATE "C", customer COLLATE "C")
	FROM (SELECT customer_alias AS customer, count(*) AS c, sum(n) AS s, max(n) AS m, count(DISTINCT n) AS u
			FROM (SELECT customer_alias, (event_properties ->> 'n')::numeric AS n FROM usage_events WHERE event_timestamp >= '2026-10-01Z' AND event_timestamp < '2026-11-01Z' AND customer_alias <> 'VOID') AS e GROUP BY 1) AS g,
		LATERAL (VALUES ('COUNT', c), ('SUM', s), ('MAX', m), ('UNIQUE', u)) AS v (name, value)});
is($node->safe_psql('postgres', $all_answers), $expected, 'metrics say what the events say');
$node->safe_psql('postgres', q{DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END$$});
is($node->safe_psql('postgres', $all_answers), $expected, 'and when all is rolled up');
$node->safe_psql('postgres', q{TRUNCATE usage_events.metric_rollup, usage_events.dirty_bucket, usage_events.metric_progress});
is($node->safe_psql('postgres', $all_answers), $expected, 'and without rollups');

none('tables and indexes are sound', q{
	SELECT c.oid::regclass, h.msg FROM pg_class AS c, LATERAL verify_heapam(c.oid) AS h
	WHERE c.relnamespace = 'usage_events'::regnamespace AND c.relkind = 'r'});
$node->safe_psql('postgres', q{
	SELECT bt_index_check(c.oid, true) FROM pg_class AS c WHERE c.relnamespace = 'usage_events'::regnamespace AND c.relkind = 'i'});
pass('every index has each of its rows');

my $totals = $node->safe_psql('postgres', q{
	SELECT 'events: ' || (SELECT count(*) FROM usage_events.event) || ' current, ' || (SELECT count(*) FROM usage_events.superseded_event) || ' superseded; sent: '
		|| count(*) FILTER (WHERE state = 'acknowledged') || ' acknowledged, ' || count(*) FILTER (WHERE state = 'in doubt') || ' once in doubt' FROM sent});

# The standby --------------------------------------------------------------

$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
my $everything = q{
	SELECT count(*), md5(string_agg(md5(e::text), '' ORDER BY id)) FROM usage_events.event AS e
	UNION ALL SELECT count(*), md5(string_agg(md5(e::text), '' ORDER BY id)) FROM usage_events.superseded_event AS e};
is($standby->safe_psql('postgres', $everything), $node->safe_psql('postgres', $everything), 'the standby has the same events');
is($standby->safe_psql('postgres', $all_answers), $expected, 'and the same answers');
$node->stop('immediate');
$standby->promote;
my $new = $standby->safe_psql('postgres', q{
	SELECT count(DISTINCT e ->> 'id') FROM jsonb_array_elements(create_usage_events((SELECT jsonb_agg(jsonb_build_object('customerAlias', 'a', 'eventType', 'after')) FROM generate_series(1, 1000)))) AS e});
is($new, 1000, 'promoted, it takes events');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM (SELECT id FROM usage_events.event WHERE event_type = 'after') AS new JOIN version USING (id)}), 0, 'and repeats no id');
is($standby->safe_psql('postgres', $all_answers), $expected, 'and answers as before');

my %counts;
foreach my $number (1 .. $clients)
{
	my ($name, $value);
	foreach (split /\n/, slurp_file("$directory/counts_$number")) { ($name, $value) = split; $counts{$name} += $value; }
}
note(join ', ', map { "$_: $killed{$_}" } sort keys %killed);
note("$totals; " . join ', ', map { "$_: $counts{$_}" } sort keys %counts);
done_testing();
