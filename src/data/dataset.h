/* SPDX-License-Identifier: Apache-2.0 */
/* Data sets in memory, and the choice of reader by the extension of a path; declared in
 * deepsad.h. */
#ifndef DATA_DATASET_H
#define DATA_DATASET_H

#include "base/buffer.h"
#include "deepsad.h"

/* Room for `rows` x `features` values and labels, all zero, in *out; its other members
 * are left alone. `what` names it in the error. */
int dataset_allocate(struct deepsad_dataset *out, size_t rows, size_t features,
                     const char *what, struct deepsad_error *error);

/* Room for `rows` of them instead, at least one; those that stay keep their values, new
 * ones have none. */
int dataset_resize(struct deepsad_dataset *dataset, size_t rows, const char *what,
                   struct deepsad_error *error);

/* A feature's name as a cell of CSV, quoted where commas, quotes, line ends or outer
 * blanks would change it. */
void dataset_append_name(struct buffer *out, const char *name);

/* A copy of `count` rows of `dataset`, in the order of `rows`, with names and shape. */
int dataset_select(struct deepsad_dataset *out, const struct deepsad_dataset *dataset,
                   const size_t *rows, size_t count, struct deepsad_error *error);

#endif
