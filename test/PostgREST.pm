# PostgREST.pm: HTTP requests as the database sees them, without PostgREST and nginx
#
# What PostgREST 16 behind the nginx of examples/postgrest sends to the server and makes of its answers, word for word:
# one connection that stays open, each statement prepared once and kept (or none: prepares => 0, as with
# db-prepared-statements = false), one transaction a request.
#
#	my $api = PostgREST->new(host => $socket_directory, port => $port, database => 'postgres', user => 'authenticator',
#		administrator => 'postgres', schema => 'api', role => 'web');	# behind a pooler, pooler => { host => ..., port => ... }
#		# pre_request => another db-pre-request than ours, or '' where it was forgotten
#	my $answer = $api->request('POST', '/usage-events', [ Authorization => 'Basic ...' ], $body);
#	print "$answer->{status} $answer->{headers}{'sequence-version'} $answer->{body}\n";
#
# An answer's faults name what no client would see, yet would be wrong: an error that PostgREST could not read, or
# something that the request left behind on the connection.

# A connection to the server: the frontend's side of PostgreSQL's protocol, as much of it as is needed.  psql would do,
# but it has no parameters in binary form before PostgreSQL 16, and a process to talk to for each session.
package PostgREST::Session;

use strict;
use warnings FATAL => 'all';

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

use constant PROTOCOL_VERSION => 196608;    # 3.0
use constant BYTEA => 17;
use constant PATIENCE => $ENV{PG_TEST_TIMEOUT_DEFAULT} || 180;    # seconds for an answer

sub new
{
	my ($class, %to) = @_;
	my $socket =
	  $to{host} =~ m{^/}
	  ? IO::Socket::UNIX->new(Peer => "$to{host}/.s.PGSQL.$to{port}")
	  : IO::Socket::INET->new(PeerAddr => $to{host}, PeerPort => $to{port});
	die "could not connect to $to{host}, port $to{port}: $!" if !$socket;
	my $self = bless { socket => $socket, received => '', prepares => $to{prepares} // 1, prepared => {} }, $class;

	my $parameters = join '', map { "$_\0" } user => $to{user}, database => $to{database}, client_encoding => 'UTF8', '';
	$self->send_bytes(pack 'NNa*', length($parameters) + 8, PROTOCOL_VERSION, $parameters);
	my $result = $self->wait_ready;
	die "could not log in: $result->{error}{M}" if $result->{error};
	return $self;
}

sub send_bytes
{
	my ($self, $bytes) = @_;
	my $sent = 0;
	while ($sent < length $bytes)
	{
		my $count = syswrite $self->{socket}, $bytes, length($bytes) - $sent, $sent;
		die "could not send to the server: $!" if !defined $count;
		$sent += $count;
	}
}

sub receive
{
	my ($self, $length) = @_;
	while (length $self->{received} < $length)
	{
		die 'the server does not answer' if !IO::Select->new($self->{socket})->can_read(PATIENCE);
		my $count = sysread $self->{socket}, $self->{received}, 65536, length $self->{received};
		die 'the server closed the connection' if !$count;
	}
	return substr $self->{received}, 0, $length, '';
}

sub message
{
	my ($type, $payload) = @_;
	return $type . pack('N', length($payload) + 4) . $payload;
}

# Takes what the server sends until it is ready for more: rows, the tag of the command, and the error if there is one.
sub wait_ready
{
	my ($self) = @_;
	my %result = (rows => []);
	while (1)
	{
		my ($type, $length) = unpack 'aN', $self->receive(5);
		my $payload = $self->receive($length - 4);
		if ($type eq 'R')
		{
			die 'the server asks for a password' if unpack('N', $payload) != 0;
		}
		elsif ($type eq 'D')
		{
			my ($count, $values) = unpack 'na*', $payload;
			my @row;
			while ($count-- > 0)
			{
				(my $size, $values) = unpack 'l>a*', $values;
				push @row, $size < 0 ? undef : substr $values, 0, $size, '';
			}
			push @{ $result{rows} }, \@row;
		}
		elsif ($type eq 'E')
		{
			$result{error} //= { map { unpack 'aa*', $_ } grep { length } split /\0/, $payload };
			die "the server ended the session: $result{error}{M}" if $result{error}{V} eq 'FATAL';
		}
		elsif ($type eq 'Z')
		{
			$self->{transaction} = $payload;    # I: none, T: in one, E: in one that failed
			return \%result;
		}
	}
}

# Sends SQL without waiting for what comes of it.
sub start
{
	my ($self, $sql) = @_;
	$self->send_bytes(message('Q', "$sql\0"));
}

# The rows of SQL as lists of texts; dies of an error.
sub query
{
	my ($self, $sql) = @_;
	$self->start($sql);
	my $result = $self->wait_ready;
	die "$result->{error}{C} $result->{error}{M}\n$sql\n" if $result->{error};
	return $result->{rows};
}

# Executes a statement that is prepared when it is first seen.  Types are those that the parameters are declared with.
sub execute
{
	my ($self, $sql, $types, $values) = @_;
	my $prepared = $self->{prepared};
	my $key = join ' ', @$types, $sql;
	return $self->run_prepared($types, $values, '', parse_message('', $sql, $types)) if !$self->{prepares};
	if (!exists $prepared->{$key})
	{
		my $name = scalar keys %$prepared;
		$self->send_bytes(parse_message($name, $sql, $types) . message('S', ''));
		my $result = $self->wait_ready;
		return $result if $result->{error};
		$prepared->{$key} = $name;
	}
	return $self->run_prepared($types, $values, $prepared->{$key}, '');
}

sub parse_message
{
	my ($name, $sql, $types) = @_;
	return message('P', pack 'Z*Z*nN*', $name, $sql, scalar @$types, @$types);
}

# What is to be sent before comes in the same breath.
sub run_prepared
{
	my ($self, $types, $values, $name, $before) = @_;
	my @formats = map { $_ == BYTEA ? 1 : 0 } @$types;
	my $bind = pack('xZ*', $name) . pack 'n*', scalar @formats, @formats, scalar @$values;
	$bind .= defined $_ ? pack 'N/a*', $_ : pack 'l>', -1 foreach @$values;
	$bind .= pack 'nn', 1, 1;    # all results in binary form
	$self->send_bytes($before . message('B', $bind) . message('E', pack 'xN', 0) . message('S', ''));
	return $self->wait_ready;
}

package PostgREST;

use strict;
use warnings FATAL => 'all';

use JSON::PP;

use constant UNKNOWN => 705;
use constant JSON => 114;

# The limits of examples/postgrest/usage_events.conf: of bodies, of a line of the head, and of two headers' values.
use constant EVENT_BODY_LIMIT => 1024 * 1024;
use constant BATCH_BODY_LIMIT => 16 * 1024 * 1024;
use constant LINE_LIMIT => 32 * 1024;
use constant AUTHORIZATION_LIMIT => 1000;
use constant VERSION_LIMIT => 100;

my $json = JSON::PP->new->utf8->canonical->allow_nonref->max_depth(2_000_000);

sub new
{
	my ($class, %to) = @_;
	my %where = (host => $to{host}, port => $to{port}, database => $to{database});
	my $self = bless {
		pre_request => 'usage_events.authenticate_request',
		%to,
		kind => 'replay',
		where => \%where
	}, $class;

	$self->{administrator_session} = PostgREST::Session->new(%where, user => $to{administrator}) if $to{administrator};
	$self->connect;
	return $self;
}

sub connect
{
	my ($self) = @_;
	$self->{session} = PostgREST::Session->new(%{ $self->{where} }, %{ $self->{pooler} // {} }, user => $self->{user},
		prepares => $self->{prepares});
	$self->{session}->query(q{SET client_encoding = 'UTF8'; SET client_min_messages TO WARNING});
	$self->reload;
}

# Reads what PostgREST knows of the schema's functions, and the settings of the role that it takes.
sub reload
{
	my ($self) = @_;
	my $rows = ($self->{administrator_session} // $self->{session})->query(qq{
		SELECT json_build_object('name', proname, 'volatile', provolatile, 'is_raw', prorettype IN (SELECT oid FROM pg_type WHERE typname = '*/*'), 'parameters', (
			SELECT coalesce(json_agg(json_build_object('name', coalesce(proargnames[number], ''), 'type', format_type(type, NULL),
				'required', number <= pronargs - pronargdefaults) ORDER BY number), '[]')
			FROM unnest(proargtypes) WITH ORDINALITY AS arguments (type, number)))
		FROM pg_proc WHERE pronamespace = '$self->{schema}'::regnamespace AND prokind = 'f'});
	$self->{functions} = {};
	foreach my $function (map { $json->decode($_->[0]) } @$rows)
	{
		push @{ $self->{functions}{ $function->{name} } }, $function;
	}

	# Of the role's settings those alone that this connection knows, and that anybody may set.
	$rows = $self->{session}->query(qq{
		SELECT name, substr(entry, length(name) + 2)
		FROM pg_roles, unnest(rolconfig) AS entry JOIN pg_settings ON name = substr(entry, 1, strpos(entry, '=') - 1)
		WHERE rolname = '$self->{role}' AND context = 'user'});
	$self->{role_settings} = [ map { [ @$_, 1 ] } @$rows ];
}

# What the cases need beside requests: SQL of the administrator's, and sessions of his.
sub sql
{
	my ($self, $sql) = @_;
	return map { text($_->[0]) } @{ $self->{administrator_session}->query($sql) };
}

sub new_session
{
	my ($self) = @_;
	return PostgREST::Session->new(%{ $self->{where} }, user => $self->{administrator});
}

sub reload_role_settings
{
	my ($self) = @_;
	$self->reload;
}

# nginx ----------------------------------------------------------------------

# A request of a client's, through nginx or, via "postgrest", without it.  Headers are names and values in turn; the body
# is bytes.
sub request
{
	my ($self, $method, $target, $headers, $body, $via) = @_;
	return $self->call($method, $target, $headers, $body) if ($via // 'nginx') eq 'postgrest';

	my %first;
	for (my $n = 0; $n < @$headers; $n += 2)
	{
		my ($name, $value) = (lc $headers->[$n], $headers->[ $n + 1 ]);
		return nginx_error(400, 'bad request') if length("$name: $value") > LINE_LIMIT;
		$value =~ s/^[ \t]+|[ \t]+$//g;
		$first{$name} //= $value;
	}
	my $path = $target =~ s/\?.*//sr;
	return nginx_error(400, 'bad request')
	  if $target !~ /^[\x21-\x7e]+$/ || length("$method $target HTTP/1.1") > LINE_LIMIT || $path =~ /%(?![0-9A-Fa-f]{2})|%00/;

	my $uri = $target =~ s{^/api(?=[/?]|$)}{}r;
	$uri = "/$uri" if $uri !~ m{^/};
	my $limit = $uri =~ m{^/usage-events/batch/?(\?|$)} ? BATCH_BODY_LIMIT : EVENT_BODY_LIMIT;
	return nginx_error(413, 'request body too large') if length $body > $limit;

	my @passed = ('usage-request' => "$method $uri");
	my ($authorization, $version) = map { $_ // '' } @first{qw(authorization sequence-version)};
	push @passed, authorization => $authorization
	  if $authorization =~ /^basic [\x20-\x7e]+$/i && length $authorization <= length('basic ') + AUTHORIZATION_LIMIT;
	push @passed, 'sequence-version' => $version =~ /^[\x20-\x7e]+$/ && length $version <= VERSION_LIMIT ? $version : 'invalid'
	  if $version ne '';
	my $encoding = $first{'content-encoding'} // '';
	push @passed, 'content-encoding' => $encoding =~ /^[\x21-\x7e]{1,100}$/ ? $encoding : 'other' if $encoding ne '';
	my $accept = $first{accept} // '';
	push @passed, 'usage-accept' => $accept if $accept =~ /^[\x20-\x7e]{1,1000}$/;
	push @passed, accept => 'application/json', 'content-type' => 'application/octet-stream', host => 'localhost',
	  connection => 'close';

	my $reads = $method =~ /^(GET|HEAD)$/;
	push @passed, 'content-length' => length $body if !$reads;
	my $answer = $self->call($reads ? ('GET', '/rpc/usage_api_read') : ('POST', '/rpc/usage_api_write'), \@passed, $body);

	if (!defined $answer->{headers}{'sequence-version'})
	{
		my $fault = eval { $json->decode($answer->{body})->{code} };
		$answer = { %{ own_error(500, 'outcome is unknown', $fault) }, faults => $answer->{faults} };
	}
	$answer->{headers}{'content-type'} = ($answer->{headers}{'content-type'} // '') =~ m{^text/csv} ? 'text/csv; charset=utf-8' : 'application/json';
	$answer->{body} = '' if $method eq 'HEAD';
	return $answer;
}

# What nginx or PostgREST answers itself.
sub own_error
{
	my ($status, $message, $code) = @_;
	return error_answer($status, { code => $code // "$status", message => $message });
}

sub nginx_error
{
	my $answer = own_error(@_);
	$answer->{headers}{'content-type'} = 'application/json';
	return $answer;
}

sub error_answer
{
	my ($status, $error, %headers) = @_;
	return {
		status => $status,
		headers => { 'content-type' => 'application/json; charset=utf-8', %headers },
		body => $json->encode({ map { $_ => $error->{$_} } qw(code message details hint) }),
		faults => [] };
}

# PostgREST ------------------------------------------------------------------

sub lower_names
{
	my (@headers) = @_;
	return { map { $_ % 2 ? $headers[$_] : lc $headers[$_] } 0 .. $#headers };
}

# A request to PostgREST itself: a function, or a GET of a view.
sub call
{
	my ($self, $method, $target, $headers, $body, %options) = @_;
	my ($path, $query) = split /\?/, $target, 2;
	my @query = map { [ map { unescape($_) } split /=/, $_, 2 ] } split /&/, $query // '';
	my ($name) = $path =~ m{^/(?:rpc/)?([a-z_]+)$} or die "not replayed: $method $target";
	my %request = (method => $method, path => $path, headers => lower_names(@$headers), read_only => $method eq 'GET', %options);

	return $self->transaction(\%request, $self->view_statement($name, @query)) if $path !~ m{^/rpc/};

	my $content_type = $request{headers}{'content-type'} // 'application/json';
	my @keys = map { $_->[0] } @query;
	if ($method eq 'POST')
	{
		@keys = ();
		if ($content_type eq 'application/json')
		{
			my $payload = eval { $json->decode($body eq '' ? '{}' : $body) };
			return own_error(400, 'Empty or invalid json', 'PGRST102') if $@;
			my @objects = ref $payload eq 'ARRAY' ? @$payload : $payload;
			return own_error(400, 'All object keys must match', 'PGRST102') if ref $payload eq 'ARRAY' && !same_keys(@objects);
			$body = '[]' if !ref $payload || ref $payload !~ /HASH|ARRAY/;
			@keys = keys %{ $objects[0] } if @objects && ref $objects[0] eq 'HASH';
		}
	}
	my $function = $self->find_function($name, $method eq 'POST' ? $content_type : '', @keys);
	return own_error(404, "Could not find the function $name", 'PGRST202') if !$function;
	$request{read_only} = 1 if $function->{volatile} ne 'v';
	return $self->transaction(\%request, $self->function_statement($function, $method, $body, @query));
}

sub same_keys
{
	my @signatures = map { ref eq 'HASH' ? join "\0", sort keys %$_ : undef } @_;
	return !grep { !defined || $_ ne $signatures[0] } @signatures;
}

# By names of parameters; else the one whose only parameter has no name and takes bodies of that type.
sub find_function
{
	my ($self, $name, $content_type, @keys) = @_;
	my %type_of_body = ('application/json' => qr/^jsonb?$/, 'application/octet-stream' => qr/^bytea$/);
	my $bodies = $type_of_body{$content_type};
	my $unnamed;
	foreach my $function (@{ $self->{functions}{$name} // [] })
	{
		my @parameters = @{ $function->{parameters} };
		my %known = map { $_->{name} => 1 } @parameters;
		my %given = map { $_ => 1 } @keys;
		return $function
		  if !(grep { !$known{$_} } @keys)
		  && !(grep { $_->{required} && !$given{ $_->{name} } } @parameters)
		  && (@parameters || $content_type ne 'application/octet-stream');
		$unnamed = $function if $bodies && @parameters == 1 && $parameters[0]{name} eq '' && $parameters[0]{type} =~ $bodies;
	}
	return $unnamed;
}

# The literal statement that calls a function, the types of its parameters, and their values.
sub function_statement
{
	my ($self, $function, $method, $body, @query) = @_;
	my $name = $function->{name};
	my @parameters = @{ $function->{parameters} };
	my (@types, @values);
	my ($from, $arguments) = ('', '');

	if (@parameters == 1 && $parameters[0]{name} eq '')
	{
		my $type = $parameters[0]{type};
		@types = $type eq 'bytea' ? PostgREST::Session::BYTEA : UNKNOWN;
		@values = $body;
		$arguments = $type eq 'bytea' ? '$1' : "\$1::$type";
	}
	elsif ($method eq 'GET')
	{
		my %given = map { $_->[0] => $_->[1] } @query;
		@parameters = grep { exists $given{ $_->{name} } } @parameters;
		@values = map { $given{ $_->{name} } } @parameters;
		@types = map { UNKNOWN } @values;
		my $number = 0;
		$arguments = join ', ', map { qq("$_->{name}" := \$) . ++$number . "::$_->{type}" } @parameters;
	}
	elsif (@parameters)
	{
		my $given = $json->decode($body eq '' ? '{}' : $body);
		@parameters = grep { exists $given->{ $_->{name} } } @parameters;
		my $columns = join ', ', map { qq("$_->{name}") } @parameters;
		my $typed = join ', ', map { qq("$_->{name}" $_->{type}) } @parameters;
		@types = JSON;
		@values = $body;
		$from = "(SELECT \$1 AS json_data) pgrst_payload, LATERAL (SELECT $columns FROM json_to_record(pgrst_payload.json_data)"
		  . " AS _($typed) LIMIT 1) pgrst_body , LATERAL ";
		$arguments = join ', ', map { qq("$_->{name}" := pgrst_body."$_->{name}") } @parameters;
	}

	# What a function returns of the type "*/*" is the body as it stands.
	my $returned = $function->{is_raw} ? q{"usage_events"."*/*"(_postgrest_t.pgrst_scalar)} : q{coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null')};
	return (
		qq{WITH pgrst_source AS (SELECT pgrst_call.pgrst_scalar FROM $from(SELECT "$self->{schema}"."$name"($arguments) pgrst_scalar) pgrst_call) SELECT null::bigint AS total_result_set, 1 AS page_total, $returned AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, '' AS response_inserted FROM (SELECT "$name".* FROM "pgrst_source" AS "$name"   ) _postgrest_t},
		\@types, \@values);
}

# The literal statement that reads a view with filters such as event_type=eq.call, order, limit and offset.
sub view_statement
{
	my ($self, $view, @query) = @_;
	my %operators = (eq => '=', neq => '<>', gt => '>', gte => '>=', lt => '<', lte => '<=', like => 'like');
	my $relation = qq("$self->{schema}"."$view");
	my (@values, @filters, %clauses);
	foreach (@query)
	{
		my ($key, $value) = @$_;
		if ($key eq 'order')
		{
			$clauses{order} = join ', ', map { /^(\w+)(?:\.(asc|desc))?$/; qq($relation."$1" ) . uc($2 // '') } split /,/, $value;
		}
		elsif ($key =~ /^(limit|offset)$/)
		{
			$clauses{$key} = $value;
		}
		else
		{
			my ($operator, $operand) = split /\./, $value, 2;
			push @values, $operand;
			push @filters, qq($relation."$key" $operators{$operator} \$) . @values;
		}
	}
	my $source = qq(SELECT $relation.* FROM $relation );
	$source .= ' WHERE  ' . join(' AND ', @filters) if @filters;
	$source .= "  ORDER BY $clauses{order}" if $clauses{order};
	foreach my $clause (grep { defined $clauses{$_} } qw(limit offset))
	{
		push @values, $clauses{$clause};
		$source .= ' ' . uc($clause) . ' $' . @values;
	}

	return (
		qq{WITH pgrst_source AS ( $source ) SELECT null::bigint AS total_result_set, pg_catalog.count(_postgrest_t) AS page_total, coalesce(json_agg(_postgrest_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS response_headers, nullif(current_setting('response.status', true), '') AS response_status, '' AS response_inserted FROM ( SELECT * FROM pgrst_source ) _postgrest_t},
		[ map { UNKNOWN } @values ], \@values);
}

# One request is one transaction.  Returns the answer that PostgREST makes of it.
sub transaction
{
	my ($self, $request, $statement, $types, $values) = @_;
	my $session = $self->{session};
	# The role's own settings come by name and value, PostgREST's by value.
	my (@calls, @parameters);
	foreach my $setting (
		[ search_path => qq("$self->{schema}", "public") ],
		@{ $self->{role_settings} },
		[ role => $self->{role} ],
		[ 'request.jwt.claims' => qq({"role":"$self->{role}"}) ],
		[ 'request.method' => $request->{method} ],
		[ 'request.path' => $request->{path} ],
		[ 'request.headers' => header_json($request->{headers}) ],
		[ 'request.cookies' => '{}' ])
	{
		my ($name, $value, $is_own) = @$setting;
		push @parameters, $is_own ? ($name, $value) : $value;
		push @calls, 'set_config(' . ($is_own ? '$' . (@parameters - 1) : "'$name'") . ', $' . @parameters . ', true)';
	}

	my @pre_request = map { 'select ' . join('.', map { qq("$_") } split /\./) . '()' } grep { length } $self->{pre_request};
	my $answer;
	foreach my $step (
		[ 'BEGIN ISOLATION LEVEL READ COMMITTED READ ' . ($request->{read_only} || $self->{read_only} ? 'ONLY' : 'WRITE'), [], [] ],
		[ 'select ' . join(', ', @calls), [ map { UNKNOWN } @parameters ], \@parameters ],
		(map { [ $_, [], [] ] } @pre_request),
		[ $statement, $types, $values ],
		[ 'COMMIT', [], [] ])
	{
		my $result = eval { $session->execute(@$step) };
		die $@ if !$result && !$self->{survives};
		return $self->answer_of_lost_connection($step->[0], $@) if !$result;
		if ($result->{error})
		{
			$answer = answer_of_error($result->{error});
			last;
		}
		$answer = answer_of_row($result->{rows}[0]) if $step->[0] eq $statement;
	}
	$session->execute('ABORT', [], []) if $session->{transaction} ne 'I';
	push @{ $answer->{faults} }, $self->left_behind if !$self->{survives};
	return $answer;
}

# What PostgREST was seen to answer where its connection ended: in COMMIT it says that the request was bad, and nothing
# else (PostgREST/postgrest#4681).
sub answer_of_lost_connection
{
	my ($self, $statement, $why) = @_;
	delete $self->{session};
	return { status => 400, headers => {}, body => '', faults => [] } if $statement eq 'COMMIT';
	return own_error(503, 'Database client error. Retrying the connection.', 'PGRST001');
}

# Bytes of a header are UTF-8 on the wire, and PostgREST hands them on as text.
sub header_json
{
	my ($headers) = @_;
	my %decoded = map { my $value = $headers->{$_}; utf8::decode($value); ($_ => $value) } keys %$headers;
	return $json->encode(\%decoded);
}

# What a transaction must not leave to the next one, which may be another client's.
sub left_behind
{
	my ($self) = @_;
	my $rows = $self->{session}->query(q{
		SELECT name || ' is ' || current_setting(name, true)
		FROM unnest('{usage_events.account_id,response.status,response.headers,request.headers,request.path}'::text[]) AS left_behind (name)
		WHERE current_setting(name, true) <> coalesce((SELECT reset_val FROM pg_settings AS setting WHERE setting.name = left_behind.name), '')
		UNION ALL SELECT 'the role is ' || current_user WHERE current_user <> session_user
		UNION ALL SELECT 'there is a cursor: ' || name FROM pg_cursors WHERE name <> ''
		UNION ALL SELECT 'there is an advisory lock' FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'});
	return map { "left behind: $_->[0]" } @$rows;
}

sub answer_of_row
{
	my ($row) = @_;
	my (undef, undef, $body, $headers, $status) = @$row;
	my %answer = (
		status => 200,
		headers => { 'content-type' => 'application/json; charset=utf-8' },
		body => $body,
		faults => []);

	if (defined $headers)
	{
		my $list = eval { $json->decode($headers) };
		return own_error(500, 'response.headers guc must be a JSON array', 'PGRST111') if ref $list ne 'ARRAY';
		foreach my $header (@$list)
		{
			return own_error(500, 'response.headers guc must be a JSON array', 'PGRST111') if ref $header ne 'HASH' || keys %$header != 1;
			$answer{headers}{ lc $_ } = $header->{$_} foreach keys %$header;
		}
	}
	if (defined $status)
	{
		return own_error(500, 'response.status guc must be a valid status code', 'PGRST112') if $status !~ /^(\d+)/;
		$answer{status} = $1 + 0;
		push @{ $answer{faults} }, "response.status is $status" if $status !~ /^20[01]$/;
	}
	return \%answer;
}

# Statuses of errors that are raised as plain SQLSTATEs; the first that fits.
my @statuses = (
	[ qr/^08/ => 503 ], [ qr/^09/ => 500 ], [ qr/^0[LP]/ => 403 ],
	[ qr/^(23503|23505)/ => 409 ], [ qr/^25006/ => 405 ], [ qr/^21000/ => 500 ],
	[ qr/^25/ => 500 ], [ qr/^28/ => 403 ], [ qr/^2D/ => 500 ], [ qr/^3[89B]/ => 500 ], [ qr/^40/ => 500 ],
	[ qr/^53400/ => 500 ], [ qr/^53/ => 503 ], [ qr/^5[45]/ => 500 ], [ qr/^57P01/ => 503 ], [ qr/^5[78]/ => 500 ],
	[ qr/^(F0|HV)/ => 500 ], [ qr/^P0001/ => 400 ], [ qr/^(P0|XX)/ => 500 ],
	[ qr/^(42883|42P01)/ => 404 ], [ qr/^42P17/ => 500 ], [ qr/^42501/ => 401 ],
	[ qr/^PT(\d\d\d)/ => undef ], [ qr/^PT/ => 500 ], [ qr// => 400 ]);

sub answer_of_error
{
	my ($error) = @_;
	my ($code, $message) = @$error{qw(C M)};
	return answer_of_response_error($error) if $code eq 'PGRST';

	my $status;
	foreach my $rule (@statuses)
	{
		next if $code !~ $rule->[0];
		$status = $rule->[1] // $1;
		last;
	}
	$status = 401 if $code eq '22023' && $message =~ /^role.*does not exist$/;
	return error_answer($status,
		{ code => $code, map { text($_) } message => $message, details => $error->{D}, hint => $error->{H} },
		$status == 401 ? ('www-authenticate' => 'Bearer') : ());
}

# The SQLSTATE with which the extension decides itself: JSON in the message and in the detail.  PostgREST would take more
# than is let pass here: what it puts into a status line or a header must be nothing of a client's.
sub answer_of_response_error
{
	my ($error) = @_;
	my $message = eval { $json->decode($error->{M}) };
	my $detail = eval { $json->decode($error->{D} // '') };
	my @faults;

	if (ref $message ne 'HASH' || grep { !defined $message->{$_} || ref $message->{$_} } qw(code message))
	{
		push @faults, "MESSAGE of an error: $error->{M}";
	}
	elsif (my @odd = grep { !/^(code|message|details|hint)$/ || ref $message->{$_} } sort keys %$message)
	{
		push @faults, "MESSAGE of an error has @odd: $error->{M}";
	}
	if (ref $detail ne 'HASH' || ref $detail->{headers} ne 'HASH' || ($detail->{status} // '') !~ /^\d+$/)
	{
		push @faults, 'DETAIL of an error: ' . ($error->{D} // 'none');
	}
	elsif (my @odd = grep { !/^(status|headers)$/ } sort keys %$detail)
	{
		push @faults, "DETAIL of an error has @odd: $error->{D}";
	}
	if (@faults)
	{
		my $answer = own_error(500, 'Could not parse JSON in the RAISE statement', 'PGRST121');
		$answer->{faults} = \@faults;
		return $answer;
	}
	return error_answer($detail->{status}, $message, map { lc $_ => $detail->{headers}{$_} } keys %{ $detail->{headers} });
}

# Text of the server's, which is UTF-8 here.
sub text
{
	my ($value) = @_;
	utf8::decode($value) if defined $value;
	return $value;
}

sub unescape
{
	my ($text) = @_;
	$text =~ tr/+/ /;
	$text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
	return $text;
}

1;
