# 026_nginx.pl: what examples/postgrest/usage_events.conf lets pass, and its limits, with a real nginx
#
# Behind it stands what answers as PostgREST does: it knows some keys, answers others with 401, serves as many requests at
# a time as PostgREST has connections (db-pool), lets some hang until it is told to go on, and answers some as the request
# itself says, with the header of the API's own answers or without it.  Limits are shown by what is
# answered while others hang, and by counts, never by times.  Skipped without nginx.
use strict;
use warnings FATAL => 'all';

use FindBin;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use constant PATIENCE => 120;    # seconds for an answer

my ($nginx) = grep { -x } map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'nginx is not installed' unless $nginx;

my $examples = "$FindBin::RealBin/../../examples/postgrest";
my $folder = PostgreSQL::Test::Utils::tempdir();
my ($port, $upstream_port, $answers_port) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 3;
my ($pool) = slurp_file("$examples/postgrest.conf") =~ /^db-pool = (\d+)$/m or die 'no db-pool';
my ($busy) = slurp_file("$examples/usage_events.conf") =~ /limit_conn usage_events_busy (\d+);/ or die 'no limit_conn';
$SIG{PIPE} = 'IGNORE';

# Keys ----------------------------------------------------------------------------

sub hex_digits
{
	my ($count) = @_;
	return join '', map { sprintf '%x', int rand 16 } 1 .. $count;
}

# Credentials of the form that keys have.
sub new_key
{
	my ($account) = @_;
	$account //= '0184421e-a9cc-711b-af93-' . hex_digits(12);
	return $account . '.' . hex_digits(16) . ':' . hex_digits(64);
}

my @listed = ('listed', 'other', 'quiet', 'hasty', 'patient');
my %key = map { $_ => new_key() } @listed, 'unlisted';

sub id_of
{
	return $_[0] =~ s/:.*//r;
}

# What stands for PostgREST --------------------------------------------------------

# Requests with "hang" in their target wait for SIGUSR1; one with "seen" is answered with numbers of what came.  One to
# /answer/STATUS gets just that: of the API's own if it also says "own", and with the body that it came with; one to /close
# gets nothing, and one to /half a part of an answer of the API's.
sub serve
{
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $upstream_port, Listen => 1024, ReuseAddr => 1) or die $!;
	my $select = IO::Select->new($listener);
	my $released = 0;
	$SIG{USR1} = sub { $released = 1 };
	my (%received, @waiting, @hanging);
	my %seen = (requests => 0, most => 0);
	my %good = map { ('Basic ' . encode_base64($_, '')) => 1 } values %key;

	while (1)
	{
		foreach my $socket ($select->can_read(0.05))
		{
			if ($socket == $listener)
			{
				$select->add(scalar $listener->accept);
				next;
			}
			if (!sysread $socket, $received{$socket}, 65536, length($received{$socket} //= ''))
			{
				# PostgREST goes on with a statement whose client has gone.
				$select->remove($socket);
				delete $received{$socket};
				next;
			}
			my ($head, $body) = split /\r\n\r\n/, $received{$socket}, 2;
			next if !defined $body || length $body < ($head =~ /^Content-Length: *(\d+)/mi ? $1 : 0);
			$received{$socket} = '';
			my ($target) = $head =~ /^Usage-Request: \S+ (\S+)/mi or die $head;
			my ($authorization) = $head =~ /^Authorization: *(.*?)\r?$/mi;
			if ($target =~ /seen/)
			{
				answer($socket, 200, encode_json({ %seen, hanging => scalar @hanging }));
				next;
			}
			$seen{requests}++;
			if ($target =~ m{^/(answer/(\d+)|close|half)})
			{
				answer_as_told($socket, $target, $2, $body);
				$select->remove($socket), close $socket if !$2;
				delete $received{$socket} if !$2;
				next;
			}
			push @waiting, [ $socket, $target, $good{ $authorization // '' } ];
		}
		if ($released)
		{
			answer($_->[0], 200, '{"items": []}') foreach splice @hanging;
			$released = 0;
		}
		while (@waiting && @hanging < $pool)
		{
			my $request = shift @waiting;
			my ($socket, $target, $is_good) = @$request;
			if (!$is_good)
			{
				answer($socket, 401, '{"code":"401","message":"client id or client secret is wrong","details":null,"hint":null}',
					'WWW-Authenticate: Basic realm="usage_events"', 'Proxy-Status: PostgREST; error=PGRST');
			}
			elsif ($target =~ /hang/)
			{
				push @hanging, $request;
				$seen{most} = @hanging if @hanging > $seen{most};
			}
			else
			{
				answer($socket, 200, '{"items": []}');
			}
		}
	}
}

sub answer_as_told
{
	my ($socket, $target, $status, $body) = @_;
	my @own = $target =~ /own/ ? 'Sequence-Version: 2024-07-30' : ();
	my @as_postgrest = ('Proxy-Status: PostgREST; error=42501', 'Content-Range: 0-0/*', 'Vary: Accept');
	push @as_postgrest, 'WWW-Authenticate: Bearer', 'Allow: GET, PATCH', 'Location: /x' if !@own;
	my $type = $target =~ /csv/ ? 'text/csv; charset=utf-8' : @own ? 'application/json; charset=utf-8' : 'text/html';
	my $bytes = '';
	if ($status)
	{
		$bytes = join("\r\n", "HTTP/1.1 $status X", "Content-Type: $type", 'Content-Length: ' . length $body, @own, @as_postgrest, '', '') . $body;
	}
	elsif ($target =~ /half/)
	{
		$bytes = "HTTP/1.1 201 Created\r\nContent-Length: 100\r\nSequence-Version: 2024-07-30\r\n\r\n{\"id\"";
	}
	syswrite $socket, $bytes;
}

sub answer
{
	my ($socket, $status, $body, @headers) = @_;
	my $bytes = join("\r\n", "HTTP/1.1 $status X", 'Content-Type: application/json; charset=utf-8', 'Sequence-Version: 2024-07-30',
		'Content-Range: 0-0/*', 'Content-Length: ' . length $body, @headers, '', '') . $body;
	syswrite $socket, $bytes;
}

# What stands for nginx' own second server, and fails: of a connection it answers the first request, and ends it at another.
# One to /told is answered in any case: how often each came.
sub fail_when_kept
{
	my ($listener) = @_;
	my $select = IO::Select->new($listener);
	my (%answered, %came);
	while (1)
	{
		foreach my $socket ($select->can_read)
		{
			if ($socket == $listener)
			{
				$select->add(scalar $listener->accept);
				next;
			}
			my $request = '';
			sysread $socket, $request, 65536;
			my ($method, $target) = $request =~ /^Usage-Request: (\S+) (\S+)/mi;
			$came{"$method $target"}++ if $target;
			if (!$target || ($answered{$socket}++ && $target ne '/told'))
			{
				$select->remove($socket);
				delete $answered{$socket};
				close $socket;
				next;
			}
			answer($socket, 200, encode_json(\%came));
		}
	}
}

# Programs -------------------------------------------------------------------------

my @pids;
END { my $status = $?; kill 'TERM', @pids; waitpid $_, 0 foreach @pids; $? = $status; }

sub start
{
	my ($run) = @_;
	my $pid = fork // die $!;
	if ($pid == 0)
	{
		@pids = ();
		$run->();
		POSIX::_exit(1);
	}
	push @pids, $pid;
	return $pid;
}

my $postgrest = start(\&serve);

# The configuration as setup writes it, with other numbers where a test needs to reach them.
sub configure
{
	my (%numbers) = @_;
	my $text = slurp_file("$examples/usage_events.conf") =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/r =~ s/127\.0\.0\.1:3000/127.0.0.1:$upstream_port/r
	  =~ s/127\.0\.0\.1:3001/127.0.0.1:$answers_port/gr;
	# Nothing here shall end because the machine is slow.
	%numbers = ((map { $_ => '600s' } 'client_header_timeout', 'client_body_timeout', 'send_timeout', 'proxy_read_timeout'), %numbers);
	my $origin = delete $numbers{origin};
	$text =~ s/# ("https:..app\.example\.com" \$http_origin;)/$1/ or die 'no origin' if $origin;
	foreach my $setting (sort keys %numbers)
	{
		$text =~ s/\b\Q$setting\E\K [^;]+/ $numbers{$setting}/g or die "no $setting";
	}
	open my $file, '>', "$folder/usage_events.conf" or die $!;
	print $file $text;
	close $file;
}

configure();
{
	open my $file, '>', "$folder/nginx.conf" or die $!;
	print $file slurp_file("$examples/nginx.conf");
	close $file;
	open $file, '>', "$folder/usage_events_keys.conf" or die $!;
	print $file id_of($key{$_}) =~ s/.*\.//r, " 1;\n" foreach @listed;
	close $file;
}
my $checked = `$nginx -e stderr -p $folder -c nginx.conf -t 2>&1`;
is($?, 0, 'nginx takes the configuration') or diag $checked;
unlike($checked, qr/\[(warn|emerg)\]/, 'without a warning');

my $nginx_pid = start(sub { open STDERR, '>', "$folder/log"; exec $nginx, '-e', 'stderr', '-p', $folder, '-c', 'nginx.conf' });

sub reconfigure
{
	configure(@_);
	my %old = map { $_ => 1 } workers();
	kill 'HUP', $nginx_pid;
	poll_until(sub { my @now = workers(); @now && !grep { $old{$_} } @now }, 'nginx has read its configuration again');
}

# Processes of nginx that accept connections.
sub workers
{
	my @children = split ' ', `cat /proc/$nginx_pid/task/*/children 2>/dev/null`;
	return grep { slurp_title($_) =~ /worker process$/ } @children;
}

sub slurp_title
{
	my ($pid) = @_;
	open my $file, '<', "/proc/$pid/cmdline" or return '';
	local $/;
	my $title = <$file> // '';
	return $title =~ s/\0.*//sr =~ s/\s+$//r;
}

sub poll_until
{
	my ($condition, $what) = @_;
	foreach my $attempt (1 .. PATIENCE * 10)
	{
		return 1 if $condition->();
		select undef, undef, undef, 0.1;
	}
	die "not within ${\ PATIENCE} s: $what";
}

# Requests --------------------------------------------------------------------------

sub connected
{
	my $socket;
	poll_until(sub { $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) }, 'nginx listens');
	return $socket;
}

sub request_of
{
	my ($key, $target, %options) = @_;
	my $body = $options{body} // '';
	return join("\r\n", ($options{method} // 'GET') . " $target HTTP/1.1", 'Host: localhost', 'Connection: ' . ($options{connection} // 'close'),
		defined $key ? 'Authorization: Basic ' . encode_base64($key, '') : (), @{ $options{headers} // [] }, length $body || $options{length} ? 'Content-Length: ' . ($options{length} // length $body) : (), '', '') . $body;
}

# Sends a request, and leaves the answer for later.
sub sent
{
	my $socket = connected();
	syswrite $socket, request_of(@_);
	return $socket;
}

# The answer that comes on the connection: status, headers and body.
sub received
{
	my ($socket) = @_;
	my $bytes = '';
	while (1)
	{
		my ($head, $body) = split /\r\n\r\n/, $bytes, 2;
		if (defined $body && (my ($length) = $head =~ /^Content-Length: (\d+)/mi))
		{
			return { status => $head =~ m{^HTTP/1\.1 (\d+)} ? $1 : 0, head => $head, body => $body } if length $body >= $length;
		}
		return { status => 0, head => '', body => 'no answer' } if !IO::Select->new($socket)->can_read(PATIENCE);
		my $count = sysread $socket, $bytes, 65536, length $bytes;
		return { status => $bytes =~ m{^HTTP/1\.1 (\d+)} ? $1 : 0, head => $head // '', body => $body // 'closed without an answer' } if !$count;
	}
}

sub asked
{
	return received(sent(@_));
}

sub statuses
{
	my %count;
	$count{ $_->{status} }++ foreach @_;
	return join ' ', map { "$_ x $count{$_}" } sort keys %count;
}

sub seen
{
	return decode_json(asked($key{other}, '/seen')->{body});
}

sub is_error
{
	my ($answer, $status, $what) = @_;
	my $json = eval { decode_json($answer->{body}) };
	is("$answer->{status} " . ($json->{code} // 'none') . ' ' . join(',', sort keys %$json), "$status $status code,details,hint,message", $what);
}

# Answers pass ------------------------------------------------------------------------

my $answer = asked($key{listed}, '/usage-events');
is("$answer->{status} $answer->{body}", '200 {"items": []}', 'an answer passes');
unlike($answer->{head}, qr/^(Content-Range|Proxy-Status)/mi, 'without what is PostgREST\'s');
$answer = asked(new_key(), '/usage-events');
is_error($answer, 401, 'a refusal passes');
like($answer->{head}, qr/^WWW-Authenticate: Basic/m, 'with its headers');

# Whatever the API answers passes as it is, headers and all.
foreach my $status (200, 201, 400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503)
{
	my $body = qq({"code": "$status", "message": "\xc3\xbc", "details": ") . 'x' x 100_000 . '"}';
	my $passed = asked($key{listed}, "/answer/$status?own", method => 'POST', body => $body);
	is("$passed->{status} $passed->{body}", "$status $body", "an answer of the API's with status $status passes");
	like($passed->{head}, qr/^Sequence-Version: 2024-07-30\r?$/m, 'with its version');
	is(join(' ', $passed->{head} =~ /^(Content-Type:[^\r\n]*)/mg), 'Content-Type: application/json', 'and the type of JSON');
}
foreach ([ 'csv&own', 'text/csv; charset=utf-8' ], [ 'csv', 'application/json' ])
{
	my ($query, $type) = @$_;
	my $passed = asked($key{listed}, "/answer/200?$query", method => 'POST', body => "a,b\r\n");
	is(join(' ', $passed->{head} =~ /^(Content-Type:[^\r\n]*)/mg), "Content-Type: $type", "CSV is CSV if the API says so: $query");
}

# Whatever else comes back is a 500 that says nothing of what PostgREST said: it does not know what became of the request.
# The first are those that PostgREST 16.2 was seen to answer when its connection ended in COMMIT, on a standby, without
# grants, without the schema, and where a client's own query string had filtered the answer away.
foreach ([ 400, '' ], [ 400, '{"code":"0A000"}' ], [ 401, '{"code":"42501"}' ], [ 404, '{"code":"PGRST202"}' ], [ 200, 'null' ],
	map { [ $_, '{}' ] } 201, 204, 206, 300, 302, 402, 403, 405, 406, 409, 413, 415, 416, 422, 429, 499, 500, 501, 502, 503, 504, 599)
{
	my ($status, $body) = @$_;
	foreach my $method ('POST', 'GET', 'PUT', 'DELETE')
	{
		my $unknown = asked($key{listed}, "/answer/$status", method => $method, body => $method eq 'GET' ? '' : $body);
		my $json = eval { decode_json($unknown->{body}) } // {};
		is(join(' ', $unknown->{status}, map { $json->{$_} // 'none' } qw(code message)), '500 42501 outcome is unknown',
			"status $status of others, $method: the outcome is unknown");
		like($json->{hint}, qr/same customerEventId is stored once/, 'and what can be done is said');
		is(join(' ', $unknown->{head} =~ /^(Content-Type:[^\r\n]*|WWW-Authenticate|Allow|Location|Sequence-Version|Proxy-Status|Content-Range|Vary)/mig),
			'Content-Type: application/json', 'with nothing of theirs');
	}
}
like(received(sent($key{listed}, '/answer/400', method => 'HEAD'))->{head}, qr/^HTTP\S+ 500 /, 'HEAD as well');
is_error(asked($key{listed}, '/close', method => 'POST', body => '{}'), 500, 'nor does it know where PostgREST hangs up');
is(received(sent($key{listed}, '/half', method => 'POST', body => '{}'))->{body}, '{"id"', 'an answer that breaks off breaks off');

# Pages of other origins ------------------------------------------------------------------

my @preflight = (method => 'OPTIONS', headers => [ 'Origin: https://app.example.com', 'Access-Control-Request-Method: POST' ]);

sub cors_of
{
	my ($answer) = @_;
	return join ' ', $answer->{status}, sort $answer->{head} =~ /^((?:Access-Control-[\w-]+|Vary): *[^\r\n]+)/mig;
}

is(cors_of(asked(undef, '/usage-events', @preflight)), '401', 'without a setting no page of another origin is let in');
is(cors_of(asked($key{listed}, '/answer/201?own', method => 'POST', headers => [ 'Origin: https://app.example.com' ])), '201', 'nor told anything');
reconfigure(origin => 1);
is(cors_of(asked(undef, '/usage-events', @preflight)), '204 Access-Control-Allow-Headers: Authorization, Content-Type, Sequence-Version '
	. 'Access-Control-Allow-Methods: GET, HEAD, POST, PUT, DELETE Access-Control-Allow-Origin: https://app.example.com '
	. 'Access-Control-Expose-Headers: Sequence-Version, Allow, Usage-After, Usage-Before Access-Control-Max-Age: 600 Vary: Origin', 'with it a browser may ask first');
my $told = 'Access-Control-Allow-Origin: https://app.example.com Access-Control-Expose-Headers: Sequence-Version, Allow, Usage-After, Usage-Before Vary: Origin';
foreach ([ '/answer/201?own', 201 ], [ '/answer/400?own', 400 ], [ '/answer/400', 500 ], [ "/x\x80", 400 ])
{
	my ($target, $status) = @$_;
	is(cors_of(asked($key{listed}, $target, method => 'POST', headers => [ 'Origin: https://app.example.com' ])), "$status $told", "the page may read a $status");
	is(cors_of(asked($key{listed}, $target, method => 'POST', headers => [ 'Origin: https://evil.example.com' ])), $status, 'and another page may not');
}
is(cors_of(asked(undef, '/usage-events', @preflight, headers => [ 'Origin: https://evil.example.com', 'Access-Control-Request-Method: POST' ])), '401', 'nor ask');
is(cors_of(asked(undef, '/usage-events', method => 'OPTIONS', headers => [ 'Origin: https://app.example.com' ])), "401 $told", 'OPTIONS that asks for no method is a request like others');
reconfigure();

# One key cannot have all of the pool ------------------------------------------------------

cmp_ok($busy, '<', $pool, 'a key may have fewer requests at a time than PostgREST has connections');
my @hanging = map { sent($key{listed}, '/usage-events?hang') } 1 .. $pool + 10;
my $refused = $pool + 10 - $busy;
my $select = IO::Select->new(@hanging);
my @refusals;
while (@refusals < $refused && (my @ready = $select->can_read(PATIENCE)))
{
	foreach my $socket (@ready)
	{
		$select->remove($socket);
		push @refusals, received($socket);
	}
}
is(statuses(@refusals), "429 x $refused", "of many slow requests of a key $busy are served");
is_error($refusals[0], 429, 'and the others are told why');
is(asked($key{other}, '/usage-events')->{status}, 200, 'another key is served meanwhile');
is(asked($key{unlisted}, '/usage-events')->{status}, 200, 'one that is not listed as well');
is(asked($key{listed}, '/usage-events')->{status}, 429, 'this one is not');
is(asked(id_of($key{listed}) . ':x', '/usage-events')->{status}, 401, 'and who knows only its id has no part in it');
is(seen()->{hanging}, $busy, "PostgREST has $busy of its requests");

# Going away does not help: the request is still being served.
close $_ foreach $select->handles;
@hanging = ();
asked($key{other}, '/usage-events') foreach 1 .. 100;    # nginx has noticed meanwhile
is(asked($key{listed}, '/usage-events?hang')->{status}, 429, 'a request whose client has gone still counts');
is(seen()->{most}, $busy, 'so there were never more');
kill 'USR1', $postgrest;
poll_until(sub { asked($key{listed}, '/usage-events')->{status} == 200 }, 'the key is served again once PostgREST has done');
pass('the key is served again once PostgREST has done');

# Slow senders have nothing of PostgREST's ----------------------------------------------------

my $before = seen()->{requests};
my @slow = map { sent($key{listed}, '/usage-events', method => 'POST', length => 100, body => 'x') } 1 .. $busy;
is(asked($key{other}, '/usage-events')->{status}, 200, 'another is served while bodies come slowly');
is(seen()->{requests}, $before + 1, 'which PostgREST has heard nothing of');
close $_ foreach @slow;
is_error(asked($key{other}, '/usage-events', method => 'POST', length => 2_000_000, body => 'x'), 413, 'a body that is too large is refused before it comes');
is_error(asked($key{other}, '/x' . "\x80"), 400, 'a path that cannot be is refused');
is(seen()->{requests}, $before + 1, 'by nginx itself');

# Idle connections --------------------------------------------------------------------------

my @idle = map { connected() } 1 .. 600;
is(asked($key{other}, '/usage-events')->{status}, 200, 'beside 600 idle connections one is served');
my @late;
foreach my $socket (@idle)
{
	syswrite $socket, request_of($key{other}, '/usage-events');
	push @late, received($socket);
}
is(statuses(@late), '200 x 600', 'and none of them was dropped');
@idle = ();

# Made-up credentials together ------------------------------------------------------------------

# In numbers that a test can reach: 50 requests, and one more a minute.  nginx remembers what was sent before, so from here
# on with keys of their own.
reconfigure('zone=usage_events_source:10m' => 'rate=1r/m', 'limit_req zone=usage_events_source' => 'burst=50 nodelay');
my $began = time;
my @made_up = map { asked(new_key(), '/usage-events') } 1 .. 200;
my ($unknown) = scalar grep { $_->{status} == 401 } @made_up;
is(scalar(grep { $_->{status} !~ /^(401|429)$/ } @made_up), 0, 'made-up credentials are told so, or that they are too many');
cmp_ok($unknown, '>=', 50, 'some are looked up');
cmp_ok($unknown, '<=', 52 + (time - $began) / 60, 'but together, whatever they are');
is_error($made_up[-1], 429, 'then they are refused');
is(statuses(map { asked($key{quiet}, '/usage-events') } 1 .. 30), '200 x 30', 'a listed key from the same address is not');
is(asked($key{unlisted}, '/usage-events')->{status}, 429, 'one that is not listed cannot be told from them');
@made_up = map { asked(id_of($key{listed}) . ':' . hex_digits(64), '/usage-events') } 1 .. 200;
cmp_ok(scalar(grep { $_->{status} == 401 } @made_up), '<=', 52 + (time - $began) / 60, 'neither do secrets that are tried out have a bucket each');
is(statuses(map { asked($key{quiet}, '/usage-events') } 1 .. 15), '200 x 15', 'which does not touch other keys');

# More than a key may send.
reconfigure('zone=usage_events:10m' => 'rate=1r/m', 'limit_req zone=usage_events' => 'burst=5 nodelay');
my @many = map { asked($key{hasty}, '/usage-events') } 1 .. 20;
like(statuses(@many), qr/^200 x [67] 429 x 1[34]$/, 'a key has so many requests');
is(asked($key{patient}, '/usage-events')->{status}, 200, 'and others have theirs');

# A kept connection that ends ------------------------------------------------------------------

# Of a PUT or DELETE HTTP would let nginx send it again.  It may have been done: then the second one finds nothing to delete.
{
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64) or die $!;
	my $failing = start(sub { fail_when_kept($listener) });
	reconfigure("upstream usage_events_answers {\n\tserver" => '127.0.0.1:' . $listener->sockport);
	my @answers;
	foreach my $number (1 .. 20)
	{
		is(asked($key{quiet}, '/told')->{status}, 200, 'a connection is kept') if $number == 1;
		asked($key{quiet}, "/first/$number", method => 'POST', body => '{}') foreach 1 .. 2;
		push @answers, asked($key{quiet}, "/usage-metrics/$number", method => $number % 2 ? 'PUT' : 'DELETE', body => '{}');
	}
	like(statuses(@answers), qr/500 x /, 'whose connection ends is told that nobody knows');
	my $came = decode_json(asked($key{quiet}, '/told')->{body});
	is(join(' ', grep { $came->{$_} > 1 && /^(PUT|DELETE)/ } sort keys %$came), '', 'and nothing is sent twice');
}

# PostgREST does not answer -------------------------------------------------------------------

reconfigure('proxy_read_timeout' => '1s');
is_error(asked($key{patient}, '/usage-events?hang'), 500, 'whom PostgREST does not answer is told so');
kill 'USR1', $postgrest;

done_testing();
