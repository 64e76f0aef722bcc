/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of labels: adding, superseding, withdrawing, conflict, quarantine, lists.
 */
#include "../stores.h"

static struct store *store_with_samples(void **state)
{
    struct store *store = store_must_open(state);
    for (int i = 0; i < 5; i++) {
        char id[16];
        snprintf(id, sizeof id, "t-%d", i);
        assert_true(store_keep_one(store, id, (float)i, 100 + i));
    }
    return store;
}

static const struct store_label_filter EVERYTHING = {.limit = 0};

static const struct store_verdict_new WHOLE = {.label_id = "l-1",
                                               .sample_id = "t-1",
                                               .verdict = STORE_ANOMALOUS,
                                               .analyst = "kim",
                                               .reason = "fraud",
                                               .note = "card \xc3\xa9"};

static void the_texts_of_a_label_come_back(void **state)
{
    struct store *store = store_with_samples(state);
    struct store_labels out = store_must_add(store, &WHOLE);
    assert_string_equal(out.labels[0].id, "l-1");
    assert_string_equal(out.labels[0].sample_id, "t-1");
    assert_string_equal(out.labels[0].analyst, "kim");
    assert_string_equal(out.labels[0].reason, "fraud");
    assert_string_equal(out.labels[0].note, "card \xc3\xa9");
    assert_string_equal(out.labels[0].supersedes, "");
    store_labels_done(&out);
    store_close(store);
}

static void a_new_label_is_in_force(void **state)
{
    struct store *store = store_with_samples(state);
    struct store_labels out = store_must_add(store, &WHOLE);
    const struct store_label *label = out.labels;
    assert_int_equal(label->verdict, STORE_ANOMALOUS);
    assert_int_equal(label->created_at_ms, 1000);
    assert_true(label->seq == 1 && label->ordinal == 0 && label->withdrawn_at_ms == 0);
    assert_true(label->in_force && !label->conflict && label->quarantine == NULL);
    store_labels_done(&out);
    store_close(store);
}

static void a_label_with_features_makes_its_sample(void **state)
{
    struct store *store = store_must_open(state);
    const float x[STORE_FEATURES] = {1, NAN, -0.0F};
    const struct store_verdict_new new = {
        .label_id = "l-1", .sample_new = "s-1", .x = x, .score = 0.5F};
    struct store_labels out = store_must_add(store, &new);
    struct store_samples sample = {0};
    assert_string_equal(out.labels[0].sample_id, "s-1");
    assert_null(out.labels[0].analyst);
    assert_int_equal(store_sample_get(store, &sample, "m", "s-1", NULL), DEEPSAD_OK);
    assert_memory_equal(sample.x, x, sizeof x);
    assert_true(sample.samples[0].score == 0.5F && sample.samples[0].version == 2);
    store_samples_done(&sample);
    store_labels_done(&out);
    store_close(store);
}

static void a_sample_that_was_not_kept_is_named_with_its_row(void **state)
{
    struct store *store = store_with_samples(state);
    const struct store_verdict_new new[] = {
        {.label_id = "l-1", .sample_id = "t-1", .verdict = STORE_NORMAL},
        {.label_id = "l-2", .sample_id = "gone", .verdict = STORE_NORMAL}};
    struct deepsad_error error = {0};
    struct store_labels out = {0};
    bool replayed;
    size_t wrong = 9;
    assert_int_equal(store_add(store, &out, &replayed, new, 2, "k", 0, &wrong, &error),
                     DEEPSAD_NOT_FOUND);
    assert_int_equal(wrong, 1);
    assert_error_says(error, "sample \"gone\" was not kept for model m: score it with "
                             "\"keep\": true, or give its features");
    assert_int_equal(store_must_count(store).normal, 0);
    assert_int_equal(store_must_count(store).last_seq, 0);
    store_close(store);
}

static void a_later_verdict_of_the_same_analyst_supersedes(void **state)
{
    struct store *store = store_with_samples(state);
    store_label_one(store, "l-1", "t-1", STORE_ANOMALOUS, "kim");
    store_label_one(store, "l-2", "t-1", STORE_NORMAL, "kim");
    struct store_labels all = store_must_list(store, &EVERYTHING);
    assert_int_equal(all.count, 2);
    assert_string_equal(all.labels[0].id, "l-2");
    assert_string_equal(all.labels[0].supersedes, "l-1");
    assert_true(all.labels[0].in_force && !all.labels[1].in_force);
    assert_false(all.labels[0].conflict);
    assert_int_equal(store_must_count(store).normal, 1);
    assert_int_equal(store_must_count(store).anomalous, 0);
    store_labels_done(&all);
    store_close(store);
}

static void those_without_a_name_are_one_analyst(void **state)
{
    struct store *store = store_with_samples(state);
    store_label_one(store, "l-1", "t-1", STORE_ANOMALOUS, NULL);
    store_label_one(store, "l-2", "t-1", STORE_NORMAL, NULL);
    assert_int_equal(store_must_count(store).anomalous, 0);
    assert_int_equal(store_must_count(store).conflicts, 0);
    size_t count = 0;
    assert_int_equal(store_labels_withdraw_by(store, &count, "m", NULL, 5, NULL),
                     DEEPSAD_OK);
    assert_int_equal(count, 1);
    store_close(store);
}

static void analysts_who_disagree_put_a_sample_in_conflict(void **state)
{
    struct store *store = store_with_samples(state);
    store_label_one(store, "l-1", "t-1", STORE_ANOMALOUS, "kim");
    store_label_one(store, "l-2", "t-1", STORE_UNSURE, "lee");
    assert_int_equal(store_must_count(store).conflicts, 0);
    store_label_one(store, "l-3", "t-1", STORE_NORMAL, "max");
    assert_int_equal(store_must_count(store).conflicts, 1);
    struct store_labels all = store_must_list(store, &EVERYTHING);
    assert_true(all.labels[0].conflict && all.labels[1].conflict &&
                all.labels[2].conflict);
    store_labels_done(&all);
    store_label_one(store, "l-4", "t-1", STORE_ANOMALOUS, "max");
    assert_int_equal(store_must_count(store).conflicts, 0);
    store_close(store);
}

static void a_withdrawn_label_stays_in_the_history(void **state)
{
    struct store *store = store_with_samples(state);
    struct store_label label = {0};
    store_label_one(store, "l-1", "t-1", STORE_ANOMALOUS, "kim");
    store_label_one(store, "l-2", "t-1", STORE_NORMAL, "lee");
    assert_int_equal(store_label_withdraw(store, &label, "m", "l-1", "boss", 2000, NULL),
                     DEEPSAD_OK);
    assert_true(label.withdrawn_at_ms == 2000 && !label.in_force && !label.conflict);
    store_label_done(&label);
    struct store_counts counts = store_must_count(store);
    assert_int_equal(counts.anomalous + counts.conflicts, 0);
    assert_int_equal(counts.last_seq, 3);
    struct store_labels all = store_must_list(store, &EVERYTHING);
    assert_int_equal(all.count, 2);
    assert_int_equal(all.labels[1].withdrawn_at_ms, 2000);
    store_labels_done(&all);
    store_close(store);
}

static void withdrawing_again_changes_nothing(void **state)
{
    struct store *store = store_with_samples(state);
    struct store_label label = {0};
    store_label_one(store, "l-1", "t-1", STORE_ANOMALOUS, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            store_label_withdraw(store, &label, "m", "l-1", NULL, 2000 + i, NULL),
            DEEPSAD_OK);
        assert_int_equal(label.withdrawn_at_ms, 2000);
    }
    assert_int_equal(store_must_count(store).last_seq, 2);
    struct deepsad_error error = {0};
    assert_int_equal(store_label_withdraw(store, &label, "m", "l-9", NULL, 1, &error),
                     DEEPSAD_NOT_FOUND);
    assert_error_says(error, "model m has no label \"l-9\"");
    store_close(store);
}

static void all_labels_of_an_analyst_are_withdrawn_at_once(void **state)
{
    struct store *store = store_with_samples(state);
    size_t count = 0;
    store_label_one(store, "l-1", "t-1", STORE_ANOMALOUS, "mallory");
    store_label_one(store, "l-2", "t-1", STORE_NORMAL, "kim");
    store_label_one(store, "l-3", "t-2", STORE_ANOMALOUS, "mallory");
    store_label_one(store, "l-4", "t-2", STORE_UNSURE, "mallory");
    assert_int_equal(store_must_count(store).conflicts, 1);
    assert_int_equal(store_labels_withdraw_by(store, &count, "m", "mallory", 7, NULL),
                     DEEPSAD_OK);
    assert_int_equal(count, 2);
    struct store_counts counts = store_must_count(store);
    assert_int_equal(counts.normal, 1);
    assert_int_equal(counts.anomalous + counts.unsure + counts.conflicts, 0);
    assert_int_equal(counts.last_seq, 6);
    store_close(store);
}

static void ordinals_count_labels_of_a_verdict_for_ever(void **state)
{
    struct store *store = store_with_samples(state);
    struct store_label label = {0};
    store_label_one(store, "l-1", "t-1", STORE_ANOMALOUS, NULL);
    store_label_one(store, "l-2", "t-2", STORE_NORMAL, NULL);
    store_label_withdraw(store, &label, "m", "l-1", NULL, 1, NULL);
    store_label_one(store, "l-3", "t-1", STORE_ANOMALOUS, NULL);
    store_label_one(store, "l-4", "t-1", STORE_ANOMALOUS, NULL);
    struct store_labels all = store_must_list(store, &EVERYTHING);
    assert_int_equal(all.labels[0].ordinal, 2);
    assert_int_equal(all.labels[1].ordinal, 1);
    assert_int_equal(all.labels[2].ordinal, 0);
    assert_int_equal(all.labels[3].ordinal, 0);
    assert_string_equal(all.labels[1].supersedes, "");
    store_labels_done(&all);
    store_close(store);
}

static void quarantine(struct store *store, const char *label_id)
{
    assert_int_equal(
        store_quarantine(store, "m", &label_id, 1, "job-1", "implausible", NULL),
        DEEPSAD_OK);
    assert_int_equal(store_must_count(store).quarantined, 1);
}

static void a_second_opinion_ends_quarantine(void **state)
{
    struct store *store = store_with_samples(state);
    store_label_one(store, "l-1", "t-1", STORE_ANOMALOUS, "kim");
    quarantine(store, "l-1");
    struct store_labels all = store_must_list(store, &EVERYTHING);
    assert_string_equal(all.labels[0].quarantine, "implausible");
    assert_true(all.labels[0].in_force);
    store_labels_done(&all);
    store_label_one(store, "l-2", "t-2", STORE_NORMAL, "lee");
    assert_int_equal(store_must_count(store).quarantined, 1);
    store_label_one(store, "l-3", "t-1", STORE_ANOMALOUS, "lee");
    assert_int_equal(store_must_count(store).quarantined, 0);
    store_close(store);
}

static void withdrawing_or_superseding_ends_quarantine(void **state)
{
    struct store *store = store_with_samples(state);
    struct store_label label = {0};
    store_label_one(store, "l-1", "t-1", STORE_ANOMALOUS, NULL);
    quarantine(store, "l-1");
    store_label_withdraw(store, &label, "m", "l-1", NULL, 1, NULL);
    assert_int_equal(store_must_count(store).quarantined, 0);
    store_label_one(store, "l-2", "t-1", STORE_ANOMALOUS, NULL);
    quarantine(store, "l-2");
    store_label_one(store, "l-3", "t-1", STORE_NORMAL, NULL);
    assert_int_equal(store_must_count(store).quarantined, 0);
    store_close(store);
}

static void a_batch_may_name_a_sample_twice(void **state)
{
    struct store *store = store_with_samples(state);
    const struct store_verdict_new new[] = {
        {.label_id = "l-1", .sample_id = "t-1", .verdict = STORE_NORMAL},
        {.label_id = "l-2", .sample_id = "t-1", .verdict = STORE_ANOMALOUS}};
    struct store_labels out = {0};
    bool replayed;
    size_t wrong;
    assert_int_equal(store_add(store, &out, &replayed, new, 2, NULL, 0, &wrong, NULL),
                     DEEPSAD_OK);
    assert_true(!out.labels[0].in_force && out.labels[1].in_force);
    assert_string_equal(out.labels[1].supersedes, "l-1");
    store_labels_done(&out);
    store_close(store);
}

static void labels_in_force_bring_their_features_in_order(void **state)
{
    struct store *store = store_with_samples(state);
    struct store_labels out = {0};
    store_label_one(store, "l-1", "t-3", STORE_NORMAL, NULL);
    store_label_one(store, "l-2", "t-1", STORE_ANOMALOUS, NULL);
    store_label_one(store, "l-3", "t-3", STORE_UNSURE, NULL);
    assert_int_equal(store_labels_in_force(store, &out, "m", STORE_FEATURES, NULL),
                     DEEPSAD_OK);
    assert_int_equal(out.count, 2);
    assert_string_equal(out.labels[0].id, "l-2");
    assert_true(out.x[0] == 1 && out.x[1] == 2 && isnan(out.x[2]) && out.x[3] == 3);
    store_labels_done(&out);
    assert_int_equal(store_labels_in_force(store, &out, "m", 4, NULL), DEEPSAD_OK);
    assert_int_equal(out.count, 0);
    store_labels_done(&out);
    store_close(store);
}

static size_t list_count(struct store *store, struct store_label_filter filter)
{
    struct store_labels labels = store_must_list(store, &filter);
    size_t count = labels.count;
    store_labels_done(&labels);
    return count;
}

static void lists_are_filtered(void **state)
{
    struct store *store = store_with_samples(state);
    store_label_one(store, "l-1", "t-1", STORE_NORMAL, "kim");
    store_label_one(store, "l-2", "t-1", STORE_ANOMALOUS, "lee");
    store_label_one(store, "l-3", "t-2", STORE_NORMAL, "kim");
    store_label_one(store, "l-4", "t-2", STORE_UNSURE, "kim");
    struct store_label_filter filter = {.analyst = "kim"};
    assert_int_equal(list_count(store, filter), 3);
    filter.in_force = true;
    assert_int_equal(list_count(store, filter), 2);
    filter.sample_id = "t-1";
    assert_int_equal(list_count(store, filter), 1);
    filter = (struct store_label_filter){.sample_id = "t-1"};
    assert_int_equal(list_count(store, filter), 2);
    filter = (struct store_label_filter){.has_verdict = true, .verdict = STORE_NORMAL};
    assert_int_equal(list_count(store, filter), 2);
    filter.analyst = "lee";
    assert_int_equal(list_count(store, filter), 0);
    store_close(store);
}

static void lists_are_paged_by_sequence(void **state)
{
    struct store *store = store_with_samples(state);
    for (int i = 0; i < 5; i++) {
        char sample[16], label[16];
        snprintf(sample, sizeof sample, "t-%d", i);
        snprintf(label, sizeof label, "l-%d", i);
        store_label_one(store, label, sample, STORE_NORMAL, NULL);
    }
    struct store_label_filter filter = {.limit = 3};
    struct store_labels page = store_must_list(store, &filter);
    assert_true(page.count == 3 && page.more);
    filter.before = page.labels[2].seq;
    store_labels_done(&page);
    page = store_must_list(store, &filter);
    assert_true(page.count == 2 && !page.more);
    assert_string_equal(page.labels[1].id, "l-0");
    store_labels_done(&page);
    store_close(store);
}

static size_t changes(struct store *store, int64_t after)
{
    size_t count = 99;
    assert_int_equal(store_changes(store, &count, "m", after, NULL), DEEPSAD_OK);
    return count;
}

static void changes_count_what_may_change_a_training(void **state)
{
    struct store *store = store_with_samples(state);
    struct store_label label = {0};
    int64_t unsure = store_label_one(store, "l-1", "t-1", STORE_UNSURE, NULL);
    assert_int_equal(changes(store, 0), 0);
    int64_t first = store_label_one(store, "l-2", "t-1", STORE_NORMAL, NULL);
    assert_int_equal(changes(store, unsure), 1);
    store_label_one(store, "l-3", "t-1", STORE_UNSURE, NULL);
    assert_int_equal(changes(store, first), 1);
    store_label_withdraw(store, &label, "m", "l-3", NULL, 1, NULL);
    assert_int_equal(changes(store, first), 2);
    assert_int_equal(changes(store, store_must_count(store).last_seq), 0);
    store_close(store);
}

static void models_do_not_mix(void **state)
{
    struct store *store = store_with_samples(state);
    struct deepsad_error error = {0};
    struct store_counts counts = {0};
    struct store_label label = {0};
    store_label_one(store, "l-1", "t-1", STORE_NORMAL, NULL);
    assert_int_equal(store_counts(store, &counts, "other", NULL), DEEPSAD_OK);
    assert_int_equal(counts.normal + counts.samples, 0);
    assert_int_equal(store_label_withdraw(store, &label, "other", "l-1", NULL, 1, &error),
                     DEEPSAD_NOT_FOUND);
    store_close(store);
}

static void an_id_that_is_taken_is_refused(void **state)
{
    struct store *store = store_with_samples(state);
    store_label_one(store, "l-1", "t-1", STORE_NORMAL, NULL);
    const struct store_verdict_new new = {
        .label_id = "l-1", .sample_id = "t-2", .verdict = STORE_NORMAL};
    struct deepsad_error error = {0};
    struct store_labels out = {0};
    bool replayed;
    size_t wrong = 9;
    assert_int_equal(store_add(store, &out, &replayed, &new, 1, NULL, 0, &wrong, &error),
                     DEEPSAD_INVALID);
    assert_int_equal(wrong, 0);
    assert_error_says(error, "label \"l-1\" exists already");
    assert_int_equal(store_health(store, NULL), DEEPSAD_OK);
    store_close(store);
}

static void everything_is_there_after_reopening(void **state)
{
    struct store *store = store_with_samples(state);
    store_label_one(store, "l-1", "t-1", STORE_NORMAL, "kim");
    quarantine(store, "l-1");
    store_close(store);
    store = store_must_open(state);
    struct store_counts counts = store_must_count(store);
    assert_int_equal(counts.normal, 1);
    assert_int_equal(counts.quarantined, 1);
    assert_int_equal(counts.samples, 5);
    assert_int_equal(counts.last_seq, 1);
    assert_int_equal(store_label_one(store, "l-2", "t-2", STORE_NORMAL, NULL), 2);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_texts_of_a_label_come_back),
        TEST(a_new_label_is_in_force),
        TEST(a_label_with_features_makes_its_sample),
        TEST(a_sample_that_was_not_kept_is_named_with_its_row),
        TEST(a_later_verdict_of_the_same_analyst_supersedes),
        TEST(those_without_a_name_are_one_analyst),
        TEST(analysts_who_disagree_put_a_sample_in_conflict),
        TEST(a_withdrawn_label_stays_in_the_history),
        TEST(withdrawing_again_changes_nothing),
        TEST(all_labels_of_an_analyst_are_withdrawn_at_once),
        TEST(ordinals_count_labels_of_a_verdict_for_ever),
        TEST(a_second_opinion_ends_quarantine),
        TEST(withdrawing_or_superseding_ends_quarantine),
        TEST(a_batch_may_name_a_sample_twice),
        TEST(labels_in_force_bring_their_features_in_order),
        TEST(lists_are_filtered),
        TEST(lists_are_paged_by_sequence),
        TEST(changes_count_what_may_change_a_training),
        TEST(models_do_not_mix),
        TEST(an_id_that_is_taken_is_refused),
        TEST(everything_is_there_after_reopening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
