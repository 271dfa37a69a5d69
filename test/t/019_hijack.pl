# 019_hijack.pl: nobody can put his own code, or another's account, under ours
#
# A database in which somebody has made functions and operators of the names and arguments of the
# server's own, before the extension came: neither the script nor a function is
# captured by them, whatever the search_path.  And an ordinary role cannot name
# another account in any of the ways in which a setting can be set, also
# where the library is not loaded yet.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";

use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server('autovacuum = off');

# Whatever has arguments of the types that we use.
my $traps = q{
	CREATE TABLE public.trap (what text);
	DO $do$
	DECLARE
		f record;
		types oid[] := '{uuid,text,varchar,timestamptz,timestamp,date,int2,int4,int8,bool,jsonb,json,numeric,interval,name,oid,bytea,"char",regclass,regrole,regproc,float8,xid8,tstzrange,uuid[],text[],timestamptz[],jsonb[],int2[],int4[],int8[],bool[],numeric[]}'::regtype[]::oid[];
	BEGIN
		FOR f IN
			SELECT oid, proname, oidvectortypes(proargtypes) AS arguments, prorettype::regtype AS result FROM pg_proc
			WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND NOT proretset AND proargtypes::oid[] <@ types AND prorettype = ANY (types)
		LOOP
			EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', f.proname, f.arguments, f.result,
				format('BEGIN RAISE EXCEPTION USING MESSAGE = %L; END', 'captured: function ' || f.proname));
		END LOOP;

		-- Of operators for arrays and ranges of any type, those for ours; and all prefix operators.
		FOR f IN
			SELECT DISTINCT oprname, nullif(l.type, 0)::regtype AS l, r.type::regtype AS r, CASE WHEN oprresult = ANY (types) THEN oprresult::regtype ELSE l.type::regtype END AS result
			FROM pg_operator
			CROSS JOIN LATERAL (SELECT oprleft AS type WHERE oprleft = ANY (types) OR oprleft = 0
				UNION SELECT t FROM unnest(types) AS t JOIN pg_type ON oid = t WHERE typcategory = 'A' AND oprleft IN ('anyarray'::regtype, 'anycompatiblearray'::regtype)
				UNION SELECT 'tstzrange'::regtype WHERE oprleft = 'anyrange'::regtype) AS l
			CROSS JOIN LATERAL (SELECT oprright AS type WHERE oprright = ANY (types)
				UNION SELECT t FROM unnest(types) AS t JOIN pg_type ON oid = t WHERE typcategory = 'A' AND oprright IN ('anyarray'::regtype, 'anycompatiblearray'::regtype) AND (oprleft NOT IN ('anyarray'::regtype, 'anycompatiblearray'::regtype) OR t = l.type)
				UNION SELECT 'tstzrange'::regtype WHERE oprright = 'anyrange'::regtype
				UNION SELECT 'timestamptz'::regtype WHERE oprright = 'anyelement'::regtype AND l.type = 'tstzrange'::regtype) AS r
			WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprkind IN ('b', 'l')
		LOOP
			EXECUTE format('CREATE OR REPLACE FUNCTION public.trap_%s(%s) RETURNS %s LANGUAGE plpgsql AS %L', md5(concat_ws(' ', f.oprname, f.l, f.r)), concat_ws(', ', f.l, f.r), coalesce(f.result, f.r),
				format('BEGIN RAISE EXCEPTION USING MESSAGE = %L; END', 'captured: operator ' || f.oprname));
			EXECUTE format('CREATE OPERATOR public.%s (%s RIGHTARG = %s, FUNCTION = public.trap_%s)', f.oprname, 'LEFTARG = ' || f.l || ',', f.r, md5(concat_ws(' ', f.oprname, f.l, f.r)));
		END LOOP;
	END
	$do$;
	CREATE DOMAIN public.uuid AS pg_catalog.text CHECK (false);
	CREATE DOMAIN public.jsonb AS pg_catalog.text CHECK (false);
	CREATE DOMAIN public.text AS pg_catalog.int4 CHECK (false);
	CREATE DOMAIN public.timestamptz AS pg_catalog.int4 CHECK (false);
	CREATE DOMAIN public.regclass AS pg_catalog.int4 CHECK (false)};

$node->safe_psql('postgres', 'CREATE DATABASE trapped; CREATE ROLE app LOGIN; CREATE ROLE administrator LOGIN; CREATE ROLE web LOGIN');
$node->safe_psql('trapped', $traps);
cmp_ok($node->safe_psql('trapped', q{SELECT count(*) FROM pg_operator WHERE oprnamespace = 'public'::regnamespace}), '>=', 450, 'there are many traps');

my ($result, $output, $error) = $node->psql('trapped', 'SET search_path = public, pg_catalog; SELECT 1 = 1');
like($error, qr/captured: operator =/, 'and they work');
foreach my $construct (q{'a'::pg_catalog.text IS DISTINCT FROM 'b'}, q{'a'::pg_catalog.text IN ('b')}, q{'a'::pg_catalog.text LIKE 'b'}, q{1 BETWEEN 1 AND 2},
	q{NULLIF('a'::pg_catalog.text, 'b')}, q{CASE 1 WHEN 1 THEN 1 END}, q{'{a}'::pg_catalog.text[] && '{b}'}, q{'[,]'::tstzrange @> '2026-10-01 00:00:00+00'::pg_catalog.timestamptz}, q{- 5::int4})
{
	($result, $output, $error) = $node->psql('trapped', "SET search_path = public, pg_catalog; SELECT $construct");
	like($error, qr/captured: operator/, "$construct is captured");
}

# The script, in the trapped schema itself.
$node->safe_psql('trapped', q{SET search_path = public, pg_catalog; CREATE EXTENSION usage_events SCHEMA public});
pass('the script is not captured');

# All that people call, with such a search_path.  Literals alone: what is called with is not looked up.
my $as = q{SET search_path = public, pg_catalog;};
my $account = '00000000-0000-8000-8000-000000000001';
my $event = q({"customerAlias": "acme", "eventType": "call", "customerEventId": "1", "eventTimestamp": "2026-10-01T00:00:00Z", "eventProperties": {"n": 1, "kind": "a"}});
my $other = $event =~ s/"n": 1/"n": 2/r;
my $metric = q({"name": "n", "eventType": "call", "metricType": "GROUPED", "groupingProperty": "kind", "aggregationType": "SUM", "aggregationProperty": "n"});
my $period = '[2026-10-01 00:00:00+00, 2026-11-01 00:00:00+00)';

my $superuser = $node->safe_psql('postgres', 'SELECT current_user');

my $called = '';

sub calls
{
	my ($role, $statement, $name) = @_;
	$called .= "$statement;\n";
	my ($result, $output, $error) = $node->psql('trapped', qq(SET ROLE "$role"; $as $statement));
	is($error =~ s/^NOTICE.*\n//mgr, '', $name || $statement =~ s/\(.*//sr);
	return $output;
}

calls($superuser, "SELECT usage_events.grant_access('app', 'ingest'), usage_events.grant_access('administrator', 'admin'), usage_events.grant_access('web', 'http')");
calls($superuser, 'SELECT usage_events.renew_access()');
calls('app', "SELECT public.create_usage_event('$event')", 'a new event');
calls('app', "SELECT public.create_usage_event('$event')", 'a retry');
calls('app', "SELECT public.create_usage_event('$other')", 'a correction');
calls('app', "SELECT public.create_usage_events('[$event, $other]')");
calls('app', "SELECT public.ingest_usage_events('[$event, {}]')");
calls('app', "SELECT public.ingest_usage_events_text('[$event, \"\\u0000\"]')");
calls('app', 'SELECT public.retry_rejected_usage_events()');
calls('app', "INSERT INTO public.usage_event_import VALUES ('$event')", 'an import');
calls('app', 'SELECT public.list_usage_events()');
calls('app', q{SELECT public.list_usage_events(5, customer_aliases => '{acme,b}', event_type => 'call', unmapped_aliases_only => true, sort_by => 'eventTimestamp', event_timestamp_after => '2020-01-01')}, 'a filtered list');
my $id = calls('app', 'TABLE public.usage_events') =~ s/\|.*//sr;
calls('app', "SELECT public.get_usage_event('$id')");
calls('app', "SELECT public.get_usage_event_history('$id')");
my ($alias) = calls('app', q{SELECT public.create_customer_alias('{"customerId": "customer", "value": "acme"}')}) =~ /"id": "(.*?)"/;
calls('app', "SELECT public.update_customer_alias('$alias', '{\"label\": \"x\"}')");
calls('app', 'SELECT public.list_customer_aliases()');
calls('app', "SELECT public.list_usage_events(5, unmapped_aliases_only => true$_)", 'aliases of no customer, where there are some') foreach '', q{, customer_aliases => '{acme,customer,b}'};
calls('app', 'TABLE public.unmapped_customer_aliases');
my ($metric_id) = calls('app', "SELECT public.create_usage_metric('$metric')") =~ /"id": "(.*?)"/;
my $changed = $metric =~ s/"n"/"another"/r;
calls('app', "SELECT public.update_usage_metric('$metric_id', '$changed')");
calls('app', "SELECT public.get_usage_metric('$metric_id')");
calls('app', "SELECT public.list_usage_metric_versions('$metric_id')");
calls('app', q{SELECT public.list_usage_metrics(5, name => 'n', metric_id => '0', event_types => '{call}', event_properties => '{n}', aggregation_types => '{SUM}')});
my $watched = qq("usageMetricId": "$metric_id", "period": "MONTH", "timezone": "Europe/Berlin");
my ($limit) = calls('app', qq(SELECT public.create_usage_limit('{"name": "l", $watched, "limit": 100, "mode": "BLOCK"}'))) =~ /"id": "(.*?)"/;
calls('app', qq(SELECT public.update_usage_limit('$limit', '{"name": "l", $watched, "customer": "customer", "limit": 200, "mode": "BLOCK"}')));
calls('app', "SELECT public.get_usage_limit('$limit')");
calls('app', q{SELECT public.list_usage_limits(5, name => 'l', customer => 'customer', period => 'MONTH', mode => 'BLOCK')});
calls('app', "SELECT public.check_usage_limit('acme', '$metric_id', 1, '2026-10-01 00:00:00+00')");
calls('app', 'SELECT count(*) FROM usage_events.limit_status()');
my $thresholds = '"direction": "ABOVE", "thresholds": [0.5, 100]';
my ($alert) = calls('app', qq(SELECT public.create_usage_alert('{"name": "a", $watched, $thresholds}'))) =~ /"id": "(.*?)"/;
calls('app', qq(SELECT public.update_usage_alert('$alert', '{"name": "b", $watched, $thresholds}')));
calls('app', "SELECT public.get_usage_alert('$alert')");
calls('app', 'SELECT public.list_usage_alerts()');
my $now = '2100-01-01 00:00:00+00';
foreach my $rolled_up (0, 1)
{
	calls('administrator', 'SELECT usage_events.refresh_rollups()') foreach 1 .. 3 * $rolled_up;
	calls('app', "SELECT public.calculate_usage_metric('$metric_id', '{customer,acme}', '$period')");
	calls('app', "SELECT public.usage_metric_series('$metric_id', '{customer}', '$period', 'day', 'Europe/Berlin')");
	calls('app', "SELECT public.usage_metric_by_customer('$metric_id', '$period')");
	calls('app', "SELECT public.usage_metric_changes('$metric_id', '{customer}', '$period', '$now')");
	calls('app', "SELECT public.explain_usage_event('$metric_id', '$id')");
	calls('app', "SELECT public.create_usage_event('$_')", 'a correction that is marked') foreach $event, $other;
}
calls('app', 'SELECT public.list_usage_alert_events()');
my ($told) = calls('app', q{SELECT public.take_usage_alert_events('mailer', 10, '1 minute')}) =~ /"id": "(.*?)"/;
calls('app', "SELECT public.acknowledge_usage_alert_events('mailer', '{$told}')");
calls('app', "SELECT public.delete_usage_alert('$alert')");
calls('app', "SELECT public.delete_usage_limit('$limit')");
my ($custom) = calls('administrator', q(SELECT usage_events.create_custom_metric('{"name": "c", "eventType": "call", "expression": "sum((event_properties ->> ''n'')::numeric) + 1"}'))) =~ /"id": "(.*?)"/;
is(calls('app', "SELECT public.calculate_usage_metric('$custom', '{acme}', '$period')") =~ /"value": 3,/ ? 1 : 0, 1, 'an expression means what the server means by it');
calls('administrator', "SELECT usage_events.calculate_metric('$account', '$metric_id', '{acme}', '$period')");
my ($client, $secret) = calls('administrator', "SELECT client_id, client_secret FROM usage_events.create_api_key('$account', 'key')") =~ /(.*)\|(.*)/;
calls('administrator', "SELECT usage_events.list_api_keys('$account')");
my $basic = encode_base64("$client:$secret", '');
calls('administrator', "SELECT usage_events.rotate_api_key('$client', '1 hour')");
calls('administrator', "SELECT usage_events.expire_api_key('$client', '2100-01-01 00:00:00+00')");
calls('administrator', q(SELECT usage_events.create_account('another')));
calls('administrator', "SELECT usage_events.create_event('$account', '$event')");
calls('administrator', "SELECT usage_events.create_events('$account', '[$other]')");
calls('administrator', "SELECT usage_events.ingest_events('$account', '[$event]')");
calls('administrator', qq(SELECT usage_events.update_custom_metric('$custom', '{"name": "d", "eventType": "call", "expression": "pg_catalog.count(*)"}')));
calls('app', q{SELECT public.uuid_v7(), public.uuid_v7_timestamp('01a216b8-537f-7263-86ab-d3640cac2d21'), public.uuid_v7_floor('2026-10-01 00:00:00+00'), usage_events.current_account_id(), usage_events.library_version()}, 'ids');
my ($rejected) = calls('app', 'SELECT public.list_rejected_usage_events(5)') =~ /"id": "(.*?)"/;
calls('app', "SELECT public.delete_rejected_usage_event('$rejected')");
calls('app', 'SELECT public.list_usage_customers(5)');
calls('app', q{SELECT public.list_usage_event_types(), public.list_usage_event_properties('call')}, 'types and properties');
calls('app', 'SELECT public.get_usage_status()');
calls('app', q{SELECT count(*) FROM usage_events.access_rights()}, 'rights');
calls('web', 'SELECT usage_events.openapi()');
calls('web', qq{BEGIN; SET LOCAL "request.headers" = '{"authorization": "Basic $basic", "usage-request": "POST /usage-events/batch"}'; SET LOCAL "request.path" = '/rpc/usage_api_write'; SELECT usage_events.authenticate_request(); SELECT public.usage_api_write('[$event, "\\\\u0000"]'); COMMIT}, 'a request that writes');
calls('web', qq{BEGIN; SET LOCAL "request.headers" = '{"authorization": "Basic $basic", "usage-request": "GET /usage-events?limit=2"}'; SET LOCAL "request.path" = '/rpc/usage_api_read'; SELECT usage_events.authenticate_request(); SELECT public.usage_api_read(); COMMIT}, 'a request');
calls('administrator', "SELECT usage_events.revoke_api_key('$client')");
calls('app', "SELECT public.delete_usage_metric('$metric_id')");
calls('app', "SELECT public.delete_customer_alias('$alias')");
calls('app', "SELECT '$event'::public.usage_event");
calls($superuser, 'TABLE usage_events.account_status');
calls($superuser, 'TABLE usage_events.rollup_status');
calls('administrator', "SELECT usage_events.purge('2026-10-02 00:00:00+00')");
calls('administrator', "SELECT usage_events.erase_customer('acme')");
calls($superuser, "DELETE FROM usage_events.event WHERE account_id OPERATOR(pg_catalog.=) '$account'", 'a change by hand');
calls($superuser, q{SET session_replication_role = replica; INSERT INTO usage_events.account SELECT * FROM usage_events.account WHERE account_id OPERATOR(pg_catalog.=) '00000000-0000-8000-8000-000000000001'}, 'the default account of a publisher');
calls($superuser, q{SET client_min_messages = error; CREATE SUBSCRIPTION none CONNECTION '' PUBLICATION none WITH (connect = false); ALTER SUBSCRIPTION none SET (slot_name = NONE); DROP SUBSCRIPTION none}, 'a subscription');
calls($superuser, "SELECT usage_events.attach_outbox('app', '$account')");
calls($superuser, "SELECT usage_events.outbox_has_newer('$account', '01a216b8-537f-7263-86ab-d3640cac2d21', 'a')");
calls($superuser, "INSERT INTO usage_events.outbox_event VALUES ('$account', '01a216b8-537f-7263-86ab-d3640cac2d21', null, 'created', null); SET session_replication_role = replica;
	INSERT INTO usage_events.outbox_event (id) VALUES ('01a216b8-537f-7263-86ab-d3640cac2d21')", 'a row of an outbox that comes again');
calls($superuser, 'TABLE usage_events.account_status', 'how far behind it is');
calls($superuser, "SELECT usage_events.detach_outbox('app')");
($result, $output, $error) = $node->psql('trapped', "SET ROLE app; $as INSERT INTO public.usage_events (account_id) VALUES (null)");
like($error, qr/view "usage_events" takes no writes/, 'a view that takes no writes');
calls($superuser, 'SELECT usage_events.hide_statistics()');
calls($superuser, 'SET client_min_messages = warning; SELECT usage_events.distribute()');
calls($superuser, "SELECT usage_events.revoke_access('web')");
calls('app', "SELECT v.event::pg_catalog.json FROM (VALUES ('$event'::public.usage_event), ('$other'::public.usage_event)) AS v (event) GROUP BY v.event ORDER BY v.event", 'events that are compared');

# That is all: what is not called by its name is called by what is above.
my %called_inside = map { $_ => 1 } qw(guard_drop import_usage_events written_by_extension usage_event_in usage_event_out usage_event_recv usage_event_send
	usage_event_from_jsonb usage_event_to_jsonb usage_event_cmp usage_event_eq usage_event_ne usage_event_lt usage_event_le usage_event_gt usage_event_ge usage_event_hash
	usage_event_hash_extended undistribute keep_default_account refuse_view_write watch_changes watch_subscriptions watch_tables
	check_outbox_can_be is_distributed outbox_lag_seconds receive_outbox_event subscription_account);
my @functions = split /\n/, $node->safe_psql('trapped', q{
	SELECT DISTINCT p.proname FROM pg_catalog.pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'usage_events' ORDER BY 1});
is(join(' ', grep { !$called_inside{$_} && $called !~ /\b$_\(/ } @functions), '', 'every function was called');

# No function has more rights than its caller, no view more than its reader.
is($node->safe_psql('trapped', q{
	SELECT count(*) FROM pg_catalog.pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e'
	JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'usage_events' WHERE p.prosecdef}), 0, 'no function is a SECURITY DEFINER');
is($node->safe_psql('trapped', q{
	SELECT count(*) FROM pg_class AS c JOIN pg_depend AS d ON d.classid = 'pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e'
	JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'usage_events' WHERE c.relkind = 'v' AND NOT c.reloptions OPERATOR(pg_catalog.@>) '{security_invoker=true}'}), 0, 'every view is a security_invoker');

# Not trusted: the event trigger, and the settings of superusers, want one.
($result, $output, $error) = $node->psql('postgres', 'GRANT CREATE ON DATABASE postgres TO app; SET ROLE app; CREATE EXTENSION usage_events');
like($error, qr/permission denied to create extension "usage_events".*\n.*superuser/, 'an ordinary role cannot create the extension');

# Another account ----------------------------------------------------------

$node->safe_psql('postgres', q{
	CREATE EXTENSION usage_events;
	SELECT usage_events.grant_access('app', 'ingest');
	CREATE SCHEMA app AUTHORIZATION app});
my $another = $node->safe_psql('postgres', q{SELECT usage_events.create_account('another')});
$node->safe_psql('postgres', qq{SELECT usage_events.create_event('$another', '$event')});

# A new session for each: what was set is there before the library is loaded.
sub sees_nothing
{
	my ($name, $statements, $options) = @_;
	local $ENV{PGOPTIONS} = $options || '';
	my ($result, $output, $error) = $node->psql('postgres', "$statements; SELECT 'sees ' || count(*) FROM usage_events;
		SELECT 'writes ' || (create_usage_event('{\"customerAlias\": \"a\", \"eventType\": \"t\"}') ->> 'sequenceAccountId')", extra_params => [ '-U', 'app' ], on_error_stop => 0);
	like($output, qr/^sees 0\nwrites $account$/m, "$name: nothing of another account");
	like($error, qr/permission denied to set parameter "usage_events.account_id"/, "$name: is told why");
	$node->safe_psql('postgres', 'DELETE FROM usage_events.event WHERE account_id = ' . "'$account'");
}

sees_nothing('SET', "SET usage_events.account_id = '$another'");
sees_nothing('SET once the library is loaded', "SELECT uuid_v7(); SET usage_events.account_id = '$another'");
sees_nothing('SET LOCAL', "BEGIN; SET LOCAL usage_events.account_id = '$another'");
sees_nothing('set_config()', "SELECT set_config('usage_events.account_id', '$another', false)");
sees_nothing('an option of the connection', 'SELECT 1', "-c usage_events.account_id=$another");
sees_nothing('ALTER ROLE', "ALTER ROLE app SET usage_events.account_id = '$another'");
sees_nothing('a function', "CREATE FUNCTION app.f() RETURNS bigint LANGUAGE sql SET usage_events.account_id = '$another' AS 'SELECT count(*) FROM public.usage_events'; SELECT app.f()");

done_testing();
