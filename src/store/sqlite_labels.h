/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of store.h that write to the journal of labels, and quarantine. */
#ifndef STORE_SQLITE_LABELS_H
#define STORE_SQLITE_LABELS_H

#include "store/sqlite_store.h"

int sqlite_labels_add(struct store *store, struct store_labels *out, bool *replayed,
                      const struct store_labels_new *labels, size_t *wrong,
                      struct deepsad_error *error);
int sqlite_label_withdraw(struct store *store, struct store_label *out, const char *model,
                          const char *label_id, const char *analyst, int64_t now_ms,
                          struct deepsad_error *error);
int sqlite_labels_withdraw_by(struct store *store, size_t *count, const char *model,
                              const char *analyst, int64_t now_ms,
                              struct deepsad_error *error);
int sqlite_quarantine(struct store *store, const char *model,
                      const char *const *label_ids, size_t count, const char *job,
                      const char *reason, struct deepsad_error *error);

#endif
