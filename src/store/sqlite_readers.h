/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections for reading: whoever reads takes one, or a new one where none is idle, and
 * gives it back. A read is one transaction, so it sees one state of the database, the
 * newest that is committed when it begins; it must be short, for the log cannot start
 * anew while it lasts.
 *
 * Lock order: the mutex of this pool and that of the writer are leaves; neither is held
 * while the other is taken or a statement runs.
 */
#ifndef STORE_SQLITE_READERS_H
#define STORE_SQLITE_READERS_H

#include "store/sqlite_db.h"

struct sqlite_readers;

int sqlite_readers_new(struct sqlite_readers **out, const char *path,
                       struct deepsad_error *error);
/* Accepts NULL. No connection may be out. */
void sqlite_readers_free(struct sqlite_readers *readers);

/* A connection in a transaction. */
int sqlite_readers_take(struct sqlite_readers *readers, struct sqlite_db **out,
                        struct deepsad_error *error);
/* Ends the transaction. A connection whose file failed is closed, with all idle ones. */
void sqlite_readers_give(struct sqlite_readers *readers, struct sqlite_db *db);

/* Closes the idle connections now and those that are out when they come back: they are to
 * a file that was replaced or to a disk that is gone, and hold it. */
void sqlite_readers_renew(struct sqlite_readers *readers);

#endif
