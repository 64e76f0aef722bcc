/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends one request again and again on one keep-alive connection, the next when the
 * answer to the last is there, and prints what one cost: microseconds of CPU of the
 * server (its process clock, so nothing of this program is in it) and of wall time.
 *
 * usage: load PID PORT PATH BODY-FILE COUNT
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 4096, ANSWER_MAX = 1 << 20 };

struct message {
    char *bytes;
    size_t length;
};

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static struct message make_request(const char *path, const char *file)
{
    FILE *in = fopen(file, "rb");
    if (in == NULL || fseek(in, 0, SEEK_END) != 0) {
        die(file);
    }
    size_t size = (size_t)ftell(in);
    rewind(in);
    struct message request = {.bytes = malloc(HEAD_MAX + size)};
    if (request.bytes == NULL) {
        die("malloc");
    }
    int head = snprintf(request.bytes, HEAD_MAX,
                        "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                        "application/json\r\nContent-Length: %zu\r\n\r\n",
                        path, size);
    if (head >= HEAD_MAX || fread(request.bytes + head, 1, size, in) != size) {
        die(file);
    }
    fclose(in);
    request.length = (size_t)head + size;
    return request;
}

static int connect_to(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        die("connect");
    }
    return fd;
}

/* Length of the whole answer once its head is there, else 0. */
static size_t answer_length(char *bytes)
{
    char *end = strstr(bytes, "\r\n\r\n");
    char *length = strcasestr(bytes, "\r\nContent-Length:");
    if (end == NULL) {
        return 0;
    }
    if (strncmp(bytes, "HTTP/1.1 200", 12) != 0 || length == NULL) {
        fprintf(stderr, "load: unexpected answer:\n%.400s\n", bytes);
        exit(EXIT_FAILURE);
    }
    return (size_t)(end + 4 - bytes) + strtoul(length + 17, NULL, 10);
}

static void exchange(int fd, const struct message *request, char *answer)
{
    size_t sent = 0, got = 0, whole = 0;
    while (sent < request->length) {
        ssize_t n = write(fd, request->bytes + sent, request->length - sent);
        if (n <= 0) {
            die("write");
        }
        sent += (size_t)n;
    }
    while (whole == 0 || got < whole) {
        ssize_t n = read(fd, answer + got, ANSWER_MAX - 1 - got);
        if (n <= 0) {
            die("read");
        }
        got += (size_t)n;
        answer[got] = '\0';
        whole = whole == 0 ? answer_length(answer) : whole;
    }
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) {
        die("clock_gettime");
    }
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    static char answer[ANSWER_MAX];
    clockid_t server;
    if (argc != 6) {
        fputs("usage: load PID PORT PATH BODY-FILE COUNT\n", stderr);
        return 2;
    }
    if (clock_getcpuclockid(atoi(argv[1]), &server) != 0) {
        die("clock_getcpuclockid");
    }
    struct message request = make_request(argv[3], argv[4]);
    int fd = connect_to(argv[2]), count = atoi(argv[5]);
    for (int i = 0; i < 5; i++) {
        exchange(fd, &request, answer);
    }
    double cpu = seconds(server), wall = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++) {
        exchange(fd, &request, answer);
    }
    cpu = seconds(server) - cpu;
    wall = seconds(CLOCK_MONOTONIC) - wall;
    printf("%.3f %.3f\n", cpu / count * 1e6, wall / count * 1e6);
    close(fd);
    free(request.bytes);
    return 0;
}
