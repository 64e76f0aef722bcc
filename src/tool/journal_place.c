/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/journal_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "model/version.h"
#include "store/sqlite.h"

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* place->file is MODELS/NAME/<n>/model.safetensors; place->directory MODELS/NAME. */
static int take_names(struct journal_place *out, const struct version_place *place,
                      const char *path, struct deepsad_error *error)
{
    char *directory = place->directory == NULL ? NULL : realpath(place->directory, NULL);
    const char *name = directory == NULL ? "" : last_part(directory);
    bool valid = version_name_valid(name);
    if (valid) {
        snprintf(out->name, sizeof out->name, "%s", name);
        out->version =
            (unsigned)strtoul(place->file + strlen(place->directory) +
                                  strspn(place->file + strlen(place->directory), "/"),
                              NULL, 10);
    }
    free(directory);
    return valid ? DEEPSAD_OK
                 : error_set(error, DEEPSAD_INVALID,
                             "%s: labels belong to a model of a model directory; give "
                             "MODELS/NAME",
                             path);
}

static int load_model(struct journal_place *out, const char *path,
                      struct deepsad_error *error)
{
    struct version_place place;
    int status = version_locate(&place, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = take_names(out, &place, path, error);
    if (status == DEEPSAD_OK) {
        status = deepsad_model_load(&out->model, place.file, error);
    }
    version_place_done(&place);
    return status;
}

static int open_store(struct journal_place *out, const char *state, bool make,
                      struct deepsad_error *error)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/" SQLITE_FILE, state);
    if (!make && access(path, F_OK) != 0) {
        return error_system(error, errno, "%s", path);
    }
    /* Nothing is kept or dropped here: limits are the daemon's. */
    const struct sqlite_options options = {
        .directory = state, .queue = 1 << 20, .retention = {.samples = INT_MAX}};
    return sqlite_open(&out->store, &options, error);
}

int journal_place_open(struct journal_place *out, const char *path, const char *state,
                       bool make, struct deepsad_error *error)
{
    struct journal_place place = {0};
    int status = load_model(&place, path, error);
    if (status == DEEPSAD_OK) {
        status = open_store(&place, state, make, error);
    }
    if (status != DEEPSAD_OK) {
        journal_place_close(&place);
        return status;
    }
    *out = place;
    return DEEPSAD_OK;
}

void journal_place_close(struct journal_place *place)
{
    store_close(place->store);
    deepsad_model_unref(place->model);
    *place = (struct journal_place){0};
}
