/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/instance.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Who holds the lock, as it wrote there; for the message only. */
static int refuse(int descriptor, const char *directory, struct deepsad_error *error)
{
    char text[32] = "";
    ssize_t length = pread(descriptor, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return error_set(error, DEEPSAD_INVALID,
                     "%s: another deepsadd (process %s) uses this directory; stop it, or "
                     "give this one a state and a models directory of its own",
                     directory, text[0] == '\0' ? "unknown" : text);
}

static void write_process(int descriptor)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(descriptor, 0) != 0 ||
        pwrite(descriptor, text, (size_t)length, 0) != length) {
        return; /* a full disk: the lock holds all the same */
    }
}

int instance_lock(int *descriptor, const char *directory, struct deepsad_error *error)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", directory, INSTANCE_FILE);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (file < 0) {
        return error_system(error, errno, "%s: cannot open", path);
    }
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        int status = errno == EWOULDBLOCK
                         ? refuse(file, directory, error)
                         : error_system(error, errno, "%s: cannot lock", path);
        close(file);
        return status;
    }
    write_process(file);
    *descriptor = file;
    return DEEPSAD_OK;
}
