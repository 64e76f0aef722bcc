/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which rows make each batch. A pass shuffles the pool and takes `size` rows at a time
 * without replacement, dropping what is left over; labelled anomalies are part of the
 * pool or, in balanced batches, drawn with replacement beside it.
 */
#ifndef NN_BATCHES_H
#define NN_BATCHES_H

#include <stddef.h>

#include "base/error.h"
#include "nn/rng.h"

struct batches {
    size_t *pool;      /* (pool_count) rows that passes go over */
    size_t *anomalies; /* (anomaly_count) rows drawn beside them */
    size_t pool_count, anomaly_count;
    size_t size;  /* rows of the pool in a batch: all of them where they are fewer */
    size_t drawn; /* anomalies in a batch, behind the rows of the pool */
    size_t at;    /* place in the pass */
    size_t *rows; /* (size + drawn): the batch */
};

/* labels (*) or NULL and index (count) or NULL as in struct trainer_data. anomaly_batch
 * > 0: balanced batches. */
int batches_init(struct batches *batches, const signed char *labels, const size_t *index,
                 size_t count, size_t batch, size_t anomaly_batch,
                 struct deepsad_error *error);
void batches_done(struct batches *batches);

/* Batches in a pass: at least 1. */
size_t batches_per_pass(const struct batches *batches);
/* Rows in a batch. */
size_t batches_rows(const struct batches *batches);
/* The next batch, in batches->rows. */
void batches_next(struct batches *batches, struct rng *rng);

#endif
