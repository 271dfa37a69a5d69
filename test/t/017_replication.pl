# 017_replication.pl: logical replication of the tables
#
# A subscriber with the extension gets all events, corrections, metrics and keys, and
# answers as the publisher does.  What applies the changes makes no marks, so the subscriber
# keeps no rollups, whether it had some before or somebody asks it to.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', 'autovacuum = off');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf', 'autovacuum = off');
$subscriber->start;
$_->safe_psql('postgres', 'CREATE EXTENSION usage_events') foreach $publisher, $subscriber;

sub create
{
	my ($key, $alias, $n) = @_;
	return qq(SELECT create_usage_event('{"customerAlias": "$alias", "eventType": "call", "customerEventId": "$key",
		"eventTimestamp": "2026-10-01T00:00:00Z", "eventProperties": {"n": $n}}') ->> 'id');
}

my $account = $publisher->safe_psql('postgres', q{SELECT usage_events.create_account('another')});
$publisher->safe_psql('postgres', create('a', 'acme', 1));
$publisher->safe_psql('postgres', create('a', 'acme', 2));
$publisher->safe_psql('postgres', qq{SELECT usage_events.create_event('$account', '{"customerAlias": "acme", "eventType": "call"}')});
my $metric = $publisher->safe_psql('postgres', q(SELECT create_usage_metric('{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}') ->> 'id'));
$publisher->safe_psql('postgres', qq(SELECT create_usage_limit('{"name": "l", "usageMetricId": "$metric", "period": "MONTH", "limit": 100, "mode": "BLOCK"}'),
	create_usage_alert('{"name": "a", "usageMetricId": "$metric", "period": "MONTH", "direction": "ABOVE", "thresholds": [1, 50]}')));
my $refresh = q{DO $$BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP COMMIT; END LOOP; END$$};
$publisher->safe_psql('postgres', $refresh);

# As the documentation says: all tables but those of rollups, and without the default account, which is there already.
$publisher->safe_psql('postgres', q{
	CREATE PUBLICATION usage FOR TABLE usage_events.event, usage_events.superseded_event, usage_events.rejected_event,
		usage_events.rejected_overflow, usage_events.customer_alias, usage_events.metric, usage_events.superseded_metric,
		usage_events.usage_limit, usage_events.superseded_usage_limit, usage_events.usage_alert, usage_events.superseded_usage_alert,
		usage_events.usage_alert_state, usage_events.usage_alert_event, usage_events.usage_alert_consumer, usage_events.usage_alert_delivery,
		usage_events.api_key, usage_events.purge_horizon, usage_events.erasure,
		usage_events.account WHERE (account_id <> '00000000-0000-8000-8000-000000000001')});
my $connection = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION usage CONNECTION '$connection' PUBLICATION usage");
$subscriber->wait_for_subscription_sync($publisher, 'usage');

my @tables = split /\n/, $publisher->safe_psql('postgres', q{SELECT format('%I.%I', schemaname, tablename) FROM pg_publication_tables ORDER BY 1});
is(scalar @tables, 19, 'nineteen tables are published');
is($publisher->safe_psql('postgres', q{
	SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r'
		AND oid NOT IN (SELECT prrelid FROM pg_publication_rel)}), 'dirty_bucket metric_progress metric_rollup outbox outbox_event portal_token usage_alert_due usage_alert_progress usage_limit_lock',
	'those that are not are of rollups, of outboxes, of work that goes on, and tokens that end within a day');

sub is_same
{
	my ($name) = @_;
	$publisher->wait_for_catchup('usage');
	foreach my $table (@tables)
	{
		my $rows = "SELECT t::text FROM $table AS t ORDER BY 1";
		is($subscriber->safe_psql('postgres', $rows), $publisher->safe_psql('postgres', $rows), "$name: $table");
	}
}

my $ask = "SELECT calculate_usage_metric('$metric', '{acme}', '[2026-10-01Z, 2026-11-01Z)') ->> 'value'";
is_same('what was there');
is($subscriber->safe_psql('postgres', $ask), 2, 'the subscriber answers');

# Asked to keep rollups, it does not: what comes would not be marked.
is($subscriber->safe_psql('postgres', 'SELECT usage_events.refresh_rollups()'), 0, 'no rollups on the subscriber');
$publisher->safe_psql('postgres', create('b', 'acme', 4));
$publisher->safe_psql('postgres', create('a', 'globex', 2));
$publisher->safe_psql('postgres', q{SELECT usage_events.purge('2026-01-01Z')});
is_same('what comes');
is($subscriber->safe_psql('postgres', $ask), 4, 'what comes is counted');
is($subscriber->safe_psql('postgres', create('b', 'acme', 4)), $publisher->safe_psql('postgres', create('b', 'acme', 4)), 'a retry gets the first answer');

# Without the subscription it is a database of its own, rollups included; with it again, they are not used.
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION usage');
$subscriber->safe_psql('postgres', $refresh);
is($subscriber->safe_psql('postgres', q{SELECT count(*) > 0 FROM usage_events.metric_rollup}), 't', 'without a subscription there are rollups');
is($subscriber->safe_psql('postgres', $ask), 4, 'which say the same');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION usage CONNECTION '$connection' PUBLICATION usage WITH (copy_data = false)");
$publisher->safe_psql('postgres', create('c', 'acme', 8));
$publisher->wait_for_catchup('usage');
is($subscriber->safe_psql('postgres', $ask), 12, 'rollups of before are not used');

# Dropped without any refresh meanwhile, they are still not used; a new refresh makes others.
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION usage');
is($subscriber->safe_psql('postgres', $ask), 12, 'nor those of before once it is gone');
$subscriber->safe_psql('postgres', $refresh);
is($subscriber->safe_psql('postgres', $ask), 12, 'new ones say the same');
# Another subscription than to events may come and go: they stay.
$subscriber->safe_psql('postgres', "CREATE TABLE other (n integer PRIMARY KEY)");
$publisher->safe_psql('postgres', "CREATE TABLE other (n integer PRIMARY KEY); CREATE PUBLICATION other FOR TABLE other");
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION other CONNECTION '$connection' PUBLICATION other");
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION other');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM usage_events.dirty_bucket WHERE seconds < 0'), 0, 'a subscription to other tables has none forgotten');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION usage CONNECTION '$connection' PUBLICATION usage WITH (copy_data = false)");

# What pg_upgrade leaves of a subscription of 15 or 16: itself, and not what it is to.
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION usage DISABLE');
$subscriber->safe_psql('postgres', 'SET allow_system_table_mods = on; DELETE FROM pg_subscription_rel');
is($subscriber->safe_psql('postgres', $ask), 12, 'nor where it is not known any more what is subscribed to');
$subscriber->safe_psql('postgres', 'CREATE ROLE reader');
$subscriber->safe_psql('postgres', q{SELECT usage_events.grant_access('reader', 'read')});
is($subscriber->safe_psql('postgres', "SET ROLE reader; $ask"), 12, 'whoever asks');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION usage ENABLE');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION usage REFRESH PUBLICATION WITH (copy_data = false)');
is($subscriber->safe_psql('postgres', $ask), 12, 'nor once that is found out again');
$subscriber->safe_psql('postgres', 'SELECT usage_events.refresh_rollups()');
$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION usage');
is($subscriber->safe_psql('postgres', $ask), 12, 'nor afterwards, once a refresh has come by');
$subscriber->safe_psql('postgres', $refresh);
$subscriber->safe_psql('postgres', create('d', 'acme', 16));
is($subscriber->safe_psql('postgres', $ask), 28, 'it goes on by itself');

# All tables --------------------------------------------------------------------

# Whoever publishes all tables publishes those of rollups as well: each has what tells its rows apart, so refreshes go on.
# The subscriber has a default account of its own, and takes what is sent.
$publisher->safe_psql('postgres', 'CREATE DATABASE everything');
$subscriber->safe_psql('postgres', 'CREATE DATABASE everything');
$_->safe_psql('everything', 'CREATE EXTENSION usage_events') foreach $publisher, $subscriber;
is($publisher->safe_psql('everything', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r'
	AND relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = pg_class.oid AND indisprimary)}), 0, 'each table can be published');

my $sum = q(SELECT create_usage_metric('{"name": "n", "eventType": "call", "metricType": "SIMPLE", "aggregationType": "SUM", "aggregationProperty": "n"}') ->> 'id');
foreach my $publication ('FOR ALL TABLES', 'FOR TABLES IN SCHEMA usage_events')
{
	$publisher->safe_psql('everything', "CREATE PUBLICATION everything $publication");
	my $id = $publisher->safe_psql('everything', $sum);
	my $all = "SELECT calculate_usage_metric('$id', '{acme}', '[2026-10-01Z, 2026-11-01Z)') ->> 'value'";
	$publisher->safe_psql('everything', create('a', 'acme', 1));
	$publisher->safe_psql('everything', $refresh);
	$subscriber->safe_psql('everything', 'CREATE SUBSCRIPTION everything CONNECTION ' . "'" . $publisher->connstr . " dbname=everything' PUBLICATION everything");
	$subscriber->wait_for_subscription_sync($publisher, 'everything', 'everything');
	is($subscriber->safe_psql('everything', $all), 1, "$publication: what was there has come");

	$publisher->safe_psql('everything', create('a', 'acme', 2));
	$publisher->safe_psql('everything', create('b', 'acme', 4));
	$publisher->safe_psql('everything', $refresh);
	is($publisher->safe_psql('everything', q{SELECT count(*) FROM usage_events.dirty_bucket WHERE event_type <> ''}), 0, "$publication: the publisher refreshes");
	$publisher->safe_psql('everything', create('c', 'acme', 8));
	$publisher->wait_for_catchup('everything');
	is($subscriber->safe_psql('everything', $all), 14, "$publication: what comes is counted");
	$subscriber->safe_psql('everything', 'SELECT usage_events.refresh_rollups()');
	is($subscriber->safe_psql('everything', $all), 14, "$publication: asked for a refresh as well");
	$publisher->safe_psql('everything', create('d', 'acme', 16));
	$publisher->safe_psql('everything', $refresh);
	$publisher->wait_for_catchup('everything');
	is($subscriber->safe_psql('everything', $all), 30, "$publication: and what comes after it");

	# On its own again, it is right before its first refresh, and after.
	$subscriber->safe_psql('everything', 'DROP SUBSCRIPTION everything');
	is($subscriber->safe_psql('everything', $all), 30, "$publication: without the subscription");
	$subscriber->safe_psql('everything', $refresh);
	is($subscriber->safe_psql('everything', $all), 30, "$publication: with rollups of its own");
	$subscriber->safe_psql('everything', create('d', 'acme', 17));
	is($subscriber->safe_psql('everything', $all), 31, "$publication: and its own events");
	$publisher->safe_psql('everything', 'DROP PUBLICATION everything');
	$_->safe_psql('everything', q{TRUNCATE usage_events.event, usage_events.superseded_event, usage_events.metric, usage_events.metric_progress, usage_events.metric_rollup, usage_events.dirty_bucket}) foreach $publisher, $subscriber;
}
is($subscriber->safe_psql('everything', 'SELECT count(*) FROM usage_events.account'), 1, 'the default account is there once');

done_testing();
