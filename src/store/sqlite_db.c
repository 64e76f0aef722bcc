/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* More than a transaction changes, or pages are written more than once. */
enum { WRITER_CACHE_KIB = 32 << 10 };

/* ---- Errors ------------------------------------------------------------------------ */

static const char *explain(int primary, int number)
{
    bool system_failed = primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN;
    if (primary == SQLITE_FULL ||
        (system_failed && (number == ENOSPC || number == EDQUOT))) {
        return "disk full";
    }
    switch (primary) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "locked by another process";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "the file is damaged or unreadable";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return "no permission";
    case SQLITE_CANTOPEN:
        return "the file cannot be opened";
    default:
        return "input/output error";
    }
}

static bool is_broken(int primary)
{
    return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB ||
           primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN ||
           primary == SQLITE_READONLY || primary == SQLITE_PROTOCOL;
}

static int fail_handle(sqlite3 *handle, const char *doing, struct deepsad_error *error)
{
    int primary = sqlite3_errcode(handle) & 0xff;
    const char *message = sqlite3_errmsg(handle);
    if (primary == SQLITE_NOMEM) {
        return error_no_memory(error, "the label store");
    }
    if (primary == SQLITE_CONSTRAINT || primary == SQLITE_TOOBIG) {
        return error_set(error, DEEPSAD_INVALID, "the label store refuses this: %s",
                         message);
    }
    return error_set(error, DEEPSAD_IO, "the label store cannot %s: %s (%s)", doing,
                     explain(primary, sqlite3_system_errno(handle)), message);
}

int sqlite_fail(struct sqlite_db *db, struct deepsad_error *error)
{
    db->broken |= is_broken(sqlite3_errcode(db->handle) & 0xff);
    return fail_handle(db->handle, db->writes ? "write" : "read", error);
}

/* ---- Opening ----------------------------------------------------------------------- */

static int prepare_pragma(sqlite3 *handle, const char *text, bool *is_set,
                          const char *expected)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, text, -1, &statement, NULL);
    *is_set = false;
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(statement, 0);
        *is_set = value != NULL && strcmp(value, expected) == 0;
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return code;
}

/* Two processes that both make the database: SQLite does not wait for the lock here. */
static int set_wal(sqlite3 *handle, struct deepsad_error *error)
{
    enum { PAUSE_MS = 20 };
    bool is_set = false;
    int code = SQLITE_BUSY;
    for (int waited = 0; waited < SQLITE_PATIENCE_MS && code == SQLITE_BUSY;
         waited += PAUSE_MS) {
        if (waited > 0) {
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
        }
        code = prepare_pragma(handle, "PRAGMA journal_mode = WAL", &is_set, "wal");
    }
    if (code != SQLITE_DONE) {
        return fail_handle(handle, "be opened", error);
    }
    return is_set ? DEEPSAD_OK
                  : error_set(error, DEEPSAD_IO,
                              "the label store cannot be opened: the file system does "
                              "not support write-ahead logging (shared memory)");
}

static int configure(struct sqlite_db *db, const char *synchronous,
                     struct deepsad_error *error)
{
    static const char *const LEVELS[] = {"FULL", "NORMAL", "OFF"};
    int status = set_wal(db->handle, error);
    if (status == DEEPSAD_OK) {
        /* no temporary files: a container may have no place for them */
        status = sqlite_run_script(
            db, error, "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY");
    }
    if (status != DEEPSAD_OK || !db->writes) {
        return status != DEEPSAD_OK
                   ? status
                   : sqlite_run_script(db, error, "PRAGMA query_only = ON");
    }
    for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++) {
        if (strcmp(LEVELS[i], synchronous) == 0) {
            char text[96];
            snprintf(text, sizeof text,
                     "PRAGMA synchronous = %s; PRAGMA cache_size = -%d", LEVELS[i],
                     WRITER_CACHE_KIB);
            return sqlite_run_script(db, error, text);
        }
    }
    return error_set(error, DEEPSAD_INVALID,
                     "synchronous: %s is not one of FULL, "
                     "NORMAL, OFF",
                     synchronous);
}

/* Not for everybody to read, whatever the umask: it holds rows and verdicts. SQLite gives
 * the files beside it the same permissions. */
static void make_private(const char *path)
{
    int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (descriptor >= 0) {
        close(descriptor);
    } /* else it is there, or SQLite says what is wrong */
}

int sqlite_db_open(struct sqlite_db **out, const char *path, enum sqlite_access access,
                   const char *synchronous, struct deepsad_error *error)
{
    struct sqlite_db *db = calloc(1, sizeof *db);
    if (db == NULL) {
        return error_no_memory(error, "a connection to the label store");
    }
    db->writes = access != SQLITE_READS;
    if (access == SQLITE_MAKES) {
        make_private(path);
    }
    int code = sqlite3_open_v2(path, &db->handle,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                                   (access == SQLITE_MAKES ? SQLITE_OPEN_CREATE : 0),
                               NULL);
    int status =
        code == SQLITE_OK ? DEEPSAD_OK : fail_handle(db->handle, "be opened", error);
    if (status == DEEPSAD_OK) {
        sqlite3_busy_timeout(db->handle, SQLITE_PATIENCE_MS);
        status = configure(db, synchronous, error);
    }
    if (status != DEEPSAD_OK) {
        sqlite_db_close(db);
        return status;
    }
    *out = db;
    return DEEPSAD_OK;
}

void sqlite_db_close(struct sqlite_db *db)
{
    if (db != NULL) {
        for (size_t i = 0; i < db->statements; i++) {
            sqlite3_finalize(db->statement[i].statement);
        }
        sqlite3_close_v2(db->handle);
        free(db);
    }
}

/* ---- Statements -------------------------------------------------------------------- */

int sqlite_bind(struct sqlite_db *db, struct deepsad_error *error,
                sqlite3_stmt *statement, const struct sqlite_value *values)
{
    int code = SQLITE_OK;
    for (int i = 0;
         values != NULL && code == SQLITE_OK && values[i].kind != SQLITE_VALUE_END; i++) {
        const struct sqlite_value *value = &values[i];
        if (value->kind == SQLITE_VALUE_INTEGER) {
            code = sqlite3_bind_int64(statement, i + 1, value->integer);
        } else if (value->kind == SQLITE_VALUE_REAL) {
            code = sqlite3_bind_double(statement, i + 1, value->real);
        } else if (value->kind == SQLITE_VALUE_TEXT) {
            code = sqlite3_bind_text(statement, i + 1, value->data, -1, SQLITE_STATIC);
        } else {
            code = sqlite3_bind_blob64(statement, i + 1, value->data, value->size,
                                       SQLITE_STATIC);
        }
    }
    return code == SQLITE_OK ? DEEPSAD_OK : sqlite_fail(db, error);
}

static int prepare(struct sqlite_db *db, struct deepsad_error *error, sqlite3_stmt **out,
                   const char *text)
{
    for (size_t i = 0; i < db->statements; i++) {
        if (db->statement[i].text == text) {
            *out = db->statement[i].statement;
            return DEEPSAD_OK;
        }
    }
    if (db->statements == SQLITE_STATEMENTS) {
        return error_set(error, DEEPSAD_IO,
                         "the label store: more than %d different statements",
                         SQLITE_STATEMENTS);
    }
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v3(db->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &statement,
                           NULL) != SQLITE_OK) {
        return sqlite_fail(db, error);
    }
    db->statement[db->statements].text = text;
    db->statement[db->statements++].statement = statement;
    *out = statement;
    return DEEPSAD_OK;
}

int sqlite_start_values(struct sqlite_db *db, struct deepsad_error *error,
                        sqlite3_stmt **out, const char *text,
                        const struct sqlite_value *values)
{
    sqlite3_stmt *statement = NULL;
    int status = prepare(db, error, &statement, text);
    if (status == DEEPSAD_OK) {
        status = sqlite_bind(db, error, statement, values);
    }
    if (status != DEEPSAD_OK) {
        sqlite_end(statement);
        return status;
    }
    *out = statement;
    return DEEPSAD_OK;
}

int sqlite_step(struct sqlite_db *db, struct deepsad_error *error,
                sqlite3_stmt *statement, bool *row)
{
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? DEEPSAD_OK
                                                     : sqlite_fail(db, error);
}

void sqlite_end(sqlite3_stmt *statement)
{
    if (statement != NULL) {
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
    }
}

int sqlite_get_values(struct sqlite_db *db, struct deepsad_error *error, int64_t *out,
                      const char *text, const struct sqlite_value *values)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;
    int status = sqlite_start_values(db, error, &statement, text, values);
    if (status == DEEPSAD_OK) {
        status = sqlite_step(db, error, statement, &row);
    }
    if (status == DEEPSAD_OK) {
        *out = row ? sqlite3_column_int64(statement, 0) : 0;
    }
    sqlite_end(statement);
    return status;
}

int sqlite_run_values(struct sqlite_db *db, struct deepsad_error *error, const char *text,
                      const struct sqlite_value *values)
{
    sqlite3_stmt *statement = NULL;
    bool row = true;
    int status = sqlite_start_values(db, error, &statement, text, values);
    while (status == DEEPSAD_OK && row) {
        status = sqlite_step(db, error, statement, &row);
    }
    sqlite_end(statement);
    return status;
}

int sqlite_run_script(struct sqlite_db *db, struct deepsad_error *error, const char *text)
{
    return sqlite3_exec(db->handle, text, NULL, NULL, NULL) == SQLITE_OK
               ? DEEPSAD_OK
               : sqlite_fail(db, error);
}

/* ---- Columns ----------------------------------------------------------------------- */

void sqlite_copy_id(char *out, size_t size, sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    snprintf(out, size, "%s", text != NULL ? text : "");
}

char *sqlite_copy_text(sqlite3_stmt *statement, int column, bool *complete)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (text == NULL) {
        *complete &= sqlite3_column_type(statement, column) == SQLITE_NULL;
        return NULL;
    }
    char *copy = strdup(text);
    *complete &= copy != NULL;
    return copy;
}

float sqlite_real(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? NAN
               : (float)sqlite3_column_double(statement, column);
}
