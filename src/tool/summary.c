/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/live.h"
#include "model/version.h"
#include "tool/card.h"
#include "tool/command.h"
#include "tool/progress.h"
#include "tool/terminal.h"

/* A part of the card, borrowed for an object of ours. */
static json_t *part(const json_t *card, const char *name)
{
    json_t *value = json_object_get(card, name);
    return value != NULL ? json_incref(value) : json_null();
}

static int print_json(const struct summary *summary, const json_t *card)
{
    json_t *data = json_object_get(json_object_get(card, "lineage"), "data");
    json_t *path =
        json_sprintf("%s/%u/model.safetensors", summary->directory, summary->version);
    return terminal_print_json(json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "event", "trained", "model", summary->directory, "version",
        json_sprintf("%u", summary->version), "live", json_sprintf("%u", summary->live),
        "path", path, "seconds", summary->seconds, "rows", part(data, "rows"),
        "unlabeled", part(data, "unlabeled"), "normal", part(data, "normal"), "anomalous",
        part(data, "anomalous"), "components", part(card, "components"), "calibration",
        part(card, "calibration"), "measures", part(card, "measures"), "reservoir",
        part(card, "reservoir"), "warnings", part(card, "warnings")));
}

static size_t count_of(const json_t *object, const char *name)
{
    return (size_t)json_integer_value(json_object_get(object, name));
}

static void print_rows(const json_t *data)
{
    static const char *const names[] = {"rows", "unlabeled", "normal", "anomalous"};
    printf("  rows         ");
    for (size_t i = 0; i < 4; i++) {
        char text[TERMINAL_COUNT_SIZE];
        printf("%s%s%s%s",
               i == 0   ? ""
               : i == 1 ? ": "
                        : ", ",
               terminal_count(text, count_of(data, names[i])), i > 0 ? " " : "",
               i > 0 ? names[i] : "");
    }
    printf("\n");
}

static void print_components(const json_t *components)
{
    for (size_t i = 0; i < json_array_size(components); i++) {
        const json_t *component = json_array_get(components, i);
        const json_t *members = json_object_get(component, "members");
        size_t count = json_is_array(members) ? json_array_size(members)
                                              : (size_t)json_integer_value(members);
        printf("%s%s", i == 0 ? "  components   " : ", ",
               json_string_value(json_object_get(component, "kind")));
        if (count > 0) {
            printf(" (%zu, weight %g)", count,
                   json_number_value(json_object_get(component, "weight")));
        }
    }
    printf("\n");
}

static void print_calibration(const struct deepsad_model *model, const json_t *card)
{
    const json_t *calibration = json_object_get(card, "calibration");
    double alpha = deepsad_model_alpha(model);
    float threshold;
    bool reached = deepsad_model_threshold(model, alpha, &threshold);
    char points[TERMINAL_COUNT_SIZE];
    printf("  calibration  %s, %s scores; ",
           json_string_value(json_object_get(calibration, "basis")),
           terminal_count(points, count_of(calibration, "points")));
    if (reached) {
        printf("at alpha %g anomalous from score %.4g on; alpha can be %.2g at least\n",
               alpha, (double)threshold, deepsad_model_alpha_min(model));
    } else {
        printf("alpha %g cannot be reached, %.2g is the least\n", alpha,
               deepsad_model_alpha_min(model));
    }
}

static void print_measures(const json_t *measures)
{
    const json_t *auc = json_object_get(measures, "labels_auc_roc");
    if (json_is_number(auc)) {
        printf("  measures     AUC-ROC of the labelled anomalies, out of fold: %.4f\n",
               json_number_value(auc));
    }
}

/* What of the data is in the model file: whoever hands it on should know. */
static void print_kept(const json_t *reservoir)
{
    char rows[TERMINAL_COUNT_SIZE], labels[TERMINAL_COUNT_SIZE];
    if (json_is_object(reservoir)) {
        printf("  kept         %s%s unlabeled and %s labelled rows are in the file, for "
               "retraining\n",
               json_is_true(json_object_get(reservoir, "complete")) ? "all: " : "",
               terminal_count(rows, count_of(reservoir, "rows")),
               terminal_count(labels, count_of(reservoir, "labels")));
    }
}

static int print_text(const struct summary *summary, const json_t *card)
{
    char time[PROGRESS_TIME_SIZE];
    printf("%s%s/%u%s written after %s\n", terminal_style(stdout, STYLE_BOLD),
           summary->directory, summary->version, terminal_style(stdout, STYLE_PLAIN),
           progress_time(time, summary->seconds));
    print_rows(json_object_get(json_object_get(card, "lineage"), "data"));
    print_components(json_object_get(card, "components"));
    print_calibration(summary->model, card);
    print_measures(json_object_get(card, "measures"));
    print_kept(json_object_get(card, "reservoir"));
    if (summary->live != summary->version) {
        printf("  live         version %u stays live: held by activate (live.yaml)\n",
               summary->live);
    }
    const json_t *warnings = json_object_get(card, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        terminal_warning("%s", json_string_value(json_array_get(warnings, i)));
    }
    return EXIT_GOOD;
}

static int find_live(unsigned *out, const char *directory, struct deepsad_error *error)
{
    struct live live;
    unsigned *numbers;
    size_t count;
    int status = live_read(&live, directory, error);
    if (status == DEEPSAD_OK) {
        status = version_list(&numbers, &count, directory, error);
    }
    if (status == DEEPSAD_OK) {
        *out = live_choose(&live, directory, numbers, count);
        free(numbers);
    }
    return status;
}

int summary_save(struct summary *summary, struct deepsad_error *error)
{
    const char *directory = summary->directory;
    struct deepsad_model *written = NULL;
    int status =
        deepsad_model_save_version(summary->model, directory, &summary->version, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    char *path;
    if (asprintf(&path, "%s/%u", directory, summary->version) < 0) {
        return error_no_memory(error, "a path");
    }
    status = deepsad_model_load(&written, path, error);
    free(path);
    if (status == DEEPSAD_OK) {
        status = find_live(&summary->live, directory, error);
    }
    if (status != DEEPSAD_OK) {
        deepsad_model_unref(written);
        return status;
    }
    deepsad_model_unref(summary->model);
    summary->model = written;
    return DEEPSAD_OK;
}

int summary_print(const struct summary *summary, bool json)
{
    json_t *card = card_of(summary->model);
    if (card == NULL) {
        return terminal_print_json(NULL);
    }
    int code = json ? print_json(summary, card) : print_text(summary, card);
    json_decref(card);
    return code;
}
