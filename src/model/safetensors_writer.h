/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the safetensors format (model/safetensors.h): collects tensors, which may stay
 * where they are, then gives out the file piece by piece, so that a large one never
 * stands in memory twice.
 */
#ifndef MODEL_SAFETENSORS_WRITER_H
#define MODEL_SAFETENSORS_WRITER_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

struct safetensors_writer; /* collects; running out of memory is reported at the end */

struct safetensors_writer *safetensors_writer_new(void);
void safetensors_writer_free(struct safetensors_writer *writer);
/* Copies the values. columns = 0: a vector of `rows`. */
void safetensors_writer_add(struct safetensors_writer *writer, const char *name,
                            size_t rows, size_t columns, const float *values);
/* The same for any shape of at most SAFETENSORS_RANK_MAX sizes. */
void safetensors_writer_add_shape(struct safetensors_writer *writer, const char *name,
                                  size_t rank, const size_t *shape, const float *values);
/* Values that are not copied: they must stay as they are until the writer is freed. */
void safetensors_writer_borrow(struct safetensors_writer *writer, const char *name,
                               size_t rows, size_t columns, const float *values);
void safetensors_writer_metadata(struct safetensors_writer *writer, const char *key,
                                 const char *value);

/* Where bytes go, piece by piece. */
struct safetensors_sink {
    void (*take)(void *closure, const void *bytes, size_t size);
    void *closure;
};

/* The table of the tensors so far, and their bytes, for a digest. */
const char *safetensors_writer_table(const struct safetensors_writer *writer,
                                     size_t *size);
void safetensors_writer_data(const struct safetensors_writer *writer,
                             const struct safetensors_sink *sink);
/* The whole file; tensors start at a multiple of 64 bytes. */
int safetensors_writer_write(const struct safetensors_writer *writer,
                             const struct safetensors_sink *sink,
                             struct deepsad_error *error);
int safetensors_writer_finish(struct safetensors_writer *writer, struct buffer *out,
                              struct deepsad_error *error);

#endif
