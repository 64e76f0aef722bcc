/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tape is a list of parts: a layer on rows, or a run of layers on images. Rows go from
 * one to the next; each keeps what its way back needs.
 */
#include "nn/tape.h"

#include <stdlib.h>

#include "nn/image_layers.h"
#include "nn/matrix.h"
#include "nn/row_layers.h"

struct part {
    size_t first, count;         /* layers */
    struct image_layers *images; /* NULL: one layer on rows */
    float *output;               /* (rows, the last layer's outputs) */
    float *inverse_std;          /* (outputs) of batch norm on rows, else NULL */
};

struct tape {
    size_t part_count;
    struct part *parts;
    struct crew *crew;
    bool has_images;
    float *scratch;   /* of the largest dense layer's weights */
    float *gradients; /* (2, rows, widest): a part's dy, and the dx it makes */
    size_t gradient_size;
    float *gradient; /* of the two: by the network's output */
    const float *x;  /* of the last forward pass */
    size_t rows;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* ---- Memory ---- */

static void find_parts(struct tape *tape, const struct network *network)
{
    for (size_t i = 0; i < network->layer_count;
         i += tape->parts[tape->part_count++].count) {
        size_t count = image_layers_count(network, i);
        tape->has_images |= count > 0;
        tape->parts[tape->part_count] =
            (struct part){.first = i, .count = count > 0 ? count : 1};
    }
}

static int allocate_part(struct tape *tape, struct part *part,
                         const struct network *network, size_t rows,
                         struct deepsad_error *error)
{
    static const char what[] = "the outputs of the layers";
    const struct layer *last = &network->layers[part->first + part->count - 1];
    int status = matrix_new(&part->output, rows, last->outputs, what, error);
    if (status == DEEPSAD_OK && image_layers_count(network, part->first) > 0) {
        status = image_layers_new(&part->images, network, part->first, rows, tape->crew,
                                  error);
    } else if (status == DEEPSAD_OK && last->kind == LAYER_BATCH_NORM) {
        status = matrix_new(&part->inverse_std, 1, last->outputs, what, error);
    }
    return status;
}

static int allocate(struct tape *tape, const struct network *network, size_t rows,
                    struct deepsad_error *error)
{
    static const char what[] = "the gradients of the layers";
    size_t widest = network->inputs;
    size_t weights = 0;
    int status = DEEPSAD_OK;
    for (size_t i = 0; i < tape->part_count && status == DEEPSAD_OK; i++) {
        struct part *part = &tape->parts[i];
        const struct layer *last = &network->layers[part->first + part->count - 1];
        status = allocate_part(tape, part, network, rows, error);
        if (last->kind == LAYER_DENSE) {
            weights = larger(weights, last->inputs * last->outputs);
        }
        widest = larger(widest, last->outputs);
    }
    if (status == DEEPSAD_OK) {
        status = matrix_new(&tape->scratch, 1, weights, what, error);
    }
    if (status == DEEPSAD_OK) {
        status = matrix_new(&tape->gradients, 2 * rows, widest, what, error);
    }
    tape->gradient_size = rows * widest;
    tape->gradient = tape->gradients;
    return status;
}

int tape_new(struct tape **out, const struct network *network, size_t rows,
             struct crew *crew, struct deepsad_error *error)
{
    if (rows > SIZE_MAX / 2) {
        return error_no_memory(error, "a batch");
    }
    struct tape *tape = calloc(1, sizeof *tape);
    if (tape == NULL) {
        return error_no_memory(error, "a batch");
    }
    tape->crew = crew;
    tape->parts = calloc(network->layer_count, sizeof *tape->parts);
    if (tape->parts == NULL) {
        tape_free(tape);
        return error_no_memory(error, "a batch");
    }
    find_parts(tape, network);
    int status = allocate(tape, network, rows, error);
    if (status != DEEPSAD_OK) {
        tape_free(tape);
        return status;
    }
    *out = tape;
    return DEEPSAD_OK;
}

void tape_free(struct tape *tape)
{
    if (tape == NULL) {
        return;
    }
    for (size_t i = 0; i < tape->part_count; i++) {
        image_layers_free(tape->parts[i].images);
        free(tape->parts[i].output);
        free(tape->parts[i].inverse_std);
    }
    free(tape->parts);
    free(tape->scratch);
    free(tape->gradients);
    free(tape);
}

/* ---- Passes ---- */

/* Networks of layers on rows alone are small: one thread, undivided products. */
static struct row_layer row_layer(const struct tape *tape, const struct part *part,
                                  const struct network *network, size_t rows)
{
    return (struct row_layer){.layer = &network->layers[part->first],
                              .rows = rows,
                              .divided = tape->has_images,
                              .crew = tape->has_images ? tape->crew : NULL,
                              .inverse_std = part->inverse_std};
}

const float *tape_forward_train(struct tape *tape, struct network *network,
                                const float *x, size_t rows)
{
    tape->x = x;
    tape->rows = rows;
    for (size_t i = 0; i < tape->part_count; i++) {
        const struct part *part = &tape->parts[i];
        if (part->images != NULL) {
            image_layers_forward_train(part->images, network, part->output, x, rows);
        } else {
            struct row_layer row = row_layer(tape, part, network, rows);
            row_layer_forward_train(&row, network, part->output, x);
        }
        x = part->output;
    }
    return x;
}

const float *tape_forward_eval(struct tape *tape, const struct network *network,
                               const float *x, size_t rows)
{
    for (size_t i = 0; i < tape->part_count; i++) {
        const struct part *part = &tape->parts[i];
        if (part->images != NULL) {
            image_layers_forward_eval(part->images, network, part->output, x, rows);
        } else {
            struct row_layer row = row_layer(tape, part, network, rows);
            row_layer_forward_eval(&row, network, part->output, x);
        }
        x = part->output;
    }
    return x;
}

float *tape_output_gradient(struct tape *tape)
{
    return tape->gradient;
}

/* Part i: dy becomes dx, in place or in the other gradient block. Returns where. The
 * first part's dx is not wanted. */
static float *backward(struct tape *tape, struct network *network, size_t i, float *dy)
{
    const struct part *part = &tape->parts[i];
    const float *x = i > 0 ? tape->parts[i - 1].output : tape->x;
    float *other =
        dy == tape->gradients ? tape->gradients + tape->gradient_size : tape->gradients;
    if (part->images != NULL) {
        image_layers_backward(part->images, network, i > 0 ? other : NULL, dy);
        return other;
    }
    struct row_layer row = row_layer(tape, part, network, tape->rows);
    return row_layer_backward(&row, network, other, dy, part->output, x, i > 0,
                              tape->scratch);
}

void tape_backward(struct tape *tape, struct network *network)
{
    float *dy = tape->gradient;
    for (size_t i = tape->part_count; i > 0; i--) {
        dy = backward(tape, network, i - 1, dy);
    }
}
