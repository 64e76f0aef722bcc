/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts labels to a store from several threads until its standard input ends, and writes
 * the id of each label to standard output once it is acknowledged, one write(2) a line:
 *
 *     label_writer DIRECTORY THREADS SYNCHRONOUS
 *
 * Every label brings a sample of its own and every fourth is withdrawn afterwards, which
 * is told as "-<id>". Exit status 1 where the store refused anything.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/sqlite.h"

enum { THREADS_MAX = 64, FEATURES = 9, WITHDRAWN_EACH = 4, MODEL_LABEL_MAX = 40 };

struct poster {
    pthread_t thread;
    struct store *store;
    int number;
    const atomic_bool *stopping;
    struct deepsad_error error;
};

static void tell(const char *sign, const char *id)
{
    char line[MODEL_LABEL_MAX + 4];
    int length = snprintf(line, sizeof line, "%s%s\n", sign, id);
    if (write(STDOUT_FILENO, line, (size_t)length) != length) {
        _exit(1);
    }
}

static int post_label(struct poster *poster, const char *id)
{
    const float x[FEATURES] = {(float)poster->number};
    const struct store_verdict_new verdict = {.label_id = id,
                                              .sample_new = id,
                                              .x = x,
                                              .verdict = STORE_NORMAL,
                                              .analyst = "kim"};
    const struct store_labels_new labels = {
        .model = "m", .features = FEATURES, .count = 1, .verdicts = &verdict};
    struct store_labels out = {0};
    bool replayed = false;
    size_t wrong = 0;
    int status =
        store_labels_add(poster->store, &out, &replayed, &labels, &wrong, &poster->error);
    store_labels_done(&out);
    return status;
}

static int withdraw_label(struct poster *poster, const char *id)
{
    struct store_label label = {0};
    int status =
        store_label_withdraw(poster->store, &label, "m", id, NULL, 1, &poster->error);
    store_label_done(&label);
    return status;
}

static void *post_labels(void *context)
{
    struct poster *poster = context;
    for (unsigned i = 0; !atomic_load(poster->stopping); i++) {
        char id[MODEL_LABEL_MAX];
        snprintf(id, sizeof id, "l-%d-%u", poster->number, i);
        if (post_label(poster, id) != DEEPSAD_OK) {
            break;
        }
        tell("", id);
        if (i % WITHDRAWN_EACH == 0) {
            if (withdraw_label(poster, id) != DEEPSAD_OK) {
                break;
            }
            tell("-", id);
        }
    }
    return NULL;
}

static void wait_for_end_of_input(void)
{
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
}

static int run(struct store *store, int threads)
{
    struct poster posters[THREADS_MAX];
    atomic_bool stopping = false;
    int failed = 0;
    for (int i = 0; i < threads; i++) {
        posters[i] = (struct poster){.store = store, .number = i, .stopping = &stopping};
        if (pthread_create(&posters[i].thread, NULL, post_labels, &posters[i]) != 0) {
            _exit(1);
        }
    }
    wait_for_end_of_input();
    atomic_store(&stopping, true);
    for (int i = 0; i < threads; i++) {
        pthread_join(posters[i].thread, NULL);
        if (posters[i].error.status != DEEPSAD_OK) {
            fprintf(stderr, "label_writer: %s\n", posters[i].error.message);
            failed = 1;
        }
    }
    return failed;
}

int main(int argc, char **argv)
{
    struct deepsad_error error = {0};
    struct store *store = NULL;
    int threads = argc == 4 ? atoi(argv[2]) : 0;
    if (threads < 1 || threads > THREADS_MAX) {
        fputs("usage: label_writer DIRECTORY THREADS SYNCHRONOUS\n", stderr);
        return 2;
    }
    const struct sqlite_options options = {
        .directory = argv[1], .queue = 1 << 20, .synchronous = argv[3]};
    if (sqlite_open(&store, &options, &error) != DEEPSAD_OK) {
        fprintf(stderr, "label_writer: %s\n", error.message);
        return 1;
    }
    int failed = run(store, threads);
    struct store_statistics statistics;
    store_statistics(store, &statistics);
    fprintf(stderr, "label_writer: %llu entries in %llu commits\n",
            (unsigned long long)statistics.entries,
            (unsigned long long)statistics.commits);
    store_close(store);
    return failed;
}
