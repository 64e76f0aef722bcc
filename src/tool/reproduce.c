/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad reproduce: makes a version again from what it records, and compares. */
#include "tool/reproduce.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "model/model_compare.h"
#include "nn/matrix.h"
#include "tool/options.h"
#include "tool/progress.h"
#include "tool/reading.h"
#include "tool/rebuild.h"
#include "tool/selection.h"
#include "tool/stop.h"
#include "tool/terminal.h"

/* Another processor rounds otherwise: models are then the same within this, relative to
 * each tensor's largest value. */
static const double reproduce_tolerance = 1e-5;

struct reproduce_values {
    const char *data;
    size_t threads;
    struct selection selection;
    struct reading reading;
    bool json;
};

static const struct command_option options[] = {
    {.name = "data",
     .type = OPTION_TEXT,
     .offset = offsetof(struct reproduce_values, data),
     .argument = "DATA",
     .help = "train on this in place of the rows that the version holds; it must be the "
             "data that the version was trained on, read and split by the same options"},
    {.name = "threads",
     .type = OPTION_COUNT,
     .offset = offsetof(struct reproduce_values, threads),
     .max = 1024,
     .argument = "N",
     .help = "threads at most (default: one for each core)"},
    READING_OPTIONS(struct reproduce_values, reading),
    SELECTION_OPTIONS(struct reproduce_values, selection, "", ""),
    JSON_OPTION(struct reproduce_values, json),
    {0},
};

/* ---- What came of it ---- */

struct outcome {
    const struct original *original;
    struct model_difference difference;
    bool same_blas;
    double seconds;
};

static const char *result_of(const struct outcome *outcome)
{
    if (outcome->difference.different == 0) {
        return "bit-identical";
    }
    return !outcome->same_blas && outcome->difference.largest <= reproduce_tolerance
               ? "within tolerance"
               : "different";
}

static bool is_good(const struct outcome *outcome)
{
    return strcmp(result_of(outcome), "different") != 0;
}

static const char *recorded_blas(const struct outcome *outcome)
{
    const char *text = json_string_value(
        json_object_get(json_object_get(outcome->original->card, "lineage"), "blas"));
    return text != NULL ? text : "not recorded";
}

static int print_json(const struct outcome *outcome)
{
    const struct model_difference *difference = &outcome->difference;
    const char *parent = original_recalibrated_from(outcome->original);
    int code = terminal_print_json(
        json_pack("{s:s, s:s, s:s?, s:I, s:I, s:s?, s:o, s:s, s:s, s:s, s:f}", "model",
                  outcome->original->place.file, "result", result_of(outcome),
                  "recalibrated_from", parent, "tensors", (json_int_t)difference->tensors,
                  "different", (json_int_t)difference->different, "first_difference",
                  difference->different > 0 ? difference->first : NULL,
                  "largest_difference", terminal_json_number(difference->largest),
                  "sha256", difference->digest, "blas_recorded", recorded_blas(outcome),
                  "blas_here", matrix_blas_description(), "seconds", outcome->seconds));
    return code != EXIT_GOOD || is_good(outcome) ? code : EXIT_FAILED;
}

static void say_difference(const struct outcome *outcome)
{
    const struct model_difference *difference = &outcome->difference;
    terminal_error("%s: %zu of %zu tensors differ, the first is %s; the largest "
                   "difference is %.2g of its tensor's largest value",
                   outcome->original->place.file, difference->different,
                   difference->tensors, difference->first, difference->largest);
}

static int print_text(const struct outcome *outcome)
{
    const struct model_difference *difference = &outcome->difference;
    const char *parent = original_recalibrated_from(outcome->original);
    char time[PROGRESS_TIME_SIZE];
    if (!outcome->same_blas) {
        terminal_warning("trained with %s, made again with %s: compared with a tolerance "
                         "of %g",
                         recorded_blas(outcome), matrix_blas_description(),
                         reproduce_tolerance);
    }
    if (!is_good(outcome)) {
        say_difference(outcome);
        return EXIT_FAILED;
    }
    printf("%s: %s%s%s\n", outcome->original->place.file,
           terminal_style(stdout, STYLE_GREEN), result_of(outcome),
           terminal_style(stdout, STYLE_PLAIN));
    printf("  %s%s in %s; %zu tensors, SHA-256 %s\n",
           parent != NULL ? "version calibrated again: " : "trained again",
           parent != NULL ? parent : "", progress_time(time, outcome->seconds),
           difference->tensors, difference->digest);
    return EXIT_GOOD;
}

/* ---- Making it again ---- */

static int ask_for_stop(void *closure, const struct deepsad_progress *now)
{
    (void)closure;
    (void)now;
    return stop_wanted() ? 1 : 0;
}

/* The labels of a selection were hidden by the seed of the training. */
static int read_data(struct deepsad_dataset *out, const struct reproduce_values *values,
                     const struct original *original, struct deepsad_error *error)
{
    const json_t *lineage = json_object_get(original->card, "lineage");
    struct deepsad_split_options how = {
        .seed = (uint64_t)json_integer_value(json_object_get(lineage, "seed"))};
    return !selection_resolve(&how, &values->selection, 0)
               ? error_set(error, DEEPSAD_INVALID, "--pollution")
               : selection_read(out, &values->selection, &values->reading, &how,
                                values->data, error);
}

static int make_again(struct deepsad_model **out, const struct original *original,
                      const struct reproduce_values *values, struct deepsad_error *error)
{
    struct deepsad_dataset data = {0};
    struct rebuild_options how = {.threads = values->threads, .progress = ask_for_stop};
    struct progress progress = progress_new(false);
    int status = DEEPSAD_OK;
    if (!values->json) {
        how.progress = progress_report;
        how.closure = &progress;
    }
    if (values->data != NULL) {
        how.data = &data;
        status = read_data(&data, values, original, error);
    }
    if (status == DEEPSAD_OK) {
        stop_catch();
        status = rebuild(out, original, &how, error);
        progress_end(&progress);
    }
    if (status == DEEPSAD_INVALID && values->data != NULL) {
        error_prefix(error, "%s", values->data);
    }
    deepsad_dataset_clear(&data);
    return status;
}

static int compare(struct outcome *outcome, const struct reproduce_values *values,
                   struct deepsad_error *error)
{
    double start = clock_monotonic();
    struct deepsad_model *again = NULL;
    int status = make_again(&again, outcome->original, values, error);
    outcome->seconds = clock_monotonic() - start;
    if (status == DEEPSAD_OK) {
        outcome->same_blas = original_same_blas(outcome->original);
        status =
            model_compare(&outcome->difference, outcome->original->file, again, error);
    }
    deepsad_model_unref(again);
    return status;
}

static int reproduce(const struct reproduce_values *values, const char *path)
{
    struct deepsad_error error = {0};
    struct original original;
    int status = original_open(&original, path, &error);
    if (status != DEEPSAD_OK) {
        return terminal_fail(&error);
    }
    struct outcome outcome = {.original = &original};
    status = compare(&outcome, values, &error);
    int code;
    if (status == DEEPSAD_OK) {
        code = values->json ? print_json(&outcome) : print_text(&outcome);
    } else if (status == DEEPSAD_CANCELLED) {
        terminal_error("cancelled");
        code = EXIT_FAILED;
    } else {
        code = terminal_fail(&error);
    }
    original_close(&original);
    return code;
}

static int run(int argc, char **argv)
{
    struct reproduce_values values = {.selection = SELECTION_NONE};
    struct deepsad_split_options unused = {0};
    const char *path;
    int code;
    if (!options_parse(&values, &path, &reproduce_command, argc, argv, &code)) {
        return code;
    }
    if (values.data == NULL && selection_given(&values.selection)) {
        terminal_error("reproduce: labels are selected from data: give --data DATA too");
        return EXIT_USAGE;
    }
    return selection_resolve(&unused, &values.selection, 0) ? reproduce(&values, path)
                                                            : EXIT_USAGE;
}

const struct command reproduce_command = {
    .name = "reproduce",
    .usage = "MODEL [options]",
    .summary = "Make a version again from what it records, and compare bit by bit.",
    .details =
        "Trains by the recipe and seed of the version's card on the rows that it holds "
        "(or on --data), and compares all tensors. A version that is another one "
        "calibrated again is compared with that one calibrated again.\n"
        "Exit status 0: bit-identical; or, on another processor or with another "
        "OpenBLAS than the version's, the same within 1e-5. 1: different, or not to be "
        "made again.\n"
        "MODEL is MODELS/NAME/<n>, MODELS/NAME (its live version) or a file.",
    .options = options,
    .operands = 1,
    .run = run,
};
