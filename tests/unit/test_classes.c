/* SPDX-License-Identifier: Apache-2.0 */
#include "data/classes.h"

#include "../testing.h"

static void without_a_normal_class_all_rows_are_kept_unlabeled(void **state)
{
    (void)state;
    struct classes classes;
    signed char label = 5;
    const struct deepsad_read_options options = {0};
    assert_int_equal(classes_init(&classes, &options, NULL), DEEPSAD_OK);
    assert_true(classes_label(&classes, 200, &label));
    assert_int_equal(label, 0);
}

static void assert_refused(const char *normal, const char *anomaly, const char *message)
{
    struct classes classes;
    struct deepsad_error error = {0};
    const char *const anomalies[] = {anomaly, NULL};
    const struct deepsad_read_options options = {.normal_class = normal,
                                                 .anomaly_classes = anomalies};
    assert_int_equal(classes_init(&classes, &options, &error), DEEPSAD_INVALID);
    assert_error_says(error, message);
}

static void names_that_are_no_classes_are_refused(void **state)
{
    (void)state;
    assert_refused("x", NULL, "normal class `x` is not a class");
    assert_refused("", NULL, "normal class `` is not a class");
    assert_refused("-1", NULL, "`-1` is not a class");
    assert_refused("256", NULL,
                   "`256` is not a class; classes are numbers from 0 to 255");
    assert_refused("99999999999999999999", NULL, "is not a class");
    assert_refused("1", "2b", "anomaly class `2b` is not a class");
    assert_refused("1", "1", "class 1 is named both normal and anomalous");
    assert_refused(NULL, "1", "anomaly classes without a normal class");
}

static void a_named_class_without_rows_is_refused(void **state)
{
    (void)state;
    struct classes classes;
    struct deepsad_error error = {0};
    const char *const anomalies[] = {"3", "4", NULL};
    const struct deepsad_read_options options = {.normal_class = "1",
                                                 .anomaly_classes = anomalies};
    size_t counts[CLASSES_MAX] = {[1] = 5, [3] = 2, [4] = 1};
    assert_int_equal(classes_init(&classes, &options, NULL), DEEPSAD_OK);
    assert_int_equal(classes_check_counts(&classes, counts, "f", NULL), DEEPSAD_OK);
    counts[4] = 0;
    assert_int_equal(classes_check_counts(&classes, counts, "f", &error),
                     DEEPSAD_INVALID);
    assert_error_says(error, "f: no row is of the anomaly class 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_normal_class_all_rows_are_kept_unlabeled),
        cmocka_unit_test(names_that_are_no_classes_are_refused),
        cmocka_unit_test(a_named_class_without_rows_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
