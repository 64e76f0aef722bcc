/* SPDX-License-Identifier: Apache-2.0 */
#include "model/live.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/setting.h"
#include "base/setting_yaml.h"

/* As the file has it: the table of settings knows size_t. */
struct live_values {
    size_t version, newest;
    bool hold;
};

static const struct setting settings[] = {
    {.key = "version",
     .type = SETTING_COUNT,
     .offset = offsetof(struct live_values, version),
     .max = UINT_MAX,
     .fallback = "0",
     .help = "The live version; 0 = the newest that is no challenger."},
    {.key = "newest",
     .type = SETTING_COUNT,
     .offset = offsetof(struct live_values, newest),
     .max = UINT_MAX,
     .fallback = "0",
     .help = "The newest version when this was written."},
    {.key = "hold",
     .type = SETTING_BOOL,
     .offset = offsetof(struct live_values, hold),
     .fallback = "false",
     .help = "Nothing is promoted by itself until released."},
};
static const struct setting_table table = {settings,
                                           sizeof settings / sizeof settings[0]};

static int live_path(char path[static PATH_MAX], const char *directory,
                     struct deepsad_error *error)
{
    int length = snprintf(path, PATH_MAX, "%s/%s", directory, LIVE_FILE);
    return length < 0 || length >= PATH_MAX
               ? error_set(error, DEEPSAD_INVALID, "%s: path too long", directory)
               : DEEPSAD_OK;
}

int live_read(struct live *out, const char *directory, struct deepsad_error *error)
{
    char path[PATH_MAX];
    struct live_values values;
    int status = live_path(path, directory, error);
    if (status == DEEPSAD_OK) {
        status = settings_init(&values, table, NULL, error);
    }
    if (status == DEEPSAD_OK && access(path, F_OK) == 0) {
        status = settings_load_yaml(&values, table, path, NULL, error);
        if (status == DEEPSAD_OK && values.version == 0) {
            status = error_set(error, DEEPSAD_INVALID,
                               "%s: version is missing; name the live version, or remove "
                               "the file",
                               path);
        }
    }
    if (status == DEEPSAD_OK) {
        *out = (struct live){.version = (unsigned)values.version,
                             .newest = (unsigned)values.newest,
                             .hold = values.hold};
    }
    return status;
}

int live_write(const struct live *live, const char *directory,
               struct deepsad_error *error)
{
    char path[PATH_MAX];
    struct buffer text = {0};
    int status = live_path(path, directory, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    buffer_printf(
        &text,
        "# Written by activate and release. While hold is true, the version is\n"
        "# live whatever else comes; else one above newest goes live as usual.\n"
        "version: %u\nnewest: %u\nhold: %s\n",
        live->version, live->newest, live->hold ? "true" : "false");
    status = text.failed ? error_no_memory(error, LIVE_FILE)
                         : file_replace(path, text.data, text.length, error);
    buffer_done(&text);
    return status;
}

bool live_is_challenger(const char *directory, unsigned number)
{
    char path[PATH_MAX];
    int length =
        snprintf(path, sizeof path, "%s/%u/%s", directory, number, LIVE_CHALLENGER);
    /* A disk that does not tell makes nothing live. */
    return length > 0 && length < PATH_MAX &&
           (access(path, F_OK) == 0 || errno != ENOENT);
}

static bool is_among(unsigned number, const unsigned *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == number) {
            return true;
        }
    }
    return false;
}

unsigned live_choose(const struct live *live, const char *directory,
                     const unsigned *numbers, size_t count)
{
    bool given = live->version > 0 && is_among(live->version, numbers, count);
    if (given && live->hold) {
        return live->version;
    }
    for (size_t i = 0; i < count; i++) {
        if (given && numbers[i] <= live->newest) {
            return live->version;
        }
        if (!live_is_challenger(directory, numbers[i])) {
            return numbers[i];
        }
    }
    return given ? live->version : 0;
}
