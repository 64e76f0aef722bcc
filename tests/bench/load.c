/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends one request again and again on keep-alive connections and prints what one cost:
 * microseconds of CPU of the server (its process clock, so nothing of this program is in
 * it) and of wall time, then the median and the 99th percentile of the latency. Closed
 * loop: the next request goes when the answer to the last is there. With a RATE (requests
 * a second) open loop: each has its time, and its latency counts from there, also where
 * it had to wait for a free connection.
 *
 * usage: load PID PORT PATH BODY-FILE COUNT [CONNECTIONS [RATE [HEADERS]]]
 *        HEADERS: lines that end in \r\n, else Content-Type: application/json
 */
#include <math.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#define PEER_ANSWER_MAX (4 << 20)
#include "../loop/peer.h"

enum { WARM_UP = 5, EVENTS = 64, CONNECTIONS_MAX = 256 };

struct connection {
    int fd;
    double due; /* when its request should have gone */
    struct peer_answer answer;
};

struct load {
    struct peer_message request;
    size_t total, sent, done;
    double begin, interval; /* seconds; 0: closed loop */
    double *latencies;      /* (total) seconds */
    struct connection *connections;
    struct connection *idle[CONNECTIONS_MAX];
    size_t count, idle_count;
    int epoll;
};

static struct peer_message make_request(const char *path, const char *file,
                                        const char *headers)
{
    FILE *in = fopen(file, "rb");
    if (in == NULL || fseek(in, 0, SEEK_END) != 0) {
        peer_die(file);
    }
    size_t size = (size_t)ftell(in);
    struct peer_message request = {0};
    int head = asprintf(&request.bytes,
                        "POST %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: "
                        "%zu\r\n\r\n",
                        path, headers, size);
    request.bytes = head < 0 ? NULL : realloc(request.bytes, (size_t)head + size + 1);
    rewind(in);
    if (request.bytes == NULL || fread(request.bytes + head, 1, size, in) != size) {
        peer_die(file);
    }
    fclose(in);
    request.length = (size_t)head + size;
    return request;
}

static void open_connections(struct load *load, const char *port)
{
    load->connections = peer_allocate(load->count, sizeof *load->connections);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < load->count; i++) {
        struct connection *connection = &load->connections[i];
        connection->fd = peer_connect(port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
            peer_die("epoll_ctl");
        }
        load->idle[load->idle_count++] = connection;
    }
}

static double due(const struct load *load)
{
    return load->interval > 0 ? load->begin + (double)load->sent * load->interval
                              : peer_now();
}

static void send_what_is_due(struct load *load)
{
    while (load->idle_count > 0 && load->sent < load->total && due(load) <= peer_now()) {
        struct connection *connection = load->idle[--load->idle_count];
        connection->due = due(load);
        load->sent++;
        peer_send(connection->fd, &load->request);
    }
}

/* Until an answer comes, or the next request is due. */
static void wait_for_answers(struct load *load)
{
    struct epoll_event events[EVENTS];
    struct timespec pause = {.tv_sec = 60};
    if (load->idle_count > 0 && load->sent < load->total) {
        double left = fmax(0, due(load) - peer_now());
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

static void run(struct load *load, size_t total, double interval)
{
    load->total = total;
    load->sent = load->done = 0;
    load->begin = peer_now();
    load->interval = interval;
    while (load->done < load->total) {
        send_what_is_due(load);
        wait_for_answers(load);
    }
}

static double cpu_seconds(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) {
        peer_die("clock_gettime");
    }
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    struct load load = {.count = argc > 6 ? (size_t)atoi(argv[6]) : 1};
    clockid_t server;
    if (argc < 6 || argc > 9 || load.count < 1 || load.count > CONNECTIONS_MAX) {
        fputs(
            "usage: load PID PORT PATH BODY-FILE COUNT [CONNECTIONS [RATE [HEADERS]]]\n",
            stderr);
        return 2;
    }
    if (clock_getcpuclockid(atoi(argv[1]), &server) != 0) {
        peer_die("clock_getcpuclockid");
    }
    const char *headers = argc > 8 ? argv[8] : "Content-Type: application/json\r\n";
    double rate = argc > 7 ? atof(argv[7]) : 0;
    size_t count = (size_t)atoi(argv[5]);
    load.request = make_request(argv[3], argv[4], headers);
    load.latencies = peer_allocate(count + WARM_UP * load.count, sizeof *load.latencies);
    prctl(PR_SET_TIMERSLACK, 1000UL); /* nanoseconds: 50 us would be added to each wait */
    open_connections(&load, argv[2]);
    run(&load, WARM_UP * load.count, 0);
    double cpu = cpu_seconds(server), wall = peer_now();
    run(&load, count, rate > 0 ? 1 / rate : 0);
    cpu = cpu_seconds(server) - cpu;
    wall = peer_now() - wall;
    qsort(load.latencies, load.done, sizeof *load.latencies, peer_compare);
    printf("%.3f %.3f %.1f %.1f\n", cpu / (double)count * 1e6, wall / (double)count * 1e6,
           1e6 * peer_quantile(load.latencies, load.done, .5),
           1e6 * peer_quantile(load.latencies, load.done, .99));
    free(load.request.bytes);
    free(load.latencies);
    free(load.connections);
    return 0;
}
