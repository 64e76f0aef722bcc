/* SPDX-License-Identifier: Apache-2.0 */
#include "api/model_columns.h"

#include "model/model.h"

static const char *column_name(const void *closure, size_t column)
{
    return deepsad_model_feature_name(closure, column);
}

static size_t column_index(const void *closure, const char *name, size_t length)
{
    return deepsad_model_feature_index(closure, name, length);
}

struct rows_columns model_columns(const struct deepsad_model *model)
{
    return (struct rows_columns){
        .count = deepsad_model_features(model),
        .closure = model,
        .name = column_name,
        .index = column_index,
        .channels = model->channels,
        .height = model->height,
        .width = model->width,
    };
}
