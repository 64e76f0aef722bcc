/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/rng.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void rng_init(struct rng *rng, uint64_t seed, uint64_t stream)
{
    uint64_t state = seed;
    uint64_t mixed = splitmix64(&state) ^ (stream * 0xD1342543DE82EF95u);
    for (int i = 0; i < 4; i++) {
        rng->state[i] = splitmix64(&mixed);
    }
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

size_t rng_below(struct rng *rng, size_t bound)
{
    uint64_t range = bound;
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)rng_next(rng) * range;
    if ((uint64_t)product < range) {
        uint64_t threshold = (0 - range) % range;
        while ((uint64_t)product < threshold) {
            product = (wide)rng_next(rng) * range;
        }
    }
    return (size_t)(product >> 64);
}

float rng_float(struct rng *rng)
{
    return (float)(rng_next(rng) >> 40) * 0x1p-24F;
}

void rng_shuffle(struct rng *rng, size_t *index, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = rng_below(rng, i);
        size_t swapped = index[i - 1];
        index[i - 1] = index[j];
        index[j] = swapped;
    }
}
