/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two models are the same: their tensors but for the kept training rows, and the
 * weights and normalisers that the manifest holds. */
#ifndef MODEL_MODEL_COMPARE_H
#define MODEL_MODEL_COMPARE_H

#include "model/digest.h"
#include "model/model.h"
#include "model/safetensors.h"

struct model_difference {
    size_t tensors;   /* of `expected` */
    size_t different; /* of them, not the same bit for bit */
    char first[128];  /* the first of these; "" = none */
    double largest;   /* difference, relative to its tensor's largest value */
    char digest[DIGEST_TEXT_SIZE]; /* SHA-256 of the expected tensors */
};

/* `model` against the model file `expected`. */
int model_compare(struct model_difference *out, const struct safetensors *expected,
                  const struct deepsad_model *model, struct deepsad_error *error);

#endif
