/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/center.h"

#include <math.h>
#include <stdlib.h>

#include "nn/lanes.h"
#include "nn/matrix.h"
#include "nn/tape.h"

enum { CENTER_BLOCK = 256, CENTER_FLOATS = 1 << 22 }; /* 16 MiB */
#define CENTER_LEAST 0.1

/* Rows of a block. A tape keeps the outputs of all layers, which are large where they are
 * images: fewer rows then. */
static size_t center_block(const struct network *encoder)
{
    size_t floats = 1;
    for (size_t i = 0; i < encoder->layer_count; i++) {
        floats += encoder->layers[i].outputs;
    }
    size_t groups = CENTER_FLOATS / floats / LANES;
    if (!network_has_images(encoder) || groups >= CENTER_BLOCK / LANES) {
        return CENTER_BLOCK;
    }
    return groups > 0 ? groups * LANES : LANES;
}

/* sum (outputs) += phi of each row, block by block */
static void add_outputs(double *sum, struct tape *tape, const struct network *encoder,
                        const struct trainer_data *data, float *x)
{
    size_t most = center_block(encoder);
    for (size_t first = 0; first < data->count; first += most) {
        size_t rows = data->count - first;
        rows = rows < most ? rows : most;
        const float *block = data->rows + first * data->features;
        if (data->index != NULL) {
            matrix_gather(x, data->rows, data->index + first, rows, data->features);
            block = x;
        }
        const float *phi = tape_forward_eval(tape, encoder, block, rows);
        for (size_t i = 0; i < rows; i++) {
            for (size_t j = 0; j < encoder->outputs; j++) {
                sum[j] += (double)phi[i * encoder->outputs + j];
            }
        }
    }
}

/* A center at 0 would be reached by weights of 0: move it away. */
static float away_from_zero(double mean)
{
    if (fabs(mean) < CENTER_LEAST) {
        return mean < 0 ? (float)-CENTER_LEAST : (float)CENTER_LEAST;
    }
    return (float)mean;
}

static int mean_output(float *center, const struct network *encoder,
                       const struct trainer_data *data, double *sum, struct tape *tape,
                       float *x, struct deepsad_error *error)
{
    add_outputs(sum, tape, encoder, data, x);
    for (size_t j = 0; j < encoder->outputs; j++) {
        if (!isfinite(sum[j])) {
            return error_set(error, DEEPSAD_INVALID,
                             "the center is not finite: scale the features");
        }
    }
    for (size_t j = 0; j < encoder->outputs; j++) {
        center[j] = away_from_zero(sum[j] / (double)data->count);
    }
    return DEEPSAD_OK;
}

int center_fit(float *center, const struct network *encoder,
               const struct trainer_data *data, struct deepsad_error *error)
{
    if (data->count == 0 || data->features != encoder->inputs) {
        return error_set(error, DEEPSAD_INVALID,
                         "the center needs rows of %zu features, got %zu rows of %zu",
                         encoder->inputs, data->count, data->features);
    }
    double *sum = calloc(encoder->outputs, sizeof *sum);
    if (sum == NULL) {
        return error_no_memory(error, "the center");
    }
    struct tape *tape = NULL;
    float *x = NULL;
    size_t rows = center_block(encoder);
    int status = matrix_new(&x, rows, data->features, "the center", error);
    if (status == DEEPSAD_OK) {
        status = tape_new(&tape, encoder, rows, NULL, error);
    }
    if (status == DEEPSAD_OK) {
        status = mean_output(center, encoder, data, sum, tape, x, error);
    }
    tape_free(tape);
    free(x);
    free(sum);
    return status;
}
