/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posts labels, one a request, each body once: every connection sends its next when the
 * answer to the last is there.
 *
 * usage: label_load PORT PATH BODY-FILE CONNECTIONS SECONDS
 * Prints: answers (201 all), seconds, then p50, p99, max in microseconds. Ends early
 * where the bodies are used up.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "peer.h"

enum { CONNECTIONS_MAX = 256 };

struct load {
    const char *port;
    const struct peer_message *requests;
    size_t bodies;
    atomic_size_t next;
    double end;
    double *latencies; /* (bodies) seconds, by body; 0 = not sent */
};

static void *post(void *closure)
{
    struct load *load = closure;
    struct peer_answer *answer = peer_allocate(1, sizeof *answer);
    int fd = peer_connect(load->port);
    size_t number;
    while (peer_now() < load->end &&
           (number = atomic_fetch_add(&load->next, 1)) < load->bodies) {
        double begin = peer_now();
        peer_send(fd, &load->requests[number]);
        while (!peer_take(fd, answer, "HTTP/1.1 201")) {
        }
        load->latencies[number] = peer_now() - begin;
    }
    close(fd);
    free(answer);
    return NULL;
}

static void run(struct load *load, size_t connections)
{
    pthread_t threads[CONNECTIONS_MAX];
    for (size_t i = 0; i < connections; i++) {
        if (pthread_create(&threads[i], NULL, post, load) != 0) {
            peer_die("pthread_create");
        }
    }
    for (size_t i = 0; i < connections; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void print_rate(struct load *load, double seconds)
{
    size_t count = 0;
    for (size_t i = 0; i < load->bodies; i++) {
        if (load->latencies[i] > 0) {
            load->latencies[count++] = load->latencies[i];
        }
    }
    qsort(load->latencies, count, sizeof *load->latencies, peer_compare);
    printf("%zu %.3f %.0f %.0f %.0f\n", count, seconds,
           1e6 * peer_quantile(load->latencies, count, .5),
           1e6 * peer_quantile(load->latencies, count, .99),
           1e6 * peer_quantile(load->latencies, count, 1));
}

int main(int argc, char **argv)
{
    struct load load = {0};
    if (argc != 6 || atoi(argv[4]) < 1 || atoi(argv[4]) > CONNECTIONS_MAX) {
        fputs("usage: label_load PORT PATH BODY-FILE CONNECTIONS SECONDS\n", stderr);
        return 2;
    }
    struct peer_message *requests = peer_requests(&load.bodies, argv[2], argv[3]);
    load.requests = requests;
    load.port = argv[1];
    load.latencies = peer_allocate(load.bodies + 1, sizeof *load.latencies);
    double begin = peer_now();
    load.end = begin + atof(argv[5]);
    run(&load, (size_t)atoi(argv[4]));
    print_rate(&load, peer_now() - begin);
    peer_requests_free(requests, load.bodies);
    free(load.latencies);
    return 0;
}
