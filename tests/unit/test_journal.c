/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/journal_rows.h"

#include "../folder.h"
#include "../testing.h"
#include "model/model.h"
#include "tool/journal_csv.h"
#include "tool/journal_json.h"

/* A model of two features, amount and hour, that scores nothing. */
static struct deepsad_model *new_model(void)
{
    char amount[] = "amount", hour[] = "hour";
    char *names[] = {amount, hour};
    struct deepsad_model *model = NULL;
    struct deepsad_error error = {0};
    if (model_new(&model, 2, names, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return model;
}

static int read_text(struct journal_rows *rows, void **state, const char *name,
                     const char *text, struct deepsad_error *error)
{
    char path[FOLDER_PATH];
    FILE *file = fopen(folder_path(path, state, name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
    struct deepsad_model *model = new_model();
    journal_rows_init(rows, path, model);
    int status = journal_rows_read(rows, error);
    rows->path = NULL;
    return status;
}

static void drop(struct journal_rows *rows)
{
    deepsad_model_unref((struct deepsad_model *)(uintptr_t)rows->model);
    journal_rows_done(rows);
}

static void assert_refused(void **state, const char *name, const char *text,
                           const char *message)
{
    struct journal_rows rows;
    struct deepsad_error error = {0};
    assert_int_equal(read_text(&rows, state, name, text, &error), DEEPSAD_INVALID);
    assert_error_says(error, message);
    drop(&rows);
}

static void assert_row(const struct journal_rows *rows, size_t row,
                       enum store_verdict verdict, const char *sample_id, float amount)
{
    assert_int_equal(rows->rows[row].verdict, verdict);
    const char *id = rows->rows[row].texts[JOURNAL_SAMPLE_ID];
    assert_string_equal(id == NULL ? "" : id, sample_id);
    assert_true(isnan(amount) ? isnan(rows->x[2 * row]) : rows->x[2 * row] == amount);
}

/* ---- CSV --------------------------------------------------------------------------- */

static void csv_columns_come_in_any_order(void **state)
{
    struct journal_rows rows;
    struct deepsad_error error = {0};
    assert_int_equal(read_text(&rows, state, "a.csv",
                               "hour,verdict,amount,note,sample_id\n"
                               "3,normal,1.5,\"a, \"\"b\"\"\",s-1\n"
                               ",unsure,,,s-2\n"
                               "4,anomalous,,,\n",
                               &error),
                     DEEPSAD_OK);
    assert_int_equal(rows.count, 3);
    assert_row(&rows, 0, STORE_NORMAL, "s-1", 1.5F);
    assert_string_equal(rows.rows[0].texts[JOURNAL_NOTE], "a, \"b\"");
    assert_row(&rows, 1, STORE_UNSURE, "s-2", NAN);
    assert_false(rows.rows[1].features);
    assert_row(&rows, 2, STORE_ANOMALOUS, "", NAN);
    assert_true(rows.rows[2].features);
    drop(&rows);
}

static void csv_headers_that_mislead_are_refused(void **state)
{
    assert_refused(state, "a.csv", "", "the file is empty");
    assert_refused(state, "a.csv", "verdict,hours\nnormal,1\n",
                   "a.csv:1:9: column \"hours\" is neither a feature of the model nor a "
                   "member of a label (did you mean hour?)");
    assert_refused(state, "a.csv", "verdict,verdict\n", "\"verdict\" is there twice");
    assert_refused(state, "a.csv", "verdict,sample_id,hour\n",
                   "no column for the feature \"amount\"");
}

static void csv_rows_that_are_wrong_are_named_by_line_and_column(void **state)
{
    assert_refused(state, "a.csv", "sample_id,verdict\ns-1,normal\ns-2,bad\n",
                   "a.csv:3:5: expected normal, anomalous or unsure, not \"bad\"");
    assert_refused(state, "a.csv", "sample_id,verdict\ns 1,normal\n",
                   "a.csv:2:1: expected 1 to 64 letters, digits or . _ : -");
    assert_refused(state, "a.csv", "sample_id,verdict\ns-1,\n",
                   "a.csv:2:1: the verdict is missing");
    assert_refused(state, "a.csv", "sample_id,verdict\n,normal\n",
                   "a.csv:2:1: of which sample?");
    assert_refused(state, "a.csv", "verdict,amount,hour\nnormal,1,1e99\n",
                   "a.csv:2:10: \"1e99\" of feature \"hour\"");
    assert_refused(state, "a.csv", "sample_id,verdict\ns-1,normal,3\n",
                   "a.csv:2:1: the row has more than 2 fields");
}

/* ---- JSON lines -------------------------------------------------------------------- */

static void json_lines_take_features_as_array_or_object(void **state)
{
    struct journal_rows rows;
    struct deepsad_error error = {0};
    assert_int_equal(read_text(&rows, state, "a.jsonl",
                               "{\"features\": [1.5, null], \"verdict\": \"normal\"}\n\n"
                               "{\"features\": {\"hour\": 3}, \"verdict\": \"unsure\"}\n"
                               "{\"sample_id\": \"s\", \"verdict\": \"anomalous\"}",
                               &error),
                     DEEPSAD_OK);
    assert_int_equal(rows.count, 3);
    assert_row(&rows, 0, STORE_NORMAL, "", 1.5F);
    assert_row(&rows, 1, STORE_UNSURE, "", NAN);
    assert_true(rows.rows[1].features);
    assert_row(&rows, 2, STORE_ANOMALOUS, "s", NAN);
    drop(&rows);
}

static void json_lines_that_are_wrong_are_named(void **state)
{
    assert_refused(state, "a.jsonl", "\n{\"verdict\": }\n", "a.jsonl:2:");
    assert_refused(state, "a.jsonl", "[1]\n", "a.jsonl:1:1: expected an object");
    assert_refused(state, "a.jsonl", "{\"verdict\": \"normal\", \"who\": \"kim\"}\n",
                   "a label has no member \"who\"");
    assert_refused(state, "a.jsonl", "{\"verdict\": \"normal\", \"features\": [1]}\n",
                   "1 features; the model has 2");
    assert_refused(state, "a.jsonl",
                   "{\"verdict\": \"normal\", \"features\": [1, 1e99]}\n",
                   "feature \"hour\" is not a number within the range of a float");
    assert_refused(state, "a.jsonl", "{\"verdict\": 1, \"sample_id\": \"s\"}\n",
                   "verdict is not a string");
    assert_refused(state, "a.txt", "", "files that end in .csv or .jsonl");
}

/* ---- There and back ---------------------------------------------------------------- */

static struct store_label sample_label(void)
{
    static char analyst[] = "kim", note[] = "\"so\",\nit is \xc3\xa4";
    return (struct store_label){.id = "l-1",
                                .sample_id = "s-1",
                                .verdict = STORE_ANOMALOUS,
                                .analyst = analyst,
                                .note = note,
                                .created_at_ms = 1};
}

static void assert_comes_back(void **state, const char *name, struct buffer *text)
{
    struct journal_rows rows;
    struct deepsad_error error = {0};
    char *string = buffer_take_string(text);
    assert_int_equal(read_text(&rows, state, name, string, &error), DEEPSAD_OK);
    free(string);
    assert_int_equal(rows.count, 1);
    assert_row(&rows, 0, STORE_ANOMALOUS, "s-1", 0.1F);
    assert_true(isnan(rows.x[1]));
    assert_string_equal(rows.rows[0].texts[JOURNAL_ID], "l-1");
    assert_string_equal(rows.rows[0].texts[JOURNAL_NOTE], sample_label().note);
    assert_null(rows.rows[0].texts[JOURNAL_REASON]);
    assert_null(rows.rows[0].texts[JOURNAL_WITHDRAWN_AT]);
    drop(&rows);
}

static void what_is_written_is_read_again(void **state)
{
    const float x[] = {0.1F, NAN};
    const struct store_label label = sample_label();
    struct deepsad_model *model = new_model();
    struct buffer text = {0};
    journal_csv_header(&text, model);
    journal_csv_append(&text, &label, x, 2);
    assert_comes_back(state, "a.csv", &text);
    journal_json_append(&text, &label, x, 2);
    assert_comes_back(state, "a.jsonl", &text);
    deepsad_model_unref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_columns_come_in_any_order),
        cmocka_unit_test(csv_headers_that_mislead_are_refused),
        cmocka_unit_test(csv_rows_that_are_wrong_are_named_by_line_and_column),
        cmocka_unit_test(json_lines_take_features_as_array_or_object),
        cmocka_unit_test(json_lines_that_are_wrong_are_named),
        cmocka_unit_test(what_is_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
