# 035_same_everywhere.pl: upper and lower case, and what is escaped, are the same in every database
#
# A metric that ignores case must say the same of the same events, wherever they are: another locale, encoding or operating system is no
# other bill.  Perl knows Unicode's case folding by itself, and is what our table is compared with.
use strict;
use warnings FATAL => 'all';
use utf8;

use FindBin;
use lib "$FindBin::RealBin/..";

use Encode qw(encode);
use Unicode::UCD qw(casefold);
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server();

# What events with these values count, of a metric whose filter has these, each pair a property of its own; by a database with this client encoding.
sub counted
{
	my ($database, $encoding, @pairs) = @_;
	my $n = 0;
	my (@filters, @properties);
	foreach my $pair (@pairs)
	{
		push @filters, sprintf('"p%d": ["%s"]', $n, $pair->[0]);
		push @properties, sprintf('"p%d": "%s"', $n++, $pair->[1]);
	}
	my $sql = sprintf(q{
		SELECT create_usage_metric($json${"name": "m", "eventType": "t", "metricType": "SIMPLE", "aggregationType": "COUNT", "caseSensitive": false, "propertyFilters": {%s}}$json$) ->> 'id' AS metric \gset
		BEGIN;
		SELECT create_usage_event($json${"customerAlias": "a", "eventType": "t", "eventTimestamp": "2026-10-01T00:00:00Z", "eventProperties": {%s}}$json$) AS event \gset
		SELECT calculate_usage_metric(:'metric', '{a}', '[2026-10-01Z, 2026-11-01Z)') ->> 'eventCount';
		ROLLBACK;}, join(', ', @filters), join(', ', @properties));
	local $ENV{PGCLIENTENCODING} = $encoding;
	return $node->safe_psql($database, encode($encoding eq 'LATIN1' ? 'iso-8859-1' : 'UTF-8', $sql));
}

# How many refused events are erased of whoever has this alias; their bodies have this one, with escapes.
sub erased
{
	my ($database, $encoding, $alias, $escaped) = @_;
	local $ENV{PGCLIENTENCODING} = $encoding;
	return $node->safe_psql($database, encode($encoding eq 'LATIN1' ? 'iso-8859-1' : 'UTF-8', sprintf(q{
		BEGIN;
		DO $$BEGIN PERFORM ingest_usage_events_text('[{"customerAlias": "%s", no JSON}]'); END$$;
		SELECT usage_events.erase_customer('%s');
		ROLLBACK;}, $escaped, $alias)));
}

my %databases = (
	'in the locale C' => [ UTF8 => "ENCODING 'UTF8' LOCALE 'C'" ],
	'in the encoding LATIN1' => [ LATIN1 => "ENCODING 'LATIN1' LOCALE 'C'" ],
	'without an encoding' => [ SQL_ASCII => "ENCODING 'SQL_ASCII' LOCALE 'C'" ]);
$databases{'in the locale C.UTF-8'} = [ UTF8 => q{ENCODING 'UTF8' LOCALE 'C.UTF-8'} ] if `locale -a` =~ /^C\.utf-?8$/mi;

foreach my $where (sort keys %databases)
{
	my ($encoding, $options) = @{ $databases{$where} };
	$node->safe_psql('postgres', "CREATE DATABASE d TEMPLATE template0 $options");
	$node->safe_psql('d', 'CREATE EXTENSION usage_events');
	is(counted('d', $encoding, [ 'KÖLN', 'köln' ], [ 'ærø', 'ÆRØ' ], [ 'one', 'ONE' ]), 1, "$where: the same but for case");
	is(counted('d', $encoding, [ 'KÖLN', 'koln' ]), 0, "$where: another letter");
	is(counted('d', $encoding, [ 'Straße', 'STRASSE' ]), 0, "$where: one letter is never two");
	is(counted('d', $encoding, [ 'naïve × ÷ ²', 'naïve × ÷ ²' ]), 1, "$where: what has no case is the same as itself");
	is(counted('d', $encoding, [ '÷', '×' ]), 0, "$where: and as nothing else");
	is(erased('d', $encoding, 'köln', 'k\\u00f6ln'), $encoding eq 'SQL_ASCII' ? 0 : 1, "$where: who is named with an escape is erased");
	is(erased('d', $encoding, 'kln', 'k\\u0142ln'), 0, "$where: and not who would be without it");
	$node->safe_psql('postgres', 'DROP DATABASE d');
}

# The table is whole.  Perl may be of an older version of Unicode than the table: what it does not know yet is left out.
$node->safe_psql('postgres', q{CREATE DATABASE d TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'});
$node->safe_psql('d', 'CREATE EXTENSION usage_events');
my @pairs;
foreach my $code (0x21 .. 0x1FFFF)
{
	my $fold = casefold($code);
	push @pairs, [ chr $code, chr hex $fold->{simple} ] if defined $fold && $fold->{simple} ne '';
}
cmp_ok(scalar @pairs, '>', 1400, 'Perl knows which characters have another case');
my @wrong;
while (my @some = splice @pairs, 0, 100)
{
	next if counted('d', 'UTF8', @some) == 1;
	push @wrong, grep { counted('d', 'UTF8', $_) != 1 } @some;
}
is(join(' ', map { sprintf '%04X', ord $_->[0] } @wrong), '', 'each is the same as its other case');

done_testing();
