/* SPDX-License-Identifier: Apache-2.0 */
#include "model/staging.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "model/live.h"

enum {
    AGE_GONE = 60, /* seconds */
    AGE_MAX = 3600,
    LEFT_OVER_MAX = 16,
};

#define STAGING_NAME ".new"

/* The files of a directory of ours, which holds no others, and itself. True: it is gone.
 */
static bool remove_directory(const char *path)
{
    DIR *stream = opendir(path);
    if (stream != NULL) {
        for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
            unlinkat(dirfd(stream), entry->d_name, 0); /* not . and .. */
        }
        closedir(stream);
    }
    return rmdir(path) == 0 || errno == ENOENT;
}

/* PID of ".PID-N", else 0. */
static long parse_writer(const char *text)
{
    char *end;
    if (text[0] != '.' || text[1] < '1' || text[1] > '9') {
        return 0;
    }
    errno = 0;
    long process = strtol(text + 1, &end, 10);
    size_t digits = *end == '-' ? strspn(end + 1, "0123456789") : 0;
    return errno == 0 && digits > 0 && end[1 + digits] == '\0' ? process : 0;
}

/* Of NAME.PID-N (base/file.h), with a NAME that is written here; 0 = another name. */
static long writer_of(const char *name)
{
    static const char *const names[] = {STAGING_NAME, LIVE_FILE, "model.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(name, names[i], length) == 0) {
            return parse_writer(name + length);
        }
    }
    return 0;
}

static bool is_abandoned(const char *path, long process)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return false;
    }
    int64_t age = clock_realtime_ms() / 1000 - status.st_mtim.tv_sec;
    bool gone = kill((pid_t)process, 0) != 0 && errno == ESRCH;
    return age > AGE_MAX || (gone && age > AGE_GONE);
}

/* Temporary names of processes that are not there any more. */
static void clean(const char *directory)
{
    DIR *stream = opendir(directory);
    if (stream == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        char path[PATH_MAX];
        long process = writer_of(entry->d_name);
        int length = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (process > 0 && length > 0 && length < PATH_MAX &&
            is_abandoned(path, process) && unlink(path) != 0) {
            remove_directory(path);
        }
    }
    closedir(stream);
}

/* Directories that this process could not remove: it lives, so they do not look
 * abandoned. The only state that a library has of its own: who fails to remove one has
 * nobody to give it to, and memory may lack as well. "" = none. */
static pthread_mutex_t left_lock = PTHREAD_MUTEX_INITIALIZER;
static char left_over[LEFT_OVER_MAX][PATH_MAX];

void staging_discard(const char *path)
{
    if (remove_directory(path)) {
        return;
    }
    pthread_mutex_lock(&left_lock);
    for (size_t i = 0; i < LEFT_OVER_MAX; i++) {
        if (left_over[i][0] == '\0') {
            snprintf(left_over[i], PATH_MAX, "%s", path);
            break;
        }
    }
    pthread_mutex_unlock(&left_lock);
}

static void remove_left_over(void)
{
    pthread_mutex_lock(&left_lock);
    for (size_t i = 0; i < LEFT_OVER_MAX; i++) {
        if (left_over[i][0] != '\0' && remove_directory(left_over[i])) {
            left_over[i][0] = '\0';
        }
    }
    pthread_mutex_unlock(&left_lock);
}

char *staging_make(const char *directory)
{
    clean(directory);
    remove_left_over();
    char pattern[PATH_MAX];
    int length = snprintf(pattern, sizeof pattern, "%s/%s", directory, STAGING_NAME);
    if (length < 0 || length >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return file_make_temporary_directory(pattern);
}
