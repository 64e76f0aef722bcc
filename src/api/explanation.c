/* SPDX-License-Identifier: Apache-2.0 */
#include "api/explanation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "model/explain.h"

void explanation_done(struct explanation *explanation)
{
    free(explanation->contributions);
    free(explanation->order);
    *explanation = (struct explanation){0};
}

static bool reserve(struct explanation *explanation, size_t features)
{
    if (features <= explanation->capacity) {
        return true;
    }
    explanation_done(explanation);
    explanation->contributions = calloc(features, sizeof(float));
    explanation->order = calloc(features, sizeof(uint32_t));
    if (explanation->contributions == NULL || explanation->order == NULL) {
        explanation_done(explanation);
        return false;
    }
    explanation->capacity = features;
    return true;
}

static void append_number(struct buffer *out, float value)
{
    char *room = buffer_reserve(out, NUMBER_FLOAT_MAX);
    if (room != NULL) {
        out->length += number_format_float(room, value);
    }
}

static void append_feature(struct buffer *out, const char *name, float value,
                           float contribution)
{
    buffer_append_text(out, "{\"feature\":");
    buffer_append_json_string(out, name, strlen(name));
    buffer_append_text(out, ",\"value\":");
    if (isfinite(value)) {
        append_number(out, value);
    } else {
        buffer_append_text(out, "null");
    }
    buffer_append_text(out, ",\"contribution\":");
    append_number(out, contribution);
    buffer_append(out, "}", 1);
}

bool explanation_append(struct explanation *explanation, struct buffer *out,
                        const struct deepsad_model *model,
                        struct deepsad_workspace *workspace, const float *x, size_t count)
{
    size_t features = deepsad_model_features(model);
    float base;
    if (!reserve(explanation, features) ||
        deepsad_explain(model, workspace, &base, explanation->contributions, x, NULL) !=
            DEEPSAD_OK) {
        return false;
    }
    explain_order(explanation->order, explanation->contributions, features);
    buffer_append_text(out, ",\"base\":");
    append_number(out, base);
    buffer_append_text(out, ",\"explanation\":[");
    for (size_t i = 0; i < count && i < features; i++) {
        size_t j = explanation->order[i];
        buffer_append(out, ",", i > 0);
        append_feature(out, deepsad_model_feature_name(model, j), x[j],
                       explanation->contributions[j]);
    }
    buffer_append(out, "]", 1);
    return !out->failed;
}
