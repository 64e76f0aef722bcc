/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/neighbours_shares.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/simd.h"

enum { SAMPLES = NEIGHBOURS_SAMPLES };

/* One member's part: features and samples (count, SAMPLES) are its own. */
SIMD_INLINE void add_shares(float *shares, const uint32_t *features, const float *samples,
                            size_t count, float inverse_scale, const float *z)
{
    float squared[SAMPLES] = {0};
    for (size_t k = 0; k < count; k++) {
        float x = z[features[k]];
#pragma omp simd
        for (size_t s = 0; s < SAMPLES; s++) {
            float d = x - samples[k * SAMPLES + s];
            squared[s] += d * d;
        }
    }
    size_t nearest = 0;
    for (size_t s = 1; s < SAMPLES; s++) {
        nearest = squared[s] < squared[nearest] ? s : nearest;
    }
    float sum = squared[nearest];
    if (!(sum > 0 && sum <= FLT_MAX)) {
        return;
    }
    float v = sqrtf(sum) * inverse_scale;
    float factor = v / (1 + v) / sum;
    for (size_t k = 0; k < count; k++) {
        float d = z[features[k]] - samples[k * SAMPLES + nearest];
        shares[features[k]] += factor * (d * d);
    }
}

SIMD_CLONES
static void add_all(const struct neighbours *n, float *shares, const float *z)
{
    const uint32_t *features = n->feature_index;
    const float *samples = n->samples;
    for (size_t i = 0; i < n->members; i++) {
        size_t count = n->member_features[i];
        add_shares(shares, features, samples, count, n->inverse_scale[i], z);
        features += count;
        samples += count * SAMPLES;
    }
}

void neighbours_shares(const struct neighbours *neighbours, float *shares, const float *z)
{
    memset(shares, 0, neighbours->features * sizeof *shares);
    add_all(neighbours, shares, z);
    float part = 1 / (float)neighbours->members;
    for (size_t j = 0; j < neighbours->features; j++) {
        shares[j] *= part;
    }
}
