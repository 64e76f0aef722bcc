/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/sqlite_schema.h"

enum {
    /* Pages (4 KiB) of the log: from here on it is moved into the database, and from
     * there on readers that keep it from starting anew are waited for a little. */
    CHECKPOINT_PAGES = 1000,
    RESTART_PAGES = 16 * CHECKPOINT_PAGES,
    RESTART_PATIENCE_MS = 100,
};

static int note_log_pages(void *context, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    ((struct sqlite_session *)context)->log_pages = pages;
    return SQLITE_OK;
}

static int open_database(struct sqlite_session *session, bool makes,
                         struct deepsad_error *error)
{
    struct sqlite_db *db = NULL;
    int status = sqlite_db_open(&db, session->path, makes ? SQLITE_MAKES : SQLITE_WRITES,
                                session->synchronous, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = sqlite_schema_update(db, makes, error);
    if (status != DEEPSAD_OK) {
        sqlite_db_close(db);
        return status;
    }
    sqlite3_wal_hook(db->handle, note_log_pages, session);
    session->db = db;
    return DEEPSAD_OK;
}

int sqlite_session_init(struct sqlite_session *session, const char *path,
                        const char *synchronous, struct sqlite_readers *readers,
                        struct deepsad_error *error)
{
    session->db = NULL;
    session->log_pages = session->moved_pages = 0;
    session->path = strdup(path);
    session->readers = readers;
    snprintf(session->synchronous, sizeof session->synchronous, "%s",
             synchronous != NULL ? synchronous : "FULL");
    int status = session->path != NULL ? open_database(session, true, error)
                                       : error_no_memory(error, "the label store");
    if (status != DEEPSAD_OK) {
        sqlite_session_done(session);
    }
    return status;
}

void sqlite_session_done(struct sqlite_session *session)
{
    sqlite_db_close(session->db);
    free(session->path);
    session->db = NULL;
    session->path = NULL;
}

static void give_up(struct sqlite_session *session)
{
    sqlite_db_close(session->db);
    session->db = NULL;
    sqlite_readers_renew(session->readers);
}

/* The path names another file now, or none: a backup was put in place, a disk mounted
 * anew. What is written to the old one is lost. */
static bool has_moved(struct sqlite_db *db)
{
    int moved = 0;
    int code = sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return code == SQLITE_OK && moved != 0;
}

int sqlite_session_begin(struct sqlite_session *session, struct deepsad_error *error)
{
    if (session->db != NULL && has_moved(session->db)) {
        log_event(LOG_LEVEL_WARNING, "label store was moved, opening it again",
                  LOG_TEXT("path", session->path));
        give_up(session);
    }
    int status = session->db != NULL ? DEEPSAD_OK : open_database(session, false, error);
    return status == DEEPSAD_OK
               ? sqlite_run_values(session->db, error, "BEGIN IMMEDIATE", NULL)
               : status;
}

int sqlite_session_commit(struct sqlite_session *session, struct deepsad_error *error)
{
    return sqlite_run_values(session->db, error, "COMMIT", NULL);
}

void sqlite_session_roll_back(struct sqlite_session *session)
{
    if (session->db != NULL && !sqlite3_get_autocommit(session->db->handle)) {
        sqlite3_exec(session->db->handle, "ROLLBACK", NULL, NULL, NULL);
    }
    if (session->db != NULL && session->db->broken) {
        give_up(session);
    }
}

int sqlite_session_probe(struct sqlite_session *session, struct deepsad_error *error)
{
    int status = sqlite_session_begin(session, error);
    if (status == DEEPSAD_OK) {
        status = sqlite_run(session->db, error,
                            "INSERT INTO probe (id, at_ms) VALUES (1, ?1)"
                            " ON CONFLICT (id) DO UPDATE SET at_ms = excluded.at_ms",
                            SQL_INTEGER(clock_realtime_ms()));
    }
    if (status == DEEPSAD_OK) {
        status = sqlite_session_commit(session, error);
    }
    if (status != DEEPSAD_OK) {
        sqlite_session_roll_back(session);
    }
    return status;
}

void sqlite_session_checkpoint(struct sqlite_session *session)
{
    if (session->log_pages < session->moved_pages) {
        session->moved_pages = 0; /* it has started anew */
    }
    if (session->db == NULL ||
        session->log_pages - session->moved_pages < CHECKPOINT_PAGES) {
        return;
    }
    sqlite3 *handle = session->db->handle;
    bool restart = session->log_pages >= RESTART_PAGES;
    sqlite3_busy_timeout(handle, RESTART_PATIENCE_MS);
    /* What fails here fails again in the next commit, which tells; the log keeps all. */
    sqlite3_wal_checkpoint_v2(
        handle, "main", restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE,
        NULL, NULL);
    sqlite3_busy_timeout(handle, SQLITE_PATIENCE_MS);
    session->moved_pages = session->log_pages;
}
