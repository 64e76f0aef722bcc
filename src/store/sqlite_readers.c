/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_readers.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_MAX = 8 }; /* more are closed when given back: 2 MB of cache each */

struct sqlite_readers {
    pthread_mutex_t mutex; /* a leaf; guards what follows up to `path` */
    struct sqlite_db *idle[IDLE_MAX];
    size_t count;
    unsigned generation; /* those of an older one are not used again */
    char *path;
};

static void lock(struct sqlite_readers *readers)
{
    int failed = pthread_mutex_lock(&readers->mutex);
    assert(failed == 0);
    (void)failed;
}

static void unlock(struct sqlite_readers *readers)
{
    int failed = pthread_mutex_unlock(&readers->mutex);
    assert(failed == 0);
    (void)failed;
}

int sqlite_readers_new(struct sqlite_readers **out, const char *path,
                       struct deepsad_error *error)
{
    struct sqlite_readers *readers = calloc(1, sizeof *readers);
    char *copy = strdup(path);
    if (readers == NULL || copy == NULL) {
        free(readers);
        free(copy);
        return error_no_memory(error, "the label store");
    }
    pthread_mutex_init(&readers->mutex, NULL);
    readers->path = copy;
    *out = readers;
    return DEEPSAD_OK;
}

void sqlite_readers_renew(struct sqlite_readers *readers)
{
    struct sqlite_db *idle[IDLE_MAX];
    lock(readers);
    size_t count = readers->count;
    memcpy(idle, readers->idle, sizeof idle);
    readers->count = 0;
    readers->generation++;
    unlock(readers);
    for (size_t i = 0; i < count; i++) {
        sqlite_db_close(idle[i]);
    }
}

void sqlite_readers_free(struct sqlite_readers *readers)
{
    if (readers != NULL) {
        sqlite_readers_renew(readers);
        pthread_mutex_destroy(&readers->mutex);
        free(readers->path);
        free(readers);
    }
}

static struct sqlite_db *take_idle(struct sqlite_readers *readers, unsigned *generation)
{
    lock(readers);
    struct sqlite_db *db = readers->count > 0 ? readers->idle[--readers->count] : NULL;
    *generation = readers->generation;
    unlock(readers);
    return db;
}

int sqlite_readers_take(struct sqlite_readers *readers, struct sqlite_db **out,
                        struct deepsad_error *error)
{
    unsigned generation;
    struct sqlite_db *db = take_idle(readers, &generation);
    int status = DEEPSAD_OK;
    if (db == NULL) {
        status = sqlite_db_open(&db, readers->path, SQLITE_READS, NULL, error);
        if (status == DEEPSAD_OK) {
            db->generation = generation;
        }
    }
    if (status == DEEPSAD_OK) {
        status = sqlite_run_values(db, error, "BEGIN", NULL);
        if (status != DEEPSAD_OK) {
            sqlite_readers_give(readers, db);
        }
    }
    if (status == DEEPSAD_OK) {
        *out = db;
    }
    return status;
}

static bool keep_idle(struct sqlite_readers *readers, struct sqlite_db *db)
{
    lock(readers);
    bool room = readers->count < IDLE_MAX && db->generation == readers->generation;
    if (room) {
        readers->idle[readers->count++] = db;
    }
    unlock(readers);
    return room;
}

void sqlite_readers_give(struct sqlite_readers *readers, struct sqlite_db *db)
{
    bool in_transaction = !sqlite3_get_autocommit(db->handle);
    if (in_transaction && sqlite_run_values(db, NULL, "ROLLBACK", NULL) != DEEPSAD_OK) {
        db->broken = true;
    }
    if (db->broken) {
        sqlite_readers_renew(readers);
    }
    if (db->broken || !keep_idle(readers, db)) {
        sqlite_db_close(db);
    }
}
