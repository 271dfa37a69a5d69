/*
 * metric/total_key.c
 *		The keys of cells: of the properties by which events are grouped, and of values.
 */
#include "postgres.h"

#include "metric/total_cells.h"

#include "base/json_read.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "fmgr.h"
#include "utils/builtins.h"

static void
append_digest(Probe *probe, Slice text)
{
	static const char digits[] = "0123456789abcdef";
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	uint8 digest[PG_SHA256_DIGEST_LENGTH];

	if (context == NULL || pg_cryptohash_init(context) < 0 ||
		pg_cryptohash_update(context, (const uint8 *) text.data, text.length) < 0 ||
		pg_cryptohash_final(context, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute a SHA-256");
	pg_cryptohash_free(context);
	for (size_t i = 0; i < sizeof(digest); i++)
	{
		probe->key[probe->cell.key_length++] = digits[digest[i] >> 4];
		probe->key[probe->cell.key_length++] = digits[digest[i] & 0xf];
	}
}

/* The kind of key comes first, so that no text can look like another kind's. */
static void
append_key(Probe *probe, Slice text, Numeric long_number)
{
	if (long_number != NULL)
	{
		probe->key[probe->cell.key_length++] = 'd';
		append_digest(probe, (Slice){VARDATA_ANY(long_number), VARSIZE_ANY_EXHDR(long_number)});
	}
	else if (text.data == NULL)
		probe->key[probe->cell.key_length++] = 'n';
	else if (text.length > MAX_KEY_TEXT)
	{
		probe->key[probe->cell.key_length++] = 'h';
		append_digest(probe, text);
	}
	else
	{
		probe->key[probe->cell.key_length++] = 'v';
		memcpy(probe->key + probe->cell.key_length, text.data, text.length);
		probe->cell.key_length += text.length;
	}
}

/* Of a number, as it is written: 1.50 and 1.5 are two values, since an answer that is one of them is to be the same each time. */
static void
append_number_key(Probe *probe, Numeric number)
{
	if (json_number_length(number) > MAX_KEY_TEXT)
		append_key(probe, (Slice){NULL, 0}, number);
	else
		append_key(probe,
				   slice_from_cstring(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)))),
				   NULL);
}

/* The key of an event's cell. */
void
total_make_key(const Metric *metric, MetricVerdict verdict, const MetricValue *value, Probe *probe)
{
	probe->cell = (KeptCell){.kind = CELL_VALUE};
	for (int i = 0; i < metric_grouping_count(metric); i++)
	{
		if (i > 0)
			probe->key[probe->cell.key_length++] = '\0';
		append_key(probe, value->groupings[i].text, value->groupings[i].long_number);
	}
	probe->cell.group_key_length = probe->cell.key_length;
	probe->key[probe->cell.key_length++] = '\0';
	if (metric->kind->keeps == METRIC_KEEPS_NO_VALUES || verdict != METRIC_COUNTS)
		return;
	if (value->number != NULL)
		append_number_key(probe, value->number);
	else
		append_key(probe, value->unique, value->long_unique);
}
