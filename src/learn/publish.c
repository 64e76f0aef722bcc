/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/publish.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "model/model_file.h"
#include "model/version.h"

int publish_place_init(struct publish_place *out, const char *models,
                       const struct catalog_entry *entry, struct deepsad_error *error)
{
    char *directory;
    if (asprintf(&directory, "%s/%s", models, entry->name) < 0) {
        return error_no_memory(error, "a path");
    }
    out->directory = directory;
    return DEEPSAD_OK;
}

void publish_place_done(struct publish_place *place)
{
    free(place->directory);
    place->directory = NULL;
}

char *publish_version_file(const struct publish_place *place, unsigned number)
{
    char *file;
    return asprintf(&file, "%s/%u/%s", place->directory, number, VERSION_FILE) < 0 ? NULL
                                                                                   : file;
}

int publish_read(struct deepsad_model **out, const struct publish_place *place,
                 unsigned number, struct deepsad_error *error)
{
    char *file = publish_version_file(place, number);
    int status = file == NULL ? error_no_memory(error, "a path")
                              : model_file_read(out, file, error);
    free(file);
    return status;
}

int publish_version(unsigned *number, const struct publish_place *place,
                    const struct deepsad_model *model, bool challenger,
                    struct deepsad_error *error)
{
    /* Saving would make the directory: a model that was removed meanwhile stays removed.
     */
    if (!file_is_directory(place->directory)) {
        return error_set(error, DEEPSAD_NOT_FOUND,
                         "%s is gone: it was removed while its model was retrained",
                         place->directory);
    }
    return version_save(model, place->directory, challenger, number, error);
}
