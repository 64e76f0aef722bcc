/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables, and how they came to be: a list of steps, each of which makes one version
 * of the schema from the one before. `PRAGMA user_version` counts the steps that were
 * taken.
 */
#ifndef STORE_SQLITE_SCHEMA_H
#define STORE_SQLITE_SCHEMA_H

#include "store/sqlite_db.h"

enum { SQLITE_SCHEMA_VERSION = 1 };

/* Takes the steps that are missing, in one transaction. DEEPSAD_UNSUPPORTED: the database
 * is of a newer program, or is not a label store; nothing was changed. `makes`: may fill
 * one that is empty, else DEEPSAD_IO. */
int sqlite_schema_update(struct sqlite_db *db, bool makes, struct deepsad_error *error);

#endif
