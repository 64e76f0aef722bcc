/* SPDX-License-Identifier: Apache-2.0 */
/* What the clients written in C share: POST requests ready to send, connections to a
 * daemon on this machine, answers told apart by their Content-Length. Whatever goes wrong
 * ends the program with a message. */
#ifndef TESTS_LOOP_PEER_H
#define TESTS_LOOP_PEER_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef PEER_ANSWER_MAX
#define PEER_ANSWER_MAX (1 << 16)
#endif

struct peer_message {
    char *bytes;
    size_t length;
};

static inline void peer_die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static inline void *peer_allocate(size_t count, size_t size)
{
    void *bytes = calloc(count, size);
    if (bytes == NULL) {
        peer_die("calloc");
    }
    return bytes;
}

/* The body may hold any bytes. `type`: "json". */
static inline struct peer_message peer_request(const char *path, const char *type,
                                               const char *body, size_t length)
{
    struct peer_message request = {0};
    char *head = NULL;
    int n = asprintf(&head,
                     "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                     "application/%s\r\nContent-Length: %zu\r\n\r\n",
                     path, type, length);
    if (n < 0) {
        peer_die("asprintf");
    }
    request.length = (size_t)n + length;
    request.bytes = realloc(head, request.length);
    if (request.bytes == NULL) {
        peer_die("realloc");
    }
    memcpy(request.bytes + n, body, length);
    return request;
}

/* One request whose body is the file. */
static inline struct peer_message *
peer_request_of_file(const char *path, const char *type, const char *file)
{
    static char body[1 << 20];
    FILE *in = fopen(file, "rb");
    if (in == NULL) {
        peer_die(file);
    }
    size_t length = fread(body, 1, sizeof body, in);
    fclose(in);
    struct peer_message *request = peer_allocate(1, sizeof *request);
    *request = peer_request(path, type, body, length);
    return request;
}

/* One request for each line of the file; *count: how many. */
static inline struct peer_message *peer_requests(size_t *count, const char *path,
                                                 const char *file)
{
    FILE *in = fopen(file, "r");
    if (in == NULL) {
        peer_die(file);
    }
    struct peer_message *requests = NULL;
    char *line = NULL;
    size_t size = 0, capacity = 0;
    ssize_t length;
    *count = 0;
    while ((length = getline(&line, &size, in)) > 1) {
        if (*count == capacity) {
            capacity = capacity == 0 ? 64 : 2 * capacity;
            requests = realloc(requests, capacity * sizeof *requests);
            if (requests == NULL) {
                peer_die("realloc");
            }
        }
        requests[(*count)++] = peer_request(path, "json", line, (size_t)length - 1);
    }
    free(line);
    fclose(in);
    return requests;
}

static inline void peer_requests_free(struct peer_message *requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(requests[i].bytes);
    }
    free(requests);
}

static inline int peer_connect(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        peer_die("connect");
    }
    return fd;
}

static inline void peer_send(int fd, const struct peer_message *request)
{
    for (size_t sent = 0; sent < request->length;) {
        ssize_t n = write(fd, request->bytes + sent, request->length - sent);
        if (n <= 0) {
            peer_die("write");
        }
        sent += (size_t)n;
    }
}

struct peer_answer {
    size_t got, whole; /* whole = 0: the head is not there yet */
    char bytes[PEER_ANSWER_MAX];
};

/* Takes what has arrived, waits for at least one byte; true once the answer is there, and
 * the next may begin. `status`: what it must begin with, "HTTP/1.1 200". */
static inline bool peer_take(int fd, struct peer_answer *answer, const char *status)
{
    ssize_t n = read(fd, answer->bytes + answer->got, PEER_ANSWER_MAX - 1 - answer->got);
    if (n <= 0) {
        peer_die("read");
    }
    answer->got += (size_t)n;
    answer->bytes[answer->got] = '\0';
    char *end = strstr(answer->bytes, "\r\n\r\n");
    if (answer->whole == 0 && end != NULL) {
        char *length = strcasestr(answer->bytes, "\r\nContent-Length:");
        if (strncmp(answer->bytes, status, strlen(status)) != 0 || length == NULL) {
            fprintf(stderr, "unexpected answer:\n%.600s\n", answer->bytes);
            exit(EXIT_FAILURE);
        }
        answer->whole =
            (size_t)(end + 4 - answer->bytes) + strtoul(length + 17, NULL, 10);
    }
    if (answer->whole == 0 || answer->got < answer->whole) {
        return false;
    }
    answer->got = answer->whole = 0;
    return true;
}

static inline double peer_now(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        peer_die("clock_gettime");
    }
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static inline int peer_compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Of sorted values; share in [0, 1]. */
static inline double peer_quantile(const double *values, size_t count, double share)
{
    size_t at = (size_t)(share * (double)count);
    return values[at < count ? at : count - 1];
}

#endif
