/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as the raw elements of a tensor, little-endian and row-major, while they arrive.
 * Those that lie in the part whole, as floats, are scored where they are, if they are
 * aligned, else from one aligned copy of them all.
 */
#ifndef API_RAW_ROWS_H
#define API_RAW_ROWS_H

#include "api/scoring.h"
#include "api/tensor_type.h"

struct raw_rows {
    struct scoring *scoring; /* its rows are written to; fault, too */
    enum tensor_type type;
    bool in_row;    /* scoring->rows.row is being filled */
    size_t carried; /* bytes of an element that goes on in the next part */
    char carry[8];
    struct buffer aligned;
};

/* `decoder` is zeroed before the first start. */
void raw_rows_start(struct raw_rows *decoder, struct scoring *scoring,
                    enum tensor_type type);
void raw_rows_done(struct raw_rows *decoder);
/* Does nothing once rows->fault is set. */
void raw_rows_feed(struct raw_rows *decoder, struct worker *worker, const char *bytes,
                   size_t size);
/* All has come. False: it ended within a row (fault). */
bool raw_rows_finish(struct raw_rows *decoder);

#endif
