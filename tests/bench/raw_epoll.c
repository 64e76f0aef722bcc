/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a server could do: an epoll loop that copies each body, looks for
 * nothing in the head but its end and its Content-Length, and answers POST /N with N
 * fixed bytes. Prints its port, runs until standard input ends.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 20, REPLY_MAX = 1 << 20, PART = 32 << 10, EVENTS = 64 };

struct peer {
    int fd;
    size_t head, got, whole; /* bytes of the head; of the request so far; in all */
    size_t reply;
    char start[PART]; /* of the request */
};

static char *body, *reply;

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static void answer(struct peer *peer)
{
    static char head[128];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", peer->reply);
    memcpy(reply, head, (size_t)size);
    memset(reply + size, ' ', peer->reply);
    size_t whole = (size_t)size + peer->reply, sent = 0;
    while (sent < whole) {
        ssize_t n = write(peer->fd, reply + sent, whole - sent);
        if (n <= 0) {
            break;
        }
        sent += (size_t)n;
    }
    peer->got = peer->whole = peer->head = 0;
}

/* False: the connection has ended. */
static bool take(struct peer *peer)
{
    bool in_head = peer->whole == 0;
    char *to = in_head ? peer->start + peer->got : body + (peer->got - peer->head);
    size_t room = in_head ? PART - 1 - peer->got : peer->whole - peer->got;
    ssize_t n = read(peer->fd, to, room);
    if (n <= 0) {
        return false;
    }
    peer->got += (size_t)n;
    if (in_head) {
        peer->start[peer->got] = '\0';
        char *end = strstr(peer->start, "\r\n\r\n");
        if (end == NULL) {
            return true;
        }
        char *length = strcasestr(peer->start, "Content-Length:");
        peer->head = (size_t)(end + 4 - peer->start);
        peer->whole = peer->head + (length == NULL ? 0 : strtoul(length + 15, NULL, 10));
        peer->reply = strtoul(peer->start + 6, NULL, 10); /* "POST /N" */
        memcpy(body, end + 4, peer->got - peer->head);
    }
    if (peer->got >= peer->whole) {
        answer(peer);
    }
    return true;
}

static void accept_one(int listener, int epoll)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL) {
        die("calloc");
    }
    peer->fd = accept(listener, NULL, NULL);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (peer->fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, peer->fd, &event) != 0) {
        die("accept");
    }
}

int main(void)
{
    static struct peer listening, input;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    body = malloc(BODY_MAX);
    reply = malloc(REPLY_MAX);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listening};
    struct epoll_event end = {.events = EPOLLIN, .data.ptr = &input};
    if (body == NULL || reply == NULL || epoll < 0 ||
        bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 256) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &end) != 0) {
        die("raw_epoll");
    }
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer == &listening) {
                accept_one(listener, epoll);
            } else if (peer == &input) {
                return 0;
            } else if (!take(peer)) {
                close(peer->fd);
                free(peer);
            }
        }
    }
}
