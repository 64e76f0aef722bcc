/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/sqlite_jobs.h"
#include "store/sqlite_label_lists.h"
#include "store/sqlite_labels.h"
#include "store/sqlite_samples.h"
#include "store/sqlite_store.h"

static void close_store(struct store *store)
{
    struct sqlite_store *self = sqlite_store_of(store);
    sqlite_writer_close(self->writer);
    sqlite_readers_free(self->readers);
    free(self);
}

static int health(struct store *store, struct deepsad_error *error)
{
    return sqlite_writer_health(sqlite_store_of(store)->writer, error);
}

static void statistics(struct store *store, struct store_statistics *out)
{
    sqlite_writer_statistics(sqlite_store_of(store)->writer, out);
}

static void set_retention(struct store *store, const struct store_retention *retention)
{
    sqlite_writer_set_retention(sqlite_store_of(store)->writer, retention);
}

static const struct store_ops OPS = {
    .close = close_store,
    .keep = sqlite_keep,
    .labels_add = sqlite_labels_add,
    .label_withdraw = sqlite_label_withdraw,
    .labels_withdraw_by = sqlite_labels_withdraw_by,
    .labels_list = sqlite_labels_list,
    .labels_in_force = sqlite_labels_in_force,
    .sample_get = sqlite_sample_get,
    .samples_list = sqlite_samples_list,
    .counts = sqlite_counts,
    .changes = sqlite_changes,
    .quarantine = sqlite_quarantine,
    .job_put = sqlite_job_put,
    .job_get = sqlite_job_get,
    .jobs_list = sqlite_jobs_list,
    .version_put = sqlite_version_put,
    .version_get = sqlite_version_get,
    .health = health,
    .statistics = statistics,
    .set_retention = set_retention,
};

static int open_parts(struct sqlite_store *self, const char *path,
                      const struct sqlite_options *options, struct deepsad_error *error)
{
    int status = sqlite_readers_new(&self->readers, path, error);
    return status == DEEPSAD_OK
               ? sqlite_writer_open(&self->writer, path, self->readers, options, error)
               : status;
}

int sqlite_open(struct store **out, const struct sqlite_options *options,
                struct deepsad_error *error)
{
    char *path = NULL;
    struct sqlite_store *self = calloc(1, sizeof *self);
    if (self == NULL || asprintf(&path, "%s/%s", options->directory, SQLITE_FILE) < 0) {
        free(self);
        return error_no_memory(error, "the label store");
    }
    self->base.ops = &OPS;
    int status = open_parts(self, path, options, error);
    if (status != DEEPSAD_OK) {
        error_prefix(error, "%s", path);
        close_store(&self->base);
        self = NULL;
    }
    free(path);
    if (self != NULL) {
        *out = &self->base;
    }
    return status;
}
