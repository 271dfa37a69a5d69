# HttpCases.pm: requests to the HTTP API, and what must come back
#
# One list for two transports: test/t/011_postgrest.pl replays what PostgREST would do (PostgREST.pm), test/http goes
# through nginx and PostgREST.  A transport has
#
#	$transport->request($method, $target, \@headers, $body, $via)	an answer: status, headers, body, faults
#	$transport->sql($sql)											as superuser; the texts of the first column
#	$transport->reload_role_settings								after ALTER ROLE ... SET
#	$transport->{kind}												replay or http
#
# via: "nginx" as clients do, or "postgrest" without nginx.  What every answer must be, whatever is asked, stands in
# faults_of_answer().
package HttpCases;

use strict;
use warnings FATAL => 'all';

use Encode qw(encode_utf8);
use Exporter 'import';
use JSON::PP;
use MIME::Base64;
use Test::More;
use Time::HiRes qw(sleep);

our @EXPORT = qw(run_cases keys_of_accounts);

my $json = JSON::PP->new->utf8->canonical->allow_nonref->max_depth(2_000_000);

my $transport;
my $schema;       # of the extension
my $web_role;     # as which PostgREST works
my %key;          # client id and secret by the name of the account, "id:secret"
my %account_id;

my $uuid = qr/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
my $instant = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
my $no_uuid = 'ffffffff-ffff-7fff-bfff-ffffffffffff';

# What a client tries to get into the head of an answer.
my $split = "x\r\nX-Injected: yes\r\n\r\ninjected";

# Checks ---------------------------------------------------------------------

# What differs from what is expected, or nothing.  Expected is a value, a hash of exactly these members, an array, a
# regular expression, or a sub that says what is wrong.
sub difference
{
	my ($got, $expected, $where) = @_;
	$where //= 'body';
	return $expected->($got, $where) if ref $expected eq 'CODE';
	if (ref $expected eq 'HASH')
	{
		return "$where is no object: " . shown($got) if ref $got ne 'HASH';
		my ($has, $should) = map { join ' ', sort keys %$_ } $got, $expected;
		return "$where has $has instead of $should" if $has ne $should;
		return join '; ', grep { $_ } map { difference($got->{$_}, $expected->{$_}, "$where.$_") } sort keys %$expected;
	}
	if (ref $expected eq 'ARRAY')
	{
		return "$where is no array of " . @$expected . ': ' . shown($got) if ref $got ne 'ARRAY' || @$got != @$expected;
		return join '; ', grep { $_ } map { difference($got->[$_], $expected->[$_], "$where\[$_]") } 0 .. $#$expected;
	}
	if (ref $expected eq 'Regexp')
	{
		return defined $got && !ref $got && $got =~ $expected ? '' : "$where is " . shown($got) . ", not like $expected";
	}
	return shown($got) eq shown($expected) ? '' : "$where is " . shown($got) . ', not ' . shown($expected);
}

sub shown
{
	my ($value) = @_;
	my $text = $json->encode($value);
	return length $text > 500 ? substr($text, 0, 500) . '...' : $text;
}

# At least these members.
sub has
{
	my (%expected) = @_;
	return sub {
		my ($got, $where) = @_;
		return "$where is no object: " . shown($got) if ref $got ne 'HASH';
		return join '; ', grep { $_ } map { difference($got->{$_}, $expected{$_}, "$where.$_") } sort keys %expected;
	};
}

# An event as it is answered.
sub event
{
	my (%expected) = @_;
	return {
		id => $uuid, customerEventId => qr/./, customerAlias => qr/./, eventType => qr/./, eventTimestamp => $instant,
		eventProperties => sub { ref $_[0] eq 'HASH' ? '' : 'no object' }, sequenceAccountId => $uuid, %expected };
}

sub alias
{
	my (%expected) = @_;
	return {
		id => $uuid, sequenceAccountId => $uuid, customerId => qr/./, value => qr/./, label => undef,
		createdAt => $instant, deletedAt => undef, archivedAt => undef, %expected };
}

sub metric
{
	my (%expected) = @_;
	return {
		id => $uuid, sequenceAccountId => $uuid, name => qr/./, description => undef, metricType => 'SIMPLE',
		eventType => qr/./, aggregationType => 'COUNT', aggregationProperty => undef, groupingProperty => undef, unit => undef,
		propertyFilters => {}, propertiesToNegate => undef, caseSensitive => JSON::PP::true, createdAt => $instant,
		deletedAt => undef, parameters => [], %expected };
}

sub version
{
	my ($metric, %expected) = @_;
	return { %$metric, versionId => $uuid, inForceSince => $instant, %expected };
}

sub alert
{
	my (%expected) = @_;
	return {
		id => $uuid, sequenceAccountId => $uuid, name => qr/./, usageMetricId => $uuid, customer => undef, period => 'MONTH', timezone => 'UTC',
		anchor => undef, thresholds => [ 100, 200 ], direction => 'ABOVE', createdAt => $instant, deletedAt => undef, %expected };
}

sub limit
{
	my (%expected) = @_;
	return {
		id => $uuid, sequenceAccountId => $uuid, name => qr/./, usageMetricId => $uuid, customer => undef, period => 'MONTH',
		timezone => 'UTC', anchor => undef, limit => 3, mode => 'REPORT', createdAt => $instant, updatedAt => $instant,
		deletedAt => undef, %expected };
}

sub basic
{
	my ($credentials) = @_;
	return 'Basic ' . encode_base64($credentials, '');
}

sub percent_encoded
{
	my ($text) = @_;
	return encode_utf8($text) =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger;
}

# What no answer may be, or lack.
sub faults_of_answer
{
	my ($request, $answer, %options) = @_;
	my ($status, $headers) = @$answer{qw(status headers)};
	my @faults = @{ $answer->{faults} // [] };

	push @faults, "status $status" if $status !~ /^(200|201|400|401|403|404|405|413|415|429|500)$/ && !$options{postgrest};
	push @faults, "header $_" foreach grep { /inject/i || $headers->{$_} =~ /inject|[\r\n]/i } sort keys %$headers;
	push @faults, 'Content-Type ' . ($headers->{'content-type'} // 'missing')
	  if ($headers->{'content-type'} // '') ne ($options{csv} ? 'text/csv; charset=utf-8' : $options{postgrest}
	  ? 'application/json; charset=utf-8' : 'application/json');
	push @faults, 'Sequence-Version ' . ($headers->{'sequence-version'} // 'missing') if !$options{own}
	  && ($headers->{'sequence-version'} // '') ne '2024-07-30';
	push @faults, 'Allow ' . ($headers->{allow} // 'missing')
	  if ($status == 405 || $status == 200 && $request =~ /^OPTIONS /) != defined $headers->{allow};
	if ($request =~ /^HEAD /)
	{
		push @faults, 'there is a body' if $answer->{body} ne '';
		return @faults;
	}

	return @faults if $options{csv};
	if (!eval { $answer->{json} = $json->decode($answer->{body}); 1 })
	{
		push @faults, 'no JSON: ' . substr $answer->{body}, 0, 500;
		return @faults;
	}
	if ($status >= 400)
	{
		my $error = $answer->{json};
		my $text_or_null = sub { !defined $_[0] || !ref $_[0] ? '' : "$_[1] is no text" };
		my $wrong = difference($error, { code => qr/^\w+$/, message => qr/./, details => $text_or_null, hint => $text_or_null });
		push @faults, $wrong if $wrong;
		push @faults, "WWW-Authenticate " . ($headers->{'www-authenticate'} // 'missing')
		  if ($headers->{'www-authenticate'} // '') ne ($status == 401 ? 'Basic realm="usage_events"' : '')
		  && !$options{postgrest};
		push @faults, 'a fault of the server is told: ' . shown($error) if $status == 500
		  && ($error->{message} ne 'internal server error' || defined $error->{details}
			|| ($error->{hint} // '') !~ /^(Send the request again\.)?$/)
		  && $error->{message} ne 'outcome is unknown';
	}
	return @faults;
}

# Sends a request, and checks the answer: its status (one of several where that is a list), and by name
#
#	as			the account whose key is sent, undef for none
#	headers		names and values in turn
#	body		bytes, or what they are JSON of
#	json		what the answer's JSON must be, see difference()
#	error		members of an error
#	names		what an error's details or message must name
#	own			the answer is nginx's or PostgREST's own, and says nothing of a version
#	csv			the lines of the answer, which is CSV
#	via			"postgrest" to leave nginx out
#
# Returns the answer, with its JSON.
sub check
{
	my ($request, $status, %options) = @_;
	my ($method, $target) = split / /, $request, 2;
	my @headers = @{ $options{headers} // [] };
	my $as = exists $options{as} ? $options{as} : 'acme';
	push @headers, Authorization => basic($key{$as} // die "no key of $as") if defined $as
	  && !grep { lc eq 'authorization' } @headers;
	my $body = ref $options{body} ? $json->encode($options{body}) : $options{body} // '';
	my $via = $options{via} // 'nginx';

	my $answer = $transport->request($method, $target, \@headers, $body, $via);
	my @faults = faults_of_answer($request, $answer, %options, postgrest => $via eq 'postgrest');
	push @faults, "status $answer->{status}, not @{[ ref $status ? @$status : $status ]}: " . substr $answer->{body}, 0,
	  500 if !grep { $_ == $answer->{status} } ref $status ? @$status : $status;
	push @faults, difference($answer->{json}, $options{json}) if exists $options{json} && exists $answer->{json};
	push @faults, difference($answer->{body}, encode_utf8("\x{feff}" . join '', map { "$_\r\n" } @{ $options{csv} })) if ref $options{csv};
	push @faults, difference($answer->{json}, has(%{ $options{error} })) if $options{error} && exists $answer->{json};
	push @faults, "does not name $options{names}: " . substr $answer->{body}, 0,
	  500 if $options{names} && ref $answer->{json} eq 'HASH'
	  && join("\n", map { $_ // '' } @{ $answer->{json} }{qw(message details)}) !~ (ref $options{names} ? $options{names}
	  : qr/\Q$options{names}\E/);

	my $name = join ' ', grep { defined && length } $via eq 'postgrest' ? 'directly' : '', $request, $options{what};
	$name .= ' ' . $body if !defined $options{what} && length $body && length $body < 100;
	report($name, @faults);
	return $answer;
}

# A line of the test's output.
sub report
{
	my ($name, @faults) = @_;
	$name =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ge;
	$name =~ s/#/\\x23/g;
	$name = substr($name, 0, 150) . '...' if length $name > 150;
	@faults = grep { defined && length } @faults;
	ok(!@faults, $name) or diag(map { encode_utf8("  $_\n") } @faults);
}

# Accounts -------------------------------------------------------------------

sub make_account
{
	my ($name) = @_;
	($account_id{$name}) = $transport->sql("SELECT usage_events.create_account('$name')");
	$key{$name} = make_key($name);
}

sub make_key
{
	my ($name, $scope) = @_;
	my ($pair) = $transport->sql(
		"SELECT client_id || ':' || client_secret FROM usage_events.create_api_key('$account_id{$name}', 'http cases'@{[ $scope // '' ]})");
	return $pair;
}

sub client_id
{
	my ($pair) = @_;
	return $pair =~ s/:.*//sr;
}

# Events with a key each, sent as a batch.
sub send_events
{
	my ($as, @events) = @_;
	my $sent = check('POST /usage-events/batch', 200, as => $as, body => \@events, what => 'of ' . @events . ' events',
	  json => has(refused => 0, outcomes => sub { @{ $_[0] } == @events ? '' : 'other outcomes' }));
	return map { $_->{id} } @{ $sent->{json}{outcomes} };
}

# Credentials ----------------------------------------------------------------

sub cases_credentials
{
	my $pair = $key{acme};
	my ($id, $secret) = split /:/, $pair;
	my $encoded = encode_base64($pair, '');
	my $bare = $encoded =~ s/=+$//r;

	my $list = 'GET /usage-events?limit=1';
	check($list, 200, what => 'as curl -u sends it');
	check($list, 200, what => "with Authorization: $_->[0]", headers => [ Authorization => $_->[1] ])
	  foreach [ 'basic', "basic $encoded" ], [ 'BASIC', "BASIC $encoded" ], [ 'several blanks', "Basic    $encoded" ],
	  [ 'blanks at the end', "Basic $encoded  " ], [ 'no padding', "Basic $bare" ];

	check($list, 401, as => undef, what => 'without credentials', error => { code => '401' });
	check($list, 401, what => "with Authorization: $_->[0]", headers => [ Authorization => $_->[1] ],
	  error => { code => '401' }) foreach [ 'nothing', '' ], [ 'the scheme only', 'Basic' ],
	  [ 'the scheme and a blank', 'Basic ' ], [ 'no blank', "Basic$encoded" ], [ 'no scheme', $encoded ],
	  [ 'Bearer', 'Bearer abc' ], [ 'Bearer and a key', "Bearer $encoded" ], [ 'Digest', "Digest $encoded" ],
	  [ 'a tab', "Basic\t$encoded" ], [ 'no base64', 'Basic !!!!' ], [ 'one letter of base64', 'Basic A' ],
	  [ 'nothing in base64', 'Basic =' ], [ 'padding only', 'Basic ====' ],
	  [ 'padding in the middle', "Basic Zm9v=$encoded" ], [ 'too much padding', "Basic $bare====" ],
	  [ 'junk after', "Basic $encoded junk" ], [ 'junk after a comma', "Basic $encoded, x" ],
	  [ 'two', "Basic $encoded Basic $encoded" ], [ 'junk directly after', "Basic $encoded!" ],
	  [ 'a quoted value', qq(Basic "$encoded") ], [ 'no colon', basic($id) ], [ 'an empty pair', basic(':') ],
	  [ 'no id', basic(":$secret") ], [ 'no secret', basic("$id:") ], [ 'a colon in the secret', basic("$id:$secret:") ],
	  [ 'colons before the secret', basic("$id\::$secret") ], [ 'blanks around the id', basic(" $id:$secret") ],
	  [ 'a line feed after the secret', basic("$pair\n") ], [ 'a null byte after the secret', basic("$pair\0") ],
	  [ 'a null byte after the id', basic("$id\0:$secret") ], [ 'bytes above ASCII in the secret', basic("$id:\xff\xfe") ],
	  [ 'UTF-8 in the secret', basic("$id:\xc3\xbc") ],
	  [ 'bytes above ASCII in the id', basic(substr($id, 0, 37) . "\xff" x 16 . ":$secret") ],
	  [ 'only bytes above ASCII', basic("\xff" x 53 . ":$secret") ],
	  [ 'an account that is no UUID', basic('x' x 36 . substr($id, 36) . ":$secret") ],
	  [ 'another secret', basic("$id:" . '0' x 64) ], [ 'a secret cut short', basic("$id:" . substr $secret, 0, 63) ],
	  [ 'a secret with more', basic("${pair}0") ], [ 'the secret in upper case', basic("$id:" . uc $secret) ],
	  [ 'the account only', basic("$account_id{acme}:$secret") ],
	  [ 'the id of no key', basic("$account_id{acme}.0123456789abcdef:$secret") ],
	  [ 'the id of no account', basic("$no_uuid.0123456789abcdef:$secret") ],
	  [ 'the id of another account', basic($account_id{globex} . substr($id, 36) . ":$secret") ],
	  [ 'the secret of another account', basic("$id:" . ($key{globex} =~ s/.*://r)) ],
	  [ 'quotes in the id', basic("' OR true --:$secret") ], [ 'lines in the id', basic("$split:$secret") ],
	  [ '7 kB', 'Basic ' . 'A' x 7000 ], [ '7 kB of a long secret', basic("$id:" . 'x' x 5000) ];

	# Ids cannot be tried out: an unknown one is answered as a known one with another secret.
	my ($unknown, $wrong) = map { check($list, 401, headers => [ Authorization => basic($_) ],
	  what => 'tells nothing of ids') } "$account_id{acme}.0123456789abcdef:$secret", "$id:" . '0' x 64;
	report('an unknown id and a wrong secret get the same answer', $unknown->{body} eq $wrong->{body} ? ''
	  : "$unknown->{body} $wrong->{body}");

	check($list, 401, what => 'with bytes above ASCII', headers => [ Authorization => "Basic \xff\xfe$encoded" ]);
	check($list, 401, what => 'with bytes above ASCII and no scheme', headers => [ Authorization => "\xc3\xbc" ]);
	check($list, 401, what => 'with 10 kB', headers => [ Authorization => 'Basic ' . 'A' x 10_000 ]);
	check($list, 400, what => 'with 40 kB', own => 1, headers => [ Authorization => 'Basic ' . 'A' x 40_000 ]);
	check($list, [ 200, 400 ], what => 'with a good header, then a bad one', own => 1,
	  headers => [ Authorization => "Basic $encoded", Authorization => 'Basic AAAA' ]);
	check($list, [ 400, 401 ], what => 'with a bad header, then a good one', own => 1,
	  headers => [ Authorization => 'Basic AAAA', Authorization => "Basic $encoded" ]);
	check('POST /usage-events', 401, as => undef, body => { customerAlias => 'a', eventType => 't' },
	  what => 'without credentials');
	check('GET /nothing-here', 401, as => undef, what => 'without credentials: nobody learns what there is');
	check('GET /', 401, as => undef, what => 'without credentials');

	# Keys that come and go.
	my $expired = $key{expired} = make_key('acme');
	check($list, 200, as => 'expired', what => 'with a key that is about to expire');
	$transport->sql("SELECT usage_events.expire_api_key('@{[ client_id($expired) ]}', now() - interval '1 second')");
	check($list, 401, as => 'expired', what => 'with a key that has expired');
	$transport->sql("SELECT usage_events.expire_api_key('@{[ client_id($expired) ]}', now() + interval '1 hour')");
	check($list, 200, as => 'expired', what => 'with a key that expires in an hour');
	$transport->sql("SELECT usage_events.expire_api_key('@{[ client_id($expired) ]}', 'infinity')");
	check($list, 200, as => 'expired', what => 'with a key that never expires');
	$transport->sql("SELECT usage_events.revoke_api_key('@{[ client_id($expired) ]}')");
	check($list, 401, as => 'expired', what => 'with a key that was revoked');
	check($list, 401, headers => [ Authorization => basic(client_id($expired) . ':' . '0' x 64) ],
	  error => { message => $wrong->{json}{message} }, what => 'with a wrong secret of it');

	$key{old} = make_key('acme');
	($key{new}) = $transport->sql("SELECT client_id || ':' || client_secret FROM usage_events.rotate_api_key('@{[ client_id($key{old}) ]}')");
	check($list, 401, as => 'old', what => 'with a key that was rotated');
	check($list, 200, as => 'new', what => 'with the key that took its place');
	($key{newer}) = $transport->sql(
		"SELECT client_id || ':' || client_secret FROM usage_events.rotate_api_key('@{[ client_id($key{new}) ]}', '1 hour')");
	check($list, 200, as => 'newer', what => 'with a key that took the place of one with grace');
	check($list, 200, as => 'new', what => 'with a rotated key in its grace');
	($key{newest}) = $transport->sql(
		"SELECT client_id || ':' || client_secret FROM usage_events.rotate_api_key('@{[ client_id($key{newer}) ]}', '0.1 seconds')");
	sleep 0.2;
	check($list, 401, as => 'newer', what => 'with a rotated key after its grace');
	check($list, 200, as => 'newest', what => 'with the key that took its place');

	make_account('gone');
	check($list, 200, as => 'gone', what => 'with a key of an account that is about to go');
	$transport->sql("DELETE FROM usage_events.account WHERE account_id = '$account_id{gone}'");
	check($list, 401, as => 'gone', what => 'with a key whose account is gone');
	check('POST /usage-events', 401, as => 'gone', body => { customerAlias => 'a', eventType => 't' },
	  what => 'with a key whose account is gone');
}

sub cases_version
{
	my $list = 'GET /usage-events?limit=1';
	check($list, 200, what => "of Sequence-Version '$_'", headers => [ 'Sequence-Version' => $_ ]) foreach '2024-07-30', '',
	  ' 2024-07-30 ';
	check($list, 400, what => "of Sequence-Version '$_'", headers => [ 'Sequence-Version' => $_ ],
	  names => 'Sequence-Version') foreach '2024-07-31', '2024-05-09', '2024-01-01', '2024-07-30x',
	  '2024-07-30, 2024-07-30', 'latest', '0', '"2024-07-30"', 'x' x 5000, "\xc3\xbc", "\xff", "inject: yes";
	check($list, 401, what => 'of an unknown version and nobody', as => undef, headers => [ 'Sequence-Version' => 'x' ]);
	check('POST /usage-events', 400, headers => [ 'Sequence-Version' => 'x' ],
	  body => { customerAlias => 'a', eventType => 't' }, what => 'of an unknown version', names => 'Sequence-Version');

	# HTTP cannot carry these, but a header's value in JSON can.
	return if $transport->{kind} ne 'replay';
	foreach my $value ("2024-07-30\r\nX-Injected: yes", "\r\n", "2024-07-30\n", "\n", "\0")
	{
		check('GET /rpc/usage_api_read', 400, via => 'postgrest', what => 'with line ends in Sequence-Version',
		  headers => [ 'Sequence-Version' => $value, 'Usage-Request' => 'GET /usage-events' ]);
		check('GET /rpc/usage_api_read', $value eq "\0" ? 400 : 401, via => 'postgrest',
		  what => 'with line ends in Authorization',
		  headers => [ Authorization => "Basic $value", 'Usage-Request' => 'GET /usage-events' ]);
		check('GET /rpc/usage_api_read', [ 200, 400, 404 ], via => 'postgrest', what => 'with line ends in Usage-Request',
		  headers => [ 'Usage-Request' => "GET /usage-events$value" ]);
		check('GET /rpc/usage_api_read', [ 200, 400, 404 ], via => 'postgrest', what => 'with line ends in Usage-Request',
		  headers => [ 'Usage-Request' => "GET /usage-events?$value=$value" ]);
	}
}

# Routes ---------------------------------------------------------------------

sub cases_routes
{
	my ($id) = send_events('acme', { customerAlias => 'routes', eventType => 'call', customerEventId => 'routes' });
	my $page = has(items => sub { ref $_[0] eq 'ARRAY' ? '' : 'no items' },
	  pagination => sub { ref $_[0] eq 'HASH' ? '' : 'no pagination' });
	check("GET $_", 200, json => $page) foreach '/usage-events', '/usage-events/', '/api/usage-events',
	  '/api/usage-events/', '/usage-events?', '/usage-events?&&', '/usage-events/?limit=1', '/customer-aliases',
	  '/api/customer-aliases/', '/usage-metrics', '/api/usage-metrics/', '/usage-limits', '/api/usage-limits/';
	check("GET $_", 200, json => event(id => $id)) foreach "/usage-events/$id", "/usage-events/$id/",
	  "/api/usage-events/$id", "/usage-events/$id?";
	check("GET $_", 200, json => { items => [ event(id => $id, supersededAt => undef, supersededBy => undef) ] })
	  foreach "/usage-events/$id/history", "/api/usage-events/$id/history/";
	check("GET $_", 200, json => has(openapi => '3.0.3', paths => has('/usage-events' => sub { '' }))) foreach '/', '/api',
	  '/api/', '/?';
	check("HEAD $_", 200) foreach '/', '/usage-events', "/usage-events/$id", "/usage-events/$id/history", '/customer-aliases',
	  '/usage-metrics', '/usage-limits';
	check('HEAD /usage-events?limit=0', 400);
	check("HEAD /usage-events/$no_uuid", 404);
	check('HEAD /nothing', 404);
	check('HEAD /usage-events', 401, as => undef);

	check($_, 404) foreach 'GET /nothing', 'POST /nothing', 'GET /usage-event', 'GET /usage-eventsx', 'GET /Usage-Events',
	  'GET /usage_events', 'GET /rpc/usage_api_read', 'POST /rpc/usage_api_write', 'POST /rpc/create_usage_event',
	  'GET /rpc/list_usage_events', 'GET /usage_event_history', 'GET /apix/usage-events', 'GET /api/api/usage-events',
	  'GET /usage-events%2Fbatch', 'POST /usage-events%2Fbatch', "GET /usage-events%2F$id", "GET /usage-events/$id/histor",
	  "GET /usage-events/$id/history/x", "GET /usage-events/$id/batch", "GET /usage-metrics/$id/calculat",
	  "GET /usage-metrics/$id/calculate/x", 'POST /custom-usage-metrics', 'GET /usage_metrics', 'GET /usage-limits/check/x',
	  'GET /usage_limit_status', 'GET /.', 'GET /%ff',
	  'GET /usage-events%20', 'GET /usage-events;x=1', 'GET /*', 'GET /usage-events.json', 'OPTIONS /nothing',
	  'GET /' . percent_encoded($split), 'GET /usage-events/' . 'x/' x 500, 'GET /' . 'x' x 5000;

	# Each path by its methods: OPTIONS says which, and every other is refused with them.
	my %methods = (
		'/' => 'GET, HEAD, OPTIONS',
		'/usage-events' => 'POST, GET, HEAD, OPTIONS',
		'/usage-events/batch' => 'POST, OPTIONS',
		"/usage-events/$id" => 'GET, HEAD, OPTIONS',
		'/usage-events/x' => 'GET, HEAD, OPTIONS',
		"/usage-events/$id/history" => 'GET, HEAD, OPTIONS',
		'/rejected-usage-events' => 'GET, HEAD, OPTIONS',
		'/rejected-usage-events/retry' => 'POST, OPTIONS',
		"/rejected-usage-events/$id" => 'DELETE, OPTIONS',
		map({ ($_ => 'GET, HEAD, OPTIONS') } '/usage-event-types', '/usage-event-types/call/properties', '/customers', '/status'),
		'/customer-aliases' => 'GET, HEAD, POST, OPTIONS',
		"/customer-aliases/$id" => 'PUT, DELETE, OPTIONS',
		'/usage-metrics' => 'GET, HEAD, POST, OPTIONS',
		"/usage-metrics/$id" => 'GET, HEAD, PUT, DELETE, OPTIONS',
		'/usage-alerts' => 'GET, HEAD, POST, OPTIONS',
		"/usage-alerts/$id" => 'GET, HEAD, PUT, DELETE, OPTIONS',
		'/usage-alert-events' => 'GET, HEAD, OPTIONS',
		'/usage-limits' => 'GET, HEAD, POST, OPTIONS',
		'/usage-limits/check' => 'GET, HEAD, OPTIONS',
		"/usage-limits/$id" => 'GET, HEAD, PUT, DELETE, OPTIONS',
		'/portal-tokens' => 'GET, HEAD, POST, OPTIONS',
		"/portal-tokens/$id" => 'DELETE, OPTIONS',
		"/usage-events/$id/explain" => 'GET, HEAD, OPTIONS',
		map({ ("/usage-metrics/$id/$_" => 'GET, HEAD, OPTIONS') } qw(versions calculate series by-customer changes)));
	foreach my $path (sort keys %methods)
	{
		my $options = check("OPTIONS $path", 200, json => { methods => $methods{$path} });
		report("the methods of $path", difference($options->{headers}{allow}, $methods{$path}));
		check("OPTIONS $path", 401, as => undef);
		foreach my $method (grep { $methods{$path} !~ /\b$_\b/ } qw(GET HEAD POST PUT DELETE PATCH))
		{
			my $refused = check("$method $path", 405, $method eq 'HEAD' ? () : (error => { code => '405', message => 'method not allowed' }));
			report("$method $path is told the methods", difference($refused->{headers}{allow}, $methods{$path}));
		}
	}
	check($_, [ 400, 404 ]) foreach "GET /usage-events/$id%2Fhistory", 'GET /usage-events/x',
	  'GET /usage-events/..', 'GET /usage-events/.', 'GET /usage-events/%ff', "GET /usage-events/{$id}",
	  "GET /usage-events/$id%20", "GET /usage-events/${id}0", 'GET /usage-events/' . substr($id, 0, 35),
	  'GET /usage-events/' . ($id =~ tr/-//dr), 'GET /usage-events/history', "GET /usage-events/x/history",
	  'GET /usage-events/%0d%0aX-Injected:%20yes', 'GET /usage-events/' . 'x' x 5000;
	check("GET //usage-events", [ 200, 404 ]);
	check("GET /usage%2Devents", [ 200, 404 ]);
	check("GET /usage-events/$_", 200, json => event(id => $id)) foreach uc $id;

	check($_, [ 200, 400 ], what => 'a parameter that is none here') foreach "GET /usage-events/$id?limit=1",
	  "GET /usage-events/$id/history?limit=1";

	# Not a request that HTTP allows.
	check('GET /' . $_, 400, own => 1, what => 'raw bytes') foreach "\xc3\xbc", "\xff";
	check($_, 400, own => 1, what => 'a bad percent-encoding') foreach 'GET /%00', 'GET /%zz', 'GET /%',
	  'GET /usage-events%', 'GET /usage-events%00', 'GET /usage-events/%00', 'GET /usage-events/%zz';
	check('GET /usage-events?' . 'x' x 40_000, 400, own => 1, what => 'too long');

	# One event, three versions.
	my @versions = map {
		check('POST /usage-events', 201, what => "version $_",
		  body => { customerAlias => 'versions', eventType => 'call', customerEventId => 'versions',
		  eventProperties => { version => $_ } })->{json}{id}
	} 1 .. 3;
	check("GET /usage-events/$versions[2]", 200, json => event(id => $versions[2], eventProperties => { version => 3 }));
	check("GET /usage-events/$versions[$_]", 404, error => { hint => qr/history/ }, what => 'superseded') foreach 0, 1;
	foreach my $version (@versions)
	{
		check("GET /usage-events/$version/history", 200, json => { items => [
			map {
				event(id => $versions[ $_ - 1 ], customerEventId => 'versions', eventProperties => { version => $_ },
				  sequenceAccountId => $account_id{acme},
					supersededBy => $versions[$_], supersededAt => $_ < 3 ? $instant : undef)
			} 1 .. 3 ] });
	}
	check("GET /usage-events/$no_uuid", 404);
	check("GET /usage-events/$no_uuid/history", 404);

	# Another account finds none of it.
	check("GET /usage-events/$_", 404, as => 'globex', what => 'of another account', error => { hint => undef })
	  foreach @versions;
	check("GET /usage-events/$_/history", 404, as => 'globex', what => 'of another account') foreach @versions;
}

# Creating -------------------------------------------------------------------

sub cases_create
{
	my $post = 'POST /usage-events';
	my %minimal = (customerAlias => 'create', eventType => 'call');
	my %full = (%minimal, customerEventId => 'full', eventTimestamp => '2022-10-01T02:00:00+02:00',
		eventProperties => { length => 500, type => 'text_message', nested => { list => [ 1, undef, JSON::PP::true ] } });
	my %stored = (%full, eventTimestamp => '2022-10-01T00:00:00Z', sequenceAccountId => $account_id{acme});

	my $first = check($post, 201, body => \%full, json => event(%stored), what => 'with all fields');
	my $id = $first->{json}{id};
	check($post, 201, body => \%full, json => event(%stored, id => $id), what => 'again is a retry');
	check('GET /usage-events/' . $id, 200, json => event(%stored, id => $id));
	my $minimal = check($post, 201, body => \%minimal, json => event(%minimal, eventProperties => {}), what => 'with few fields');
	report('without a customerEventId the id is one', difference($minimal->{json}{customerEventId}, $minimal->{json}{id}));
	check($post, 201, body => { %minimal, customerEventId => undef, eventTimestamp => undef }, what => 'with nulls');
	check($post, 201, body => { %minimal, unknown => 1, id => 'x' }, json => event(%minimal),
	  what => 'with fields that nobody knows');
	check($post, 201, body => { %minimal, sequenceAccountId => $account_id{globex} },
	  json => event(sequenceAccountId => $account_id{acme}), what => 'with the id of another account');
	my $changed = check($post, 201, body => { %full, eventProperties => {} }, json => event(%stored, eventProperties => {}),
	  what => 'with other content');
	report('a correction has an id of its own, above the first', $changed->{json}{id} gt $id ? '' : "$changed->{json}{id} $id");
	check($post, 201, body => { %full, customerAlias => 'VOID' }, json => event(customerAlias => 'VOID'), what => 'taken back');
	check($post, 201, as => 'globex', body => \%full, json => event(%stored, sequenceAccountId => $account_id{globex}),
	  what => 'of another account');

	check($post, 201, headers => [ 'Content-Type' => $_ ], body => \%minimal, what => "with Content-Type $_")
	  foreach 'application/json', 'application/json; charset=utf-8', 'text/plain', 'application/x-www-form-urlencoded',
	  'application/xml', 'nonsense', '';
	check($post, 201, headers => [ $_->[0] => $_->[1] ], body => \%minimal, json => event(%minimal),
	  what => "with $_->[0]: $_->[1]") foreach [ Accept => 'text/csv' ], [ Accept => 'text/html' ],
	  [ Accept => 'nonsense' ], [ Prefer => 'return=minimal, handling=strict, foo' ], [ Prefer => 'tx=rollback' ],
	  [ Prefer => 'timezone=America/New_York' ], [ Range => '5-9' ], [ 'Content-Profile' => 'usage_events' ],
	  [ 'Accept-Profile' => 'x' ], [ 'Idempotency-Key' => 'x' ], [ 'X-HTTP-Method-Override' => 'DELETE' ],
	  [ 'Usage-Request' => 'DELETE /usage-events' ], [ 'Usage_Request' => 'GET /' ], [ Cookie => 'a=b' ],
	  [ 'X-Odd' => "\xff\xfe" ], [ 'User-Agent' => "\xc3\xbc\xff" ], [ Origin => 'https://example.org' ];

	# The query string of a POST is nobody's business, and loses nothing.
	my $before = count_events('acme');
	my @queries = ('limit=0', 'select=id', 'columns=x', 'offset=1', 'pgrst_scalar=is.null', 'on_conflict=id', '%zz', '%00',
	  '%ff', 'customerAlias=eq.x', '', '&&=');
	check("$post?$_", 201, body => { %minimal, eventType => "query:$_" }, json => event(eventType => "query:$_"))
	  foreach @queries;
	report('none of them is lost', difference(count_events('acme'), $before + @queries));

	# Texts are kept as they are; a key is not taken with what cannot be seen.
	my @unseen = ($split, "a\x{1}b", "\x{feff}x", "\x{202e}x");
	check($post, 201, body => { %minimal, eventProperties => { $_ => $_ } }, json => event(eventProperties => { $_ => $_ }),
	  what => 'texts in properties') foreach @unseen;
	foreach my $text (@unseen)
	{
		check($post, 400, body => { %minimal, $_ => $text }, names => qq("$_" must not contain a), what => "$_ with what cannot be seen")
		  foreach qw(customerAlias eventType customerEventId);
	}
	foreach my $text ("\x{dc}n\x{ef}c\x{f6}d\x{e9} \x{1f600} \x{5d0}", 'a b+c/d?e&f=g%20#', q('"\\;--),
	  'x' x 255, "\x{1f600}" x 255, "\x{ffff}")
	{
		check($post, 201, body => { %minimal, customerAlias => $text, eventType => $text, customerEventId => $text,
		  eventProperties => { $text => $text } },
		  json => event(customerAlias => $text, eventType => $text, customerEventId => $text,
		  eventProperties => { $text => $text }), what => 'texts');
		check('GET /usage-events?limit=100&eventId=' . percent_encoded($text), 200, what => 'finds it',
		  json => has(items => [ event(customerEventId => $text) ])) if length percent_encoded($text) < 6000;
	}
	check($post, 201, body => qq({"customerAlias": "n", "eventType": "t", "eventProperties": {"n": $_}}),
	  what => 'a number: ' . substr($_, 0, 30), json => sub { '' }) foreach '9' x 10000, '-0', '1e400', '1e-400',
	  '0.' . '1' x 5000, '12345678901234567890.123456789';
	my $digits = '7' x 10000;
	my $number = check($post, 201, body => qq({"customerAlias": "n", "eventType": "t", "eventProperties": {"n": $digits}}),
	  what => 'a number of 10,000 digits');
	report('keeps every digit', index($number->{body}, $digits) < 0 ? 'they are gone' : '');
	check($post, 400, body => qq({"customerAlias": "n", "eventType": "t", "eventProperties": {"n": $_}}),
	  what => "a number beyond all: $_") foreach '1e200000', '1e-200000', '1e99999999999999999999';
	check($post, 400, body => qq({"customerAlias": "n", "eventType": "t", "eventProperties": {"n": $_}}),
	  error => { details => qr/^"eventProperties" must take at most 65536 bytes .* with its numbers written out\.$/ },
	  what => "short to send, long to answer: $_") foreach '1e131071', '[' . join(',', ('1e16000') x 5) . ']', '{"a": [-1e131071]}';
	check($post, 201, body => ' ' x 100000 . $json->encode(\%minimal) . "\n" x 100000, what => 'amid white space');
	check($post, 201, body => '{"customerAlias": "first", "customerAlias": "last", "eventType": "t"}',
	  json => event(customerAlias => 'last'));
}

sub count_events
{
	my ($name) = @_;
	my ($count) = $transport->sql("SELECT count(*) FROM usage_events.event WHERE account_id = '$account_id{$name}'");
	return $count + 0;
}

# How a body may come: with the mark of UTF-8 before it, and not compressed.
sub cases_codings
{
	my $post = 'POST /usage-events';
	check($post, 201, body => "\xef\xbb\xbf{\"customerAlias\": \"a\", \"eventType\": \"t\"}", what => 'begun by a BOM');
	foreach my $encoding ('gzip', 'deflate, gzip', 'br', 'x', "\xff", 'x' x 200)
	{
		my $refused = check($post, 415, body => '{}', headers => [ 'Content-Encoding' => $encoding ],
		  what => 'of a coding that is not read', error => { code => '415', message => 'body is compressed' });
		report('it is told which is', difference($refused->{headers}{'accept-encoding'}, 'identity'));
	}
	check($post, 201, body => { customerAlias => 'a', eventType => 't' }, headers => [ 'Content-Encoding' => $_ ],
	  what => 'of no coding, said to be so') foreach 'identity', 'Identity', '';
}

sub cases_refused
{
	my $post = 'POST /usage-events';
	my $before = count_events('acme');

	# Not JSON, or not an object.
	check($post, 400, body => $_->[1], what => "a body that is $_->[0]") foreach [ 'empty', '' ], [ 'blank', " \n" ],
	  [ 'a null byte', "\0" ], [ 'no JSON', 'hello' ], [ 'truncated', '{"customerAlias": "a", "eventType": ' ],
	  [ 'cut in a string', '{"customerAlias": "a' ], [ 'cut in a character', "{\"customerAlias\": \"\xc3" ],
	  [ 'cut in an escape', '{"customerAlias": "\\u00' ],
	  [ 'trailed by junk', '{"customerAlias": "a", "eventType": "t"} x' ],
	  [ 'two objects', '{"customerAlias": "a", "eventType": "t"}{}' ],
	  [ 'followed by a null byte', "{\"customerAlias\": \"a\", \"eventType\": \"t\"}\0" ],
	  [ 'with a null byte', "{\"customerAlias\": \"a\0\", \"eventType\": \"t\"}" ],
	  [ 'nothing but a BOM', "\xef\xbb\xbf" ], [ 'begun by two BOMs', "\xef\xbb\xbf\xef\xbb\xbf{\"customerAlias\": \"a\", \"eventType\": \"t\"}" ],
	  [ 'begun by half a BOM', "\xef\xbb{\"customerAlias\": \"a\", \"eventType\": \"t\"}" ], [ 'UTF-16', "\xff\xfe{\0}\0" ],
	  [ 'invalid UTF-8', "{\"customerAlias\": \"\xff\", \"eventType\": \"t\"}" ],
	  [ 'overlong UTF-8', "{\"customerAlias\": \"\xc0\xaf\", \"eventType\": \"t\"}" ],
	  [ 'a surrogate in UTF-8', "{\"customerAlias\": \"\xed\xa0\x80\", \"eventType\": \"t\"}" ],
	  [ 'beyond Unicode', "{\"customerAlias\": \"\xf4\x90\x80\x80\", \"eventType\": \"t\"}" ],
	  [ 'Latin 1', "{\"customerAlias\": \"\xfc\", \"eventType\": \"t\"}" ],
	  [ 'with \u0000', '{"customerAlias": "a\u0000", "eventType": "t"}' ],
	  [ 'with \u0000 in the properties', '{"customerAlias": "a", "eventType": "t", "eventProperties": {"a": "\u0000"}}' ],
	  [ 'with \u0000 as a key', '{"customerAlias": "a", "eventType": "t", "\u0000": 1}' ],
	  [ 'with a lone surrogate', '{"customerAlias": "\ud800", "eventType": "t"}' ],
	  [ 'with a reversed pair', '{"customerAlias": "\udc00\ud800", "eventType": "t"}' ],
	  [ 'an unknown escape', '{"customerAlias": "\x", "eventType": "t"}' ],
	  [ 'a raw line end in a string', "{\"customerAlias\": \"a\nb\", \"eventType\": \"t\"}" ],
	  [ 'single quotes', "{'customerAlias': 'a', 'eventType': 't'}" ],
	  [ 'a comment', '{"customerAlias": "a", "eventType": "t"} // x' ],
	  [ 'a comma too many', '{"customerAlias": "a", "eventType": "t",}' ], [ 'NaN', '{"customerAlias": NaN}' ],
	  [ 'an array', '[{"customerAlias": "a", "eventType": "t"}]' ], [ 'an empty array', '[]' ], [ 'null', 'null' ],
	  [ 'a number', '5' ], [ 'a string', '"a"' ], [ 'true', 'true' ], [ 'an empty object', '{}' ],
	  [ 'a form', 'customerAlias=a&eventType=t' ], [ 'XML', '<event/>' ], [ 'compressed', "\x1f\x8b\x08\0\0\0\0\0\0\3" ],
	  [ 'bytes', join '', map { chr } 0 .. 255 ];
	check($post, 400, body => '{}',
	  error => { code => '22023', message => 'invalid usage event',
	  details => "\"customerAlias\" is missing.\n\"eventType\" is missing.", hint => qr/^A usage event is / },
	  what => 'every fault at once');

	# Deep nesting, in what is refused anyhow, and in an event.
	foreach my $depth (100, 1000, 10_000, 100_000, 500_000)
	{
		check($post, 400, body => '[' x $depth . ']' x $depth, what => "nested $depth deep");
		check($post, 400, body => '{"a":' x ($depth / 5) . '1' . '}' x ($depth / 5), what => 'objects nested ' . $depth / 5
		  . ' deep');
		check($post, $depth <= 1000 ? 201 : $depth <= 10_000 ? [ 201, 400 ] : 400, what => "properties nested $depth deep",
		  body => '{"customerAlias": "deep", "eventType": "t", "eventProperties": {"a":' . '[' x $depth . ']' x $depth . '}}');
	}
	check($post, 400, body => '[' x 1_000_000, what => '1,000,000 brackets');
	check($post, 400, body => '{"a":' x 200_000, what => '200,000 braces');
	check('POST /usage-events/batch', 200, body => '[' x 1_000_000 . ']' x 1_000_000, json => has(refused => 1), what => 'nested 1,000,000 deep');
	check('POST /usage-events/batch', 400, body => '[' x 1_000_000, what => '1,000,000 brackets');
	$before += count_events_of('acme', 'deep');

	# What is wrong with a field is told by its name.
	my %minimal = (customerAlias => 'refused', eventType => 'call');
	foreach my $field (qw(customerAlias eventType customerEventId))
	{
		foreach my $fault (
			[ '', 'must not be blank' ], [ " \t\n", 'must not be blank' ], [ "\x{a0}\x{3000}", 'must not be blank' ],
			  [ 'x' x 256, 'must have at most 255 characters, not 256' ],
			[ 'acme ', 'must not end with white space (U+0020)' ], [ "acme\x{200b}", 'must not contain an invisible character (U+200B' ],
			[ "\x{1f600}" x 256, 'must have at most 255' ], [ 5, 'must be a string, not a number' ],
			  [ JSON::PP::true, 'must be a string, not a boolean' ],
			[ [], 'must be a string, not an array' ], [ {}, 'must be a string, not an object' ])
		{
			check($post, 400, body => { %minimal, $field => $fault->[0] }, names => qq("$field" $fault->[1]),
			  error => { code => '22023' }, what => "$field: $fault->[1]");
		}
	}
	check($post, 400, body => { %minimal, $_ => undef }, names => qq("$_"), what => "$_: null")
	  foreach qw(customerAlias eventType);
	check($post, 400, body => { %minimal, eventTimestamp => $_ }, names => '"eventTimestamp"', what => 'eventTimestamp')
	  foreach '', '2022-10-01T00:00:00', '2022-10-01', 'now', 'infinity', '2022-02-30T00:00:00Z', '2022-10-01T25:00:00Z',
	  '2022-10-01 00:00:00', '1664582400', '20221001T000000Z', '2022-10-01T00:00:00+25:00', '0000-01-01T00:00:00Z',
	  '10000-01-01T00:00:00Z', '2022-10-01T00:00:00Z ', $split, 1664582400, [], {}, JSON::PP::false, 'x' x 1000;
	check($post, 400, body => { %minimal, eventProperties => $_ }, names => '"eventProperties" must be an object',
	  what => 'eventProperties') foreach [], 'x', 5, JSON::PP::true;
	check($post, 201, body => { %minimal, eventProperties => undef, eventTimestamp => '2022-10-01 02:00:00+02:00' },
	  json => event(%minimal, eventTimestamp => '2022-10-01T00:00:00Z'), what => 'null as no properties, and a time with a blank');
	check($post, 400, body => { %minimal, eventProperties => { a => 'x' x 70_000 } },
	  names => '"eventProperties" must take at most 65536 bytes', what => '70 kB of properties');
	check($post, 400, body => { %minimal, eventProperties => { map { ("key $_" => $_) } 1 .. 5000 } },
	  names => '"eventProperties"', what => 'many properties');
	check($post, 201, body => { %minimal, eventProperties => { a => 'x' x 65_000 } }, what => '65,000 bytes of properties');
	$before += count_events_of('acme', 'refused');
	check($post, 400, body => { customerAlias => '', eventType => 5, customerEventId => [], eventTimestamp => 'x',
	  eventProperties => 'y' }, error => { details => qr/^"customerAlias" .*\n"eventType" .*\n"customerEventId" .*\n"eventTimestamp" .*\n"eventProperties" .*$/ }, what => 'all faults');
	check($post, 400, body => { map { $_ => $split } qw(eventTimestamp eventProperties) },
	  what => 'with line ends in every fault');

	check($post, 413, own => 1, body => ' ' x (1024 * 1024 + 1), what => 'more than 1 MB');
	check($post, 400, body => ' ' x (1024 * 1024), what => 'exactly 1 MB of blanks');

	report('nothing of all that is stored', difference(count_events('acme'), $before));
}

sub count_events_of
{
	my ($name, $alias) = @_;
	my ($count) = $transport->sql("SELECT count(*) FROM usage_events.event WHERE account_id = '$account_id{$name}' AND customer_alias = '$alias'");
	return $count + 0;
}

sub cases_batch
{
	my $batch = 'POST /usage-events/batch';
	my %event = (customerAlias => 'batch', eventType => 'call');
	my $outcome = sub { my ($index, $outcome) = @_; return { index => $index, outcome => $outcome, id => $uuid } };

	check($batch, 200, body => [], json => { created => 0, superseded => 0, unchanged => 0, refused => 0, outcomes => [] });
	check($batch, 200, body => [ \%event ], json => { created => 1, superseded => 0, unchanged => 0, refused => 0,
	  outcomes => [ $outcome->(0, 'created') ] });
	check($batch, 200, what => 'of all outcomes, of events that have different fields',
		body => [ { %event, customerEventId => 'b' }, { %event, customerEventId => 'b' },
		  { %event, customerEventId => 'b', eventType => 'other' }, { eventType => 'call' }, 5, undef, 'x', [], {},
			{ %event, unknown => 1 } ],
		json => { created => 2, superseded => 1, unchanged => 1, refused => 6, outcomes => [
			$outcome->(0, 'created'), $outcome->(1, 'unchanged'), $outcome->(2, 'superseded'),
			{ index => 3, outcome => 'refused', faults => [ { field => 'customerAlias', fault => 'is missing' } ] },
			(map { { index => $_, outcome => 'refused', faults => [ { fault => qr/must be a JSON object/ } ] } } 4 .. 7),
			  { index => 8, outcome => 'refused',
			  faults => [ { field => 'customerAlias', fault => 'is missing' },
			  { field => 'eventType', fault => 'is missing' } ] }, $outcome->(9, 'created') ] });
	check("$_?limit=0&columns=x", 200, body => [ \%event, { %event, eventType => 'x' } ], json => has(created => 2))
	  foreach $batch, "$batch/", 'POST /api/usage-events/batch';
	check($batch, 400, body => $_->[1], what => "a body that is $_->[0]") foreach [ 'an event', \%event ],
	  [ 'an empty object', '{}' ], [ 'empty', '' ], [ 'null', 'null' ], [ 'a number', '1' ], [ 'a string', '"x"' ],
	  [ 'truncated', '[{"customerAlias": "a"' ], [ 'trailed by junk', '[] x' ],
	  [ 'NDJSON', "{}\n{}\n" ], [ 'of elements that nobody can tell apart', "[\"\xff, 1]" ], [ 'an unclosed string', '["\u0000]' ];

	# One element that cannot be read does not take the others along; it is kept as far as it can be.
	my $whole = $json->encode({ %event, customerEventId => 'whole' });
	foreach my $bad ([ 'invalid UTF-8', "{\"customerAlias\": \"\xff\xc3\"}", 'is not text in UTF-8', '{"customerAlias": "??"}' ],
	  [ 'a null byte', "\"a\0\"", 'is not text in UTF-8', '"a?"' ], [ '\u0000', '"\u0000"', qr/^is not JSON: .*text/, '"\u0000"' ],
	  [ 'a lone surrogate', '["\ud800"]', qr/^is not JSON: .*surrogate/s, '["\ud800"]' ], [ 'no JSON', '{"a": x}', qr/^is not JSON: /, '{"a": x}' ],
	  [ 'nothing', '', qr/^is not JSON: /, '' ])
	{
		my ($name, $element, $fault, $kept) = @$bad;
		check($batch, 200, body => "[ $whole, $element ,$whole]", what => "with $name", json => has(refused => 1, outcomes => [
			has(index => 0, id => $uuid), { index => 1, outcome => 'refused', faults => [ { fault => $fault } ] }, $outcome->(2, 'unchanged') ]));
		report("with $name: it is kept", difference(($transport->sql("SELECT body FROM usage_events.rejected_event ORDER BY id DESC LIMIT 1"))[0], $kept));
	}
	check($batch, 200, body => "\xef\xbb\xbf[5]", json => has(refused => 1), what => 'begun by a BOM');
	check($batch, 415, body => '[5]', headers => [ 'Content-Encoding' => 'gzip' ], what => 'said to be compressed');
	check($batch, 200, body => '[' . join(',', ('[' x 1000 . ']' x 1000) x 3) . ']', json => has(refused => 3),
	  what => 'of deep elements');

	my @many = map { { %event, customerEventId => "many $_" } } 1 .. 15_000;
	check($batch, 200, body => \@many, json => has(created => 15_000), what => 'of 15,000 events');
	check($batch, 200, body => \@many, json => has(unchanged => 15_000), what => 'of 15,000 events again');
	check($batch, 413, body => '[' . ' ' x (16 * 1024 * 1024) . ']', own => 1, what => 'of more than 16 MB');
	check('POST /usage-events', 413, body => \@many, own => 1, what => 'the same to the other path');
	$transport->sql("DELETE FROM usage_events.event WHERE account_id = '$account_id{acme}' AND customer_event_id LIKE 'many %'");
}

# Listing --------------------------------------------------------------------

my @listed;    # the events of the account "lister" as answered, in the order in which they were created

sub make_listed
{
	my @aliases = ('alice', 'bob', "\x{dc}n\x{ef}c\x{f6}d\x{e9} & co+1/2", 'alice b');
	my @types = ('call', 'message sent');
	my @ids = send_events('lister', map {
		{ customerAlias => $aliases[ $_ % 4 ], eventType => $types[ $_ % 2 ], customerEventId => "listed $_",
		  eventProperties => { number => $_ },
			eventTimestamp => sprintf '2024-01-%02dT00:00:00.%sZ', 28 - int($_ / 3), '000001' }
	} 1 .. 45);
	@listed = map { check("GET /usage-events/$_", 200, as => 'lister')->{json} } @ids;
}

# All pages from a cursor on: their items, and what is wrong with them.
sub all_pages
{
	my ($query, $limit, $direction, $cursor, $meanwhile) = @_;
	my (@items, @faults, $last);
	for (my $count = 0; $count < 100; $count++)
	{
		my $request = "/usage-events?limit=$limit$query" . (defined $cursor ? "&$direction=" . percent_encoded($cursor) : '');
		my $answer = $transport->request('GET', $request, [ Authorization => basic($key{lister}) ], '', 'nginx');
		push @faults, map { "$request: $_" } faults_of_answer("GET $request", $answer);
		push @faults, "$request: $answer->{status} $answer->{body}" if $answer->{status} != 200;
		return ([], [@faults]) if @faults;

		$last = $answer->{json};
		my @page = @{ $last->{items} };
		my $next = $last->{pagination}{$direction};
		push @faults, "$request: " . @page . ' items, and there is a next page' if @page != $limit && defined $next;
		push @faults, "$request: no items" if !@page && @items;
		@items = $direction eq 'after' ? (@items, @page) : (@page, @items);
		$meanwhile->() if $meanwhile;
		return (\@items, \@faults, $last) if !defined $next;
		$cursor = $next;
	}
	return (\@items, [ @faults, 'the pages do not end' ], $last);
}

sub ids
{
	return join ' ', map { $_->{id} } @_;
}

sub cases_pages
{
	my %sorted = (
		createdAt => [ sort { $a->{id} cmp $b->{id} } @listed ],
		eventTimestamp => [ sort { $a->{eventTimestamp} cmp $b->{eventTimestamp} || $a->{id} cmp $b->{id} } @listed ]);

	foreach my $sort_by ('', 'createdAt', 'eventTimestamp')
	{
		foreach my $sort_order ('', 'ASC', 'DESC', 'asc', 'desc')
		{
			my @expected = @{ $sorted{ $sort_by || 'createdAt' } };
			@expected = reverse @expected if uc $sort_order ne 'ASC';
			my $query = ($sort_by && "&sortBy=$sort_by") . ($sort_order && "&sortOrder=$sort_order");
			foreach my $limit ($sort_by && $sort_order =~ /^[AD]/ ? (1, 2, 7, 15, 44, 45, 46, 100) : 20)
			{
				my ($items, $faults, $last) = all_pages($query, $limit, 'after');
				report("all pages forward: limit=$limit$query", @$faults, ids(@$items) eq ids(@expected) ? '' : ids(@$items)
				  . ' is not ' . ids(@expected));
				report("items are the events: limit=$limit$query", difference($items, \@expected)) if $limit == 20;
				next if @expected <= $limit;

				my @rest = @expected[ 0 .. $#expected - @{ $last->{items} } ];
				my $before = $last->{pagination}{before};
				($items, $faults) = all_pages($query, $limit, 'before', $before);
				report("all pages backward: limit=$limit$query", @$faults, defined $before ? '' : 'no cursor',
				  ids(@$items) eq ids(@rest) ? '' : ids(@$items) . ' is not ' . ids(@rest));
			}
		}
	}

	my @descending = reverse @{ $sorted{createdAt} };
	my $first = check('GET /usage-events', 200, as => 'lister',
	  json => { items => sub { @{ $_[0] } == 20 ? '' : 'not 20 items' },
	  pagination => { after => qr/./, before => undef, totalResultSize => 45 } })->{json};
	my $after = $first->{pagination}{after};
	check('GET /usage-events', 200, as => 'globex',
	  json => has(items => sub { join ' ', grep { !/^$account_id{globex}$/ } map { $_->{sequenceAccountId} } @{ $_[0] } }),
	  what => 'of another account');
	check("GET /usage-events?after=$after&limit=100", 200, as => 'globex', what => 'of another account with a cursor',
	  json => has(items => sub { join ' ', grep { !/^$account_id{globex}$/ } map { $_->{sequenceAccountId} } @{ $_[0] } }));
	check('GET /usage-events?limit=100', 200, as => 'lister', json => has(pagination => has(after => undef, before => undef)));
	check('GET /usage-events?offset=5&limit=3', 200, as => 'lister',
	  json => has(items => sub { ids(@{ $_[0] }) eq ids(@descending[ 5 .. 7 ]) ? '' : 'others' }));
	check("GET /usage-events?offset=5&limit=3&after=$after", 200, as => 'lister',
	  json => has(items => sub { ids(@{ $_[0] }) eq ids(@descending[ 25 .. 27 ]) ? '' : 'others' }));
	my $later = check("GET /usage-events?offset=40&limit=3", 200, as => 'lister')->{json}{pagination}{before};
	check("GET /usage-events?offset=5&limit=3&before=$later", 200, as => 'lister',
	  json => has(items => sub { ids(@{ $_[0] }) eq ids(@descending[ 32 .. 34 ]) ? '' : 'others' }));
	check("GET /usage-events?offset=$_", 200, as => 'lister', json => has(items => [], pagination => has(after => undef)))
	  foreach 45, 1000, 10_000;

	# The list of a first page stays the list of its other pages: what comes meanwhile is on none of them.
	foreach my $order (qw(ASC DESC))
	{
		my $number = 0;
		my $came = sub { send_events('lister',
		  { customerAlias => 'meanwhile', eventType => "came $order", customerEventId => "meanwhile $order " . ++$number }) };
		my ($items, $faults, $last) = all_pages("&sortOrder=$order", 10, 'after', undef, $came);
		my @old = grep { $_->{customerAlias} ne 'meanwhile' } @$items;
		my @expected = $order eq 'ASC' ? reverse @descending : @descending;
		report("pages while events come: $order", @$faults, ids(@old) eq ids(@expected) ? '' : 'other items');
		$transport->sql("DELETE FROM usage_events.event WHERE account_id = '$account_id{lister}' AND customer_alias = 'meanwhile'");
	}
}

sub cases_filters
{
	my $matching = sub {
		my ($matches) = @_;
		my @expected = reverse grep { $matches->($_) } @listed;
		return has(items => sub { ids(@{ $_[0] }) eq ids(@expected) ? '' : "$_[1]: " . @{ $_[0] } . ' items, not ' . @expected },
			pagination => has(totalResultSize => scalar @expected, after => undef, before => undef));
	};
	my %alias_is = map { my $alias = $_; $alias => sub { $_[0]{customerAlias} eq $alias } } 'alice', 'bob', 'alice b',
	  "\x{dc}n\x{ef}c\x{f6}d\x{e9} & co+1/2";
	my $unicode = "\x{dc}n\x{ef}c\x{f6}d\x{e9} & co+1/2";
	my $middle = $listed[20]{eventTimestamp};

	foreach my $case (
		[ 'customerAlias=alice', $alias_is{alice} ], [ 'customerAlias=alice%20b', $alias_is{'alice b'} ],
		  [ 'customerAlias=alice+b', $alias_is{'alice b'} ],
		[ 'customerAlias=' . percent_encoded($unicode), $alias_is{$unicode} ],
		  [ 'customerAlias=' . lc percent_encoded(uc 'alice') =~ s/a/%61/r, $alias_is{alice} ],
		[ '%63ustomerAlias=bob', $alias_is{bob} ],
		  [ 'customerAlias=alice&customerAlias=bob', sub { $_[0]{customerAlias} =~ /^(alice|bob)$/ } ],
		[ 'customerAlias=alice&customerAlias=alice', $alias_is{alice} ],
		  [ 'customerAlias=alice&customerAlias=nobody', $alias_is{alice} ],
		[ join('&', map { "customerAlias=c$_" } 1 .. 300) . '&customerAlias=bob', $alias_is{bob} ],
		[ 'customerAlias=alice,bob', sub { 0 } ], [ 'customerAlias=Alice', sub { 0 } ], [ 'customerAlias=%25', sub { 0 } ],
		  [ 'customerAlias=ali_e', sub { 0 } ], [ 'customerAlias=VOID', sub { 0 } ],
		[ 'eventType=call', sub { $_[0]{eventType} eq 'call' } ],
		  [ 'eventType=message%20sent', sub { $_[0]{eventType} eq 'message sent' } ], [ 'eventType=nothing', sub { 0 } ],
		[ "eventId=$listed[3]{id}", sub { $_[0]{id} eq $listed[3]{id} } ],
		  [ 'eventId=listed%204', sub { $_[0]{customerEventId} eq 'listed 4' } ], [ 'eventId=nothing', sub { 0 } ],
		[ "eventId=$no_uuid", sub { 0 } ],
		[ 'eventTimestampBefore=' . percent_encoded($middle), sub { $_[0]{eventTimestamp} lt $middle } ],
		[ 'eventTimestampAfter=' . percent_encoded($middle), sub { $_[0]{eventTimestamp} ge $middle } ],
		[ "eventTimestampBefore=$middle", sub { $_[0]{eventTimestamp} lt $middle } ],
		[ 'eventTimestampAfter=2024-01-20T02:00:00.000001%2B02:00',
		  sub { $_[0]{eventTimestamp} ge '2024-01-20T00:00:00.000001Z' } ],
		[ 'eventTimestampAfter=2024-01-20T00:00:00.000001Z&eventTimestampBefore=2024-01-20T00:00:00.000001Z', sub { 0 } ],
		[ 'eventTimestampAfter=2024-01-20T00:00:00.000001Z&eventTimestampBefore=2024-01-20T00:00:00.000002Z',
		  sub { $_[0]{eventTimestamp} eq '2024-01-20T00:00:00.000001Z' } ],
		[ 'eventTimestampAfter=2024-01-21T00:00:00Z&eventTimestampBefore=2024-01-20T00:00:00Z', sub { 0 } ],
		[ 'eventTimestampAfter=0001-01-01T00:00:00Z&eventTimestampBefore=9999-12-31T23:59:59Z', sub { 1 } ],
		[ 'customerAlias=alice&eventType=call&eventTimestampAfter=2024-01-20T00:00:00Z',
		  sub { $_[0]{customerAlias} eq 'alice' && $_[0]{eventType} eq 'call' && $_[0]{eventTimestamp} gt '2024-01-20' } ],
		[ 'customerAlias=alice&eventType=message%20sent', sub { 0 } ],
		[ 'unmappedAliasesOnly=false', sub { 1 } ], [ 'unmappedAliasesOnly=true', sub { 1 } ],
		[ 'limit=100&offset=0&sortBy=createdAt&sortOrder=desc', sub { 1 } ])
	{
		my ($query, $matches) = @$case;
		check('GET /usage-events?' . ($query =~ /limit=/ ? '' : 'limit=100&') . $query, 200, as => 'lister',
		  json => $matching->($matches));
	}

	# Pages of what is filtered.
	foreach my $query ('&customerAlias=alice&customerAlias=bob', '&eventType=call&sortBy=eventTimestamp',
	  '&eventTimestampAfter=2024-01-20T00:00:00Z&sortBy=eventTimestamp&sortOrder=ASC')
	{
		my ($once) = all_pages($query, 100, 'after');
		my ($items, $faults) = all_pages($query, 4, 'after');
		report("all pages forward: limit=4$query", @$faults, ids(@$items) eq ids(@$once) ? '' : 'other items',
		  @$once > 8 ? '' : 'too few');
	}

	# What is no parameter, or not as it must be, is told by its name: a filter that is not applied would show too much.
	my $cursor = check('GET /usage-events?limit=1', 200, as => 'lister')->{json}{pagination}{after};
	my $other_cursor = check('GET /usage-events?limit=1&sortBy=eventTimestamp', 200, as => 'lister')->{json}{pagination}{after};
	# An offset's "+" that was sent as it is means a space in a query; it is taken as what it must have been.
	check("GET /usage-events?limit=1&eventTimestampAfter=2024-01-20T02:00:00$_", 200, as => 'lister',
	  what => "an offset of $_") foreach '+02:00', '%2B02:00', '-02:00', 'Z';
	check('GET /usage-events?' . join('&', ('a') x 1500), 400, as => 'lister', error => { message => 'too many parameters' });
	check('GET /usage-events?' . join('&', map { "a$_=1" } 1 .. 500), 400, as => 'lister',
	  error => { details => qr/\nAnd 480 more\.$/ });
	my $ascending_cursor = check('GET /usage-events?limit=1&sortOrder=ASC', 200, as => 'lister')->{json}{pagination}{after};
	my $alias_cursor = encode_base64('01845266-6d64-77c8-9adf-4487d94d1457', '');
	foreach my $query (
		(map { "limit=$_" } '0', '101', 'abc', '', '-1', '1.5', '1e1', '0x10', '%201', '1%20', '+5', '%2B5',
		  '99999999999999999999', '2147483648', '-2147483649', '1,000', '%00', '%ff', '%zz', 'NaN', "%0d%0aX-Injected:%20yes"),
		'limit', 'limit=1&limit=1', 'limit=1&limit=2', '%6cimit=0',
		(map { "offset=$_" } '10001', '-1', 'abc', '', '1.5', '99999999999999999999', '2147483648', '%00'), 'offset=1&offset=1',
		(map { ("after=$_", "before=$_") } '', 'abc', '%20', 'null', '%00', '%ff', '%zz', $alias_cursor,
		  substr($cursor, 0, -1), substr($cursor, 1), $cursor . 'A', $cursor . '%3D%3D%3D', $other_cursor, $ascending_cursor,
			reverse($cursor) . '', substr($cursor, 0, 20) . '-' . substr($cursor, 21), 'A' x 3000, $cursor . $cursor),
		"after=$cursor&after=$cursor", "before=$cursor&before=$cursor", "after=$cursor&sortBy=eventTimestamp",
		  "after=$cursor&sortOrder=ASC", "before=$cursor&sortOrder=ASC",
		(map { "sortBy=$_" } '', 'id', 'createdat', 'CREATEDAT', 'customerAlias', 'createdAt%20',
		  'createdAt,eventTimestamp', '%00', "x'--"), 'sortBy=createdAt&sortBy=createdAt',
		(map { "sortOrder=$_" } '', 'up', 'ASCENDING', 'ASC%20', '-1', '%ff'), 'sortOrder=ASC&sortOrder=ASC',
		(map { "unmappedAliasesOnly=$_" } '', 'maybe', '2', 'tru', 'null', '%00'), 'unmappedAliasesOnly',
		  'unmappedAliasesOnly=true&unmappedAliasesOnly=true',
		(map { ("eventTimestampBefore=$_", "eventTimestampAfter=$_") } '', 'now', 'yesterday', 'infinity', '2024-01-20',
		  '2024-01-20T00:00:00', '2024-02-30T00:00:00Z',
			'2024-01-20T00:00:00Z%00', '1705708800', '0000-01-01T00:00:00Z', '10000-01-01T00:00:00Z', "%0d%0aX-Injected:%20yes"),
		'eventTimestampBefore=2024-01-20T00:00:00Z&eventTimestampBefore=2024-01-20T00:00:00Z',
		(map { ("customerAlias=$_", "eventType=$_", "eventId=$_") } '%00', 'a%00b', '%zz', '%', '%4', 'a%', '%ff', '%c0%af',
		  '%ed%a0%80', '%f4%90%80%80', '%c3', '%u0041'),
		'eventType=a&eventType=b', 'eventId=a&eventId=b')
	{
		my ($name) = $query =~ /^([^=]+)/;
		$name = 'limit' if $name eq '%6cimit';
		check("GET /usage-events?$query", 400, as => 'lister', names => qr/\b$name\b/);
	}
	check("GET /usage-events?after=$cursor&before=$cursor", 400, as => 'lister', names => 'before');
	check("GET /usage-events?$_", 400, as => 'lister') foreach '%ff=x', '%zz=x', '%00=x', '=x', '%',
	  '%0d%0aX-Injected:%20yes=%0d%0aX-Injected:%20yes';
	check("GET /usage-events?$_=1", 400, as => 'lister', names => $_) foreach 'foo', 'Limit', 'limit[]', 'customer_alias',
	  'customerAlias[]', 'select', 'order', 'columns', 'event_type', 'page_limit', 'sort_by', 'x' x 50;
	check('GET /usage-events?customerEventId=x&limit=0&sortOrder=up&offset=-1', 400, as => 'lister', names => $_,
	  what => "names $_") foreach qw(customerEventId limit sortOrder offset);

	# Texts that no event can have: an empty list, or a fault by name.
	check("GET /usage-events?$_", [ 200, 400 ], as => 'lister',
	  json => sub { exists $_[0]{items} && @{ $_[0]{items} } ? 'items' : '' })
	  foreach map { my $name = $_; map { "$name=$_" } '', '%20', 'x' x 256, 'x' x 3000,
	  percent_encoded("\x{1f600}" x 256) } qw(customerAlias eventType eventId);

	# A cursor that somebody made up, with a checksum that is right.
	foreach my $bytes (
		map { pack 'CCa8a16a16a8', 1, 1, @$_ }[ "\x7f" . "\xff" x 7, "\xff" x 16, "\xff" x 16, "\x7f" . "\xff" x 7 ],
		  [ "\x80" . "\0" x 7, "\0" x 16, "\0" x 16, "\x80" . "\0" x 7 ],
		[ "\0" x 8, "\xff" x 16, "\0" x 16, "\xff" x 8 ])
	{
		foreach my $order (0 .. 3)
		{
			substr $bytes, 1, 1, chr $order;
			my $forged = encode_base64($bytes . pack('N', crc32c($bytes)), '') =~ tr{+/}{-_}r =~ s/=//gr;
			my $query = 'sortBy=' . ($order & 2 ? 'eventTimestamp' : 'createdAt') . '&sortOrder=' . ($order & 1 ? 'DESC' : 'ASC');
			check("GET /usage-events?limit=2&$_=$forged&$query", [ 200, 400 ], as => 'lister', what => 'a forged cursor')
			  foreach qw(after before);
		}
	}
}

# CRC-32C (Castagnoli), bit by bit.
sub crc32c
{
	my ($bytes) = @_;
	my $crc = 0xffffffff;
	foreach my $byte (unpack 'C*', $bytes)
	{
		$crc ^= $byte;
		$crc = $crc & 1 ? $crc >> 1 ^ 0x82f63b78 : $crc >> 1 foreach 1 .. 8;
	}
	return $crc ^ 0xffffffff;
}

# Customer aliases -----------------------------------------------------------

sub unmapped
{
	my $answer = $transport->request('GET', '/usage-events?limit=100&unmappedAliasesOnly=true',
	  [ Authorization => basic($key{mapper}) ], '', 'nginx');
	my %aliases = map { $_->{customerAlias} => 1 } @{ $json->decode($answer->{body})->{items} };
	return join ' ', sort keys %aliases;
}

sub cases_aliases
{
	my $post = 'POST /customer-aliases';
	my @as = (as => 'mapper');
	send_events('mapper', map { { customerAlias => $_, eventType => 'call',
	  customerEventId => "mapped $_" } } qw(a-1 a-2 a-3 customer-1 VOID));
	report('all are unmapped but VOID', difference(unmapped(), 'a-1 a-2 a-3 customer-1'));
	check('GET /customer-aliases', 200, @as,
	  json => { items => [], pagination => { after => undef, before => undef, totalResultSize => 0 } });

	my $first = check($post, 201, @as, body => { customerId => 'customer-1', value => 'a-1' },
	  json => alias(customerId => 'customer-1', value => 'a-1', sequenceAccountId => $account_id{mapper}))->{json};
	report('an alias maps its value and its customer at once', difference(unmapped(), 'a-2 a-3'));
	check($post, 201, @as, body => { customerId => 'customer-1', value => 'a-1' }, json => $first, what => 'again is a retry');
	check($post, 201, @as, body => { customerId => 'customer-1', value => 'a-1', label => undef }, json => $first,
	  what => 'again with a null label');
	check($post, 400, @as, body => { customerId => 'customer-2', value => 'a-1' },
	  names => '"value" is an alias of customer "customer-1"', what => 'a value that is taken');
	my $labelled = check($post, 201, @as, body => { customerId => 'customer-1', value => 'a-2', label => 'two' },
	  json => alias(label => 'two'))->{json};
	report('and another value', difference(unmapped(), 'a-3'));
	check($post, 400, @as, body => { customerId => 'c', value => 'VOID' }, names => '"value" is reserved');
	check($post, 201, as => 'globex', body => { customerId => 'customer-9', value => 'a-1' },
	  json => alias(customerId => 'customer-9'), what => 'of another account');
	report('what another account maps counts nothing here', difference(unmapped(), 'a-3'));
	check("$post?select=x&limit=0", 201, @as, body => { customerId => 'customer-1', value => 'a-1' }, json => $first);

	check($post, 400, @as, body => $_->[0], names => $_->[1]) foreach [ {}, 'customerId' ], [ {}, 'value' ],
	  [ { customerId => 'c' }, 'value' ], [ { value => 'v' }, 'customerId' ],
	  [ { customerId => '', value => 'v' }, 'customerId' ], [ { customerId => 'c', value => ' ' }, 'value' ],
	  [ { customerId => 5, value => 'v' }, 'customerId' ], [ { customerId => 'c', value => undef }, 'value' ],
	  [ { customerId => 'c', value => [] }, 'value' ], [ { customerId => 'c', value => 'x' x 256 }, 'value' ],
	  [ { customerId => 'c', value => 'v', label => 5 }, 'label' ],
	  [ { customerId => 'c', value => 'v', label => 'x' x 256 }, 'label' ],
	  [ { customerId => 'c', value => 'v', label => {} }, 'label' ];
	check($post, 400, @as, body => $_, what => 'no alias: ' . substr $_, 0, 20) foreach '', '[]', 'null', '5', '"x"', '{',
	  '{} x', "\xff", '{"customerId": "c", "value": "\u0000"}', '[{"customerId": "c", "value": "v"}]', '[' x 500_000,
	  '{"a":' x 100_000;
	check($post, 400, @as, body => { customerId => $split, value => $split }, what => 'no alias: line ends', names => $_)
	  foreach '"customerId" must not contain a control character', '"value" must not contain a control character';
	my $odd = q('"&?/\\;-- =%2c);
	my $split_alias = check($post, 201, @as, body => { customerId => $odd, value => $odd, label => $split },
	  json => alias(customerId => $odd, value => $odd, label => $split))->{json};

	# Reading.
	my $list = 'GET /customer-aliases';
	check($list, 200, @as, json => has(items => sub { difference([ sort map { $_->{id} } @{ $_[0] } ],
	  [ sort map { $_->{id} } $first, $labelled, $split_alias ]) }));
	check("$list?value=a-1", 200, @as, json => has(items => [$first]));
	check("$list?value=" . percent_encoded($odd), 200, @as, json => has(items => [$split_alias]));
	check("$list?value=$_", 200, @as, json => has(items => [])) foreach 'nothing', 'A-1', 'a-%25', 'customer-1';
	foreach my $query ('limit=0', 'limit=101', 'limit=abc', 'limit=', 'limit=1&limit=1', 'after=abc', 'before=abc',
	  'after=', 'value=a&value=b', 'value=%00', 'value=%ff', 'value=%zz', 'foo=1', 'offset=1', 'sortBy=createdAt')
	{
		my ($name) = $query =~ /^([^=]+)/;
		check("$list?$query", 400, @as, names => $name);
	}
	my $event_cursor = check('GET /usage-events?limit=1', 200, @as)->{json}{pagination}{after};
	check("$list?after=$event_cursor", 400, @as, names => 'after', what => 'a cursor of events');
	my $page = check("$list?limit=1", 200, @as, json => has(pagination => has(after => qr/./, before => undef)))->{json};
	my @seen = @{ $page->{items} };
	while (defined $page->{pagination}{after} && @seen < 10)
	{
		$page = check("$list?limit=1&after=$page->{pagination}{after}", 200, @as)->{json};
		push @seen, @{ $page->{items} };
	}
	report('all pages of aliases',
	  difference([ sort map { $_->{id} } @seen ], [ sort map { $_->{id} } $first, $labelled, $split_alias ]));
	$page = check("$list?limit=1&before=$page->{pagination}{before}", 200, @as)->{json};
	report('and one page back', difference($page->{items}, [ $seen[-2] ]));
	check("$list?after=$page->{pagination}{after}&before=$page->{pagination}{after}", 400, @as);

	# Changing.
	my $put = "PUT /customer-aliases/$first->{id}";
	check($put, 200, @as, body => { label => 'one' }, json => { %$first, label => 'one' });
	check("$put?x=1", 200, @as, body => { label => 'one more' }, json => { %$first, label => 'one more' },
	  what => 'with a query');
	check($put, 200, @as, body => { label => undef }, json => $first);
	check($put, 400, @as, body => $_, names => 'label') foreach { label => 5 }, { label => [] }, { label => 'x' x 256 }, {};
	check($put, 400, @as, body => $_, what => "no label: $_") foreach '', '[]', 'null', '"x"', '{', "\xff", '{"label": "\u0000"}';
	check($put, [ 200, 400 ], @as, body => { label => undef, value => 'a-3', customerId => 'x' },
	  what => 'with more than a label');
	check("$list?value=a-1", 200, @as, json => has(items => [$first]), what => 'has changed nothing else');
	check("PUT /customer-aliases/$no_uuid", 404, @as, body => { label => 'x' });
	check('PUT /customer-aliases/x', [ 400, 404 ], @as, body => { label => 'x' });
	check($put, 404, as => 'globex', body => { label => 'x' }, what => 'of another account');
	check($put, 401, as => undef, body => { label => 'x' });

	# Deleting.
	my $delete = "DELETE /customer-aliases/$first->{id}";
	check("DELETE /customer-aliases/$no_uuid", 404, @as);
	check('DELETE /customer-aliases/x', [ 400, 404 ], @as);
	check($delete, 404, as => 'globex', what => 'of another account');
	check($delete, 401, as => undef);
	check("$list?value=a-1", 200, @as, json => has(items => [$first]), what => 'is still there');
	my $deleted = check($delete, 200, @as, json => { %$first, deletedAt => $instant })->{json};
	check("$list?value=a-1", 200, @as, json => has(items => []), what => 'is gone');
	report('and its value is unmapped at once', difference(unmapped(), 'a-1 a-3'));
	check($delete, [ 200, 404 ], @as, what => 'again',
	  json => sub { exists $_[0]{deletedAt} && $_[0]{deletedAt} ne $deleted->{deletedAt} ? 'deleted anew' : '' });
	check($put, [ 400, 404 ], @as, body => { label => 'x' }, what => 'of a deleted one');
	my $again = check($post, 201, @as, body => { customerId => 'customer-2', value => 'a-1' },
	  json => alias(customerId => 'customer-2', value => 'a-1'), what => 'a deleted value for another customer')->{json};
	report('it is another alias', $again->{id} ne $first->{id} ? '' : 'the same');
	report('it is mapped at once', difference(unmapped(), 'a-3'));
	check("DELETE /customer-aliases/$labelled->{id}", 200, @as, json => has(deletedAt => $instant));
	report('the customer of no alias is unmapped', difference(unmapped(), 'a-2 a-3 customer-1'));
	check("DELETE /customer-aliases/$again->{id}?value=x", 200, @as, body => 'a body that nobody reads',
	  json => has(deletedAt => $instant));
}

# Usage metrics ----------------------------------------------------------------

# What a client says of a metric: COUNT of calls, but for these fields.
sub new_metric
{
	my (%fields) = @_;
	return { name => 'calls', metricType => 'SIMPLE', eventType => 'call', aggregationType => 'COUNT', %fields };
}

sub cases_metrics
{
	my ($list, $post) = ('GET /usage-metrics', 'POST /usage-metrics');
	my @as = (as => 'meter');
	check($list, 200, @as,
	  json => { items => [], pagination => { after => undef, before => undef, totalResultSize => 0 } });

	# Creating.
	my $calls = check($post, 201, @as, body => new_metric(),
	  json => metric(name => 'calls', eventType => 'call', sequenceAccountId => $account_id{meter}))->{json};
	my %full = (
		name => "Größe, \x{1f600}", description => '', metricType => 'GROUPED', eventType => 'message, long',
		aggregationType => 'SUM', aggregationProperty => 'size, in MB', groupingProperty => 'a.b', unit => '%',
		propertyFilters => { "it's \"q\"" => [ 'x', 1.5, JSON::PP::false, undef ], channel => ['text'] },
		propertiesToNegate => ['channel'], caseSensitive => JSON::PP::false);
	my $full = check($post, 201, @as, body => \%full, json => metric(%full), what => 'with everything')->{json};
	my $split_metric = check($post, 201, @as, body => new_metric(name => $split, eventType => 'x', unit => $split),
	  json => metric(name => $split, eventType => 'x', unit => $split), what => 'with line breaks')->{json};
	my $again = check($post, 201, @as, body => new_metric(), json => metric(name => 'calls'),
	  what => 'of a name that is there')->{json};
	report('it is another metric', $again->{id} ne $calls->{id} ? '' : 'the same');
	check("DELETE /usage-metrics/$again->{id}", 200, @as, json => { %$again, deletedAt => $instant });
	my $others = check($post, 201, as => 'globex', body => new_metric(), json => metric())->{json};

	my %median = (name => 'Median', eventType => 'message', aggregationType => 'PERCENTILE', aggregationProperty => 'size', percentile => 0.5);
	my $median = check($post, 201, @as, body => new_metric(%median), json => metric(%median), what => 'a percentile')->{json};
	my %another = (%median, percentile => 1);
	check("PUT /usage-metrics/$median->{id}", 200, @as, body => new_metric(%another), json => { %$median, percentile => 1 });
	check("DELETE /usage-metrics/$median->{id}", 200, @as, json => { %$median, percentile => 1, deletedAt => $instant });

	my @refused = (
		[ {}, qr/"name" is missing.*"eventType" is missing.*"metricType" is missing.*"aggregationType" is missing/s ],
		map({ [ new_metric(%{ $_->[0] }), $_->[1] ] }
			[ { name => '' }, 'name' ], [ { name => undef }, 'name' ], [ { name => 'x' x 256 }, 'name' ],
			[ { description => 5 }, 'description' ], [ { description => 'x' x 1001 }, 'description' ],
			[ { eventType => '' }, 'eventType' ], [ { eventType => [] }, 'eventType' ], [ { unit => '' }, 'unit' ],
			[ { metricType => 'simple' }, 'metricType' ], [ { metricType => undef }, 'metricType' ],
			[ { metricType => 'GROUPED' }, 'groupingProperty' ], [ { groupingProperty => 'p' }, 'groupingProperty' ],
			[ { aggregationType => 'AVG' }, 'aggregationType' ], [ { aggregationType => $split }, 'aggregationType' ],
			[ { aggregationType => 'CUSTOM' }, 'for administrators' ], [ { aggregationType => 'SUM' }, 'aggregationProperty' ],
			[ { aggregationType => 'MEDIAN', aggregationProperty => 'p' }, qr/"PERCENTILE" with 0\.5 as its "percentile"/ ],
			map({ [ { aggregationType => 'PERCENTILE', aggregationProperty => 'p', percentile => $_ }, '"percentile"' ] }
				undef, '0.5', 1.01, -0.01, [], JSON::PP::true),
			[ { percentile => 0.5 }, '"percentile"' ], [ { propertyFilters => [] }, 'propertyFilters' ], [ { propertyFilters => { a => [] } }, '"a"' ],
			[ { propertyFilters => { a => 'b' } }, '"a"' ], [ { propertyFilters => { a => [ {} ] } }, '"a"' ],
			[ { propertyFilters => { '' => [1] } }, 'propertyFilters' ],
			[ { propertyFilters => { map { $_ => [1] } 1 .. 101 } }, '101' ],
			[ { propertyFilters => { a => [ 1 .. 1001 ] } }, '1001' ],
			[ { propertiesToNegate => ['b'] }, '"b"' ], [ { propertiesToNegate => 'b' }, 'propertiesToNegate' ],
			[ { caseSensitive => 'true' }, 'caseSensitive' ]));
	my @no_bodies = ('', '[]', 'null', '5', '"x"', '{', '{} x', "\xff", '{"name": "\u0000"}', '[' x 500_000, '{"a":' x 100_000);
	foreach my $request ($post, "PUT /usage-metrics/$calls->{id}")
	{
		check($request, 400, @as, body => $_->[0], names => $_->[1], error => { code => '22023' }) foreach @refused;
		check($request, 400, @as, body => $_, what => 'no metric: ' . substr $_, 0, 20) foreach @no_bodies;
		check($request, 401, as => undef, body => new_metric());
	}
	check("$post?name=x&limit=0", 201, as => 'globex', body => new_metric(), json => metric(), what => 'with a query');

	# Reading.
	check("GET /usage-metrics/$calls->{id}", 200, @as, json => $calls);
	check("GET /usage-metrics/$full->{id}", 200, @as, json => $full);
	check("GET /usage-metrics/$again->{id}", 200, @as, json => { %$again, deletedAt => $instant }, what => 'deleted');
	check("GET /usage-metrics/$no_uuid", 404, @as);
	check('GET /usage-metrics/x', 400, @as);
	check("GET /usage-metrics/$others->{id}", 404, @as, what => 'of another account');
	check("GET /usage-metrics/$calls->{id}", 401, as => undef);

	my $lists = sub {
		my ($query, @metrics) = @_;
		check("$list?$query", 200, @as, json => has(items => \@metrics, pagination => has(totalResultSize => scalar @metrics)));
	};
	$lists->('', $split_metric, $full, $calls);
	$lists->("name=$_", $calls) foreach 'calls', 'CALLS', 'all';
	$lists->('name=' . percent_encoded($split), $split_metric);
	$lists->("name=$_") foreach 'c_lls', '.*', '%25', 'x+y';
	$lists->('id=' . $_, $calls) foreach $calls->{id}, uc $calls->{id}, substr $calls->{id}, 20;
	$lists->('id=x');
	$lists->('eventType=call', $calls);
	$lists->('eventType=message%2C%20long', $full);
	$lists->('eventType=message,long');
	$lists->('eventType=nothing,message%2C+long,call', $full, $calls);
	$lists->('eventType=message%2C%20long&eventType=call', $full, $calls);
	$lists->('eventProperty=size%2C%20in%20MB', $full);
	$lists->('aggregationType=SUM', $full);
	$lists->('aggregationType=COUNT,SUM,CUSTOM', $split_metric, $full, $calls);
	$lists->('aggregationType=MAX');
	$lists->('name=calls&id=' . substr($calls->{id}, 0, 5) . '&eventType=call,x&aggregationType=COUNT', $calls);
	$lists->('name=calls&eventProperty=x');
	foreach my $query ('limit=0', 'limit=101', 'limit=x', 'after=abc', 'before=abc', 'name=a&name=b', 'id=a&id=b', 'name=%ff',
		'eventType=', 'eventType=a,', 'eventType=,a', 'eventType=a,,b', 'eventType=%zz', 'eventType=a,%ff', 'eventType=%00',
		'eventProperty=', 'aggregationType=sum', 'aggregationType=SUM,', 'aggregationType=SUM,AVG', 'foo=1', 'offset=1',
		'sortBy=createdAt', 'aggregationProperty=x', 'metricType=SIMPLE')
	{
		my ($name) = $query =~ /^([^=]+)/;
		check("$list?$query", 400, @as, names => $name);
	}
	check($list, 401, as => undef);
	my $event_cursor = check('GET /usage-events?limit=1', 200, as => 'lister')->{json}{pagination}{after};
	check("$list?after=$event_cursor", 400, @as, names => 'after', what => 'a cursor of events');
	my $page = check("$list?limit=2", 200, @as,
	  json => { items => [ $split_metric, $full ], pagination => { after => qr/./, before => undef, totalResultSize => 3 } })->{json};
	$page = check("$list?limit=2&after=$page->{pagination}{after}", 200, @as,
	  json => { items => [$calls], pagination => { after => undef, before => qr/./, totalResultSize => 3 } }, what => 'next')->{json};
	check("$list?limit=1&before=$page->{pagination}{before}", 200, @as, json => has(items => [$full]), what => 'and back');
	check("$list?limit=1&name=x&before=$page->{pagination}{before}", 400, @as, names => 'before', what => 'of another list');

	# Replacing.
	my $put = "PUT /usage-metrics/$calls->{id}";
	my %kept = map { $_ => $calls->{$_} } qw(id createdAt sequenceAccountId);
	check($put, 200, @as, body => \%full, json => metric(%full, %kept), what => 'with everything');
	check("GET /usage-metrics/$calls->{id}", 200, @as, json => metric(%full, %kept), what => 'replaced');
	check("$put?x=1", 200, @as, body => { %$full, id => $full->{id} }, json => metric(%full, %kept), what => 'with the answer of another');
	check($put, 200, @as, body => new_metric(), json => $calls, what => 'back');
	check("PUT /usage-metrics/$no_uuid", 404, @as, body => new_metric());
	check('PUT /usage-metrics/x', 400, @as, body => new_metric());
	check($put, 404, as => 'globex', body => new_metric(), what => 'of another account');

	# Deleting.
	my $delete = "DELETE /usage-metrics/$split_metric->{id}";
	check("DELETE /usage-metrics/$no_uuid", 404, @as);
	check('DELETE /usage-metrics/x', 400, @as);
	check($delete, 404, as => 'globex', what => 'of another account');
	check($delete, 401, as => undef);
	$lists->('', $split_metric, $full, $calls);
	check($delete, 200, @as, body => 'a body that nobody reads', json => { %$split_metric, deletedAt => $instant });
	check($delete, 404, @as, what => 'again');
	check("PUT /usage-metrics/$split_metric->{id}", 404, @as, body => new_metric(), what => 'of a deleted one');

	# Versions: those that were replaced, and the deletion.
	my $versions = "GET /usage-metrics/$calls->{id}/versions";
	my $found = check($versions, 200, @as, json => { items => [
		version($calls, supersededAt => undef), map({ version($_, supersededAt => $instant) } metric(%full, %kept), $calls) ],
		pagination => { after => undef, before => undef, totalResultSize => 3 } })->{json}{items};
	report('each was in force until the next', map { difference($found->[ $_ + 1 ]{supersededAt}, $found->[$_]{inForceSince}) } 0, 1);
	check("GET /usage-metrics/$split_metric->{id}/versions", 200, @as, what => 'of a deleted one', json => has(items => [
		version($split_metric, deletedAt => $instant, supersededAt => undef), version($split_metric, supersededAt => $instant) ]));
	my $first = check("$versions?limit=1", 200, @as, json => has(items => [ $found->[0] ]), what => 'a page')->{json}{pagination};
	check("$versions?limit=1&after=$first->{after}", 200, @as, json => has(items => [ $found->[1] ]), what => 'the next page');
	check("GET /usage-metrics/$split_metric->{id}/versions?after=$first->{after}", 400, @as, names => 'after', what => 'of another metric');
	check("$versions?limit=0&x=1", 400, @as, names => qr/"x".*"limit"/s);
	check("GET /usage-metrics/$no_uuid/versions", 404, @as);
	check('GET /usage-metrics/x/versions', 400, @as);
	check($versions, 404, as => 'globex', what => 'of another account');
	check($versions, 401, as => undef);
	$lists->('', $full, $calls);
}

# Usage alerts -----------------------------------------------------------------

sub cases_alerts
{
	my ($list, $post) = ('GET /usage-alerts', 'POST /usage-alerts');
	my @as = (as => 'meter');
	my $metric = check('POST /usage-metrics', 201, @as, body => new_metric(), json => metric())->{json};
	my $others = check('POST /usage-metrics', 201, as => 'globex', body => new_metric(), json => metric())->{json};
	# What a client says of an alert: 100 and 200 a month, but for these fields.
	my $new = sub {
		my (%fields) = @_;
		return { name => 'much', usageMetricId => $metric->{id}, period => 'MONTH', thresholds => [ 100, 200 ], direction => 'ABOVE', %fields };
	};

	# Creating.
	my $much = check($post, 201, @as, body => $new->(), json => alert(name => 'much', usageMetricId => $metric->{id}))->{json};
	my %full = (name => "Größe, \x{1f600}", customer => 'acme', period => 'DAY', timezone => 'Europe/Berlin', anchor => '2026-10-15T04:00:00Z',
		thresholds => [ -1.5, 0, 10 ], direction => 'BELOW');
	my $full = check($post, 201, @as, body => $new->(%full), json => alert(%full), what => 'with everything')->{json};
	my @refused = (
		[ {}, qr/"name" is missing.*"usageMetricId" is missing.*"period" is missing.*"thresholds" is missing.*"direction" is missing/s ],
		map({ [ $new->(%{ $_->[0] }), $_->[1] ] }
			[ { name => ' ' }, 'name' ], [ { usageMetricId => 'x' }, 'usageMetricId' ], [ { usageMetricId => $no_uuid }, 'usageMetricId' ],
			[ { usageMetricId => $others->{id} }, 'usageMetricId' ], [ { customer => 5 }, 'customer' ], [ { period => 'month' }, 'period' ],
			[ { timezone => 'Mars' }, 'timezone' ], [ { anchor => '2026-10-15' }, 'anchor' ], [ { thresholds => [] }, 'thresholds' ],
			[ { thresholds => [ 2, 1 ] }, 'thresholds' ], [ { thresholds => [ 1 .. 21 ] }, 'thresholds' ], [ { direction => 'UP' }, 'direction' ]));
	foreach my $request ($post, "PUT /usage-alerts/$much->{id}")
	{
		check($request, 400, @as, body => $_->[0], names => $_->[1]) foreach @refused;
		check($request, 400, @as, body => $_, what => "no alert: $_") foreach qw(null [] 5 {);
		check($request, 401, as => undef, body => $new->());
	}

	# Reading, replacing, deleting.
	check("GET /usage-alerts/$full->{id}", 200, @as, json => $full);
	check("GET /usage-alerts/$no_uuid", 404, @as);
	check('GET /usage-alerts/x', 400, @as);
	check("GET /usage-alerts/$full->{id}", 404, as => 'globex', what => 'of another account');
	my $put = "PUT /usage-alerts/$much->{id}";
	check($put, 200, @as, body => { %$much, name => 'more', thresholds => [300] }, json => { %$much, name => 'more', thresholds => [300] });
	check($put, 400, @as, body => $new->(period => 'DAY'), names => 'period', what => 'what it is about stays');
	check($put, 200, @as, body => $new->(), json => $much, what => 'back');
	check("PUT /usage-alerts/$no_uuid", 404, @as, body => $new->());
	check($put, 400, as => 'globex', body => $new->(), names => 'usageMetricId', what => 'of another account');
	check("DELETE /usage-alerts/$much->{id}", 404, as => 'globex', what => 'of another account');
	check("DELETE /usage-alerts/$no_uuid", 404, @as);

	# Lists.
	my $lists = sub {
		my ($query, @alerts) = @_;
		check("$list?$query", 200, @as, json => has(items => \@alerts, pagination => has(totalResultSize => scalar @alerts)));
	};
	$lists->('', $full, $much);
	$lists->('customer=acme', $full);
	$lists->('customer=x');
	$lists->("usageMetricId=$metric->{id}", $full, $much);
	$lists->("usageMetricId=$no_uuid");
	my $page = check("$list?limit=1", 200, @as, json => has(items => [$full]))->{json};
	check("$list?limit=1&after=$page->{pagination}{after}", 200, @as, json => has(items => [$much]), what => 'next');
	foreach my $query ('limit=0', 'after=abc', 'usageMetricId=x', 'usageMetricId=', 'foo=1', 'customer=a&customer=b')
	{
		my ($name) = $query =~ /^([^=]+)/;
		check("$list?$query", 400, @as, names => $name);
	}
	check("$list?customer=x&after=$page->{pagination}{after}", 400, @as, names => 'after', what => 'of another list');
	check($list, 401, as => undef);
	check("DELETE /usage-alerts/$much->{id}", 200, @as, json => { %$much, deletedAt => $instant });
	check("DELETE /usage-alerts/$much->{id}", 404, @as, what => 'again');
	check("GET /usage-alerts/$much->{id}", 200, @as, json => { %$much, deletedAt => $instant }, what => 'deleted');
	$lists->('', $full);

	# What was told.
	my $told = 'GET /usage-alert-events';
	my $empty = { items => [], pagination => { after => undef, before => undef, totalResultSize => 0 } };
	check("$told?$_", 200, @as, json => $empty) foreach '', "usageAlertId=$full->{id}&customer=acme&state=TRIGGERED", 'state=RESOLVED';
	foreach my $query ('limit=101', 'before=abc', 'usageAlertId=x', 'state=triggered', 'state=', 'period=DAY')
	{
		my ($name) = $query =~ /^([^=]+)/;
		check("$told?$query", 400, @as, names => $name);
	}
	check("$told?after=$page->{pagination}{after}", 400, @as, names => 'after', what => 'a cursor of alerts');
	check($told, 401, as => undef);
	check("DELETE /usage-metrics/$metric->{id}", 200, @as);
}

# What a calculation answers.
sub value_of
{
	my ($metric, %expected) = @_;
	return {
		map({ $_ => $metric->{$_} } qw(name metricType eventType aggregationType unit)), minEventId => $uuid,
		maxEventId => $uuid, skippedEventCount => 0, %expected };
}

# A moment between what was sent before and what will be.
sub moment_between
{
	sleep 0.02;
	my ($moment) = $transport->sql(q{SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')});
	sleep 0.02;
	return $moment;
}

sub cases_calculate
{
	my @as = (as => 'meter');
	my @ids = send_events('meter', map { { customerAlias => $_->[0], eventType => 'sent', eventTimestamp => $_->[1],
	  customerEventId => "sent $_->[1]", eventProperties => $_->[2] } }
		[ 'a,b', '2024-07-01T00:00:00Z', { length => 100.035, channel => 'text' } ],
		[ 'a,b', '2024-07-10T00:00:00Z', { length => 'unknown', channel => 'text' } ],
		[ 'c', '2024-07-15T12:00:00Z', { length => 7, channel => 'text' } ],
		[ 'a,b', '2024-07-31T23:59:59.999999Z', { length => '50', channel => 'email' } ],
		[ 'c', '2024-08-01T00:00:00Z', { length => 1000 } ]);
	my %sum = (name => 'Length', eventType => 'sent', aggregationType => 'SUM', aggregationProperty => 'length', unit => 'bytes');
	my $sum = check('POST /usage-metrics', 201, @as, body => new_metric(%sum), json => metric(%sum))->{json};
	my $path = "GET /usage-metrics/$sum->{id}/calculate";
	my $july = 'periodStart=2024-07-01&periodEnd=2024-07-31';
	my $calculates = sub {
		my ($query, $count, $value, %more) = @_;
		my @none = $count == 0 ? (minEventId => undef, maxEventId => undef) : ();
		check("$path?$query", 200, @as, json => value_of($sum, eventCount => $count, value => $value, @none, %more));
	};

	# Customers.
	my @first = (skippedEventCount => 1, minEventId => $ids[0], maxEventId => $ids[3]);
	$calculates->("customerAliases=a%2Cb&$july", 2, 150.035, @first);
	$calculates->("customerAliases=a%2Cb,c&$july", 3, 157.035, @first);
	$calculates->("customerAliases=a%2cb&$july&customerAliases=c", 3, 157.035, @first);
	$calculates->("customerAliases=c,c&$july", 1, 7, minEventId => $ids[2], maxEventId => $ids[2]);
	$calculates->("customerAliases=$_&$july", 0, 0) foreach 'a,b', 'C', '%20c', 'nobody', percent_encoded($split), 'a%252Cb';
	check('POST /customer-aliases', 201, @as, body => { customerId => 'customer, 1', value => 'a,b' });
	$calculates->("customerAliases=$_&$july", 2, 150.035, @first) foreach 'customer%2C%201', 'customer%2C+1', 'customer%2C%201,a%2Cb';
	check("$path?customerAliases=c&$july", 404, as => 'globex', what => 'of another account');

	# Periods: the end is inside.
	foreach my $case (
		[ '2024-07-01', '2024-08-01', 4, 1157.035, 1 ], [ '2024-07-01', '2024-08-01T00:00:00Z', 4, 1157.035, 1 ],
		[ '2024-07-01', '2024-07-31T23:59:59.999999Z', 3, 157.035, 1 ],
		[ '2024-07-01', '2024-07-31T23:59:59.999998Z', 2, 107.035, 1 ],
		[ '2024-07-01T00:00:00Z', '2024-07-01T00:00:00Z', 1, 100.035, 0 ], [ '2024-07-01', '2024-07-01', 1, 100.035, 0 ],
		[ '2024-07-01T00:00:00.000001Z', '2024-07-01', 0, 0, 0 ], [ '2024-07-15T12:00Z', '2024-07-15', 1, 7, 0 ],
		[ '2024-07-01T02:00:00+02:00', '2024-07-02T00:00:00%2B02:00', 1, 100.035, 0 ],
		[ '0001-01-01', '9999-12-31', 4, 1157.035, 1 ])
	{
		my ($start, $end, $count, $value, $skipped) = @$case;
		$calculates->("customerAliases=a%2Cb,c&periodStart=$start&periodEnd=$end", $count, $value, skippedEventCount => $skipped);
	}

	# Groups.
	my %grouped = (name => 'By channel', metricType => 'GROUPED', groupingProperty => 'channel', eventType => 'sent');
	my $grouped = check('POST /usage-metrics', 201, @as, body => new_metric(%grouped), json => metric(%grouped))->{json};
	check("GET /usage-metrics/$grouped->{id}/calculate?customerAliases=a%2Cb,c&periodStart=2024-07-01&periodEnd=2024-08-01", 200,
	  @as, json => value_of($grouped, eventCount => 5, value => 5, minEventId => $ids[0], maxEventId => $ids[4], groupedValues => [
		{ grouping => 'email', value => 1, eventCount => 1 }, { grouping => 'text', value => 3, eventCount => 3 },
		{ grouping => undef, value => 1, eventCount => 1 } ]));
	my %largest = (name => 'Largest', eventType => 'sent', aggregationType => 'MAX', aggregationProperty => 'length');
	my $largest = check('POST /usage-metrics', 201, @as, body => new_metric(%largest), json => metric(%largest))->{json};
	check("GET /usage-metrics/$largest->{id}/calculate?customerAliases=nobody&$july", 200, @as,
	  json => value_of($largest, eventCount => 0, value => undef, minEventId => undef, maxEventId => undef));

	my %middle = (name => 'Middle', eventType => 'sent', aggregationType => 'PERCENTILE', aggregationProperty => 'length', percentile => 0.5);
	my $middle = check('POST /usage-metrics', 201, @as, body => new_metric(%middle), json => metric(%middle))->{json};
	check("GET /usage-metrics/$middle->{id}/calculate?customerAliases=a%2Cb,c&$july", 200, @as,
	  json => value_of($middle, eventCount => 3, value => 50, skippedEventCount => 1));

	# As it was.
	my $before = moment_between();
	send_events('meter', { customerAlias => 'c', eventType => 'sent', eventTimestamp => '2024-07-15T12:00:00Z',
	  customerEventId => 'sent 2024-07-15T12:00:00Z', eventProperties => { length => 8 } });
	my $between = moment_between();
	check("PUT /usage-metrics/$sum->{id}", 200, @as, body => new_metric(%sum, aggregationType => 'COUNT'));
	$calculates->("customerAliases=c&$july&asOf=$before", 1, 7, minEventId => $ids[2]);
	$calculates->("customerAliases=c&$july&asOf=$between", 1, 8);
	$calculates->("customerAliases=c&$july", 1, 1, aggregationType => 'COUNT');
	check("$path?customerAliases=c&$july&asOf=2020-01-01T00:00:00Z", 404, @as, what => 'before there was a metric');

	# Refusals.
	my %good = (customerAliases => 'c', periodStart => '2024-07-01', periodEnd => '2024-07-31');
	my $with = sub {
		my (%changed) = @_;
		my %query = (%good, %changed);
		return "$path?" . join '&', map { "$_=$query{$_}" } grep { defined $query{$_} } sort keys %query;
	};
	foreach my $name (sort keys %good)
	{
		check($with->($name => undef), 400, @as, names => qq("$name" is missing));
		check($with->($name => ''), 400, @as, names => $name);
	}
	check($path, 400, @as, names => qr/"customerAliases" is missing.*"periodStart" is missing.*"periodEnd" is missing/s,
	  error => { code => '22023', message => 'invalid parameters of a calculation' });
	check($with->(customerAliases => $_), 400, @as, names => 'customerAliases') foreach ',', 'c,', ',c', 'c,,d', '%zz', '%ff', 'c,%00';
	foreach my $text ('x', 'now', 'today', '2024', '2024-07', '2024-7-1', '20240701', '2024-07-32', '2023-02-29', '0000-01-01',
		'10000-01-01', '2024-07-01T00:00:00', '2024-07-01T24:00:00Z', '2024-07-01%2000:00:00', '2024-07-01%20', '-infinity',
		'1719792000', percent_encoded($split))
	{
		check($with->($_ => $text), 400, @as, names => $_) foreach 'periodStart', 'periodEnd';
	}
	check($with->(periodStart => $_), 200, @as, what => 'a start with a blank') foreach '2024-07-01%2002:00:00%2B02', '2024-07-01%2002:00:00+02:00';
	check($with->(asOf => $_), 400, @as, names => 'asOf') foreach '', 'x', 'now', '2024-07-01', '2024-07-01T00:00:00';
	my $early = '"periodEnd" must not be before "periodStart"';
	check($with->(periodStart => $_->[0], periodEnd => $_->[1]), 400, @as, names => $early) foreach [ '2024-07-02', '2024-07-01' ],
	  [ '2024-07-01T00:00:00.000001Z', '2024-07-01T00:00:00Z' ], [ '2024-07-01', '2024-06-30T23:59:59.999999Z' ],
	  [ '2024-07-02T00:00:00Z', '2024-07-01' ];
	check($with->(customParameters => $_), 400, @as, names => 'customParameters') foreach '', 'x', '5', 'null', '%22x%22', '%5B%5D',
	  '%7B', '%7B%22a%22:1%7D%20x', '%5B' x 5000, '%7B%22a%22:%22%5Cu0000%22%7D';
	check($with->(customParameters => '%7B%7D'), 400, @as, names => 'Only CUSTOM metrics');
	check("$path?customerAliases=c&$july&$_", 400, @as, names => $_ =~ /^([^=]+)/) foreach 'periodStart=2024-07-01',
	  'periodEnd=2024-07-31', 'limit=1', 'customerAlias=c', 'asof=x', 'asOf=2024-07-01T00:00:00Z&asOf=2024-07-01T00:00:00Z';
	check($with->(periodStart => 'x', periodEnd => 'y', asOf => 'z', foo => 1), 400, @as,
	  names => qr/"periodStart".*"periodEnd".*"asOf".*"foo"/s, what => 'all faults at once');
	check("GET /usage-metrics/$no_uuid/calculate?customerAliases=c&$july", 404, @as);
	check("GET /usage-metrics/x/calculate?customerAliases=c&$july", 400, @as);
	check($with->(), 401, as => undef);
	check("HEAD /usage-metrics/$sum->{id}/calculate?customerAliases=c&$july", 200, @as);
}

# Usage limits -----------------------------------------------------------------

# What a client says of a limit: 3 a month, but for these fields.
sub new_limit
{
	my ($metric, %fields) = @_;
	return { name => 'calls', usageMetricId => $metric->{id}, period => 'MONTH', limit => 3, mode => 'REPORT', %fields };
}

sub cases_limits
{
	my ($list, $post) = ('GET /usage-limits', 'POST /usage-limits');
	my @as = (as => 'limiter');
	check($list, 200, @as, json => { items => [], pagination => { after => undef, before => undef, totalResultSize => 0 } });
	my $calls = check('POST /usage-metrics', 201, @as, body => new_metric(), json => metric())->{json};
	my %sum = (name => 'minutes', aggregationType => 'SUM', aggregationProperty => 'minutes');
	my $minutes = check('POST /usage-metrics', 201, @as, body => new_metric(%sum), json => metric(%sum))->{json};
	my $others_metric = check('POST /usage-metrics', 201, as => 'globex', body => new_metric(), json => metric())->{json};

	# Creating.
	my $general = check($post, 201, @as, body => new_limit($calls),
	  json => limit(name => 'calls', usageMetricId => $calls->{id}, sequenceAccountId => $account_id{limiter}))->{json};
	my %own = (
		name => "Größe, \x{1f600}", customer => 'a,b', period => 'DAY', timezone => 'Asia/Tokyo', anchor => '2024-07-31T00:30:00.5Z', limit => 0.5,
		mode => 'BLOCK');
	my $own = check($post, 201, @as, body => new_limit($minutes, %own), json => limit(%own, usageMetricId => $minutes->{id}),
	  what => 'with everything')->{json};
	my $others = check($post, 201, as => 'globex', body => new_limit($others_metric), json => limit())->{json};
	my @refused = (
		[ {}, qr/"name" is missing.*"usageMetricId" is missing.*"period" is missing.*"limit" is missing.*"mode" is missing/s ],
		map({ [ new_limit($calls, %{ $_->[0] }), $_->[1] ] }
			[ { name => '' }, 'name' ], [ { usageMetricId => 'x' }, 'usageMetricId' ], [ { usageMetricId => $no_uuid }, 'names no usage metric' ],
			[ { usageMetricId => $others_metric->{id} }, 'names no usage metric' ], [ { customer => '' }, 'customer' ],
			[ { customer => 'VOID' }, 'is reserved' ], [ { period => 'month' }, '"ALL_TIME"' ], [ { period => undef }, 'period' ],
			[ { timezone => 'Berlin' }, 'IANA' ], [ { timezone => 'UTC+3' }, 'timezone' ], [ { anchor => '2024-07-31T00:00:00' }, 'has no offset' ],
			[ { anchor => 5 }, 'anchor' ], [ { limit => -1 }, 'below 0' ], [ { limit => '3' }, 'limit' ], [ { limit => undef }, 'limit' ],
			[ { mode => 'WARN' }, '"REPORT"' ], [ { mode => $split }, 'mode' ]));
	my @no_bodies = ('', '[]', 'null', '5', '"x"', '{', "\xff", '{"name": "\u0000"}', '{"limit": 1e999999}', '{"limit": NaN}');
	foreach my $request ($post, "PUT /usage-limits/$general->{id}")
	{
		check($request, 400, @as, body => $_->[0], names => $_->[1], error => { code => '22023' }) foreach @refused;
		check($request, 400, @as, body => $_, what => "no limit: $_") foreach @no_bodies;
		check($request, 401, as => undef, body => new_limit($calls));
	}

	# Reading.
	check("GET /usage-limits/$own->{id}", 200, @as, json => $own);
	check("GET /usage-limits/$no_uuid", 404, @as);
	check('GET /usage-limits/x', 400, @as);
	check("GET /usage-limits/$others->{id}", 404, @as, what => 'of another account');
	check("GET /usage-limits/$own->{id}", 401, as => undef);
	my $lists = sub {
		my ($query, @limits) = @_;
		check("$list?$query", 200, @as, json => has(items => \@limits, pagination => has(totalResultSize => scalar @limits)));
	};
	$lists->('', $own, $general);
	$lists->("name=$_", $general) foreach 'calls', 'CALLS', 'all';
	$lists->("usageMetricId=$_", $own) foreach $minutes->{id}, uc $minutes->{id};
	$lists->("usageMetricId=$others_metric->{id}");
	$lists->('customer=a%2Cb', $own);
	$lists->('customer=x');
	$lists->('period=DAY&mode=BLOCK', $own);
	$lists->('period=DAY&mode=REPORT');
	foreach my $query ('limit=0', 'limit=x', 'after=abc', 'before=abc', 'name=a&name=b', 'usageMetricId=x', 'usageMetricId=', 'period=day',
		'period=', 'mode=block', 'mode=BLOCK,REPORT', 'customer=%ff', 'foo=1', 'offset=1', 'id=x')
	{
		my ($name) = $query =~ /^([^=]+)/;
		check("$list?$query", 400, @as, names => $name);
	}
	check($list, 401, as => undef);
	my $page = check("$list?limit=1", 200, @as, json => has(items => [$own]))->{json};
	check("$list?limit=1&after=$page->{pagination}{after}", 200, @as, json => has(items => [$general]), what => 'next');
	check("GET /usage-metrics?after=$page->{pagination}{after}", 400, @as, names => 'after', what => 'a cursor of limits');

	# Checking.
	send_events('limiter', map { { customerAlias => 'a,b', eventType => 'call', eventTimestamp => $_, eventProperties => { minutes => 0.25 } } }
		'2024-07-01T00:00:00Z', '2024-07-31T23:59:59.999999Z', '2024-08-01T00:30:00.5Z');
	my $question = "GET /usage-limits/check?customer=a%2Cb&usageMetricId=$calls->{id}";
	my $used = sub {
		my ($limit, $used, $remaining, $start, $end) = @_;
		return {
			usageLimitId => $limit->{id}, limit => $limit->{limit}, used => $used, remaining => $remaining, periodStart => $start, periodEnd => $end };
	};
	my $july = $used->($general, 2, 1, '2024-07-01T00:00:00Z', '2024-08-01T00:00:00Z');
	check("$question&at=2024-07-15T00:00:00Z", 200, @as, json => { allowed => JSON::PP::true, limits => [$july] });
	check("$question&at=2024-08-01T01:00+02:00&amount=2", 200, @as, json => { allowed => JSON::PP::false, limits => [$july] });
	check($question, 200, @as, json => { allowed => JSON::PP::true, limits => [ $used->($general, 0, 3, $instant, $instant) ] }, what => 'now');
	my $of_minutes = $used->($own, 0.25, 0.25, '2024-07-31T00:30:00.5Z', '2024-08-01T00:30:00.5Z');
	foreach my $case ([ '0.25', JSON::PP::true ], [ '0.2501', JSON::PP::false ], [ '25e-2', JSON::PP::true ], [ '-7', JSON::PP::true ])
	{
		check("GET /usage-limits/check?customer=a%2Cb&usageMetricId=$minutes->{id}&at=2024-07-31T12:00:00Z&amount=$case->[0]", 200, @as,
		  json => { allowed => $case->[1], limits => [$of_minutes] });
	}
	check("GET /usage-limits/check?customer=x&usageMetricId=$minutes->{id}", 200, @as, json => { allowed => JSON::PP::true, limits => [] });
	check("HEAD /usage-limits/check?customer=x&usageMetricId=$minutes->{id}", 200, @as);
	check('GET /usage-limits/check', 400, @as, names => qr/"customer" is missing.*"usageMetricId" is missing/s, error => { code => '22023' });
	foreach my $case (
		[ 'customer=&usageMetricId=x', qr/"usageMetricId" must be a UUID.*"customer" must not be blank/s ], [ "customer=x&usageMetricId=$no_uuid", 'names no usage metric' ],
		[ "customer=VOID&usageMetricId=$others_metric->{id}", qr/"customer" is reserved.*names no usage metric/s ],
		map { [ "customer=x&usageMetricId=$calls->{id}&$_->[0]", $_->[1] ] }[ 'amount=x', 'amount' ], [ 'amount=', 'amount' ], [ 'amount=-1', 'below 0' ],
		[ 'amount=NaN', 'amount' ], [ 'amount=1e200', 'amount' ], [ 'at=now', 'at' ], [ 'at=2024-07-15', 'at' ], [ 'at=2024-07-15T00:00:00', 'has no offset' ],
		[ 'customer=y', 'customer' ], [ 'asOf=2024-07-15T00:00:00Z', 'asOf' ], [ 'limit=1', 'limit' ])
	{
		check("GET /usage-limits/check?$case->[0]", 400, @as, names => $case->[1], error => { code => '22023' });
	}
	check($question, 400, as => 'globex', names => 'usageMetricId', what => 'of another account');
	check($question, 401, as => undef);

	# Replacing.
	my $put = "PUT /usage-limits/$general->{id}";
	my %kept = map { $_ => $general->{$_} } qw(id createdAt sequenceAccountId);
	check($put, 200, @as, body => new_limit($minutes, %own), json => limit(%own, usageMetricId => $minutes->{id}, %kept));
	check($put, 200, @as, body => $general, json => { %$general, updatedAt => $instant }, what => 'with its answer');
	check("PUT /usage-limits/$no_uuid", 404, @as, body => new_limit($calls));
	check('PUT /usage-limits/x', 400, @as, body => new_limit($calls));
	check($put, 404, as => 'globex', body => new_limit($others_metric), what => 'of another account');

	# Deleting.
	my $delete = "DELETE /usage-limits/$general->{id}";
	check("DELETE /usage-limits/$no_uuid", 404, @as);
	check('DELETE /usage-limits/x', 400, @as);
	check($delete, 404, as => 'globex', what => 'of another account');
	check($delete, 401, as => undef);
	check($delete, 200, @as, json => { %$general, updatedAt => $instant, deletedAt => $instant });
	check($delete, 404, @as, what => 'again');
	check($put, 404, @as, body => new_limit($calls), what => 'of a deleted one');
	check($question, 200, @as, json => { allowed => JSON::PP::true, limits => [] }, what => 'without a limit');
	$lists->('', $own);
	check("DELETE /usage-metrics/$calls->{id}", 200, @as);
	check($question, 400, @as, names => 'was deleted', what => 'of a deleted metric');
}

# Settings and faults of the server -------------------------------------------

# What metrics say -----------------------------------------------------------

# A metric of the account asker, and the events of cases_usage() that it asks for.
my $asked;
my $in_july = 'periodStart=2024-07-01&periodEnd=2024-07-31';

sub make_asked
{
	my @as = (as => 'asker');
	send_events('asker', map { { customerAlias => $_->[0], eventType => 'sent', eventTimestamp => $_->[1], customerEventId => "asked $_->[1]",
	  eventProperties => { length => $_->[2], channel => $_->[3] } } }
		[ 'acme', '2024-07-01T00:30:00Z', 10, 'text' ], [ 'acme', '2024-07-01T23:30:00Z', 0.25, 'email' ],
		[ 'globex', '2024-07-08T12:00:00Z', 7, 'text' ], [ '=1+1', '2024-07-09T12:00:00Z', 7, 'text' ],
		[ 'VOID', '2024-07-09T13:00:00Z', 1000, 'text' ], [ 'initech', '2024-07-31T23:59:59.999999Z', 'none', 'text' ]);
	check('POST /customer-aliases', 201, @as, body => { customerId => 'customer, 1', value => 'globex' });
	$asked = check('POST /usage-metrics', 201, @as, body => new_metric(name => 'Length', eventType => 'sent', aggregationType => 'SUM',
	  aggregationProperty => 'length', unit => 'bytes'))->{json};
}

# What the metric is, in each answer of it.
sub of_metric
{
	my ($metric, %expected) = @_;
	return { map({ $_ => $metric->{$_} } qw(name metricType eventType aggregationType unit)), %expected };
}

sub step
{
	my ($start, $end, $count, $value, %more) = @_;
	return { periodStart => $start, periodEnd => $end, eventCount => $count, value => $value, skippedEventCount => 0, %more };
}

sub cases_series
{
	my @as = (as => 'asker');
	my $path = "GET /usage-metrics/$asked->{id}/series";
	my $series = sub {
		my ($query, @steps) = @_;
		check("$path?$query", 200, @as, json => of_metric($asked, items => \@steps));
	};
	$series->('customerAliases=acme&periodStart=2024-07-01&periodEnd=2024-07-02&step=day',
		step('2024-07-01T00:00:00Z', '2024-07-02T00:00:00Z', 2, 10.25), step('2024-07-02T00:00:00Z', '2024-07-03T00:00:00Z', 0, 0));
	$series->('customerAliases=acme&periodStart=2024-07-01&periodEnd=2024-07-01&step=day&timezone=Europe/Berlin',
		step('2024-07-01T00:00:00Z', '2024-07-01T22:00:00Z', 1, 10), step('2024-07-01T22:00:00Z', '2024-07-02T00:00:00Z', 1, 0.25));
	$series->('customerAliases=acme&periodStart=2024-07-01T00:29:30Z&periodEnd=2024-07-01T00:30:59.999999Z&step=minute',
		step('2024-07-01T00:29:30Z', '2024-07-01T00:30:00Z', 0, 0), step('2024-07-01T00:30:00Z', '2024-07-01T00:31:00Z', 1, 10));
	$series->('customerAliases=acme&periodStart=2024-07-01T23:00:00Z&periodEnd=2024-07-01T23:59:59.999999Z&step=hour',
		step('2024-07-01T23:00:00Z', '2024-07-02T00:00:00Z', 1, 0.25));
	$series->('customerAliases=acme,customer%2C%201&periodStart=2024-06-30&periodEnd=2024-07-10&step=week',
		step('2024-06-30T00:00:00Z', '2024-07-01T00:00:00Z', 0, 0), step('2024-07-01T00:00:00Z', '2024-07-08T00:00:00Z', 2, 10.25),
		step('2024-07-08T00:00:00Z', '2024-07-11T00:00:00Z', 1, 7));
	$series->("customerAliases=acme,initech&$in_july&step=month",
		step('2024-07-01T00:00:00Z', '2024-08-01T00:00:00Z', 2, 10.25, skippedEventCount => 1));
	$series->("customerAliases=$_&$in_july&step=month", step('2024-07-01T00:00:00Z', '2024-08-01T00:00:00Z', 0, 0))
	  foreach 'nobody', 'VOID', percent_encoded($split);
	my $grouped = check('POST /usage-metrics', 201, @as, body => new_metric(name => 'By channel', metricType => 'GROUPED',
	  groupingProperty => 'channel', eventType => 'sent'))->{json};
	check("GET /usage-metrics/$grouped->{id}/series?customerAliases=acme&$in_july&step=month", 200, @as, json => of_metric($grouped,
	  items => [ step('2024-07-01T00:00:00Z', '2024-08-01T00:00:00Z', 2, 2, groupedValues => [
		{ grouping => 'email', value => 1, eventCount => 1 }, { grouping => 'text', value => 1, eventCount => 1 } ]) ]));

	# As of a moment.
	my $before = moment_between();
	send_events('asker', { customerAlias => 'acme', eventType => 'sent', eventTimestamp => '2024-07-01T23:30:00Z',
	  customerEventId => 'asked 2024-07-01T23:30:00Z', eventProperties => { length => 20, channel => 'email' } });
	$series->("customerAliases=acme&$in_july&step=month", step('2024-07-01T00:00:00Z', '2024-08-01T00:00:00Z', 2, 30));
	$series->("customerAliases=acme&$in_july&step=month&asOf=$before", step('2024-07-01T00:00:00Z', '2024-08-01T00:00:00Z', 2, 10.25));
	check("$path?customerAliases=acme&$in_july&step=month&asOf=2020-01-01T00:00:00Z", 404, @as);

	# Refusals.
	check("$path?customerAliases=acme&$in_july&$_->[0]", 400, @as, names => $_->[1]) foreach [ '', qr/"step" is missing/ ],
	  [ 'step=', 'step' ], [ 'step=year', qr/"step" must be "minute", "hour", "day", "week" or "month"/ ], [ 'step=Day', 'step' ],
	  [ 'step=day&step=hour', 'step' ], map({ [ "step=day&timezone=$_", 'timezone' ] } '', 'Mars', 'UTC%2B3', '..%2F..%2Fetc%2Fpasswd',
		percent_encoded($split)),
	  [ 'step=day&limit=1', 'limit' ], [ 'step=day&asOf=x', 'asOf' ], [ 'step=day&customParameters=%7B%7D', 'customParameters' ];
	check($path, 400, @as, names => qr/"customerAliases" is missing.*"periodStart" is missing.*"periodEnd" is missing.*"step" is missing/s,
	  error => { code => '22023', message => 'invalid parameters of a calculation' });
	check("$path?customerAliases=acme&periodStart=2024-01-01&periodEnd=2024-12-31&step=minute", 400, @as, names => 'At most 100000',
	  error => { code => '54000', message => 'series has too many steps', hint => 'Ask for a shorter period, or longer steps.' });
	check("$path?customerAliases=" . join(',', 1 .. 500) . '&periodStart=2024-01-01&periodEnd=2025-12-31&step=hour', 400, @as,
	  error => { code => '54000', message => 'series is too long for so many customers' });
	my $good = "customerAliases=acme&$in_july&step=day";
	check("GET /usage-metrics/$no_uuid/series?$good", 404, @as);
	check("GET /usage-metrics/x/series?$good", 400, @as);
	check("$path?$good", 404, as => 'globex', what => 'of another account');
	check("$path?$good", 401, as => undef);
	check("HEAD /usage-metrics/$asked->{id}/series?$good", 200, @as);
}

# All items of a list, page by page, in one direction and back.
sub pages_of
{
	my ($request, $limit, @as) = @_;
	my @all;
	my $page = check("$request&limit=$limit", 200, @as)->{json};
	for (my $count = 0; $count < 100; $count++)
	{
		push @all, @{ $page->{items} };
		last if !defined $page->{pagination}{after};
		my $next = check("$request&limit=$limit&after=$page->{pagination}{after}", 200, @as, what => 'the next page')->{json};
		check("$request&limit=$limit&before=$next->{pagination}{before}", 200, @as, what => 'and back',
		  json => has(items => $page->{items}, pagination => has(after => qr/./)));
		$page = $next;
	}
	return @all;
}

sub cases_by_customer
{
	my @as = (as => 'asker');
	my $path = "GET /usage-metrics/$asked->{id}/by-customer?$in_july";
	my $of = sub {
		my ($customer, $count, $value, $skipped) = @_;
		return { customer => $customer, eventCount => $count, value => $value, skippedEventCount => $skipped // 0 };
	};
	my @by_name = ($of->('=1+1', 1, 7), $of->('acme', 2, 30), $of->('customer, 1', 1, 7), $of->('initech', 0, 0, 1));
	my @by_value = @by_name[ 1, 2, 0, 3 ];
	my %sorted = (
		'' => \@by_value, 'sortBy=value' => \@by_value, 'sortBy=value&sortOrder=desc' => \@by_value, 'sortOrder=ASC' => [ reverse @by_value ],
		'sortBy=customer' => \@by_name, 'sortBy=customer&sortOrder=DESC' => [ reverse @by_name ]);
	foreach my $query (sort keys %sorted)
	{
		my $none = { after => undef, before => undef, totalResultSize => 4 };
		check("$path&$query", 200, @as, json => of_metric($asked, items => $sorted{$query}, pagination => $none));
		report("the pages of $query", difference([ pages_of("$path&$query", $_, @as) ], $sorted{$query})) foreach 1, 2, 3;
	}
	my $largest = check('POST /usage-metrics', 201, @as, body => new_metric(name => 'Largest', eventType => 'sent', aggregationType => 'MAX',
	  aggregationProperty => 'length'))->{json};
	report("customers without a value come last: $_", difference([ map { $_->{customer} } pages_of(
	  "GET /usage-metrics/$largest->{id}/by-customer?$in_july&sortOrder=$_->[0]", 1, @as) ], $_->[1]))
	  foreach [ ASC => [ '=1+1', 'customer, 1', 'acme', 'initech' ] ], [ DESC => [ 'acme', 'customer, 1', '=1+1', 'initech' ] ];

	# A value of more digits than a cursor holds.
	send_events('asker', map { { customerAlias => "long $_", eventType => 'long', customerEventId => "long $_", eventTimestamp => '2024-07-01T00:00:00Z',
	  eventProperties => { length => '1' . '0' x 300 . $_ } } } 1 .. 3);
	my $long = check('POST /usage-metrics', 201, @as, body => new_metric(name => 'Long', eventType => 'long', aggregationType => 'SUM',
	  aggregationProperty => 'length'))->{json};
	report('pages of long values', difference([ map { $_->{customer} } pages_of("GET /usage-metrics/$long->{id}/by-customer?$in_july", 1, @as) ],
	  [ 'long 3', 'long 2', 'long 1' ]));

	# Refusals.
	check("$path&$_->[0]", 400, @as, names => $_->[1], error => { message => 'invalid parameters of a list' }) foreach [ 'sortBy=name', qr/"sortBy" must be "value" or "customer"/ ],
	  [ 'sortBy=', 'sortBy' ], [ 'sortOrder=up', 'sortOrder' ], [ 'limit=0', 'limit' ], [ 'limit=101', 'limit' ], [ 'after=abc', 'after' ],
	  [ 'before=abc', 'before' ], [ 'offset=1', 'offset' ], [ 'customerAliases=acme', 'customerAliases' ], [ 'asOf=x', 'asOf' ], [ 'foo=1', 'foo' ];
	my $cursor = check("$path&limit=1", 200, @as)->{json}{pagination}{after};
	check("$path&after=$cursor&before=$cursor", 400, @as, names => 'before');
	check("$path&after=$cursor&$_", 400, @as, names => 'after', what => 'of another list') foreach 'sortBy=customer', 'sortOrder=ASC',
	  'asOf=2024-07-30T00:00:00Z';
	check("GET /usage-metrics/$largest->{id}/by-customer?$in_july&after=$cursor", 400, @as, names => 'after', what => 'of another metric');
	check("GET /usage-metrics/$asked->{id}/by-customer", 400, @as, names => qr/"periodStart" is missing.*"periodEnd" is missing/s);
	check("GET /usage-metrics/$no_uuid/by-customer?$in_july", 404, @as);
	check($path, 404, as => 'globex', what => 'of another account');
	check($path, 401, as => undef);
}

# Filters and groups of a question -----------------------------------------------

sub cases_breakdown
{
	my @as = (as => 'asker');
	my @spent = ([ 'acme', 1, { n => 5, model => 'large', region => 'EU' } ], [ 'acme', 1, { n => 2.5, model => 'large' } ],
		[ 'acme', 2, { n => 1, model => 'small', region => 'a,b' } ], [ 'acme', 2, { n => 'x', model => 'small' } ],
		[ '=1+1', 2, { n => 7, model => JSON::PP::true, region => undef } ]);
	my @ids = send_events('asker', map { { customerAlias => $spent[$_][0], eventType => 'spent', customerEventId => "spent $_",
	  eventTimestamp => "2024-07-0$spent[$_][1]T12:00:00Z", eventProperties => $spent[$_][2] } } 0 .. $#spent);
	my $metric = check('POST /usage-metrics', 201, @as, body => new_metric(name => 'Spent', eventType => 'spent', aggregationType => 'SUM',
	  aggregationProperty => 'n'))->{json};
	my $path = "/usage-metrics/$metric->{id}";
	my $of_acme = "customerAliases=acme&$in_july";
	my $large = percent_encoded('{"model": ["large"]}');
	my $group = sub { my ($grouping, $count, $value) = @_; return { grouping => $grouping, eventCount => $count, value => $value } };

	# Of all, by step, by customer.
	check("GET $path/calculate?$of_acme&filters=$large", 200, @as, json => value_of($metric, eventCount => 2, value => 7.5, minEventId => $ids[0],
	  maxEventId => $ids[1], filters => { model => ['large'] }));
	my @groups = ($group->({ model => 'large' }, 2, 7.5), $group->({ model => 'small' }, 1, 1));
	check("GET $path/calculate?$of_acme&groupBy=model", 200, @as, json => value_of($metric, eventCount => 3, value => 8.5, minEventId => $ids[0],
	  maxEventId => $ids[2], skippedEventCount => 1, groupBy => ['model'], groupedValues => \@groups));
	check("GET $path/calculate?$of_acme&filters=$large&$_", 200, @as, json => value_of($metric, eventCount => 2, value => 7.5, minEventId => $ids[0],
	  maxEventId => $ids[1], filters => { model => ['large'] }, groupBy => [ 'model', 'region' ],
	  groupedValues => [ $group->({ model => 'large', region => 'EU' }, 1, 5), $group->({ model => 'large', region => undef }, 1, 2.5) ]))
	  foreach 'groupBy=model,region', 'groupBy=model&groupBy=region';
	check("GET $path/series?customerAliases=acme&periodStart=2024-07-01&periodEnd=2024-07-02&step=day&groupBy=model", 200, @as,
	  json => of_metric($metric, groupBy => ['model'], items => [
		step('2024-07-01T00:00:00Z', '2024-07-02T00:00:00Z', 2, 7.5, groupedValues => [ $groups[0] ]),
		step('2024-07-02T00:00:00Z', '2024-07-03T00:00:00Z', 1, 1, skippedEventCount => 1, groupedValues => [ $groups[1] ]) ]));
	my $by_customer = "$path/by-customer?$in_july&sortBy=customer&groupBy=region";
	my @customers = (
		{ customer => '=1+1', eventCount => 1, value => 7, skippedEventCount => 0, groupedValues => [ $group->({ region => undef }, 1, 7) ] },
		{ customer => 'acme', eventCount => 3, value => 8.5, skippedEventCount => 1, groupedValues => [
			$group->({ region => 'EU' }, 1, 5), $group->({ region => 'a,b' }, 1, 1), $group->({ region => undef }, 1, 2.5) ] });
	check("GET $by_customer", 200, @as, json => of_metric($metric, groupBy => ['region'], items => \@customers,
	  pagination => { after => undef, before => undef, totalResultSize => 2 }));
	report('pages of customers with groups', difference([ pages_of("GET $by_customer", 1, @as) ], \@customers));
	my $cursor = check("GET $by_customer&limit=1", 200, @as)->{json}{pagination}{after};
	check("GET $_&after=$cursor", 400, @as, names => 'after', what => 'of another list') foreach "$by_customer&filters=$large", "$by_customer,model",
	  "$path/by-customer?$in_july&sortBy=customer";

	# A column a property: what a spreadsheet would run is harmless, in the first line too.
	check("GET $by_customer&format=csv", 200, @as, csv => [ 'customer,region,eventCount,value', "'=1+1,,1,7", 'acme,EU,1,5', 'acme,"a,b",1,1', 'acme,,1,2.5' ]);
	check("GET $path/by-customer?$in_july&sortBy=customer&groupBy=customer,%3Dx,value&format=csv", 200, @as,
	  csv => [ "customer,customer,'=x,value,eventCount,value", "'=1+1,,,,1,7", 'acme,,,,3,8.5' ]);
	check("GET $path/series?customerAliases=acme&periodStart=2024-07-01&periodEnd=2024-07-02&step=day&groupBy=model,region&filters=$large&format=csv", 200, @as,
	  csv => [ 'periodStart,periodEnd,model,region,eventCount,value', map { "2024-07-01T00:00:00Z,2024-07-02T00:00:00Z,large,$_" } 'EU,1,5', ',1,2.5' ]);

	# Refusals.
	foreach my $route ("calculate?$of_acme", "series?$of_acme&step=day", "by-customer?$in_july")
	{
		check("GET $path/$route&filters=$_->[0]", 400, @as, names => $_->[1]) foreach [ '', 'filters' ], [ 'x', 'filters' ], [ '%5B%5D', '"filters" must be a JSON object, not an array' ],
		  [ 'null', 'filters' ], [ '%7B%7D', '"filters" must name a property' ], [ percent_encoded('{"a": 5}'), '"filters" of "a" must be an array of values' ],
		  [ percent_encoded('{"a": []}'), '"filters" of "a" must not be empty' ], [ "$large&filters=$large", '"filters" must be given once' ];
		check("GET $path/$route&groupBy=$_->[0]", 400, @as, names => $_->[1]) foreach [ '', 'groupBy' ], [ 'a,', 'groupBy' ], [ '%ff', 'groupBy' ],
		  [ 'a,b,c,d', '"groupBy" must name 1 to 3 properties, not 4' ], [ 'a,a', '"groupBy" names "a" twice' ], [ '%20', 'must not be blank' ];
		check("GET $path/$route&groupBy=a,a&filters=%7B%7D&foo=1", 400, @as, names => qr/"groupBy".*"filters".*"foo"/s, what => 'all faults at once');
	}
	check("GET $path/changes?$of_acme&since=2024-07-01T00:00:00Z&$_", 400, @as, names => 'is not a parameter of this path') foreach "filters=$large", 'groupBy=a';
}

sub cases_changes
{
	my @as = (as => 'asker');
	my $before = moment_between();
	my $path = "GET /usage-metrics/$asked->{id}/changes?customerAliases=acme&$in_july&since=$before";
	check($path, 200, @as, json => { items => [], pagination => { after => undef, before => undef, totalResultSize => 0 } });
	my $event = sub { { customerAlias => 'acme', eventType => 'sent', eventTimestamp => "2024-07-0$_[0]T00:30:00Z", customerEventId => "asked 2024-07-0$_[0]T00:30:00Z",
	  eventProperties => { length => $_[1] }, @_[ 2 .. $#_ ] } };
	my ($old) = map { $_->{id} } grep { $_->{customerEventId} eq 'asked 2024-07-01T00:30:00Z' } @{ check('GET /usage-events?limit=100', 200, @as)->{json}{items} };
	my ($corrected) = send_events('asker', $event->(1, 12.5));
	my ($added) = send_events('asker', $event->(2, 3));
	my @changes = (
		{ customerEventId => 'asked 2024-07-01T00:30:00Z', oldEventId => $old, newEventId => $corrected, oldValue => 10, newValue => 12.5,
			changedAt => $instant, change => 'corrected' },
		{ customerEventId => 'asked 2024-07-02T00:30:00Z', oldEventId => undef, newEventId => $added, oldValue => undef, newValue => 3,
			changedAt => $instant, change => 'added' });
	check($path, 200, @as, json => { items => \@changes, pagination => { after => undef, before => undef, totalResultSize => 2 } });
	report('the pages of changes', difference([ pages_of($path, 1, @as) ], \@changes));
	send_events('asker', $event->(1, 12.5, customerAlias => 'VOID'));
	check($path, 200, @as, json => has(items => [ $changes[1], has(change => 'removed', oldValue => 10, newValue => undef) ]));

	check($path =~ s/since=.*/$_->[0]/r, 400, @as, names => $_->[1]) foreach [ '', qr/"since" is missing/ ], [ 'since=', 'since' ],
	  [ 'since=2024-07-01', 'since' ], [ 'since=now', 'since' ];
	check("$path&$_->[0]", 400, @as, names => $_->[1]) foreach [ 'limit=0', 'limit' ], [ 'after=abc', 'after' ], [ 'asOf=2024-07-30T00:00:00Z', 'asOf' ];
	my $cursor = check("$path&limit=1", 200, @as)->{json}{pagination}{after};
	check($path =~ s/=acme/=globex/r . "&after=$cursor", 400, @as, names => 'after', what => 'of another list');
	check($path =~ s/$asked->{id}/$no_uuid/r, 404, @as);
	check($path, 404, as => 'globex', what => 'of another account');
	check($path, 401, as => undef);
}

sub cases_explain
{
	my @as = (as => 'asker');
	my ($first, $second, $void, $other) = map { send_events('asker', { customerEventId => 'explained', eventType => 'sent', eventTimestamp => '2024-07-01T00:00:00Z', %$_ }) }
	  { customerAlias => 'acme', eventProperties => { length => 5 } }, { customerAlias => 'acme', eventProperties => { length => 'x' } },
	  { customerAlias => 'VOID' }, { customerAlias => 'acme', customerEventId => 'explained too', eventType => 'call' };
	my $metric = "usageMetricId=$asked->{id}";
	my $explains = sub {
		my ($id, $counts, $skipped, $value, @reasons) = @_;
		check("GET /usage-events/$id/explain?$metric", 200, @as, json => { counts => $counts, skipped => $skipped, value => $value,
		  reasons => \@reasons, event => has(id => $id) });
	};
	my ($yes, $no) = (JSON::PP::true, JSON::PP::false);
	$explains->($first, $no, $no, 5, "was superseded by event $second");
	$explains->($second, $no, $no, undef, "was superseded by event $void", qr/has no number/);
	$explains->($void, $no, $no, undef, qr/was taken back/, qr/has no property/);
	$explains->($other, $no, $no, undef, qr/is of type "call", not "sent"/);
	my ($counted) = send_events('asker', { customerAlias => 'acme', customerEventId => 'explained', eventType => 'sent', eventProperties => { length => 1.5 } });
	$explains->($counted, $yes, $no, 1.5);

	check("GET /usage-events/$counted/explain$_->[0]", 400, @as, names => $_->[1]) foreach [ '', qr/"usageMetricId" is missing/ ],
	  [ '?usageMetricId=', 'usageMetricId' ], [ '?usageMetricId=x', qr/must be a UUID, not "x"/ ], [ "?$metric&$metric", 'usageMetricId' ], [ "?$metric&x=1", 'x' ];
	check("GET /usage-events/$counted/explain?usageMetricId=$no_uuid", 404, @as);
	check("GET /usage-events/$no_uuid/explain?$metric", 404, @as);
	check("GET /usage-events/x/explain?$metric", 400, @as);
	check("GET /usage-events/$counted/explain?$metric", 404, as => 'globex', what => 'of another account');
	check("GET /usage-events/$counted/explain?$metric", 401, as => undef);
}

# What is refused -------------------------------------------------------------

sub cases_rejected
{
	my @as = (as => 'refuser');
	my $list = 'GET /rejected-usage-events';
	my $none = { items => [], pagination => { after => undef, before => undef, totalResultSize => 0 } };
	check($list, 200, @as, json => $none);
	my $refuse = sub { check('POST /usage-events/batch', 200, @as, body => \@_, json => has(refused => scalar @_), what => 'of refused events') };
	$refuse->({ customerAlias => 'acme', customerEventId => 'first' }, 5, { eventType => "=cmd|' /C calc'!A0" });
	$refuse->({ customerAlias => ' ', eventType => 't' });
	my @waiting = (
		{ id => $uuid, rejectedAt => $instant, body => '{"eventType": "t", "customerAlias": " "}', faults => [ { field => 'customerAlias', fault => 'must not be blank' } ] },
		{ id => $uuid, rejectedAt => $instant, body => qr/=cmd/, faults => [ { field => 'customerAlias', fault => 'is missing' } ] },
		{ id => $uuid, rejectedAt => $instant, body => '5', faults => [ { fault => qr/./ } ] },
		{ id => $uuid, rejectedAt => $instant, body => qr/"first"/, faults => [ { field => 'eventType', fault => 'is missing' } ] });
	my @items = @{ check($list, 200, @as, json => has(items => \@waiting, pagination => has(totalResultSize => 4)))->{json}{items} };
	report('the pages of rejected events', difference([ pages_of("$list?", $_, @as) ], \@items)) foreach 1, 3;
	check("$list?$_->[0]", 400, @as, names => $_->[1], error => { message => 'invalid parameters of a list' }) foreach [ 'limit=0', 'limit' ],
	  [ 'after=abc', 'after' ], [ 'offset=1', 'offset' ], [ 'foo=1', 'foo' ];
	check($list, 200, as => 'globex', json => $none, what => 'of another account');
	check($list, 401, as => undef);
	my $metric = check('POST /usage-metrics', 201, @as, body => new_metric())->{json};
	check("GET /usage-events/$items[3]{id}/explain?usageMetricId=$metric->{id}", 200, @as, json => { counts => JSON::PP::false, skipped => JSON::PP::false,
	  value => undef, reasons => ['was refused: "eventType" is missing'], body => qr/"first"/ });

	# Sending them again.
	my $retry = 'POST /rejected-usage-events/retry';
	my $retried = sub { my ($ids, @outcomes) = @_; check($retry, 200, @as, body => { ids => $ids }, json => has(outcomes => \@outcomes), what => 'ids') };
	my $refused = { index => 0, outcome => 'refused', faults => $waiting[3]{faults} };
	$retried->([ $items[3]{id} ], $refused);
	$retried->([]);
	$retried->([ $no_uuid, $items[3]{id} ]);
	check($retry, 200, as => 'globex', body => { ids => [ $items[2]{id} ] }, json => has(outcomes => []), what => 'of another account');
	check($retry, 200, @as, body => { ids => undef }, json => has(refused => 4, outcomes => sub { @{ $_[0] } == 4 ? '' : 'not 4' }), what => 'all');
	check($retry, 200, @as, body => {}, json => has(refused => 4), what => 'all');
	check($retry, 400, @as, body => $_->[0], names => $_->[1], what => 'no ids: ' . $json->encode($_->[0])) foreach [ { ids => 5 }, qr/"ids" must be an array, not/ ],
	  [ { ids => [5] }, qr/"ids" must be UUIDs: the one of index 0 is none/ ], [ { ids => [ $no_uuid, 'x' ] }, 'index 1' ], [ [], 'must be a JSON object' ];
	check($retry, 400, @as, body => $_, what => 'no body: ' . $_) foreach '', 'x', '5';
	check($retry, 400, @as, body => { ids => [ ($no_uuid) x 20_001 ] }, names => 'at most 20000', what => 'too many');
	check($retry, 401, as => undef, body => {});

	# Giving them up: those that were sent again have another id.
	my ($id) = map { $_->{id} } @{ check($list, 200, @as)->{json}{items} };
	check("DELETE /rejected-usage-events/$id", 404, as => 'globex', what => 'of another account');
	check("DELETE /rejected-usage-events/$id", 401, as => undef);
	check("DELETE /rejected-usage-events/$id", 200, @as, json => has(id => $id, body => qr/"first"/));
	check("DELETE /rejected-usage-events/$_", 404, @as) foreach $id, $items[0]{id}, $no_uuid;
	check('DELETE /rejected-usage-events/x', 400, @as);
	check($list, 200, @as, json => has(pagination => has(totalResultSize => 3)));
	check('GET /status', 200, @as, json => has(rejectedWaiting => 3, rejectedLastMinute => qr/^\d+$/));
}

# What there is ----------------------------------------------------------------

sub cases_customers
{
	my @as = (as => 'asker');
	my $at = sub { has(customerAlias => $_[0], customerId => $_[1], lastEventTimestamp => $_[2] // $instant) };
	my @customers = (
		$at->('=1+1', undef, '2024-07-09T12:00:00Z'), $at->('acme', undef), $at->('globex', 'customer, 1', '2024-07-08T12:00:00Z'),
		$at->('initech', undef, '2024-07-31T23:59:59.999999Z'), map { $at->("long $_", undef) } 1 .. 3);
	my $page = { after => undef, before => undef, totalResultSize => undef };
	check('GET /customers', 200, @as, json => { items => \@customers, pagination => $page });
	report("the pages of customers: $_", difference([ pages_of('GET /customers?', $_, @as) ], \@customers)) foreach 1, 2, 5;
	check("GET /customers?$_->[0]", 400, @as, names => $_->[1]) foreach [ 'limit=101', 'limit' ], [ 'after=abc', 'after' ], [ 'sortBy=x', 'sortBy' ];
	my $cursor = check("GET /usage-metrics/$asked->{id}/by-customer?$in_july&limit=1", 200, @as)->{json}{pagination}{after};
	check("GET /customers?after=$cursor", 400, @as, names => 'after', what => 'a cursor of another list');
	check('GET /customers', 200, as => 'refuser', json => { items => [], pagination => $page });
	check('GET /customers', 401, as => undef);
}

sub cases_types
{
	my @as = (as => 'typist');
	my $none = { items => [], sample => { eventCount => 0, isComplete => JSON::PP::true } };
	check($_, 200, @as, json => $none) foreach 'GET /usage-event-types', 'GET /usage-event-types/call/properties';
	send_events('typist', map { { customerAlias => 'acme', eventType => $_->[0], eventTimestamp => "2024-07-0$_->[1]T00:00:00Z", eventProperties => $_->[2] } }
		[ 'call/in', 1, { length => 1.5, to => 'a', long => 'x' x 101, on => JSON::PP::true } ],
		[ 'call/in', 3, { length => '2', to => 'b', to2 => undef, nested => { a => [] }, list => [1] } ],
		map({ [ 'call/in', 2, { to => $_ } ] } 'b', '=c', 'd'), [ "\x{e9}", 1, {} ]);
	check('GET /usage-event-types', 200, @as, json => { sample => { eventCount => 6, isComplete => JSON::PP::true }, items => [
		{ eventType => 'call/in', eventCount => 5, lastEventTimestamp => '2024-07-03T00:00:00Z' },
		{ eventType => "\x{e9}", eventCount => 1, lastEventTimestamp => '2024-07-01T00:00:00Z' } ] });
	my $property = sub { my ($name, $types, $count, @examples) = @_; { name => $name, types => $types, eventCount => $count, examples => \@examples } };
	check('GET /usage-event-types/call%2Fin/properties', 200, @as, json => { sample => { eventCount => 5, isComplete => JSON::PP::true }, items => [
		$property->('length', [qw(string number)], 2, '2', 1.5), $property->('list', ['array'], 1), $property->('long', ['string'], 1),
		$property->('nested', ['object'], 1), $property->('on', ['boolean'], 1, JSON::PP::true), $property->('to', ['string'], 5, 'd', '=c', 'b'),
		$property->('to2', ['null'], 1) ] });
	check('GET /usage-event-types/call%2Fin/properties', 200, as => 'globex', json => $none = { %$none, sample => { eventCount => 0, isComplete => sub { '' } } },
	  what => 'of another account');
	check("GET /usage-event-types/$_/properties", 200, @as, json => { items => [], sample => { eventCount => 0, isComplete => JSON::PP::true } })
	  foreach 'call', 'CALL%2Fin', percent_encoded($split);
	check($_, 400, @as, names => 'foo') foreach 'GET /usage-event-types?foo=1', 'GET /usage-event-types/call/properties?foo=1';
	check($_, 401, as => undef) foreach 'GET /usage-event-types', 'GET /usage-event-types/call/properties';
	check('GET /usage-event-types/call', 404, @as);
}

sub cases_status
{
	my $numbers = sub { defined $_[0] && $_[0] =~ /^\d+(\.\d+)?$/ ? '' : "$_[1] is no number" };
	check('GET /status', 200, as => 'typist', json => { storedLastMinute => $numbers, supersededLastMinute => $numbers, rejectedLastMinute => $numbers,
	  overLimitLastMinute => 0, rejectedWaiting => 0, rejectedBytes => 0, rejectedNotKept => 0, rejectedNotKeptAt => undef, newestEventAgeSeconds => $numbers,
	  marksWaiting => $numbers, refreshLagSeconds => sub { '' }, purgedBefore => undef, metricCount => 0, metricVersionCount => 0, limitCount => 0, alertCount => 0 });
	check('GET /status', 401, as => undef);
}

# Lists as CSV -----------------------------------------------------------------

sub cases_csv
{
	my @as = (as => 'asker');
	my $by_customer = "/usage-metrics/$asked->{id}/by-customer?$in_july&sortBy=customer";
	my @lines = ('customer,eventCount,value,skippedEventCount', "'=1+1,1,7,0", 'acme,3,23,0', '"customer, 1",1,7,0', 'initech,0,0,1');
	my $values = check("GET $by_customer", 200, @as)->{json}{items};
	$lines[2] = join ',', 'acme', map { $values->[1]{$_} } qw(eventCount value skippedEventCount);
	check("GET $by_customer&format=csv", 200, @as, csv => \@lines);
	check("GET $by_customer", 200, @as, csv => \@lines, headers => [ Accept => $_ ], what => "accepting $_") foreach 'text/csv', 'TEXT/CSV; charset=utf-8',
	  'text/csv, application/json', 'application/json;q=0.5,text/csv', 'text/csv;q=0.1', 'text/html, text/csv;q=0.9, */*;q=0.1';
	check("GET $by_customer", 200, @as, headers => [ Accept => $_ ], what => "accepting $_") foreach '', '*/*', 'application/json', 'application/xml',
	  'application/json, text/csv', 'text/csv;q=0', 'text/csv;q=0.5, */*', 'text/*', 'text/csvx', "text/html,application/xhtml+xml,*/*;q=0.8", 'x' x 2000, "\xff";
	check("GET $by_customer&format=json", 200, @as, headers => [ Accept => 'text/csv' ], what => 'the parameter decides');
	check("HEAD $by_customer&format=csv", 200, @as, csv => 1);
	check("GET $by_customer&format=$_", 400, @as, names => qr/"format" must be "json" or "csv"/) foreach '', 'xml', 'CSV', 'csv,json', percent_encoded($split);
	check("GET $by_customer&format=csv&format=csv", 400, @as, names => 'format');
	check("GET $by_customer&format=csv&limit=0", 400, @as, names => 'limit', headers => [ Accept => 'text/csv' ], what => 'a refusal is JSON');
	check("GET $_", 400, @as, names => 'format') foreach "/usage-metrics/$asked->{id}/calculate?customerAliases=acme&$in_july&format=csv",
	  "/usage-events/$no_uuid/explain?usageMetricId=$no_uuid&format=csv";

	# Pages: their cursors come in headers.
	my $page = check("GET $by_customer&format=csv&limit=2", 200, @as, csv => [ @lines[ 0 .. 2 ] ]);
	my $next = check("GET $by_customer&format=csv&limit=2&after=$page->{headers}{'usage-after'}", 200, @as, csv => [ @lines[ 0, 3, 4 ] ], what => 'the next page');
	report('no cursor where there is no page', grep { defined } $page->{headers}{'usage-before'}, $next->{headers}{'usage-after'});
	check("GET $by_customer&format=csv&limit=2&before=$next->{headers}{'usage-before'}", 200, @as, csv => [ @lines[ 0 .. 2 ] ], what => 'and back');

	# Every digit, a line for each group, and what a spreadsheet would run.
	check("GET /usage-metrics/$asked->{id}/series?customerAliases=customer%2C%201&periodStart=2024-07-08&periodEnd=2024-07-09&step=day&format=csv", 200, @as,
	  csv => [ 'periodStart,periodEnd,eventCount,value,skippedEventCount', '2024-07-08T00:00:00Z,2024-07-09T00:00:00Z,1,7,0', '2024-07-09T00:00:00Z,2024-07-10T00:00:00Z,0,0,0' ]);
	my @texts = ('+1', '-1', '@x', "a\"b", "a;b", "=HYPERLINK(\"x\")", "'1", 'plain');
	send_events('csv', map { { customerAlias => $texts[$_], eventType => 'csv', customerEventId => "csv $_", eventTimestamp => '2024-07-01T00:00:00Z',
	  eventProperties => { n => -12345678901234567890.5, group => $texts[$_] } } } 0 .. $#texts);
	my $body = '{"customerAlias": "long", "eventType": "csv", "eventTimestamp": "2024-07-01T00:00:00Z", "customerEventId": "l", "eventProperties": {"n": -123456789012345678901234567890.123456789012345678901234567890}}';
	check('POST /usage-events', 201, as => 'csv', body => $body, what => 'a long number');
	my $metric = check('POST /usage-metrics', 201, as => 'csv', body => new_metric(name => 'CSV', eventType => 'csv', aggregationType => 'MIN', aggregationProperty => 'n'))->{json};
	check("GET /usage-metrics/$metric->{id}/by-customer?$in_july&sortOrder=ASC&format=csv&limit=1", 200, as => 'csv',
	  csv => [ $lines[0], 'long,1,-123456789012345678901234567890.123456789012345678901234567890,0' ]);
	my $grouped = check('POST /usage-metrics', 201, as => 'csv', body => new_metric(name => 'Groups', eventType => 'csv', metricType => 'GROUPED',
	  groupingProperty => 'group'))->{json};
	check("GET /usage-metrics/$grouped->{id}/by-customer?$in_july&sortBy=customer&format=csv", 200, as => 'csv', csv => [ 'customer,grouping,eventCount,value',
		"'1,'1,1,1", "'+1,'+1,1,1", "'-1,'-1,1,1", qq{"'=HYPERLINK(""x"")","'=HYPERLINK(""x"")",1,1}, "'\@x,'\@x,1,1", '"a""b","a""b",1,1', '"a;b","a;b",1,1', 'long,,1,1',
		'plain,plain,1,1' ]);
	check('GET /customers?format=csv&limit=1', 200, as => 'csv', csv => [ 'customerAlias,customerId,lastEventTimestamp', "'1,,2024-07-01T00:00:00Z" ]);
	check('GET /usage-events?format=csv&limit=1', 200, as => 'csv', csv => 1);
	check('GET /rejected-usage-events?format=csv', 200, as => 'csv', csv => ['id,rejectedAt,body,faults']);
}

# A setting of the server for the time of some requests.
sub with_setting
{
	my ($name, $value, $requests) = @_;
	reload("ALTER SYSTEM SET $name = '$value'");
	$requests->();
	reload("ALTER SYSTEM RESET $name");
}

# The server tells its sessions to read their settings again before it takes up another one: a new session that has
# the new settings is a sign that all others were told.
sub reload
{
	my ($change) = @_;
	my $read_at = sub { return $transport->new_session->query('SELECT extract(epoch FROM pg_conf_load_time())')->[0][0] };
	my $before = $read_at->();
	$transport->sql($change);
	$transport->sql('SELECT pg_reload_conf()');
	foreach (1 .. 10 * PostgREST::Session->PATIENCE)
	{
		return if $read_at->() ne $before;
		sleep 0.1;
	}
	die 'the server does not read its settings again';
}

sub cases_settings
{
	my %event = (customerAlias => 'settings', eventType => 'call', customerEventId => 'settings');
	my $stored = check('POST /usage-events', 201, body => \%event)->{json};
	with_setting('usage_events.on_conflict', 'refuse', sub {
		check('POST /usage-events', 400, body => { %event, eventType => 'x' }, what => 'a conflict that is refused',
		  error => { code => '23505' });
		check('POST /usage-events', 201, body => \%event, json => $stored, what => 'a retry where conflicts are refused');
		check('POST /usage-events/batch', 200, body => [ { %event, eventType => 'x' } ],
		  what => 'a conflict that is refused', json => has(refused => 1));
		check('POST /rpc/create_usage_event', 400, via => 'postgrest', body => { %event, eventType => 'x' },
		  what => 'a conflict that is refused', error => { code => '23505' });
		check('POST /rpc/create_usage_events', 400, via => 'postgrest', body => [ { %event, eventType => 'x' } ],
		  what => 'a conflict that is refused', error => { code => '23505' });
	});
	with_setting('usage_events.on_conflict', 'ignore', sub {
		check('POST /usage-events', 201, body => { %event, eventType => 'x' }, json => $stored,
		  what => 'a conflict that is ignored');
	});
	with_setting('usage_events.reject_unknown_fields', 'on', sub {
		check('POST /usage-events', 400, body => { %event, "unknown$split" => 1 }, what => 'a field that nobody knows',
		  names => 'unknown');
	});
	with_setting('timezone', 'America/New_York', sub {
		check("GET /usage-events/$stored->{id}", 200, json => $stored, what => 'in another time zone');
	});
	with_setting('datestyle', 'German, DMY', sub {
		check("GET /usage-events/$stored->{id}/history", 200, json => has(items => [ has(%$stored) ]),
		  what => 'in another style of dates');
	});

	# The role's own settings, which PostgREST sets for each request.
	$transport->sql("ALTER ROLE $web_role SET usage_events.on_conflict = 'refuse'");
	$transport->reload_role_settings;
	check('POST /usage-events', 400, body => { %event, eventType => 'x' },
	  what => 'a conflict that the role\'s setting refuses', error => { code => '23505' });
	$transport->sql("ALTER ROLE $web_role RESET usage_events.on_conflict");
	my ($timeout) = $transport->sql(
		"SELECT split_part(entry, '=', 2) FROM pg_roles, unnest(rolconfig) AS entry WHERE rolname = '$web_role' AND entry LIKE 'statement_timeout=%'");
	$transport->sql("ALTER ROLE $web_role SET statement_timeout = '200ms'");
	$transport->reload_role_settings;
	my $locker = $transport->new_session;
	$locker->query('BEGIN; LOCK TABLE usage_events.event IN ACCESS EXCLUSIVE MODE');
	check($_, 500, body => \%event, error => { code => '57014' },
	  what => 'while the table is locked, with a statement_timeout of the role') foreach 'POST /usage-events',
	  'GET /usage-events';
	$locker->query('ROLLBACK');
	$transport->sql("ALTER ROLE $web_role SET statement_timeout = '" . ($timeout // 0) . "'");
	$transport->reload_role_settings;

	with_setting('lock_timeout', '200ms', sub {
		$locker->query('SET lock_timeout = 0; BEGIN; LOCK TABLE usage_events.event IN ACCESS EXCLUSIVE MODE');
		check($_, 500, body => \%event, error => { code => '55P03' },
		  what => 'while the table is locked, with a lock_timeout') foreach 'POST /usage-events', 'GET /usage-events',
		  "GET /usage-events/$stored->{id}", "GET /usage-events/$stored->{id}/history";
		check('POST /usage-events/batch', 500, body => [ \%event ], error => { code => '55P03' },
		  what => 'while the table is locked, with a lock_timeout');
		check('POST /rpc/create_usage_event', 500, via => 'postgrest', body => \%event, error => { code => '55P03' },
		  what => 'while the table is locked, with a lock_timeout');
		$locker->query('ROLLBACK; RESET lock_timeout');
	});
	check('POST /usage-events', 201, body => \%event, json => $stored, what => 'once it is free');

	# A deadlock: the other session has b, and wants a when the batch has a and wants b.
	my ($a, $b) = map { { %event, customerEventId => "deadlock $_" } } qw(a b);
	send_events('acme', $b);
	# The batch alone looks for a deadlock, and late enough for the other session to be waiting by then.
	$locker->query("SET deadlock_timeout = '1h'; BEGIN;
		UPDATE usage_events.event SET event_type = 'x' WHERE account_id = '$account_id{acme}' AND customer_event_id = 'deadlock b'");
	$locker->start("DO \$\$ BEGIN
			WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))) LOOP
				PERFORM pg_sleep(0.01);
			END LOOP;
		END \$\$;
		INSERT INTO usage_events.event SELECT account_id, $schema.uuid_v7(), event_timestamp, 'deadlock a', customer_alias,
		  event_type, event_properties
		FROM usage_events.event WHERE account_id = '$account_id{acme}' AND customer_event_id = 'deadlock b'");
	my @batch = (body => [ $a, { %$b, eventType => 'z' } ]);
	with_setting('deadlock_timeout', '5s', sub {
		check('POST /usage-events/batch', 500, @batch, error => { code => '40P01' }, what => 'in a deadlock');
	});
	$locker->wait_ready;
	$locker->query('ROLLBACK');
	check('POST /usage-events/batch', 200, @batch, json => has(created => 1, superseded => 1), what => 'after it');

	# Privileges that the administrator took away.
	my $metric = check('POST /usage-metrics', 201, body => new_metric(), json => metric())->{json};
	foreach my $case (
		[ 'SELECT', 'event', 'GET /usage-events' ], [ 'SELECT', 'event', "GET /usage-events/$stored->{id}" ],
		  [ 'SELECT', 'superseded_event', "GET /usage-events/$stored->{id}/history" ],
		[ 'INSERT', 'event', 'POST /usage-events' ],
		  [ 'INSERT', 'event', 'POST /usage-events/batch', [ { customerAlias => 'a', eventType => 't' } ] ],
		[ 'INSERT', 'customer_alias', 'POST /customer-aliases', { customerId => 'c', value => 'privileges' } ],
		  [ 'SELECT', 'customer_alias', 'GET /customer-aliases' ],
		[ 'INSERT', 'metric', 'POST /usage-metrics', new_metric() ], [ 'SELECT', 'metric', 'GET /usage-metrics' ],
		  [ 'INSERT', 'metric_progress', 'POST /usage-metrics', new_metric() ],
		[ 'INSERT', 'usage_limit', 'POST /usage-limits', new_limit($metric) ], [ 'SELECT', 'usage_limit', 'GET /usage-limits' ],
		  [ 'SELECT', 'usage_limit', "GET /usage-limits/check?customer=a&usageMetricId=$metric->{id}" ])
	{
		my ($privilege, $table, $request, $body) = @$case;
		$transport->sql("REVOKE $privilege ON usage_events.$table FROM $web_role");
		check($request, 500, body => $body // { customerAlias => 'a', eventType => 't' }, error => { code => '42501' },
		  what => "without $privilege on $table");
		$transport->sql("SELECT usage_events.grant_access('$web_role', 'http')");
		check($request, [ 200, 201 ], body => $body // { customerAlias => 'a', eventType => 't' },
		  what => "with $privilege on $table again");
	}

	# A write where nothing can be written.
	return if $transport->{kind} ne 'replay';
	$transport->{read_only} = 1;
	check('POST /usage-events', 500, body => { customerAlias => 'a', eventType => 't' }, error => { code => '25006' },
	  what => 'read only');
	check('POST /usage-events/batch', 500, body => [ { customerAlias => 'a', eventType => 't' } ],
	  error => { code => '25006' }, what => 'read only');
	check('POST /customer-aliases', 500, body => { customerId => 'c', value => 'read only' }, error => { code => '25006' },
	  what => 'read only');
	check('POST /usage-metrics', 500, body => new_metric(), error => { code => '25006' }, what => 'read only');
	check('POST /usage-limits', 500, body => new_limit($metric), error => { code => '25006' }, what => 'read only');
	$transport->{read_only} = 0;
}

# A trigger of the administrator's raises what the event asks for.
sub cases_raised
{
	$transport->sql(q{
		CREATE FUNCTION public.raise_what_is_asked() RETURNS trigger LANGUAGE plpgsql AS $$
		DECLARE
			asked jsonb := NEW.event_properties -> 'raise';
		BEGIN
			RAISE EXCEPTION USING ERRCODE = asked ->> 'sqlstate', MESSAGE = coalesce(asked ->> 'message', 'secret of the server'),
				DETAIL = coalesce(asked ->> 'detail', 'secret detail'), HINT = coalesce(asked ->> 'hint', 'secret hint');
		END $$;
		CREATE TRIGGER raise_what_is_asked BEFORE INSERT ON usage_events.event FOR EACH ROW
			WHEN (NEW.event_properties ? 'raise') EXECUTE FUNCTION public.raise_what_is_asked()});

	my $raising = sub {
		my ($sqlstate, %more) = @_;
		return { customerAlias => 'raise', eventType => 'call',
		  eventProperties => { raise => { sqlstate => $sqlstate, %more } } };
	};
	my @clients = qw(22000 22001 22003 22004 22007 22008 22012 22021 22023 22P02 22P05 23503 23505 23514 23P01 P0001 54000 54001);
	my @servers = qw(02000 03000 08000 08003 08006 09000 0A000 0B000 0F000 0L000 0L001 0LP01 0P000 20000 21000 23000 23001 23502 24000 25000 25006 25P01 25P02 26000 27000 28000 28P01 2B000 2BP01 2D000 2F000 34000 38000 39000 39P01 3B000 3D000 3F000 40000 40001 40002 40003 40P01 42000 42501 42601 42703 42710 42804 42883 42P01 42P10 42P17 44000 53000 53100 53200 53300 53400 54011 54023 55000 55006 55P02 55P03 57000 57014 57P01 57P02 57P03 58000 58030 58P01 72000 F0000 F0001 HV000 HV00A P0000 P0002 P0003 P0004 XX000 XX001 XX002 UE001 ZZZZZ PT000 PT001 PT099 PT100 PT200 PT201 PT204 PT301 PT304 PT500 PT503 PT599 PT999 PTABC);
	check('POST /usage-events', 400, body => $raising->($_),
	  error => { code => $_, message => 'secret of the server', details => 'secret detail', hint => 'secret hint' },
	  what => "raises $_") foreach @clients;
	check('POST /usage-events', 500, body => $raising->($_), what => "raises $_") foreach @servers;
	check('POST /usage-events', $_, body => $raising->("PT$_"),
	  error => { code => "$_", message => 'secret of the server' }, what => "raises PT$_") foreach 401, 404;
	check('POST /usage-events', 400, body => $raising->("PT$_"),
	  error => { code => '400', message => 'secret of the server' }, what => "raises PT$_") foreach 400, 402, 403, 405, 409,
	  413, 418, 422, 429, 499;

	# The text of an error may come from a client, and stays in the body.
	foreach my $sqlstate (qw(22000 P0001 23505 PT400 PT401 PT404 PT418 PT200 55000 XX000))
	{
		my %texts = map { $_ => "$_ $split" } qw(message detail hint);
		check('POST /usage-events', [ 400, 401, 404, 500 ], body => $raising->($sqlstate, %texts),
		  what => "raises $sqlstate with line ends in it");
		check('POST /rpc/create_usage_event', [ 400, 401, 404, 500 ], via => 'postgrest',
		  body => $raising->($sqlstate, %texts), what => "raises $sqlstate with line ends in it");
	}
	check('POST /usage-events', 400,
	  body => $raising->('P0001', message => "\x{dc} \"\\ $split", detail => "\x{1f600}", hint => "\x{1}"),
	  what => 'raises odd texts', error => { message => "\x{dc} \"\\ $split", details => "\x{1f600}", hint => "\x{1}" });

	# An error of PostgREST's own kind would choose the status line and headers.
	check('POST /usage-events', 500, what => 'raises PGRST', error => { code => 'PGRST' },
	  body => $raising->('PGRST', message => '{"code": "x", "message": "y"}',
		detail => '{"status": 418, "status_text": "a\\r\\nX-Injected: yes", "headers": {"X-Injected": "yes"}}'));

	# The other doors.
	check('POST /usage-events/batch', 500, body => [ $raising->('55000') ], error => { code => '55000' }, what => 'raises 55000');
	check('POST /usage-events/batch', 400, body => [ $raising->('P0001') ], error => { code => 'P0001' }, what => 'raises P0001');
	check('POST /rpc/create_usage_event', 400, via => 'postgrest', body => $raising->('23505'),
	  error => { code => '23505' }, what => 'raises 23505');
	check('POST /rpc/create_usage_event', 500, via => 'postgrest', body => $raising->('28000'),
	  error => { code => '28000' }, what => 'raises 28000');
	check('POST /rpc/create_usage_events', 500, via => 'postgrest', body => [ $raising->('42P01') ],
	  error => { code => '42P01' }, what => 'raises 42P01');
	check('POST /rpc/ingest_usage_events', 500, via => 'postgrest', body => [ $raising->('53300') ],
	  error => { code => '53300' }, what => 'raises 53300');

	# What is checked only when the transaction ends is beyond the functions' reach: it is PostgREST that answers.
	$transport->sql(q{
		CREATE CONSTRAINT TRIGGER raise_at_end AFTER INSERT ON usage_events.event DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
			WHEN (NEW.event_properties ? 'raise') EXECUTE FUNCTION public.raise_what_is_asked();
		DROP TRIGGER raise_what_is_asked ON usage_events.event});
	check('POST /usage-events', [ 400, 500 ], own => 1, body => $raising->($_, message => 'internal server error'),
	  what => "raises $_ when the transaction ends") foreach qw(23503 25006 28000 53300 57P01);
	report('nothing that was raised is stored', difference(count_events_of('acme', 'raise'), 0));
	$transport->sql('DROP TRIGGER raise_at_end ON usage_events.event; DROP FUNCTION public.raise_what_is_asked()');

	# A rule of the administrator's own.
	$transport->sql("ALTER TABLE usage_events.event ADD CONSTRAINT no_spam CHECK (event_type <> 'spam')");
	check('POST /usage-events', 400, body => { customerAlias => 'a', eventType => 'spam' },
	  error => { code => '23514', message => qr/no_spam/ });
	check('POST /usage-events/batch', 400, body => [ { customerAlias => 'a', eventType => 'spam' } ],
	  error => { code => '23514' });
	$transport->sql('ALTER TABLE usage_events.event DROP CONSTRAINT no_spam');
	$transport->sql(q{
		CREATE FUNCTION public.keep_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
		CREATE TRIGGER keep_out BEFORE INSERT ON usage_events.event FOR EACH ROW EXECUTE FUNCTION public.keep_out()});
	check('POST /usage-events', 500, body => { customerAlias => 'a', eventType => 'kept out' },
	  error => { code => '55000' }, what => 'kept out by a trigger');
	$transport->sql('DROP TRIGGER keep_out ON usage_events.event; DROP FUNCTION public.keep_out()');
}

# Without nginx ----------------------------------------------------------------

sub cases_direct
{
	my @direct = (via => 'postgrest');
	my %event = (customerAlias => 'direct', eventType => 'call', customerEventId => 'direct');
	my $create = 'POST /rpc/create_usage_event';
	my $stored = check($create, 201, @direct, body => \%event, json => event(%event))->{json};
	check($create, 201, @direct, body => \%event, json => $stored, what => 'again');
	check($create, 400, @direct, body => {}, error => { code => '22023', details => qr/"customerAlias" is missing/ });
	check($create, 400, @direct, body => $_) foreach '[]', 'null', '5', '""';
	check($create, 400, @direct, own => 1, body => $_) foreach '{', 'x', "\xff", '{"a": "\ud800"}';
	check($create, 400, @direct, own => 1, body => '{"customerAlias": "\u0000", "eventType": "t"}');
	check($create, 401, @direct, as => undef, body => \%event, error => { code => '401' });
	check($create, 401, @direct, headers => [ Authorization => 'Basic AAAA' ], body => \%event, error => { code => '401' });
	check($create, 400, @direct, headers => [ 'Sequence-Version' => '1' ], body => \%event, error => { code => '22023' });
	check('POST /rpc/create_usage_events', 201, @direct, body => [ \%event, { %event, customerEventId => 'direct 2' } ],
	  json => [ $stored, event(customerEventId => 'direct 2') ]);
	check('POST /rpc/create_usage_events', 201, @direct, body => [], json => []);
	check('POST /rpc/create_usage_events', 400, @direct, body => [ {}, {} ], error => { details => qr/^Event 0: .*Event 1: /s });
	check('POST /rpc/create_usage_events', 400, @direct, body => \%event, what => 'an object');
	check('POST /rpc/ingest_usage_events', 200, @direct, body => [ \%event ], json => has(unchanged => 1));
	check('POST /rpc/ingest_usage_events', 200, @direct, body => [], json => has(created => 0));
	check('POST /rpc/ingest_usage_events', 400, @direct, body => \%event, what => 'an object');

	check("GET /rpc/get_usage_event?id=$stored->{id}", 200, @direct, json => $stored);
	check("GET /rpc/get_usage_event?id=$no_uuid", 404, @direct);
	check('GET /rpc/get_usage_event?id=x', 400, @direct, own => 1);
	check("GET /rpc/get_usage_event_history?id=$stored->{id}", 200, @direct,
	  json => { items => [ { %$stored, supersededAt => undef, supersededBy => undef } ] });
	check('GET /rpc/list_usage_events?page_limit=2&event_type=call', 200, @direct,
	  json => { items => [ event(), event() ], pagination => has(before => undef) });
	check('GET /rpc/list_usage_events', 200, @direct, json => has(items => sub { @{ $_[0] } == 20 ? '' : 'not 20' }));
	check('GET /rpc/list_usage_events?customer_aliases=%7Bdirect,nobody%7D&sort_by=eventTimestamp&sort_order=ASC', 200,
	  @direct, json => has(items => [ event(customerAlias => 'direct'), event(customerAlias => 'direct') ]));
	check("GET /rpc/list_usage_events?$_", 400, @direct) foreach 'page_limit=0', 'page_limit=101', 'after=x',
	  'page_offset=-1', 'sort_by=x', 'sort_order=x', 'after=x&before=x';
	check("GET /rpc/list_usage_events?$_", 400, @direct, own => 1) foreach 'page_limit=x', 'event_timestamp_before=x',
	  'customer_aliases=x', 'unmapped_aliases_only=x';

	check('GET /usage_events?customer_alias=eq.direct&order=id.asc', 200, @direct,
	  json => [ has(customer_event_id => 'direct', account_id => $account_id{acme}), has(customer_event_id => 'direct 2') ]);
	check("GET /usage_events?id=eq.$stored->{id}", 200, @direct, json => [ has(id => $stored->{id}) ]);
	check("GET /usage_events?id=eq.$stored->{id}", 200, @direct, as => 'globex', json => [], what => 'of another account');
	check('GET /usage_events?limit=1000&order=event_timestamp.desc,id', 200, @direct, as => 'globex',
	  json => sub { join ' ', grep { $_ ne $account_id{globex} } map { $_->{account_id} } @{ $_[0] } });
	check("GET /$_?limit=5", 200, @direct,
	  json => sub { join ' ', grep { $_ ne $account_id{acme} } map { $_->{account_id} } @{ $_[0] } })
	  foreach 'usage_event_history', 'rejected_usage_events';
	check("GET /$_?limit=5", 200, @direct) foreach 'customer_aliases', 'unmapped_customer_aliases';
	check("GET /$_", 401, @direct, as => undef) foreach 'usage_events', 'usage_event_history', 'rejected_usage_events',
	  'customer_aliases', 'unmapped_customer_aliases';

	my $made = check('POST /rpc/create_customer_alias', [ 200, 201 ], @direct,
	  body => { customerId => 'direct', value => 'direct value' }, json => alias(value => 'direct value'))->{json};
	check('POST /rpc/update_customer_alias', 200, @direct, body => { id => $made->{id}, alias => { label => 'x' } },
	  json => alias(label => 'x'));
	check('GET /rpc/list_customer_aliases?value=direct%20value', 200, @direct, json => has(items => [ alias(label => 'x') ]));
	check('POST /rpc/delete_customer_alias', 200, @direct, body => { id => $made->{id} },
	  json => alias(label => 'x', deletedAt => $instant));

	my $metric = check('POST /rpc/create_usage_metric', 201, @direct, body => new_metric(name => 'direct'),
	  json => metric(name => 'direct'))->{json};
	check('POST /rpc/create_usage_metric', 400, @direct, body => {}, error => { code => '22023' });
	check("GET /rpc/get_usage_metric?id=$metric->{id}", 200, @direct, json => $metric);
	check("GET /rpc/get_usage_metric?id=$no_uuid", 404, @direct);
	check('POST /rpc/update_usage_metric', 200, @direct, body => { id => $metric->{id}, metric => new_metric(name => 'changed') },
	  json => { %$metric, name => 'changed' });
	check('POST /rpc/update_usage_metric', 404, @direct, body => { id => $no_uuid, metric => new_metric() });
	check('GET /rpc/list_usage_metrics?name=CHANGED&event_types=%7Bcall%7D', 200, @direct,
	  json => has(items => [ metric(name => 'changed') ]));
	check('GET /rpc/list_usage_metrics?page_limit=0', 400, @direct);
	check("GET /usage_metrics?id=eq.$metric->{id}", 200, @direct,
	  json => [ has(name => 'changed', property_filters => {}, account_id => $account_id{acme}) ]);
	check("GET /usage_metrics?id=eq.$metric->{id}", 200, @direct, as => 'globex', json => [], what => 'of another account');
	check('POST /rpc/delete_usage_metric', 200, @direct, body => { id => $metric->{id} },
	  json => metric(name => 'changed', deletedAt => $instant));
	check('POST /rpc/delete_usage_metric', 404, @direct, body => { id => $metric->{id} }, what => 'again');

	check('POST /rpc/retry_rejected_usage_events', 200, @direct, body => { ids => [$no_uuid] },
	  json => has(created => 0, outcomes => []));

	# The two functions behind nginx, where somebody else calls them.
	check('GET /rpc/usage_api_read', 400, @direct, what => 'without Usage-Request');
	check('GET /rpc/usage_api_read', [ 400, 404 ], @direct, headers => [ 'Usage-Request' => $_ ],
	  what => "with Usage-Request '$_'") foreach 'GET', 'GET usage', 'GET  /', "GET /\xc3\xbc", '?';
	check('GET /rpc/usage_api_read', [ 400, 405 ], @direct, headers => [ 'Usage-Request' => $_ ],
	  what => "with Usage-Request '$_'") foreach ' ', ' /usage-events';
	check('GET /rpc/usage_api_read', 405, @direct, headers => [ 'Usage-Request' => $_ ],
	  what => "with Usage-Request '$_'") foreach 'POST /usage-events', 'OPTIONS /usage-events', 'DELETE /customer-aliases/x';
	check('GET /rpc/usage_api_read', 200, @direct, headers => [ 'Usage-Request' => 'GET /usage-events?limit=1' ],
	  json => has(items => [ event() ]));
	check('POST /rpc/usage_api_write', 201, @direct,
	  headers => [ 'Usage-Request' => 'POST /usage-events', 'Content-Type' => 'application/octet-stream' ], body => \%event,
	  json => $stored);
	check('POST /rpc/usage_api_write', 405, @direct,
	  headers => [ 'Usage-Request' => 'GET /usage-events', 'Content-Type' => 'application/octet-stream' ], body => '',
	  what => 'to read');
}

# Scopes -----------------------------------------------------------------------

# Keys that are good for less than all; test/t/037_key_scopes.pl goes through all routes.
sub cases_scopes
{
	my %event = (customerAlias => 'scoped', eventType => 'call', customerEventId => 'scoped');
	my $stored = check('POST /usage-events', 201, body => \%event)->{json};
	my $others = check('POST /usage-events', 201, body => { customerAlias => 'not scoped', eventType => 'call' })->{json};
	my %refusal = (error => { code => '403', message => 'API key may not do this' });

	$key{sender} = make_key('acme', q{, 'ingest'});
	check('POST /usage-events', 201, as => 'sender', body => \%event, json => $stored, what => 'with a key that sends');
	check('POST /usage-events', 400, as => 'sender', body => {}, what => 'with a key that sends');
	check("GET /usage-events/$stored->{id}", 403, as => 'sender', %refusal, what => 'with a key that sends');
	check('DELETE /nothing-here', 404, as => 'sender', what => 'with a key that sends');
	check('PATCH /usage-events', 405, as => 'sender', what => 'with a key that sends');

	$key{reader} = make_key('acme', q{, 'read'});
	check("GET /usage-events/$stored->{id}", 200, as => 'reader', json => $stored, what => 'with a key that reads');
	check('POST /usage-events', 403, as => 'reader', body => \%event, %refusal, what => 'with a key that reads');
	check('POST /usage-events', 403, as => 'reader', body => 'x', %refusal, what => 'with a key that reads');

	my $token = check('POST /portal-tokens', 201, body => { customer => 'scoped', expiresIn => 60 })->{json};
	$key{visitor} = "$token->{clientId}:$token->{clientSecret}";
	check("GET /usage-events/$stored->{id}", 200, as => 'visitor', json => $stored, what => 'with the token of the customer');
	check("GET /usage-events/$_", 404, as => 'visitor', error => { code => '404', message => 'not found', details => undef },
	  what => 'with the token of another customer') foreach $others->{id}, $no_uuid;
	check('GET /usage-events', 200, headers => [ Authorization => "Basic $token->{token}" ], json => has(items => [$stored]),
	  what => 'with the token as it was answered');
	check('GET /usage-events?format=csv', 200, as => 'visitor', what => 'with the token of the customer',
	  csv => [ 'id,customerEventId,customerAlias,eventType,eventTimestamp,eventProperties,sequenceAccountId', qq($stored->{id},scoped,scoped,call,$stored->{eventTimestamp},{},$stored->{sequenceAccountId}) ]);
	check('GET /usage-events', 401, headers => [ Authorization => "Bearer $token->{token}" ], what => 'with the token as a Bearer');
	check('GET /usage_events', 403, via => 'postgrest', own => 1, as => $_, error => { code => 'PT403' }, what => "with the key of a $_")
	  foreach qw(sender reader visitor);
	check('GET /rpc/list_usage_events', 403, via => 'postgrest', as => $_, %refusal, what => "with the key of a $_")
	  foreach qw(sender reader visitor);
	check("DELETE /portal-tokens/$token->{id}", 200, json => has(id => $token->{id}));
	check('GET /', 401, as => 'visitor', what => 'with a token that was ended');
	check('GET /portal-tokens', 200, json => has(items => []));
}

# Hygiene ----------------------------------------------------------------------

# After whatever ended the request before, the next one's key alone says whose events they are.
sub cases_next_client
{
	foreach my $previous (
		[ 'POST /usage-events', 201, body => { customerAlias => 'previous', eventType => 'call' } ],
		  [ 'POST /usage-events', 400, body => 'x' ], [ 'GET /usage-events', 200 ],
		[ 'GET /usage-events?limit=0', 400 ], [ 'GET /nothing', 404 ], [ 'GET /usage-events', 401, as => undef ])
	{
		check(@$previous);
		check('GET /usage-events?limit=100', 200, as => 'lister', what => 'sees its own account after it',
		  json => has(items => sub { @{ $_[0] } == @listed
		  && !(grep { $_->{sequenceAccountId} ne $account_id{lister} } @{ $_[0] }) ? '' : 'others' }));
		check('GET /usage-events', 401, as => undef, what => 'is nobody after it');
		check('GET /usage_events', 401, as => undef, via => 'postgrest', what => 'is nobody after it');
	}
}

# Wire -------------------------------------------------------------------------

# What only HTTP has: requests byte by byte.
sub cases_wire
{
	my $authorization = 'Authorization: ' . basic($key{acme});
	my $event = $json->encode({ customerAlias => 'wire', eventType => 'call' });
	my $length = length $event;
	my $chunks = sprintf "%x\r\n%s\r\n%x;x=y\r\n%s\r\n0\r\n\r\n", 10, substr($event, 0, 10), $length - 10, substr $event, 10;
	my $wire = sub {
		my ($what, $status, $own, $head, $body) = @_;
		my $bytes = join("\r\n", ref $head ? @$head : $head, 'Connection: close', '', '') . ($body // '');
		my $answer = $transport->raw($bytes);
		report("$what: " . join(' ', ref $head ? $head->[0] : $head), faults_of_answer($bytes, $answer, own => $own),
		  (grep { $_ == $answer->{status} } ref $status ? @$status : $status) ? '' : "status $answer->{status}: "
		  . substr $answer->{body}, 0, 300);
	};

	my @host = ('Host: localhost', $authorization);
	$wire->('absolute form', 200, 0, [ 'GET http://localhost/usage-events?limit=1 HTTP/1.1', @host ]);
	$wire->('absolute form without a path', 200, 0, [ 'GET http://localhost HTTP/1.1', @host ]);
	$wire->('absolute form with a query only', 200, 0, [ 'GET http://localhost?x=1 HTTP/1.1', @host ]);
	$wire->('a fragment', [ 200, 400, 404 ], 1, [ 'GET /usage-events#x HTTP/1.1', @host ]);
	$wire->('HTTP/1.0', 200, 0, [ 'GET /usage-events HTTP/1.0', $authorization ]);
	$wire->('no host', 400, 1, [ 'GET /usage-events HTTP/1.1', $authorization ]);
	$wire->('two hosts', 400, 1, [ 'GET /usage-events HTTP/1.1', @host, 'Host: other' ]);
	$wire->('a bad host', 400, 1, [ 'GET /usage-events HTTP/1.1', "Host: a\0b", $authorization ]);
	$wire->('a null byte in a header', 400, 1, [ 'GET /usage-events HTTP/1.1', @host, "X-Odd: a\0b" ]);
	$wire->('a header without colon', [ 200, 400 ], 1, [ 'GET /usage-events HTTP/1.1', @host, 'odd' ]);
	$wire->('a folded header', [ 200, 400, 401 ], 1, [ 'GET /usage-events HTTP/1.1', @host, "X-Odd: a\r\n b" ]);
	$wire->('a space before the colon', [ 200, 400, 401 ], 1,
	  [ 'GET /usage-events HTTP/1.1', 'Host: localhost', $authorization =~ s/:/ :/r ]);
	$wire->('an underscore in the name', 401, 0, [ 'GET /usage-events HTTP/1.1', 'Host: localhost', 'Usage_Request: GET /' ]);
	$wire->('a method in lower case', 400, 1, [ 'get /usage-events HTTP/1.1', @host ]);
	$wire->('a method that nobody knows', 405, 0, [ 'FROBNICATE /usage-events HTTP/1.1', @host, 'Content-Length: 0' ]);
	$wire->('TRACE', 405, 1, [ 'TRACE /usage-events HTTP/1.1', @host ]);
	$wire->('CONNECT', [ 400, 405 ], 1, [ 'CONNECT localhost:80 HTTP/1.1', @host ]);
	$wire->('an asterisk', [ 400, 404 ], 1, [ 'OPTIONS * HTTP/1.1', @host ]);
	$wire->('a preflight without credentials', 401, 0,
	  [ 'OPTIONS /usage-events HTTP/1.1', 'Host: localhost', 'Origin: https://example.org',
	  'Access-Control-Request-Method: POST' ]);
	$wire->('too high', [ 400, 404 ], 1, [ "GET $_ HTTP/1.1", @host ]) foreach '/..', '/../usage-events',
	  '/usage-events/../../x', '/%2e%2e/';
	$wire->('a path of dots', [ 200, 400, 404 ], 0, [ "GET $_ HTTP/1.1", @host ]) foreach '/./usage-events',
	  '/x/../usage-events', '/usage-events/.', '/%2e/usage-events';
	$wire->('an error page of nginx by its name', [ 404, 500 ], 1, [ 'GET /-/error HTTP/1.1', @host ]);
	$wire->('the server\'s own path', 404, 0, [ 'GET /rpc/create_usage_event HTTP/1.1', @host ]);
	$wire->('what is no HTTP', 400, 1, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
	$wire->('HTTP of another version', [ 400, 500 ], 1, [ 'GET / HTTP/3.0', @host ]);

	my $post = 'POST /usage-events HTTP/1.1';
	$wire->('a length', 201, 0, [ $post, @host, "Content-Length: $length" ], $event);
	$wire->('chunks', 201, 0, [ $post, @host, 'Transfer-Encoding: chunked' ], $chunks);
	$wire->('chunks and a length', 400, 1, [ $post, @host, 'Transfer-Encoding: chunked', "Content-Length: $length" ], $chunks);
	$wire->('expecting to go on', 201, 0, [ $post, @host, "Content-Length: $length", 'Expect: 100-continue' ], $event);
	$wire->('no length', 400, 0, [ $post, @host ]);
	$wire->('a bad length', 400, 1, [ $post, @host, "Content-Length: $_" ], $event) foreach '-1', 'x', '1e3',
	  '99999999999999999999';
	$wire->('two lengths', 400, 1, [ $post, @host, "Content-Length: $length", 'Content-Length: 1' ], $event);
	$wire->("said to be $_", $_ eq 'identity' ? 201 : 415, 0, [ $post, @host, "Content-Length: $length", "Content-Encoding: $_" ], $event)
	  foreach 'gzip', 'identity', "\xff";
	$wire->('too long a length', 413, 1, [ $post, @host, 'Content-Length: 2000000' ]);
	$wire->('too many chunks', 413, 1, [ $post, @host, 'Transfer-Encoding: chunked' ],
	  sprintf("%x\r\n%s\r\n", 2 ** 20, ' ' x 2 ** 20) x 2 . "0\r\n\r\n");
	$wire->('GET with a body', 200, 0, [ 'GET /usage-events HTTP/1.1', @host, "Content-Length: $length" ], $event);
	$wire->('conditions', 200, 0, [ 'GET /usage-events HTTP/1.1', @host, 'If-None-Match: *',
	  'If-Modified-Since: Sat, 01 Jan 2050 00:00:00 GMT', 'Range: bytes=0-5', 'Accept-Encoding: gzip' ]);
	check('GET /rpc/usage_api_read', 401, via => 'postgrest', own => 1, headers => [ Authorization => 'Bearer x' ],
	  what => 'with a token that is none');
}

# Requests that come at the same time.
sub cases_at_once
{
	my $at_once = sub {
		my ($request, $as, @bodies) = @_;
		my ($method, $target) = split / /, $request;
		my @answers = $transport->at_once(map { [ $method, $target, [ Authorization => basic($key{$as}) ],
		  $json->encode($_) ] } @bodies);
		my @faults = map { faults_of_answer($request, $_) } @answers;
		report("$request: " . @bodies . ' at once', @faults);
		return @answers;
	};
	my $statuses = sub { join ' ',
	  map { my $status = $_; $status . 'x'
	  . grep { $_->{status} == $status } @_ } grep { my $status = $_; grep { $_->{status} == $status } @_ } 200, 201, 400, 500 };
	my $different = sub { my %ids = map { $_->{json}{id} => 1 } @_; scalar keys %ids };
	my %event = (customerAlias => 'at once', eventType => 'call');

	my @answers = $at_once->('POST /usage-events', 'acme',
	  map { { %event, customerEventId => 'the same', eventTimestamp => '2024-01-01T00:00:00Z' } } 1 .. 20);
	report('retries that race get one event', difference($statuses->(@answers), '201x20'), difference($different->(@answers), 1));
	@answers = $at_once->('POST /usage-events', 'acme',
	  map { { %event, customerEventId => 'others', eventProperties => { number => $_ } } } 1 .. 20);
	report('corrections that race are all stored', difference($statuses->(@answers), '201x20'),
	  difference($different->(@answers), 20));
	my $history = check("GET /usage-events/$answers[0]{json}{id}/history", 200)->{json}{items};
	report('as versions of one event, each superseded by the next', difference(scalar @$history, 20),
	  map { difference($history->[$_]{supersededBy}, $_ < $#$history ? $history->[ $_ + 1 ]{id} : undef) } 0 .. $#$history);

	@answers = $at_once->('POST /customer-aliases', 'acme',
	  map { { customerId => "customer $_", value => 'raced for' } } 1 .. 20);
	report('one customer gets the alias', difference($statuses->(@answers), '201x1 400x19'));
	@answers = $at_once->('POST /customer-aliases', 'acme', map { { customerId => 'customer', value => 'agreed upon' } } 1 .. 20);
	report('and of one customer it is one', difference($statuses->(@answers), '201x20'), difference($different->(@answers), 1));

	@answers = $at_once->('POST /usage-events/batch', 'acme',
	  map { my $sender = $_; [ map { { %event, customerEventId => 'batch ' . ($_ * 7 + $sender) % 50,
	  eventProperties => { sender => $sender } } } 1 .. 50 ] } 1 .. 10);
	report('batches that overlap do not deadlock', difference($statuses->(@answers), '200x10'));
}

# More requests than a key may send.
sub cases_rate
{
	make_account('hasty');
	$transport->with_rate_limit(sub {
		my @statuses = map { check('GET /customer-aliases', [ 200, 429 ], own => 1, as => 'hasty',
		  what => "request $_")->{status} } 1 .. 20;
		report('some are answered, then none', join(' ', @statuses) =~ /^200( 200)+( 429)+$/ ? '' : "@statuses");
		check('POST /usage-events', 429, own => 1, as => 'hasty', body => { customerAlias => 'a', eventType => 't' },
		  error => { code => '429', message => 'too many requests' });
		check('GET /customer-aliases', 200, as => 'globex', what => 'of another account');
		my ($id) = split /:/, $key{hasty};
		check('GET /customer-aliases', 401, headers => [ Authorization => basic("$id:x") ],
		  what => 'of somebody who knows the id only');
	});
	check('GET /customer-aliases', 200, as => 'hasty', what => 'once it may send more');
}

# All keys, whose secrets must be nowhere but with their owners.
sub keys_of_accounts
{
	return %key;
}

# What a BLOCK limit keeps out: 429, and when it is worth trying again, if it ever is.
sub cases_over_limit
{
	my @as = (as => 'blocked');
	my $metric = check('POST /usage-metrics', 201, @as, what => 'of a limit',
		body => { name => 'tokens', eventType => 'chat', metricType => 'SIMPLE', aggregationType => 'SUM', aggregationProperty => 'n' })->{json}{id};
	my $event = sub {
		my ($alias, $n, @more) = @_;
		return { customerAlias => $alias, eventType => 'chat', eventProperties => { n => $n }, @more };
	};
	my %limit = (name => 'Tokens', usageMetricId => $metric, period => 'MONTH', limit => 100, mode => 'BLOCK');
	my $error = { code => '53400', message => 'usage limit exceeded' };
	my $id = check('POST /usage-limits', 201, @as, body => \%limit, what => 'that blocks')->{json}{id};

	check('POST /usage-events', 201, @as, body => $event->('acme', 60), what => 'below a limit');
	my $answer = check('POST /usage-events', 429, @as, body => $event->('acme', 41), error => $error,
		names => 'adds 41 to usage limit "Tokens", of whose 100 there are 60 used until', what => 'above a limit');
	my $seconds = $answer->{headers}{'retry-after'} // '';
	report('Retry-After has the seconds until the period ends', $seconds =~ /^[1-9]\d*$/ && $seconds <= 31 * 24 * 3600 ? '' : "it is '$seconds'");
	my $past = check('POST /usage-events', 429, @as, body => $event->('acme', 101, eventTimestamp => '2024-10-05T00:00:00Z'), error => $error,
		names => 'until 2024-11-01T00:00:00Z', what => 'above a limit of a period that is over');
	check('PUT /usage-limits/' . $id, 200, @as, body => { %limit, period => 'ALL_TIME' }, what => 'to all time');
	my $ever = check('POST /usage-events', 429, @as, body => $event->('acme', 41), error => $error, names => 'used for all time', what => 'above a limit of all time');
	report('no Retry-After where waiting does not help', map { $_->{headers}{'retry-after'} } $past, $ever);
	check('POST /usage-events', 201, @as, body => $event->('acme', 40), what => 'up to a limit');
}

sub run_cases
{
	($transport) = @_;
	($schema) = $transport->sql(q{SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'usage_events'});
	($web_role) = $transport->sql(
		"SELECT rolname FROM pg_roles WHERE has_function_privilege(oid, '$schema.usage_api_read()', 'EXECUTE') AND NOT rolcanlogin AND NOT rolsuper");
	make_account($_) foreach qw(acme globex lister mapper meter limiter blocked asker refuser typist csv);

	cases_credentials();
	cases_version();
	cases_routes();
	cases_create();
	cases_codings();
	cases_refused();
	cases_batch();
	make_listed();
	cases_pages();
	cases_filters();
	cases_aliases();
	cases_metrics();
	cases_alerts();
	cases_calculate();
	cases_scopes();
	cases_limits();
	cases_over_limit();
	make_asked();
	cases_series();
	cases_by_customer();
	cases_breakdown();
	cases_changes();
	cases_explain();
	cases_rejected();
	cases_customers();
	cases_types();
	cases_status();
	cases_csv();
	cases_settings();
	cases_raised();
	cases_direct();
	cases_next_client();
	return if $transport->{kind} ne 'http';

	cases_wire();
	cases_at_once();
	cases_rate();
}

1;
