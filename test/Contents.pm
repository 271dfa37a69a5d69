# Contents.pm: all that a database with the extension holds, as text to be compared
#
#	description($node, $database)		what the extension's objects are made of
#	rows($node, $database)				its rows, but for rollups, which no dump has
#	rows_of_rollups($node, $database)	and those
#	privileges($node, $database)		who may do what; the API is in the schema api
#	total_of_key($node, $database, $schema, $key)	what a request with the API key counts among its events
package Contents;

use strict;
use warnings FATAL => 'all';

use Exporter 'import';
use MIME::Base64 qw(encode_base64);

our @EXPORT = qw(description rows rows_of_rollups privileges total_of_key);

# An access list in an order of its own: grants may have come in another.
sub acl { return "(SELECT string_agg(a, ',' ORDER BY a COLLATE \"C\") FROM unnest(($_[0])::text[]) AS a)"; }

# All that an object is made of, for each object of the extension, those of its tables included.
my $description = qq{
	WITH member AS (
		SELECT d.classid, d.objid FROM pg_depend AS d, pg_extension AS e
		WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'usage_events'
	), relation AS (
		SELECT c.* FROM pg_class AS c JOIN member ON classid = 'pg_class'::regclass AND objid = c.oid
	)
	SELECT line FROM (
		SELECT pg_describe_object(classid, objid, 0) || ' comment ' || coalesce(obj_description(objid, classid::regclass::text), '') FROM member
		UNION ALL SELECT 'function ' || pg_get_functiondef(p.oid) || coalesce(${\acl('p.proacl')}, '') || p.proowner::regrole
			FROM pg_proc AS p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid
		UNION ALL SELECT concat_ws(' ', 'relation', oid::regclass, relkind, relpersistence, relrowsecurity, relforcerowsecurity, reloptions, ${\acl('relacl')}, relreplident, relowner::regrole) FROM relation
		UNION ALL SELECT concat_ws(' ', 'column', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attcollation::regcollation, attstorage, attcompression, attstattarget, ${\acl('attacl')}, 
				(SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum), col_description(attrelid, attnum))
			FROM pg_attribute JOIN relation ON relation.oid = attrelid WHERE attnum > 0
		UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index JOIN relation ON relation.oid = indrelid
		UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(c.oid)) FROM pg_constraint AS c JOIN relation ON relation.oid = conrelid
		UNION ALL SELECT concat_ws(' ', 'policy', polrelid::regclass, polname, polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) FROM pg_policy JOIN relation ON relation.oid = polrelid
		UNION ALL SELECT concat_ws(' ', 'view', oid::regclass, pg_get_viewdef(oid)) FROM relation WHERE relkind = 'v'
		UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), tgenabled, obj_description(t.oid, 'pg_trigger')) FROM pg_trigger AS t JOIN relation ON relation.oid = tgrelid
		UNION ALL SELECT concat_ws(' ', 'statistics', pg_get_statisticsobjdef(s.oid)) FROM pg_statistic_ext AS s JOIN relation ON relation.oid = stxrelid
		UNION ALL SELECT concat_ws(' ', 'event trigger', evtname, evtevent, evtfoid::regproc, evtenabled, array_to_string(evttags, ',')) FROM pg_event_trigger
		UNION ALL SELECT concat_ws(' ', 'initially', pg_describe_object(i.classoid, i.objoid, i.objsubid), privtype, ${\acl('initprivs')}) FROM pg_init_privs AS i JOIN member ON (classid, objid) = (classoid, objoid)
		UNION ALL SELECT concat_ws(' ', 'schema', nspname, ${\acl('nspacl')}, nspowner::regrole) FROM pg_namespace WHERE nspname = 'usage_events'
		UNION ALL SELECT concat_ws(' ', 'type', oid::regtype, typinput, typoutput, typreceive, typsend, typlen, typbyval, typalign, typstorage, typcategory, ${\acl('typacl')}) FROM pg_type JOIN member ON classid = 'pg_type'::regclass AND objid = oid
		UNION ALL SELECT concat_ws(' ', 'cast', castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext, castmethod) FROM pg_cast AS c JOIN member ON classid = 'pg_cast'::regclass AND objid = c.oid
		UNION ALL SELECT concat_ws(' ', 'operator', o.oid::regoperator, oprcode, oprcom::regoperator, oprnegate::regoperator, oprrest, oprjoin, oprcanhash, oprcanmerge)
			FROM pg_operator AS o JOIN member ON classid = 'pg_operator'::regclass AND objid = o.oid
		UNION ALL SELECT concat_ws(' ', 'operator family', opfname, opfmethod, amopstrategy, amopopr::regoperator) FROM pg_amop JOIN pg_opfamily AS f ON f.oid = amopfamily JOIN member ON classid = 'pg_opfamily'::regclass AND objid = f.oid
		UNION ALL SELECT concat_ws(' ', 'operator family', opfname, opfmethod, amprocnum, amproc::regprocedure) FROM pg_amproc JOIN pg_opfamily AS f ON f.oid = amprocfamily JOIN member ON classid = 'pg_opfamily'::regclass AND objid = f.oid
		UNION ALL SELECT concat_ws(' ', 'dumped', c::regclass, condition) FROM pg_extension, unnest(extconfig, extcondition) AS u (c, condition) WHERE extname = 'usage_events'
		UNION ALL SELECT concat_ws(' ', 'extension', extversion, extrelocatable, extnamespace::regnamespace, extowner::regrole) FROM pg_extension WHERE extname = 'usage_events'
	) AS lines (line) ORDER BY line COLLATE "C"};

sub description
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, $description);
}

# Every row of every table of which the condition holds, whatever tables there are.
sub rows_where
{
	my ($node, $database, $condition) = @_;
	my @tables = split /\n/, $node->safe_psql($database, qq{
		SELECT oid::regclass FROM pg_class
		WHERE relnamespace = 'usage_events'::regnamespace AND relkind = 'r' AND $condition ORDER BY 1});
	return join "\n", map { "$_:\n" . $node->safe_psql($database, "SELECT t::text FROM $_ AS t ORDER BY 1") } @tables;
}

my $rollups = "('metric_rollup', 'metric_progress', 'dirty_bucket')";

# What is only of the moment, and so in no dump: who waits for whom, what is still to be looked at, and tokens of a day.
my $work = "('usage_limit_lock', 'usage_alert_due', 'usage_alert_progress', 'portal_token')";

sub rows { return rows_where(@_, "relname NOT IN $rollups AND relname NOT IN $work"); }

sub rows_of_rollups { return rows_where(@_, "relname IN $rollups"); }

# Every privilege that somebody has on a schema, table, column or function.
sub privileges
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, q{
		SELECT object, coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC'), privilege_type, is_grantable
		FROM (
			SELECT nspname::text, nspacl, oid FROM pg_namespace
			UNION ALL
			SELECT oid::regclass::text, relacl, relnamespace FROM pg_class
			UNION ALL
			SELECT attrelid::regclass || '.' || attname, attacl, relnamespace
			FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
			UNION ALL
			SELECT oid::regprocedure::text, proacl, pronamespace FROM pg_proc
		) AS objects (object, acl, namespace), aclexplode(acl)
		WHERE namespace::regnamespace::text IN ('usage_events', 'api')
		ORDER BY 1, 2, 3});
}

# What a request with the key counts among its events.
sub total_of_key
{
	my ($node, $database, $schema, $key) = @_;
	my $header = encode_base64($key, '');
	return (split /\n/, $node->safe_psql($database, qq{
		BEGIN READ ONLY;
		SET LOCAL ROLE web;
		SELECT set_config('request.headers', '{"authorization": "Basic $header"}', true) IS NULL;
		SELECT usage_events.authenticate_request() IS NULL;
		SELECT $schema.list_usage_events() #>> '{pagination,totalResultSize}';}))[-1];
}

1;
