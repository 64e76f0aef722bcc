/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "base/nearest.h"

static void test_distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(nearest_distance("", ""), 0);
    assert_int_equal(nearest_distance("", "abc"), 3);
    assert_int_equal(nearest_distance("train", "train"), 0);
    assert_int_equal(nearest_distance("trian", "train"), 1);
    assert_int_equal(nearest_distance("tain", "train"), 1);
    assert_int_equal(nearest_distance("kitten", "sitting"), 3);
}

static void test_words_too_long_have_no_distance(void **state)
{
    (void)state;
    char word[NEAREST_LENGTH_MAX + 2];
    memset(word, 'a', sizeof word);
    word[NEAREST_LENGTH_MAX + 1] = '\0';
    assert_true(nearest_distance(word, "a") == SIZE_MAX);
    assert_true(nearest_distance("a", word) == SIZE_MAX);
    word[NEAREST_LENGTH_MAX] = '\0';
    assert_int_equal(nearest_distance(word, "a"), NEAREST_LENGTH_MAX - 1);
}

static void test_the_nearest_candidate_wins(void **state)
{
    (void)state;
    struct nearest nearest = nearest_to("sore");
    nearest_try(&nearest, "split");
    assert_null(nearest.best);
    nearest_try(&nearest, "store!");
    nearest_try(&nearest, "score");
    assert_string_equal(nearest.best, "score");
    nearest_try(&nearest, "spore");
    assert_string_equal(nearest.best, "score");
}

static void test_the_last_part_of_a_key_is_near(void **state)
{
    (void)state;
    struct nearest nearest = nearest_to("port");
    nearest_try(&nearest, "http.port");
    assert_string_equal(nearest.best, "http.port");
}

static void test_one_letter_suggests_nothing(void **state)
{
    (void)state;
    struct nearest nearest = nearest_to("x");
    nearest_try(&nearest, "y");
    assert_null(nearest.best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance_counts_edits),
        cmocka_unit_test(test_words_too_long_have_no_distance),
        cmocka_unit_test(test_the_nearest_candidate_wins),
        cmocka_unit_test(test_the_last_part_of_a_key_is_near),
        cmocka_unit_test(test_one_letter_suggests_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
