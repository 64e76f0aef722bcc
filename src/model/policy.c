/* SPDX-License-Identifier: Apache-2.0 */
#include "model/policy.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/setting.h"
#include "base/setting_yaml.h"

static const struct setting settings[] = {
    {.key = "alpha",
     .type = SETTING_NUMBER,
     .offset = offsetof(struct policy, alpha),
     .min = 1e-9,
     .max = 0.5,
     .fallback = "0.01",
     .help = "False-alarm budget: a row is anomalous where its p-value is at most this."},
};
static const struct setting_table table = {settings,
                                           sizeof settings / sizeof settings[0]};

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

int policy_write_new(const struct policy *policy, const char *directory,
                     struct deepsad_error *error)
{
    char path[PATH_MAX];
    int status = policy_path(path, directory, error);
    if (status != DEEPSAD_OK || access(path, F_OK) == 0) {
        return status;
    }
    struct buffer text = {0};
    buffer_printf(
        &text,
        "# Policy of this model: what deepsadd and deepsad do with its versions.\n"
        "# Read at start and on SIGHUP; an unknown key is an error.\n"
        "\n"
        "# False-alarm budget: a row is called anomalous where its p-value is at\n"
        "# most this. The model's card says which alpha its calibration can "
        "reach\n"
        "# (calibration.alpha_min).\n"
        "alpha: %g\n",
        policy->alpha);
    status = text.failed ? error_no_memory(error, "model.yaml")
                         : file_replace(path, text.data, text.length, error);
    buffer_done(&text);
    return status;
}
