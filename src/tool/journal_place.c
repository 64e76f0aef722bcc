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

/* Of the version's directory, that the file is in. */
static unsigned version_number(const char *file)
{
    char *real = realpath(file, NULL), *slash = real == NULL ? NULL : strrchr(real, '/');
    unsigned number = 0;
    if (slash != NULL) {
        *slash = '\0';
        number = (unsigned)strtoul(last_part(real), NULL, 10);
    }
    free(real);
    return number;
}

static int take_names(struct journal_place *out, const struct version_place *place,
                      const char *path, struct deepsad_error *error)
{
    char *directory = place->directory == NULL ? NULL : realpath(place->directory, NULL);
    if (directory == NULL || !version_name_valid(last_part(directory))) {
        free(directory);
        return error_set(error, DEEPSAD_INVALID,
                         "%s: labels belong to a model of a model directory; give "
                         "MODELS/NAME",
                         path);
    }
    snprintf(out->name, sizeof out->name, "%s", last_part(directory));
    out->version = version_number(place->file);
    free(directory);
    return DEEPSAD_OK;
}

static int load_model(struct journal_place *out, const char *path,
                      struct deepsad_error *error)
{
    struct version_place place;
    if (access(path, F_OK) != 0) {
        return error_system(error, errno, "%s: no such model", path);
    }
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
