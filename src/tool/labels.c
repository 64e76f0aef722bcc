/* SPDX-License-Identifier: Apache-2.0 */
/* deepsad labels: the verdicts of a state directory to a file, and back. */
#include "tool/labels.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tool/journal_export.h"
#include "tool/journal_import.h"
#include "tool/options.h"
#include "tool/terminal.h"

struct labels_values {
    const char *state, *output, *analyst;
    bool all, json;
};

#define STATE_OPTION                                                        \
    {                                                                       \
        .name = "state", .type = OPTION_TEXT,                               \
        .offset = offsetof(struct labels_values, state), .argument = "DIR", \
        .help = "the daemon's state directory; it may be running"           \
    }
#define OUTPUT_OPTION                                                           \
    {                                                                           \
        .name = "output", .type = OPTION_TEXT,                                  \
        .offset = offsetof(struct labels_values, output), .argument = "FILE",   \
        .help = "export: write FILE.csv or FILE.jsonl (default: CSV on stdout)" \
    }
#define ALL_OPTION                                                              \
    {                                                                           \
        .name = "all", .type = OPTION_FLAG,                                     \
        .offset = offsetof(struct labels_values, all),                          \
        .help = "export: superseded and withdrawn labels, too, not only those " \
                "in force"                                                      \
    }
#define ANALYST_OPTION                                                           \
    {                                                                            \
        .name = "analyst", .type = OPTION_TEXT,                                  \
        .offset = offsetof(struct labels_values, analyst), .argument = "NAME",   \
        .help = "import: who judged, where a row does not say (default: nobody)" \
    }

static const struct command_option export_options[] = {
    STATE_OPTION,
    OUTPUT_OPTION,
    ALL_OPTION,
    JSON_OPTION(struct labels_values, json),
    {0}};
static const struct command_option import_options[] = {
    STATE_OPTION, ANALYST_OPTION, JSON_OPTION(struct labels_values, json), {0}};
static const struct command_option options[] = {STATE_OPTION,
                                                OUTPUT_OPTION,
                                                ALL_OPTION,
                                                ANALYST_OPTION,
                                                JSON_OPTION(struct labels_values, json),
                                                {0}};

static const struct command export_command = {
    .name = "labels export",
    .usage = "MODELS/NAME --state DIR [options]",
    .summary = "Write a model's labels and their samples' features to a file.",
    .options = export_options,
    .operands = 1,
};
static const struct command import_command = {
    .name = "labels import",
    .usage = "FILE MODELS/NAME --state DIR [options]",
    .summary = "Add the labels of a file to a model's journal: all or none.",
    .options = import_options,
    .operands = 2,
};

/* ---- Export ------------------------------------------------------------------------ */

static int print_exported(const struct labels_values *values, size_t count)
{
    if (values->output == NULL) {
        return EXIT_GOOD;
    }
    if (values->json) {
        return terminal_print_json(json_pack("{s:s, s:I}", "output", values->output,
                                             "labels", (json_int_t)count));
    }
    char text[TERMINAL_COUNT_SIZE];
    printf("%s: %s labels\n", values->output, terminal_count(text, count));
    return EXIT_GOOD;
}

static int export(const struct labels_values *values, const char *path)
{
    struct deepsad_error error = {0};
    struct journal_place place;
    size_t count = 0;
    int status = journal_place_open(&place, path, values->state, false, &error);
    if (status == DEEPSAD_OK) {
        status = journal_export(&count, &place, values->output, values->all, &error);
        journal_place_close(&place);
    }
    return status == DEEPSAD_OK ? print_exported(values, count) : terminal_fail(&error);
}

/* ---- Import ------------------------------------------------------------------------ */

static int print_imported(const struct journal_import_counts *counts, bool json)
{
    if (json) {
        return terminal_print_json(json_pack(
            "{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rows", (json_int_t)counts->rows,
            "added", (json_int_t)counts->added, "normal", (json_int_t)counts->normal,
            "anomalous", (json_int_t)counts->anomalous, "unsure",
            (json_int_t)counts->unsure, "skipped", (json_int_t)counts->skipped,
            "withdrawn", (json_int_t)counts->withdrawn));
    }
    printf("%zu labels added (%zu normal, %zu anomalous, %zu unsure), %zu were there "
           "already, %zu withdrawn\n",
           counts->added, counts->normal, counts->anomalous, counts->unsure,
           counts->skipped, counts->withdrawn);
    return EXIT_GOOD;
}

static int import_rows(struct journal_import_counts *counts,
                       const struct journal_place *place, const char *path,
                       const char *analyst, struct deepsad_error *error)
{
    struct journal_rows rows;
    journal_rows_init(&rows, path, place->model);
    int status = journal_rows_read(&rows, error);
    if (status == DEEPSAD_OK) {
        status = journal_import(counts, place, &rows, analyst, error);
    }
    journal_rows_done(&rows);
    return status;
}

static int import(const struct labels_values *values, const char *const operands[2])
{
    struct deepsad_error error = {0};
    struct journal_place place;
    struct journal_import_counts counts = {0};
    int status = journal_place_open(&place, operands[1], values->state, true, &error);
    if (status == DEEPSAD_OK) {
        status = import_rows(&counts, &place, operands[0], values->analyst, &error);
        journal_place_close(&place);
    }
    return status == DEEPSAD_OK ? print_imported(&counts, values->json)
                                : terminal_fail(&error);
}

/* ---- The command ------------------------------------------------------------------- */

static int run_one(const struct command *command, int argc, char **argv)
{
    struct labels_values values = {0};
    const char *operands[2];
    int code;
    if (!options_parse(&values, operands, command, argc, argv, &code)) {
        return code;
    }
    if (values.state == NULL) {
        terminal_error("%s: whose labels? Give the daemon's state directory, --state DIR",
                       command->name);
        return EXIT_USAGE;
    }
    return command == &export_command ? export(&values, operands[0])
                                      : import(&values, operands);
}

static int run(int argc, char **argv)
{
    static const struct command *const commands[] = {&export_command, &import_command,
                                                     NULL};
    return options_run_group(&labels_command, commands, run_one, argc, argv);
}

const struct command labels_command = {
    .name = "labels",
    .usage = "export MODELS/NAME --state DIR [options]\n"
             "       deepsad labels import FILE MODELS/NAME --state DIR [options]",
    .summary = "Write a model's labels to a file, or add those of a file.",
    .details =
        "FILE.csv[.gz] has a header: label_id, sample_id, verdict (normal, anomalous, "
        "unsure), analyst, reason, note, created_at, supersedes, withdrawn_at and the "
        "names of the model's features, in any order; only verdict, and sample_id or the "
        "features, must be there. FILE.jsonl has an object a line with the same members, "
        "and features as an array or an object.\n"
        "An import is checked whole and written whole, or not at all. Labels whose "
        "label_id the journal has already are passed over: a file may be imported again. "
        "The daemon may be running; it notices new labels by itself.",
    .options = options,
    .operands = 1,
    .run = run,
};
