/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <math.h>

#include "tool/options.h"
#include "tool/selection.h"

struct sample {
    bool quick, shown;
    const char *out;
    struct option_list sets;
    double share;
    size_t threads;
    uint64_t seed;
};

static int show(void)
{
    return 42;
}

#define AT(member) .offset = offsetof(struct sample, member)
static const struct command_option options[] = {
    {.name = "quick", .type = OPTION_FLAG, AT(quick)},
    {.name = "out", .type = OPTION_TEXT, AT(out)},
    {.name = "set", .type = OPTION_LIST, AT(sets)},
    {.name = "share", .type = OPTION_NUMBER, AT(share), .max = 0.5},
    {.name = "threads", .type = OPTION_COUNT, AT(threads), .min = 1, .max = 8},
    {.name = "seed", .type = OPTION_INTEGER, AT(seed)},
    {.name = "show", .type = OPTION_SHOW, .show = show},
    {0},
};
static const struct command command = {
    .name = "test", .usage = "A B", .summary = "", .options = options, .operands = 2};

enum { WORDS_MAX = 16 };

/* Parses the words up to the first NULL; the exit code, or -1 where it may run. */
static int parse(struct sample *values, const char *operands[2], const char *const *words)
{
    char copies[WORDS_MAX][32], *argv[WORDS_MAX + 1] = {NULL};
    int argc = 0;
    memset(values, 0, sizeof *values);
    for (snprintf(copies[argc++], 32, "test"); *words != NULL; words++) {
        snprintf(copies[argc++], 32, "%s", *words);
    }
    for (int i = 0; i < argc; i++) {
        argv[i] = copies[i];
    }
    int code;
    bool good = options_parse(values, operands, &command, argc, argv, &code);
    if (good) { /* texts point into the copies */
        values->shown = values->out != NULL && strcmp(values->out, "dir") == 0;
    }
    return good ? -1 : code;
}
#define PARSE(values, operands, ...) \
    parse(values, operands, (const char *const[]){__VA_ARGS__, NULL})

static void test_options_and_operands_may_be_mixed(void **state)
{
    (void)state;
    struct sample v;
    const char *operands[2];
    assert_int_equal(PARSE(&v, operands, "a", "--out", "dir", "--quick", "b", "--seed=7"),
                     -1);
    assert_true(v.quick && v.shown);
    assert_int_equal(v.seed, 7);
    assert_int_equal(PARSE(&v, operands, "a", "--", "--quick"), -1);
    assert_false(v.quick);
}

static void test_a_list_grows_and_ends_with_null(void **state)
{
    (void)state;
    struct sample v;
    const char *operands[2];
    assert_int_equal(PARSE(&v, operands, "--set", "a=1", "a", "b", "--set", "b=2"), -1);
    assert_int_equal(v.sets.count, 2);
    assert_null(v.sets.items[2]);
}

static void test_numbers_are_read_strictly(void **state)
{
    (void)state;
    struct sample v;
    const char *operands[2];
    static const char *const wrong[][2] = {
        {"--share", "0.6"},   {"--share", "-0.1"}, {"--share", "x"},
        {"--share", ""},      {"--share", "0x1"},  {"--share", "nan"},
        {"--share", "1e"},    {"--threads", "0"},  {"--threads", "9"},
        {"--threads", "1.5"}, {"--seed", "-1"},    {"--seed", "9223372036854775808"},
        {"--seed", " 1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (PARSE(&v, operands, "a", "b", wrong[i][0], wrong[i][1]) != EXIT_USAGE) {
            fail_msg("%s \"%s\" was taken", wrong[i][0], wrong[i][1]);
        }
    }
    assert_int_equal(PARSE(&v, operands, "a", "b", "--share", "5e-1"), -1);
    assert_true(v.share == 0.5);
    assert_int_equal(PARSE(&v, operands, "a", "b", "--seed", "9223372036854775807"), -1);
    assert_true(v.seed == INT64_MAX);
}

static void test_faults_are_wrong_usage(void **state)
{
    (void)state;
    struct sample v;
    const char *operands[2];
    assert_int_equal(PARSE(&v, operands, "a"), EXIT_USAGE);
    assert_int_equal(PARSE(&v, operands, "a", "b", "c"), EXIT_USAGE);
    assert_int_equal(PARSE(&v, operands, "a", "b", "--nope"), EXIT_USAGE);
    assert_int_equal(PARSE(&v, operands, "a", "b", "--s", "1"), EXIT_USAGE);
    assert_int_equal(PARSE(&v, operands, "a", "b", "--out"), EXIT_USAGE);
    assert_int_equal(PARSE(&v, operands, "a", "b", "--quick=1"), EXIT_USAGE);
    assert_int_equal(PARSE(&v, operands, "-xyz", "a", "b"), EXIT_USAGE);
}

static void test_an_option_that_shows_ends_the_program(void **state)
{
    (void)state;
    struct sample v;
    const char *operands[2];
    assert_int_equal(PARSE(&v, operands, "--show"), 42);
}

static void test_pollution_is_a_ratio_or_natural(void **state)
{
    (void)state;
    struct selection selection = SELECTION_NONE;
    struct deepsad_split_options how = {0};
    assert_false(selection_given(&selection));
    assert_true(selection_resolve(&how, &selection, 0.01));
    assert_true(how.labeled_anomalies == 0.01 && how.pollution == 0);
    selection.pollution = "natural";
    assert_true(selection_given(&selection) && selection_resolve(&how, &selection, 0));
    assert_true(how.pollution == DEEPSAD_POLLUTION_NATURAL);
    selection.pollution = "0.1";
    assert_true(selection_resolve(&how, &selection, 0) && how.pollution == 0.1);
    for (const char *const *text = (const char *const[]){"1", "-1", "", "x", "nan", NULL};
         *text != NULL; text++) {
        selection.pollution = *text;
        assert_false(selection_resolve(&how, &selection, 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_and_operands_may_be_mixed),
        cmocka_unit_test(test_a_list_grows_and_ends_with_null),
        cmocka_unit_test(test_numbers_are_read_strictly),
        cmocka_unit_test(test_faults_are_wrong_usage),
        cmocka_unit_test(test_an_option_that_shows_ends_the_program),
        cmocka_unit_test(test_pollution_is_a_ratio_or_natural),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
