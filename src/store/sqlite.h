/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in SQLite: one file, WAL, synchronous=FULL. One thread writes, all that waits
 * for it in one transaction; readers have connections of their own.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include "store/store.h"

#define SQLITE_FILE "deepsad.db"

struct sqlite_options {
    const char *directory; /* of the state; must exist */
    size_t queue;          /* bytes of samples that may wait to be written */
    struct store_retention retention;
    /* For tests: what power cuts and the baseline are compared with. */
    const char *synchronous; /* NULL = "FULL" */
    bool commit_each;        /* no group commit */
};

/* Makes the database, or migrates its schema; refuses one that is newer or damaged. */
int sqlite_open(struct store **out, const struct sqlite_options *options,
                struct deepsad_error *error);

#endif
