/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of store.h that read labels and count them. */
#ifndef STORE_SQLITE_LABEL_LISTS_H
#define STORE_SQLITE_LABEL_LISTS_H

#include "store/sqlite_store.h"

int sqlite_labels_list(struct store *store, struct store_labels *out, const char *model,
                       const struct store_label_filter *filter,
                       struct deepsad_error *error);
int sqlite_labels_in_force(struct store *store, struct store_labels *out,
                           const char *model, size_t features,
                           struct deepsad_error *error);
int sqlite_counts(struct store *store, struct store_counts *out, const char *model,
                  struct deepsad_error *error);
int sqlite_changes(struct store *store, size_t *count, const char *model, int64_t after,
                   struct deepsad_error *error);

#endif
