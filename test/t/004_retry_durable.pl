# 004_retry_durable.pl: a retry is acknowledged when what it answers is durable
#
# The answer to a retry is a row that another transaction wrote, and that one may
# not have waited: for its synchronous standby, because its client went away, or
# for its flush, because of synchronous_commit = off.  Then the retry waits.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);

# Nothing but a commit is to flush: no writer in the background, no page that has to make room.
$primary->append_conf('postgresql.conf',
	"autovacuum = off\nwal_writer_delay = 10s\nshared_buffers = 32MB\nwal_keep_size = 128MB");
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION usage_events');

# The standby is made now and started when it is needed.
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);

sub create
{
	my ($key) = @_;
	return qq(SELECT create_usage_event('{"customerAlias": "alice", "eventType": "call", "customerEventId": "$key"}') ->> 'id');
}

sub id_of
{
	my ($node, $key) = @_;
	return $node->safe_psql('postgres', "SELECT id FROM usage_events WHERE customer_event_id = '$key'");
}

# Sends the event and leaves the session when it waits for a standby; returns the session and its backend's id.
sub create_and_hang
{
	my ($key) = @_;
	my $session = $primary->background_psql('postgres', on_error_stop => 0);
	my $output = $session->query_until(qr/sent/,
		"SELECT pg_backend_pid();\n\\echo sent\n" . create($key) . ";\n\\echo answered\n");
	my ($pid) = $output =~ /^(\d+)$/m;
	ok($primary->poll_query_until('postgres', "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = $pid"),
		'a session waits for a standby');
	return ($session, $pid);
}

# A synchronous standby that is not there.  The checkpoint is a sign that the server has taken notice.
$primary->append_conf('postgresql.conf', q{synchronous_standby_names = '*'});
$primary->restart;
$primary->safe_psql('postgres', 'CHECKPOINT');

my ($writer, $writer_pid) = create_and_hang('replicated');
$primary->safe_psql('postgres', "SELECT pg_terminate_backend($writer_pid)");
eval { $writer->quit };    # its session is gone
ok($primary->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $writer_pid"),
	'the client of an event went away');
my $id = id_of($primary, 'replicated');
isnt($id, '', 'the event is there, without a standby');

my ($retry) = create_and_hang('replicated');
$retry->{run}->pump_nb;
is($retry->{stdout} =~ s/\s//gr, '', 'a retry is not answered');
$standby->start;
like($retry->query_until(qr/answered/, ''), qr/^$id\nanswered/m, 'once there is a standby, the retry gets the first answer');
$primary->wait_for_catchup($standby);
is(id_of($standby, 'replicated'), $id, 'the event is on the standby');
$retry->quit;
$standby->stop;

# Without a standby, but with a writer that did not wait for its flush.  The first event after a start writes
# whole pages to the log, which the server writes out early; the one that could be lost is the second.
$primary->append_conf('postgresql.conf', q{synchronous_standby_names = ''});
$primary->restart;
$primary->safe_psql('postgres', create('first'));
$id = $primary->safe_psql('postgres', 'SET synchronous_commit = off; ' . create('flushed'));
is($primary->safe_psql('postgres', create('flushed')), $id, 'a retry of an event that was not flushed');
$primary->stop('immediate');
$primary->start;
is(id_of($primary, 'flushed'), $id, 'survives a crash');

# Where all is durable already, a retry writes nothing.  Something else may write just then, but not always.
my $position = 'SELECT pg_current_wal_insert_lsn();';
my $is_quiet = 0;
$primary->safe_psql('postgres', 'CHECKPOINT');
for (my $attempt = 0; $attempt < 20 && !$is_quiet; $attempt++)
{
	my $output = $primary->safe_psql('postgres', "$position " . create('flushed') . "; $position");
	$is_quiet = $output =~ /^(.*)\n$id\n\1$/;
}
ok($is_quiet, 'a retry of a durable event writes nothing');

done_testing();
