/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "tool/progress.h"

static void assert_time(double seconds, const char *text)
{
    char out[PROGRESS_TIME_SIZE];
    assert_string_equal(progress_time(out, seconds), text);
}

static void test_times_are_told_in_two_units_at_most(void **state)
{
    (void)state;
    assert_time(0, "0.0 s");
    assert_time(9.94, "9.9 s");
    assert_time(9.96, "10 s");
    assert_time(59.4, "59 s");
    assert_time(59.6, "1 min 0 s");
    assert_time(200, "3 min 20 s");
    assert_time(7500, "2 h 5 min");
    assert_time(1e300, "277777 h 46 min");
}

static void test_a_bar_fills_with_the_fraction(void **state)
{
    (void)state;
    static const struct {
        double fraction;
        const char *bar;
    } cases[] = {{-1, "----"}, {0, "----"}, {0.49, "#---"},       {0.5, "##--"},
                 {1, "####"},  {2, "####"}, {(double)NAN, "----"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[5];
        progress_bar(out, 4, cases[i].fraction);
        assert_string_equal(out, cases[i].bar);
    }
}

static void assert_described(struct deepsad_progress now, const char *text)
{
    char out[PROGRESS_TEXT_SIZE];
    progress_describe(out, &now);
    assert_string_equal(out, text);
}

static void test_a_phase_is_described_by_what_it_has(void **state)
{
    (void)state;
    assert_described((struct deepsad_progress){.phase = "calibrate",
                                               .members = 1,
                                               .loss = (double)NAN,
                                               .seconds_left = (double)NAN},
                     "calibrate");
    assert_described((struct deepsad_progress){.phase = "pretrain",
                                               .members = 1,
                                               .step = 3,
                                               .steps = 150,
                                               .epochs = true,
                                               .loss = 0.123456,
                                               .seconds_left = 12.3},
                     "pretrain, epoch 3 of 150, loss 0.1235, 12 s left");
    assert_described((struct deepsad_progress){.phase = "train",
                                               .member = 1,
                                               .members = 4,
                                               .step = 7,
                                               .steps = 100,
                                               .loss = (double)NAN,
                                               .seconds_left = 0.5},
                     "train 2/4, step 7 of 100, 0.5 s left");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times_are_told_in_two_units_at_most),
        cmocka_unit_test(test_a_bar_fills_with_the_fraction),
        cmocka_unit_test(test_a_phase_is_described_by_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
