# Files come in through examples/import/import_events, and COPY shows its progress.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/..";

use IPC::Run;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my $node = server_with_extension();

my $folder = PostgreSQL::Test::Utils::tempdir();
my $script = 'examples/import/import_events';
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';

sub write_file
{
	my ($name, $content) = @_;
	open my $file, '>', "$folder/$name" or die "could not write $name: $!";
	print $file $content;
	close $file;
	return "$folder/$name";
}

sub import_is
{
	my ($what, $file, $expected) = @_;
	ok(run_log([ $script, $file ]), "$what is loaded");
	is( $node->safe_psql('postgres',
			q{SELECT string_agg(concat_ws(' ', customer_event_id, customer_alias, event_type,
				event_timestamp AT TIME ZONE 'UTC', event_properties), E'\n' ORDER BY customer_event_id) FROM usage_events}),
		$expected, "$what: what is stored");
	$node->safe_psql('postgres', 'TRUNCATE usage_events.event, usage_events.superseded_event');
}

my $ndjson = <<'END';
{"customerEventId": "1", "customerAlias": "it's \"acme\", \\ Ltd", "eventType": "call", "eventTimestamp": "2026-10-01T02:00+02", "eventProperties": {"text": "a\tb,\nc", "n": 1.50}}
{"customerEventId": "2", "customerAlias": "globex", "eventType": "call", "eventTimestamp": "2026-10-02T00:00:00Z"}
END
my $stored = qq{1 it's "acme", \\ Ltd call 2026-10-01 00:00:00 {"n": 1.50, "text": "a\\tb,\\nc"}\n2 globex call 2026-10-02 00:00:00 {}};
import_is('.ndjson', write_file('events.ndjson', $ndjson), $stored);
run_log([ 'gzip', write_file('compressed.ndjson', $ndjson) ]);
import_is('.ndjson.gz', "$folder/compressed.ndjson.gz", $stored);

my $csv = <<'END';
eventType,customerAlias,"eventProperties",customerEventId,eventTimestamp
call,"it's ""acme"", \ Ltd","{""text"": ""a\tb,\nc"", ""n"": 1.50}",1,2026-10-01T02:00+02
call,globex,,2,2026-10-02T00:00:00Z
END
import_is('.csv', write_file('events.csv', $csv), $stored);

# As spreadsheets, data frames and people write them.
my $mark = "\xef\xbb\xbf";
import_is('.csv with Windows line ends', write_file('windows.csv', $csv =~ s/\n/\r\n/gr), $stored);
import_is('.csv with a byte order mark', write_file('marked.csv', $mark . $csv), $stored);
import_is('.csv of quoted names and a byte order mark', write_file('quoted.csv', $mark . $csv =~ s/^eventType/"eventType"/r), $stored);
import_is('.csv with both line ends', write_file('both.csv', $csv =~ s/\n/\r\n/r), $stored);
import_is('.csv with blanks and blank lines', write_file('blanks.csv', "\n" . $csv =~ s/,(?=\S)(?=[^"]*(?:"[^"]*"[^"]*)*$)/, /gr =~ s/\n/\n \n,,,,\n/gr), $stored);
import_is('.csv with semicolons', write_file('semicolons.csv', $csv =~ s/,(?=[^"]*(?:"[^"]*"[^"]*)*$)/;/gr), $stored);
import_is('.csv with columns of properties', write_file('flat.csv', <<'END'), $stored);
eventType, customerAlias, n, properties.text, customerEventId, eventTimestamp
call, "it's ""acme"", \ Ltd", 1.50, "a	b,
c", 1, 2026-10-01 02:00:00+02
call, globex, , , 2, 2026-10-02 00:00:00Z
END
import_is('.ndjson with Windows line ends', write_file('windows.ndjson', $ndjson =~ s/\n/\r\n/gr), $stored);
import_is('.ndjson with a byte order mark', write_file('marked.ndjson', $mark . $ndjson), $stored);
import_is('.ndjson of two files in one', write_file('two.ndjson', $mark . $ndjson . $mark . "\r\n\n \n" . $ndjson), $stored);

# A file is stored whole or not at all, and the error names the line.
my ($stdout, $stderr);
my $bad = write_file('bad.ndjson', $ndjson . qq({"customerAlias": "acme"}\n));
ok(!IPC::Run::run([ $script, $bad ], '>', \$stdout, '2>', \$stderr), 'a bad line fails the file');
like($stderr, qr/"eventType" is missing.*usage_event_import, line 3/s, 'and is named');
is($node->safe_psql('postgres', 'SELECT count(*) FROM usage_events'), 0, 'and nothing is stored');
{
	local $ENV{PGOPTIONS} = '-c usage_events.import_on_error=skip';
	ok(run_log([ $script, $bad ]), 'or it is skipped');
}
is( $node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM usage_events), body FROM rejected_usage_events'),
	'2|{"customerAlias": "acme"}', 'and kept word for word');

# Faults of CSV name their line as well, and are skipped as well; a report ends each import.
my $bad_csv = write_file('bad_rows.csv', $mark . join "\r\n", split /\n/, <<'END');
customerAlias,eventType,eventProperties,quantity
 acme , call ,,1

acme,,,1
acme,call,{"a": },1
acme,call
"acme ",call,,1
acme,call,,2
END
ok(!IPC::Run::run([ $script, $bad_csv ], '>', \$stdout, '2>', \$stderr), 'a bad row of CSV fails the file');
like($stderr, qr/"eventType" is missing.*usage_event_import, line 4/s, 'and is named');
{
	local $ENV{PGOPTIONS} = '-c usage_events.import_on_error=skip';
	ok(IPC::Run::run([ $script, $bad_csv ], '>', \$stdout, '2>', \$stderr), 'or bad rows are skipped');
	like($stderr, qr/NOTICE:  usage events imported: 2 created, 0 superseded, 0 unchanged, 4 refused\nHINT:  The view rejected_usage_events/, 'and a report says how many');
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM usage_events WHERE customer_alias = 'acme'}), 2, 'the others are stored');
ok(IPC::Run::run([ $script, write_file('again.ndjson', $ndjson =~ s/globex/initech/r) ], '>', \$stdout, '2>', \$stderr), 'sent again, with a correction');
like($stderr, qr/NOTICE:  usage events imported: 0 created, 1 superseded, 1 unchanged, 0 refused\n/, 'the report says so');

# Without the options that the documents name, nothing is changed silently.
ok(!IPC::Run::run([ 'psql', '-qX', '-c', "\\copy usage_event_import FROM '$folder/events.ndjson'" ], '>', \$stdout, '2>', \$stderr),
	'COPY without options');
like($stderr, qr/ERROR:  COPY with these options changes what was sent.*HINT:  .*\\copy usage_event_import FROM 'events.ndjson' \(FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02'\)/s, 'is refused with the options');
ok(!IPC::Run::run([ $script, write_file('bad.csv', "eventType,amount\nx,1\n") ], '>', \$stdout, '2>', \$stderr),
	'an unknown column fails the file');
ok(!IPC::Run::run([ $script, write_file('events.txt', $ndjson) ], '>', \$stdout, '2>', \$stderr), 'another kind of file fails');

# An import that is under way is seen in pg_stat_progress_copy, more rows than one batch.
my $rows = join '', map { qq({"customerAlias": "c", "eventType": "progress", "customerEventId": "p-$_"}\n) } 1 .. 2500;
my $fifo = "$folder/fifo";
run_log([ 'mkfifo', $fifo ]);
my $copy = IPC::Run::start(
	[ 'psql', '-qX', '-c', "\\copy usage_event_import FROM '$fifo' (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')" ]);
open my $writer, '>', $fifo or die "could not open the pipe: $!";
$writer->autoflush(1);
print $writer $rows;
ok( $node->poll_query_until('postgres',
		q{SELECT tuples_processed >= 2000 FROM pg_stat_progress_copy WHERE relid = 'usage_event_import'::regclass}),
	'progress is shown');
is($node->safe_psql('postgres', q{SELECT count(*) FROM usage_events WHERE event_type = 'progress'}),
	0, 'and nobody sees half of it');
close $writer;
ok(IPC::Run::finish($copy), 'the import ends');
is($node->safe_psql('postgres', q{SELECT count(*) FROM usage_events WHERE event_type = 'progress'}),
	2500, 'and all of it is there');

# A client that goes away in the middle leaves nothing.
unlink $fifo;
run_log([ 'mkfifo', $fifo ]);
$copy = IPC::Run::start(
	[ 'psql', '-qX', '-c', "\\copy usage_event_import FROM '$fifo' (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')" ]);
open $writer, '>', $fifo or die "could not open the pipe: $!";
$writer->autoflush(1);
print $writer $rows =~ s/progress/gone/gr =~ s/"p-/"g-/gr;
ok( $node->poll_query_until('postgres',
		q{SELECT tuples_processed >= 2000 FROM pg_stat_progress_copy WHERE relid = 'usage_event_import'::regclass}),
	'another import is under way');
$copy->kill_kill;
close $writer;
ok( $node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_progress_copy)}), 'its client goes away');
is($node->safe_psql('postgres', q{SELECT count(*) FROM usage_events WHERE customer_event_id ~ '^[pg]-'}), 2500, 'and nothing of it is stored');

# The memory of a backend does not grow with the lines: measured by a trigger, at an early and at a late one.
$node->safe_psql('postgres', q{
	TRUNCATE usage_events.event;
	CREATE TABLE memory (key text, bytes bigint);
	CREATE FUNCTION measure() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO memory SELECT NEW.customer_event_id, sum(total_bytes) FROM pg_backend_memory_contexts;
		RETURN NEW;
	END $$;
	CREATE TRIGGER measure BEFORE INSERT ON usage_events.event FOR EACH ROW
		WHEN (NEW.customer_event_id IN ('l-30000', 'l-90000')) EXECUTE FUNCTION measure()});
run_log([ $script, write_file('large.ndjson',
	join '', map { qq({"customerAlias": "c", "eventType": "large", "customerEventId": "l-$_"}\n) } 1 .. 100_000) ]);
is( $node->safe_psql('postgres', 'SELECT count(*), max(bytes) - min(bytes) < 5000000 FROM memory'),
	'2|t', 'the memory of a backend stays what it was');

done_testing();
