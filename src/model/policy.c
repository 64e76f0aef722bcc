/* SPDX-License-Identifier: Apache-2.0 */
#include "model/policy.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/setting.h"
#include "base/setting_yaml.h"

static const char *const captures[] = {"requested", "all", "none", NULL};
static const char *const modes[] = {"auto", "manual", "never", NULL};

#define AT(member) offsetof(struct policy, member)

/* The order, and the help, of the file that policy_write_new writes. */
static const struct setting settings[] = {
    {.key = "alpha",
     .type = SETTING_NUMBER,
     .offset = AT(alpha),
     .min = 1e-9,
     .max = 0.5,
     .fallback = "0.01",
     .help = "False-alarm budget: a row is called anomalous where its p-value is at most "
             "this. The model's card says which alpha its calibration can reach "
             "(calibration.alpha_min)."},
    {.key = "capture",
     .type = SETTING_CHOICE,
     .offset = AT(capture),
     .choices = captures,
     .fallback = "requested",
     .help = "Which scored rows are kept for review and retraining: requested (rows of "
             "requests with keep: true), all, or none."},
    {.key = "retraining.mode",
     .type = SETTING_CHOICE,
     .offset = AT(retraining.mode),
     .choices = modes,
     .fallback = "auto",
     .help = "auto: retrain by the triggers below, and promote what passes the gate; "
             "manual: retrain by the triggers, activate promotes; never: no retraining."},
    {.key = "retraining.min_labels",
     .type = SETTING_COUNT,
     .offset = AT(retraining.min_labels),
     .min = 1,
     .max = 1e6,
     .fallback = "10",
     .help = "So many changes of the labels (new, changed, withdrawn) start a "
             "retraining."},
    {.key = "retraining.interval",
     .type = SETTING_DURATION,
     .offset = AT(retraining.interval),
     .max = 31536000,
     .fallback = "0s",
     .help = "With fewer changes, or with new traffic alone, retrain after so long, for "
             "example 24h; 0s: only by min_labels and by hand."},
    {.key = "retraining.traffic",
     .type = SETTING_NUMBER,
     .offset = AT(retraining.traffic),
     .max = 1,
     .fallback = "0.5",
     .help = "Share of the unlabeled rows that may be kept traffic; the others are those "
             "of the first training."},
    {.key = "retraining.rows",
     .type = SETTING_COUNT,
     .offset = AT(retraining.rows),
     .min = 1,
     .max = 1e7,
     .fallback = "10000",
     .help = "Unlabeled rows that a retraining takes, at most."},
    {.key = "retraining.versions",
     .type = SETTING_COUNT,
     .offset = AT(retraining.versions),
     .max = 1e6,
     .fallback = "100",
     .help =
         "Once there are more versions, the oldest that retraining made and that are "
         "not live are removed; those that deepsad train made never are. 0 keeps all."},
    {.key = "retraining.deadline",
     .type = SETTING_DURATION,
     .offset = AT(retraining.deadline),
     .min = 0.01,
     .max = 604800,
     .fallback = "10m",
     .help = "A retraining that takes longer is ended, and nothing changes."},
    {.key = "gate.auc_loss",
     .type = SETTING_NUMBER,
     .offset = AT(gate.auc_loss),
     .max = 1,
     .fallback = "0.03",
     .help = "The AUC on labels from before this batch may fall by so much, at most."},
    {.key = "gate.rank_correlation",
     .type = SETTING_NUMBER,
     .offset = AT(gate.rank_correlation),
     .min = -1,
     .max = 1,
     .fallback = "0.85",
     .help = "The Spearman correlation of a new version's scores with those of the live "
             "one must be so high, at least."},
    {.key = "gate.implausible_p",
     .type = SETTING_NUMBER,
     .offset = AT(gate.implausible_p),
     .max = 1,
     .fallback = "0.2",
     .help = "The verdict anomalous on a row whose p-value is above this is "
             "implausible."},
    {.key = "gate.implausible",
     .type = SETTING_COUNT,
     .offset = AT(gate.implausible),
     .max = 1e6,
     .fallback = "3",
     .help = "So many implausible verdicts of one batch hold it back for a second look; "
             "0: never."},
    {.key = "batching.delay",
     .type = SETTING_DURATION,
     .offset = AT(batching.delay),
     .max = 1,
     .fallback = "0s",
     .help = "How long a scoring request may wait for those of other connections, to be "
             "scored with them, for example 0.5ms; 0s: none waits. For networks of "
             "hundreds of thousands of weights, which cost several times less a row in "
             "batches than alone, under many requests of one or few rows; it does not "
             "pay for others. Where nobody else comes, requests soon go on at once."},
    {.key = "batching.rows",
     .type = SETTING_COUNT,
     .offset = AT(batching.rows),
     .min = 2,
     .max = 4096,
     .fallback = "64",
     .help = "Rows of such requests that are scored together, at most; a request that "
             "has as many is scored alone."},
};
static const struct setting_table table = {settings,
                                           sizeof settings / sizeof settings[0]};

void policy_defaults(struct policy *policy)
{
    int status = settings_init(policy, table, NULL, NULL);
    assert(status == DEEPSAD_OK); /* no setting is a text: nothing is allocated */
    (void)status;
}

static int policy_path(char path[static PATH_MAX], const char *directory,
                       struct deepsad_error *error)
{
    int length = snprintf(path, PATH_MAX, "%s/model.yaml", directory);
    return length < 0 || length >= PATH_MAX
               ? error_set(error, DEEPSAD_INVALID, "%s: path too long", directory)
               : DEEPSAD_OK;
}

int policy_read(struct policy *out, const char *directory, struct deepsad_error *error)
{
    char path[PATH_MAX];
    struct policy policy = {0};
    int status = policy_path(path, directory, error);
    if (status == DEEPSAD_OK) {
        status = settings_init(&policy, table, NULL, error);
    }
    if (status == DEEPSAD_OK && access(path, F_OK) == 0) {
        status = settings_load_yaml(&policy, table, path, NULL, error);
    }
    if (status == DEEPSAD_OK) {
        *out = policy;
    }
    return status;
}

/* ---- Writing ---- */

enum { POLICY_WIDTH = 78 };

/* The help as comment lines of at most POLICY_WIDTH characters. */
static void write_comment(struct buffer *out, const char *text, const char *indent)
{
    size_t column = POLICY_WIDTH + 1;
    for (const char *word = text; *word != '\0';) {
        size_t length = strcspn(word, " ");
        if (column + 1 + length > POLICY_WIDTH) {
            buffer_printf(out, "%s%s#", column <= POLICY_WIDTH ? "\n" : "", indent);
            column = strlen(indent) + 1;
        }
        buffer_printf(out, " %.*s", (int)length, word);
        column += 1 + length;
        word += length + strspn(word + length, " ");
    }
    buffer_append_text(out, "\n");
}

static void write_setting(struct buffer *out, const struct policy *policy, size_t index)
{
    const char *key = settings[index].key, *dot = strchr(key, '.');
    size_t length = dot == NULL ? 0 : (size_t)(dot - key);
    const char *before = index == 0 ? "" : settings[index - 1].key;
    bool opens = dot != NULL && strncmp(before, key, length + 1) != 0;
    buffer_append_text(out, "\n");
    if (opens) {
        buffer_printf(out, "%.*s:\n", (int)length, key);
    }
    const char *indent = dot == NULL ? "" : "  ";
    write_comment(out, settings[index].help, indent);
    buffer_printf(out, "%s%s: ", indent, dot == NULL ? key : dot + 1);
    setting_print(out, policy, table, index);
    buffer_append_text(out, "\n");
}

int policy_write_new(const struct policy *policy, const char *directory,
                     struct deepsad_error *error)
{
    char path[PATH_MAX];
    int status = policy_path(path, directory, error);
    if (status != DEEPSAD_OK || access(path, F_OK) == 0) {
        return status;
    }
    struct buffer text = {0};
    buffer_append_text(
        &text, "# Policy of this model: what deepsadd and deepsad do with its versions.\n"
               "# Read at start and on SIGHUP; an unknown key is an error.\n");
    for (size_t i = 0; i < table.count; i++) {
        write_setting(&text, policy, i);
    }
    status = text.failed ? error_no_memory(error, "model.yaml")
                         : file_replace(path, text.data, text.length, error);
    buffer_done(&text);
    return status;
}
