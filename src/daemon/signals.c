/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/signals.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A handler has no argument to carry these. */
static atomic_uint pending;
static int wakeup = -1;

static void on_signal(int number)
{
    int saved = errno;
    uint64_t one = 1;
    atomic_fetch_or(&pending, number == SIGHUP ? SIGNAL_RELOAD : SIGNAL_STOP);
    ssize_t written = write(wakeup, &one, sizeof one);
    (void)written; /* a full eventfd is readable all the same */
    errno = saved;
}

int signals_init(struct deepsad_error *error)
{
    wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wakeup < 0) {
        return error_system(error, errno, "cannot make an eventfd");
    }
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore,
              NULL); /* a file at its limit is an error like a full disk */
    return DEEPSAD_OK;
}

unsigned signals_wait(int timeout_ms)
{
    struct pollfd poll_wakeup = {.fd = wakeup, .events = POLLIN};
    if (atomic_load(&pending) == 0) {
        poll(&poll_wakeup, 1, timeout_ms);
    }
    uint64_t count;
    ssize_t size = read(wakeup, &count, sizeof count);
    (void)size;
    return atomic_exchange(&pending, 0);
}
