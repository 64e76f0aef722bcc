/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a request while they arrive: a growing matrix of floats, ids, and the first
 * fault found. The decoders (json_rows.h, csv_rows.h, npy_rows.h) write here; nothing is
 * allocated per row, and the memory is used again by the next request.
 */
#ifndef API_ROWS_H
#define API_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* What a row consists of; the decoders know no model. */
struct rows_columns {
    size_t count;
    const void *closure;
    const char *(*name)(const void *closure, size_t column);
    /* SIZE_MAX when there is none of that name */
    size_t (*index)(const void *closure, const char *name, size_t length);
    size_t channels, height, width; /* of the image that a row is; else 0 */
};

/* A client sizes both: a row of 3 bytes ({}) may stand for thousands of floats. */
struct rows_limits {
    size_t rows;
    size_t bytes; /* of decoded floats */
};

enum { ROWS_DETAIL_MAX = 512, ROWS_POINTER_MAX = 256, ROWS_ID_MAX = 64 };

struct rows_fault {
    unsigned status; /* 0 = none, 400, 413, 422, 500 */
    char detail[ROWS_DETAIL_MAX];
    char pointer[ROWS_POINTER_MAX]; /* JSON pointer, "" where there is none */
};

struct rows_id {
    uint32_t offset; /* in id_text */
    uint32_t length;
};

/* The arrays that a row is made of: itself, or more where it is an image (rows_nest.h).
 */
struct rows_nest {
    unsigned depth, dimensions; /* arrays open now, and around each value */
    size_t line;                /* values of an innermost array */
    size_t full;                /* rows->filled where the innermost open one is full */
    size_t plane; /* and the one around that; SIZE_MAX where there is none */
};

struct rows {
    struct rows_columns columns;
    struct rows_limits limits;
    float *x;        /* (count - first, columns.count); NaN = missing */
    size_t count;    /* complete rows */
    size_t first;    /* of them, those before this one are gone: rows_drop() */
    size_t capacity; /* floats */
    float *row;      /* the row being filled, behind the complete ones */
    size_t filled;   /* its columns so far */
    struct rows_nest nest;
    unsigned stops; /* how often json_plain_take() met something else */
    uint32_t *seen; /* (columns.count): count + 1 of the row that last named the column */
    uint32_t *order; /* (columns.count): which column came k-th in the row before */
    size_t column_capacity;
    bool has_ids; /* the request brings ids, if only an empty list */
    struct buffer id_text;
    struct rows_id *ids;
    size_t id_count, id_capacity;
    uint32_t *id_table; /* open addressing over ids, index + 1 */
    size_t id_table_capacity;
    struct rows_fault fault;
};

/* For a new request; `rows` is zeroed before the first. False: out of memory (fault). */
bool rows_reset(struct rows *rows, const struct rows_columns *columns,
                const struct rows_limits *limits);
void rows_done(struct rows *rows);
/* Gives back memory beyond `bytes`, so that one large request does not stay resident. */
void rows_trim(struct rows *rows, size_t bytes);

/* Starts row `count`: rows->row may be filled. False: fault (413, 500). */
bool rows_begin_row(struct rows *rows);
/* The same for a row filled by name: all columns are missing at first. */
bool rows_begin_named_row(struct rows *rows);
enum rows_found { ROWS_FOUND, ROWS_UNKNOWN, ROWS_TWICE };
/* The column of that name, which is then taken in this row. */
enum rows_found rows_find(struct rows *rows, const char *name, size_t length,
                          size_t *column);
/* The same; false: fault. */
bool rows_choose(struct rows *rows, const char *name, size_t length, size_t *column);
/* The row is complete: it must have as many values as there are columns. */
bool rows_end_row(struct rows *rows);
void rows_end_named_row(struct rows *rows);

/* Gives up the complete rows before `first`, whose scores are known: the others move to
 * the start of x. They count on, in faults and against the limits. */
void rows_drop(struct rows *rows, size_t first);

/* False: fault (bad form, too many). */
bool rows_add_id(struct rows *rows, const char *text, size_t length);
/* What can only be checked at the end: at least one row, ids fit the rows and are unique.
 */
bool rows_finish(struct rows *rows);

/* Sets the fault; the first one wins. Returns false. */
__attribute__((format(printf, 4, 5))) bool rows_fail(struct rows *rows, unsigned status,
                                                     const char *pointer,
                                                     const char *format, ...);

/* "#/samples/3", and "#/samples/3/hour" for a column given by name or (NULL) by index. */
void rows_pointer(char out[static ROWS_POINTER_MAX], size_t row);
void rows_pointer_cell(char out[static ROWS_POINTER_MAX], size_t row, const char *name,
                       size_t length, size_t column);

#endif
