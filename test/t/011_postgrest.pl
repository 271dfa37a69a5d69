# 011_postgrest.pl: the HTTP API as PostgREST would serve it, replayed statement by statement
#
# PostgREST.pm sends what PostgREST would, on one connection of its login role for all requests; HttpCases.pm has them.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";
use HttpCases;
use JSON::PP;
use MIME::Base64;
use PostgREST;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;
make_http_api($node, 'postgres');

my $administrator = $node->safe_psql('postgres', 'SELECT current_user');

sub postgrest_of
{
	my ($server, %options) = @_;
	return PostgREST->new(host => $server->host, port => $server->port, database => 'postgres', user => 'authenticator',
		administrator => $administrator, schema => 'api', role => 'web', %options);
}

my $postgrest = postgrest_of($node);
my $backend = 'SELECT pg_backend_pid()';
my $first_backend = $postgrest->{session}->query($backend)->[0][0];
run_cases($postgrest);
is($postgrest->{session}->query($backend)->[0][0], $first_backend, 'one connection has served all requests');
cmp_ok(scalar keys %{ $postgrest->{session}{prepared} }, '<', 60, 'with statements that were prepared once');

# What a client is not told stands in the log, and no secret does.
my %key = keys_of_accounts();
my $log = slurp_file($node->logfile);
like($log, qr/ LOG:  secret of the server$/m, 'the cause of an internal error is in the log');
unlike($log, qr/ ERROR:  \{/, 'what a client is told does not');
my @seen = grep { index($log, $_) >= 0 } map { ($key{$_} =~ s/.*://r, encode_base64($key{$_}, '')) } keys %key;
is(scalar @seen, 0, 'no secret is in the log');

# Whoever wants to have refusals in the log has them.
my $refused = sub {
	my ($status, @headers) = @_;
	my $before = -s $node->logfile;
	my $log_of = postgrest_of($node)->request('POST', '/usage-events', [@headers], '{}');
	is($log_of->{status}, $status, "a request is answered $status");
	return substr slurp_file($node->logfile), $before;
};
my @basic = (Authorization => 'Basic ' . encode_base64($key{acme}, ''));
unlike($refused->(400, @basic), qr/ERROR/, 'a refusal is not logged');
unlike($refused->(401), qr/ERROR/, 'without credentials neither');
$node->safe_psql('postgres', 'ALTER ROLE authenticator SET usage_events.log_refused_requests = on');
like($refused->(400, @basic), qr/ERROR:  \{"code":"22023"/, 'with usage_events.log_refused_requests it is');
like($refused->(401), qr/ERROR:  \{"code":"401"/, 'and whoever has no credentials is as well');
$node->safe_psql('postgres', 'ALTER ROLE authenticator RESET usage_events.log_refused_requests');

# A standby answers what is read.  What is written PostgREST cannot even begin there.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $reader = postgrest_of($standby);
my @credentials = (Authorization => 'Basic ' . encode_base64($key{lister}, ''));
foreach my $target ('/usage-events?limit=5', '/usage-events?unmappedAliasesOnly=true', '/customer-aliases', '/usage-metrics', '/usage-limits', '/')
{
	my @answers = map { $_->request('GET', $target, [@credentials], '') } $postgrest, $reader;
	is_deeply($answers[1], $answers[0], "a standby answers as its primary: GET $target");
}
is($reader->request('GET', '/usage-events', [], '')->{status}, 401, 'a standby asks for credentials');
my $answer = $reader->request('POST', '/usage-events', [@credentials], '{"customerAlias": "a", "eventType": "t"}');
like("$answer->{status} $answer->{body}", qr/^500 .*"code":"0A000".*"message":"outcome is unknown"/,
	'a standby takes no events, and does not say that they are at fault');

# Without an API key nobody is served, whatever PostgREST's configuration forgets: neither by a function of the API's, nor
# by any other, nor by a view.

my $default = '00000000-0000-8000-8000-000000000001';
my $nil = '00000000-0000-0000-0000-000000000000';
my $event = $node->safe_psql('postgres', q{
	SELECT api.create_usage_event('{"customerEventId": "k", "customerAlias": "a", "eventType": "owned"}') IS NULL;
	SELECT api.create_usage_event('{"customerEventId": "k", "customerAlias": "b", "eventType": "owned"}') ->> 'id'}) =~ s/.*\n//r;
my $metric = $node->safe_psql('postgres', q{SELECT api.create_usage_metric('{"name": "owned", "metricType": "SIMPLE", "eventType": "owned", "aggregationType": "COUNT"}') ->> 'id'});
my $new_limit = qq('{"name": "owned", "usageMetricId": "$metric", "period": "DAY", "limit": 1, "mode": "REPORT"}');
my $limit = $node->safe_psql('postgres', "SELECT api.create_usage_limit($new_limit) ->> 'id'");
my $alias = $node->safe_psql('postgres', q{SELECT api.create_customer_alias('{"customerId": "owner", "value": "a"}') ->> 'id'});
$node->safe_psql('postgres', q{SELECT api.ingest_usage_events('[5]')});

# Calls of all functions that the role may call in the exposed schema, and what belongs to no account.
my $new_metric = q('{"name": "n", "metricType": "SIMPLE", "eventType": "owned", "aggregationType": "COUNT"}');
my $new_alert = qq('{"name": "n", "usageMetricId": "$metric", "period": "DAY", "thresholds": [1], "direction": "ABOVE"}');
my $alert = $node->safe_psql('postgres', "SELECT api.create_usage_alert($new_alert) ->> 'id'");
my $period = q{'[2000-01-01 00:00+00, 2100-01-01 00:00+00)'};
my %arguments = (
	create_usage_event => q('{"customerAlias": "x", "eventType": "owned"}'),
	create_usage_events => q('[{"customerAlias": "x", "eventType": "owned"}]'),
	ingest_usage_events => q('[{"customerAlias": "x", "eventType": "owned"}]'),
	ingest_usage_events_text => q('[{"customerAlias": "x", "eventType": "owned"}]'),
	retry_rejected_usage_events => '',
	delete_rejected_usage_event => "'$event'",
	list_rejected_usage_events => '',
	list_usage_customers => '',
	list_usage_event_types => '',
	list_usage_event_properties => "'owned'",
	get_usage_status => '',
	get_usage_event => "'$event'",
	get_usage_event_history => "'$event'",
	list_usage_events => '',
	create_customer_alias => q('{"customerId": "c", "value": "x"}'),
	update_customer_alias => qq('$alias', '{"label": "x"}'),
	delete_customer_alias => "'$alias'",
	list_customer_aliases => '',
	create_usage_metric => $new_metric,
	get_usage_metric => "'$metric'",
	update_usage_metric => "'$metric', $new_metric",
	delete_usage_metric => "'$metric'",
	list_usage_metrics => '',
	list_usage_metric_versions => "'$metric'",
	calculate_usage_metric => "'$metric', '{a,b}', $period",
	usage_metric_series => "'$metric', '{a,b}', $period, 'month'",
	usage_metric_by_customer => "'$metric', $period",
	usage_metric_changes => "'$metric', '{a,b}', $period, '2020-01-01 00:00+00'",
	explain_usage_event => "'$metric', '$event'",
	create_usage_alert => $new_alert,
	get_usage_alert => "'$alert'",
	update_usage_alert => "'$alert', $new_alert",
	delete_usage_alert => "'$alert'",
	list_usage_alerts => '',
	list_usage_alert_events => '',
	take_usage_alert_events => q('consumer'),
	acknowledge_usage_alert_events => q('consumer', '{}'),
	create_usage_limit => $new_limit,
	get_usage_limit => "'$limit'",
	update_usage_limit => "'$limit', $new_limit",
	delete_usage_limit => "'$limit'",
	list_usage_limits => '',
	check_usage_limit => "'a', '$metric'",
	usage_api_read => '',
	usage_api_write => q('{"customerAlias": "x", "eventType": "owned"}'));
my %of_no_account = map { $_ => 1 } qw(uuid_v7 uuid_v7_timestamp uuid_v7_floor);
my @functions = grep { !$of_no_account{$_} } split /\n/, $node->safe_psql('postgres',
	q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'api'::regnamespace AND has_function_privilege('web', oid, 'EXECUTE') ORDER BY 1});
my @views = split /\n/, $node->safe_psql('postgres',
	q{SELECT relname FROM pg_class WHERE relnamespace = 'api'::regnamespace AND relkind = 'v' AND has_table_privilege('web', oid, 'SELECT') ORDER BY 1});
is_deeply([ sort keys %arguments ], \@functions, 'every function that the role may call is called');

my $json = JSON::PP->new->utf8;

sub call_of
{
	my ($function) = @_;
	return qq{WITH pgrst_source AS (SELECT pgrst_call.* FROM "api"."$function"($arguments{$function}) pgrst_call) SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, '' AS response_inserted FROM (SELECT "$function".* FROM "pgrst_source" AS "$function"   ) _postgrest_t};
}

# What a client without a key gets of all of them, and of what was stored before.
sub answers_without_key
{
	my ($server) = @_;
	my %request = (method => 'POST', headers => { 'usage-request' => 'POST /usage-events' });
	my $import = q{WITH pgrst_source AS (INSERT INTO "api"."usage_event_import"("event") SELECT "pgrst_body"."event" FROM (SELECT $1 AS json_data) pgrst_payload, LATERAL (SELECT "event" FROM json_to_record(pgrst_payload.json_data) AS _("event" text) ) pgrst_body  RETURNING 1) SELECT '' AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, ''::text AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, '' AS response_inserted FROM (SELECT * FROM pgrst_source) _postgrest_t};
	my @values = $json->encode({ event => '{"customerAlias": "x", "eventType": "owned"}' });
	return (
		(map { [ "/rpc/$_", $server->transaction({ %request, path => "/rpc/$_" }, call_of($_), [], []) ] } @functions),
		(map { [ "/$_", $server->transaction({ %request, method => 'GET', path => "/$_", read_only => 1 }, $server->view_statement($_)) ] } @views),
		[ '/usage_event_import', $server->transaction({ %request, path => '/usage_event_import' }, $import, [ PostgREST::JSON() ], \@values) ]);
}

my $stored = join ' UNION ALL ', map { "SELECT '$_', md5(string_agg(t::text, ' ' ORDER BY t)) FROM usage_events.$_ AS t" }
  qw(event superseded_event rejected_event customer_alias metric superseded_metric usage_limit superseded_usage_limit usage_alert usage_alert_consumer);
my $before = $node->safe_psql('postgres', $stored);

sub nobody_is_served
{
	my ($what, $before_logging_in, $hint) = @_;
	$node->safe_psql('postgres', $before_logging_in);
	my $keyless = postgrest_of($node, pre_request => '');
	foreach (answers_without_key($keyless))
	{
		my ($path, $answer) = @$_;
		like(join(' ', $answer->{status}, @{ $answer->{faults} }, $answer->{body}),
			qr/^401 \{.*"No API key was checked in this request\.","hint":"PostgREST's db-pre-request must be usage_events\.authenticate_request\."/,
			"$what: $path is refused for lack of an API key");
	}
	is($node->safe_psql('postgres', $stored), $before, "$what: nothing was written");
}

nobody_is_served('no pre-request', 'SELECT 1');
nobody_is_served('the account of all of the database is nobody\'s choice', "ALTER DATABASE postgres SET usage_events.account_id = '$default'");
nobody_is_served('a role without an account', "ALTER ROLE authenticator SET usage_events.account_id = '$nil'");
my ($of_nobody) = map { $_->request('GET', '/usage-events', [@credentials], '') } postgrest_of($node);
is($of_nobody->{status}, 200, 'a key is one to such a role as well');
is_deeply($of_nobody->{faults}, [], 'and leaves nothing behind');
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET usage_events.account_id; ALTER ROLE authenticator RESET usage_events.account_id');

# Who names an account, for the login role or in a pre-request of his own, has chosen it.
sub is_of_default
{
	my ($what, $server) = @_;
	my $answer = $server->transaction({ method => 'GET', path => '/usage_metrics', headers => {}, read_only => 1 }, $server->view_statement('usage_metrics'));
	like($answer->{body}, qr/"name":"owned"/, "$what: a view");
	$answer = $server->transaction({ method => 'POST', path => '/rpc/get_usage_event', headers => {} }, call_of('get_usage_event'), [], []);
	like($answer->{body}, qr/"eventType": ?"owned"/, "$what: a function");
}

$node->safe_psql('postgres', "ALTER ROLE authenticator SET usage_events.account_id = '$default'");
is_of_default('the account of the login role', postgrest_of($node, pre_request => ''));
$node->safe_psql('postgres', qq{ALTER ROLE authenticator RESET usage_events.account_id;
	GRANT SET ON PARAMETER usage_events.account_id TO web;
	CREATE FUNCTION api.of_tenant() RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT set_config('usage_events.account_id', '$default', true); END});
is_of_default('a pre-request that names an account', postgrest_of($node, pre_request => 'api.of_tenant'));
$node->safe_psql('postgres', 'REVOKE SET ON PARAMETER usage_events.account_id FROM web; DROP FUNCTION api.of_tenant()');

# What setup makes has no account but that of a key, with PostgREST and without it.
$ENV{$_->[0]} = $_->[1] foreach [ PGHOST => $node->host ], [ PGPORT => $node->port ], [ PGUSER => $administrator ];
my $folder = PostgreSQL::Test::Utils::tempdir() . '/http';
command_like([ "$FindBin::RealBin/../../examples/postgrest/setup", 'postgres', $folder ], qr/^client secret: /m, 'setup');
is(slurp_file("$folder/usage_events_keys.conf"), $node->safe_psql('postgres',
	q{SELECT string_agg(substr(client_id, 38) || E' 1;\n', '' ORDER BY substr(client_id, 38) COLLATE "C") FROM usage_events.api_key WHERE coalesce(expires_at > now(), true)}),
	'and a list of all keys for nginx, of nothing but the last part of their ids');
command_like([ "$FindBin::RealBin/../../examples/postgrest/setup", '--authenticator', 'other_authenticator', '--web-role', 'other_web', 'a new one',
	"$folder.other" ], qr/^client secret: /m, 'setup makes a database that is not there');
is($node->safe_psql('a new one', 'SELECT count(*) FROM usage_events.api_key'), 1, 'and a key in it');
like(slurp_file("$folder.other/postgrest.conf"), qr/dbname='a new one'/, 'to which PostgREST goes');
my @made = (user => 'usage_events_authenticator', role => 'usage_events_web');
my ($list) = map { $_->transaction({ method => 'POST', path => '/rpc/list_usage_events', headers => {} }, call_of('list_usage_events'), [], []) }
  postgrest_of($node, @made, pre_request => '');
is($list->{status}, 401, 'what setup made serves nobody without the pre-request');
is(postgrest_of($node, @made)->request('GET', '/usage-events', [@credentials], '')->{status}, 200, 'and whoever has a key with it');
foreach my $sql ('SELECT count(*) FROM api.usage_events', 'SELECT api.list_usage_events()', q{SELECT api.create_usage_event('{"customerAlias": "x", "eventType": "t"}')})
{
	my (undef, undef, $error) = $node->psql('postgres', "SET ROLE usage_events_web; $sql", extra_params => [ '-U', 'usage_events_authenticator' ]);
	like($error, qr/session has no account/, "nor in SQL: $sql");
}
$node->safe_psql('postgres', "ALTER ROLE usage_events_authenticator SET usage_events.account_id = '$default'");
command_like([ "$FindBin::RealBin/../../examples/postgrest/setup", 'postgres', $folder ], qr/there is a key of the label/i, 'setup again');
is($node->safe_psql('postgres', 'SHOW usage_events.account_id', extra_params => [ '-U', 'usage_events_authenticator' ]), $default,
	'does not take from the role an account that it was given');

done_testing();
