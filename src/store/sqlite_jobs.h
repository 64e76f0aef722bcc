/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of store.h on jobs and versions. */
#ifndef STORE_SQLITE_JOBS_H
#define STORE_SQLITE_JOBS_H

#include "store/sqlite_store.h"

int sqlite_job_put(struct store *store, const struct store_job *job,
                   struct deepsad_error *error);
int sqlite_job_get(struct store *store, struct store_job *out, const char *id,
                   struct deepsad_error *error);
int sqlite_jobs_list(struct store *store, struct store_jobs *out, const char *model,
                     const char *state, const char *before, size_t limit,
                     struct deepsad_error *error);
int sqlite_version_put(struct store *store, const struct store_version *version,
                       struct deepsad_error *error);
int sqlite_version_get(struct store *store, struct store_version *out, const char *model,
                       unsigned number, struct deepsad_error *error);

#endif
