/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad evaluate: how well a model finds the anomalies of data whose labels are true.
 */
#include "tool/evaluate.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "tool/alpha.h"
#include "tool/options.h"
#include "tool/reading.h"
#include "tool/scale.h"
#include "tool/terminal.h"

struct evaluate_values {
    double alpha; /* NaN = the model's */
    struct reading reading;
    bool json;
};

static const struct command_option options[] = {
    {.name = "alpha",
     .type = OPTION_NUMBER,
     .offset = offsetof(struct evaluate_values, alpha),
     .min = 1e-9,
     .max = 1,
     .argument = "R",
     .help = "false-alarm budget (default: the model's)"},
    READING_OPTIONS(struct evaluate_values, reading),
    JSON_OPTION(struct evaluate_values, json),
    {0},
};

static int print_json(const struct deepsad_evaluation *e)
{
    return terminal_print_json(json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:{s:o, s:o, s:o}}", "auc_roc",
        terminal_json_number(e->auc_roc), "auc_pr", terminal_json_number(e->auc_pr),
        "alpha", terminal_json_number(e->alpha), "recall_at_alpha",
        terminal_json_number(e->recall_at_alpha), "false_alarm_rate",
        terminal_json_number(e->false_alarm_rate), "rows", (json_int_t)e->rows,
        "anomalies", (json_int_t)e->anomalies, "latent_entropy", "normal",
        terminal_json_number(e->latent_entropy_normal), "unlabeled",
        terminal_json_number(e->latent_entropy_unlabeled), "anomalous",
        terminal_json_number(e->latent_entropy_anomalous)));
}

static void print_row(const char *name, double value, const char *form, const char *note)
{
    char text[32] = "none";
    if (isfinite(value)) {
        snprintf(text, sizeof text, form[0] == 'p' ? "%.2f %%" : "%.4f",
                 form[0] == 'p' ? 100 * value : value);
    }
    printf("%-25s %s%10s%s%s%s\n", name, terminal_style(stdout, STYLE_BOLD), text,
           terminal_style(stdout, STYLE_PLAIN), *note != '\0' ? "   " : "", note);
}

static int print_table(const struct deepsad_evaluation *e)
{
    char rows[TERMINAL_COUNT_SIZE], anomalies[TERMINAL_COUNT_SIZE], budget[64];
    printf("%s labelled rows, %s of them anomalous\n\n", terminal_count(rows, e->rows),
           terminal_count(anomalies, e->anomalies));
    snprintf(budget, sizeof budget, "of the anomalies, at alpha %g", e->alpha);
    print_row("AUC-ROC", e->auc_roc, "number", "");
    print_row("AUC-PR", e->auc_pr, "number", "average precision");
    print_row("recall", e->recall_at_alpha, "percent", budget);
    print_row("false alarms", e->false_alarm_rate, "percent", "of the normal rows");
    print_row("latent entropy, normal", e->latent_entropy_normal, "number", "nats");
    if (isfinite(e->latent_entropy_unlabeled)) {
        print_row("latent entropy, unlabeled", e->latent_entropy_unlabeled, "number",
                  "nats");
    }
    print_row("latent entropy, anomalous", e->latent_entropy_anomalous, "number", "nats");
    return EXIT_GOOD;
}

static int measure(struct deepsad_evaluation *out, const struct deepsad_model *model,
                   const struct evaluate_values *values, const char *path,
                   struct deepsad_error *error)
{
    struct deepsad_dataset dataset = {0};
    int status = reading_read_for(&dataset, model, &values->reading, path, error);
    if (status == DEEPSAD_OK) {
        status = reading_need_labels(&dataset, error);
        if (status == DEEPSAD_OK) {
            scale_warn(model, &dataset, path);
            status = deepsad_evaluate(out, model, &dataset,
                                      alpha_resolve(model, values->alpha), error);
        }
        if (status != DEEPSAD_OK) {
            error_prefix(error, "%s", path);
        }
    }
    deepsad_dataset_clear(&dataset);
    return status;
}

static int evaluate(const struct evaluate_values *values, const char *const operands[2])
{
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    struct deepsad_evaluation result = {0};
    int status = deepsad_model_load(&model, operands[0], &error);
    if (status == DEEPSAD_OK) {
        status = measure(&result, model, values, operands[1], &error);
    }
    deepsad_model_unref(model);
    if (status != DEEPSAD_OK) {
        return terminal_fail(&error);
    }
    return values->json ? print_json(&result) : print_table(&result);
}

static int run(int argc, char **argv)
{
    struct evaluate_values values = {.alpha = (double)NAN};
    const char *operands[2];
    int code;
    if (options_parse(&values, operands, &evaluate_command, argc, argv, &code)) {
        code = evaluate(&values, operands);
    }
    return code;
}

const struct command evaluate_command = {
    .name = "evaluate",
    .usage = "MODEL DATA [options]",
    .summary = "Measure a model on data whose labels are the truth.",
    .details =
        "Unlabeled rows are left out, but for their latent entropy. With --json one "
        "object: auc_roc, auc_pr, alpha, recall_at_alpha, false_alarm_rate, rows, "
        "anomalies, latent_entropy {normal, unlabeled, anomalous}; null where a measure "
        "does not exist.\n"
        "MODEL is a file, MODELS/NAME (its live version) or MODELS/NAME/<n>.",
    .options = options,
    .operands = 2,
    .run = run,
};
