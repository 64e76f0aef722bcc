/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/activation.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST = 3, NAME_MAX_ = 255 };

/* A stream socket that listens. */
static bool listens(int descriptor)
{
    int type = 0, listening = 0;
    socklen_t size = sizeof type;
    return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
           type == SOCK_STREAM &&
           getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 &&
           listening != 0;
}

/* The next of "http:operations", "" where there are no more. */
static size_t next_name(const char **names)
{
    *names += **names == ':';
    size_t length = strcspn(*names, ":");
    return length;
}

static bool place(struct activation *out, int descriptor, const char *name, size_t length,
                  bool alone)
{
    bool operations = length == 10 && memcmp(name, "operations", length) == 0;
    bool clients = length == 4 && memcmp(name, "http", length) == 0;
    int *taken = operations ? &out->operations : &out->clients;
    if ((!operations && !clients && !alone) || *taken >= 0 || !listens(descriptor)) {
        return false;
    }
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
    *taken = descriptor;
    return true;
}

int activation_take(struct activation *out, struct deepsad_error *error)
{
    struct activation found = {-1, -1};
    const char *pid = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    *out = found;
    if (pid == NULL || count_text == NULL || strtol(pid, NULL, 10) != (long)getpid()) {
        return DEEPSAD_OK;
    }
    long count = strtol(count_text, NULL, 10);
    names = names == NULL ? "" : names;
    for (int i = 0; i < count && i < NAME_MAX_; i++) {
        size_t length = next_name(&names);
        if (!place(&found, FIRST + i, names, length, count == 1)) {
            return error_set(
                error, DEEPSAD_INVALID,
                "LISTEN_FDS: socket %d (\"%.*s\") has no place: there is one "
                "for clients (FileDescriptorName=http) and one for health and "
                "metrics (operations), streams that listen",
                i, (int)length, names);
        }
        names += length;
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    *out = found;
    return DEEPSAD_OK;
}
