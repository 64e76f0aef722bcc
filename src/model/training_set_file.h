/* SPDX-License-Identifier: Apache-2.0 */
/* A training set in a model's file, beside the model. */
#ifndef MODEL_TRAINING_SET_FILE_H
#define MODEL_TRAINING_SET_FILE_H

#include "model/safetensors.h"
#include "model/safetensors_writer.h"
#include "model/training_set.h"

/* Of a model file; DEEPSAD_NOT_FOUND where the model keeps none. */
int training_set_read(struct training_set *out, const char *path,
                      struct deepsad_error *error);

/* Tensors reservoir.x (rows, features), .y, .ordinal (labels), and in __metadata__ the
 * counts and ids; for model_file.c. Reading checks all of it, against the digest in the
 * manifest too. */
int training_set_save(const struct training_set *set, struct safetensors_writer *writer,
                      struct deepsad_error *error);
int training_set_load(struct training_set *out, const struct safetensors *file,
                      size_t features, struct deepsad_error *error);

#endif
