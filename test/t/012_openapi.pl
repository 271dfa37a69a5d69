# 012_openapi.pl: usage_events.openapi() describes what the server does
#
# The document is held against live answers, both ways.  Every answer agrees with
# the schema for its path and status, and has nothing that is not described.  What
# the schemas of bodies and parameters say of a value, taken or not, the server
# says, too.  Paths that the document lacks are not found.
use strict;
use warnings FATAL => 'all';
use feature 'state';

use FindBin;
use lib "$FindBin::RealBin/..";

use Encode ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use OpenApi;
use PostgREST;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

# The validator -------------------------------------------------------------

# A value that breaks a schema is told from one that agrees; what the validator does not know, it does not pass over.
{
	my $all = { openapi => '3.0.3', info => { title => 't', version => '1' }, paths => {} };
	my $empty = OpenApi->new(JSON::PP->new->encode($all));
	my %named = (
		text => { type => 'string', minLength => 2, maxLength => 3 },
		moment => { type => 'string', format => 'date-time', nullable => JSON::PP::true },
		id => { type => 'string', format => 'uuid' },
		count => { type => 'integer', format => 'int64', minimum => 1 },
		choice => { type => 'string', enum => [qw(a b)] },
		list => { type => 'array', minItems => 1, items => { type => 'boolean' } },
		set => { type => 'array', uniqueItems => JSON::PP::true, items => { type => 'string' } },
		either => { oneOf => [ { type => 'integer' }, { type => 'string' } ] },
		both => { oneOf => [ { type => 'integer' }, { type => 'number' } ] },
		object => { type => 'object', required => ['a'], properties => { a => { type => 'number' } } },
		numbers => { type => 'object', additionalProperties => { type => 'number' } });
	my @agree = (
		[ text => '"ab"', '"a\u00e9b"', '"\ud83d\ude00\ud83d\ude00"' ],
		[ moment => 'null', '"2024-02-29T23:59:60Z"', '"2024-07-30T12:00:00.123456+02:00"' ],
		[ id => '"01910382-f600-7b6c-9c53-2f0e6d1a8b47"' ],
		[ count => '1', '1.0', '9223372036854775807' ],
		[ choice => '"a"' ],
		[ list => '[true]', '[false, true]', '[true, true]' ],
		[ set => '[]', '["a", "b"]' ],
		[ either => '1', '"1"' ],
		[ both => '1.5' ],
		[ object => '{"a": 1}', '{"a": -1.5e3, "b": null}', '{"a": 123456789012345678901234567890}' ],
		[ numbers => '{}', '{"a": 1}' ]);
	my @disagree = (
		[ text => '"a"', '"abcd"', 'null', '12', 'true', '["ab"]', '{"ab": 1}' ],
		[ moment => '""', '"2023-02-29T00:00:00Z"', '"2024-07-30"', '"2024-07-30T12:00:00"', '"2024-07-30T24:00:00Z"', '"2024-07-30T12:00:00Z "' ],
		[ id => '"01910382f6007b6c9c532f0e6d1a8b47"', '"01910382-f600-7b6c-9c53-2f0e6d1a8b4g"', '5' ],
		[ count => '0', '1.5', '"1"', '9223372036854775808', 'true' ],
		[ choice => '"c"', '"A"', 'null' ],
		[ list => '[]', '[1]', '[true, null]', '{}' ],
		[ set => '["a", "b", "a"]' ],
		[ either => '1.5', 'null' ],
		[ both => '1', '"1"' ],
		[ object => '{}', '{"a": "1"}', '{"a": null}', '[]', '"a"' ],
		[ numbers => '{"a": "1"}' ]);
	my @wrong;
	foreach my $case (@agree, @disagree)
	{
		my ($name, @values) = @$case;
		my $expected = !grep { $_ == $case } @disagree;
		foreach my $value (@values)
		{
			my $found = !$empty->disagrees($named{$name}, OpenApi::decode($value));
			push @wrong, "$name: $value" if $found != $expected;
		}
	}
	is("@wrong", '', 'the validator tells values that agree from those that do not');
	is_deeply([ $empty->disagrees($named{object}, { a => 1, b => 2 }, closed => 1) ],
		['value has a property that is not described: b'], 'and in an answer finds what is not described');

	foreach my $schema ({ type => 'string', pattern => '^a' }, { type => 'string', minimum => 1 }, { type => 'text' },
		{ type => 'string', format => 'email' }, { anyOf => [] }, { type => 'array', items => { not => {} } })
	{
		my $text = JSON::PP->new->canonical->encode($schema);
		ok(!eval { $empty->disagrees($schema, $schema->{type} && $schema->{type} eq 'array' ? [1] : 'abc'); 1 }, "and dies of $text");
	}

	my $get = { operationId => 'g', responses => { 200 => { description => 'd' } } };
	my $used = { '$ref' => '#/components/schemas/s' };
	my $put = { %$get, requestBody => { content => { 'application/json' => { schema => $used } } } };
	my @unsound = (
		[ { info => { title => 't' } }, '/info has no version' ],
		[ { extra => 1 }, 'document has an unknown key: extra' ],
		[ { paths => { '/' => { get => $get, post => $get } } }, 'POST / has the id of another operation' ],
		[ { paths => { '/{id}' => { get => $get } } }, 'GET /{id} does not describe the parameters in its path' ],
		[ { paths => { '/' => { put => $put } } }, qr/reference to nothing/ ],
		[ { components => { schemas => { s => {} } } }, '/components/schemas/s is not used' ]);
	push @unsound, map { [ { paths => { '/' => { put => $put } }, components => { schemas => { s => $_->[0] } } }, $_->[1] ] } (
		[ { type => 'string', example => 5 }, '/components/schemas/s/example is no example: value is of type number, not string' ],
		[ { type => 'object', required => ['a'] }, '/components/schemas/s requires what it does not describe: a' ],
		[ { type => 'string', pattern => 'a' }, qr/has an unknown key: pattern/ ],
		[ { nullable => JSON::PP::true }, '/components/schemas/s is nullable without a type' ]);
	foreach my $case (@unsound)
	{
		my ($part, $expected) = @$case;
		my $found = join "\n", OpenApi->new(JSON::PP->new->encode({ %$all, %$part }))->faults;
		ref $expected ? like($found, $expected, "a fault is found: $expected") : is($found, $expected, "a fault is found: $expected");
	}
}

# The server ----------------------------------------------------------------

# Each request that succeeds makes an alert.
my $node = server("usage_events.max_usage_alerts = 10000\n");
make_http_api($node, 'postgres');

my $account = $node->safe_psql('postgres', q{SELECT usage_events.create_account('acme')});
my $credentials = $node->safe_psql('postgres', qq{
	SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$account', 'test')});
my %limited = map { my $access = $_; $access => $node->safe_psql('postgres', qq{
	SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$account', 'test', '$access')}) } qw(ingest read);
my @authorization = (Authorization => 'Basic ' . encode_base64($credentials, ''));

my $api = PostgREST->new(host => $node->host, port => $node->port, database => 'postgres', user => 'authenticator',
	administrator => $node->safe_psql('postgres', 'SELECT current_user'), schema => 'api', role => 'web');

my $text = $node->safe_psql('postgres', 'SELECT usage_events.openapi()');
my $document = OpenApi->new($text);
is(join("\n", $document->faults), '', 'the document is sound, and its examples agree with their schemas');
is(join("\n", $document->without_examples), '', 'each body that is sent or answered has an example, and each parameter that must be given');

my %operations = map { $_->{id} => $_ } $document->operations;
my $unknown_id = '01910382-f600-7b6c-9c53-2f0e6d1a8b47';
my %met;

# Percent-encodes text.
sub escape
{
	my ($text) = @_;
	utf8::encode($text);
	return $text =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger;
}

# Sends a request to an operation: {id, query, body, headers}, of which body is a value and query a list of names and
# texts.  Returns the status, the value that is answered, and where the answer is not as the document has it.
sub ask
{
	my ($operation, %request) = @_;
	my @query = @{ $request{query} // [] };
	my $target = ($request{before} // '') . $operation->{path} =~ s/\{(\w+)\}/$request{$1}/r . ($request{behind} // '');
	my $separator = '?';
	while (my ($name, $value) = splice @query, 0, 2)
	{
		$target .= $separator . escape($name) . '=' . escape($value);
		$separator = '&';
	}

	my $method = $request{method} // $operation->{method};
	my $answer = $api->request($method, $target, $request{headers} // \@authorization,
		exists $request{body} ? JSON::PP->new->utf8->allow_nonref->encode($request{body}) : '');
	my $status = $answer->{status};
	my $response = $operation->{responses}{$status};
	return ($status, undef, "status $status is not described") if !$response;
	$met{"$operation->{id} $status"} = 1;

	my @faults = @{ $answer->{faults} };
	my %headers = %{ $answer->{headers} };
	my $is_csv = $response->{csv} && $headers{'content-type'} =~ m{^text/csv;};
	push @faults, 'the answer is no JSON' if !$is_csv && $headers{'content-type'} !~ m{^application/json(;|$)};
	delete $headers{'content-type'};
	foreach my $name (sort keys %{ $response->{headers} })
	{
		my $value = delete $headers{ lc $name };
		next if !defined $value && $name =~ /^Usage-(After|Before)$/;    # of pages in CSV that have another
		push @faults, defined $value ? map { "$name: $_" } $document->disagrees($response->{headers}{$name}{schema}, $value)
			: "there is no $name";
	}
	push @faults, map { "header $_ is not described" } sort keys %headers;

	return ($status, undef, @faults) if $method eq 'HEAD';
	return ($status, Encode::decode_utf8($answer->{body}), @faults) if $is_csv;
	my $value = eval { OpenApi::decode($answer->{body}) };
	return ($status, undef, @faults, "the body is no JSON: $@") if $@;
	return ($status, $value, @faults, $document->disagrees($response->{schema}, $value, closed => 1));
}

# A request to an operation that must succeed, or there is nothing to go on with; returns what is answered.
sub succeed
{
	my ($id, %request) = @_;
	my ($status, $value, @faults) = ask($operations{$id}, %request);
	return $value if $status =~ /^2/ && !@faults;
	diag(join "\n", "$id: $status", @faults, JSON::PP->new->canonical->allow_nonref->encode($value));
	die "$id does not succeed as described";
}

my $count = 0;

sub new_event
{
	$count++;
	return { customerEventId => "event $count", customerAlias => 'acme', eventType => 'call',
		eventTimestamp => '2024-07-30T12:00:00Z', eventProperties => { number => $count } };
}

# The id of one that was refused, and waits.
sub new_rejected
{
	$count++;
	succeed('postUsageEventsBatch', body => [ { customerEventId => "rejected $count" } ]);
	return succeed('getRejectedUsageEvents', query => [ limit => 1 ])->{items}[0]{id};
}

sub new_alias
{
	$count++;
	return { customerId => "customer $count", value => "alias $count", label => "label $count" };
}

sub new_metric
{
	$count++;
	return { name => "metric $count", metricType => 'SIMPLE', eventType => 'call', aggregationType => 'COUNT', unit => 'calls',
		propertyFilters => { x => [ 'y', 5, JSON::PP::true, undef ] } };
}

sub new_token
{
	return { customer => 'acme', usageMetricIds => [$unknown_id], expiresIn => 86400 };
}

# The metric of a purpose, a sum, of which any number may be used.
my %metrics;

sub metric_for
{
	my ($purpose) = @_;
	$metrics{$purpose} //= succeed('postUsageMetrics', body => { %{ new_metric() }, aggregationType => 'SUM', aggregationProperty => 'length' })->{id};
	return $metrics{$purpose};
}

sub new_limit
{
	my ($purpose) = @_;
	$count++;
	return { name => "limit $count", usageMetricId => metric_for($purpose // 'limits'), period => 'MONTH', limit => 1000, mode => 'REPORT' };
}

# All of one metric: what an alert is about cannot be changed.
sub new_alert
{
	return { name => 'alert', usageMetricId => metric_for('limits'), period => 'MONTH', thresholds => [ 100, 200 ], direction => 'ABOVE' };
}

my @calculation = (customerAliases => 'acme', periodStart => '2024-07-01', periodEnd => '2024-07-31');

# For each operation, a request that succeeds; a new one each time it is asked for.
my %good = (
	getOpenApi => sub { () },
	postUsageEvents => sub { (body => new_event()) },
	getUsageEvents => sub { () },
	postUsageEventsBatch => sub { (body => [ new_event(), new_event() ]) },
	getUsageEventsById => sub { (id => succeed('postUsageEvents', body => new_event())->{id}) },
	getUsageEventsByIdHistory => sub { (id => succeed('postUsageEvents', body => new_event())->{id}) },
	getCustomerAliases => sub { () },
	postCustomerAliases => sub { (body => new_alias()) },
	putCustomerAliasesById => sub { (id => succeed('postCustomerAliases', body => new_alias())->{id}, body => { label => 'new' }) },
	deleteCustomerAliasesById => sub { (id => succeed('postCustomerAliases', body => new_alias())->{id}) },
	getUsageMetrics => sub { () },
	postUsageMetrics => sub { (body => new_metric()) },
	getUsageMetricsById => sub { (id => succeed('postUsageMetrics', body => new_metric())->{id}) },
	putUsageMetricsById => sub { (id => succeed('postUsageMetrics', body => new_metric())->{id}, body => new_metric()) },
	deleteUsageMetricsById => sub { (id => succeed('postUsageMetrics', body => new_metric())->{id}) },
	getUsageMetricsByIdCalculate => sub { (id => succeed('postUsageMetrics', body => new_metric())->{id}, query => [@calculation]) },
	getUsageAlerts => sub { () },
	postUsageAlerts => sub { (body => new_alert()) },
	getUsageAlertsById => sub { (id => succeed('postUsageAlerts', body => new_alert())->{id}) },
	putUsageAlertsById => sub { (id => succeed('postUsageAlerts', body => new_alert())->{id}, body => new_alert()) },
	deleteUsageAlertsById => sub { (id => succeed('postUsageAlerts', body => new_alert())->{id}) },
	getUsageAlertEvents => sub { () },
	getUsageLimits => sub { () },
	postUsageLimits => sub { (body => new_limit()) },
	getUsageLimitsCheck => sub { (query => [ customer => 'acme', usageMetricId => metric_for('checks') ]) },
	getUsageLimitsById => sub { (id => succeed('postUsageLimits', body => new_limit())->{id}) },
	putUsageLimitsById => sub { (id => succeed('postUsageLimits', body => new_limit())->{id}, body => new_limit()) },
	deleteUsageLimitsById => sub { (id => succeed('postUsageLimits', body => new_limit())->{id}) },
	getPortalTokens => sub { () },
	postPortalTokens => sub { (body => new_token()) },
	deletePortalTokensById => sub { (id => succeed('postPortalTokens', body => new_token())->{id}) },
	getRejectedUsageEvents => sub { () },
	postRejectedUsageEventsRetry => sub { (body => { ids => [ new_rejected() ] }) },
	deleteRejectedUsageEventsById => sub { (id => new_rejected()) },
	getUsageEventTypes => sub { () },
	getUsageEventTypesByEventTypeProperties => sub { (eventType => 'call') },
	getCustomers => sub { () },
	getStatus => sub { () },
	getUsageMetricsByIdSeries => sub { (id => succeed('postUsageMetrics', body => new_metric())->{id}, query => [ @calculation, step => 'week' ]) },
	getUsageMetricsByIdByCustomer => sub { (id => succeed('postUsageMetrics', body => new_metric())->{id}, query => [ @calculation[ 2 .. 5 ] ]) },
	getUsageMetricsByIdChanges => sub { (id => succeed('postUsageMetrics', body => new_metric())->{id}, query => [ @calculation, since => '2024-07-30T12:00:00Z' ]) },
	getUsageMetricsByIdVersions => sub {
		state $id = succeed('postUsageMetrics', body => new_metric())->{id};
		return (id => $id);
	},
	getUsageEventsByIdExplain => sub {
		(id => succeed('postUsageEvents', body => new_event())->{id}, query => [ usageMetricId => succeed('postUsageMetrics', body => new_metric())->{id} ])
	});
is_deeply([ sort keys %good ], [ sort keys %operations ], 'the operations of the document are those of this test');

# Every operation -----------------------------------------------------------

# The answer to a request, in a line: its status, and where it is not as described.
sub outcome
{
	my ($status, undef, @faults) = ask(@_);
	return join '; ', $status, @faults;
}

foreach my $id (sort keys %operations)
{
	my $operation = $operations{$id};
	my ($success) = grep { /^2/ } keys %{ $operation->{responses} };
	my $refuses_others = grep { $_->{in} eq 'query' } @{ $operation->{parameters} };

	my %request = $good{$id}->();
	is(outcome($operation, %request), $success, "$id succeeds as described");
	is_deeply([ $operation->{body} ? $document->disagrees($operation->{body}, $request{body}, closed => 1) : () ],
		[ exists $request{body} && !$operation->{body} ? 'no body is described' : () ], "$id has a body as described");
	is(outcome($operation, $good{$id}->(), before => '/api'), $success, "$id with /api before the path");
	is(outcome($operation, $good{$id}->(), behind => '/'), $success, "$id with a slash after the path");
	is(outcome($operation, $good{$id}->(), method => 'HEAD'), $success, "$id as HEAD") if $operation->{method} eq 'GET';
	is(outcome($operation, $good{$id}->(), query => [ @{ $request{query} // [] }, limits => 0 ]), $refuses_others ? 400 : $success,
		"$id with an unknown parameter");
	is(outcome($operation, $good{$id}->(), id => $unknown_id), 404, "$id with an unknown id") if $operation->{path} =~ /\{id\}/;
	is(outcome($operation, $good{$id}->(), headers => []), 401, "$id without credentials");
	my $other = $limited{ $operation->{method} eq 'GET' ? 'ingest' : 'read' };
	is(outcome($operation, $good{$id}->(), headers => [ Authorization => 'Basic ' . encode_base64($other, '') ]), $id eq 'getOpenApi' ? 200 : 403,
		"$id with a key that it is not for");
	is(outcome($operation, $good{$id}->(), headers => [ @authorization, 'Content-Encoding' => 'gzip' ]), $operation->{body} ? 415 : $success,
		"$id said to be compressed") if $operation->{method} =~ /^(GET|POST|PUT)$/;
}

# Answers of every shape: what is retried, superseded, refused, mapped, deleted, empty, on many pages.
{
	my $event = new_event();
	my $first = succeed('postUsageEvents', body => $event);
	my $again = succeed('postUsageEvents', body => $event);
	my $second = succeed('postUsageEvents', body => { %$event, customerAlias => 'VOID' });
	is($again->{id}, $first->{id}, 'a retry is answered as described');
	is(outcome($operations{getUsageEventsById}, id => $first->{id}), 404, 'and so is the id of a version that was superseded');
	is_deeply([ map { $_->{supersededBy} } @{ succeed('getUsageEventsByIdHistory', id => $first->{id})->{items} } ],
		[ $second->{id}, undef ], 'and its history');

	my $result = succeed('postUsageEventsBatch',
		body => [ new_event(), $event, $event, {}, 5, { customerAlias => 5, eventType => ' ' } ]);
	is(join(' ', map { $_->{outcome} } @{ $result->{outcomes} }), 'created superseded unchanged refused refused refused',
		'and every outcome of a batch');
	is_deeply(succeed('postUsageEventsBatch', body => [])->{outcomes}, [], 'and an empty batch');

	my $alias = succeed('postCustomerAliases', body => { customerId => 'customer', value => 'acme' });
	is($alias->{label}, undef, 'and an alias without a label');
	my $deleted = succeed('deleteCustomerAliasesById', id => $alias->{id});
	isnt($deleted->{deletedAt}, undef, 'and one that is deleted');

	my $grouped = succeed('postUsageMetrics', body => { %{ new_metric() }, metricType => 'GROUPED', groupingProperty => 'region',
		aggregationType => 'MAX', aggregationProperty => 'length', propertiesToNegate => ['x'], caseSensitive => JSON::PP::false });
	is($grouped->{groupingProperty}, 'region', 'and a metric with all that it can have');
	my $percentile = succeed('postUsageMetrics', body => { %{ new_metric() }, aggregationType => 'PERCENTILE', aggregationProperty => 'length', percentile => 0.95 });
	is($percentile->{percentile}, 0.95, 'and a percentile');
	is(succeed('getUsageMetricsByIdCalculate', id => $percentile->{id}, query => [@calculation])->{aggregationType}, 'PERCENTILE', 'and its value');
	is(ref succeed('getUsageMetricsByIdCalculate', id => $grouped->{id}, query => [@calculation])->{groupedValues}, 'ARRAY',
		'and its value');
	foreach my $id (qw(getUsageMetricsByIdCalculate getUsageMetricsByIdSeries getUsageMetricsByIdByCustomer))
	{
		my %request = $good{$id}->();
		my $answer = succeed($id, %request, query => [ @{ $request{query} }, filters => '{"number": [1, "2", null, true]}', groupBy => 'number,region' ]);
		is_deeply([ @$answer{qw(groupBy filters)} ], [ [ 'number,region' ], { number => [ 1, '2', undef, JSON::PP::true ] } ], "and with filters and groups: $id");
	}
	isnt(succeed('deleteUsageMetricsById', id => $grouped->{id})->{deletedAt}, undef, 'and one that is deleted');
	is(succeed('getUsageMetricsById', id => $grouped->{id})->{name}, $grouped->{name}, 'and still read');
	is(outcome($operations{putUsageMetricsById}, id => $grouped->{id}, body => new_metric()), 404, 'but not replaced');
	is(outcome($operations{deleteUsageMetricsById}, id => $grouped->{id}), 404, 'nor deleted again');

	is(succeed('postPortalTokens', body => { customer => 'acme' })->{usageMetricIds}, undef, 'and a token of all metrics');

	my $limit = succeed('postUsageLimits', body => { %{ new_limit('a check') }, customer => 'acme', timezone => 'Asia/Tokyo', anchor => '2024-07-31T00:00:00+09:00' });
	is($limit->{anchor}, '2024-07-30T15:00:00Z', 'and a limit with all that it can have');
	my @of_limit = (query => [ customer => 'acme', usageMetricId => $limit->{usageMetricId} ]);
	is(succeed('getUsageLimitsCheck', @of_limit)->{limits}[0]{used}, 0, 'and what is used of it');
	succeed('putUsageLimitsById', id => $limit->{id}, body => { %$limit, period => 'ALL_TIME', anchor => undef });
	is(succeed('getUsageLimitsCheck', @of_limit)->{limits}[0]{periodEnd}, undef, 'and of all time');
	isnt(succeed('deleteUsageLimitsById', id => $limit->{id})->{deletedAt}, undef, 'and one that is deleted');
	is_deeply(succeed('getUsageLimitsCheck', @of_limit)->{limits}, [], 'and no limit');

	foreach my $id (qw(getUsageEvents getCustomerAliases getUsageMetrics getUsageLimits getPortalTokens getRejectedUsageEvents))
	{
		new_rejected() if $id =~ /Rejected/;
		my $page = succeed($id, query => [ limit => 2 ]);
		my $next = succeed($id, query => [ limit => 2, after => $page->{pagination}{after} ]);
		my $back = succeed($id, query => [ limit => 2, before => $next->{pagination}{before} ]);
		is_deeply($back->{items}, $page->{items}, "and pages of $id, forward and back");
		my %nothing = (getUsageEvents => 'eventType', getCustomerAliases => 'value', getUsageMetrics => 'name', getUsageLimits => 'name', getPortalTokens => 'customer');
		is_deeply(succeed($id, query => [ $nothing{$id}, 'nothing' ])->{items}, [], 'and an empty one') if $nothing{$id};
	}
}

# Lists as CSV --------------------------------------------------------------

# What the JSON of a list has of it stands in its CSV as well, in the columns that the document shows.
foreach my $id (sort grep { my $answer = $operations{$_}{responses}{200}; $answer && $answer->{csv} } keys %operations)
{
	my %request = $good{$id}->();
	my ($example) = map { $_->[2] } grep { $_->[0] eq "/paths/$operations{$id}{path}/get/responses/200/content/text/csv/example" } $document->samples;
	my ($json, $csv) = map { succeed($id, %request, query => [ @{ $request{query} // [] }, format => $_ ]) } qw(json csv);
	my @lines = $csv =~ /\G((?:"(?:[^"]|"")*"|[^"\r\n]+)*)\r\n/g;
	is($lines[0], ($example =~ /^(.*)\r\n/)[0], "$id has columns as CSV: " . @lines);
	is(scalar @lines, 1 + @{ $json->{items} }, 'and a line for each item');
	is(outcome($operations{$id}, %request, query => [ @{ $request{query} // [] }, format => 'xml' ]), 400, 'and no other form');
}

# Values of parameters and bodies -------------------------------------------

# Those with rules that a schema cannot tell: only what their type forbids is tried.
my %has_more_rules = map { $_ => 1 } qw(after before eventTimestampBefore eventTimestampAfter eventTimestamp
	periodStart periodEnd asOf since customParameters filters groupingProperty usageMetricId timezone anchor at customer);

# Texts for a parameter, good and bad.
sub texts_for
{
	my ($name, $schema) = @_;
	my $type = $schema->{type};
	return texts_for($name, $schema->{items}) if $type eq 'array';
	return ('true', 'false', 'TRUE', '1', 'yes', '') if $type eq 'boolean';
	return ((map { ($_ - 1, $_, $_ + 1) } grep { defined } @$schema{qw(minimum maximum)}),
		'x', '', '1.5', '1e1', ' 1', '1 ', '0x1', '9223372036854775808') if $type eq 'integer';
	return ('0', '1.5', '-2', '1e3', 'x', '', ' 1', '0x1', 'NaN', 'Infinity') if $type eq 'number';
	return (@{ $schema->{enum} }, 'x', '', ' ') if $schema->{enum};
	return () if $has_more_rules{$name};
	return ($unknown_id, uc $unknown_id, "{$unknown_id}", $unknown_id =~ s/-//gr, 'x', '%', ' ', "$unknown_id ") if ($schema->{format} // '') eq 'uuid';
	return ('x', 'a b&c=d', "\x{e9}\x{1f600}", '%41', '+', 'x' x 300);
}

# What a text stands for in a parameter of that schema.
sub value_of_text
{
	my ($text, $schema) = @_;
	my $type = $schema->{type};
	return [ value_of_text($text, $schema->{items}) ] if $type eq 'array';
	return 0 + $text if $type eq 'integer' && $text =~ /^-?[0-9]+$/ || $type eq 'number' && $text =~ /^-?[0-9]+(\.[0-9]+)?(e[0-9]+)?$/;
	return $text eq 'true' ? JSON::PP::true : JSON::PP::false if $type eq 'boolean' && $text =~ /^(true|false)$/;
	return $text;
}

# The query of a request, with a parameter in place of its own.
sub with_parameter
{
	my ($name, $texts, %request) = @_;
	my %query = @{ $request{query} // [] };
	delete $query{$name};
	return [ %query, map { ($name => $_) } @$texts ];
}

foreach my $id (sort keys %operations)
{
	my $operation = $operations{$id};
	my @wrong;
	my $tried = 0;

	foreach my $parameter (@{ $operation->{parameters} })
	{
		my ($name, $in, $schema) = @$parameter{qw(name in schema)};
		my @texts = texts_for($name, $schema);
		foreach my $text (@texts)
		{
			my %request = $good{$id}->();
			$request{$name} = escape($text) if $in eq 'path';
			$request{query} = with_parameter($name, [$text], %request) if $in eq 'query';
			$request{headers} = [ @authorization, $name => $text ] if $in eq 'header';

			# A header without a value is as good as none; an id that may be, is not known.
			my $is_id = $in eq 'path' && ($schema->{format} // '') eq 'uuid';
			my $agrees = !$document->disagrees($schema, value_of_text($text, $schema)) || $in eq 'header' && $text =~ /^ *$/;
			my $expected = !$agrees ? 400 : $is_id ? 404 : (grep { /^2/ } keys %{ $operation->{responses} })[0];
			my $found = outcome($operation, %request);
			push @wrong, "$name '$text' is $found, not $expected" if $found ne $expected;
			$tried++;

			# A refusal names what is taken.
			next if $agrees || !$schema->{enum};
			my (undef, $error) = ask($operation, %request);
			my %named = map { $_ => 1 } $error->{details} =~ /"(.*?)"/g;
			delete $named{$name};
			push @wrong, "$name may have other values: $error->{details}" if "@{[ sort keys %named ]}" ne "@{[ sort @{ $schema->{enum} } ]}";
		}

		next if $in ne 'query';
		my $twice = $schema->{type} eq 'array' && !$schema->{uniqueItems} ? 200 : 400;
		my $text = $has_more_rules{$name} ? '2024-07-30T12:00:00Z' : (grep { !$document->disagrees($schema, value_of_text($_, $schema)) } @texts)[0];
		my %request = $good{$id}->();
		my $found = outcome($operation, %request, query => with_parameter($name, [ $text, $text ], %request));
		push @wrong, "$name twice is $found, not $twice" if $found ne $twice;
		if (exists $schema->{default})
		{
			my $default_text = $schema->{type} eq 'boolean' ? ($schema->{default} ? 'true' : 'false') : $schema->{default};
			my ($default, $without) = map { my %asked = $good{$id}->(); succeed($id, %asked, query => with_parameter($name, $_, %asked)) } [$default_text], [];
			push @wrong, "$name has another default" if !OpenApi::same($default->{items}, $without->{items});
		}
	}
	is(join("\n", @wrong), '', "$id takes those values of its parameters that it describes, of $tried");
}

# Values for a property, good and bad.
sub values_for
{
	my ($name, $schema) = @_;
	my @values = (undef, 5, JSON::PP::true, [], ['x'], $schema->{type} eq 'object' ? () : {});
	return (@values, {}, { a => { b => [ 1, undef, 'c' ] } }, 'x') if $schema->{type} eq 'object';
	return @values if $has_more_rules{$name};

	# Texts that were not there before, of just these lengths in characters.
	my ($least, $most) = @$schema{qw(minLength maxLength)};
	my @lengths = grep { $_ >= 0 } map { ($_ - 1, $_, $_ + 1) } $least // 0, $most // 0;
	return (@values, map { $count++; substr $count . "\x{e9}" x $_, 0, $_ } @lengths);
}

# Bodies: the good one, and it with one thing changed.
sub bodies_for
{
	my ($schema, $good) = @_;
	$schema = $document->follow($schema);
	my @bodies = (undef, 5, 'x', JSON::PP::false, {}, { %{ $good->() }, another => 'field' });
	foreach my $name (sort keys %{ $schema->{properties} })
	{
		my %without = %{ $good->() };
		delete $without{$name};
		push @bodies, \%without, map { +{ %{ $good->() }, $name => $_ } } values_for($name, $schema->{properties}{$name});
	}
	return @bodies;
}

foreach my $id (sort grep { $operations{$_}{body} } keys %operations)
{
	my $operation = $operations{$id};
	my ($success) = grep { /^2/ } keys %{ $operation->{responses} };
	my $schema = $document->follow($operation->{body});
	my $is_batch = $schema->{type} eq 'array';
	my @wrong;

	my @bodies = $is_batch ? bodies_for($schema->{items}, \&new_event) : bodies_for($schema, sub { my %request = $good{$id}->(); $request{body} });
	my @outcomes;
	if ($is_batch)
	{
		# Each is an element, with an outcome of its own.
		my $result = succeed($id, body => \@bodies);
		@outcomes = map { $_->{outcome} eq 'refused' ? 400 : $success } @{ $result->{outcomes} };
		$schema = $document->follow($schema->{items});
		push @wrong, map { outcome($operation, body => $_) eq 400 ? () : 'is no array, and not refused' } {}, 'x', undef, 5;
	}
	else
	{
		@outcomes = map { outcome($operation, $good{$id}->(), body => $_) } @bodies;
		push @wrong, 'an array is not refused' if outcome($operation, $good{$id}->(), body => [ $bodies[0] ]) ne 400;
	}

	foreach my $n (0 .. $#bodies)
	{
		my @disagrees = $document->disagrees($schema, $bodies[$n]);
		my $expected = @disagrees ? 400 : $success;
		my $body = JSON::PP->new->utf8->canonical->allow_nonref->encode($bodies[$n]);
		push @wrong, "$outcomes[$n], not $expected: $body @disagrees" if $outcomes[$n] ne $expected;
	}
	is(join("\n", @wrong), '', "$id takes those bodies that it describes, of " . @bodies);

	# What the document shows works, from top to bottom.
	foreach my $sample (grep { $_->[0] =~ m{^/paths/\Q$operation->{path}\E/\L$operation->{method}\E/requestBody/} } $document->samples)
	{
		my ($where, undef, $value) = @$sample;
		# What is shown names a metric that is there.
		$value = { %$value, usageMetricId => metric_for('limits') } if ref $value eq 'HASH' && $value->{usageMetricId};
		is(outcome($operation, $good{$id}->(), body => $value), $success, "$id takes what it shows: " . $where =~ s{.*/}{}r);
	}
}

# The parameters that clients know, and what their descriptions say beyond their schemas.
my $list = $operations{getUsageEvents};
is(join(' ', sort map { $_->{name} } grep { $_->{in} eq 'query' } @{ $list->{parameters} }),
	'after before customerAlias eventId eventTimestampAfter eventTimestampBefore eventType format limit offset sortBy sortOrder unmappedAliasesOnly',
	'getUsageEvents has the parameters that clients know');
is(join(' ', sort map { $_->{name} } grep { $_->{in} eq 'query' } @{ $operations{getCustomerAliases}{parameters} }),
	'after before format limit value', 'getCustomerAliases has those that clients know');
is(join(' ', sort map { $_->{name} } grep { $_->{in} eq 'query' } @{ $operations{getUsageMetrics}{parameters} }),
	'after aggregationType before eventProperty eventType format id limit name', 'getUsageMetrics has those that clients know');
is(join(' ', sort map { ($_->{name}) x !!$_->{required} } grep { $_->{in} eq 'query' } @{ $operations{getUsageMetricsByIdCalculate}{parameters} }),
	'customerAliases periodEnd periodStart', 'getUsageMetricsByIdCalculate requires what clients send');
is(join(' ', sort map { $_->{name} } grep { $_->{in} eq 'query' } @{ $operations{getUsageLimits}{parameters} }),
	'after before customer format limit mode name period usageMetricId', 'getUsageLimits has those that clients know');
is(join(' ', sort map { ($_->{name}) x !!$_->{required} } grep { $_->{in} eq 'query' } @{ $operations{getUsageLimitsCheck}{parameters} }),
	'customer usageMetricId', 'getUsageLimitsCheck requires what clients send');
is(outcome($list, query => [ sortOrder => 'asc' ]), 200, 'sortOrder is taken in letters of any case');
is(outcome($list, query => [ eventTimestampBefore => '2024-07-30T14:00+02:00' ]), 200, 'a moment is written as in an event');
is(outcome($list, query => [ eventTimestampBefore => '2024-07-30' ]), 400, 'and not otherwise');

# Paths ---------------------------------------------------------------------

# Every method on every path, and on others that one might think of.
{
	my %methods;
	foreach my $operation (values %operations)
	{
		$methods{ $operation->{path} }{ $operation->{method} } = 1;
		$methods{ $operation->{path} }{HEAD} = 1 if $operation->{method} eq 'GET';
	}
	my @others = map { ("$_/x", s/-/_/r, s{^/(.)}{/\u$1}r, "/v1$_") } grep { $_ ne '/' } keys %methods;
	push @others, qw(/x /usage /usage-metric /custom-usage-metrics /usage-event-history /accounts /api-keys /openapi.json
		/rpc /rpc/usage_api_read /rpc/create_usage_event);

	my @found;
	foreach my $path (sort keys %methods, @others)
	{
		foreach my $method (qw(GET HEAD POST PUT PATCH DELETE OPTIONS X))
		{
			next if $methods{$path} && $methods{$path}{$method};

			# A word in the place of an id is an id that is none.
			my ($like) = $methods{$path} ? $path : grep { $path =~ ('^' . s/\{\w+\}/[^\/]+/r . '$') } keys %methods;
			my $expected = !$like ? 404 : $method eq 'OPTIONS' ? 200 : $methods{$like}{$method} ? 400 : 405;
			my $answer = $api->request($method, $path =~ s/\{\w+\}/$unknown_id/r, \@authorization, '{}');
			push @found, "$method $path: $answer->{status}, not $expected" if $answer->{status} ne $expected;
		}
	}
	is(join("\n", @found), '', 'what the document does not describe is not found');
}

# The contract of POST /usage-events ----------------------------------------

# As its clients know it.
{
	my $string = { type => 'string' };
	my $object = { type => 'object', additionalProperties => {} };
	my %fields = (customerEventId => $string, customerAlias => $string, eventType => $string, eventTimestamp => $string,
		eventProperties => $object);
	my $request = { type => 'object', required => [qw(customerAlias eventType)], properties => \%fields };
	my $response = { type => 'object',
		required => [qw(customerAlias customerEventId eventProperties eventTimestamp eventType id sequenceAccountId)],
		properties => { %fields, id => $string, sequenceAccountId => $string } };

	my $sample = { customerEventId => 'event-id-H4twuTWpYx1rkd8OMTki2hTUcZ', customerAlias => 'customer-id-2H4u5BBwBWsS5V2sroRFqJfTXpW',
		eventType => 'message-sent', eventTimestamp => '2022-10-01T00:00:00Z', eventProperties => { length => 500, type => 'text_message' } };
	my $answer = succeed('postUsageEvents', body => $sample);
	is_deeply([ $document->disagrees($response, $answer, closed => 1) ], [], 'an event is answered as clients know it');
	delete @$answer{qw(id sequenceAccountId)};
	is_deeply($answer, $sample, 'with what they sent');
	is_deeply([ $document->disagrees($response, succeed('postUsageEvents', body => { customerAlias => 'acme', eventType => 'call' }), closed => 1) ],
		[], 'and so is one of which little was sent');

	# Whatever is described there as a request, is here; whatever is answered here, is there.
	my $operation = $operations{postUsageEvents};
	my $our_request = $document->follow($operation->{body});
	my $our_response = $document->follow($operation->{responses}{201}{schema});
	is_deeply([ sort @{ $our_request->{required} } ], $request->{required}, 'no more is required of them');
	is_deeply([ sort @{ $our_response->{required} } ], $response->{required}, 'and no less is answered');
	foreach ([ $our_request, $request ], [ $our_response, $response ])
	{
		my ($ours, $theirs) = @$_;
		is_deeply({ map { $_ => $ours->{properties}{$_}{type} } keys %{ $ours->{properties} } },
			{ map { $_ => $theirs->{properties}{$_}{type} } keys %{ $theirs->{properties} } }, 'and of the same types');
	}
	is(join(' ', grep { !$operation->{responses}{$_} } qw(201 400 401 500)), '', 'and with their statuses');
}

# The document itself -------------------------------------------------------

is_deeply(succeed('getOpenApi'), OpenApi::decode($text), 'the document is what GET / answers');

# When the server fails -----------------------------------------------------

# With rights to nothing but the keys, each operation fails on its own; then not even a key can be looked up.
my %failing = map { $_ => [ $good{$_}->() ] } grep { $_ ne 'getOpenApi' } keys %good;
$node->safe_psql('postgres', q{
	REVOKE ALL ON ALL TABLES IN SCHEMA usage_events FROM web;
	GRANT SELECT ON usage_events.api_key, usage_events.account TO web});
is(outcome($operations{$_}, @{ $failing{$_} }), 500, "$_ fails as described") foreach sort keys %failing;
$node->safe_psql('postgres', 'REVOKE SELECT ON usage_events.api_key FROM web');
is(outcome($operations{getOpenApi}), 500, 'getOpenApi fails as described');

# What the proxy answers by itself, as its configuration has it.
{
	my $file = slurp_file('examples/postgrest/usage_events.conf');
	my %errors = $file =~ /^\s+(default|[0-9]{3}) '(\{.*\})';$/mg;
	ok($errors{413} && $errors{429}, 'the errors of the proxy are found');
	foreach my $status (sort keys %errors)
	{
		my $described = $operations{postUsageEvents}{responses}{ $status eq 'default' ? 400 : $status } // $operations{getUsageEventsById}{responses}{$status}
			// $operations{postUsageEvents}{responses}{400};    # of a method that is none of its path's, which no operation can have
		is_deeply([ $document->disagrees($described->{schema}, OpenApi::decode($errors{$status}), closed => 1) ], [],
			"the proxy's error is as described: $status");
	}
}

my @described = map { my $id = $_; map { "$id $_" } keys %{ $operations{$id}{responses} } } keys %operations;
is(join("\n", sort grep { !/ (413|429)$/ && !$met{$_} } @described), '', 'every status that is described was met');

done_testing();
