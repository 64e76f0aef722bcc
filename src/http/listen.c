/* SPDX-License-Identifier: Apache-2.0 */
#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
    char host[256];
    char port[6];
};

static int refuse(const char *where, struct deepsad_error *error)
{
    return error_set(error, DEEPSAD_INVALID,
                     "listen address \"%s\": write ADDRESS:PORT, for example "
                     "127.0.0.1:8080 or [::1]:8080, or unix:/PATH",
                     where);
}

/* ---- Sockets of the file system ---- */

static const char unix_prefix[] = "unix:";

bool listen_is_unix(const char *where)
{
    return strncmp(where, unix_prefix, sizeof unix_prefix - 1) == 0;
}

static int parse_unix(struct sockaddr_un *out, const char *where,
                      struct deepsad_error *error)
{
    const char *path = where + sizeof unix_prefix - 1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] != '/' || strlen(path) >= sizeof address.sun_path ||
        strlen(where) >= LISTEN_ADDRESS_MAX) {
        return error_set(
            error, DEEPSAD_INVALID,
            "listen address \"%s\": the path of a socket begins with / and is "
            "at most %zu bytes long",
            where, sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, strlen(path));
    *out = address;
    return DEEPSAD_OK;
}

/* A socket whose daemon is gone; one that answers is left alone, and so is a file. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat status;
    int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (peer >= 0 && stat(address->sun_path, &status) == 0 && S_ISSOCK(status.st_mode) &&
        connect(peer, (const struct sockaddr *)address, sizeof *address) != 0 &&
        errno == ECONNREFUSED) {
        unlink(address->sun_path);
    }
    if (peer >= 0) {
        close(peer);
    }
}

static int open_unix(int *descriptor, const char *where, struct deepsad_error *error)
{
    struct sockaddr_un address;
    int status = parse_unix(&address, where, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    remove_stale(&address);
    int bound = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0117);
    bool good = bound >= 0 &&
                bind(bound, (const struct sockaddr *)&address, sizeof address) == 0 &&
                listen(bound, SOMAXCONN) == 0;
    int number = errno;
    umask(mask);
    if (!good && bound >= 0) {
        close(bound);
    }
    if (!good) {
        return error_system(error, number, "cannot listen on %s", where);
    }
    *descriptor = bound;
    return DEEPSAD_OK;
}

void listen_remove(const char *address)
{
    if (listen_is_unix(address)) {
        unlink(address + sizeof unix_prefix - 1);
    }
}

/* ---- Addresses and ports ---- */

static int parse(struct place *out, const char *where, struct deepsad_error *error)
{
    const char *colon = strrchr(where, ':');
    if (colon == NULL || colon == where) {
        return refuse(where, error);
    }
    const char *host = where;
    size_t length = (size_t)(colon - where);
    if (host[0] == '[') {
        if (length < 3 || host[length - 1] != ']') {
            return refuse(where, error);
        }
        host++;
        length -= 2;
    } else if (memchr(host, ':', length) != NULL) {
        return refuse(where, error); /* IPv6 without brackets is ambiguous */
    }
    const char *port = colon + 1;
    size_t digits = strspn(port, "0123456789");
    if (digits == 0 || digits > 5 || port[digits] != '\0' ||
        strtoul(port, NULL, 10) > 65535 || length >= sizeof out->host) {
        return refuse(where, error);
    }
    memcpy(out->host, host, length);
    out->host[length] = '\0';
    memcpy(out->port, port, digits + 1);
    return DEEPSAD_OK;
}

int listen_check(const char *where, struct deepsad_error *error)
{
    struct place place;
    struct sockaddr_un address;
    return listen_is_unix(where) ? parse_unix(&address, where, error)
                                 : parse(&place, where, error);
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *four =
            (const struct sockaddr_in *)(const void *)address;
        return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

static int look_up(struct addrinfo **list, const struct place *place, const char *where,
                   struct deepsad_error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int failure = getaddrinfo(place->host, place->port, &hints, list);
    return failure == 0 ? DEEPSAD_OK
                        : error_set(error, DEEPSAD_INVALID, "listen address \"%s\": %s",
                                    where, gai_strerror(failure));
}

int listen_is_local(bool *local, const char *where, struct deepsad_error *error)
{
    struct place place;
    struct addrinfo *list = NULL;
    if (listen_is_unix(where)) {
        *local = true;
        return DEEPSAD_OK;
    }
    int status = parse(&place, where, error);
    if (status == DEEPSAD_OK) {
        status = look_up(&list, &place, where, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    *local = true;
    for (const struct addrinfo *one = list; one != NULL; one = one->ai_next) {
        *local = *local && is_loopback(one->ai_addr);
    }
    freeaddrinfo(list);
    return DEEPSAD_OK;
}

/* The descriptor, or -1 with errno. */
static int bind_one(const struct addrinfo *info)
{
    int on = 1;
    int descriptor =
        socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        return -1;
    }
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(descriptor, info->ai_addr, info->ai_addrlen) != 0 ||
        listen(descriptor, SOMAXCONN) != 0) {
        int number = errno;
        close(descriptor);
        errno = number;
        return -1;
    }
    return descriptor;
}

void listen_describe(char address[static LISTEN_ADDRESS_MAX], int descriptor)
{
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    char host[LISTEN_ADDRESS_MAX - 16], port[6];
    bool known = getsockname(descriptor, (struct sockaddr *)&bound, &length) == 0;
    if (known && bound.ss_family == AF_UNIX) {
        const struct sockaddr_un *local =
            (const struct sockaddr_un *)(const void *)&bound;
        snprintf(address, LISTEN_ADDRESS_MAX, "unix:%.*s", (int)sizeof local->sun_path,
                 local->sun_path);
        return;
    }
    if (!known || getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port,
                              sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(address, LISTEN_ADDRESS_MAX, "unknown");
        return;
    }
    bool six = bound.ss_family == AF_INET6;
    snprintf(address, LISTEN_ADDRESS_MAX, "%s%s%s:%s", six ? "[" : "", host,
             six ? "]" : "", port);
}

int listen_open(int *descriptor, char address[static LISTEN_ADDRESS_MAX],
                const char *where, struct deepsad_error *error)
{
    struct place place;
    if (listen_is_unix(where)) {
        int opened = open_unix(descriptor, where, error);
        snprintf(address, LISTEN_ADDRESS_MAX, "%s", where);
        return opened;
    }
    int status = parse(&place, where, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct addrinfo *list = NULL;
    status = look_up(&list, &place, where, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    int bound = -1;
    for (const struct addrinfo *one = list; one != NULL && bound < 0;
         one = one->ai_next) {
        bound = bind_one(one);
    }
    int number = errno;
    freeaddrinfo(list);
    if (bound < 0) {
        return error_system(error, number, "cannot listen on %s", where);
    }
    listen_describe(address, bound);
    *descriptor = bound;
    return DEEPSAD_OK;
}

/* ---- The other end ---- */

/* The descriptor, or -1 with errno. */
static int connect_one(const struct sockaddr *address, socklen_t length, int seconds)
{
    struct timeval limit = {.tv_sec = seconds};
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        return -1;
    }
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(descriptor, address, length) != 0) {
        int number = errno;
        close(descriptor);
        errno = number;
        return -1;
    }
    return descriptor;
}

static int connect_port(int *descriptor, const char *where, int seconds,
                        struct deepsad_error *error)
{
    struct place place;
    struct addrinfo *list = NULL;
    int status = parse(&place, where, error);
    if (status == DEEPSAD_OK) {
        status = look_up(&list, &place, where, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    int connected = -1;
    for (const struct addrinfo *one = list; one != NULL && connected < 0;
         one = one->ai_next) {
        connected = connect_one(one->ai_addr, one->ai_addrlen, seconds);
    }
    int number = errno;
    freeaddrinfo(list);
    if (connected < 0) {
        return error_system(error, number, "cannot connect to %s", where);
    }
    *descriptor = connected;
    return DEEPSAD_OK;
}

int listen_connect(int *descriptor, const char *where, int seconds,
                   struct deepsad_error *error)
{
    struct sockaddr_un address;
    if (!listen_is_unix(where)) {
        return connect_port(descriptor, where, seconds, error);
    }
    int status = parse_unix(&address, where, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    int connected =
        connect_one((const struct sockaddr *)&address, sizeof address, seconds);
    if (connected < 0) {
        return error_system(error, errno, "cannot connect to %s", where);
    }
    *descriptor = connected;
    return DEEPSAD_OK;
}
