# 009_prepared.pl: events and accounts in transactions that are prepared (two-phase commit)
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 2');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION usage_events');

my $event = q{'{"customerAlias": "acme", "eventType": "call", "customerEventId": "e-1"}'};
my $count = q{SELECT count(*) FROM usage_events};

# An event is there from the second phase on, also after a crash between the two.
$node->safe_psql('postgres', qq{BEGIN; SELECT create_usage_event($event); PREPARE TRANSACTION 'one'});
is($node->safe_psql('postgres', $count), 0, 'a prepared event is not seen');
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', q{COMMIT PREPARED 'one'});
is($node->safe_psql('postgres', $count), 1, 'and is there once it is committed');
is( $node->safe_psql('postgres', qq{SELECT create_usage_event($event) ->> 'id' = (SELECT id::text FROM usage_events)}),
	't', 'sent again it is a retry');

# An account that was never committed is no account, though the session that made it has used it.
my ($result, $stdout, $stderr) = $node->psql('postgres', qq{
	BEGIN;
	SELECT usage_events.create_account('never') AS account \\gset
	SELECT usage_events.create_event(:'account', $event) IS NOT NULL;
	PREPARE TRANSACTION 'two';
	ROLLBACK PREPARED 'two';
	SELECT usage_events.create_event(:'account', $event)});
like($stderr, qr/account ".*" does not exist/, 'an account that was rolled back after it was prepared is refused');
is($node->safe_psql('postgres', $count), 1, 'and nothing is stored for it');

done_testing();
