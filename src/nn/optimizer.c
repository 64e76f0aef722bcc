/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/optimizer.h"

#include <math.h>
#include <stdlib.h>

#include "base/simd.h"
#include "nn/matrix.h"

#define BETA_1 0.9
#define BETA_2 0.999
#define EPSILON 1e-8F

struct optimizer {
    size_t count;
    float weight_decay;
    bool decoupled;
    double power_1, power_2; /* beta^t of the steps done */
    float *first;            /* (count) moment */
    float *second;           /* (count) moment */
};

int optimizer_new(struct optimizer **out, size_t count, float weight_decay,
                  bool decoupled, struct deepsad_error *error)
{
    struct optimizer *optimizer = calloc(1, sizeof *optimizer);
    if (optimizer == NULL) {
        return error_no_memory(error, "the optimizer");
    }
    *optimizer = (struct optimizer){.count = count,
                                    .weight_decay = weight_decay,
                                    .decoupled = decoupled,
                                    .power_1 = 1,
                                    .power_2 = 1};
    int status = matrix_new(&optimizer->first, 2, count, "Adam's moments", error);
    if (status != DEEPSAD_OK) {
        optimizer_free(optimizer);
        return status;
    }
    optimizer->second = optimizer->first + count;
    *out = optimizer;
    return DEEPSAD_OK;
}

void optimizer_free(struct optimizer *optimizer)
{
    if (optimizer != NULL) {
        free(optimizer->first);
        free(optimizer);
    }
}

/* What a step multiplies by. */
struct factors {
    float keep;         /* of the parameter: 1 - learning rate x decoupled decay */
    float decay;        /* L2 */
    float rate;         /* learning rate / (1 - beta_1^t) */
    float inverse_root; /* 1 / sqrt(1 - beta_2^t) */
};

SIMD_CLONES
static void adam(float *restrict params, const float *restrict grads,
                 float *restrict first, float *restrict second, size_t count,
                 const struct factors *factors)
{
    const struct factors f = *factors;
    for (size_t i = 0; i < count; i++) {
        float param = params[i] * f.keep;
        float grad = grads[i] + f.decay * params[i];
        first[i] = (float)BETA_1 * first[i] + (float)(1 - BETA_1) * grad;
        second[i] = (float)BETA_2 * second[i] + (float)(1 - BETA_2) * grad * grad;
        params[i] =
            param - f.rate * first[i] / (sqrtf(second[i]) * f.inverse_root + EPSILON);
    }
}

void optimizer_step(struct optimizer *optimizer, float *params, const float *grads,
                    double learning_rate)
{
    optimizer->power_1 *= BETA_1;
    optimizer->power_2 *= BETA_2;
    double decay = (double)optimizer->weight_decay;
    struct factors factors = {
        .keep = optimizer->decoupled ? (float)(1 - learning_rate * decay) : 1,
        .decay = optimizer->decoupled ? 0 : optimizer->weight_decay,
        .rate = (float)(learning_rate / (1 - optimizer->power_1)),
        .inverse_root = (float)(1 / sqrt(1 - optimizer->power_2)),
    };
    adam(params, grads, optimizer->first, optimizer->second, optimizer->count, &factors);
}
