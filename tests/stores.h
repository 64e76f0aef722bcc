/* SPDX-License-Identifier: Apache-2.0 */
/* A store in the test's folder, and short ways to write to it. */
#ifndef TESTS_STORES_H
#define TESTS_STORES_H

#include "folder.h"
#include "store/sqlite.h"
#include "testing.h"

enum { STORE_FEATURES = 3, STORE_QUEUE = 16 << 20 };

static inline int store_open_in(struct store **out, void **state,
                                struct deepsad_error *error)
{
    const struct sqlite_options options = {.directory = *state, .queue = STORE_QUEUE};
    return sqlite_open(out, &options, error);
}

static inline struct store *store_must_open(void **state)
{
    struct deepsad_error error = {0};
    struct store *store = NULL;
    if (store_open_in(&store, state, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return store;
}

/* Keeps one sample of model m: x = (value, value + 1, NaN). */
static inline bool store_keep_one(struct store *store, const char *id, float value,
                                  int64_t at_ms)
{
    const float x[STORE_FEATURES] = {value, value + 1, NAN};
    const struct store_keep rows = {.model = "m",
                                    .version = 2,
                                    .scored_at_ms = at_ms,
                                    .count = 1,
                                    .features = STORE_FEATURES,
                                    .ids = &id,
                                    .x = x,
                                    .scores = &value,
                                    .p_values = (const float[]){0.25F}};
    return store_keep(store, &rows);
}

/* Labels of model m with a request of `count` verdicts; key may be NULL, `body` stands
 * for what the digest is of. */
static inline int store_add(struct store *store, struct store_labels *out, bool *replayed,
                            const struct store_verdict_new *verdicts, size_t count,
                            const char *key, unsigned char body, size_t *wrong,
                            struct deepsad_error *error)
{
    struct store_labels_new labels = {.model = "m",
                                      .features = STORE_FEATURES,
                                      .version = 2,
                                      .created_at_ms = 1000,
                                      .idempotency_key = key,
                                      .count = count,
                                      .verdicts = verdicts};
    memset(labels.digest, body, sizeof labels.digest);
    return store_labels_add(store, out, replayed, &labels, wrong, error);
}

/* One verdict that must be taken as new; store_labels_done(). */
static inline struct store_labels store_must_add(struct store *store,
                                                 const struct store_verdict_new *verdict)
{
    struct deepsad_error error = {0};
    struct store_labels out = {0};
    bool replayed = true;
    size_t wrong = 0;
    if (store_add(store, &out, &replayed, verdict, 1, NULL, 0, &wrong, &error) !=
        DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    assert_true(!replayed && out.count == 1);
    return out;
}

/* One verdict on a kept sample; its seq. */
static inline int64_t store_label_one(struct store *store, const char *label_id,
                                      const char *sample_id, enum store_verdict verdict,
                                      const char *analyst)
{
    const struct store_verdict_new new = {.label_id = label_id,
                                          .sample_id = sample_id,
                                          .verdict = verdict,
                                          .analyst = analyst};
    struct store_labels out = store_must_add(store, &new);
    int64_t seq = out.labels[0].seq;
    store_labels_done(&out);
    return seq;
}

static inline struct store_counts store_must_count(struct store *store)
{
    struct deepsad_error error = {0};
    struct store_counts counts = {0};
    if (store_counts(store, &counts, "m", &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return counts;
}

/* Model m's label of that id as the list tells it; store_labels_done(). */
static inline struct store_labels store_must_list(struct store *store,
                                                  const struct store_label_filter *filter)
{
    struct deepsad_error error = {0};
    struct store_labels labels = {0};
    if (store_labels_list(store, &labels, "m", filter, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return labels;
}

#endif
