/* SPDX-License-Identifier: Apache-2.0 */
#include "data/split.h"

#include <stdlib.h>

#include "../testing.h"
#include "data/dataset.h"

/* One feature: the row's number. `normals` rows, then anomalies, then unlabeled ones. */
static void make_dataset(struct deepsad_dataset *out, size_t normals, size_t anomalies,
                         size_t unlabeled)
{
    *out = (struct deepsad_dataset){0};
    size_t rows = normals + anomalies + unlabeled;
    assert_int_equal(dataset_allocate(out, rows, 1, "test", NULL), DEEPSAD_OK);
    for (size_t i = 0; i < rows; i++) {
        out->x[i] = (float)i;
        out->labels[i] = i < normals ? 1 : i < normals + anomalies ? -1 : 0;
    }
}

struct tally {
    size_t normal, anomalous, unlabeled_normal, unlabeled_anomalous;
};

static struct tally count(const struct deepsad_dataset *part,
                          const struct deepsad_dataset *truth)
{
    struct tally tally = {0};
    for (size_t i = 0; i < part->rows; i++) {
        bool anomaly = truth->labels[(size_t)part->x[i]] < 0;
        if (part->labels[i] != 0) {
            assert_int_equal(part->labels[i], anomaly ? -1 : 1);
        }
        tally.normal += part->labels[i] > 0;
        tally.anomalous += part->labels[i] < 0;
        tally.unlabeled_normal += part->labels[i] == 0 && !anomaly;
        tally.unlabeled_anomalous += part->labels[i] == 0 && anomaly;
    }
    return tally;
}

#define assert_tally(tally, a, b, c, d)                     \
    do {                                                    \
        assert_int_equal((tally).normal, (a));              \
        assert_int_equal((tally).anomalous, (b));           \
        assert_int_equal((tally).unlabeled_normal, (c));    \
        assert_int_equal((tally).unlabeled_anomalous, (d)); \
    } while (0)

static struct tally split_train(size_t normals, size_t anomalies,
                                struct deepsad_split_options options)
{
    struct deepsad_dataset data, train;
    struct deepsad_error error = {0};
    make_dataset(&data, normals, anomalies, 0);
    if (deepsad_split(&train, NULL, &data, &options, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    struct tally tally = count(&train, &data);
    deepsad_dataset_clear(&train);
    deepsad_dataset_clear(&data);
    return tally;
}

/* The expected counts solve the linear equations of the paper's code, cut to integers. */
static void counts_are_those_of_the_papers_equations(void **state)
{
    (void)state;
    struct deepsad_split_options options = {.labeled_anomalies = 0.01, .pollution = 0.1};
    assert_tally(split_train(1000, 500, options), 0, 11, 1000, 111);
    options.labeled_normals = 0.1;
    assert_tally(split_train(1000, 500, options), 110, 11, 890, 98);
    options = (struct deepsad_split_options){.labeled_anomalies = 0.01};
    assert_tally(split_train(600, 500, options), 0, 6, 600, 0);
    options = (struct deepsad_split_options){0};
    assert_tally(split_train(600, 500, options), 0, 0, 600, 0);
}

static void numbers_from_one_on_are_counts(void **state)
{
    (void)state;
    struct deepsad_split_options options = {.labeled_anomalies = 5, .labeled_normals = 7};
    assert_tally(split_train(100, 50, options), 7, 5, 93, 0);
    options.labeled_anomalies = 1;
    options.pollution = 0.5; /* as many anomalies as the 93 others are not there */
    assert_tally(split_train(100, 94, options), 7, 1, 93, 93);
}

static void natural_pollution_keeps_every_anomaly(void **state)
{
    (void)state;
    struct deepsad_split_options options = {.labeled_anomalies = 0.1,
                                            .pollution = DEEPSAD_POLLUTION_NATURAL};
    assert_tally(split_train(100, 50, options), 0, 15, 100, 35);
    options.labeled_anomalies = 20;
    assert_tally(split_train(100, 50, options), 0, 20, 100, 30);
}

static void the_test_part_has_the_same_share_of_each_class(void **state)
{
    (void)state;
    struct deepsad_dataset data, train, test;
    make_dataset(&data, 1655, 176, 10);
    struct deepsad_split_options options = {.test = 0.4, .labeled_anomalies = 0.01};
    assert_int_equal(deepsad_split(&train, &test, &data, &options, NULL), DEEPSAD_OK);
    assert_tally(count(&test, &data), 662, 71, 0, 0);
    assert_tally(count(&train, &data), 0, 10, 993 + 10, 0);
    deepsad_dataset_clear(&train);
    deepsad_dataset_clear(&test);
    deepsad_dataset_clear(&data);
}

static void parts_are_disjoint_and_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct deepsad_dataset data, train, test;
    make_dataset(&data, 50, 30, 20);
    struct deepsad_split_options options = {
        .test = 0.3, .labeled_anomalies = 4, .pollution = DEEPSAD_POLLUTION_NATURAL};
    assert_int_equal(deepsad_split(&train, &test, &data, &options, NULL), DEEPSAD_OK);
    assert_int_equal(train.rows + test.rows, data.rows);
    char seen[100] = {0};
    for (size_t i = 0; i < data.rows; i++) {
        const struct deepsad_dataset *part = i < train.rows ? &train : &test;
        size_t at = i < train.rows ? i : i - train.rows;
        assert_true(at == 0 || part->x[at] > part->x[at - 1]);
        assert_int_equal(seen[(size_t)part->x[at]]++, 0);
    }
    deepsad_dataset_clear(&train);
    deepsad_dataset_clear(&test);
    deepsad_dataset_clear(&data);
}

static bool same_rows(const struct deepsad_dataset *a, const struct deepsad_dataset *b)
{
    return a->rows == b->rows && memcmp(a->x, b->x, a->rows * sizeof *a->x) == 0;
}

static void the_seed_decides_and_labels_only_add_up(void **state)
{
    (void)state;
    struct deepsad_dataset data, train[3], test[3];
    make_dataset(&data, 200, 100, 0);
    struct deepsad_split_options options = {
        .test = 0.4, .labeled_anomalies = 5, .pollution = DEEPSAD_POLLUTION_NATURAL};
    deepsad_split(&train[0], &test[0], &data, &options, NULL);
    options.labeled_anomalies = 20;
    deepsad_split(&train[1], &test[1], &data, &options, NULL);
    options.seed = 1;
    deepsad_split(&train[2], &test[2], &data, &options, NULL);
    assert_true(same_rows(&test[0], &test[1]));
    assert_false(same_rows(&test[1], &test[2]));
    for (size_t i = 0; i < train[0].rows; i++) {
        assert_true(train[0].labels[i] == 0 || train[1].labels[i] == train[0].labels[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        deepsad_dataset_clear(&train[i]);
        deepsad_dataset_clear(&test[i]);
    }
    deepsad_dataset_clear(&data);
}

static void names_and_shape_go_to_both_parts(void **state)
{
    (void)state;
    struct deepsad_dataset data, train, test;
    make_dataset(&data, 10, 4, 0);
    data.names = calloc(1, sizeof *data.names);
    data.names[0] = strdup("age");
    data.channels = data.height = data.width = 1;
    struct deepsad_split_options options = {.test = 0};
    assert_int_equal(deepsad_split(&train, &test, &data, &options, NULL), DEEPSAD_OK);
    assert_int_equal(test.rows, 0);
    assert_string_equal(train.names[0], "age");
    assert_string_equal(test.names[0], "age");
    assert_int_equal(train.width, 1);
    deepsad_dataset_clear(&train);
    deepsad_dataset_clear(&test);
    deepsad_dataset_clear(&data);
}

static void assert_refused(struct deepsad_split_options options, const char *message)
{
    struct deepsad_dataset data;
    struct deepsad_dataset train = {.rows = 77};
    struct deepsad_error error = {0};
    make_dataset(&data, 100, 10, 0);
    assert_int_equal(deepsad_split(&train, NULL, &data, &options, &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, message);
    assert_int_equal(train.rows, 77); /* untouched */
    deepsad_dataset_clear(&data);
}

static void impossible_demands_say_what_is_possible(void **state)
{
    (void)state;
    assert_refused(
        (struct deepsad_split_options){.labeled_anomalies = 0.2},
        "25 labelled and 0 unlabeled anomalies are wanted, the training part "
        "has 10; the largest ratio of labelled anomalies is 0.0909, a count of "
        "10");
    assert_refused((struct deepsad_split_options){.labeled_anomalies = 11},
                   "a count of 10");
    assert_refused((struct deepsad_split_options){.pollution = 0.2},
                   "the largest pollution is 0.0909");
    assert_refused(
        (struct deepsad_split_options){.labeled_anomalies = 0.08, .pollution = 0.05},
        "the largest ratio of labelled anomalies is 0.043");
    assert_refused((struct deepsad_split_options){.labeled_normals = 101},
                   "101 labelled normals are wanted, the training part has 100");
}

static void arguments_out_of_range_are_refused(void **state)
{
    (void)state;
    assert_refused((struct deepsad_split_options){.test = 1}, "test share is 1");
    assert_refused((struct deepsad_split_options){.test = (double)NAN},
                   "test share is nan");
    assert_refused((struct deepsad_split_options){.test = 0.5}, "without a place");
    assert_refused((struct deepsad_split_options){.pollution = 1}, "pollution is 1");
    assert_refused((struct deepsad_split_options){.pollution = -0.5},
                   "pollution is -0.5");
    assert_refused((struct deepsad_split_options){.labeled_anomalies = 1.5},
                   "labeled anomalies is 1.5");
    assert_refused((struct deepsad_split_options){.labeled_normals = -1},
                   "labeled normals is -1");
}

static void what_the_message_calls_possible_is_possible(void **state)
{
    (void)state;
    struct deepsad_split_options options = {.labeled_anomalies = 0.0909};
    assert_tally(split_train(100, 10, options), 0, 9, 100, 0);
    options = (struct deepsad_split_options){.pollution = 0.0909};
    assert_tally(split_train(100, 10, options), 0, 0, 100, 9);
    options =
        (struct deepsad_split_options){.labeled_anomalies = 0.043, .pollution = 0.05};
    assert_tally(split_train(100, 10, options), 0, 4, 100, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_of_the_papers_equations),
        cmocka_unit_test(numbers_from_one_on_are_counts),
        cmocka_unit_test(natural_pollution_keeps_every_anomaly),
        cmocka_unit_test(the_test_part_has_the_same_share_of_each_class),
        cmocka_unit_test(parts_are_disjoint_and_in_the_order_of_the_file),
        cmocka_unit_test(the_seed_decides_and_labels_only_add_up),
        cmocka_unit_test(names_and_shape_go_to_both_parts),
        cmocka_unit_test(impossible_demands_say_what_is_possible),
        cmocka_unit_test(arguments_out_of_range_are_refused),
        cmocka_unit_test(what_the_message_calls_possible_is_possible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
