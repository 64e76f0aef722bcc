/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/scale.h"

#include <math.h>
#include <stddef.h>

#include "model/model.h"
#include "tool/terminal.h"

static const double FAR = 10; /* in units of the training rows' spread: they have 1 */
static const float DARK = 50; /* times */

/* Of the values that are there; 0 where none is. */
static float largest(const float *x, size_t count)
{
    float most = 0;
    for (size_t i = 0; i < count; i++) {
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most; /* false for NaN */
    }
    return most;
}

/* Root mean square of the scaled values; those of the training rows have 1 (global), or
 * lie in [0, 1]. */
static double distance(const struct scaler *scaler, const float *x)
{
    double sum = 0;
    size_t count = 0;
    for (size_t j = 0; j < scaler->features; j++) {
        if (!isnan(x[j])) {
            double z =
                ((double)x[j] - (double)scaler->offset[j]) * (double)scaler->scale[j];
            sum += z * z;
            count++;
        }
    }
    return count > 0 ? sqrt(sum / (double)count) : 0;
}

bool scale_differs(const struct deepsad_model *model,
                   const struct deepsad_dataset *dataset)
{
    const struct scaler *scaler = &model->scaler;
    float known = model->channels > 0 ? largest(scaler->impute, scaler->features) : 0;
    bool one_spread = scaler->kind == SCALER_GLOBAL ||
                      (scaler->kind == SCALER_NONE && known <= 1); /* pixels in [0, 1] */
    size_t off = 0;
    for (size_t i = 0; i < dataset->rows && model->channels > 0; i++) {
        const float *x = dataset->x + i * dataset->features;
        bool far = one_spread && distance(scaler, x) > FAR;
        off += far || largest(x, dataset->features) * DARK < known;
    }
    return off > dataset->rows / 2;
}

void scale_warn(const struct deepsad_model *model, const struct deepsad_dataset *dataset,
                const char *path)
{
    if (scale_differs(model, dataset)) {
        terminal_warning("%s: most images are on another scale than those that the model "
                         "was trained on, which makes them all alike to it; bytes of "
                         "images become 0 to 1, all other values are taken as they are",
                         path);
    }
}
