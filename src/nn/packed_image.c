/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows are short, so a row is done in chunks of constant size, which are vectors, the
 * last one ending where the row ends: it may do some pixels again.
 */
#include "nn/packed_image.h"

#include <string.h>

#include "base/simd.h"

#define INLINE static inline __attribute__((always_inline))

void packed_copy(float *y, struct packed_layout to, const float *x,
                 struct packed_layout from, struct image_shape shape)
{
    for (size_t c = 0; c < shape.channels; c++) {
        for (size_t v = 0; v < shape.height; v++) {
            memcpy(y + c * to.plane + v * to.pitch, x + c * from.plane + v * from.pitch,
                   shape.width * sizeof *y);
        }
    }
}

INLINE float larger(float a, float b)
{
    return a > b ? a : b;
}

/* count is constant after inlining. */
INLINE void pool_chunk(float *restrict y, const float *restrict upper,
                       const float *restrict lower, size_t count)
{
#pragma omp simd
    for (size_t u = 0; u < count; u++) {
        y[u] = larger(larger(upper[2 * u], upper[2 * u + 1]),
                      larger(lower[2 * u], lower[2 * u + 1]));
    }
}

INLINE void upsample_chunk(float *restrict y, const float *restrict x, size_t count)
{
#pragma omp simd
    for (size_t u = 0; u < count; u++) {
        y[2 * u] = x[u];
        y[2 * u + 1] = x[u];
    }
}

/* Where the chunk after `done` pixels begins. */
INLINE size_t chunk_at(size_t done, size_t chunk, size_t width)
{
    return done + chunk <= width ? done : width - chunk;
}

INLINE void pool_row(float *y, const float *upper, const float *lower, size_t width,
                     size_t chunk)
{
    for (size_t done = 0; done < width; done += chunk) {
        size_t u = chunk_at(done, chunk, width);
        pool_chunk(y + u, upper + 2 * u, lower + 2 * u, chunk);
    }
}

INLINE void upsample_row(float *y, const float *x, size_t width, size_t chunk)
{
    for (size_t done = 0; done < width; done += chunk) {
        size_t u = chunk_at(done, chunk, width);
        upsample_chunk(y + 2 * u, x + u, chunk);
    }
}

SIMD_CLONES
void packed_pool(float *y, struct packed_layout to, const float *x,
                 struct packed_layout from, struct image_shape shape)
{
    const size_t width = shape.width / 2;
    for (size_t c = 0; c < shape.channels; c++) {
        for (size_t v = 0; v < shape.height / 2; v++) {
            float *out = y + c * to.plane + v * to.pitch;
            const float *upper = x + c * from.plane + 2 * v * from.pitch;
            const float *lower = upper + from.pitch;
            if (width >= 8) {
                pool_row(out, upper, lower, width, 8);
            } else if (width >= 4) {
                pool_row(out, upper, lower, width, 4);
            } else {
                pool_row(out, upper, lower, width, 1);
            }
        }
    }
}

SIMD_CLONES
void packed_upsample(float *y, struct packed_layout to, const float *x,
                     struct packed_layout from, struct image_shape shape)
{
    const size_t height = shape.height / 2, width = shape.width / 2;
    for (size_t c = 0; c < shape.channels; c++) {
        for (size_t v = 0; v < shape.height; v++) {
            float *out = y + c * to.plane + v * to.pitch;
            const float *row =
                x + c * from.plane + (v / 2 < height ? v / 2 : height - 1) * from.pitch;
            if (width >= 8) {
                upsample_row(out, row, width, 8);
            } else if (width >= 4) {
                upsample_row(out, row, width, 4);
            } else {
                upsample_row(out, row, width, 1);
            }
            if (shape.width % 2 == 1) {
                out[shape.width - 1] = row[width - 1];
            }
        }
    }
}
