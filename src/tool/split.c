/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad split: one labelled file becomes train.csv and test.csv, as the paper does. */
#include "tool/split.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "tool/options.h"
#include "tool/reading.h"
#include "tool/selection.h"
#include "tool/stop.h"
#include "tool/terminal.h"

struct split_values {
    const char *out;
    double test;
    struct selection selection;
    uint64_t seed;
    struct reading reading;
    bool json;
};

static const struct command_option options[] = {
    {.name = "out",
     .type = OPTION_TEXT,
     .offset = offsetof(struct split_values, out),
     .argument = "DIR",
     .help = "where train.csv and test.csv go; made if it is not there"},
    {.name = "test",
     .type = OPTION_NUMBER,
     .offset = offsetof(struct split_values, test),
     .max = 0.999999,
     .argument = "R",
     .help = "share of each class that goes to test.csv (default: 0.4)"},
    SELECTION_OPTIONS(struct split_values, selection, " (default: 0.01)",
                      " (default: 0)"),
    {.name = "seed",
     .type = OPTION_INTEGER,
     .offset = offsetof(struct split_values, seed),
     .argument = "N",
     .help = "another seed, another split (default: 1)"},
    READING_OPTIONS(struct split_values, reading),
    JSON_OPTION(struct split_values, json),
    {0},
};

static const char *const file_names[] = {"train.csv", "test.csv"};
enum { PARTS = 2 };

struct parts {
    struct deepsad_dataset data[PARTS]; /* train, test */
    char *paths[PARTS];
};

static void parts_done(struct parts *parts)
{
    for (size_t i = 0; i < PARTS; i++) {
        deepsad_dataset_clear(&parts->data[i]);
        free(parts->paths[i]);
    }
}

static json_t *part_json(const struct parts *parts, size_t i)
{
    struct reading_counts counts = reading_count(&parts->data[i]);
    return json_pack("{s:s, s:I, s:I, s:I, s:I}", "path", parts->paths[i], "rows",
                     (json_int_t)parts->data[i].rows, "unlabeled",
                     (json_int_t)counts.unlabeled, "normal", (json_int_t)counts.normal,
                     "anomalous", (json_int_t)counts.anomalous);
}

static void print_part(const struct parts *parts, size_t i)
{
    struct reading_counts counts = reading_count(&parts->data[i]);
    const size_t cells[] = {parts->data[i].rows, counts.unlabeled, counts.normal,
                            counts.anomalous};
    printf("%-10s", file_names[i]);
    for (size_t j = 0; j < sizeof cells / sizeof cells[0]; j++) {
        char text[TERMINAL_COUNT_SIZE];
        printf(" %11s", terminal_count(text, cells[j]));
    }
    printf("   %s\n", parts->paths[i]);
}

static int print_parts(const struct parts *parts, bool json)
{
    if (json) {
        return terminal_print_json(json_pack("{s:o, s:o}", "train", part_json(parts, 0),
                                             "test", part_json(parts, 1)));
    }
    printf("%s%-10s %11s %11s %11s %11s%s\n", terminal_style(stdout, STYLE_BOLD), "",
           "rows", "unlabeled", "normal", "anomalous",
           terminal_style(stdout, STYLE_PLAIN));
    for (size_t i = 0; i < PARTS; i++) {
        print_part(parts, i);
    }
    return EXIT_GOOD;
}

static int make_parts(struct parts *parts, const struct split_values *values,
                      const struct deepsad_split_options *how, const char *path,
                      struct deepsad_error *error)
{
    struct deepsad_dataset dataset = {0};
    int status = reading_read(&dataset, &values->reading, path, error);
    if (status == DEEPSAD_OK) {
        status = reading_need_labels(&dataset, error);
        if (status == DEEPSAD_OK) {
            status =
                deepsad_split(&parts->data[0], &parts->data[1], &dataset, how, error);
        }
        if (status != DEEPSAD_OK) {
            error_prefix(error, "%s", path);
        }
    }
    deepsad_dataset_clear(&dataset);
    return status;
}

static int write_parts(struct parts *parts, const char *directory,
                       struct deepsad_error *error)
{
    if (stop_wanted()) {
        return error_set(error, DEEPSAD_CANCELLED, "cancelled; nothing was written");
    }
    int status = file_make_directories(directory, error);
    for (size_t i = 0; i < PARTS && status == DEEPSAD_OK; i++) {
        if (asprintf(&parts->paths[i], "%s/%s", directory, file_names[i]) < 0) {
            parts->paths[i] = NULL;
            return error_no_memory(error, "a path");
        }
        status = deepsad_dataset_write_csv(&parts->data[i], parts->paths[i], error);
        if (status != DEEPSAD_OK && i > 0) {
            unlink(
                parts->paths[0]); /* beside an older test.csv it would share its rows */
        }
    }
    return status;
}

static int split(const struct split_values *values, const char *path)
{
    struct deepsad_split_options how = {.test = values->test, .seed = values->seed};
    if (!selection_resolve(&how, &values->selection, 0.01)) {
        return EXIT_USAGE;
    }
    struct parts parts = {0};
    struct deepsad_error error = {0};
    int status = make_parts(&parts, values, &how, path, &error);
    stop_catch();
    if (status == DEEPSAD_OK) {
        status = write_parts(&parts, values->out, &error);
    }
    int code =
        status == DEEPSAD_OK ? print_parts(&parts, values->json) : terminal_fail(&error);
    parts_done(&parts);
    return code;
}

static int run(int argc, char **argv)
{
    struct split_values values = {.test = 0.4, .seed = 1, .selection = SELECTION_NONE};
    const char *path;
    int code;
    if (options_parse(&values, &path, &split_command, argc, argv, &code)) {
        if (values.out == NULL) {
            terminal_error("split: where to? give --out DIR");
            code = EXIT_USAGE;
        } else {
            code = split(&values, path);
        }
    }
    return code;
}

const struct command split_command = {
    .name = "split",
    .usage = "DATA --out DIR [options]",
    .summary = "Make a training and a test file from labelled data.",
    .details =
        "The paper's semi-supervised setting. The labels of DATA are the truth. Each "
        "class is split by the same share. Of the "
        "training part most labels are hidden: train.csv's column label is empty for "
        "unlabeled rows, else normal or anomalous; test.csv's is the truth.\n"
        "DATA is .csv[.gz], .npy, IDX (-idx3-ubyte[.gz]) or CIFAR-10 records "
        "(.bin[.gz]).",
    .options = options,
    .operands = 1,
    .run = run,
};
