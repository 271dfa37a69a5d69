# 037_key_scopes.pl: what each kind of API key may do, route by route, and that none sees more by any other way
#
# The table below has each operation of docs/openapi.json with the answer that each kind of key gets.  One that the
# document has and the table does not fails.  Then somebody who has the key of one customer tries to learn of another.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";
use JSON::PP;
use POSIX ();
use MIME::Base64;
use OpenApi;
use PostgREST;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

# How many rows a request reads is compared: a vacuum meanwhile changes what an index alone can answer.
my $node = server("autovacuum = off");
make_http_api($node, 'postgres');
my $administrator = $node->safe_psql('postgres', 'SELECT current_user');
my $api = PostgREST->new(host => $node->host, port => $node->port, database => 'postgres', user => 'authenticator', administrator => $administrator,
	schema => 'api', role => 'web');
my $json = JSON::PP->new->utf8->canonical;
my $account = $node->safe_psql('postgres', q{SELECT usage_events.create_account('seller')});
my $no_id = 'ffffffff-ffff-7fff-bfff-ffffffffffff';

sub make_key
{
	my ($scope) = @_;
	return $node->safe_psql('postgres', "SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$account', 'test'$scope)");
}

sub end_key
{
	my ($key, $call) = @_;
	$node->safe_psql('postgres', sprintf "SELECT usage_events.$call", $key =~ s/:.*//r);
	return $key;
}

sub basic { return 'Basic ' . encode_base64($_[0], '') }

my %key = (full => make_key(''));

# A request with the key of a kind.
sub ask
{
	my ($kind, $method, $target, $body) = @_;
	my $answer = $api->request($method, $target, [ Authorization => basic($key{$kind}) ], ref $body ? $json->encode($body) : $body // '');
	$answer->{json} = eval { $json->decode($answer->{body}) };
	return $answer;
}

sub ask_full
{
	my $answer = ask('full', @_);
	die "$_[0] $_[1]: $answer->{status} $answer->{body}" if $answer->{status} !~ /^20[01]$/;
	return $answer->{json};
}

# What there is to be seen ---------------------------------------------------

my @month = (periodStart => '2026-10-01', periodEnd => '2026-10-31');

sub query { my @pairs = @_; return join '&', map { "$pairs[2 * $_]=$pairs[2 * $_ + 1]" } 0 .. @pairs / 2 - 1 }

sub send_event
{
	my ($alias, $id, $amount) = @_;
	return ask_full('POST', '/usage-events', { customerAlias => $alias, customerEventId => $id, eventType => 'call',
		eventTimestamp => '2026-10-05T00:00:00Z', eventProperties => { amount => $amount, note => "secret of $alias" } })->{id};
}

my $metric = ask_full('POST', '/usage-metrics', { name => 'calls', metricType => 'SIMPLE', eventType => 'call', aggregationType => 'SUM',
	aggregationProperty => 'amount', propertyFilters => { note => [ 'secret of globex-1', map { "secret of $_" } qw(acme acme-1 acme-2 stray) ] } })->{id};
my $other_metric = ask_full('POST', '/usage-metrics', { name => 'other calls', metricType => 'SIMPLE', eventType => 'call', aggregationType => 'COUNT' })->{id};
my %alias_id = map { $_->[1] => ask_full('POST', '/customer-aliases', { customerId => $_->[0], value => $_->[1] })->{id} }
  [ 'acme', 'acme-1' ], [ 'acme', 'acme-2' ], [ 'globex', 'globex-1' ];
my %event = map { $_ => send_event($_, "of $_", 10) } qw(acme acme-1 acme-2 globex-1 globex stray);
my $was_others = send_event('globex-1', 'comes to acme', 1);
my $is_acmes = send_event('acme-1', 'comes to acme', 1);
my $was_acmes = send_event('acme-1', 'goes to globex', 2);
my $is_globexs = send_event('globex-1', 'goes to globex', 2);
send_event('globex-1', "more $_", 100) foreach 1 .. 30;
ask_full('POST', '/usage-events/batch', [ { customerAlias => 'globex-1' } ]);

# Routes ---------------------------------------------------------------------

%key = (%key,
	ingest => make_key(q{, 'ingest'}),
	read => make_key(q{, 'read'}),
	customer => make_key(q{, 'read', customer => 'acme'}),
	metric => make_key(qq{, 'read', metric_ids => '{$metric}'}),
	portal => make_key(qq{, 'read', customer => 'acme', metric_ids => '{$metric}', expires_at => now() + interval '1 hour'}),
	expired => end_key(make_key(q{, 'read', expires_at => now() + interval '1 hour'}), q{expire_api_key('%s', now() - interval '1 second')}),
	revoked => end_key(make_key(q{, 'ingest'}), q{revoke_api_key('%s')}));

my $one = { customerAlias => 'acme', customerEventId => 'sent', eventType => 'sent' };
my $definition = { name => 'sent', metricType => 'SIMPLE', eventType => 'sent', aggregationType => 'COUNT' };
my $made_alias = ask_full('POST', '/customer-aliases', { customerId => 'made', value => 'made' })->{id};
my $made_metric = ask_full('POST', '/usage-metrics', $definition)->{id};

my $made_limit = ask_full('POST', '/usage-limits', { name => 'made', usageMetricId => $metric, period => 'MONTH', limit => 1000, mode => 'REPORT' })->{id};
my $made_alert = ask_full('POST', '/usage-alerts', alert())->{id};
my $rejected = ask_full('GET', '/rejected-usage-events')->{items}[0]{id};
my $made_token = ask_full('POST', '/portal-tokens', { customer => 'made' })->{id};

sub alert { return { name => 'a', usageMetricId => $metric, period => 'MONTH', thresholds => [1000], direction => 'ABOVE' } }

sub series { my ($aliases, @more) = @_; return "/usage-metrics/$metric/series?" . query(customerAliases => $aliases, @month, step => 'month', @more) }

# Each operation: what is asked, its body, and the answers to the keys full, ingest, read, customer, metric, portal.
my @kinds = qw(full ingest read customer metric portal);
my %operations = (
	'GET /' => [ '/', undef, 200, 200, 200, 200, 200, 200 ],
	'POST /usage-events' => [ '/usage-events', $one, 201, 201, 403, 403, 403, 403 ],
	'POST /usage-events/batch' => [ '/usage-events/batch', [$one], 200, 200, 403, 403, 403, 403 ],
	'GET /usage-events' => [ '/usage-events', undef, 200, 403, 200, 200, 403, 403 ],
	'GET /usage-events/{id}' => [ "/usage-events/$event{'acme-1'}", undef, 200, 403, 200, 200, 403, 403 ],
	'GET /usage-events/{id}/history' => [ "/usage-events/$is_acmes/history", undef, 200, 403, 200, 403, 403, 403 ],
	'GET /customer-aliases' => [ '/customer-aliases', undef, 200, 403, 200, 403, 403, 403 ],
	'POST /customer-aliases' => [ '/customer-aliases', { customerId => 'c', value => 'v' }, 201, 403, 403, 403, 403, 403 ],
	'PUT /customer-aliases/{id}' => [ "/customer-aliases/$made_alias", { label => 'l' }, 200, 403, 403, 403, 403, 403 ],
	'DELETE /customer-aliases/{id}' => [ "/customer-aliases/$made_alias", undef, 200, 403, 403, 403, 403, 403 ],
	'GET /usage-metrics' => [ '/usage-metrics', undef, 200, 403, 200, 403, 200, 403 ],
	'POST /usage-metrics' => [ '/usage-metrics', $definition, 201, 403, 403, 403, 403, 403 ],
	'GET /usage-metrics/{id}' => [ "/usage-metrics/$metric", undef, 200, 403, 200, 403, 200, 403 ],
	'PUT /usage-metrics/{id}' => [ "/usage-metrics/$made_metric", $definition, 200, 403, 403, 403, 403, 403 ],
	'DELETE /usage-metrics/{id}' => [ "/usage-metrics/$made_metric", undef, 200, 403, 403, 403, 403, 403 ],
	'GET /usage-metrics/{id}/versions' => [ "/usage-metrics/$metric/versions", undef, 200, 403, 200, 403, 403, 403 ],
	'GET /usage-limits' => [ '/usage-limits', undef, 200, 403, 200, 403, 403, 403 ],
	'POST /usage-limits' => [ '/usage-limits', { name => 'l', usageMetricId => $metric, period => 'MONTH', limit => 1000, mode => 'REPORT' }, 201, 403, 403, 403, 403, 403 ],
	'GET /usage-limits/check' => [ "/usage-limits/check?customer=acme&usageMetricId=$metric", undef, 200, 403, 200, 403, 403, 403 ],
	'GET /usage-limits/{id}' => [ "/usage-limits/$made_limit", undef, 200, 403, 200, 403, 403, 403 ],
	'PUT /usage-limits/{id}' => [ "/usage-limits/$made_limit", { name => 'm', usageMetricId => $metric, period => 'MONTH', limit => 1000, mode => 'REPORT' }, 200, 403, 403, 403, 403, 403 ],
	'DELETE /usage-limits/{id}' => [ "/usage-limits/$made_limit", undef, 200, 403, 403, 403, 403, 403 ],
	'GET /usage-events/{id}/explain' => [ "/usage-events/$is_acmes/explain?usageMetricId=$metric", undef, 200, 403, 200, 403, 403, 403 ],
	'GET /rejected-usage-events' => [ '/rejected-usage-events', undef, 200, 403, 200, 403, 403, 403 ],
	'POST /rejected-usage-events/retry' => [ '/rejected-usage-events/retry', { ids => [] }, 200, 403, 403, 403, 403, 403 ],
	'DELETE /rejected-usage-events/{id}' => [ "/rejected-usage-events/$rejected", undef, 200, 403, 403, 403, 403, 403 ],
	'GET /usage-event-types' => [ '/usage-event-types', undef, 200, 403, 200, 403, 403, 403 ],
	'GET /usage-event-types/{eventType}/properties' => [ '/usage-event-types/call/properties', undef, 200, 403, 200, 403, 403, 403 ],
	'GET /customers' => [ '/customers', undef, 200, 403, 200, 403, 403, 403 ],
	'GET /status' => [ '/status', undef, 200, 403, 200, 403, 403, 403 ],
	'GET /usage-alerts' => [ '/usage-alerts', undef, 200, 403, 200, 403, 403, 403 ],
	'POST /usage-alerts' => [ '/usage-alerts', alert(), 201, 403, 403, 403, 403, 403 ],
	'GET /usage-alerts/{id}' => [ "/usage-alerts/$made_alert", undef, 200, 403, 200, 403, 403, 403 ],
	'PUT /usage-alerts/{id}' => [ "/usage-alerts/$made_alert", alert(), 200, 403, 403, 403, 403, 403 ],
	'DELETE /usage-alerts/{id}' => [ "/usage-alerts/$made_alert", undef, 200, 403, 403, 403, 403, 403 ],
	'GET /usage-alert-events' => [ '/usage-alert-events', undef, 200, 403, 200, 403, 403, 403 ],
	'GET /portal-tokens' => [ '/portal-tokens', undef, 200, 403, 403, 403, 403, 403 ],
	'POST /portal-tokens' => [ '/portal-tokens', { customer => 'acme' }, 201, 403, 403, 403, 403, 403 ],
	'DELETE /portal-tokens/{id}' => [ "/portal-tokens/$made_token", undef, 200, 403, 403, 403, 403, 403 ],
	'GET /usage-metrics/{id}/calculate' => [ "/usage-metrics/$metric/calculate?" . query(customerAliases => 'acme', @month), undef, 200, 403, 200, 200, 200, 200 ],
	'GET /usage-metrics/{id}/series' => [ series('acme'), undef, 200, 403, 200, 200, 200, 200 ],
	'GET /usage-metrics/{id}/by-customer' => [ "/usage-metrics/$metric/by-customer?" . query(@month), undef, 200, 403, 200, 403, 200, 403 ],
	'GET /usage-metrics/{id}/changes' => [ "/usage-metrics/$metric/changes?" . query(customerAliases => 'acme', @month, since => '2026-10-01T00:00:00Z'), undef,
		200, 403, 200, 403, 200, 403 ]);

my @described = OpenApi->new(slurp_file("$FindBin::RealBin/../../docs/openapi.json"))->operations;
my @in_order = sort { ($a =~ /^DELETE/) <=> ($b =~ /^DELETE/) || $a cmp $b } map { "$_->{method} $_->{path}" } @described;
is_deeply([ sort keys %operations ], [ sort @in_order ], 'the table has the operations of the document, and no other');

my $stored = join ' UNION ALL ', map { "SELECT md5(string_agg(t::text, ' ' ORDER BY t)) FROM usage_events.$_ AS t" }
  qw(event superseded_event rejected_event customer_alias metric superseded_metric usage_limit usage_alert api_key portal_token);
foreach my $operation (@in_order)
{
	my ($target, $body, %status);
	($target, $body, @status{@kinds}) = @{ $operations{$operation} // next };
	my ($method) = $operation =~ /^(\w+)/;
	my $before = $node->safe_psql('postgres', $stored);
	foreach my $kind (qw(expired revoked), reverse @kinds)
	{
		my $answer = ask($kind, $method, $target, $body);
		my $expected = $status{$kind} // 401;
		is("$answer->{status} @{ $answer->{faults} }", "$expected ", "$operation with the key: $kind");
		is($answer->{json}{code} . " $answer->{json}{message}", '403 API key may not do this', 'the answer says so') if $expected == 403;
		is($node->safe_psql('postgres', $stored), $before, 'and nothing is written') if $expected >= 400;
	}
	my ($description) = grep { "$_->{method} $_->{path}" eq $operation } @described;
	is(exists $description->{responses}{403} ? 1 : 0, (grep { $_ == 403 } values %status) ? 1 : 0, "$operation: the document tells of 403");
}
is(ask($_, 'GET', '/nothing')->{status}, 404, "no such path for the key: $_") foreach @kinds;
is(ask($_, 'OPTIONS', '/usage-metrics')->{status}, 200, "OPTIONS for the key: $_") foreach @kinds;
is(ask($_, 'HEAD', '/usage-metrics')->{status}, 403, "HEAD is GET for the key: $_") foreach qw(ingest customer portal);
is(ask($_, 'PATCH', '/usage-metrics')->{status}, 405, "no such method for the key: $_") foreach @kinds;
is(ask('ingest', 'GET', '/usage-events/nothing-like-an-id')->{status}, 403, 'whom a path is not for is not told what is wrong with the id');

# Whatever else PostgREST serves: all functions and views of the schema that it exposes.

my %argument = (uuid => "'$event{'acme-1'}'", 'uuid[]' => 'NULL', jsonb => q('{}'), text => q('a'), 'text[]' => q('{acme}'), integer => 1, numeric => 1, boolean => 'false',
	timestamptz => q('2026-10-01Z'), interval => q('1 hour'), tstzrange => q{'[2026-10-01Z, 2026-11-01Z)'}, bytea => q(''));
my @calls = split /\n/, $node->safe_psql('postgres', q{
	SELECT proname || ' ' || coalesce(string_agg(replace(format_type(type, NULL), 'timestamp with time zone', 'timestamptz'), ' ' ORDER BY number), '')
	FROM pg_proc LEFT JOIN unnest(proargtypes) WITH ORDINALITY AS arguments (type, number) ON true
	WHERE pronamespace = 'api'::regnamespace AND has_function_privilege('web', pg_proc.oid, 'EXECUTE') AND proname !~ '^(uuid_v7|usage_api_)'
	GROUP BY pg_proc.oid, proname ORDER BY 1});
cmp_ok(scalar @calls, '>', 15, 'there are functions');
my @views = split /\n/, $node->safe_psql('postgres',
	q{SELECT relname FROM pg_class WHERE relnamespace = 'api'::regnamespace AND relkind = 'v' AND has_table_privilege('web', oid, 'SELECT') ORDER BY 1});
cmp_ok(scalar @views, '>', 5, 'and views');

my $ask_directly = sub {
	my ($kind, $path, $sql) = @_;
	my %request = (method => 'POST', path => $path, headers => { authorization => basic($key{$kind}) });
	my $answer = $api->transaction(\%request, qq{WITH pgrst_source AS ($sql) SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, '' AS response_inserted FROM (SELECT * FROM pgrst_source) _postgrest_t}, [], []);
	return "$answer->{status} $answer->{body}";
};
foreach my $kind (grep { $_ ne 'full' } @kinds)
{
	foreach (@calls)
	{
		my ($function, @types) = split / /;
		my $arguments = join ', ', map { $argument{$_} // die "no argument of type $_" } @types;
		like($ask_directly->($kind, "/rpc/$function", "SELECT pgrst_call.* FROM api.$function($arguments) AS pgrst_call"), qr/^403 .*API key may not do this/,
			"$function() called by the key: $kind");
	}
	like($ask_directly->($kind, "/$_", "SELECT * FROM api.$_"), qr/^403 .*API key may not do this/, "$_ read by the key: $kind") foreach @views;
}
like($ask_directly->('full', '/usage_events', 'SELECT * FROM api.usage_events'), qr/^200 .*globex/s, 'a full key reads views');

# Somebody who has SQL as well.

my $parallel = $node->safe_psql('postgres', q{SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')});
my $tables = 'SELECT count(*) FROM usage_events.event';
foreach my $try (
	[ 'a table', $tables ],
	[ 'a table, by workers', "SET LOCAL $parallel = on; $tables" ],
	[ 'a table, by workers alone', "SET LOCAL $parallel = on; SET LOCAL parallel_leader_participation = off; $tables" ],
	[ 'what the session had', "RESET ALL; $tables" ],
	[ 'what was before', "SAVEPOINT s; ROLLBACK TO s; $tables" ],
	[ 'the account by name', "SET LOCAL usage_events.account_id = '$account'; $tables" ],
	[ 'after a request that was served', "SELECT api.usage_api_read(); $tables" ],
	[ 'after one that was refused', "DO \$\$ BEGIN PERFORM set_config('request.headers', '{\"usage-request\": \"GET /usage-metrics/x\"}', true); PERFORM api.usage_api_read(); EXCEPTION WHEN OTHERS THEN NULL; END \$\$; $tables" ],
	[ 'after others\' credentials that are wrong', "SAVEPOINT s; SELECT set_config('request.headers', '{}', true); SELECT usage_events.authenticate_request(); ROLLBACK TO s; $tables" ])
{
	my ($what, $sql) = @$try;
	my $headers = $json->encode({ authorization => basic($key{customer}), 'usage-request' => 'GET /usage-events' });
	my ($result, $output) = $node->psql('postgres', "SET ROLE web; BEGIN; SELECT set_config('request.path', '/', true), set_config('request.headers', '$headers', true);
		SELECT usage_events.authenticate_request(); SELECT 'authenticated'; $sql", extra_params => [ '-U', 'authenticator' ], on_error_stop => 0);
	like($output, qr/authenticated/, "with SQL: $what");
	unlike($output, qr/^\d+$/m, 'is not counted');
}

# One customer ---------------------------------------------------------------

# Whatever the key of one customer is told has nothing of another: no name, no id, no time.
my @others = ('globex', 'stray', 'secret of globex', @event{qw(globex-1 globex stray)}, $was_others, $is_globexs, $other_metric, $metric);

sub ask_as
{
	my ($kind, $target, %told) = @_;
	my $answer = ask($kind, 'GET', $target);
	my @seen = grep { !$told{$_} && index("$answer->{body} " . $json->encode($answer->{headers}), $_) >= 0 } @others;
	is("@seen", '', "nothing of others with the key $kind: $target");
	return $answer;
}

sub listed { return join ' ', sort map { $_->{customerEventId} } @{ $_[0]{json}{items} } }

sub same_answers
{
	my ($what, $kind, @targets) = @_;
	my ($first, @more) = map { my $answer = ask_as($kind, $_, $metric => 1); "$answer->{status} " . $json->encode($answer->{headers}) . " $answer->{body}" } @targets;
	is($_, $first, $what) foreach @more;
	return $first;
}

my $own = 'comes to acme of acme of acme-1 of acme-2 sent';
my $list = ask_as('customer', '/usage-events?limit=100');
is(listed($list), $own, 'a list has the events of the customer, by id and by alias');
is($list->{json}{pagination}{totalResultSize}, 5, 'and counts no other');
is(listed(ask_as('customer', "/usage-events?$_->[0]")), $_->[1], "a list of $_->[0]")
  foreach [ 'customerAlias=acme-1', 'comes to acme of acme-1' ], [ 'customerAlias=acme', $own ], [ 'customerAlias=acme-1&customerAlias=globex-1', 'comes to acme of acme-1' ],
  [ 'sortBy=eventTimestamp&sortOrder=asc&eventType=call', 'comes to acme of acme of acme-1 of acme-2' ];
same_answers('an alias of another customer is one that nobody has', 'customer', map { "/usage-events?customerAlias=$_" } qw(globex-1 globex stray VOID nobody));
same_answers('nor does its place tell', 'customer', map { "/usage-events?sortBy=eventTimestamp&customerAlias=$_&customerAlias=acme-2" } qw(globex-1 stray nobody));
is(ask_as('customer', "/usage-events?$_")->{status}, 403, "a list is refused that looks at others: $_") foreach 'unmappedAliasesOnly=true', "eventId=$event{acme}", 'eventId=more%201',
  'eventId=nothing';

like(same_answers('an event of another customer is one that is not there', 'customer', map { "/usage-events/$_" } @event{qw(globex-1 globex stray)}, $is_globexs, $no_id), qr/^404/,
	'an unknown event');
same_answers('so is a version that was superseded, whosever it was', 'customer', map { "/usage-events/$_" } $was_others, $was_acmes, $no_id);
is(ask_as('customer', "/usage-events/$_")->{json}{id}, $_, 'an event of the customer') foreach @event{qw(acme acme-1 acme-2)}, $is_acmes;

# Cursors: their own hold nothing of others, and those of others open nothing.
my $page = ask_as('customer', '/usage-events?limit=2');
my $after = $page->{json}{pagination}{after};
my $bytes = decode_base64($after =~ tr{-_}{+/}r);
my @places = map { unpack 'H*', $_ =~ s/-//gr } ();
is(unpack('H*', substr $bytes, 30, 16), 'f' x 32, 'a cursor does not tell the newest event of the account');
my @pages = listed($page);
for (my $next = $after; defined $next;)
{
	my $answer = ask_as('customer', "/usage-events?limit=2&after=$next");
	push @pages, listed($answer);
	$next = $answer->{json}{pagination}{after};
}
is(join(' ', sort split /  */, join ' ', @pages), join(' ', sort split /  */, $own), 'pages have the customer\'s events, each once');
my $of_full = ask_full('GET', '/usage-events?limit=2')->{pagination}{after};
is(ask_as('customer', "/usage-events?limit=2&after=$of_full")->{status}, 400, 'a cursor of a key that sees more is refused');

# A cursor that was made up: of a time before the corrections.
sub crc32c
{
	my $crc = 0xffffffff;
	foreach my $byte (unpack 'C*', $_[0])
	{
		$crc ^= $byte;
		$crc = $crc & 1 ? ($crc >> 1) ^ 0x82f63b78 : $crc >> 1 foreach 1 .. 8;
	}
	return pack 'N', $crc ^ 0xffffffff;
}
my $made_up = substr($bytes, 0, 14) . "\xff" x 16 . "\x00" x 16 . substr $bytes, 46, 8;
$made_up = encode_base64($made_up . crc32c($made_up), '') =~ tr{+/}{-_}r =~ s/=+$//r;
my $answer = ask_as('customer', "/usage-events?limit=50&after=$made_up");
is("$answer->{status} " . listed($answer), "200 $own", 'a cursor that was made up shows the customer\'s events as they are');

# Values.
my $value = sub { my ($kind, $metric_id, @query) = @_; return "/usage-metrics/$metric_id/calculate?" . query(@query, grep { @query < 6 } @month) };
sub value_of { my ($kind, $aliases) = @_; return ask_as($kind, "/usage-metrics/$metric/calculate?" . query(customerAliases => $aliases, @month), $metric => 1)->{json}{value} }
foreach my $kind (qw(customer portal))
{
	is(value_of($kind, $_->[0]), $_->[1], "$kind: the value of $_->[0]") foreach [ 'acme', 31 ], [ 'acme-1', 11 ], [ 'acme-2,globex-1,globex,stray', 10 ], [ 'acme,globex', 31 ],
	  [ 'globex', 0 ];
	same_answers("$kind: the value of another customer is that of one whom nobody knows", $kind,
		map { "/usage-metrics/$metric/calculate?" . query(customerAliases => $_, @month) } qw(globex globex-1 stray VOID nobody));
	is(ask_as($kind, "/usage-metrics/$metric/calculate?" . query(customerAliases => 'acme', @month, asOf => '2026-11-01T00:00:00Z'))->{status}, 403,
		"$kind: not as of a moment, when an alias may have been another customer's");
	$node->safe_psql('postgres', 'SELECT usage_events.refresh_rollups()') foreach 1 .. 3;
	is(value_of($kind, 'acme'), 31, "$kind: the value from rollups");
}

# Filters and groups, which read properties: a key of some metrics sees no events, and so no properties of theirs.
my $broken_down = sub {
	my ($route, $aliases, @more) = @_;
	return "/usage-metrics/$metric/$route?" . query($aliases ne '' ? (customerAliases => $aliases) : (), @month, $route eq 'series' ? (step => 'month') : (), @more);
};
foreach my $route (qw(calculate series))
{
	my $answer = ask_as('customer', $broken_down->($route, 'acme', groupBy => 'note'))->{json};
	my $groups = $route eq 'series' ? $answer->{items}[0]{groupedValues} : $answer->{groupedValues};
	is(join(' ', map { "$_->{grouping}{note}: $_->{value}" } @$groups), 'secret of acme: 10 secret of acme-1: 11 secret of acme-2: 10',
		"$route: the customer's groups, and no others");
	foreach my $more ([ groupBy => 'note' ], [ filters => '%7B%22note%22:[%22secret%20of%20acme-1%22]%7D' ])
	{
		same_answers("$route: another customer's are those of one whom nobody knows, by $more->[0]", 'customer',
			map { $broken_down->($route, $_, @$more) } qw(globex globex-1 stray VOID nobody));
		is(ask($_, 'GET', $broken_down->($route, 'acme', @$more))->{status}, 403, "$route: not for the key $_, by $more->[0]") foreach qw(metric portal);
		is(ask('read', 'GET', $broken_down->($route, 'acme', @$more))->{status}, 200, "$route: for a key that reads events, by $more->[0]");
	}
}
is(ask('metric', 'GET', $broken_down->('by-customer', '', groupBy => 'note'))->{status}, 403, 'nor by customer');
is(ask('read', 'GET', $broken_down->('by-customer', '', groupBy => 'note'))->{status}, 200, 'but for a key that reads events');

# By step, and as CSV.
foreach my $kind (qw(customer portal))
{
	is(ask_as($kind, series($_->[0]))->{json}{items}[0]{value}, $_->[1], "$kind: the series of $_->[0]") foreach [ 'acme', 31 ], [ 'acme-1', 11 ],
	  [ 'acme-2,globex-1,globex,stray', 10 ], [ 'globex', 0 ];
	like(ask_as($kind, series('acme', format => 'csv'))->{body}, qr/,31,0\r\n$/, "$kind: a series as CSV");
	foreach my $form (qw(json csv))
	{
		same_answers("$kind: the series of another customer is that of one whom nobody knows, as $form", $kind,
			map { series($_, format => $form) } qw(globex globex-1 stray VOID nobody));
		is(ask_as($kind, series('acme', asOf => '2026-11-01T00:00:00Z', format => $form))->{json}{code}, 403, "$kind: nor as of a moment, as $form");
	}
}
$page = ask_as('customer', '/usage-events?limit=2&format=csv');
@pages = ($page->{body} =~ /^[-0-9a-f]{36},([^,]*),/mg);
while (defined(my $next = $page->{headers}{'usage-after'}))
{
	$page = ask_as('customer', "/usage-events?limit=2&format=csv&after=$next");
	push @pages, $page->{body} =~ /^[-0-9a-f]{36},([^,]*),/mg;
}
is(join(' ', sort @pages), $own, 'pages of CSV have the customer\'s events, each once');

# Aliases come and go: what counts is whose they are now.
ask_full('POST', '/customer-aliases', { customerId => 'acme', value => 'stray' });
@others = grep { $_ ne 'stray' && $_ ne $event{stray} } @others;
is(value_of('portal', 'acme'), 41, 'an alias that is mapped to the customer later');
is(listed(ask_as('customer', '/usage-events?customerAlias=stray')), 'of stray', 'and its events');
ask_full('DELETE', "/customer-aliases/$alias_id{'acme-2'}");
is(value_of('portal', $_->[0]), $_->[1], "an alias that was deleted: $_->[0]") foreach [ 'acme', 31 ], [ 'acme-2', 0 ];
ask_full('POST', '/customer-aliases', { customerId => 'globex', value => 'acme-2' });
is(value_of('portal', 'acme-2'), 0, 'and given to another');
is(ask_as('customer', "/usage-events/$event{'acme-2'}")->{status}, 404, 'with its events');
ask_full('POST', '/customer-aliases', { customerId => 'globex', value => 'acme' });
is(value_of('portal', 'acme'), 21, 'the customer\'s id may come to be an alias of another: what has it is his');
is(ask_as('customer', "/usage-events/$event{acme}")->{status}, 404, 'and no event of it is seen');
is(listed(ask_as('customer', '/usage-events?limit=100')), 'comes to acme of acme-1 of stray', 'in lists neither');

# Some metrics ---------------------------------------------------------------

is(join(' ', map { $_->{id} } @{ ask('metric', 'GET', '/usage-metrics')->{json}{items} }), $metric, 'a list has the metrics of the key');
is(ask('metric', 'GET', '/usage-metrics')->{json}{pagination}{totalResultSize}, 1, 'and counts no other');
is(ask('metric', 'GET', "/usage-metrics?id=$other_metric")->{json}{pagination}{totalResultSize}, 0, 'whatever is looked for');
foreach my $kind (qw(metric portal))
{
	my @answers = map { my $answer = ask($kind, 'GET', "/usage-metrics/$_/calculate?" . query(customerAliases => 'acme', @month)); "$answer->{status} $answer->{body}" } $other_metric, $no_id;
	like($answers[0], qr/^404/, "$kind: a metric that is not the key's is not found");
	is($answers[1], $answers[0], "$kind: as one that is not there");
}
is(ask('metric', 'GET', "/usage-metrics/$other_metric")->{status}, 404, 'nor is its definition');
foreach my $question ('by-customer?' . query(@month), 'changes?' . query(customerAliases => 'acme', @month, since => '2026-10-01T00:00:00Z'),
	'series?' . query(customerAliases => 'acme', @month, step => 'day'))
{
	my @answers = map { my $answer = ask('metric', 'GET', "/usage-metrics/$_/$question"); "$answer->{status} $answer->{body}" } $other_metric, $no_id;
	like($answers[0], qr/^404/, "nor what it says: $question");
	is($answers[1], $answers[0], 'as of one that is not there');
}

# Portal tokens --------------------------------------------------------------

# Whoever has a token, as the page sends it.
sub ask_with
{
	my ($token, $target) = @_;
	my $answer = $api->request('GET', $target, [ Authorization => "Basic $token->{token}" ], '');
	$answer->{json} = eval { $json->decode($answer->{body}) };
	return $answer;
}

sub make_token
{
	my (%of) = @_;
	return ask_full('POST', '/portal-tokens', \%of);
}

my $token = make_token(customer => 'acme', usageMetricIds => [$metric], expiresIn => 600);
unlike($token->{token}, qr/[^A-Za-z0-9_-]/, 'a token is of letters that a fragment may have');
is($token->{token}, encode_base64("$token->{clientId}:$token->{clientSecret}", '') =~ tr{+/}{-_}r =~ s/=+$//r, 'and is the credentials');
$key{token} = "$token->{clientId}:$token->{clientSecret}";
is(value_of('token', 'acme'), 21, 'it sees the customer');
same_answers('as the key of the same scope does, and no other', 'token', map { "/usage-metrics/$metric/calculate?" . query(customerAliases => $_, @month) } qw(globex stranger nobody));
is(ask_with($token, "/usage-metrics/$other_metric/calculate?" . query(customerAliases => 'acme', @month))->{status}, 404, 'nor another metric');
my @refused = grep { my $answer = ask('token', (split / /)[0], $operations{$_}[0], $operations{$_}[1]); $answer->{status} != ($operations{$_}[7] // 0) } sort keys %operations;
is("@refused", '', 'in each operation it may do what such a key may');
my $of_all = make_token(customer => 'acme');
is(listed(ask_with($of_all, '/usage-events?limit=100')), listed(ask_as('customer', '/usage-events?limit=100')), 'one of all metrics sees the events');
is($node->safe_psql('postgres', "SELECT count(*) FROM usage_events.portal_token AS t WHERE strpos(t::text, '$token->{clientSecret}') > 0
	OR secret_hash = sha256(convert_to('$token->{clientSecret}', 'UTF8')) AND id <> '$token->{id}'"), 0, 'the secret is not stored');

my @tokens = @{ ask_full('GET', '/portal-tokens?customer=acme&limit=2')->{items} };
is(join(' ', map { $_->{id} } @tokens), "$of_all->{id} $token->{id}", 'a list has those of a customer, the newest first');
is(join(' ', grep { /secret|token|client/i } map { keys %$_ } @tokens), '', 'and no secrets');
my $ended = ask_full('DELETE', "/portal-tokens/$token->{id}");
is(ask_with($token, '/')->{status}, 401, 'one that was ended is refused');
is(ask('full', 'DELETE', "/portal-tokens/$_")->{status}, 404, 'and not there to be ended') foreach $token->{id}, $no_id;
is(join(' ', map { $_->{id} } @{ ask_full('GET', '/portal-tokens?customer=acme&limit=1')->{items} }), $of_all->{id}, 'nor listed');
$node->safe_psql('postgres', "UPDATE usage_events.portal_token SET expires_at = now() WHERE id = '$of_all->{id}'");
is(ask_with($of_all, '/')->{json}{message}, 'API key has expired or was revoked', 'one whose time is over is refused');
my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM usage_events.portal_token');
my @later = map { make_token(customer => 'acme') } 1 .. 2;
is($node->safe_psql('postgres', 'SELECT count(*) FROM usage_events.portal_token'), $before, 'new ones take the rows of those that have ended');
is(ask_with($of_all, '/')->{json}{message}, 'client id or client secret is wrong', 'who are nobody then');
is(ask_with($_, '/')->{status}, 200, 'and the new ones are good') foreach @later;

foreach my $wrong ([ { }, '"customer" is missing.' ], [ [], 'The token must be a JSON object, not an array.' ], [ { customer => ' ' }, '"customer" must not be blank.' ],
	[ { customer => 5, usageMetricIds => [], expiresIn => 86401 },
		qq{"customer" must be a string, not a number.\n"usageMetricIds" must name 1 to 100 usage metrics, not 0.\n"expiresIn" must be an integer from 1 to 86400.} ],
	(map { [ { customer => 'acme', expiresIn => $_ }, '"expiresIn" must be an integer from 1 to 86400.' ] } 0, -1, 1.5, '60', 1e20, [60]),
	(map { [ { customer => 'acme', usageMetricIds => $_ }, '"usageMetricIds" must have UUIDs alone.' ] } ['x'], [ $metric, undef ], [ [$metric] ]),
	[ { customer => 'acme', usageMetricIds => [ ($metric) x 101 ] }, '"usageMetricIds" must name 1 to 100 usage metrics, not 101.' ],
	[ { customer => 'acme', usageMetricIds => $metric }, '"usageMetricIds" must be an array, not a string.' ])
{
	my $answer = ask('full', 'POST', '/portal-tokens', $wrong->[0]);
	is("$answer->{status} $answer->{json}{details}", "400 $wrong->[1]", 'a token that is none: ' . $json->encode($wrong->[0]) =~ s/(.{80}).*/$1.../r);
}
my $live = $node->safe_psql('postgres', qq{SELECT count(*) FROM usage_events.portal_token WHERE account_id = '$account'});
$node->safe_psql('postgres', "ALTER DATABASE postgres SET usage_events.max_portal_tokens = $live");
$api->connect;
my $too_many = ask('full', 'POST', '/portal-tokens', { customer => 'acme' });
is("$too_many->{status} $too_many->{json}{code}", '400 54000', 'an account has as many as the setting allows');
my $other_account = $node->safe_psql('postgres', q{SELECT usage_events.create_account('other')});
$key{other} = $node->safe_psql('postgres', "SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$other_account', 'test')");
is(ask('other', 'DELETE', "/portal-tokens/$later[0]{id}")->{status}, 404, 'another account has none of them');
is(ask('other', 'GET', '/portal-tokens')->{json}{pagination}{totalResultSize}, 0, 'and lists none');
is(ask_with({ token => encode_base64("$other_account.$later[0]{id}:$later[0]{clientSecret}", '') }, '/')->{status}, 401, 'nor is one good for another account');

# Keys -----------------------------------------------------------------------

my ($client_id) = $key{portal} =~ /(.*):/;
$key{rotated} = $node->safe_psql('postgres', "SELECT client_id || ':' || client_secret FROM usage_events.rotate_api_key('$client_id')");
is(ask('portal', 'GET', '/')->{status}, 401, 'a key that was rotated is no more');
is(ask('rotated', 'GET', '/usage-events')->{status}, 403, 'and the new one may do no more than it');
is(value_of('rotated', 'globex'), 0, 'sees no other customer');
is(ask('rotated', 'GET', "/usage-metrics/$other_metric/calculate?" . query(customerAliases => 'acme', @month))->{status}, 404, 'and no other metric');

# A key whose scope no version knows, as an administrator may write it, is good for nothing.
$node->safe_psql('postgres', "UPDATE usage_events.api_key SET access = 'everything' WHERE client_id = '@{[ $key{rotated} =~ s/:.*//r ]}'");
is(ask('rotated', 'GET', '/')->{status}, 401, 'an access that is none');
$node->safe_psql('postgres', "UPDATE usage_events.api_key SET access = 'full' WHERE client_id = '@{[ $key{rotated} =~ s/:.*//r ]}'");
is(ask('rotated', 'GET', '/usage-events')->{status}, 403, 'a full one of one customer');

# What a request reads -------------------------------------------------------

# How many rows of these tables a request reads: of this its time is made.  A scan of an index alone reads a row only where its page
# is not known to be visible to all, and 19 comes to know that while it reads: so there are none here.
sub rows_read
{
	my ($kind, $request, $tables) = @_;
	my $headers = $json->encode({ 'usage-request' => "GET $request", authorization => basic($key{$kind}) });
	return $node->safe_psql('postgres', qq{
		SET search_path = api, public;
		SET enable_indexonlyscan = off;
		BEGIN;
		SELECT set_config('request.headers', '$headers', true), set_config('request.path', '/rpc/usage_api_read', true);
		SELECT usage_events.authenticate_request();
		SELECT usage_api_read() IS NOT NULL;
		SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables WHERE schemaname = 'usage_events' AND $tables;
		COMMIT}) =~ s/.*\n//sr;
}

# Twice: a new metric waits for transactions that may not know of it, the first refresh's own among them.
sub refresh { $node->safe_psql('postgres', 'DO $$ BEGIN WHILE usage_events.refresh_rollups() > 0 LOOP NULL; END LOOP; END $$') foreach 1, 2; return }

# A batch with an event at each step of a time, of the customer that the expression says of its number n.
sub send_batch
{
	my ($to, $customer, $from, $till, $step) = @_;
	return $node->safe_psql('postgres', qq{SELECT jsonb_array_length(usage_events.create_events('$to', jsonb_agg(jsonb_build_object('customerAlias', $customer,
		'eventType', 'call', 'eventTimestamp', to_json(time), 'eventProperties', '{"amount": 1, "note": "secret of acme"}'::jsonb))))
		FROM generate_series(timestamptz $from, $till, interval '$step') WITH ORDINALITY AS t (time, n)});
}

sub common_marks { return $node->safe_psql('postgres', "SELECT count(*) FROM usage_events.dirty_bucket WHERE account_id = '$_[0]' AND customer_alias = '' AND event_type <> ''") }

# These are all that a key of one customer may ask.  The customer has events in a month that is over and until now, which are rolled up.
my ($yesterday, $tomorrow) = map { POSIX::strftime('%Y-%m-%d', gmtime(time + $_ * 86400)) } -1, 1;
my @of_now = (customerAliases => 'visitor', periodStart => $yesterday, periodEnd => $tomorrow);
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET usage_events.max_portal_tokens');
$api->connect;
ask_full('POST', '/customer-aliases', { customerId => 'visitor', value => 'visitor-1' });
my $seen = send_event('visitor-1', 'seen', 1);
my $visit = ask_full('POST', '/portal-tokens', { customer => 'visitor', usageMetricIds => [$metric] });
$key{visit} = "$visit->{clientId}:$visit->{clientSecret}";
$key{visitor} = make_key(q{, 'read', customer => 'visitor'});

# What the table of operations lets a key ask that has this place in it, asked of this customer.
sub doors
{
	my ($place) = @_;
	return map { $operations{$_}[0] =~ s/Aliases=acme/Aliases=visitor/r =~ s/$event{'acme-1'}/$seen/r } grep { $operations{$_}[$place] == 200 } sort keys %operations;
}

my %doors = (visitor => [ doors(5) ], visit => [ doors(7) ]);
is(scalar @{ $doors{visitor} }, 5, 'a key of one customer may ask at five doors');
push @$_, "/usage-metrics/$metric/calculate?" . query(@of_now), "/usage-metrics/$metric/series?" . query(@of_now, step => 'hour'),
  "/usage-metrics/$metric/series?" . query(customerAliases => 'visitor', @month, step => 'day') foreach values %doors;
send_batch($account, q{'visitor' || CASE WHEN n % 2 = 0 THEN '' ELSE '-1' END}, @$_)
  foreach [ q{'2026-10-01Z'}, q{'2026-10-30Z'}, '1 hour' ], [ q{'now' - interval '1 day'}, q{now() - interval '40 minutes'}, '3 minutes' ],
  [ q{'now' - interval '20 minutes'}, q{now() + interval '1 hour'}, '1 minute' ];
refresh();
$node->safe_psql('postgres', 'ANALYZE usage_events.event');

sub rows_of_doors { return join "\n", map { my $kind = $_; map { "$kind $_: " . rows_read($kind, $_, 'true') } @{ $doors{$kind} } } qw(visitor visit) }
sub rows_of_full { return map { rows_read('full', $_, 'true') } grep { /calculate/ } @{ $doors{visitor} } }

# Which rollups there are for a time until half an hour ago changes with the hour: it is done again if that was just then.
my ($hour, $rows, $rows_with_marks, $rows_after, @full, @full_with_marks, $marks);
sub hour { return int((time - 1800) / 3600) }
do
{
	$hour = hour();
	$rows = rows_of_doors();
	@full = rows_of_full();
	send_batch($account, q{'other ' || n % 50}, @$_)
	  foreach [ q{'2026-10-01Z'}, q{'2026-10-01T06:00Z'}, '15 seconds' ], [ q{'2026-10-30Z'}, q{'2026-10-30T06:00Z'}, '15 seconds' ],
	  [ q{'now' - interval '12 hours'}, q{now() - interval '1 hour'}, '10 seconds' ], [ q{'now' - interval '13 minutes'}, q{now() + interval '2 hours'}, '5 seconds' ];
	$rows_with_marks = rows_of_doors();
	@full_with_marks = rows_of_full();
	$marks = common_marks($account);
	refresh();
	$rows_after = rows_of_doors();
} while (hour() != $hour);
is($rows_with_marks, $rows, 'others\' batches change nothing of how much the key of one customer reads');
is($rows_after, $rows, 'nor does a refresh of what they sent');
cmp_ok($_, '<', 300, 'with a full key hundreds of events are rolled up') foreach @full;
cmp_ok($full_with_marks[1], '>', $full[1] + 50, 'and others\' batches change how much it reads');
cmp_ok($marks, '>', 50, 'by minutes of late that are marked for all');

# The first such key of an account: what was marked for all before there was one is answered right, and read once more.
my $fresh = $node->safe_psql('postgres', q{SELECT usage_events.create_account('fresh')});
$key{fresh_full} = $node->safe_psql('postgres', "SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$fresh', 'test')");
my $fresh_metric = ask('fresh_full', 'POST', '/usage-metrics', { name => 'calls', metricType => 'SIMPLE', eventType => 'call', aggregationType => 'COUNT' })->{json}{id};
refresh();
send_batch($fresh, q{'acme'}, q{'2026-10-01Z'}, q{'2026-10-30Z'}, '1 hour');
refresh();
send_batch($fresh, q{CASE n % 8 WHEN 0 THEN 'acme' ELSE 'other ' || n % 8 END}, q{'2026-10-20Z'}, q{'2026-10-20T00:59:59Z'}, '2 seconds');
my $october = "/usage-metrics/$fresh_metric/calculate?" . query(customerAliases => 'acme', @month);
my $october_count = $node->safe_psql('postgres', qq{SELECT count(*) FROM usage_events.event WHERE account_id = '$fresh' AND customer_alias = 'acme'});
cmp_ok(common_marks($fresh), '>', 50, 'an account without such keys has minutes marked for all, however long ago');
$key{fresh} = $node->safe_psql('postgres', "SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$fresh', 'test', 'read', 'acme')");
is(ask('fresh', 'GET', $october)->{json}{eventCount}, $october_count, 'what comes of such marks is right');
refresh();
is(ask('fresh', 'GET', $october)->{json}{eventCount}, $october_count, 'and after a refresh');
my $fresh_rows = rows_read('fresh', $october, 'true');
cmp_ok($fresh_rows, '<', 100, 'from rollups');
send_batch($fresh, q{'other ' || n % 8}, q{'2026-10-20Z'}, q{'2026-10-20T00:59:59Z'}, '2 seconds');
is(rows_read('fresh', $october, 'true'), $fresh_rows, 'now others\' batches change nothing here either');

# A cursor whose total was taken away, after others' events that came later: they are not passed by.
$node->safe_psql('postgres', qq{SELECT usage_events.ingest_events('$account', jsonb_agg(jsonb_build_object('customerAlias', 'globex', 'eventType', 'crowd')))
	FROM generate_series(1, 5000); ANALYZE usage_events.event});
my $in_order = '/usage-events?limit=50&sortOrder=asc';
my $first = decode_base64(ask_as('customer', $in_order =~ s/50/1/r)->{json}{pagination}{after} =~ tr{-_}{+/}r);
my $endless = substr($first, 0, 46) . "\xff" x 8;
$endless = encode_base64($endless . crc32c($endless), '') =~ tr{+/}{-_}r =~ s/=+$//r;
is(ask_as('customer', "$in_order&after=$endless")->{status}, 200, 'a cursor without a total is taken');

# How many events of the table a request of the customer looks at.
sub looked_at { return rows_read('customer', $_[0], q{relid = 'usage_events.event'::regclass}) }

cmp_ok(looked_at("$in_order&after=$endless"), '<', 1000, 'and others\' events are not looked through for it');

# Nor where the customer has thousands, which are each counted and read; others have as many that are newer.
$node->safe_psql('postgres', qq{SELECT usage_events.ingest_events('$account', jsonb_agg(jsonb_build_object('customerAlias', alias, 'eventType', 'crowd')))
	FROM (SELECT alias FROM unnest(ARRAY['acme-1', 'globex']) AS alias, generate_series(1, 5000) ORDER BY alias) AS event});
my $newest = '/usage-events?limit=50&sortOrder=desc';
cmp_ok(ask_as('customer', $newest)->{json}{pagination}{totalResultSize}, '>=', 5000, 'a customer has thousands of events');
cmp_ok(looked_at($newest), '<', 11000, 'and others\' are not looked through either');

# Nor where they are more than are counted; and those that are too many are so in both orders, wherever others' events lie.
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET usage_events.list_total_limit = 100');
cmp_ok(looked_at($newest), '<', 11000, 'nor of one with more than are counted');
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET usage_events.list_lookup_limit = 200');
$api->connect;
is(ask_as('customer', $_)->{json}{message}, 'too many events to look for those of the list', "too many: $_") foreach $newest, $in_order;

done_testing();
