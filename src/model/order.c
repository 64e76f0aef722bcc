/* SPDX-License-Identifier: Apache-2.0 */
#include "model/order.h"

#include <stdlib.h>
#include <string.h>

enum { ORDER_BITS = 11, ORDER_BUCKETS = 1 << ORDER_BITS, ORDER_PASSES = 3 };

struct pair {
    uint32_t key, index;
};

/* Unsigned integers that sort as the floats do. */
static uint32_t sort_key(float value)
{
    uint32_t bits;
    value += 0.0F; /* -0 and 0 are equal */
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

static void radix_pass(struct pair *to, const struct pair *from, size_t count,
                       unsigned shift)
{
    size_t starts[ORDER_BUCKETS + 1] = {0};
    for (size_t i = 0; i < count; i++) {
        starts[((from[i].key >> shift) & (ORDER_BUCKETS - 1)) + 1]++;
    }
    for (size_t b = 0; b < ORDER_BUCKETS; b++) {
        starts[b + 1] += starts[b];
    }
    for (size_t i = 0; i < count; i++) {
        to[starts[(from[i].key >> shift) & (ORDER_BUCKETS - 1)]++] = from[i];
    }
}

int order_ascending(uint32_t **order, const float *values, size_t count,
                    struct deepsad_error *error)
{
    struct pair *pairs = calloc(count + 1, 2 * sizeof *pairs);
    uint32_t *result = malloc((count + 1) * sizeof *result);
    if (pairs == NULL || result == NULL) {
        free(pairs);
        free(result);
        return error_no_memory(error, "sorting");
    }
    struct pair *from = pairs, *to = pairs + count;
    for (size_t i = 0; i < count; i++) {
        from[i] = (struct pair){sort_key(values[i]), (uint32_t)i};
    }
    for (unsigned pass = 0; pass < ORDER_PASSES; pass++) {
        radix_pass(to, from, count, pass * ORDER_BITS);
        struct pair *swap = from;
        from = to;
        to = swap;
    }
    for (size_t i = 0; i < count; i++) {
        result[i] = from[i].index;
    }
    free(pairs);
    *order = result;
    return DEEPSAD_OK;
}

double order_quantile(const float *values, const uint32_t *order, size_t count, double q)
{
    double position = q * (double)(count - 1);
    size_t below = (size_t)position;
    size_t above = below + 1 < count ? below + 1 : below;
    double share = position - (double)below;
    double low = (double)values[order[below]];
    return low + share * ((double)values[order[above]] - low);
}
