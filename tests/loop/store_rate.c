/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels a second into the store itself, without HTTP: threads that each add one label
 * and wait until it is durable. What group commits are worth, against a commit for each.
 *
 * usage: store_rate DIRECTORY THREADS SECONDS group|each
 * Prints: labels, seconds, commits.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "peer.h"
#include "store/sqlite.h"

enum { THREADS_MAX = 256, FEATURES = 9 };

struct load {
    struct store *store;
    atomic_size_t next;
    double end;
};

static void add(struct store *store, size_t number)
{
    static const float x[FEATURES];
    char label[STORE_ID_MAX + 1], sample[STORE_ID_MAX + 1];
    snprintf(label, sizeof label, "l-%zu", number);
    snprintf(sample, sizeof sample, "s-%zu", number);
    const struct store_verdict_new verdict = {.label_id = label,
                                              .sample_new = sample,
                                              .x = x,
                                              .verdict = STORE_NORMAL,
                                              .analyst = "kim"};
    const struct store_labels_new labels = {.model = "m",
                                            .features = FEATURES,
                                            .version = 1,
                                            .count = 1,
                                            .verdicts = &verdict};
    struct store_labels out = {0};
    struct deepsad_error error = {0};
    bool replayed;
    size_t wrong;
    if (store_labels_add(store, &out, &replayed, &labels, &wrong, &error) != DEEPSAD_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(EXIT_FAILURE);
    }
    store_labels_done(&out);
}

static void *work(void *closure)
{
    struct load *load = closure;
    while (peer_now() < load->end) {
        add(load->store, atomic_fetch_add(&load->next, 1));
    }
    return NULL;
}

static void run(struct load *load, size_t count)
{
    pthread_t threads[THREADS_MAX];
    for (size_t i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, work, load) != 0) {
            peer_die("pthread_create");
        }
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

int main(int argc, char **argv)
{
    if (argc != 5 || atoi(argv[2]) < 1 || atoi(argv[2]) > THREADS_MAX) {
        fputs("usage: store_rate DIRECTORY THREADS SECONDS group|each\n", stderr);
        return 2;
    }
    struct load load = {0};
    struct deepsad_error error = {0};
    const struct sqlite_options options = {.directory = argv[1],
                                           .queue = 1 << 20,
                                           .retention = {.samples = 100000},
                                           .commit_each = strcmp(argv[4], "each") == 0};
    if (sqlite_open(&load.store, &options, &error) != DEEPSAD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    double begin = peer_now();
    load.end = begin + atof(argv[3]);
    run(&load, (size_t)atoi(argv[2]));
    double seconds = peer_now() - begin;
    struct store_statistics statistics;
    store_statistics(load.store, &statistics);
    printf("%zu %.3f %llu\n", atomic_load(&load.next), seconds,
           (unsigned long long)statistics.commits);
    store_close(load.store);
    return 0;
}
