/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/batches.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void fill(struct batches *batches, const signed char *labels, const size_t *index,
                 size_t count, bool balanced)
{
    for (size_t i = 0; i < count; i++) {
        size_t row = index != NULL ? index[i] : i;
        if (balanced && labels != NULL && labels[row] < 0) {
            batches->anomalies[batches->anomaly_count++] = row;
        } else {
            batches->pool[batches->pool_count++] = row;
        }
    }
}

int batches_init(struct batches *batches, const signed char *labels, const size_t *index,
                 size_t count, size_t batch, size_t anomaly_batch,
                 struct deepsad_error *error)
{
    *batches = (struct batches){0};
    bool balanced = anomaly_batch > 0;
    batches->pool = calloc(count + 1, sizeof *batches->pool);
    batches->anomalies = calloc(balanced ? count + 1 : 1, sizeof *batches->anomalies);
    if (batches->pool != NULL && batches->anomalies != NULL) {
        fill(batches, labels, index, count, balanced);
        batches->size = batch < batches->pool_count ? batch : batches->pool_count;
        batches->drawn = batches->anomaly_count > 0 ? anomaly_batch : 0;
        batches->at = batches->pool_count;
        batches->rows = calloc(batches->size + batches->drawn + 1, sizeof *batches->rows);
    }
    if (batches->rows == NULL) {
        batches_done(batches);
        return error_no_memory(error, "the order of the rows");
    }
    return DEEPSAD_OK;
}

void batches_done(struct batches *batches)
{
    free(batches->pool);
    free(batches->anomalies);
    free(batches->rows);
    *batches = (struct batches){0};
}

size_t batches_per_pass(const struct batches *batches)
{
    return batches->size > 0 ? batches->pool_count / batches->size : 1;
}

size_t batches_rows(const struct batches *batches)
{
    return batches->size + batches->drawn;
}

void batches_next(struct batches *batches, struct rng *rng)
{
    if (batches->pool_count - batches->at < batches->size) {
        rng_shuffle(rng, batches->pool, batches->pool_count);
        batches->at = 0;
    }
    memcpy(batches->rows, batches->pool + batches->at,
           batches->size * sizeof *batches->rows);
    batches->at += batches->size;
    for (size_t i = 0; i < batches->drawn; i++) {
        batches->rows[batches->size + i] =
            batches->anomalies[rng_below(rng, batches->anomaly_count)];
    }
}
