/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const long long RELOAD_TIME = 600LL * 1000 * 1000; /* microseconds */

void notify_send(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path == NULL ? 0 : strlen(path);
    if (length == 0 || length >= sizeof address.sun_path ||
        (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* an abstract socket */
    }
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return;
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    sendto(descriptor, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
           size);
    close(descriptor);
}

/* What the manager waits, in microseconds; -1 = it does not. */
static long long watchdog_time(void)
{
    const char *time = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (time == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())) {
        return -1;
    }
    long long microseconds = strtoll(time, NULL, 10);
    return microseconds < 2000 || microseconds > 3600LL * 1000 * 1000 ? -1 : microseconds;
}

static void send_with_watchdog(const char *state, long long microseconds)
{
    char text[160];
    snprintf(text, sizeof text, "%s\nWATCHDOG_USEC=%lld", state, microseconds);
    notify_send(watchdog_time() < 0 ? state : text);
}

void notify_reloading(void)
{
    char state[80];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    send_with_watchdog(state, RELOAD_TIME);
}

void notify_reloaded(void)
{
    send_with_watchdog("READY=1", watchdog_time());
}

int notify_watchdog_interval(void)
{
    long long microseconds = watchdog_time();
    return microseconds < 0 ? -1 : (int)(microseconds / 2000);
}
