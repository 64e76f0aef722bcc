/* SPDX-License-Identifier: Apache-2.0 */
#include "data/csv.h"

#include "../files.h"
#include "base/number.h"
#include "data/field.h"
#include "nn/rng.h"

/* ---- Reading from a text ---- */

static int read_bytes(struct deepsad_dataset *out, const char *text, size_t length,
                      const struct deepsad_read_options *options,
                      struct deepsad_error *error)
{
    struct stream stream;
    stream_open_memory(&stream, "t.csv", text, length);
    int status = csv_read(out, &stream, options, error);
    stream_close(&stream);
    return status;
}

static struct deepsad_dataset read_text(const char *text,
                                        const struct deepsad_read_options *options)
{
    struct deepsad_dataset data = {0};
    struct deepsad_error error = {0};
    if (read_bytes(&data, text, strlen(text), options, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    return data;
}

static void assert_bytes_refused(const char *text, size_t length,
                                 const struct deepsad_read_options *options,
                                 const char *message)
{
    struct deepsad_dataset data = {.rows = 77};
    struct deepsad_error error = {0};
    assert_int_equal(read_bytes(&data, text, length, options, &error), DEEPSAD_INVALID);
    if (strstr(error.message, message) != error.message) {
        fail_msg("\"%s\" does not start with \"%s\"", error.message, message);
    }
    assert_int_equal(data.rows, 77); /* untouched */
}

static void assert_refused(const char *text, const struct deepsad_read_options *options,
                           const char *message)
{
    assert_bytes_refused(text, strlen(text), options, message);
}

static void assert_values(const char *text, size_t rows, size_t features,
                          const float *values)
{
    struct deepsad_dataset data = read_text(text, NULL);
    assert_int_equal(data.rows, rows);
    assert_int_equal(data.features, features);
    for (size_t i = 0; i < rows * features; i++) {
        if (isnan(values[i]) ? !isnan(data.x[i]) : !(data.x[i] == values[i])) {
            fail_msg("value %zu of \"%s\" is %g", i, text, (double)data.x[i]);
        }
    }
    deepsad_dataset_clear(&data);
}

/* ---- What is read ---- */

static void every_line_end_gives_the_same_rows(void **state)
{
    (void)state;
    const float values[] = {1, 2, 3, 4};
    const char *texts[] = {"a,b\n1,2\n3,4\n",
                           "a,b\n1,2\n3,4",
                           "a,b\r\n1,2\r\n3,4\r\n",
                           "a,b\r\n1,2\n3,4\r\n",
                           "a,b\r\n1,2\r\n3,4",
                           "\n\r\na,b\n\n1,2\n\n\r\n3,4\n\n\n",
                           "\xef\xbb\xbf"
                           "a,b\n1,2\n3,4\n",
                           "1,2\n3,4\n",
                           "\xef\xbb\xbf"
                           "1,2\r\n3,4"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_values(texts[i], 2, 2, values);
    }
}

static void numbers_of_other_programs_are_read(void **state)
{
    (void)state;
    assert_values("1,+1,01,.5,5.,-1e-3,1E2\n", 1, 7,
                  (const float[]){1, 1, 1, 0.5f, 5, -1e-3f, 100});
}

static void blanks_and_quotes_around_numbers_do_not_matter(void **state)
{
    (void)state;
    assert_values(" 1 ,\t2\t,\"3\", \"4\" \n\"5\",6,  7,8", 2, 4,
                  (const float[]){1, 2, 3, 4, 5, 6, 7, 8});
}

static void empty_cells_and_nan_are_missing(void **state)
{
    (void)state;
    assert_values("a,b,c\n,nan,NaN\n1,NAN,\n \t,\"\",nan\n", 3, 3,
                  (const float[]){NAN, NAN, NAN, 1, NAN, NAN, NAN, NAN, NAN});
    assert_values("1,\n,2\n", 2, 2, (const float[]){1, NAN, NAN, 2});
}

static void a_first_row_with_any_text_is_the_header(void **state)
{
    (void)state;
    struct deepsad_dataset data = read_text("1,x\n3,4\n", NULL);
    assert_int_equal(data.rows, 1);
    assert_string_equal(data.names[0], "1");
    assert_string_equal(data.names[1], "x");
    deepsad_dataset_clear(&data);
    data = read_text("1,2\n3,4\n", NULL);
    assert_int_equal(data.rows, 2);
    assert_null(data.names);
    deepsad_dataset_clear(&data);
}

static void quoted_names_hold_commas_quotes_and_line_ends(void **state)
{
    (void)state;
    struct deepsad_dataset data = read_text(
        "\"a,b\",\"say \"\"x\"\"\",\"two\r\nlines\",\" e \"\r\n1,2,3,4\r\n", NULL);
    assert_string_equal(data.names[0], "a,b");
    assert_string_equal(data.names[1], "say \"x\"");
    assert_string_equal(data.names[2], "two\r\nlines");
    assert_string_equal(data.names[3], " e ");
    deepsad_dataset_clear(&data);
}

static void assert_labels(const char *text, const struct deepsad_read_options *options,
                          const signed char *labels, size_t rows)
{
    struct deepsad_dataset data = read_text(text, options);
    assert_int_equal(data.rows, rows);
    assert_memory_equal(data.labels, labels, rows);
    deepsad_dataset_clear(&data);
}

static void labels_are_read_from_their_column(void **state)
{
    (void)state;
    const signed char labels[] = {1, -1, 0};
    assert_labels("a,label\n1,normal\n2,anomalous\n3,\n", NULL, labels, 3);
    assert_labels("label,a\nnormal,1\nanomalous,2\n,3\n", NULL, labels, 3);
    assert_labels("a,b\n1,2\n", NULL, (const signed char[]){0}, 1);
    struct deepsad_read_options options = {.label_column = "y"};
    assert_labels("a,y,b\n1,normal,9\n2,\"anomalous\",9\n3, ,9\n", &options, labels, 3);
}

static void other_spellings_of_labels_come_from_the_map(void **state)
{
    (void)state;
    struct deepsad_read_options options = {.label_map =
                                               "0=normal,1=anomalous,?=unlabeled"};
    assert_labels("a,label\n5,0\n5,1\n5,?\n5,normal\n5,\n", &options,
                  (const signed char[]){1, -1, 0, 1, 0}, 5);
}

static void ignored_columns_are_no_features(void **state)
{
    (void)state;
    const char *ignore[] = {"id", "", NULL};
    struct deepsad_read_options options = {.ignore = ignore};
    struct deepsad_dataset data =
        read_text(",id,a,label\n0,row one,5,normal\n1,\"x,y\",6,\n", &options);
    assert_int_equal(data.features, 1);
    assert_string_equal(data.names[0], "a");
    assert_true(data.x[0] == 5 && data.x[1] == 6);
    assert_int_equal(data.labels[0], 1);
    deepsad_dataset_clear(&data);
}

static void a_label_column_without_a_purpose_can_be_ignored(void **state)
{
    (void)state;
    const char *ignore[] = {"label", NULL};
    struct deepsad_read_options options = {.ignore = ignore};
    assert_labels("a,label\n1,whatever\n", &options, (const signed char[]){0}, 1);
}

/* ---- What is refused, and how it is said ---- */

static void faults_of_cells_name_line_column_and_way_out(void **state)
{
    (void)state;
    assert_refused(
        "age,b\n1,2\n3,x y\n", NULL,
        "t.csv:3:3: `x y` in column 2 (`b`) is not a number; encode the column "
        "as numbers or leave it out (--ignore COLUMN)");
    assert_refused("1,2\n3,?\n", NULL, "t.csv:2:3: `?` in column 2 is not a number");
    assert_refused("a\n-inf\n", NULL, "t.csv:2:1: `-inf` in column 1 (`a`) is infinite");
    assert_refused("1,2\n3,Infinity\n", NULL, "t.csv:2:3: `Infinity` in column 2 is inf");
    assert_refused("1,inf\n", NULL, "t.csv:1:3: `inf` in column 2 is infinite");
    assert_refused("a,b\n1,1e39\n", NULL,
                   "t.csv:2:3: `1e39` in column 2 (`b`) is beyond the range of a float");
    assert_refused("a,b\n 1.5, 0x10\n", NULL, "t.csv:2:7: `0x10`");
    assert_refused("a,b\n1,2 3\n", NULL, "t.csv:2:3: `2 3`");
    assert_refused("\"a\nb\",c\n1,\"x\"\n", NULL, "t.csv:3:3: `x` in column 2 (`c`)");
    assert_refused("a,b\n1,1.2.3\n", NULL, "t.csv:2:3: `1.2.3`");
}

static void ragged_rows_are_refused(void **state)
{
    (void)state;
    assert_refused("a,b\n1,2\n\n3\n", NULL,
                   "t.csv:4:1: the row has 1 field, the first row has 2");
    assert_refused("a,b\n1,2,3\n", NULL, "t.csv:2:1: the row has more than 2 fields");
    assert_refused("a,b\n1,2,\n", NULL, "t.csv:2:1: the row has more than 2 fields");
    assert_refused("1,2,3\n4,5", NULL, "t.csv:2:1: the row has 2 fields");
}

static void headers_that_would_mislead_are_refused(void **state)
{
    (void)state;
    assert_refused("a,b,a\n1,2,3\n", NULL, "t.csv:1:5: the name `a` is there twice");
    assert_refused(",a\n0,1\n", NULL, "t.csv:1:1: the name `` is empty (a row number?)");
    assert_refused("1,2,normal\n3,4,normal\n", NULL,
                   "t.csv:1:5: the name `normal` is a label among numbers: the file has "
                   "no header");
    assert_refused("a,\xe4\n1,2\n", NULL, "t.csv:1:3: the name `");
    assert_refused("label\nnormal\n", NULL, "t.csv:1:1: no column is left as a feature");
    assert_refused("a;b\n1;2\n", NULL,
                   "t.csv:1:2: the fields seem to be separated by semicolons");
    assert_refused("a\tb\n1\t2\n", NULL,
                   "t.csv:1:2: the fields seem to be separated by tabs");
}

static void columns_that_are_not_there_are_refused(void **state)
{
    (void)state;
    struct deepsad_read_options options = {.label_column = "y"};
    assert_refused(
        "a,b\n1,2\n", &options,
        "t.csv:1:1: there is no column `y` of labels; the first of the columns is `a`");
    assert_refused("1,2\n", &options, "t.csv:1:1: there is no header row");
    options.label_column = "clas";
    assert_refused(
        "a,class\n1,2\n", &options,
        "t.csv:1:1: there is no column `clas` of labels; did you mean `class`?");
    options = (struct deepsad_read_options){.label_map = "0=normal"};
    assert_refused("a,b\n1,2\n", &options, "t.csv:1:1: there is no column `label`");
    const char *ignore[] = {"a", "z", NULL};
    options = (struct deepsad_read_options){.ignore = ignore};
    assert_refused("a,b\n1,2\n", &options, "t.csv:1:1: there is no column `z` to ignore");
    options.label_column = "a";
    ignore[1] = NULL;
    assert_refused("a,b\n1,2\n", &options, "t.csv:1:1: column `a` is both ignored and");
}

static void labels_of_other_spelling_are_refused(void **state)
{
    (void)state;
    assert_refused("a,label\n1,normal\n2,1\n", NULL,
                   "t.csv:3:3: label `1` is neither normal, anomalous nor empty "
                   "(unlabeled); say what it means: --label-map 1=normal, or =anomalous");
    assert_refused("a,label\n1,Normal\n", NULL, "t.csv:2:3: label `Normal`");
    assert_refused("a,label\n1,unlabeled\n", NULL, "t.csv:2:3: label `unlabeled`");
    struct deepsad_read_options options = {.label_map = "0=normal"};
    assert_refused("a,label\n1,1\n", &options, "t.csv:2:3: label `1`");
    options.label_map = "0=normal,1:anomalous";
    assert_refused("a,label\n1,0\n", &options,
                   "label map: `1:anomalous` is not SPELLING=CLASS");
    options.label_map = "0=good";
    assert_refused("a,label\n1,0\n", &options, "label map: `0=good` is not");
    options.label_map = "0=normal,1=anomalous,0=anomalous";
    assert_refused("a,label\n1,0\n", &options, "label map: `0` stands in it twice");
}

static void damaged_files_are_refused(void **state)
{
    (void)state;
    assert_refused("", NULL, "t.csv: the file is empty");
    assert_refused("\n\r\n", NULL, "t.csv: the file is empty");
    assert_refused("a,b\n", NULL, "t.csv: a header and no rows of data");
    assert_refused("a,b\r1,2\r", NULL,
                   "t.csv:1:4: a carriage return without a line feed");
    assert_refused("a,b\n1,2\r", NULL,
                   "t.csv:2:4: a carriage return without a line feed");
    assert_refused("a,b\n\r1,2\n", NULL, "t.csv:2:1: a carriage return without");
    assert_refused("a,b\n1,\"2\n3,4\n", NULL, "t.csv:2:3: a quote that is never closed");
    assert_refused("a,b\n1,\"2\"x\n", NULL, "t.csv:2:6: text behind the closing quote");
    assert_refused("a,b\n1,2\"\n", NULL, "t.csv:2:4: a quote inside a field");
    assert_refused("\xff\xfe", NULL, "t.csv:1:1: the file is UTF-16");
    assert_bytes_refused("a,b\n1,2\0\n", 9, NULL, "t.csv:2:4: a NUL byte");
    assert_bytes_refused("a,b\n1,\"\0\"\n", 10, NULL, "t.csv:2:");
}

static void a_quote_never_closed_is_found_before_all_is_read(void **state)
{
    (void)state;
    size_t size = 4 * (size_t)FIELD_MAX;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, '1', size);
    memcpy(text, "a,b\n1,\"", 7);
    assert_bytes_refused(text, size, NULL,
                         "t.csv:2:3: a field of more than 1048576 bytes");
    free(text);
}

/* ---- Across the edges of the window ---- */

/* Fields of all lengths, so that line ends, quotes and numbers straddle every edge. */
static void the_window_leaves_no_trace(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 40; shift++) {
        char *text = malloc(3 * FIELD_WINDOW);
        assert_non_null(text);
        size_t length = (size_t)sprintf(text, "%0*d,b\r\n", (int)(shift + 1), 7);
        text[0] = 'a';
        size_t rows = 0;
        for (; length < 2 * FIELD_WINDOW + 100; rows++) {
            length += (size_t)sprintf(text + length, "%zu.25,\"-%zu\"\r\n", rows, rows);
        }
        struct deepsad_dataset data = {0};
        assert_int_equal(read_bytes(&data, text, length, NULL, NULL), DEEPSAD_OK);
        assert_int_equal(data.rows, rows);
        for (size_t i = 0; i < rows; i++) {
            assert_true(data.x[2 * i] == (float)i + 0.25f);
            assert_true(data.x[2 * i + 1] == -(float)i);
        }
        deepsad_dataset_clear(&data);
        free(text);
    }
}

static void a_fault_far_into_the_file_has_its_true_place(void **state)
{
    (void)state;
    char *text = malloc(3 * FIELD_WINDOW);
    assert_non_null(text);
    size_t length = (size_t)sprintf(text, "a,b\n");
    size_t line = 2;
    for (; length < 2 * FIELD_WINDOW; line++) {
        length += (size_t)sprintf(text + length, "12.5,\"7\"\n");
    }
    sprintf(text + length, "12.5,oops\n");
    char message[64];
    snprintf(message, sizeof message, "t.csv:%zu:6: `oops`", line);
    assert_refused(text, NULL, message);
    free(text);
}

/* ---- Round trip ---- */

static struct deepsad_dataset random_dataset(struct rng *rng, size_t rows,
                                             size_t features)
{
    struct deepsad_dataset data = {.rows = rows, .features = features};
    data.x = malloc(rows * features * sizeof *data.x);
    data.labels = malloc(rows);
    assert_true(data.x != NULL && data.labels != NULL);
    for (size_t i = 0; i < rows * features; i++) {
        uint32_t bits = (uint32_t)rng_next(rng);
        memcpy(&data.x[i], &bits, sizeof bits);
        if (!isfinite(data.x[i]) || data.x[i] == 0) {
            data.x[i] = rng_below(rng, 2) == 0 ? NAN : 0;
        }
    }
    for (size_t i = 0; i < rows; i++) {
        data.labels[i] = (signed char)((int)rng_below(rng, 3) - 1);
    }
    return data;
}

static void what_is_written_reads_back_bit_for_bit(void **state)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct deepsad_dataset data = random_dataset(&rng, 5000, 7);
    const char *path = files_path(state, "round.csv");
    assert_int_equal(deepsad_dataset_write_csv(&data, path, NULL), DEEPSAD_OK);
    struct deepsad_dataset back = {0};
    assert_int_equal(deepsad_dataset_read(&back, path, NULL, NULL), DEEPSAD_OK);
    assert_int_equal(back.rows, data.rows);
    assert_int_equal(back.features, data.features);
    assert_string_equal(back.names[6], "x6");
    assert_memory_equal(back.labels, data.labels, data.rows);
    for (size_t i = 0; i < data.rows * data.features; i++) {
        if (!isnan(data.x[i]) || !isnan(back.x[i])) {
            assert_memory_equal(&back.x[i], &data.x[i], sizeof(float));
        }
    }
    deepsad_dataset_clear(&data);
    deepsad_dataset_clear(&back);
}

static void awkward_names_survive_a_round_trip(void **state)
{
    struct deepsad_dataset data = read_text(
        "\"a,b\",\"q\"\"q\",\" blank \",\"two\nlines\",\"\xc3\xa9\"\n1,2,3,4,5\n", NULL);
    const char *path = files_path(state, "names.csv");
    assert_int_equal(deepsad_dataset_write_csv(&data, path, NULL), DEEPSAD_OK);
    struct deepsad_dataset back = {0};
    assert_int_equal(deepsad_dataset_read(&back, path, NULL, NULL), DEEPSAD_OK);
    for (size_t j = 0; j < data.features; j++) {
        assert_string_equal(back.names[j], data.names[j]);
    }
    deepsad_dataset_clear(&data);
    deepsad_dataset_clear(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_end_gives_the_same_rows),
        cmocka_unit_test(numbers_of_other_programs_are_read),
        cmocka_unit_test(blanks_and_quotes_around_numbers_do_not_matter),
        cmocka_unit_test(empty_cells_and_nan_are_missing),
        cmocka_unit_test(a_first_row_with_any_text_is_the_header),
        cmocka_unit_test(quoted_names_hold_commas_quotes_and_line_ends),
        cmocka_unit_test(labels_are_read_from_their_column),
        cmocka_unit_test(other_spellings_of_labels_come_from_the_map),
        cmocka_unit_test(ignored_columns_are_no_features),
        cmocka_unit_test(a_label_column_without_a_purpose_can_be_ignored),
        cmocka_unit_test(faults_of_cells_name_line_column_and_way_out),
        cmocka_unit_test(ragged_rows_are_refused),
        cmocka_unit_test(headers_that_would_mislead_are_refused),
        cmocka_unit_test(columns_that_are_not_there_are_refused),
        cmocka_unit_test(labels_of_other_spelling_are_refused),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(a_quote_never_closed_is_found_before_all_is_read),
        cmocka_unit_test(the_window_leaves_no_trace),
        cmocka_unit_test(a_fault_far_into_the_file_has_its_true_place),
        cmocka_unit_test(what_is_written_reads_back_bit_for_bit),
        cmocka_unit_test(awkward_names_survive_a_round_trip),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
