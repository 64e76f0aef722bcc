/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/selection.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tool/terminal.h"

bool selection_given(const struct selection *selection)
{
    return !isnan(selection->labeled_anomalies) || !isnan(selection->labeled_normals) ||
           selection->pollution != NULL;
}

static bool read_pollution(double *out, const char *text)
{
    if (text == NULL || strcmp(text, "natural") == 0) {
        *out = text == NULL ? 0 : DEEPSAD_POLLUTION_NATURAL;
        return true;
    }
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end != '\0' || strspn(text, ".0123456789eE+-") < strlen(text) ||
        !(*out >= 0 && *out < 1)) {
        terminal_error("--pollution: expected a ratio from 0 to below 1, or natural, not "
                       "\"%s\"",
                       text);
        return false;
    }
    return true;
}

bool selection_resolve(struct deepsad_split_options *out,
                       const struct selection *selection, double anomalies)
{
    out->labeled_anomalies =
        isnan(selection->labeled_anomalies) ? anomalies : selection->labeled_anomalies;
    out->labeled_normals =
        isnan(selection->labeled_normals) ? 0 : selection->labeled_normals;
    return read_pollution(&out->pollution, selection->pollution);
}

int selection_read(struct deepsad_dataset *out, const struct selection *selection,
                   const struct reading *reading, const struct deepsad_split_options *how,
                   const char *path, struct deepsad_error *error)
{
    struct deepsad_dataset dataset = {0};
    int status = reading_read(&dataset, reading, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (!selection_given(selection)) {
        *out = dataset;
        return DEEPSAD_OK;
    }
    status = reading_need_labels(&dataset, error);
    if (status == DEEPSAD_OK) {
        status = deepsad_split(out, NULL, &dataset, how, error);
    }
    if (status != DEEPSAD_OK) {
        error_prefix(error, "%s", path);
    }
    deepsad_dataset_clear(&dataset);
    return status;
}
