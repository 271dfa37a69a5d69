/*
 * sql/row.c
 *		Values in the rows of the statement that was run last.
 */
#include "postgres.h"

#include "sql/row.h"

#include "access/htup_details.h"
#include "base/memory_budget.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "sql/statement.h"

static TupleTableSlot *streamed = NULL;
static const AttrNumber *streamed_columns = NULL;

/* Has that row as ROW_STREAMED from now on; its columns are those of the slot, or the ones with these numbers. */
void
row_stream(TupleTableSlot *slot, const AttrNumber *columns)
{
	streamed = slot;
	streamed_columns = columns;
}

void
row_stream_end(void)
{
	streamed = NULL;
}

bool
row_is_streamed(void)
{
	return streamed != NULL;
}

/* Of a row that was found along an index.  The system column xmin is no transaction's any more where a row is frozen. */
RowPlace
row_place(uint64 row)
{
	bool is_copy = true;
	HeapTuple tuple = row == ROW_STREAMED ? ExecFetchSlotHeapTuple(streamed, false, &is_copy) : NULL;

	if (is_copy || !ItemPointerIsValid(&tuple->t_self))
		elog(ERROR, "a row has no place");
	return (RowPlace){tuple->t_self, HeapTupleHeaderGetXmin(tuple->t_data)};
}

/* A value, in the row's memory. */
Datum
row_value(uint64 row, int column, bool *isnull)
{
	if (row == ROW_STREAMED)
		return slot_getattr(streamed, streamed_columns != NULL ? streamed_columns[column - 1] : column, isnull);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

/* The same of a column that is never null. */
Datum
row_value_there(uint64 row, int column)
{
	bool isnull;
	Datum value = row_value(row, column, &isnull);

	if (isnull)
		elog(ERROR, "unexpected null in column %d of a row", column);
	return value;
}

/* A text, in the row's memory; absent where it is null. */
Slice
row_text(uint64 row, int column)
{
	bool isnull;
	Datum value = row_value(row, column, &isnull);

	return isnull ? (Slice){NULL, 0} : slice_from_datum(value);
}

/* The same in the current memory context. */
Slice
row_text_copy(uint64 row, int column)
{
	bool isnull;
	Datum value = row_value(row, column, &isnull);

	return isnull ? (Slice){NULL, 0} : slice_copy_of_datum(value);
}

/* The texts in the first column of all rows, in the rows' memory. */
Slice *
row_texts(int *count)
{
	Slice *texts;

	memory_budget_grow(sizeof(Slice) * SPI_processed);
	texts = palloc(sizeof(Slice) * Max(SPI_processed, 1));
	*count = (int) SPI_processed;
	for (int row = 0; row < *count; row++)
		texts[row] = row_text(row, 1);
	return texts;
}

/* The same as an array of the server, in the current memory context. */
Datum
row_text_array(int *count)
{
	Slice *texts = row_texts(count);

	return statement_varlena_array(texts, *count, TEXTOID);
}
