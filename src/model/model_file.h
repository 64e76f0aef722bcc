/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model in one safetensors file: the tensors, and in __metadata__ our format's version,
 * the manifest, and a SHA-256 digest of the manifest and of the tensors' bytes. The rows
 * that it was trained on may be in it too (training_set.h): they are written where the
 * model holds them, and a model that is read does not hold them.
 */
#ifndef MODEL_MODEL_FILE_H
#define MODEL_MODEL_FILE_H

#include "base/buffer.h"
#include "model/model.h"
#include "model/safetensors.h"

#define MODEL_FILE_FORMAT "1"

/* Takes over the content of `bytes`. Messages lack the path. */
int model_file_parse(struct deepsad_model **out, struct buffer *bytes,
                     struct deepsad_error *error);
int model_file_format(struct buffer *out, const struct deepsad_model *model,
                      struct deepsad_error *error);

/* One file, no directories; messages start with the path. */
int model_file_read(struct deepsad_model **out, const char *path,
                    struct deepsad_error *error);

/* The file as it is, format and digest found right; the manifest is the file's. */
int model_file_open(struct safetensors **out, const char **manifest, const char *path,
                    struct deepsad_error *error);

#endif
