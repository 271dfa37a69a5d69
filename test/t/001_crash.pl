# 001_crash.pl: what was acknowledged survives a crash
#
# Clients send events, repeat them and correct them, one by one.  The server is
# stopped at once, or a backend is killed, while they do.  After each restart a
# client sends what was not answered again, as a client should.  Then every
# acknowledged event must be there exactly once in its last version, and every
# earlier version exactly once in the history.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $client_count = 4;
my $steps_a_round = 4000;		# more than a client gets to before the crash
my $answers_before_crash = 100;	# of each client

my $node = server_with_extension("restart_after_crash = on\nlog_statement = none");

my $directory = PostgreSQL::Test::Utils::tempdir;

# Of each client, how many steps were answered; of each customerEventId, its acknowledged versions.
my @steps_done = (0) x $client_count;
my %versions;
my $changed_by_retry = 0;

# Three steps an event: it is sent, sent again, and corrected.
sub statement
{
	my ($client, $step) = @_;
	my %event = (
		customerAlias => "customer $client",
		eventType => 'call',
		customerEventId => sprintf('%d-%d', $client, $step / 3),
		eventProperties => { quantity => $step % 3 == 2 ? 2 : 1 });
	return sprintf("SELECT create_usage_event('%s');\n", encode_json(\%event));
}

sub acknowledge
{
	my ($client, $answer) = @_;
	my $event = decode_json($answer);
	my $known = $versions{ $event->{customerEventId} } //= [];
	my $is_same = @$known && $known->[-1]{id} eq $event->{id};

	$changed_by_retry++ if $steps_done[$client] % 3 == 1 && !$is_same;
	push @$known, { id => $event->{id}, quantity => $event->{eventProperties}{quantity} } unless $is_same;
	$steps_done[$client]++;
}

# The clients work; when each has had some answers the crash comes.  Returns how many broke off.
sub work_until
{
	my ($crash) = @_;
	my @clients;

	foreach my $number (0 .. $client_count - 1)
	{
		my $first = $steps_done[$number];
		my $script = "$directory/client_$number.sql";
		unlink $script;
		append_to_file($script,
			join '', map { statement($number, $_) } $first .. $first + $steps_a_round - 1);

		my $client = { output => '', errors => '' };
		$client->{run} = IPC::Run::start(
			[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $script ],
			'>', \$client->{output}, '2>', \$client->{errors},
			IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
		push @clients, $client;
	}
	foreach my $client (@clients)
	{
		$client->{run}->pump
			while $client->{run}->pumpable && ($client->{output} =~ tr/\n//) < $answers_before_crash;
	}

	$crash->();

	my $broken_off = 0;
	foreach my $number (0 .. $client_count - 1)
	{
		my $client = $clients[$number];
		$client->{run}->finish;
		my @answers = $client->{output} =~ /^(\{.*\})\n/mg;
		acknowledge($number, $_) foreach @answers;
		$broken_off++ if @answers < $steps_a_round;
	}
	return $broken_off;
}

# What the two views hold, in the words of acknowledged().
sub stored
{
	my $rows = $node->safe_psql('postgres', q{
		SELECT id, customer_event_id, event_properties ->> 'quantity', 'current' FROM usage_events
		UNION ALL
		SELECT id, customer_event_id, event_properties ->> 'quantity', 'superseded by ' || superseded_by
		FROM usage_event_history});
	return [ sort split /\n/, $rows ];
}

sub acknowledged
{
	my @rows;
	foreach my $key (keys %versions)
	{
		my @known = @{ $versions{$key} };
		foreach my $i (0 .. $#known)
		{
			my $state = $i == $#known ? 'current' : "superseded by $known[$i + 1]{id}";
			push @rows, "$known[$i]{id}|$key|$known[$i]{quantity}|$state";
		}
	}
	return [ sort @rows ];
}

my $has_amcheck = $node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'});
$node->safe_psql('postgres', 'CREATE EXTENSION amcheck') if $has_amcheck;

sub stop_at_once
{
	$node->stop('immediate');
	$node->start;
}

sub kill_a_backend
{
	my $pid = $node->safe_psql('postgres', q{
		SELECT min(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT create_usage_event%'});
	kill 'KILL', $pid;
}

foreach my $round (
	[ 'the server is stopped', \&stop_at_once ],
	[ 'a backend is killed', \&kill_a_backend ],
	[ 'the server is stopped again', \&stop_at_once ])
{
	my ($name, $crash) = @$round;

	is(work_until($crash), $client_count, "$name: in the middle of the work");
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';

	acknowledge($_, $node->safe_psql('postgres', statement($_, $steps_done[$_]))) foreach 0 .. $client_count - 1;

	is_deeply(stored(), acknowledged(), "$name: every acknowledged version is there once");
	is($changed_by_retry, 0, "$name: a retry gets the first answer");

  SKIP:
	{
		skip 'amcheck is not installed', 1 unless $has_amcheck;
		$node->command_ok([ 'pg_amcheck', '--heapallindexed', '--schema', 'usage_events', 'postgres' ],
			"$name: tables and indexes are sound");
	}
}

done_testing();
