/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scores at a fixed rate, whatever the answers take: each request has its time, and its
 * latency counts from there, also where it had to wait for a free connection. So a server
 * that pauses is charged for all the requests that came meanwhile. At the rate 0 the loop
 * is closed instead: each connection sends its next request when it has the answer, and
 * latencies count from there.
 *
 * usage: open_loop PORT PATH BODY-FILE RATE SECONDS CONNECTIONS
 * The file's lines are the bodies, as JSON; of a file that ends in .npy the whole.
 * Prints: requests, then p50, p90, p99, p99.9, max in microseconds.
 */
#include <math.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include "peer.h"

enum { CONNECTIONS_MAX = 256, EVENTS = 64, CLOSED_MAX = 500000 /* requests a second */ };

struct connection {
    int fd;
    double due; /* when its request should have gone */
    struct peer_answer answer;
};

struct load {
    const struct peer_message *requests;
    size_t bodies;
    size_t total, sent, done;
    double begin, interval; /* interval 0: the loop is closed, and ends at */
    double end;
    double *latencies; /* (total) seconds */
    struct connection *connections;
    struct connection *idle[CONNECTIONS_MAX];
    size_t idle_count;
    int epoll;
};

static double due(const struct load *load, size_t number)
{
    return load->begin + (double)number * load->interval;
}

static bool more_to_send(const struct load *load)
{
    return load->sent < load->total && (load->interval > 0 || peer_now() < load->end);
}

static void open_connections(struct load *load, const char *port, size_t count)
{
    load->connections = peer_allocate(count, sizeof *load->connections);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < count; i++) {
        struct connection *connection = &load->connections[i];
        connection->fd = peer_connect(port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
            peer_die("epoll_ctl");
        }
        load->idle[load->idle_count++] = connection;
    }
}

static void send_what_is_due(struct load *load)
{
    double now = peer_now();
    while (load->idle_count > 0 && more_to_send(load) && due(load, load->sent) <= now) {
        struct connection *connection = load->idle[--load->idle_count];
        connection->due = load->interval > 0 ? due(load, load->sent) : peer_now();
        peer_send(connection->fd, &load->requests[load->sent++ % load->bodies]);
    }
}

/* Until an answer comes, or the next request is due. */
static void wait_for_answers(struct load *load)
{
    struct epoll_event events[EVENTS];
    struct timespec pause = {.tv_sec = 1};
    if (load->idle_count > 0 && more_to_send(load)) {
        double left = fmax(0, due(load, load->sent) - peer_now());
        pause.tv_sec = (time_t)left;
        pause.tv_nsec = (long)(1e9 * (left - floor(left)));
    }
    int count = epoll_pwait2(load->epoll, events, EVENTS, &pause, NULL);
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;
        if (peer_take(connection->fd, &connection->answer, "HTTP/1.1 200")) {
            load->latencies[load->done++] = peer_now() - connection->due;
            load->idle[load->idle_count++] = connection;
        }
    }
}

static struct peer_message *read_requests(size_t *count, const char *path,
                                          const char *file)
{
    size_t length = strlen(file);
    if (length > 4 && strcmp(file + length - 4, ".npy") == 0) {
        *count = 1;
        return peer_request_of_file(path, "x-npy", file);
    }
    return peer_requests(count, path, file);
}

static void print_latencies(struct load *load)
{
    static const double shares[] = {.5, .9, .99, .999, 1};
    qsort(load->latencies, load->done, sizeof *load->latencies, peer_compare);
    printf("%zu", load->done);
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        printf(" %.1f", 1e6 * peer_quantile(load->latencies, load->done, shares[i]));
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    struct load load = {0};
    if (argc != 7 || atoi(argv[6]) < 1 || atoi(argv[6]) > CONNECTIONS_MAX) {
        fputs("usage: open_loop PORT PATH BODY-FILE RATE SECONDS CONNECTIONS\n", stderr);
        return 2;
    }
    struct peer_message *requests = read_requests(&load.bodies, argv[2], argv[3]);
    double rate = atof(argv[4]), seconds = atof(argv[5]);
    load.requests = requests;
    load.interval = rate > 0 ? 1 / rate : 0;
    load.total = (size_t)((rate > 0 ? rate : CLOSED_MAX) * seconds);
    load.latencies = peer_allocate(load.total + 1, sizeof *load.latencies);
    open_connections(&load, argv[1], (size_t)atoi(argv[6]));
    prctl(PR_SET_TIMERSLACK, 1000UL); /* nanoseconds: 50 us would be added to each wait */
    load.begin = peer_now();
    load.end = load.begin + seconds;
    while (load.done < load.sent || more_to_send(&load)) {
        send_what_is_due(&load);
        wait_for_answers(&load);
    }
    print_latencies(&load);
    peer_requests_free(requests, load.bodies);
    free(load.latencies);
    free(load.connections);
    return 0;
}
