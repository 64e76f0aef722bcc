/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The safetensors format (8-byte little-endian header length, JSON header, tensors back
 * to back), readable by every machine-learning tool and without code in it. The reader is
 * strict: sizes, overlaps, holes, types, values are all checked before anything is used.
 * Of the format's types only F32 is taken.
 */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

enum {
    SAFETENSORS_RANK_MAX = 8,
    SAFETENSORS_HEADER_MAX = 16 << 20, /* bytes of JSON */
    SAFETENSORS_TENSORS_MAX = 1 << 16,
};

/* Values are finite; only in tensors whose name starts so, NaN is a missing value. */
#define SAFETENSORS_ROWS "reservoir."

struct safetensors_tensor {
    const char *name;
    size_t rank;
    size_t shape[SAFETENSORS_RANK_MAX];
    size_t count;      /* product of the shape */
    const char *bytes; /* count elements, little-endian, perhaps unaligned */
    char dtype[8];     /* "F32"; another one is foreign: its values are not looked at */
};

struct safetensors; /* a file read, immutable */

/* Takes over the `content`. Messages say what is wrong without the path: callers
 * put it before them. */
int safetensors_parse(struct safetensors **out, struct buffer *content,
                      struct deepsad_error *error);
/* The same for files of other programs, in which tensors may be foreign. */
int safetensors_parse_foreign(struct safetensors **out, struct buffer *content,
                              struct deepsad_error *error);
void safetensors_free(struct safetensors *file);

size_t safetensors_count(const struct safetensors *file);
/* In the order of their bytes. */
const struct safetensors_tensor *safetensors_at(const struct safetensors *file,
                                                size_t index);
/* NULL when there is none of that name. */
const struct safetensors_tensor *safetensors_find(const struct safetensors *file,
                                                  const char *name);
/* Value of a key of __metadata__, or NULL. */
const char *safetensors_metadata(const struct safetensors *file, const char *key);
/* The tensors in the order of their bytes, a line each: name, dimensions ("w 3 4\n");
 * what a digest of the data alone would miss. */
const char *safetensors_table(const struct safetensors *file, size_t *size);
/* All tensors' bytes. */
const char *safetensors_data(const struct safetensors *file, size_t *size);

/* The tensor of that name, which must have this shape (rank). */
int safetensors_expect_shape(const struct safetensors_tensor **out,
                             const struct safetensors *file, const char *name,
                             size_t rank, const size_t *shape,
                             struct deepsad_error *error);
/* The same for the shape (rows, columns), or (rows) if columns is 0. */
int safetensors_expect(const struct safetensors_tensor **out,
                       const struct safetensors *file, const char *name, size_t rows,
                       size_t columns, struct deepsad_error *error);
/* The same, and their values copied to out. */
int safetensors_copy_shape(float *out, const struct safetensors *file, const char *name,
                           size_t rank, const size_t *shape, struct deepsad_error *error);
int safetensors_copy(float *out, const struct safetensors *file, const char *name,
                     size_t rows, size_t columns, struct deepsad_error *error);

/* One line of such a table. */
void safetensors_append_entry(struct buffer *table, const char *name, size_t rank,
                              const size_t *shape);

#endif
