/* SPDX-License-Identifier: Apache-2.0 */
#include "api/values.h"

#include <math.h>
#include <stdlib.h>

#include "base/number.h"
#include "deepsad.h"

json_t *value_text(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

json_t *value_id(const char *id)
{
    return id[0] == '\0' ? json_null() : json_string(id);
}

json_t *value_number(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

json_t *value_float(float number)
{
    char text[NUMBER_FLOAT_MAX + 1];
    if (!isfinite(number)) {
        return json_null();
    }
    text[number_format_float(text, number)] = '\0';
    return json_real(strtod(text, NULL));
}

json_t *value_version(unsigned number)
{
    return number == 0 ? json_null() : json_sprintf("%u", number);
}

json_t *value_features(const struct deepsad_model *model, const float *x)
{
    json_t *features = json_object();
    for (size_t i = 0; i < deepsad_model_features(model); i++) {
        const char *name = deepsad_model_feature_name(model, i);
        if (json_object_set_new(features, name, value_float(x[i])) != 0) {
            json_decref(features);
            return NULL;
        }
    }
    return features;
}

json_t *value_row(const float *x, size_t features)
{
    json_t *row = json_array();
    for (size_t i = 0; i < features; i++) {
        if (json_array_append_new(row, value_float(x[i])) != 0) {
            json_decref(row);
            return NULL;
        }
    }
    return row;
}
