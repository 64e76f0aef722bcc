/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of store.h on samples. */
#ifndef STORE_SQLITE_SAMPLES_H
#define STORE_SQLITE_SAMPLES_H

#include "store/sqlite_store.h"

bool sqlite_keep(struct store *store, const struct store_keep *rows);
int sqlite_sample_get(struct store *store, struct store_samples *out, const char *model,
                      const char *id, struct deepsad_error *error);
int sqlite_samples_list(struct store *store, struct store_samples *out, const char *model,
                        size_t features, enum store_select select, size_t limit,
                        struct deepsad_error *error);

/* Column `column` of a row of samples: floats, as many as `features`, to out. */
int sqlite_copy_features(float *out, size_t features, sqlite3_stmt *statement, int column,
                         struct deepsad_error *error);

#endif
