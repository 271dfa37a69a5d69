# 036_documents.pl: what the documents say is what there is
#
# The README's screen of SQL runs as an ordinary role, and every block of SQL in docs/events.md, docs/metrics.md,
# docs/limits.md, docs/http.md and docs/reference.md runs.  The table of settings is the server's; every function that a role may call,
# and every view and table, is in the reference.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib "$FindBin::RealBin/..";
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $top = "$FindBin::RealBin/../..";

sub document
{
	my ($name) = @_;
	return slurp_file("$top/$name");
}

# The blocks of SQL of a document, without what psql would print.
sub sql_blocks
{
	my ($name) = @_;
	return map { s/^NOTICE: .*\n//mgr } document($name) =~ /^```sql\n(.*?)^```$/msg;
}

my $node = server();

# Runs a block as the role; an error of any statement fails.
sub runs
{
	my ($sql, $name, @role) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 1, extra_params => [ map { ('-U', $_) } @role ]);
	is($status, 0, $name) or diag($sql, $err);
	return $out;
}

$node->safe_psql('postgres', q{
	CREATE EXTENSION usage_events;
	CREATE ROLE app LOGIN;
	SELECT usage_events.grant_access('app', 'ingest');
	GRANT CREATE ON SCHEMA public TO app;
});

# The README ------------------------------------------------------------------

{
	my ($screen) = grep { /create_usage_event/ } sql_blocks('README.md');
	my $out = runs($screen, "the README's screen of SQL, as a role with access ingest", 'app');
	my ($answer) = $screen =~ /^-- (\{.*), …\}$/m;
	like($out, qr/^\Q$answer\E, /m, 'what it says that the metric answers');
	like($out, qr/^message-17\|\{"type": "text_message", "length": 500\}\|/m, 'the version before the correction');
	like($out, qr/^acme\|1\|450$/m, 'the same by SQL');
	cmp_ok(scalar(() = document('README.md') =~ /\n/g), '<=', 180, 'the README has at most 180 lines');
}

# Blocks of SQL ---------------------------------------------------------------

# Ids, cursors and moments of a document are another database's.
sub here
{
	my ($sql, %value) = @_;
	$sql =~ s/0184421e-[^'.]*\.5f3a9c2101b2c3d4/$value{client_id}/g;
	$sql =~ s/0184421e-[^']*/$value{account}/g;
	$sql =~ s/01a20b8b-…/$value{metric}/g;
	$sql =~ s/01910388-1c40-7a52-9f3e-5b7d2c84e61a/$value{metric}/g;
	$sql =~ s/01a20(?:ba2|7ec)-[^']*/$value{event}/g;
	$sql =~ s/AQEAA[^']*/$value{cursor}/g;
	$sql =~ s/2026-11-02 09:00Z/$value{moment}/g;
	$sql =~ s/'events\.ndjson'/'$value{file}'/g;
	return $sql;
}

{
	my %value;
	my @events = map { qq({"customerEventId": "listed-$_", "customerAlias": "acme", "eventType": "api-call", "eventTimestamp": "2026-10-05T00:00:00Z", "eventProperties": {"bytes": 1, "status": 200}}) } 1 .. 25;
	$value{file} = $node->data_dir . '/../events.ndjson';
	append_to_file($value{file}, join("\n", @events, ''));
	$node->safe_psql('postgres', 'SELECT create_usage_events($$[' . join(',', @events) . ']$$)');
	$value{event} = $node->safe_psql('postgres', q(SELECT id FROM usage_events WHERE customer_event_id = 'listed-1'));
	$value{cursor} = $node->safe_psql('postgres', q(SELECT list_usage_events() -> 'pagination' ->> 'after'));
	$value{metric} = $node->safe_psql('postgres', q(SELECT create_usage_metric('{"name": "m", "eventType": "api-call", "metricType": "SIMPLE", "aggregationType": "COUNT"}') ->> 'id'));
	$value{account} = $node->safe_psql('postgres', q(SELECT usage_events.create_account('documented')));
	$value{client_id} = $node->safe_psql('postgres', qq(SELECT client_id FROM usage_events.create_api_key('$value{account}', 'billing')));
	$value{moment} = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
	$node->safe_psql('postgres', "CREATE ROLE $_") for qw(reporting web gateway);

	for my $name (qw(events metrics limits http reference))
	{
		my $number = 0;
		for my $block (sql_blocks("docs/$name.md"))
		{
			$number++;
			runs(here($block, %value), "docs/$name.md, block $number of SQL");
		}
		cmp_ok($number, '>', 0, "docs/$name.md has SQL");
	}
}

# What docs/limits.md says that is refused is, in these words.
{
	my ($refusal) = document('docs/limits.md') =~ /^DETAIL:  (.*)$/m;
	my (undef, undef, $stderr) = $node->psql('postgres', q{SELECT create_usage_event('{"customerAlias": "acme", "eventType": "answer",
		"eventTimestamp": "2026-10-05T00:00:00Z", "eventProperties": {"tokens": 200}}')});
	like($stderr, qr/\Q$refusal\E/, 'the refusal of docs/limits.md');
	is($node->safe_psql('postgres', q{SELECT customer_alias FROM usage_events WHERE customer_event_id = 'answer-2'}), 'VOID', 'and its reservation ends taken back');
}

# Settings --------------------------------------------------------------------

# The rows of the table under a heading, as lists of cells.
sub table_rows
{
	my ($text, $heading) = @_;
	my ($section) = $text =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms;
	my @rows = map { [ split / \| /, s/^\| | \|$//gr ] } grep { /^\| / } split /\n/, $section;
	return @rows[ 2 .. $#rows ];
}

{
	my %set_by = (user => 'anyone', superuser => 'superuser', sighup => 'server', postmaster => 'server');
	my %here = map { my ($name, $context, $value) = split /\|/, $_, 3; ($name => "$set_by{$context}, $value") }
	  split /\n/, $node->safe_psql('postgres', q{
		SELECT usage_events.library_version() \gset
		SELECT name, context, current_setting(name) FROM pg_settings WHERE name LIKE 'usage\_events.%'});
	my %documented = map {
		my ($name, $value, $who) = @$_;
		$value = $value =~ /^empty/ ? '' : $value =~ s/`//gr;
		($name =~ s/`//gr => "$who, $value")
	} table_rows(document('docs/reference.md'), 'Settings');
	is_deeply(\%documented, \%here, 'the table of settings: names, defaults, and who sets them');
}

# Objects ---------------------------------------------------------------------

{
	my $reference = document('docs/reference.md');
	$node->safe_psql('postgres', q{
		CREATE ROLE every_access;
		SELECT usage_events.grant_access('every_access', access) FROM unnest('{read,ingest,http,admin}'::text[]) AS access;
	});
	my @objects = split /\n/, $node->safe_psql('postgres', q{
		SELECT DISTINCT p.proname FROM pg_proc AS p
		JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
		JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'usage_events'
		WHERE has_function_privilege('every_access', p.oid, 'execute') AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
		-- what operators, casts, the type and policies call
		AND p.proname NOT LIKE 'usage\_event\_%' AND p.proname NOT IN ('written_by_extension', 'library_version', 'openapi')
		UNION SELECT c.relname FROM pg_class AS c
		JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
		JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'usage_events'
		WHERE c.relkind IN ('r', 'v') AND c.relname <> 'unmapped_alias' -- of which a view is made
		ORDER BY 1});
	cmp_ok(scalar @objects, '>', 50, 'objects that people use');
	is_deeply([ grep { $reference !~ /`(?:usage_events\.)?\Q$_\E[`(]/ } @objects ], [], 'each of them is in the reference');
}

done_testing();
