/*
 * sql/row.h
 *		Values in the rows of the statement that was run last.
 *
 * Rows are numbered as in SPI_tuptable, from 0, columns from 1.  ROW_STREAMED is the one that
 * statement_stream(), lookup_rows() and lookup_rows_of_many() hand out.
 */
#ifndef USAGE_EVENTS_SQL_ROW_H
#define USAGE_EVENTS_SQL_ROW_H

#include "base/slice.h"
#include "executor/tuptable.h"

#define ROW_STREAMED UINT64_MAX

/* Where a row of a lookup is stored, and the transaction that wrote it. */
typedef struct RowPlace
{
	ItemPointerData tid;
	TransactionId made_by;
} RowPlace;

extern void row_stream(TupleTableSlot *slot, const AttrNumber *columns);
extern void row_stream_end(void);
extern bool row_is_streamed(void);
extern RowPlace row_place(uint64 row);
extern Datum row_value(uint64 row, int column, bool *isnull);
extern Datum row_value_there(uint64 row, int column);
extern Slice row_text(uint64 row, int column);
extern Slice row_text_copy(uint64 row, int column);
extern Slice *row_texts(int *count);
extern Datum row_text_array(int *count);

#endif /* USAGE_EVENTS_SQL_ROW_H */
