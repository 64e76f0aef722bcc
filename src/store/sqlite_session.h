/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's connection over its life: transactions, opening it again after it failed,
 * moving the log into the database. One thread's.
 */
#ifndef STORE_SQLITE_SESSION_H
#define STORE_SQLITE_SESSION_H

#include "store/sqlite_readers.h"

struct sqlite_session {
    struct sqlite_db *db; /* inside a transaction not NULL */
    char *path;
    char synchronous[8];
    int log_pages;   /* in the log after the last commit */
    int moved_pages; /* of them, when they were last moved into the database */
    struct sqlite_readers *readers; /* borrowed */
};

/* Opens or makes the database; synchronous: NULL = FULL; `readers` are renewed
 * whenever the connection is given up. Only where this succeeds is
 * there something for sqlite_session_done(). */
int sqlite_session_init(struct sqlite_session *session, const char *path,
                        const char *synchronous, struct sqlite_readers *readers,
                        struct deepsad_error *error);
void sqlite_session_done(struct sqlite_session *session);

/* Opens the database again if need be, and takes the lock for writing. It is not made
 * again where it is gone: that may be an empty mount point, and what is written there is
 * lost once the disk is back. */
int sqlite_session_begin(struct sqlite_session *session, struct deepsad_error *error);
int sqlite_session_commit(struct sqlite_session *session, struct deepsad_error *error);
/* After any failure of the above or inside. */
void sqlite_session_roll_back(struct sqlite_session *session);

/* Whether it can write: writes something small, durably. */
int sqlite_session_probe(struct sqlite_session *session, struct deepsad_error *error);

/* Between transactions, once answers are out: moves the log into the database when it has
 * grown. */
void sqlite_session_checkpoint(struct sqlite_session *session);

#endif
