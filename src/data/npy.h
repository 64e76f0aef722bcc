/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NumPy's .npy, versions 1 to 3: (n, d), (n, h, w) or (n, c, h, w) in C order, of f4, f8,
 * i1, u1, i4, i8, little-endian. Values are taken as they are, but bytes (u1) of 3 or 4
 * dimensions are the pixels of images and become [0, 1] (divided by 255), as IDX's do.
 * NaN is missing; infinities are refused. Labels: (n) or (n, 1) of 0, 1, -1.
 */
#ifndef DATA_NPY_H
#define DATA_NPY_H

#include "data/stream.h"

enum { NPY_DIMENSIONS_MAX = 4 };

/* What an array's header says of a type that is read. */
struct npy_header {
    size_t dimensions;
    size_t shape[NPY_DIMENSIONS_MAX];
    size_t bytes; /* of the values, which follow it */
};

/* Reads the header alone, whatever its shape. */
int npy_read_header(struct npy_header *out, struct stream *stream,
                    struct deepsad_error *error);

/* All values of an array of whatever shape, which must be finite; free(). */
int npy_read_vector(float **out, size_t *count, const char *path,
                    struct deepsad_error *error);

int npy_read(struct deepsad_dataset *out, struct stream *stream,
             const struct deepsad_read_options *options, struct deepsad_error *error);

#endif
