/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad train: from a file of rows to the next version in a model directory. */
#include "tool/train.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "model/version.h"
#include "tool/options.h"
#include "tool/progress.h"
#include "tool/reading.h"
#include "tool/selection.h"
#include "tool/stop.h"
#include "tool/summary.h"
#include "tool/terminal.h"

struct train_values {
    const char *out, *recipe;
    struct option_list settings;
    uint64_t seed;
    size_t threads;
    struct selection selection;
    struct reading reading;
    bool json;
};

static int show_settings(void)
{
    char *help = deepsad_recipe_help();
    if (help == NULL) {
        terminal_error("out of memory for the help");
        return EXIT_FAILED;
    }
    printf("Settings for --set KEY=VALUE and for recipe files (YAML, KEY: VALUE):\n\n%s",
           help);
    free(help);
    return EXIT_GOOD;
}

static const struct command_option options[] = {
    {.name = "out",
     .type = OPTION_TEXT,
     .offset = offsetof(struct train_values, out),
     .argument = "MODELS/NAME",
     .help = "the model's directory; its next version is written there"},
    {.name = "recipe",
     .type = OPTION_TEXT,
     .offset = offsetof(struct train_values, recipe),
     .argument = "NAME|FILE",
     .help = "default, reference (the paper), or a YAML file"},
    {.name = "set",
     .type = OPTION_LIST,
     .offset = offsetof(struct train_values, settings),
     .argument = "KEY=VALUE",
     .help = "one setting of the recipe (may be repeated)"},
    {.name = "help-settings",
     .type = OPTION_SHOW,
     .show = show_settings,
     .help = "list the settings of recipes"},
    {.name = "seed",
     .type = OPTION_INTEGER,
     .offset = offsetof(struct train_values, seed),
     .argument = "N",
     .help = "same data, recipe and seed: the same model (default: 1)"},
    {.name = "threads",
     .type = OPTION_COUNT,
     .offset = offsetof(struct train_values, threads),
     .max = 1024,
     .argument = "N",
     .help = "threads at most (default: one for each core)"},
    READING_OPTIONS(struct train_values, reading),
    SELECTION_OPTIONS(struct train_values, selection, "", ""),
    JSON_OPTION(struct train_values, json),
    {0},
};

/* ---- Before training: whatever would fail after it ---- */

/* The nearest directory above that is there already can be written to. */
static int check_writable(const char *directory, struct deepsad_error *error)
{
    char *path = strdup(directory);
    if (path == NULL) {
        return error_no_memory(error, "a path");
    }
    while (access(path, F_OK) != 0) {
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash == path) {
            path[0] = slash == NULL ? '.' : '/';
            path[1] = '\0';
            break;
        }
        *slash = '\0';
    }
    int status = file_is_directory(path) && access(path, W_OK | X_OK) == 0
                     ? DEEPSAD_OK
                     : error_set(error, DEEPSAD_IO,
                                 "%s: %s is no directory that can be written to; choose "
                                 "another --out",
                                 directory, path);
    free(path);
    return status;
}

/* ---- Recipe and data ---- */

static int apply_setting(struct deepsad_recipe *recipe, const char *setting,
                         struct deepsad_error *error)
{
    const char *equals = strchr(setting, '=');
    if (equals == NULL || equals == setting) {
        return error_set(error, DEEPSAD_INVALID, "--set: expected KEY=VALUE, not \"%s\"",
                         setting);
    }
    char *key = strndup(setting, (size_t)(equals - setting));
    if (key == NULL) {
        return error_no_memory(error, "a setting");
    }
    int status = deepsad_recipe_set(recipe, key, equals + 1, error);
    free(key);
    if (status != DEEPSAD_OK) {
        error_prefix(error, "--set");
    }
    return status;
}

static int apply_settings(struct deepsad_recipe *recipe,
                          const struct option_list *settings, struct deepsad_error *error)
{
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < settings->count && status == DEEPSAD_OK; i++) {
        status = apply_setting(recipe, settings->items[i], error);
    }
    return status;
}

/* ---- Training ---- */

static int train_rows(struct deepsad_model **out, const struct train_values *values,
                      const struct deepsad_recipe *recipe,
                      const struct deepsad_split_options *how, const char *path,
                      struct deepsad_error *error)
{
    struct deepsad_dataset dataset = {0};
    int status =
        selection_read(&dataset, &values->selection, &values->reading, how, path, error);
    if (status == DEEPSAD_OK) {
        struct progress progress = progress_new(values->json);
        struct deepsad_train_options train = {.seed = values->seed,
                                              .threads = values->threads,
                                              .progress = progress_report,
                                              .closure = &progress};
        stop_catch();
        status = deepsad_train(out, &dataset, recipe, &train, error);
        progress_end(&progress);
        if (status == DEEPSAD_INVALID) {
            error_prefix(error, "%s", path);
        }
    }
    deepsad_dataset_clear(&dataset);
    return status;
}

static int make_version(struct summary *summary, const struct train_values *values,
                        const struct deepsad_recipe *recipe,
                        const struct deepsad_split_options *how, const char *path,
                        struct deepsad_error *error)
{
    int status = version_check_directory(values->out, error);
    if (status == DEEPSAD_OK) {
        status = check_writable(values->out, error);
    }
    if (status == DEEPSAD_OK) {
        status = train_rows(&summary->model, values, recipe, how, path, error);
    }
    if (status == DEEPSAD_OK) {
        status = summary_save(summary, error);
    }
    return status;
}

static int train(const struct train_values *values, const struct deepsad_recipe *recipe,
                 const struct deepsad_split_options *how, const char *path)
{
    double start = clock_monotonic();
    struct deepsad_error error = {0};
    struct summary summary = {.directory = values->out};
    int status = make_version(&summary, values, recipe, how, path, &error);
    summary.seconds = clock_monotonic() - start;
    int code;
    if (status == DEEPSAD_OK) {
        code = summary_print(&summary, values->json);
    } else if (status == DEEPSAD_CANCELLED) {
        terminal_error("cancelled; nothing was written");
        code = EXIT_FAILED;
    } else {
        code = terminal_fail(&error);
    }
    deepsad_model_unref(summary.model);
    return code;
}

/* A recipe's file may be at fault, which is a failure; --set is usage. */
static int train_by_recipe(const struct train_values *values, const char *path)
{
    struct deepsad_split_options how = {.seed = values->seed};
    struct deepsad_recipe *recipe = NULL;
    struct deepsad_error error = {0};
    if (!selection_resolve(&how, &values->selection, 0)) {
        return EXIT_USAGE;
    }
    if (deepsad_recipe_new(&recipe, values->recipe, &error) != DEEPSAD_OK) {
        return terminal_fail(&error);
    }
    int code;
    if (apply_settings(recipe, &values->settings, &error) != DEEPSAD_OK) {
        terminal_fail(&error);
        code = error.status == DEEPSAD_INVALID ? EXIT_USAGE : EXIT_FAILED;
    } else {
        code = train(values, recipe, &how, path);
    }
    deepsad_recipe_free(recipe);
    return code;
}

static int run(int argc, char **argv)
{
    struct train_values values = {
        .recipe = "default", .seed = 1, .selection = SELECTION_NONE};
    const char *path;
    int code;
    if (options_parse(&values, &path, &train_command, argc, argv, &code)) {
        if (values.out == NULL) {
            terminal_error("train: where to? give --out MODELS/NAME");
            code = EXIT_USAGE;
        } else {
            code = train_by_recipe(&values, path);
        }
    }
    return code;
}

const struct command train_command = {
    .name = "train",
    .usage = "DATA --out MODELS/NAME [options]",
    .summary = "Train a model and write it as the next version of MODELS/NAME.",
    .details =
        "Rows of DATA without a label are unlabeled: mostly normal. With any of "
        "--labeled-anomalies, --labeled-normals, --pollution the labels of DATA are "
        "taken "
        "as the truth and most of them are hidden first, as in the paper (what is not "
        "given is 0).\n"
        "Progress goes to stderr; with --json JSON lines go to stdout: progress events, "
        "and last a summary (event: trained).\n"
        "Ctrl-C ends it within a batch; nothing is written then.",
    .options = options,
    .operands = 1,
    .run = run,
};
