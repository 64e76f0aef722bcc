/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to the database with its prepared statements. One thread at a time uses
 * it. A statement is known by the address of its text, so the text must be a literal; it
 * is prepared once and its values are always bound:
 *
 *     sqlite_run(db, error, "DELETE FROM sample WHERE seq = ?1", SQL_INTEGER(seq));
 *
 * The error of a failure says what SQLite said in words for a client: DEEPSAD_INVALID
 * where a constraint forbids the values, DEEPSAD_NO_MEMORY, else DEEPSAD_IO.
 */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    SQLITE_STATEMENTS = 64,    /* different ones of a connection */
    SQLITE_PATIENCE_MS = 5000, /* how long another process may hold the lock */
};

struct sqlite_db {
    sqlite3 *handle;
    bool writes;
    bool broken;         /* the file or what is below it failed: close, open again */
    unsigned generation; /* for a pool's use */
    size_t statements;
    struct {
        const char *text;
        sqlite3_stmt *statement;
    } statement[SQLITE_STATEMENTS];
};

enum sqlite_access {
    SQLITE_READS,  /* and refuses to write */
    SQLITE_WRITES, /* the file must be there */
    SQLITE_MAKES,  /* the file, if it is not there, and writes */
};

/* WAL; `synchronous`: FULL, NORMAL, OFF, of no use for reading. The schema is not looked
 * at. */
int sqlite_db_open(struct sqlite_db **out, const char *path, enum sqlite_access access,
                   const char *synchronous, struct deepsad_error *error);
void sqlite_db_close(struct sqlite_db *db);

/* ---- Values ------------------------------------------------------------------------ */

struct sqlite_value {
    enum {
        SQLITE_VALUE_END,
        SQLITE_VALUE_INTEGER,
        SQLITE_VALUE_REAL,
        SQLITE_VALUE_TEXT,
        SQLITE_VALUE_BLOB
    } kind;
    int64_t integer;
    double real;      /* NaN is stored as NULL */
    const void *data; /* text: NULL = NULL */
    size_t size;
};
#define SQL_INTEGER(value)                                        \
    {                                                             \
        .kind = SQLITE_VALUE_INTEGER, .integer = (int64_t)(value) \
    }
#define SQL_REAL(value)                                    \
    {                                                      \
        .kind = SQLITE_VALUE_REAL, .real = (double)(value) \
    }
#define SQL_TEXT(value)                            \
    {                                              \
        .kind = SQLITE_VALUE_TEXT, .data = (value) \
    }
#define SQL_BLOB(value, bytes)                                      \
    {                                                               \
        .kind = SQLITE_VALUE_BLOB, .data = (value), .size = (bytes) \
    }
#define SQL_VALUES_(...)             \
    (const struct sqlite_value[])    \
    {                                \
        __VA_ARGS__,                 \
        {                            \
            .kind = SQLITE_VALUE_END \
        }                            \
    }

/* ---- Statements -------------------------------------------------------------------- */

/* Runs a statement to its end; rows are not looked at. */
#define sqlite_run(db, error, text, ...) \
    sqlite_run_values((db), (error), (text), SQL_VALUES_(__VA_ARGS__))
int sqlite_run_values(struct sqlite_db *db, struct deepsad_error *error, const char *text,
                      const struct sqlite_value *values);

/* Text without values, of several statements perhaps; not kept prepared. */
int sqlite_run_script(struct sqlite_db *db, struct deepsad_error *error,
                      const char *text);

/* The first column of the first row; 0 where it is NULL or there is no row. */
#define sqlite_get(db, error, out, text, ...) \
    sqlite_get_values((db), (error), (out), (text), SQL_VALUES_(__VA_ARGS__))
int sqlite_get_values(struct sqlite_db *db, struct deepsad_error *error, int64_t *out,
                      const char *text, const struct sqlite_value *values);

/* Row by row: start, then step until *row is false, then end, which accepts NULL. The
 * values must live until then. */
#define sqlite_start(db, error, out, text, ...) \
    sqlite_start_values((db), (error), (out), (text), SQL_VALUES_(__VA_ARGS__))
int sqlite_start_values(struct sqlite_db *db, struct deepsad_error *error,
                        sqlite3_stmt **out, const char *text,
                        const struct sqlite_value *values);
int sqlite_step(struct sqlite_db *db, struct deepsad_error *error,
                sqlite3_stmt *statement, bool *row);
void sqlite_end(sqlite3_stmt *statement);

/* Binds values to parameters 1, 2, ... */
int sqlite_bind(struct sqlite_db *db, struct deepsad_error *error,
                sqlite3_stmt *statement, const struct sqlite_value *values);

/* For the last call of SQLite that failed. */
int sqlite_fail(struct sqlite_db *db, struct deepsad_error *error);

/* Columns. Text that is NULL becomes "" in copy_id, NULL in copy_text, which allocates
 * and clears *complete where it cannot. A real that is NULL is NaN. */
void sqlite_copy_id(char *out, size_t size, sqlite3_stmt *statement, int column);
char *sqlite_copy_text(sqlite3_stmt *statement, int column, bool *complete);
float sqlite_real(sqlite3_stmt *statement, int column);

#endif
