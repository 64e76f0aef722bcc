/* SPDX-License-Identifier: Apache-2.0 */
#include "http/quota.h"

#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Seconds: what rounding makes of a debt that is just paid. */
static const double SLACK = 1e-6;

enum { GROUPS = 8192, PLACES = 4, LOCKS = 64 };

struct place {
    uint64_t client; /* mixed; 0 = free */
    double whole_at; /* seconds of CLOCK_MONOTONIC */
};

struct quota {
    uint64_t seed; /* so that nobody can aim at another's place */
    struct place (*groups)[PLACES];
    pthread_mutex_t locks[LOCKS]; /* each guards the groups of its remainder */
    _Atomic double interval;      /* seconds a request; 0 = no limit */
    _Atomic double burst;
};

struct quota *quota_new(void)
{
    struct quota *quota = calloc(1, sizeof *quota);
    if (quota == NULL ||
        (quota->groups = calloc(GROUPS, sizeof *quota->groups)) == NULL) {
        free(quota);
        return NULL;
    }
    if (getrandom(&quota->seed, sizeof quota->seed, 0) != (ssize_t)sizeof quota->seed) {
        quota->seed = (uintptr_t)quota;
    }
    for (size_t i = 0; i < LOCKS; i++) {
        pthread_mutex_init(&quota->locks[i], NULL);
    }
    return quota;
}

void quota_free(struct quota *quota)
{
    if (quota == NULL) {
        return;
    }
    for (size_t i = 0; i < LOCKS; i++) {
        pthread_mutex_destroy(&quota->locks[i]);
    }
    free(quota->groups);
    free(quota);
}

void quota_set(struct quota *quota, double rate, double burst)
{
    atomic_store(&quota->interval, rate > 0 ? 1 / rate : 0);
    atomic_store(&quota->burst, burst < 1 ? 1 : floor(burst));
}

/* splitmix64's finaliser. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

uint64_t quota_client(const char *text)
{
    struct in6_addr six;
    uint64_t hash = 0xCBF29CE484222325U; /* FNV-1a */
    if (strchr(text, ':') != NULL && inet_pton(AF_INET6, text, &six) == 1) {
        uint64_t network;
        memcpy(&network, &six, sizeof network);
        return network;
    }
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001B3U;
    }
    return hash;
}

/* The client's place, or the one that it takes over. */
static struct place *find(struct place group[static PLACES], uint64_t client)
{
    struct place *found = &group[0];
    for (size_t i = 0; i < PLACES; i++) {
        if (group[i].client == client) {
            return &group[i];
        }
        if (group[i].whole_at < found->whole_at) {
            found = &group[i];
        }
    }
    *found = (struct place){.client = client};
    return found;
}

static void describe(struct quota_state *out, double interval, double burst, double debt)
{
    double left = floor(burst - debt / interval + 1e-9);
    out->limited = true;
    out->burst = (uint64_t)burst;
    out->left = left > 0 ? (uint64_t)left : 0;
    out->window = burst * interval;
    out->whole = debt;
}

bool quota_take(struct quota *quota, struct quota_state *out, uint64_t client, double now)
{
    double interval = atomic_load_explicit(&quota->interval, memory_order_relaxed);
    double burst = atomic_load_explicit(&quota->burst, memory_order_relaxed);
    *out = (struct quota_state){.limited = false};
    if (interval <= 0) {
        return true;
    }
    uint64_t mixed = mix(client ^ quota->seed) | 1;
    size_t group = mixed >> 32 & (GROUPS - 1);
    pthread_mutex_t *lock = &quota->locks[group % LOCKS];
    pthread_mutex_lock(lock);
    struct place *place = find(quota->groups[group], mixed);
    double debt = place->whole_at > now ? place->whole_at - now : 0;
    bool taken = debt + interval <= burst * interval + SLACK;
    if (taken) {
        debt += interval;
        place->whole_at = now + debt;
    }
    pthread_mutex_unlock(lock);
    describe(out, interval, burst, debt);
    out->wait = taken ? 0 : debt + interval - burst * interval;
    return taken;
}
