/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/collect.h"

#include <stdlib.h>
#include <string.h>

#include "learn/known.h"

void collected_done(struct collected *collected)
{
    training_set_done(&collected->champion);
    store_labels_done(&collected->in_force);
    store_samples_done(&collected->traffic);
    free(collected->old);
    free(collected->fresh);
    *collected = (struct collected){0};
}

/* ---- Sorting the labels ------------------------------------------------------------ */

static int compare_texts(const char *a, const char *b)
{
    return a == NULL || b == NULL ? (a != NULL) - (b != NULL) : strcmp(a, b);
}

/* Labels of one sample next to each other, the oldest first. */
static int by_sample(const void *a, const void *b, void *closure)
{
    const struct store_label *labels = closure;
    const struct store_label *one = &labels[*(const size_t *)a];
    const struct store_label *other = &labels[*(const size_t *)b];
    int order = strcmp(one->sample_id, other->sample_id);
    return order != 0 ? order : (one->seq > other->seq) - (one->seq < other->seq);
}

static int by_analyst(const void *a, const void *b, void *closure)
{
    const struct store_label *labels = closure;
    return compare_texts(labels[*(const size_t *)a].analyst,
                         labels[*(const size_t *)b].analyst);
}

static int by_seq(const void *a, const void *b)
{
    size_t one = ((const struct collected_label *)a)->at;
    size_t other = ((const struct collected_label *)b)->at;
    return (one > other) - (one < other); /* in_force is in the journal's order */
}

/* numbers (labels): of each label's analyst, equal for equal names. */
static size_t number_analysts(size_t *numbers, size_t *order,
                              const struct store_labels *labels)
{
    size_t analysts = 0;
    for (size_t i = 0; i < labels->count; i++) {
        order[i] = i;
    }
    if (labels->count > 0) {
        qsort_r(order, labels->count, sizeof *order, by_analyst, labels->labels);
    }
    for (size_t i = 0; i < labels->count; i++) {
        bool same = i > 0 && compare_texts(labels->labels[order[i - 1]].analyst,
                                           labels->labels[order[i]].analyst) == 0;
        numbers[order[i]] = same ? analysts - 1 : analysts++;
    }
    return analysts;
}

static bool trainable(const struct store_label *label)
{
    return label->verdict != STORE_UNSURE && !label->conflict &&
           label->quarantine == NULL;
}

/* The label that stands for a sample, of its labels order[first..end): one that the
 * champion knows, else the oldest. SIZE_MAX where none may be trained on. */
static size_t choose(const size_t *order, size_t first, size_t end,
                     const struct store_label *labels, const struct known *known)
{
    size_t chosen = SIZE_MAX;
    for (size_t i = first; i < end; i++) {
        const struct store_label *label = &labels[order[i]];
        if (trainable(label) && known_find(known, label) != SIZE_MAX) {
            return order[i];
        }
        if (trainable(label) && chosen == SIZE_MAX) {
            chosen = order[i];
        }
    }
    return chosen;
}

static bool has_second(const size_t *order, size_t first, size_t end,
                       const struct store_label *labels, size_t chosen)
{
    for (size_t i = first; i < end; i++) {
        if (order[i] != chosen && labels[order[i]].verdict == labels[chosen].verdict) {
            return true; /* an analyst has one label in force on a sample */
        }
    }
    return false;
}

static void sort_labels(struct collected *collected, const struct known *known,
                        size_t *order, const size_t *analysts)
{
    const struct store_labels *labels = &collected->in_force;
    for (size_t i = 0; i < labels->count; i++) {
        order[i] = i;
    }
    if (labels->count > 0) {
        qsort_r(order, labels->count, sizeof *order, by_sample, labels->labels);
    }
    for (size_t first = 0, end; first < labels->count; first = end) {
        const char *sample = labels->labels[order[first]].sample_id;
        for (end = first + 1; end < labels->count &&
                              strcmp(labels->labels[order[end]].sample_id, sample) == 0;
             end++) {
        }
        size_t chosen = choose(order, first, end, labels->labels, known);
        if (chosen == SIZE_MAX) {
            continue;
        }
        struct collected_label label = {
            .at = chosen,
            .analyst = analysts[chosen],
            .confirmed = has_second(order, first, end, labels->labels, chosen),
            .known = known_find(known, &labels->labels[chosen])};
        if (label.known != SIZE_MAX) {
            collected->old[collected->old_count++] = label;
        } else {
            collected->fresh[collected->new_count++] = label;
        }
    }
    qsort(collected->old, collected->old_count, sizeof *collected->old, by_seq);
    qsort(collected->fresh, collected->new_count, sizeof *collected->fresh, by_seq);
    collected->removed = known->count - collected->old_count;
}

static int divide(struct collected *collected, struct deepsad_error *error)
{
    size_t count = collected->in_force.count + 1;
    struct known known = {0};
    size_t *order = calloc(count, sizeof *order);
    size_t *analysts = calloc(count, sizeof *analysts);
    collected->old = calloc(count, sizeof *collected->old);
    collected->fresh = calloc(count, sizeof *collected->fresh);
    int status = order == NULL || analysts == NULL || collected->old == NULL ||
                         collected->fresh == NULL
                     ? error_no_memory(error, "labels")
                     : known_list(&known, &collected->champion, error);
    if (status == DEEPSAD_OK) {
        collected->analysts = number_analysts(analysts, order, &collected->in_force);
        sort_labels(collected, &known, order, analysts);
    }
    known_done(&known);
    free(order);
    free(analysts);
    return status;
}

void collected_drop(struct collected *collected, const bool *held)
{
    size_t kept = 0;
    for (size_t i = 0; i < collected->new_count; i++) {
        if (!held[i]) {
            collected->fresh[kept++] = collected->fresh[i];
        }
    }
    collected->new_count = kept;
}

/* ---- Collecting -------------------------------------------------------------------- */

int collect(struct collected *out, struct training_set *champion, struct store *store,
            const char *model, const struct policy *policy, struct deepsad_error *error)
{
    struct collected collected = {.champion = *champion};
    size_t features = champion->features;
    size_t traffic =
        (size_t)(policy->retraining.traffic * (double)policy->retraining.rows);
    *champion = (struct training_set){0};
    int status =
        store_labels_in_force(store, &collected.in_force, model, features, error);
    if (status == DEEPSAD_OK && traffic > 0) {
        status = store_samples_list(store, &collected.traffic, model, features,
                                    STORE_UNLABELED, traffic, error);
    }
    if (status == DEEPSAD_OK) {
        status = divide(&collected, error);
    }
    if (status != DEEPSAD_OK) {
        collected_done(&collected);
        return status;
    }
    *out = collected;
    return DEEPSAD_OK;
}
