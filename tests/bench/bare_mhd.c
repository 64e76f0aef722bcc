/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit that scoring over HTTP is measured against: libmicrohttpd alone. Takes a body
 * of any length, copies it to memory of its own, and answers POST /N with N fixed bytes.
 * Its connections have as much memory as the daemon's, which is also the library's
 * default. Prints its port, runs until standard input ends.
 */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 20, REPLY_MAX = 1 << 20 };

static char *body;  /* (BODY_MAX) of the one connection */
static char *reply; /* (REPLY_MAX) */
static size_t received;

static enum MHD_Result answer(void *closure, struct MHD_Connection *connection,
                              const char *url, const char *method, const char *version,
                              const char *upload, size_t *upload_size, void **state)
{
    (void)closure;
    (void)method;
    (void)version;
    if (*state == NULL) {
        *state = &received;
        received = 0;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        if (received + *upload_size > BODY_MAX) {
            return MHD_NO;
        }
        memcpy(body + received, upload, *upload_size);
        received += *upload_size;
        *upload_size = 0;
        return MHD_YES;
    }
    size_t size = strtoul(url + 1, NULL, 10);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        size < REPLY_MAX ? size : REPLY_MAX, reply, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

int main(void)
{
    body = malloc(BODY_MAX);
    reply = malloc(REPLY_MAX);
    if (body == NULL || reply == NULL) {
        return EXIT_FAILURE;
    }
    memset(reply, ' ', REPLY_MAX);
    struct MHD_Daemon *server = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32 << 10, MHD_OPTION_END);
    if (server == NULL) {
        return EXIT_FAILURE;
    }
    printf("%u\n", MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    MHD_stop_daemon(server);
    free(body);
    free(reply);
    return EXIT_SUCCESS;
}
