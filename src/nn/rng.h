/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded randomness, passed in: same seed, same numbers, on every machine. xoshiro256**,
 * seeded by splitmix64 (Blackman and Vigna, 2018). */
#ifndef NN_RNG_H
#define NN_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state[4];
};

/* Stream `stream` of a seed: members of an ensemble, folds, ... draw from streams of
 * their own, so that one's number of draws never shifts another's. */
void rng_init(struct rng *rng, uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *rng);
/* Uniform in [0, bound), unbiased (Lemire); bound > 0. */
size_t rng_below(struct rng *rng, size_t bound);
/* Uniform in [0, 1), 24 bits. */
float rng_float(struct rng *rng);
/* Fisher-Yates. */
void rng_shuffle(struct rng *rng, size_t *index, size_t count);

#endif
