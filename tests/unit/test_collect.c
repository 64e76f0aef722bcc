/* SPDX-License-Identifier: Apache-2.0 */
/* What a round works on, from a real store and a set that a champion could hold. */
#include "../testing.h"

#include <stdlib.h>

#include "../stores.h"
#include "learn/collect.h"
#include "learn/training_rows.h"

enum { BASE = 6, FIRST = 2, ROWS = 100 };

static const struct policy policy = {.retraining = {.traffic = 0.5, .rows = ROWS}};

/* Six rows of the first training, (10 i, 10 i + 1, missing), and a normal and an anomaly
 * that came with it; `known` (NULL = none) has been learnt from as well. */
static void make_champion(struct training_set *out, const char *known)
{
    size_t labels = FIRST + (known != NULL);
    assert_int_equal(training_set_new(out, STORE_FEATURES, BASE, 0, labels, 0, NULL),
                     DEEPSAD_OK);
    for (size_t i = 0; i < BASE + labels; i++) {
        float *x = out->x + i * STORE_FEATURES;
        x[0] = (float)(10 * i);
        x[1] = x[0] + 1;
        x[2] = NAN;
    }
    out->y[0] = 1;
    out->y[1] = out->y[labels - 1] = -1;
    if (known != NULL) {
        out->ids[FIRST] = strdup(known);
    }
}

static void collect_now(struct collected *out, struct store *store, const char *known)
{
    struct training_set champion;
    struct deepsad_error error = {0};
    make_champion(&champion, known);
    if (collect(out, &champion, store, "m", &policy, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
}

/* Samples s0, s1, ... with x = (10 i, 10 i + 1, missing), as the base rows have it. */
static struct store *open_with_samples(void **state, size_t count)
{
    struct store *store = store_must_open(state);
    struct store_samples last;
    char id[32] = "";
    for (size_t i = 0; i < count; i++) {
        snprintf(id, sizeof id, "s%zu", i);
        assert_true(store_keep_one(store, id, (float)(10 * i), 1000 + (int64_t)i));
    }
    /* Waits for what is queued. */
    assert_int_equal(store_sample_get(store, &last, "m", id, NULL), DEEPSAD_OK);
    store_samples_done(&last);
    return store;
}

static void make_set(struct training_set *out, const struct collected *collected,
                     bool fresh)
{
    assert_int_equal(training_rows_make(out, collected, fresh, &policy, NULL),
                     DEEPSAD_OK);
}

static void a_label_is_new_until_a_version_has_learnt_it(void **state)
{
    struct store *store = open_with_samples(state, 3);
    struct collected collected;
    store_label_one(store, "l1", "s1", STORE_ANOMALOUS, "kim");
    store_label_one(store, "l2", "s2", STORE_NORMAL, "kim");
    collect_now(&collected, store, "l1");
    assert_int_equal(collected.old_count, 1);
    assert_int_equal(collected.new_count, 1);
    assert_string_equal(collected.in_force.labels[collected.fresh[0].at].id, "l2");
    assert_int_equal(collected.removed, 0);
    collected_done(&collected);
    store_close(store);
}

static void a_label_taken_back_is_counted_as_removed(void **state)
{
    struct store *store = open_with_samples(state, 3);
    struct collected collected;
    struct store_label label;
    store_label_one(store, "l1", "s1", STORE_ANOMALOUS, "kim");
    assert_int_equal(store_label_withdraw(store, &label, "m", "l1", "kim", 5000, NULL),
                     DEEPSAD_OK);
    free(label.analyst);
    free(label.reason);
    free(label.note);
    free(label.quarantine);
    collect_now(&collected, store, "l1");
    assert_int_equal(collected.old_count + collected.new_count, 0);
    assert_int_equal(collected.removed, 1);
    collected_done(&collected);
    store_close(store);
}

static void unsure_and_disputed_samples_teach_nothing(void **state)
{
    struct store *store = open_with_samples(state, 3);
    struct collected collected;
    store_label_one(store, "l1", "s1", STORE_UNSURE, "kim");
    store_label_one(store, "l2", "s2", STORE_NORMAL, "kim");
    store_label_one(store, "l3", "s2", STORE_ANOMALOUS, "lee");
    collect_now(&collected, store, NULL);
    assert_int_equal(collected.in_force.count, 3);
    assert_int_equal(collected.old_count + collected.new_count, 0);
    collected_done(&collected);
    store_close(store);
}

static void two_analysts_who_agree_count_once_and_confirm(void **state)
{
    struct store *store = open_with_samples(state, 3);
    struct collected collected;
    store_label_one(store, "l1", "s1", STORE_ANOMALOUS, "kim");
    store_label_one(store, "l2", "s1", STORE_ANOMALOUS, "lee");
    store_label_one(store, "l3", "s2", STORE_ANOMALOUS, "lee");
    collect_now(&collected, store, NULL);
    assert_int_equal(collected.new_count, 2);
    assert_true(collected.fresh[0].confirmed);
    assert_false(collected.fresh[1].confirmed);
    assert_int_equal(collected.analysts, 2);
    assert_true(collected.fresh[0].analyst != collected.fresh[1].analyst);
    collected_done(&collected);
    store_close(store);
}

static void what_waits_in_quarantine_is_left_out_until_another_agrees(void **state)
{
    struct store *store = open_with_samples(state, 3);
    struct collected collected;
    const char *const ids[] = {"l1"};
    store_label_one(store, "l1", "s1", STORE_ANOMALOUS, "kim");
    assert_int_equal(store_quarantine(store, "m", ids, 1, "j", "why", NULL), DEEPSAD_OK);
    collect_now(&collected, store, NULL);
    assert_int_equal(collected.new_count, 0);
    collected_done(&collected);
    store_label_one(store, "l2", "s1", STORE_ANOMALOUS, "lee");
    collect_now(&collected, store, NULL);
    assert_int_equal(collected.new_count, 1);
    assert_true(collected.fresh[0].confirmed);
    collected_done(&collected);
    store_close(store);
}

static void judged_rows_stand_aside_of_the_unlabeled_ones(void **state)
{
    struct store *store = open_with_samples(state, 4);
    struct collected collected;
    struct training_set set;
    store_label_one(store, "l1", "s1", STORE_ANOMALOUS, "kim");
    store_label_one(store, "l2", "s2", STORE_NORMAL, "kim");
    collect_now(&collected, store, NULL);
    make_set(&set, &collected, true);
    assert_int_equal(set.base, BASE - 2);
    assert_int_equal(set.aside, 2);
    assert_int_equal(set.traffic, 2); /* s0 and s3 are not judged */
    assert_int_equal(set.labels, FIRST + 2);
    training_set_done(&set);
    make_set(&set, &collected, false);
    assert_int_equal(set.base, BASE);
    assert_int_equal(set.labels, FIRST);
    training_set_done(&set);
    collected_done(&collected);
    store_close(store);
}

static void a_set_without_a_label_is_as_if_it_had_never_been(void **state)
{
    struct store *store = open_with_samples(state, 4);
    struct collected before, after;
    struct training_set one, judged, other;
    collect_now(&before, store, NULL);
    make_set(&one, &before, true);
    store_label_one(store, "l1", "s1", STORE_ANOMALOUS, "kim");
    collect_now(&after, store, NULL);
    make_set(&judged, &after, true);
    training_set_done(&after.champion);
    after.champion = judged; /* the next round starts from what this one kept */
    after.new_count = 0;
    make_set(&other, &after, true);
    assert_int_equal(other.base, one.base);
    assert_int_equal(other.aside, 0);
    assert_memory_equal(other.x, one.x, one.base * STORE_FEATURES * sizeof(float));
    training_set_done(&one);
    training_set_done(&other);
    collected_done(&before);
    collected_done(&after);
    store_close(store);
}

static void a_verdict_given_again_is_the_old_label_with_its_fold(void **state)
{
    struct store *store = open_with_samples(state, 3);
    struct collected collected;
    struct training_set set;
    store_label_one(store, "l0", "s0", STORE_ANOMALOUS, "kim");
    store_label_one(store, "l1", "s1", STORE_ANOMALOUS, "kim");
    store_label_one(store, "l2", "s1", STORE_ANOMALOUS,
                    "kim"); /* ordinal 2 in the store */
    collect_now(&collected, store, "l1");
    collected.champion.ordinal[FIRST] = 7;
    assert_int_equal(collected.old_count, 1);
    assert_int_equal(collected.removed, 0);
    make_set(&set, &collected, false);
    assert_string_equal(set.ids[FIRST], "l2");
    assert_int_equal(set.ordinal[FIRST], 7);
    training_set_done(&set);
    collected_done(&collected);
    store_close(store);
}

static void a_changed_mind_is_a_removal_and_a_new_label(void **state)
{
    struct store *store = open_with_samples(state, 3);
    struct collected collected;
    store_label_one(store, "l1", "s1", STORE_ANOMALOUS, "kim");
    store_label_one(store, "l2", "s1", STORE_NORMAL, "kim");
    collect_now(&collected, store, "l1");
    assert_int_equal(collected.old_count, 0);
    assert_int_equal(collected.removed, 1);
    assert_int_equal(collected.new_count, 1);
    collected_done(&collected);
    store_close(store);
}

static void rows_that_came_with_a_verdict_are_no_traffic(void **state)
{
    struct store *store = open_with_samples(state, 2);
    const float x[STORE_FEATURES] = {1000, 1000, 1000};
    const struct store_verdict_new brought = {.label_id = "l9",
                                              .sample_new = "mine",
                                              .x = x,
                                              .verdict = STORE_NORMAL,
                                              .analyst = "mallory"};
    struct collected collected;
    struct store_labels out = {0};
    bool replayed;
    size_t wrong, withdrawn;
    assert_int_equal(
        store_add(store, &out, &replayed, &brought, 1, NULL, 0, &wrong, NULL),
        DEEPSAD_OK);
    store_labels_done(&out);
    assert_int_equal(
        store_labels_withdraw_by(store, &withdrawn, "m", "mallory", 5000, NULL),
        DEEPSAD_OK);
    collect_now(&collected, store, NULL);
    assert_int_equal(collected.traffic.count, 2);
    collected_done(&collected);
    store_close(store);
}

static void ordinals_go_on_after_those_of_the_first_data_set(void **state)
{
    struct store *store = open_with_samples(state, 3);
    struct collected collected;
    struct training_set set;
    store_label_one(store, "l1", "s1", STORE_ANOMALOUS, "kim");
    store_label_one(store, "l2", "s2", STORE_ANOMALOUS, "kim");
    collect_now(&collected, store, NULL);
    make_set(&set, &collected, true);
    assert_int_equal(set.ordinal[FIRST], 1); /* one anomaly came with the data set */
    assert_int_equal(set.ordinal[FIRST + 1], 2);
    assert_string_equal(set.ids[FIRST], "l1");
    training_set_done(&set);
    collected_done(&collected);
    store_close(store);
}

static void traffic_takes_the_place_of_base_rows_beyond_the_limit(void **state)
{
    struct store *store = open_with_samples(state, 30);
    struct collected collected;
    struct training_set set;
    struct policy tight = policy;
    collect_now(&collected, store, NULL);
    tight.retraining.rows = 32;
    assert_int_equal(training_rows_make(&set, &collected, true, &tight, NULL),
                     DEEPSAD_OK);
    assert_int_equal(set.traffic, 30);
    assert_int_equal(set.base, 2);
    assert_int_equal(set.aside, BASE - 2);
    training_set_done(&set);
    collected_done(&collected);
    store_close(store);
}

static void traffic_has_moved_when_much_of_it_is_new(void **state)
{
    struct store *store = open_with_samples(state, 3);
    struct collected collected;
    struct training_set set;
    bool moved = false;
    collect_now(&collected, store, NULL);
    make_set(&set, &collected, true);
    assert_int_equal(training_rows_moved(&moved, &collected, &set, NULL), DEEPSAD_OK);
    assert_true(moved);
    training_set_done(&collected.champion);
    collected.champion = set;
    make_set(&set, &collected, true);
    assert_int_equal(training_rows_moved(&moved, &collected, &set, NULL), DEEPSAD_OK);
    assert_false(moved);
    training_set_done(&set);
    collected_done(&collected);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_label_is_new_until_a_version_has_learnt_it),
        TEST(a_label_taken_back_is_counted_as_removed),
        TEST(unsure_and_disputed_samples_teach_nothing),
        TEST(two_analysts_who_agree_count_once_and_confirm),
        TEST(what_waits_in_quarantine_is_left_out_until_another_agrees),
        TEST(judged_rows_stand_aside_of_the_unlabeled_ones),
        TEST(a_set_without_a_label_is_as_if_it_had_never_been),
        TEST(a_verdict_given_again_is_the_old_label_with_its_fold),
        TEST(a_changed_mind_is_a_removal_and_a_new_label),
        TEST(rows_that_came_with_a_verdict_are_no_traffic),
        TEST(ordinals_go_on_after_those_of_the_first_data_set),
        TEST(traffic_takes_the_place_of_base_rows_beyond_the_limit),
        TEST(traffic_has_moved_when_much_of_it_is_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
