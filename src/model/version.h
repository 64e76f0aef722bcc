/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model directories: MODELS/NAME/<n>/model.safetensors, n = 1, 2, ..., and
 * MODELS/NAME/model.yaml. A version directory is made under a temporary name and renamed,
 * so it is never seen half-written; two writers cannot get the same number, because a
 * rename onto a directory that is not empty fails. All of it is synced before the rename,
 * the directory after it: neither a killed process nor a power cut leaves half a version.
 */
#ifndef MODEL_VERSION_H
#define MODEL_VERSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "deepsad.h"

#define VERSION_FILE "model.safetensors"

/* ^[a-z0-9][a-z0-9_-]{0,63}$ */
bool version_name_valid(const char *name);

/* Whether versions may be written into MODELS/NAME: the name is one, and the directory is
 * not itself a version. */
int version_check_directory(const char *directory, struct deepsad_error *error);

/* Version numbers in MODELS/NAME, newest first; free() them. None is no error. */
int version_list(unsigned **out, size_t *count, const char *directory,
                 struct deepsad_error *error);

/* deepsad_model_save_version(); a challenger (live.h) is never live by itself. `version`
 * may be NULL. */
int version_save(const struct deepsad_model *model, const char *directory,
                 bool challenger, unsigned *version, struct deepsad_error *error);

/* The version is gone at once or not at all; DEEPSAD_NOT_FOUND where it is not there. */
int version_remove(const char *directory, unsigned number, struct deepsad_error *error);

/* file: of a path that is a file, MODELS/NAME (its live version) or MODELS/NAME/<n>;
 * directory: MODELS/NAME, or NULL where the path is a file outside a model directory.
 * free() both. */
struct version_place {
    char *file, *directory;
};
int version_locate(struct version_place *out, const char *path,
                   struct deepsad_error *error);
void version_place_done(struct version_place *place);

#endif
