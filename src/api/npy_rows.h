/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes an application/x-npy body of a scoring request: one array of NumPy's, with the
 * same reader as a file's (data/npy.h), so that its rows score as that file's do: (n, d),
 * or images as (n, h, w) or (n, c, h, w). The body is held until it is whole, which
 * limits.body bounds; the header is held against the limits before rows take memory.
 */
#ifndef API_NPY_ROWS_H
#define API_NPY_ROWS_H

#include "api/rows.h"

struct npy_rows {
    struct rows *rows; /* written to; fault, too */
    struct buffer body;
};

/* `decoder` is zeroed before the first start; `rows` must have been reset. */
void npy_rows_start(struct npy_rows *decoder, struct rows *rows);
void npy_rows_done(struct npy_rows *decoder);
/* Gives back a body's memory beyond `bytes`. */
void npy_rows_trim(struct npy_rows *decoder, size_t bytes);
/* Does nothing once rows->fault is set. */
void npy_rows_feed(struct npy_rows *decoder, const char *bytes, size_t size);
/* The body has ended. False: rows->fault says why. */
bool npy_rows_finish(struct npy_rows *decoder);

#endif
