/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "base/setting.h"
#include "base/setting_yaml.h"

struct sample {
    bool quiet;
    size_t port, limit;
    double timeout, alpha;
    char *name, *token, *steps;
    int mode;
    struct setting_counts hidden;
};

static const char *const modes[] = {"auto", "on", "off", NULL};

/* A text of small letters, digits and what joins steps. */
static int check_steps(const char *text, struct deepsad_error *error)
{
    size_t good = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789:,");
    return text[good] == '\0'
               ? DEEPSAD_OK
               : error_set(error, DEEPSAD_INVALID, "steps: what is \"%s\"?", text + good);
}

#define AT(member) offsetof(struct sample, member)
static const struct setting settings[] = {
    {.key = "quiet", .type = SETTING_BOOL, .offset = AT(quiet), .fallback = "no"},
    {.key = "http.port",
     .type = SETTING_COUNT,
     .offset = AT(port),
     .max = 65535,
     .fallback = "8080"},
    {.key = "http.body_limit",
     .type = SETTING_SIZE,
     .offset = AT(limit),
     .min = 1024,
     .max = 1 << 30,
     .fallback = "8MiB"},
    {.key = "http.timeout",
     .type = SETTING_DURATION,
     .offset = AT(timeout),
     .fallback = "30s"},
    {.key = "alpha",
     .type = SETTING_NUMBER,
     .offset = AT(alpha),
     .min = 1e-6,
     .max = 0.5,
     .fallback = "0.01"},
    {.key = "name", .type = SETTING_TEXT, .offset = AT(name), .fallback = "x"},
    {.key = "token", .type = SETTING_TEXT, .offset = AT(token), .secret = true},
    {.key = "mode",
     .type = SETTING_CHOICE,
     .offset = AT(mode),
     .choices = modes,
     .fallback = "auto"},
    {.key = "hidden",
     .type = SETTING_COUNTS,
     .offset = AT(hidden),
     .max = 1000,
     .fallback = "128,64"},
    {.key = "steps",
     .type = SETTING_TEXT,
     .offset = AT(steps),
     .fallback = "auto",
     .check = check_steps,
     .sequence = true},
};
enum { COUNT = sizeof settings / sizeof settings[0] };
static const struct setting_table table = {settings, COUNT};

struct fixture {
    struct sample values;
    enum setting_source sources[COUNT];
    struct deepsad_error error;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    return settings_init(&f->values, table, f->sources, NULL);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    settings_done(&f->values, table);
    free(f);
    return 0;
}

static int load(struct fixture *f, const char *text)
{
    f->error = (struct deepsad_error){0};
    return settings_load_yaml_text(&f->values, table, "f.yaml", text, strlen(text),
                                   f->sources, &f->error);
}

static int set(struct fixture *f, const char *key, const char *text)
{
    f->error = (struct deepsad_error){0};
    return settings_set(&f->values, table, key, text, SETTING_FLAG, f->sources,
                        &f->error);
}

static void assert_prints(struct fixture *f, size_t index, const char *text)
{
    struct buffer out = {0};
    setting_print(&out, &f->values, table, index);
    char *printed = buffer_take_string(&out);
    assert_string_equal(printed, text);
    free(printed);
}

static void test_defaults_come_from_the_table(void **state)
{
    struct fixture *f = *state;
    assert_false(f->values.quiet);
    assert_int_equal(f->values.port, 8080);
    assert_int_equal(f->values.limit, 8 << 20);
    assert_true(f->values.timeout == 30);
    assert_true(f->values.alpha == 0.01);
    assert_string_equal(f->values.name, "x");
    assert_null(f->values.token);
    assert_int_equal(f->values.hidden.count, 2);
    assert_int_equal(f->values.hidden.values[1], 64);
    assert_int_equal(f->sources[0], SETTING_DEFAULT);
}

static void test_a_file_sets_what_it_names_and_no_more(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "# a comment\nmode: off\nquiet: true\n"
                             "http:\n  port: 0\n  timeout: 500ms\n"
                             "hidden: [32, 16, 8]\nname: \"a: b\"\n"),
                     DEEPSAD_OK);
    assert_int_equal(f->values.mode, 2);
    assert_true(f->values.quiet);
    assert_int_equal(f->values.port, 0);
    assert_true(f->values.timeout == 0.5);
    assert_int_equal(f->values.hidden.count, 3);
    assert_string_equal(f->values.name, "a: b");
    assert_int_equal(f->sources[1], SETTING_FILE);
    assert_int_equal(f->sources[2], SETTING_DEFAULT);
}

static void test_a_sequence_of_steps_is_a_text(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[] = {
        "steps: [conv: 16, pool, conv: 32, pool, dense: 128, rep: 64]\n",
        ("steps:\n  - conv: 16\n  - pool\n  - conv: 32\n  - pool\n  - {dense: 128}\n"
         "  - rep: 64\n"),
        "steps: conv:16,pool,conv:32,pool,dense:128,rep:64\n",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(load(f, cases[i]), DEEPSAD_OK);
        assert_string_equal(f->values.steps,
                            "conv:16,pool,conv:32,pool,dense:128,rep:64");
    }
}

static void test_a_choice_of_on_and_off_takes_other_words_for_them(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, "mode: true\n"), DEEPSAD_OK);
    assert_int_equal(f->values.mode, 1);
    assert_int_equal(set(f, "mode", "no"), DEEPSAD_OK);
    assert_int_equal(f->values.mode, 2);
}

static void test_an_empty_file_and_an_empty_section_are_fine(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, ""), DEEPSAD_OK);
    assert_int_equal(load(f, "# only this\n"), DEEPSAD_OK);
    assert_int_equal(load(f, "---\n"), DEEPSAD_OK);
    assert_int_equal(load(f, "http:\n"), DEEPSAD_OK);
    assert_int_equal(load(f, "{}"), DEEPSAD_OK);
}

static void test_each_fault_of_a_file_is_named_with_its_place(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][2] = {
        {"quiet: no\nmod: on\n",
         "f.yaml:2:1: unknown key \"mod\"; did you mean \"mode\"?"},
        {"http:\n  prot: 1\n", "f.yaml:2:3: unknown key \"http.prot\"; did you mean"},
        {"port: 1\n", "f.yaml:1:1: unknown key \"port\"; did you mean \"http.port\"?"},
        {"zebra: 1\n", "f.yaml:1:1: unknown key \"zebra\""},
        {"htpp:\n  port: 1\n",
         "f.yaml:1:1: unknown section \"htpp\"; did you mean \"http\""},
        {"http:\n  port: many\n",
         "f.yaml:2:9: http.port: expected a whole number from 0"},
        {"http:\n  port: 65536\n", "from 0 to 65535, not \"65536\""},
        {"http: {port: 1.5}\n", "f.yaml:1:14: http.port"},
        {"http:\n  port: \"80\"\n",
         "f.yaml:2:9: http.port: expected a whole number, not a "
         "text; write it without quotes"},
        {"http:\n  timeout: 30\n",
         "f.yaml:2:12: http.timeout: expected a time with its unit"},
        {"http:\n  body_limit: 5MB\n", "f.yaml:2:15: http.body_limit: expected a size"},
        {"alpha: 0.6\n", "f.yaml:1:8: alpha: expected a number from 1e-06 to 0.5"},
        {"alpha: .inf\n", "f.yaml:1:8: alpha"},
        {"mode: maybe\n",
         "f.yaml:1:7: mode: expected one of auto, on, off, not \"maybe\""},
        {"mode: [on]\n", "f.yaml:1:7: mode: expected one value, not a sequence"},
        {"name:\n", "f.yaml:1:6: name: has no value"},
        {"quiet: no\nquiet: no\n", "f.yaml:2:1: key \"quiet\" stands here a second time"},
        {"http:\n  port: 1\nhttp:\n  port: 2\n", "f.yaml:3:1: section \"http\" stands"},
        {"http: 5\n", "f.yaml:1:1: http: is a section"},
        {"name:\n  a: 1\n", "f.yaml:1:1: name: expected a value, not a section"},
        {"http:\n  port:\n    a: 1\n", "f.yaml:3:5: sections are only one deep"},
        {"hidden: [1, [2]]\n", "f.yaml:1:13: expected a plain value"},
        {"steps: [a, b C]\n", "f.yaml:1:8: steps: what is \" C\"?"},
        {"steps:\n  - a: 1\n    b: 2\n", "f.yaml:3:5: expected one \"name: value\""},
        {"steps: [a: [1]]\n", "f.yaml:1:12: expected a plain value behind the name"},
        {"steps: [[a]: 1]\n", "f.yaml:1:9: expected"},
        {"steps: [{}]\n", "f.yaml:1:10: expected one \"name: value\""},
        {"steps: [a: &x 1]\n", "f.yaml:1:12: anchors"},
        {"steps: [a: \"\\0\"]\n", "f.yaml:1:12: expected a plain value"},
        {"hidden: [a: 1]\n", "f.yaml:1:9: hidden: expected whole numbers"},
        {"hidden: [1, 2000]\n", "f.yaml:1:9: hidden: expected whole numbers separated"},
        {"? [a]\n: 1\n", "f.yaml:1:3: expected a key"},
        {"- a\n", "f.yaml:1:1: expected lines of the form"},
        {"just text\n", "f.yaml:1:1: expected lines of the form"},
        {"name: &a b\n", "f.yaml:1:7: anchors"},
        {"name: *a\n", "f.yaml:1:7: anchors"},
        {"name: !!str 5\n", "f.yaml:1:7: anchors"},
        {"quiet: no\n---\nquiet: no\n", "f.yaml:2:1: only one document"},
        {"name: \"open\n", "f.yaml:2:1: "},
        {"quiet: no\n\tname: x\n", "f.yaml:2:1: "},
        {"quiet: no\nname: \xff\n", "f.yaml:2:7: "},
        {"name: \"a\\0b\"\n", "f.yaml:1:7: the value holds a NUL byte"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(load(f, cases[i][0]), DEEPSAD_INVALID);
        assert_error_says(f->error, cases[i][1]);
    }
}

static void test_a_missing_file_is_not_found(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        settings_load_yaml(&f->values, table, "/nonexistent/f.yaml", NULL, &f->error),
        DEEPSAD_NOT_FOUND);
    assert_error_says(f->error, "/nonexistent/f.yaml");
}

static void test_values_are_read_strictly(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[][2] = {
        {"quiet", "maybe"},
        {"quiet", ""},
        {"http.port", "-1"},
        {"http.port", "+1"},
        {"http.port", ""},
        {"http.port", " 1"},
        {"http.port", "0x10"},
        {"http.body_limit", ""},
        {"http.body_limit", "1.5"},
        {"http.timeout", "s"},
        {"http.timeout", "-1s"},
        {"http.timeout", "1e3s"},
        {"http.timeout", "1.s2"},
        {"alpha", "nan"},
        {"alpha", "0.1x"},
        {"alpha", "0,1"},
        {"hidden", "1,"},
        {"hidden", "1 2"},
        {"hidden", ",1"},
        {"hidden", "1,2,3,4,5,6,7,8,9"},
        {"mode", "ON"},
        {"http.port", "99999999999999999999999"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (set(f, wrong[i][0], wrong[i][1]) != DEEPSAD_INVALID) {
            fail_msg("%s = \"%s\" was taken", wrong[i][0], wrong[i][1]);
        }
        assert_error_says(f->error, wrong[i][0]);
    }
}

static void test_units_scale_values(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "http.body_limit", "1.5 KiB"), DEEPSAD_OK);
    assert_int_equal(f->values.limit, 1536);
    assert_int_equal(set(f, "http.timeout", "2h"), DEEPSAD_OK);
    assert_true(f->values.timeout == 7200);
    assert_int_equal(set(f, "http.timeout", "1.5m"), DEEPSAD_OK);
    assert_true(f->values.timeout == 90);
    assert_int_equal(set(f, "hidden", "7, 8"), DEEPSAD_OK);
    assert_int_equal(f->values.hidden.values[1], 8);
    assert_int_equal(f->sources[3], SETTING_FLAG);
}

static void test_a_wrong_value_leaves_the_old_one(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "hidden", "1,2,x"), DEEPSAD_INVALID);
    assert_int_equal(f->values.hidden.count, 2);
    assert_int_equal(f->sources[8], SETTING_DEFAULT);
}

static void test_what_is_printed_reads_back(void **state)
{
    struct fixture *f = *state;
    static const char *const cases[][3] = {
        {"0", "quiet", "on"},
        {"1", "http.port", "65535"},
        {"2", "http.body_limit", "1025B"},
        {"2", "http.body_limit", "3MiB"},
        {"3", "http.timeout", "250ms"},
        {"3", "http.timeout", "0s"},
        {"3", "http.timeout", "90s"},
        {"3", "http.timeout", "2h"},
        {"3", "http.timeout", "0.1ms"},
        {"4", "alpha", "0.1"},
        {"4", "alpha", "1e-05"},
        {"4", "alpha", "0.3333333333333333"},
        {"5", "name", "a b"},
        {"7", "mode", "off"},
        {"8", "hidden", "1,2,3"},
        {"8", "hidden", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(set(f, cases[i][1], cases[i][2]), DEEPSAD_OK);
        assert_prints(f, (size_t)atoi(cases[i][0]), cases[i][2]);
    }
}

static void test_a_secret_is_never_shown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(set(f, "token", "hunter2"), DEEPSAD_OK);
    assert_string_equal(f->values.token, "hunter2");
    assert_prints(f, 6, "(secret)");
}

static int load_variables(struct fixture *f, const char *variable)
{
    char *copy = strdup(variable);
    char *environment[] = {(char[]){"PATH=/bin"}, copy, NULL};
    f->error = (struct deepsad_error){0};
    int status = settings_load_environment(&f->values, table, "DEEPSADD", environment,
                                           f->sources, &f->error);
    free(copy);
    return status;
}

static void test_environment_sets_values_by_upper_case_names(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load_variables(f, "DEEPSADD_HTTP_BODY_LIMIT=2KiB"), DEEPSAD_OK);
    assert_int_equal(f->values.limit, 2048);
    assert_int_equal(f->sources[2], SETTING_ENVIRONMENT);
    assert_int_equal(load_variables(f, "DEEPSADDER=2KiB"), DEEPSAD_OK);
    assert_int_equal(load_variables(f, "DEEPSADD_HTTP_PROT=1"), DEEPSAD_INVALID);
    assert_error_says(f->error, "DEEPSADD_HTTP_PROT: no such setting; did you mean "
                                "DEEPSADD_HTTP_PORT?");
    assert_int_equal(load_variables(f, "DEEPSADD_HTTP_PORT=x"), DEEPSAD_INVALID);
    assert_error_says(f->error, "environment variable DEEPSADD_HTTP_PORT: http.port");
}

/* A unit cannot follow an exponent. */
static void test_no_exponent_is_printed_before_a_unit(void **state)
{
    static const struct setting open[] = {
        {.key = "s", .type = SETTING_SIZE, .offset = AT(limit), .fallback = "0"},
        {.key = "t", .type = SETTING_DURATION, .offset = AT(timeout), .fallback = "0s"}};
    static const char *const cases[][3] = {{"s", "4440001716246370", "4440001716246370B"},
                                           {"t", "0.00001ms", "0.00001ms"},
                                           {"t", "0.0000001ms", "0s"},
                                           {"t", "59.9999999999s", "1m"}};
    struct setting_table table_open = {open, 2};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sample values = {.port = 0};
        struct buffer out = {0};
        assert_int_equal(settings_set(&values, table_open, cases[i][0], cases[i][1],
                                      SETTING_FILE, NULL, NULL),
                         DEEPSAD_OK);
        setting_print(&out, &values, table_open, cases[i][0][0] == 't');
        buffer_append(&out, "", 1);
        assert_string_equal(out.data, cases[i][2]);
        buffer_done(&out);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults_come_from_the_table),
        TEST(test_a_file_sets_what_it_names_and_no_more),
        TEST(test_a_sequence_of_steps_is_a_text),
        TEST(test_a_choice_of_on_and_off_takes_other_words_for_them),
        TEST(test_an_empty_file_and_an_empty_section_are_fine),
        TEST(test_each_fault_of_a_file_is_named_with_its_place),
        TEST(test_a_missing_file_is_not_found),
        TEST(test_values_are_read_strictly),
        TEST(test_units_scale_values),
        TEST(test_a_wrong_value_leaves_the_old_one),
        TEST(test_what_is_printed_reads_back),
        TEST(test_no_exponent_is_printed_before_a_unit),
        TEST(test_a_secret_is_never_shown),
        TEST(test_environment_sets_values_by_upper_case_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
