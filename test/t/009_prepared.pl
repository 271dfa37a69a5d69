# 009_prepared.pl: events, accounts and metrics, and transactions that are prepared (two-phase commit)
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server_with_extension('max_prepared_transactions = 2');

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

# A new metric is not rolled up while a transaction has written that is older, in whatever database; its answers are there.
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->restart;
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', q{BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'elsewhere'});
my $metric = $node->safe_psql('postgres', q{SELECT create_usage_metric('{"name": "calls", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "COUNT"}') ->> 'id'});
my $refreshed = join('; ', ('SELECT usage_events.refresh_rollups()') x 3) . '; SELECT state FROM usage_events.rollup_status';
like($node->safe_psql('postgres', $refreshed), qr/^waiting$/m, 'a new metric waits for a transaction in another database');
is($node->safe_psql('postgres', "SELECT calculate_usage_metric('$metric', '{acme}', '[2000-01-01Z, 2100-01-01Z)') ->> 'value'"), 1, 'and is calculated meanwhile');
$node->safe_psql('other', q{ROLLBACK PREPARED 'elsewhere'});
like($node->safe_psql('postgres', $refreshed), qr/^ready$/m, 'after it the metric is rolled up');

done_testing();
