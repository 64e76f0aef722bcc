/* SPDX-License-Identifier: Apache-2.0 */
/* A version made again from what it records: its rows (or the data that it was trained
 * on), recipe, seed, scaler; or, where it is another one calibrated again, that one. */
#ifndef TOOL_REBUILD_H
#define TOOL_REBUILD_H

#include <jansson.h>
#include <stdbool.h>

#include "deepsad.h"
#include "model/safetensors.h"
#include "model/version.h"

/* A version as it stands in its file. */
struct original {
    struct version_place place;
    struct safetensors *file;
    struct deepsad_model *model;
    json_t *card;
};

int original_open(struct original *out, const char *path, struct deepsad_error *error);
void original_close(struct original *original);

/* The processor and library that trained it are those of this process. */
bool original_same_blas(const struct original *original);
/* The version that it is a new calibration of, or NULL. */
const char *original_recalibrated_from(const struct original *original);

struct rebuild_options {
    const struct deepsad_dataset *data; /* NULL = the rows that the version holds */
    size_t threads;
    int (*progress)(void *closure, const struct deepsad_progress *progress);
    void *closure;
};

int rebuild(struct deepsad_model **out, const struct original *original,
            const struct rebuild_options *options, struct deepsad_error *error);

#endif
