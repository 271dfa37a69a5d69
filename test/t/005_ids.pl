# 005_ids.pl: ids are unique, and ascend within a session whatever the clock does
#
# Backends that share one postmaster, and so one copy of the library, make ids side
# by side.  Then libfaketime, where it is installed, moves the server's clock.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server('shared_preload_libraries = usage_events');
$node->safe_psql('postgres', q{
	CREATE EXTENSION usage_events;
	CREATE TABLE made (backend integer, number integer, id uuid);});

$node->pgbench('-n -c 8 -j 2 -t 1', 0, [qr/processed: 8\/8/], [qr/^$/], 'eight backends make ids',
	{ '005_ids' => 'INSERT INTO made SELECT pg_backend_pid(), number, uuid_v7() FROM generate_series(1, 20000) AS number' });
is($node->safe_psql('postgres', 'SELECT count(DISTINCT backend), count(DISTINCT id) FROM made'), '8|160000',
	'no id was made twice');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM (
		SELECT id > lag(id) OVER (PARTITION BY backend ORDER BY number) AS ascends FROM made) AS pairs
	WHERE NOT ascends}), '0', 'ids of a backend ascend');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM made
	WHERE id::text !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'}), '0',
	'ids are of version 7 and of the variant of RFC 9562');

my ($libfaketime) = grep { -f } glob '/usr/lib/*/faketime/libfaketime.so.1 /usr/lib*/faketime/libfaketime.so.1';
my $clock = PostgreSQL::Test::Utils::tempdir . '/clock';

# A shell's command that moves the server's clock so far from the true time.  Whoever reads the file sees it whole.
sub move_clock
{
	my ($offset) = @_;
	return qq(printf %s '$offset' >'$clock.new' && mv '$clock.new' '$clock');
}

sub create
{
	my ($quantity) = @_;
	return qq(SELECT create_usage_event('{"customerAlias": "alice", "eventType": "call", "customerEventId": "1",
		"eventProperties": {"quantity": $quantity}}') ->> 'id');
}

SKIP:
{
	skip 'libfaketime is not installed: the clock cannot be moved', 6 unless $libfaketime;

	$node->stop;
	system_or_bail('sh', '-c', move_clock('+0'));
	{
		local $ENV{LD_PRELOAD} = $libfaketime;
		local $ENV{FAKETIME_TIMESTAMP_FILE} = $clock;
		local $ENV{FAKETIME_NO_CACHE} = 1;
		local $ENV{FAKETIME_DONT_FAKE_MONOTONIC} = 1;
		$node->start;
	}

	# One session, in which the clock stands at each of these in turn.
	my $output = $node->safe_psql('postgres', join '', map { '\! ' . move_clock($_) . q{
		SELECT (extract(epoch FROM clock_timestamp()) / 60)::integer;
		SELECT uuid_v7() FROM generate_series(1, 3);
	} } ('+0', '-1h', '+2h', '+0'));
	my @minutes = $output =~ /^(\d+)$/mg;
	my @ids = $output =~ /^(.*-.*)$/mg;
	cmp_ok($minutes[1], '<', $minutes[0] - 30, 'the clock went back');
	cmp_ok($minutes[2], '>', $minutes[0] + 30, 'the clock went forward');
	is(@ids, 12, 'ids are made all the same');
	is_deeply(\@ids, [ sort @ids ], 'and they ascend');

	my $first = $node->safe_psql('postgres', create(1));
	system_or_bail('sh', '-c', move_clock('-1h'));
	my $second = $node->safe_psql('postgres', create(2));
	cmp_ok($second, 'gt', $first, 'a session whose clock is behind gives a new version a higher id');
	is($node->safe_psql('postgres', q{SELECT superseded_by FROM usage_event_history}), $second,
		'and it supersedes the version from a clock ahead');
}

done_testing();
