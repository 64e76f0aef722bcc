/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes a text/csv body of a scoring request while it arrives: a row of numbers a line,
 * an optional header of feature names, which may leave features out and order them at
 * will. Empty cells and nan are missing values, cells may be quoted (a quoted line break
 * is refused), empty lines are skipped, CRLF and a byte order mark are fine.
 */
#ifndef API_CSV_ROWS_H
#define API_CSV_ROWS_H

#include "api/rows.h"

enum { CSV_LINE_MAX = 1 << 20 }; /* bytes of a line that is broken off between parts */

struct csv_rows {
    struct rows *rows;   /* written to; fault, too */
    struct buffer carry; /* the start of a line that goes on in the next part */
    size_t line;         /* number of the line being read, from 1 */
    bool begun;          /* the first line that is not empty has been read */
    bool has_header;
    size_t *columns; /* (columns.count): the model's column of the k-th cell */
    size_t column_capacity, column_count;
};

/* `decoder` is zeroed before the first start; `rows` must have been reset. False: out of
 * memory (fault). */
bool csv_rows_start(struct csv_rows *decoder, struct rows *rows);
void csv_rows_done(struct csv_rows *decoder);
/* Does nothing once rows->fault is set. */
void csv_rows_feed(struct csv_rows *decoder, const char *bytes, size_t size);
/* The body has ended. False: rows->fault says why. */
bool csv_rows_finish(struct csv_rows *decoder);

#endif
