/* SPDX-License-Identifier: Apache-2.0 */
#include "learn/shadow.h"

#include <stdlib.h>

int shadow_new(struct shadow *out, size_t labels, struct deepsad_error *error)
{
    struct shadow shadow = {.normal = calloc(labels + 1, sizeof *shadow.normal),
                            .anomaly = calloc(labels + 1, sizeof *shadow.anomaly)};
    if (shadow.normal == NULL || shadow.anomaly == NULL) {
        shadow_done(&shadow);
        return error_no_memory(error, "labels");
    }
    *out = shadow;
    return DEEPSAD_OK;
}

void shadow_done(struct shadow *shadow)
{
    free(shadow->normal);
    free(shadow->anomaly);
    *shadow = (struct shadow){0};
}

void shadow_add(struct shadow *shadow, uint64_t hash, bool anomalous)
{
    if (anomalous) {
        shadow->anomaly[shadow->anomalies++] = hash;
    } else {
        shadow->normal[shadow->normals++].hash = hash;
    }
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

static int compare_normals(const void *a, const void *b)
{
    return compare_hashes(&((const struct shadow_normal *)a)->hash,
                          &((const struct shadow_normal *)b)->hash);
}

void shadow_sort(struct shadow *shadow)
{
    qsort(shadow->anomaly, shadow->anomalies, sizeof *shadow->anomaly, compare_hashes);
    qsort(shadow->normal, shadow->normals, sizeof *shadow->normal, compare_normals);
}

bool shadow_is_anomaly(const struct shadow *shadow, uint64_t hash)
{
    return shadow->anomalies > 0 &&
           bsearch(&hash, shadow->anomaly, shadow->anomalies, sizeof *shadow->anomaly,
                   compare_hashes) != NULL;
}

/* The first normal whose hash is not below. */
static size_t find_normal(const struct shadow *shadow, uint64_t hash)
{
    size_t low = 0, high = shadow->normals;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (shadow->normal[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool shadow_takes(struct shadow *shadow, uint64_t hash)
{
    if (shadow_is_anomaly(shadow, hash)) {
        return true;
    }
    for (size_t i = find_normal(shadow, hash);
         i < shadow->normals && shadow->normal[i].hash == hash; i++) {
        if (!shadow->normal[i].used) {
            shadow->normal[i].used = true;
            return true;
        }
    }
    return false;
}
