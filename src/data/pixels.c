/* SPDX-License-Identifier: Apache-2.0 */
#include "data/pixels.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/simd.h"
#include "data/dataset.h"

enum { PIXELS_FIRST = 1 << 18 }; /* values that the first rows take */

void pixels_init(struct pixels *out, size_t channels, size_t height, size_t width)
{
    *out = (struct pixels){.data = {.features = channels * height * width,
                                    .channels = channels,
                                    .height = height,
                                    .width = width}};
}

void pixels_done(struct pixels *pixels)
{
    deepsad_dataset_clear(&pixels->data);
    *pixels = (struct pixels){0};
}

static int resize(struct pixels *pixels, size_t rows, struct deepsad_error *error)
{
    int status = dataset_resize(&pixels->data, rows, "images", error);
    if (status == DEEPSAD_OK) {
        pixels->capacity = rows;
    }
    return status;
}

SIMD_CLONES
static void scale(float *restrict out, const unsigned char *restrict bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)bytes[i] / 255.0f;
    }
}

int pixels_append(struct pixels *pixels, const unsigned char *bytes, signed char label,
                  struct deepsad_error *error)
{
    struct deepsad_dataset *data = &pixels->data;
    if (data->rows == pixels->capacity) {
        size_t rows = data->rows == 0 ? 1 + PIXELS_FIRST / data->features
                                      : data->rows + data->rows / 2 + 1;
        int status = resize(pixels, rows, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
    }
    scale(data->x + data->rows * data->features, bytes, data->features);
    data->labels[data->rows++] = label;
    return DEEPSAD_OK;
}

int pixels_take(struct pixels *pixels, struct deepsad_dataset *out, const char *path,
                struct deepsad_error *error)
{
    if (pixels->data.rows == 0) {
        return error_set(error, DEEPSAD_INVALID, "%s: no image is in it", path);
    }
    int status = resize(pixels, pixels->data.rows, error);
    if (status == DEEPSAD_OK) {
        *out = pixels->data;
        *pixels = (struct pixels){0};
    }
    return status;
}
