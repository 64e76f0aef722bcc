/* SPDX-License-Identifier: Apache-2.0 */
#include "model/version.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "model/live.h"
#include "model/model_file.h"
#include "model/policy.h"
#include "model/staging.h"

enum {
    VERSION_ATTEMPTS = 1000,
    VERSION_NAME_MAX = 64,
};

bool version_name_valid(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t length = strlen(name);
    return length >= 1 && length <= VERSION_NAME_MAX && strspn(name, first) >= 1 &&
           strspn(name, others) == length;
}

/* 0 for whatever is not a number as version directories have it: no sign, no zero ahead.
 */
static unsigned parse_number(const char *name)
{
    char *end;
    if (name[0] < '1' || name[0] > '9') {
        return 0;
    }
    errno = 0;
    unsigned long number = strtoul(name, &end, 10);
    return *end != '\0' || errno != 0 || number > UINT_MAX ? 0 : (unsigned)number;
}

static int compare_newest_first(const void *a, const void *b)
{
    unsigned left = *(const unsigned *)a, right = *(const unsigned *)b;
    return (left < right) - (left > right);
}

/* 0, or the errno of a look that says nothing: a version is not gone because of that. */
static int look_for_version(bool *is, const char *directory, const char *name)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s/%s", directory, name, VERSION_FILE);
    *is = length > 0 && length < PATH_MAX && access(path, F_OK) == 0;
    bool told = *is || errno == ENOENT || errno == ENOTDIR || errno == EACCES;
    return told ? 0 : errno;
}

int version_list(unsigned **out, size_t *count, const char *directory,
                 struct deepsad_error *error)
{
    DIR *stream = opendir(directory);
    if (stream == NULL) {
        return error_system(error, errno, "%s: cannot open the model directory",
                            directory);
    }
    unsigned *list = NULL;
    size_t found = 0, capacity = 0;
    int status = DEEPSAD_OK;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        unsigned number = parse_number(entry->d_name);
        bool is = false;
        int failed = number == 0 ? 0 : look_for_version(&is, directory, entry->d_name);
        if (failed != 0) {
            status = error_system(error, failed, "%s: cannot be read", directory);
            break;
        }
        if (!is) {
            continue;
        }
        if (found == capacity) {
            capacity = capacity == 0 ? 16 : 2 * capacity;
            unsigned *larger = reallocarray(list, capacity, sizeof *list);
            if (larger == NULL) {
                status = error_no_memory(error, "versions");
                break;
            }
            list = larger;
        }
        list[found++] = number;
    }
    closedir(stream);
    if (status != DEEPSAD_OK) {
        free(list);
        return status;
    }
    if (found > 0) {
        qsort(list, found, sizeof *list, compare_newest_first);
    }
    *out = list;
    *count = found;
    return DEEPSAD_OK;
}

/* ---- Locating ---- */

static char *join(const char *directory, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

/* MODELS/NAME of MODELS/NAME/<n>, or NULL where the path does not look like that. */
static char *parent_of_version(const char *version)
{
    char *resolved = realpath(version, NULL);
    char *slash = resolved == NULL ? NULL : strrchr(resolved, '/');
    if (slash == NULL || slash == resolved || parse_number(slash + 1) == 0) {
        free(resolved);
        return NULL;
    }
    *slash = '\0';
    return resolved;
}

static int locate_file(struct version_place *place, const char *path,
                       struct deepsad_error *error)
{
    place->file = strdup(path);
    if (place->file == NULL) {
        return error_no_memory(error, "a path");
    }
    const char *slash = strrchr(path, '/');
    if (slash == NULL || strcmp(slash + 1, VERSION_FILE) != 0) {
        return DEEPSAD_OK;
    }
    char *version = strndup(path, (size_t)(slash - path));
    if (version != NULL) {
        place->directory = parent_of_version(version);
        free(version);
    }
    return DEEPSAD_OK;
}

static int choose_live(unsigned *out, const char *path, struct deepsad_error *error)
{
    unsigned *numbers;
    size_t count;
    struct live live;
    int status = live_read(&live, path, error);
    if (status == DEEPSAD_OK) {
        status = version_list(&numbers, &count, path, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    *out = live_choose(&live, path, numbers, count);
    free(numbers);
    if (count > 0 && *out == 0) {
        return error_set(error, DEEPSAD_NOT_FOUND,
                         "%s: no version is live, all are challengers; name one of them: "
                         "%s/<n>",
                         path, path);
    }
    return count > 0 ? DEEPSAD_OK
                     : error_set(error, DEEPSAD_NOT_FOUND,
                                 "%s: no version of a model in it (no <n>/%s); train one "
                                 "with: deepsad train DATA --out %s",
                                 path, VERSION_FILE, path);
}

static int locate_live(struct version_place *place, const char *path,
                       struct deepsad_error *error)
{
    unsigned number;
    int status = choose_live(&number, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    char *file;
    int length = asprintf(&file, "%s/%u/%s", path, number, VERSION_FILE);
    place->file = length < 0 ? NULL : file;
    place->directory = strdup(path);
    return place->file == NULL || place->directory == NULL
               ? error_no_memory(error, "a path")
               : DEEPSAD_OK;
}

int version_locate(struct version_place *out, const char *path,
                   struct deepsad_error *error)
{
    struct version_place place = {0};
    int status;
    char *inside = NULL;
    if (!file_is_directory(path)) {
        status = locate_file(&place, path, error);
    } else if ((inside = join(path, VERSION_FILE)) != NULL && access(inside, F_OK) == 0) {
        place.file = strdup(inside);
        place.directory = parent_of_version(path);
        status = place.file == NULL ? error_no_memory(error, "a path") : DEEPSAD_OK;
    } else {
        status = locate_live(&place, path, error);
    }
    free(inside);
    if (status != DEEPSAD_OK) {
        version_place_done(&place);
        return status;
    }
    *out = place;
    return DEEPSAD_OK;
}

void version_place_done(struct version_place *place)
{
    free(place->file);
    free(place->directory);
    *place = (struct version_place){0};
}

int deepsad_model_load(struct deepsad_model **out, const char *path,
                       struct deepsad_error *error)
{
    struct version_place place;
    struct deepsad_model *model = NULL;
    struct policy policy;
    policy_defaults(&policy);
    int status = version_locate(&place, path, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (place.directory != NULL) {
        status = policy_read(&policy, place.directory, error);
    }
    if (status == DEEPSAD_OK) {
        status = model_file_read(&model, place.file, error);
    }
    version_place_done(&place);
    if (status == DEEPSAD_OK) {
        model->alpha = policy.alpha;
        *out = model;
    }
    return status;
}

/* ---- Saving ---- */

static int check_name(const char *directory, struct deepsad_error *error)
{
    char copy[PATH_MAX];
    size_t length = strlen(directory);
    while (length > 1 && directory[length - 1] == '/') {
        length--;
    }
    snprintf(copy, sizeof copy, "%.*s", (int)length, directory);
    const char *slash = strrchr(copy, '/');
    const char *name = slash == NULL ? copy : slash + 1;
    return version_name_valid(name)
               ? DEEPSAD_OK
               : error_set(error, DEEPSAD_INVALID,
                           "%s: \"%s\" is no model name; use 1 to 64 of a-z, 0-9, _ and "
                           "-, a letter or digit first",
                           directory, name);
}

static int sync_directory(const char *path, struct deepsad_error *error)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int number = descriptor < 0 || fsync(descriptor) != 0 ? errno : 0;
    if (descriptor >= 0) {
        close(descriptor);
    }
    return number == 0 ? DEEPSAD_OK
                       : error_system(error, number, "%s: cannot sync", path);
}

/* The directory's own entry, made together with its first version; where we may. */
static int sync_parent(const char *directory, struct deepsad_error *error)
{
    char *path = join(directory, "..");
    int status = path == NULL              ? error_no_memory(error, "a path")
                 : access(path, R_OK) == 0 ? sync_directory(path, error)
                                           : DEEPSAD_OK;
    free(path);
    return status;
}

/* Renames the finished directory to the first number that is free above the newest. */
static int publish(unsigned *version, const char *staging, const char *directory,
                   struct deepsad_error *error)
{
    unsigned *numbers;
    size_t count;
    int status = version_list(&numbers, &count, directory, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    unsigned number = count > 0 ? numbers[0] : 0;
    free(numbers);
    if (number == 0) {
        status = sync_parent(directory, error);
    }
    for (int attempt = 0;
         status == DEEPSAD_OK && attempt < VERSION_ATTEMPTS && number < UINT_MAX;
         attempt++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%u", directory, ++number);
        if (rename(staging, path) == 0) {
            *version = number;
            status = sync_directory(directory, error);
            if (status != DEEPSAD_OK) {
                rename(path, staging); /* not on the disk for sure: never been there */
            }
            return status;
        }
        if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) {
            return error_system(error, errno, "%s: cannot create the version", path);
        }
    }
    return status != DEEPSAD_OK
               ? status
               : error_set(error, DEEPSAD_IO, "%s: no free version number above %u",
                           directory, number);
}

static int write_marker(const char *staging, struct deepsad_error *error)
{
    char *marker = join(staging, LIVE_CHALLENGER);
    int status = marker == NULL ? error_no_memory(error, "a path")
                                : file_replace(marker, "", 0, error);
    free(marker);
    return status;
}

static int write_version(const struct deepsad_model *model, const char *staging,
                         const char *directory, bool challenger, unsigned *version,
                         struct deepsad_error *error)
{
    char *file = join(staging, VERSION_FILE);
    struct policy policy;
    policy_defaults(&policy);
    policy.alpha = model->alpha;
    int status = file == NULL ? error_no_memory(error, "a path")
                              : deepsad_model_save(model, file, error);
    if (status == DEEPSAD_OK && challenger) {
        status = write_marker(staging, error);
    }
    if (status == DEEPSAD_OK) {
        status = policy_write_new(&policy, directory, error);
    }
    if (status == DEEPSAD_OK) {
        status = publish(version, staging, directory, error);
    }
    if (status != DEEPSAD_OK) {
        staging_discard(staging);
    }
    free(file);
    return status;
}

/* A version is no model directory: MODELS/NAME/1/1 would be found by nobody. */
static int check_no_version(const char *directory, struct deepsad_error *error)
{
    char *file = join(directory, VERSION_FILE);
    bool is = file != NULL && access(file, F_OK) == 0;
    free(file);
    return !is ? DEEPSAD_OK
               : error_set(error, DEEPSAD_INVALID,
                           "%s: is a version of a model; name the model's directory, "
                           "the one above",
                           directory);
}

int version_check_directory(const char *directory, struct deepsad_error *error)
{
    int status = check_name(directory, error);
    return status != DEEPSAD_OK ? status : check_no_version(directory, error);
}

int version_save(const struct deepsad_model *model, const char *directory,
                 bool challenger, unsigned *version, struct deepsad_error *error)
{
    int status = version_check_directory(directory, error);
    if (status == DEEPSAD_OK) {
        status = file_make_directories(directory, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    unsigned number = 0;
    char *staging = staging_make(directory);
    status =
        staging == NULL
            ? error_system(error, errno, "%s: cannot create a directory in it", directory)
            : write_version(model, staging, directory, challenger, &number, error);
    if (status == DEEPSAD_OK && version != NULL) {
        *version = number;
    }
    free(staging);
    return status;
}

int deepsad_model_save_version(const struct deepsad_model *model, const char *directory,
                               unsigned *version, struct deepsad_error *error)
{
    return version_save(model, directory, false, version, error);
}

/* Its directory is renamed first, to a name that is cleaned up if we are killed. */
int version_remove(const char *directory, unsigned number, struct deepsad_error *error)
{
    char *version = NULL, *away = staging_make(directory);
    int status = DEEPSAD_OK;
    if (away == NULL || asprintf(&version, "%s/%u", directory, number) < 0) {
        status =
            error_system(error, errno, "%s: cannot remove version %u", directory, number);
    } else if (rename(version, away) != 0) {
        status = error_system(error, errno, "%s: cannot remove", version);
    }
    if (away != NULL) {
        staging_discard(away);
    }
    free(version);
    free(away);
    return status;
}
