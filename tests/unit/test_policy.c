/* SPDX-License-Identifier: Apache-2.0 */
#include "../folder.h"
#include "../testing.h"

#include "base/buffer.h"
#include "base/file.h"
#include "model/policy.h"

static void write_text(void **state, const char *text)
{
    char path[FOLDER_PATH];
    folder_path(path, state, "model.yaml");
    assert_int_equal(file_replace(path, text, strlen(text), NULL), DEEPSAD_OK);
}

static void without_a_file_the_defaults_hold(void **state)
{
    struct policy policy;
    assert_int_equal(policy_read(&policy, *state, NULL), DEEPSAD_OK);
    assert_near(policy.alpha, 0.01, 1e-12);
    assert_int_equal(policy.capture, POLICY_CAPTURE_REQUESTED);
    assert_int_equal(policy.retraining.mode, POLICY_AUTO);
    assert_int_equal(policy.retraining.min_labels, 10);
    assert_true(policy.retraining.interval == 0);
    assert_near(policy.retraining.traffic, 0.5, 1e-12);
    assert_int_equal(policy.retraining.rows, 10000);
    assert_near(policy.retraining.deadline, 600, 1e-12);
    assert_near(policy.gate.auc_loss, 0.03, 1e-12);
    assert_near(policy.gate.rank_correlation, 0.85, 1e-12);
    assert_near(policy.gate.implausible_p, 0.2, 1e-12);
    assert_int_equal(policy.gate.implausible, 3);
    assert_true(policy.batching.delay == 0); /* off */
    assert_int_equal(policy.batching.rows, 64);
}

static void every_key_is_read(void **state)
{
    struct policy policy;
    write_text(state,
               "alpha: 0.05\ncapture: all\nretraining:\n  mode: manual\n  min_labels: 3\n"
               "  interval: 24h\n  traffic: 0.25\n  rows: 500\n  deadline: 90s\ngate:\n"
               "  auc_loss: 0.1\n  rank_correlation: 0.5\n  implausible_p: 0.3\n"
               "  implausible: 0\nbatching:\n  delay: 0.5ms\n  rows: 16\n");
    assert_int_equal(policy_read(&policy, *state, NULL), DEEPSAD_OK);
    assert_int_equal(policy.capture, POLICY_CAPTURE_ALL);
    assert_int_equal(policy.retraining.mode, POLICY_MANUAL);
    assert_int_equal(policy.retraining.min_labels, 3);
    assert_near(policy.retraining.interval, 86400, 1e-12);
    assert_near(policy.retraining.traffic, 0.25, 1e-12);
    assert_int_equal(policy.retraining.rows, 500);
    assert_near(policy.retraining.deadline, 90, 1e-12);
    assert_near(policy.gate.rank_correlation, 0.5, 1e-12);
    assert_int_equal(policy.gate.implausible, 0);
    assert_near(policy.batching.delay, 0.0005, 1e-12);
    assert_int_equal(policy.batching.rows, 16);
}

static void each_fault_names_file_line_and_key(void **state)
{
    static const char *const texts[][2] = {
        {"alpha: 0\n", "model.yaml:1"},
        {"retraining:\n  mode: sometimes\n", "auto, manual, never"},
        {"retraining:\n  min_labels: 0\n", "model.yaml:2"},
        {"retraining:\n  interval: 3\n", "a time with its unit"},
        {"retraining:\n  mod: auto\n", "retraining.mode"},
        {"gate:\n  rank_correlation: 2\n", "from -1 to 1"},
        {"batching:\n  delay: 5\n", "a time with its unit"},
        {"batching:\n  delay: 2s\n", "from 0s to 1s"},
        {"batching:\n  rows: 1\n", "from 2 to 4096"},
        {"alpha: 0.1\nalpha: 0.2\n", "model.yaml:2"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct policy policy;
        struct deepsad_error error = {0};
        write_text(state, texts[i][0]);
        assert_int_equal(policy_read(&policy, *state, &error), DEEPSAD_INVALID);
        assert_error_says(error, texts[i][1]);
    }
}

static void what_is_written_reads_back_and_explains_itself(void **state)
{
    char path[FOLDER_PATH];
    struct policy policy, read;
    struct buffer text = {0};
    policy_defaults(&policy);
    policy.alpha = 0.033;
    policy.retraining.mode = POLICY_MANUAL;
    policy.retraining.interval = 5400;
    policy.gate.implausible = 7;
    policy.batching.delay = 0.0002;
    assert_int_equal(policy_write_new(&policy, *state, NULL), DEEPSAD_OK);
    assert_int_equal(policy_read(&read, *state, NULL), DEEPSAD_OK);
    assert_near(read.alpha, 0.033, 1e-12);
    assert_int_equal(read.retraining.mode, POLICY_MANUAL);
    assert_near(read.retraining.interval, 5400, 1e-12);
    assert_near(read.retraining.deadline, 600, 1e-12);
    assert_int_equal(read.gate.implausible, 7);
    assert_near(read.batching.delay, 0.0002, 1e-12);
    folder_path(path, state, "model.yaml");
    assert_int_equal(file_read(&text, path, 1 << 16, NULL), DEEPSAD_OK);
    char *string = buffer_take_string(&text);
    assert_non_null(strstr(string, "# False-alarm budget"));
    assert_non_null(strstr(string, "interval: 90m"));
    assert_non_null(strstr(string, "delay: 0.2ms"));
    for (char *line = strtok(string, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_true(strlen(line) <= 80);
    }
    free(string);
}

static void a_policy_that_is_there_is_never_overwritten(void **state)
{
    struct policy policy;
    write_text(state, "alpha: 0.2\n");
    policy_defaults(&policy);
    assert_int_equal(policy_write_new(&policy, *state, NULL), DEEPSAD_OK);
    assert_int_equal(policy_read(&policy, *state, NULL), DEEPSAD_OK);
    assert_near(policy.alpha, 0.2, 1e-12);
}

#define WITH_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(without_a_file_the_defaults_hold),
        WITH_FOLDER(every_key_is_read),
        WITH_FOLDER(each_fault_names_file_line_and_key),
        WITH_FOLDER(what_is_written_reads_back_and_explains_itself),
        WITH_FOLDER(a_policy_that_is_there_is_never_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
