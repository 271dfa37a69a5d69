# 025_statistics.pl: EXPLAIN tells no account what another has
#
# The planner reads statistics in spite of row-level security, and for operators that cannot leak, such as = and < of
# text, uuid and timestamptz, it uses them: estimated numbers of rows spelled out values of other accounts.  A role asks
# for each column whether the estimate depends on whether another account has a value.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server('autovacuum = off');

# Has one account 3,000 events of its own, and the other two thirds of the table; all of the database is analyzed.
sub fill
{
	my ($database) = @_;
	$node->safe_psql($database, q{
		DO $$ DECLARE account uuid; BEGIN
			FOREACH account IN ARRAY ARRAY[usage_events.current_account_id(), usage_events.create_account('secret account')] LOOP
				PERFORM set_config('usage_events.account_id', account::text, true);
				INSERT INTO usage_events.event SELECT account, uuid_v7(), '2026-10-01Z'::timestamptz + n * interval '1 hour',
					CASE WHEN account = usage_events.current_account_id() THEN account || n::text END, name || '-customer-' || n % 7, name || '-type-' || n % 3, jsonb_build_object('n', n)
				FROM (SELECT CASE account WHEN '00000000-0000-8000-8000-000000000001' THEN 'own' ELSE 'secret' END) AS a (name),
					generate_series(1, CASE name WHEN 'own' THEN 3000 ELSE 6000 END) AS n;
			END LOOP; END $$;
		INSERT INTO usage_events.superseded_event SELECT account_id, id, event_timestamp, now(), uuid_v7(), customer_event_id, customer_alias, event_type, event_properties
			FROM usage_events.event;
		ANALYZE});
}

# As the columns of other tables are.
sub collect_statistics
{
	my ($database) = @_;
	$node->safe_psql($database, q{
		DO $$ DECLARE col record; BEGIN
			FOR col IN SELECT attrelid::regclass AS relation, attname AS name FROM pg_attribute
				WHERE attrelid IN ('usage_events.event'::regclass, 'usage_events.superseded_event'::regclass) AND attnum > 0 LOOP
				EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 100', col.relation, col.name);
			END LOOP; END $$});
}

# The number of rows that the planner reckons with, as the role that may read one account.
sub estimates
{
	my ($database, @conditions) = @_;
	my $sql = join '', map { "EXPLAIN (FORMAT JSON) SELECT FROM $_;" } @conditions;
	return [ $node->safe_psql($database, $sql, extra_params => [ '-U', 'reader' ]) =~ /^\[\n.*?"Plan Rows": (\d+)/msg ];
}

# Of two conditions that the values of the other account alone can tell apart.
sub same_estimates
{
	my ($database, $table, $column, $there, $absent) = @_;
	my @conditions = map { my $value = $_; map { "$table WHERE $column $_ '$value'" } '=', '<', '>=', '<>' } $there, $absent;
	push @conditions, map { "$table WHERE $column = ANY ('{$_}')" } $there, $absent;
	my $found = estimates($database, @conditions);
	is(@$found, 10, "$table.$column: there are estimates");
	return is_deeply([ @$found[0 .. 3, 8] ], [ @$found[4 .. 7, 9] ], "$table.$column: the estimates say nothing of '$there'");
}

$node->safe_psql('postgres', 'CREATE ROLE reader LOGIN; CREATE DATABASE fresh; CREATE DATABASE told');
foreach my $database ('fresh', 'told')
{
	$node->safe_psql($database, q{CREATE EXTENSION usage_events; SELECT usage_events.grant_access('reader', 'read')});
	collect_statistics($database) if $database eq 'told';
	fill($database);
	if ($database eq 'told')
	{
		my ($there, $absent) = @{ estimates($database, map { "usage_events.event WHERE event_type = '$_'" } 'secret-type-1', 'missing-type-1') };
		isnt($there, $absent, 'statistics would tell which types another account has');
		$node->safe_psql($database, 'SELECT usage_events.hide_statistics()');
	}
	foreach my $state ('', ' analyzed again')
	{
		note("$database$state");
		my $other = $node->safe_psql($database, q{SELECT account_id FROM usage_events.account WHERE name = 'secret account'});
		foreach my $table ('usage_events.event', 'usage_events', 'usage_events.superseded_event')
		{
			my $id = $node->safe_psql($database, "SELECT id FROM $table WHERE account_id = '$other' ORDER BY id LIMIT 1 OFFSET 3000");
			same_estimates($database, $table, 'event_type', 'secret-type-1', 'missing-type-1');
			same_estimates($database, $table, 'customer_alias', 'secret-customer-4', 'missing-customer-4');
			same_estimates($database, $table, 'customer_event_id', "${other}77", 'missing');
			same_estimates($database, $table, 'account_id', $other, '0184421a-8202-70ea-a729-30308a40bbf7') if $table ne 'usage_events';
			same_estimates($database, $table, 'id', $id, '0184421a-8202-70ea-a729-30308a40bbf7');
			same_estimates($database, $table, 'event_timestamp', '2027-05-01 00:00Z', '2099-05-01 00:00Z');
			# what is joined, grouped and counted
			my ($groups) = @{ estimates($database, "(SELECT event_type FROM $table GROUP BY 1) AS g") };
			cmp_ok($groups, '>', 0, "$table: groups are estimated");
		}
		is($node->safe_psql($database, q{SELECT string_agg(DISTINCT attname || ' ' || n_distinct, ', ') FROM pg_stats WHERE schemaname = 'usage_events'
				AND most_common_vals IS NULL AND histogram_bounds IS NULL AND correlation IS NULL}), 'account_id 10, event_type 20', 'all that is known is constant');
		is($node->safe_psql($database, q{SELECT count(*) FROM pg_stats WHERE schemaname = 'usage_events' AND attname NOT IN ('account_id', 'event_type')}), 0, 'and of two columns');
		is($node->safe_psql($database, q{SELECT count(*) FROM pg_stats WHERE schemaname = 'usage_events'}, extra_params => [ '-U', 'reader' ]), 0, 'which a role does not see');
		$node->safe_psql($database, 'VACUUM ANALYZE');
	}
}

# Only a superuser writes statistics.
$node->safe_psql('fresh', q{CREATE ROLE administrator LOGIN; SELECT usage_events.grant_access('administrator', 'admin'), usage_events.hide_statistics()});
my ($status, undef, $error) = $node->psql('fresh', 'SELECT usage_events.hide_statistics()', extra_params => [ '-U', 'administrator' ]);
like($error, qr/permission denied for function hide_statistics/, 'nobody else hides them');

done_testing();
