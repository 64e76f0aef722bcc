/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one thread that writes. Operations wait in one queue, first in, first out; the
 * thread takes all that wait and runs them in one transaction, each in a savepoint, so
 * that one that is wrong fails alone and one fsync makes all the others durable. While
 * that fsync runs the next ones gather: the more callers, the larger the groups.
 *
 * Where the transaction itself fails (disk full, I/O error, lock) all of its operations
 * fail with DEEPSAD_IO and nothing of them is written. The writer is then unhealthy; it
 * tries a small write of its own once a second, on a new connection where the old one is
 * of no use any more, until one succeeds. Between commits it moves the log into the
 * database (checkpoint) and drops what retention says, a bite at a time.
 */
#ifndef STORE_SQLITE_WRITER_H
#define STORE_SQLITE_WRITER_H

#include "store/sqlite.h"
#include "store/sqlite_readers.h"

/* DEEPSAD_OK, or why nothing of it may be written. DEEPSAD_IO fails the whole group. May
 * be called again in another transaction. */
typedef int sqlite_work(struct sqlite_db *db, void *argument,
                        struct deepsad_error *error);

struct sqlite_writer;

/* Opens or makes the database at `path` and starts the thread. `readers` must outlive the
 * writer: they are renewed when it opens the database again. */
int sqlite_writer_open(struct sqlite_writer **out, const char *path,
                       struct sqlite_readers *readers,
                       const struct sqlite_options *options, struct deepsad_error *error);
/* Writes what is queued first. Accepts NULL. */
void sqlite_writer_close(struct sqlite_writer *writer);

/* Waits until the work is durable, or has failed. What the work put in its argument
 * counts only with DEEPSAD_OK: the commit may fail after it. */
int sqlite_writer_run(struct sqlite_writer *writer, sqlite_work *work, void *argument,
                      struct deepsad_error *error);

/* Rows that nobody waits for: takes over `argument`, one block of `bytes` from malloc,
 * or frees it and returns false where the queue is full. */
bool sqlite_writer_post(struct sqlite_writer *writer, sqlite_work *work, void *argument,
                        size_t bytes, size_t rows);
/* Waits until all that was posted before is written or dropped. */
void sqlite_writer_flush(struct sqlite_writer *writer);
/* Rows dropped before they were posted. */
void sqlite_writer_count_dropped(struct sqlite_writer *writer, size_t rows);

int sqlite_writer_health(struct sqlite_writer *writer, struct deepsad_error *error);
void sqlite_writer_statistics(struct sqlite_writer *writer, struct store_statistics *out);
void sqlite_writer_set_retention(struct sqlite_writer *writer,
                                 const struct store_retention *retention);

#endif
