/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad score: scores and p-values of rows, as CSV, NPY or JSON lines. */
#include "tool/score.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "tool/alpha.h"
#include "tool/explanations.h"
#include "tool/options.h"
#include "tool/output.h"
#include "tool/reading.h"
#include "tool/scale.h"
#include "tool/stop.h"
#include "tool/terminal.h"

/* Rows scored at once: enough to fill the kernels, little enough to stop soon. */
enum { SCORE_BATCH = 4096 };

struct score_values {
    const char *output;
    double alpha;   /* NaN = the model's */
    size_t explain; /* features; 0 = no explanations */
    struct reading reading;
    bool json;
};

static const struct command_option options[] = {
    {.name = "output",
     .type = OPTION_TEXT,
     .offset = offsetof(struct score_values, output),
     .argument = "FILE",
     .help = "write FILE.csv, or FILE.npy: float32, (rows, 2), score and p-value"},
    {.name = "alpha",
     .type = OPTION_NUMBER,
     .offset = offsetof(struct score_values, alpha),
     .min = 1e-9,
     .max = 1,
     .argument = "R",
     .help = "false-alarm budget (default: the model's)"},
    {.name = "explain",
     .type = OPTION_COUNT,
     .offset = offsetof(struct score_values, explain),
     .argument = "K",
     .help = "add what the score is made of: base, and the K features that contribute "
             "most (default: 0, none)"},
    READING_OPTIONS(struct score_values, reading),
    JSON_OPTION(struct score_values, json),
    {0},
};

struct scores {
    size_t rows, anomalous;
    float *scores, *p_values; /* (rows) */
    double alpha;
    struct explanations explanations;
};

static void scores_done(struct scores *scores)
{
    explanations_done(&scores->explanations);
    free(scores->scores);
    free(scores->p_values);
}

/* ---- Forms ---- */

static bool is_anomalous(const struct scores *s, size_t row)
{
    return (double)s->p_values[row] <= s->alpha;
}

static void append_csv(struct buffer *out, const struct scores *s, size_t row)
{
    const struct explanations *explanations = &s->explanations;
    if (row == 0) {
        buffer_append_text(out, "score,p_value,anomalous");
        if (explanations->count > 0) {
            explanations_append_header(out, explanations);
        }
        buffer_append(out, "\n", 1);
    }
    output_append_float(out, s->scores[row]);
    buffer_append(out, ",", 1);
    output_append_float(out, s->p_values[row]);
    buffer_append(out, is_anomalous(s, row) ? ",1" : ",0", 2);
    if (explanations->count > 0) {
        explanations_append_csv(out, explanations, row);
    }
    buffer_append(out, "\n", 1);
}

static void append_json(struct buffer *out, const struct scores *s, size_t row)
{
    buffer_append_text(out, "{\"score\":");
    output_append_float(out, s->scores[row]);
    buffer_append_text(out, ",\"p_value\":");
    output_append_float(out, s->p_values[row]);
    buffer_append_text(out, is_anomalous(s, row) ? ",\"anomalous\":true"
                                                 : ",\"anomalous\":false");
    if (s->explanations.count > 0) {
        explanations_append_json(out, &s->explanations, row);
    }
    buffer_append(out, "}\n", 2);
}

static void append_npy(struct buffer *out, const struct scores *s)
{
    output_append_npy(out, s->rows, 2);
    for (size_t i = 0; i < s->rows; i++) {
        buffer_append(out, &s->scores[i], sizeof(float));
        buffer_append(out, &s->p_values[i], sizeof(float));
    }
}

/* ---- Output ---- */

static int write_file(const struct scores *s, const char *path,
                      struct deepsad_error *error)
{
    struct buffer out = {0};
    if (output_is_npy(path)) {
        append_npy(&out, s);
    } else {
        for (size_t i = 0; i < s->rows; i++) {
            append_csv(&out, s, i);
        }
    }
    int status = out.failed ? error_no_memory(error, path)
                            : file_replace(path, out.data, out.length, error);
    buffer_done(&out);
    return status;
}

static int print_rows(const struct scores *s, bool json)
{
    struct buffer out = {0};
    for (size_t i = 0; i < s->rows && ferror(stdout) == 0; i++) {
        (json ? append_json : append_csv)(&out, s, i);
        if ((i + 1) % SCORE_BATCH == 0 || i + 1 == s->rows) {
            fwrite(out.data, 1, out.length, stdout);
            out.length = 0;
        }
    }
    bool failed = out.failed;
    buffer_done(&out);
    if (failed) {
        terminal_error("out of memory for the output");
    }
    return failed ? EXIT_FAILED : EXIT_GOOD;
}

static int print_summary(const struct scores *s, const char *path, bool json)
{
    if (json) {
        return terminal_print_json(
            json_pack("{s:s, s:I, s:I, s:f}", "output", path, "rows", (json_int_t)s->rows,
                      "anomalous", (json_int_t)s->anomalous, "alpha", s->alpha));
    }
    char rows[TERMINAL_COUNT_SIZE], anomalous[TERMINAL_COUNT_SIZE];
    printf("%s: %s rows, %s anomalous at alpha %g\n", path, terminal_count(rows, s->rows),
           terminal_count(anomalous, s->anomalous), s->alpha);
    return EXIT_GOOD;
}

/* ---- Scoring ---- */

static int score_rows(struct scores *out, const struct deepsad_model *model,
                      const struct deepsad_dataset *dataset, struct deepsad_error *error)
{
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    out->rows = dataset->rows;
    out->scores = calloc(dataset->rows + 1, sizeof(float));
    out->p_values = calloc(dataset->rows + 1, sizeof(float));
    int status = workspace == NULL || out->scores == NULL || out->p_values == NULL
                     ? error_no_memory(error, "scores")
                     : DEEPSAD_OK;
    for (size_t i = 0; i < dataset->rows && status == DEEPSAD_OK; i += SCORE_BATCH) {
        size_t rows = dataset->rows - i < SCORE_BATCH ? dataset->rows - i : SCORE_BATCH;
        status = deepsad_score(model, workspace, out->scores + i, out->p_values + i,
                               dataset->x + i * dataset->features, rows, error);
    }
    deepsad_workspace_free(workspace);
    for (size_t i = 0; i < out->rows && status == DEEPSAD_OK; i++) {
        out->anomalous += is_anomalous(out, i);
    }
    return status;
}

static int score_file(struct scores *out, const struct score_values *values,
                      const char *const operands[2], struct deepsad_error *error)
{
    struct deepsad_model *model = NULL;
    struct deepsad_dataset dataset = {0};
    int status = deepsad_model_load(&model, operands[0], error);
    if (status == DEEPSAD_OK) {
        status = reading_read_for(&dataset, model, &values->reading, operands[1], error);
    }
    if (status == DEEPSAD_OK) {
        out->alpha = alpha_resolve(model, values->alpha);
        scale_warn(model, &dataset, operands[1]);
        status = score_rows(out, model, &dataset, error);
    }
    if (status == DEEPSAD_OK && values->explain > 0) {
        status = explanations_make(&out->explanations, model, &dataset, values->explain,
                                   error);
    }
    deepsad_dataset_clear(&dataset);
    deepsad_model_unref(model);
    return status;
}

static int score(const struct score_values *values, const char *const operands[2])
{
    const char *path = values->output;
    if (path != NULL && !output_check(path)) {
        return EXIT_USAGE;
    }
    if (path != NULL && output_is_npy(path) && values->explain > 0) {
        terminal_error("--explain: an NPY file has no place for names of features; use "
                       "--output FILE.csv");
        return EXIT_USAGE;
    }
    struct deepsad_error error = {0};
    struct scores scores = {0};
    int status = score_file(&scores, values, operands, &error);
    if (path != NULL && status == DEEPSAD_OK) {
        stop_catch();
        status = write_file(&scores, path, &error);
    }
    int code = status != DEEPSAD_OK ? terminal_fail(&error)
               : path != NULL       ? print_summary(&scores, path, values->json)
                                    : print_rows(&scores, values->json);
    scores_done(&scores);
    return code;
}

static int run(int argc, char **argv)
{
    struct score_values values = {.alpha = (double)NAN};
    const char *operands[2];
    int code;
    if (options_parse(&values, operands, &score_command, argc, argv, &code)) {
        code = score(&values, operands);
    }
    return code;
}

const struct command score_command = {
    .name = "score",
    .usage = "MODEL DATA [options]",
    .summary = "Score each row of DATA: score, conformal p-value, verdict.",
    .details =
        "Without --output the rows go to stdout, in the order of DATA, as CSV with the "
        "header score,p_value,anomalous (1 where p_value <= alpha). With --json one "
        "object a line: score, p_value, anomalous; together with --output one object: "
        "output, rows, anomalous, alpha. Labels in DATA are not used.\n"
        "With --explain K the columns base, top1_feature, top1_contribution, ... follow "
        "(JSON: base, explanation): base, the score of the training medians, plus the "
        "contributions of all features is the score.\n"
        "MODEL is a file, MODELS/NAME (its live version) or MODELS/NAME/<n>.",
    .options = options,
    .operands = 2,
    .run = run,
};
