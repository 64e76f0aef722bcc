/* SPDX-License-Identifier: Apache-2.0 */
/* Any file as the daemon's configuration, a model's policy and its live version: values
 * in range, or an error with its place. */
#include <limits.h>
#include <string.h>

#include "memory_file.h"

#include "daemon/config.h"
#include "model/live.h"
#include "model/policy.h"

static char folder[] = "/tmp/fuzz_yaml_XXXXXX";

static void remove_folder(void)
{
    char path[64];
    snprintf(path, sizeof path, "%s/model.yaml", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/" LIVE_FILE, folder);
    unlink(path);
    rmdir(folder);
}

/* A model's folder, both of whose files are that one. */
static void make_folder(const char *target)
{
    char path[64];
    FUZZ_CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/model.yaml", folder);
    FUZZ_CHECK(symlink(target, path) == 0);
    snprintf(path, sizeof path, "%s/" LIVE_FILE, folder);
    FUZZ_CHECK(symlink(target, path) == 0);
    atexit(remove_folder);
}

static void read_config(const char *path)
{
    struct config config = {.log.level = 0};
    struct deepsad_error error = {0};
    struct config_sources sources = {.path = path, .environment = (char *[]){NULL}};
    int status = config_load(&config, NULL, &sources, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    if (status == DEEPSAD_OK) {
        FUZZ_CHECK(config.server.threads >= 1 && config.limits.rows >= 1);
        FUZZ_CHECK(config.server.connections >= config.server.threads);
        config_done(&config);
    }
}

static void read_model_files(void)
{
    struct policy policy;
    struct live live;
    struct deepsad_error error = {0}, other = {0};
    int status = policy_read(&policy, folder, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    FUZZ_CHECK(status != DEEPSAD_OK || (policy.alpha > 0 && policy.alpha <= 0.5));
    FUZZ_CHECK(status != DEEPSAD_OK || policy.batching.rows >= 2);
    status = live_read(&live, folder, &other);
    FUZZ_CHECK((status == DEEPSAD_OK) == (other.message[0] == '\0'));
    FUZZ_CHECK(status != DEEPSAD_OK || live.version > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[MEMORY_FILE_PATH];
    bool first = path[0] == '\0';
    memory_file_set(path, data, size);
    if (first) {
        make_folder(path);
    }
    read_config(path);
    read_model_files();
    return 0;
}
