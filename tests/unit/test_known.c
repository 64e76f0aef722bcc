/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "learn/known.h"

enum { LABELS = 4 };

/* A normal that came with the first data set, then labels "c", "a", "b" of the journal:
 * anomalous, normal, anomalous. */
static void make_set(struct training_set *set)
{
    static const signed char verdicts[LABELS] = {1, -1, 1, -1};
    static const char *const ids[LABELS] = {NULL, "c", "a", "b"};
    assert_int_equal(training_set_new(set, 1, 2, 0, LABELS, 0, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < LABELS; i++) {
        set->y[i] = verdicts[i];
        set->ids[i] = ids[i] == NULL ? NULL : strdup(ids[i]);
    }
}

static size_t find(const struct known *known, const char *id, const char *supersedes,
                   enum store_verdict verdict)
{
    struct store_label label = {.verdict = verdict};
    snprintf(label.id, sizeof label.id, "%s", id);
    snprintf(label.supersedes, sizeof label.supersedes, "%s", supersedes);
    return known_find(known, &label);
}

static void every_label_of_the_journal_is_found_by_its_id(void **state)
{
    (void)state;
    struct training_set set;
    struct known known;
    make_set(&set);
    assert_int_equal(known_list(&known, &set, NULL), DEEPSAD_OK);
    assert_int_equal(known.count, 3);
    assert_int_equal(find(&known, "c", "", STORE_ANOMALOUS), 1);
    assert_int_equal(find(&known, "a", "", STORE_NORMAL), 2);
    assert_int_equal(find(&known, "b", "", STORE_ANOMALOUS), 3);
    assert_true(find(&known, "d", "", STORE_NORMAL) == SIZE_MAX);
    assert_true(find(&known, "", "", STORE_NORMAL) == SIZE_MAX);
    known_done(&known);
    training_set_done(&set);
}

static void a_verdict_given_again_is_the_one_that_it_supersedes(void **state)
{
    (void)state;
    struct training_set set;
    struct known known;
    make_set(&set);
    assert_int_equal(known_list(&known, &set, NULL), DEEPSAD_OK);
    assert_int_equal(find(&known, "new", "b", STORE_ANOMALOUS), 3);
    assert_true(find(&known, "new", "b", STORE_NORMAL) == SIZE_MAX);
    assert_true(find(&known, "new", "d", STORE_NORMAL) == SIZE_MAX);
    known_done(&known);
    training_set_done(&set);
}

static void what_came_with_the_first_data_set_has_no_id(void **state)
{
    (void)state;
    struct training_set set;
    make_set(&set);
    assert_true(known_is_first(&set, 0));
    assert_false(known_is_first(&set, 1));
    free(set.ids[1]);
    set.ids[1] = strdup("");
    assert_true(known_is_first(&set, 1));
    training_set_done(&set);
}

static void a_set_without_labels_knows_none(void **state)
{
    (void)state;
    struct training_set set;
    struct known known;
    assert_int_equal(training_set_new(&set, 1, 2, 0, 0, 0, NULL), DEEPSAD_OK);
    assert_int_equal(known_list(&known, &set, NULL), DEEPSAD_OK);
    assert_true(find(&known, "a", "b", STORE_NORMAL) == SIZE_MAX);
    known_done(&known);
    training_set_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_label_of_the_journal_is_found_by_its_id),
        cmocka_unit_test(a_verdict_given_again_is_the_one_that_it_supersedes),
        cmocka_unit_test(what_came_with_the_first_data_set_has_no_id),
        cmocka_unit_test(a_set_without_labels_knows_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
