/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is dropped: the oldest samples without a label beyond the number or the age that
 * may be kept, idempotency keys that are too old, and the oldest jobs that have ended. In
 * bites, so that a writer that does this between other work never stalls.
 */
#ifndef STORE_SQLITE_RETENTION_H
#define STORE_SQLITE_RETENTION_H

#include "store/sqlite_db.h"
#include "store/store.h"

/* Inside a transaction: drops at most `bite` rows. *more: the bite was full. */
int sqlite_retention_bite(struct sqlite_db *db, const struct store_retention *retention,
                          int64_t now_ms, size_t bite, bool *more,
                          struct deepsad_error *error);

#endif
