# OpenApi.pm: what an OpenAPI 3.0 document says, and whether values agree with it
#
#	my $document = OpenApi->new($text);		an answer of usage_events.openapi()
#	$document->faults						what is wrong with the document itself
#	$document->without_examples				bodies and required parameters that have no example
#	$document->operations					each {id, path, method, parameters, body, responses}
#	$document->disagrees($schema, $value)	where the value breaks the schema, and how
#
# It knows the part of OpenAPI that our document uses.  A key or schema keyword
# outside that is no reason to let values pass: it is a fault of the document, and
# disagrees() dies of it.
package OpenApi;

use strict;
use warnings FATAL => 'all';

use B;
use JSON::PP ();
use List::Util qw(any uniq);
use Math::BigInt;

# Kinds of objects ----------------------------------------------------------

# The keys of each kind of object, and what they hold: another kind, [a list] or
# {a map} of it; "text" and "any" end it there.  A "!" marks what must be given.
my %kinds = (
	document => { openapi => 'text!', info => 'info!', servers => '[server]', security => '[requirement]',
		tags => '[tag]', paths => '{path}!', components => 'components' },
	info => { title => 'text!', version => 'text!', description => 'text', license => 'license' },
	license => { name => 'text!', url => 'text' },
	server => { url => 'text!', description => 'text' },
	requirement => undef,
	tag => { name => 'text!', description => 'text' },
	path => { map { $_ => 'operation' } qw(get put post delete) },
	operation => { tags => '[text]', operationId => 'text!', summary => 'text', description => 'text',
		parameters => '[parameter]', requestBody => 'body', responses => '{response}!' },
	parameter => { name => 'text!', in => 'text!', description => 'text', required => 'any', style => 'text',
		explode => 'any', schema => 'schema!', example => 'any' },
	body => { description => 'text', required => 'any', content => '{media}!' },
	response => { description => 'text!', headers => '{header}', content => '{media}' },
	header => { description => 'text', schema => 'schema!', example => 'any' },
	media => { schema => 'schema!', example => 'any', examples => '{example}' },
	example => { summary => 'text', value => 'any!' },
	components => { securitySchemes => '{security}', parameters => '{parameter}', headers => '{header}',
		responses => '{response}', schemas => '{schema}' },
	security => { type => 'text!', scheme => 'text', description => 'text' },
	schema => { type => 'text', nullable => 'any', format => 'text', enum => '[any]', minimum => 'any',
		maximum => 'any', minLength => 'any', maxLength => 'any', minItems => 'any', maxItems => 'any', uniqueItems => 'any', items => 'schema',
		required => '[text]', properties => '{schema}', additionalProperties => 'any', oneOf => '[schema]',
		description => 'text', default => 'any', example => 'any' });

# The document --------------------------------------------------------------

sub new
{
	my ($class, $text) = @_;
	my $self = bless {
		root => decode($text), faults => [], schemas => [], samples => [], references => {} }, $class;

	$self->walk('', 'document', $self->{root});
	$self->read_operations;
	$self->check_schema(@$_) foreach @{ $self->{schemas} };
	$self->check_samples;
	$self->check_use;
	return $self;
}

# JSON in UTF-8; numbers stay numbers, however large.
sub decode
{
	my ($text) = @_;
	return JSON::PP->new->utf8->allow_nonref->allow_bignum->decode($text);
}

sub faults { return @{ $_[0]{faults} } }
sub operations { return @{ $_[0]{operations} } }

# Examples and defaults, each [where, schema, value].
sub samples { return @{ $_[0]{samples} } }

# Where whoever tests the contract by the document alone would have to make something up.
sub without_examples
{
	my ($self) = @_;
	my @places;
	foreach my $path (sort keys %{ $self->{root}{paths} })
	{
		foreach my $method (sort keys %{ $self->{root}{paths}{$path} })
		{
			my $object = $self->{root}{paths}{$path}{$method};
			my %bodies = ('the request' => $object->{requestBody}, %{ $object->{responses} });
			foreach my $name (sort keys %bodies)
			{
				my $content = ($self->follow($bodies{$name}) // {})->{content} // {};
				push @places, map { "$method $path: $name as $_" } grep { !exists $content->{$_}{example} && !exists $content->{$_}{examples} } sort keys %$content;
			}
			push @places, map { "$method $path: $_->{name}" } grep { $_->{required} && !exists $_->{example} && !$_->{schema}{enum} }
				map { $self->follow($_) } @{ $object->{parameters} // [] };
		}
	}
	return @places;
}

sub fault
{
	my ($self, $where, $what) = @_;
	push @{ $self->{faults} }, ($where eq '' ? 'document' : $where) . " $what";
	return;
}

# What stands where a reference may stand.
sub follow
{
	my ($self, $object) = @_;
	return $object if ref $object ne 'HASH' || !exists $object->{'$ref'};

	my $target = $self->{root};
	foreach my $key (split m{/}, $object->{'$ref'} =~ s{^#/}{}r)
	{
		die "reference to nothing: $object->{'$ref'}\n" if ref $target ne 'HASH' || !exists $target->{$key};
		$target = $target->{$key};
	}
	return $target;
}

# Goes through an object of a kind; collects schemas and examples on the way.
sub walk
{
	my ($self, $where, $kind, $object) = @_;

	return if $kind eq 'any';
	if ($kind eq 'text')
	{
		$self->fault($where, 'must be a text') if type_of($object) ne 'string' || $object !~ /\S/;
		return;
	}
	my ($listed) = $kind =~ /^\[(\w+)\]$/;
	my ($mapped) = $kind =~ /^\{(\w+)\}$/;
	if (defined $listed)
	{
		return $self->fault($where, 'must be an array') if ref $object ne 'ARRAY';
		$self->walk("$where/$_", $listed, $object->[$_]) foreach 0 .. $#$object;
		return;
	}
	return $self->fault($where, 'must be an object') if ref $object ne 'HASH';
	if (defined $mapped)
	{
		$self->walk("$where/$_", $mapped, $object->{$_}) foreach sort keys %$object;
		return;
	}

	if (exists $object->{'$ref'})
	{
		my ($section) = grep { ($kinds{components}{$_} // '') eq "{$kind}" } keys %{ $kinds{components} };
		$self->fault($where, 'has something beside its reference') if keys %$object > 1;
		$self->fault($where, "refers to no $kind") if $object->{'$ref'} !~ m{^#/components/$section/[^/]+$};
		$self->{references}{ $object->{'$ref'} }++;
		eval { $self->follow($object); 1 } or $self->fault($where, $@ =~ s/\n//r);
		return;
	}

	my $keys = $kinds{$kind} // return;
	foreach my $key (sort keys %$object)
	{
		if (exists $keys->{$key})
		{
			$self->walk("$where/$key", $keys->{$key} =~ s/!$//r, $object->{$key});
		}
		else
		{
			$self->fault($where, "has an unknown key: $key");
		}
	}
	foreach my $key (sort grep { $keys->{$_} =~ /!$/ } keys %$keys)
	{
		$self->fault($where, "has no $key") if !exists $object->{$key};
	}

	if ($kind eq 'schema')
	{
		push @{ $self->{schemas} }, [ $where, $object ];
		push @{ $self->{samples} }, map { [ "$where/$_", $object, $object->{$_} ] } grep { exists $object->{$_} } qw(default example);
		$self->walk("$where/additionalProperties", 'schema', $object->{additionalProperties})
			if ref $object->{additionalProperties} eq 'HASH';
	}
	elsif (exists $object->{schema})
	{
		my %examples = %{ $object->{examples} // {} };
		push @{ $self->{samples} }, [ "$where/example", $object->{schema}, $object->{example} ] if exists $object->{example};
		push @{ $self->{samples} }, [ "$where/examples/$_", $object->{schema}, $examples{$_}{value} ] foreach sort keys %examples;
	}
	return;
}

# The operations, with all references followed but those of schemas.
sub read_operations
{
	my ($self) = @_;
	my %ids;

	foreach my $path (sort keys %{ $self->{root}{paths} })
	{
		foreach my $method (sort keys %{ $self->{root}{paths}{$path} })
		{
			my $object = $self->{root}{paths}{$path}{$method};
			my $where = uc($method) . " $path";
			my $operation = { id => $object->{operationId}, path => $path, method => uc $method, responses => {} };

			$self->fault($where, "has the id of another operation") if $ids{ $object->{operationId} }++;

			$operation->{parameters} = [ map { $self->follow($_) } @{ $object->{parameters} // [] } ];
			my @in_path = sort map { $_->{name} } grep { $_->{in} eq 'path' } @{ $operation->{parameters} };
			$self->fault($where, 'does not describe the parameters in its path')
				if "@in_path" ne join ' ', sort $path =~ /\{(\w+)\}/g;
			foreach my $parameter (@{ $operation->{parameters} })
			{
				$self->fault($where, "has a parameter in an unknown place: $parameter->{in}")
					if $parameter->{in} !~ /^(path|query|header)$/;
				$self->fault($where, "does not require $parameter->{name}") if $parameter->{in} eq 'path' && !$parameter->{required};
			}

			$operation->{body} = $object->{requestBody}{content}{'application/json'}{schema} if $object->{requestBody};
			foreach my $status (sort keys %{ $object->{responses} })
			{
				my $response = $self->follow($object->{responses}{$status});
				$self->fault($where, "answers with an unknown status: $status") if $status !~ /^[1-5][0-9][0-9]$/;
				$operation->{responses}{$status} = {
					schema => $response->{content}{'application/json'}{schema},
					csv => ($response->{content}{'text/csv'} // {})->{schema},
					headers => { map { $_ => $self->follow($response->{headers}{$_}) } keys %{ $response->{headers} // {} } } };
			}
			push @{ $self->{operations} }, $operation;
		}
	}
	return;
}

# Rules of a schema that its keys alone do not tell.
sub check_schema
{
	my ($self, $where, $schema) = @_;
	my $type = $schema->{type} // '';

	eval { check_keywords($schema); 1 } or $self->fault($where, $@ =~ s/\n//r);
	$self->fault($where, 'is nullable without a type') if exists $schema->{nullable} && $type eq '';
	$self->fault($where, 'is an array of nothing') if ($type eq 'array') != exists $schema->{items};
	foreach my $name (@{ $schema->{required} // [] })
	{
		$self->fault($where, "requires what it does not describe: $name") if !exists $schema->{properties}{$name};
	}
	return;
}

sub check_samples
{
	my ($self) = @_;
	foreach my $sample ($self->samples)
	{
		my ($where, $schema, $value) = @$sample;
		$self->fault($where, "is no example: $_") foreach $self->disagrees($schema, $value);
	}
	return;
}

# Nothing is described twice over, or for nobody.
sub check_use
{
	my ($self) = @_;
	my %components = %{ $self->{root}{components} // {} };
	my @declared = map { $_->{name} } @{ $self->{root}{tags} // [] };

	delete $components{securitySchemes};
	foreach my $section (sort keys %components)
	{
		foreach my $name (sort keys %{ $components{$section} })
		{
			$self->fault("/components/$section/$name", 'is not used') if !$self->{references}{"#/components/$section/$name"};
		}
	}
	foreach my $requirement (@{ $self->{root}{security} // [] })
	{
		$self->fault('/security', "names no scheme: $_")
			foreach grep { !$self->{root}{components}{securitySchemes}{$_} } keys %$requirement;
	}

	my @used = map { @{ $_->{tags} // [] } } map { values %$_ } values %{ $self->{root}{paths} };
	$self->fault('/tags', 'are others than operations have') if join("\n", sort @declared) ne join("\n", sort { $a cmp $b } uniq @used);
	return;
}

# Values --------------------------------------------------------------------

# For each type of value, the keywords that say more of it.
my %keywords_of = (
	string => [qw(format minLength maxLength)],
	integer => [qw(format minimum maximum)],
	number => [qw(minimum maximum)],
	boolean => [],
	array => [qw(items minItems maxItems uniqueItems)],
	object => [qw(required properties additionalProperties)]);

# Those of any type, and those that say nothing about values.
my @keywords_of_all = qw(type nullable enum oneOf);
my @annotations = qw(description default example);

my %formats = (
	string => { 'date-time' => \&is_date_time, uuid => sub { $_[0] =~ /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/ia } },
	integer => { int32 => sub { is_integer_of(32, @_) }, int64 => sub { is_integer_of(64, @_) } });

# The type of a value from JSON: numbers and strings are told apart by how Perl holds them.
sub type_of
{
	my ($value) = @_;
	return 'null' if !defined $value;
	return 'boolean' if JSON::PP::is_bool($value);
	return 'object' if ref $value eq 'HASH';
	return 'array' if ref $value eq 'ARRAY';
	return 'number' if ref $value;
	return B::svref_2object(\$value)->FLAGS & B::SVf_POK ? 'string' : 'number';
}

sub is_of_type
{
	my ($value, $type) = @_;
	my $found = type_of($value);
	return $found eq 'number' && $value == int $value if $type eq 'integer';
	return $found eq $type;
}

# RFC 3339, section 5.6.
sub is_date_time
{
	my ($text) = @_;
	my ($year, $month, $day) = $text =~ m{
		^(\d{4})-(\d\d)-(\d\d)
		T (?:[01]\d|2[0-3]) : [0-5]\d : (?:[0-5]\d|60) (?:\.\d+)?
		(?:Z | [+-] (?:[01]\d|2[0-3]) : [0-5]\d) \z}xia or return 0;
	my $leap = $year % 4 == 0 && ($year % 100 != 0 || $year % 400 == 0);
	my @days = (31, $leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31);
	return $month >= 1 && $month <= 12 && $day >= 1 && $day <= $days[ $month - 1 ];
}

sub is_integer_of
{
	my ($bits, $value) = @_;
	my $limit = Math::BigInt->new(2)->bpow($bits - 1);
	my $integer = Math::BigInt->new("$value");
	return $integer >= -$limit && $integer < $limit;
}

# Dies of keywords that would be ignored: unknown ones, and those of another type.
sub check_keywords
{
	my ($schema) = @_;
	my $type = $schema->{type};
	my @known = (@keywords_of_all, @annotations);

	if (defined $type)
	{
		die "unknown type: $type\n" if !$keywords_of{$type};
		push @known, @{ $keywords_of{$type} };
	}
	foreach my $keyword (sort keys %$schema)
	{
		die "unknown keyword" . (defined $type ? " of type $type" : '') . ": $keyword\n" if !any { $_ eq $keyword } @known;
	}
	die "unknown format of type $type: $schema->{format}\n" if defined $schema->{format} && !$formats{$type}{ $schema->{format} };
	return;
}

sub same
{
	my $json = JSON::PP->new->canonical->allow_nonref->allow_bignum;
	my ($a, $b) = map { $json->encode($_) } @_;
	return $a eq $b;
}

sub is_unique
{
	my @values = @_;
	return !any { my $n = $_; any { same($values[$n], $values[$_]) } 0 .. $n - 1 } 0 .. $#values;
}

# Where the value breaks the schema, and how; nothing where it does not.
#
#	closed	an object may only have the properties that its schema names, unless the
#			schema says something of others: for answers, which are to be described in full
#	at		the place of the value, for the faults
sub disagrees
{
	my ($self, $schema, $value, %options) = @_;
	my $at = $options{at} // '';
	my $place = $at eq '' ? 'value' : $at;
	my @faults;

	die "this is no schema\n" if ref $schema ne 'HASH';
	$schema = $self->follow($schema);
	check_keywords($schema);
	return () if !defined $value && $schema->{nullable};

	if (defined $schema->{type} && !is_of_type($value, $schema->{type}))
	{
		return "$place is of type " . type_of($value) . ", not $schema->{type}";
	}
	if ($schema->{enum} && !any { same($_, $value) } @{ $schema->{enum} })
	{
		push @faults, "$place is none of those listed: " . ($value // 'null');
	}
	if ($schema->{oneOf})
	{
		my @each = map { [ $self->disagrees($_, $value, %options) ] } @{ $schema->{oneOf} };
		my $agreeing = grep { !@$_ } @each;
		push @faults, "$place agrees with $agreeing of the schemas, not with one", map { @$_ } @each if $agreeing != 1;
	}
	if (defined $schema->{format} && !$formats{ $schema->{type} }{ $schema->{format} }->($value))
	{
		push @faults, "$place is no $schema->{format}: $value";
	}
	push @faults, "$place is below $schema->{minimum}: $value" if defined $schema->{minimum} && $value < $schema->{minimum};
	push @faults, "$place is above $schema->{maximum}: $value" if defined $schema->{maximum} && $value > $schema->{maximum};
	push @faults, "$place is shorter than $schema->{minLength}" if defined $schema->{minLength} && length $value < $schema->{minLength};
	push @faults, "$place is longer than $schema->{maxLength}" if defined $schema->{maxLength} && length $value > $schema->{maxLength};
	push @faults, "$place has more than $schema->{maxItems} items" if defined $schema->{maxItems} && @$value > $schema->{maxItems};
	push @faults, "$place has fewer than $schema->{minItems} items" if defined $schema->{minItems} && @$value < $schema->{minItems};

	push @faults, "$place has an item twice" if $schema->{uniqueItems} && !is_unique(@$value);
	if ($schema->{items})
	{
		push @faults, $self->disagrees($schema->{items}, $value->[$_], %options, at => "$at/$_") foreach 0 .. $#$value;
	}
	push @faults, map { "$place has no $_" } grep { !exists $value->{$_} } @{ $schema->{required} // [] };
	if (ref $value eq 'HASH' && defined $schema->{type})
	{
		my $others = $schema->{additionalProperties} // ($options{closed} ? JSON::PP::false : JSON::PP::true);
		foreach my $name (sort keys %$value)
		{
			if (exists $schema->{properties}{$name})
			{
				push @faults, $self->disagrees($schema->{properties}{$name}, $value->{$name}, %options, at => "$at/$name");
			}
			elsif (ref $others eq 'HASH')
			{
				push @faults, $self->disagrees($others, $value->{$name}, %options, at => "$at/$name");
			}
			elsif (!$others)
			{
				push @faults, "$place has a property that is not described: $name";
			}
		}
	}
	return @faults;
}

1;
