/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/probe.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/listen.h"

enum { TIMEOUT = 3 /* seconds, for each step */ };

static const char question[] = "GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n"
                               "Connection: close\r\n\r\n";
static const char good[] = "HTTP/1.1 200 ";

/* So much of the answer as tells. */
static int ask(int descriptor, const char *where, struct deepsad_error *error)
{
    char answer[sizeof good - 1];
    size_t length = 0;
    if (send(descriptor, question, sizeof question - 1, MSG_NOSIGNAL) < 0) {
        return error_system(error, errno, "%s", where);
    }
    while (length < sizeof answer) {
        ssize_t got = recv(descriptor, answer + length, sizeof answer - length, 0);
        if (got < 0) {
            return error_system(error, errno, "%s does not answer", where);
        }
        if (got == 0) {
            break;
        }
        length += (size_t)got;
    }
    if (length < sizeof answer || memcmp(answer, good, sizeof answer) != 0) {
        return error_set(error, DEEPSAD_INVALID, "%s: not live: \"%.*s\"", where,
                         (int)length, answer);
    }
    return DEEPSAD_OK;
}

int probe_health(const struct config *config, struct deepsad_error *error)
{
    const char *where = config->server.operations_listen;
    if (where[0] == '\0') {
        where = config->server.listen;
        if (config->tls.certificate[0] != '\0') {
            return error_set(error, DEEPSAD_INVALID,
                             "--health speaks no TLS: set server.operations_listen");
        }
    }
    int descriptor;
    int status = listen_connect(&descriptor, where, TIMEOUT, error);
    if (status == DEEPSAD_OK) {
        status = ask(descriptor, where, error);
        close(descriptor);
    }
    return status;
}
