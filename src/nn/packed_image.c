/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows are short, so a row is done in chunks of constant size, which are vectors, the
 * last one ending where the row ends: it may do some pixels again.
 */
#include "nn/packed_image.h"

#include <string.h>

#include "base/simd.h"

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

SIMD_INLINE float larger(float a, float b)
{
    return a > b ? a : b;
}

/* count is constant after inlining. */
SIMD_INLINE void pool_chunk(float *restrict y, const float *restrict upper,
                            const float *restrict lower, size_t count)
{
#pragma omp simd
    for (size_t u = 0; u < count; u++) {
        y[u] = larger(larger(upper[2 * u], upper[2 * u + 1]),
                      larger(lower[2 * u], lower[2 * u + 1]));
    }
}

SIMD_INLINE void upsample_chunk(float *restrict y, const float *restrict x, size_t count)
{
#pragma omp simd
    for (size_t u = 0; u < count; u++) {
        y[2 * u] = x[u];
        y[2 * u + 1] = x[u];
    }
}

/* Where the chunk after `done` pixels begins. */
SIMD_INLINE size_t chunk_at(size_t done, size_t chunk, size_t width)
{
    return done + chunk <= width ? done : width - chunk;
}

SIMD_INLINE void pool_row(float *y, const float *upper, const float *lower, size_t width,
                          size_t chunk)
{
    for (size_t done = 0; done < width; done += chunk) {
        size_t u = chunk_at(done, chunk, width);
        pool_chunk(y + u, upper + 2 * u, lower + 2 * u, chunk);
    }
}

SIMD_INLINE void upsample_row(float *y, const float *x, size_t width, size_t chunk)
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

static void clear(float *y, struct packed_layout to, struct image_shape shape)
{
    for (size_t c = 0; c < shape.channels; c++) {
        for (size_t v = 0; v < shape.height; v++) {
            memset(y + c * to.plane + v * to.pitch, 0, shape.width * sizeof *y);
        }
    }
}

/* Two rows of dx, of dy's row and two rows of x; without branches, as which pixel is the
 * largest cannot be predicted. */
SIMD_INLINE void pool_back_chunk(float *restrict d_upper, float *restrict d_lower,
                                 const float *restrict dy, const float *restrict upper,
                                 const float *restrict lower, size_t count)
{
#pragma omp simd
    for (size_t u = 0; u < count; u++) {
        float a = upper[2 * u], b = upper[2 * u + 1];
        float c = lower[2 * u], d = lower[2 * u + 1];
        float down = larger(c, d) > larger(a, b) ? dy[u] : 0;
        float up = larger(c, d) > larger(a, b) ? 0 : dy[u];
        d_upper[2 * u] = b > a ? 0 : up;
        d_upper[2 * u + 1] = b > a ? up : 0;
        d_lower[2 * u] = d > c ? 0 : down;
        d_lower[2 * u + 1] = d > c ? down : 0;
    }
}

struct rows_back {
    float *d_upper, *d_lower;
    const float *dy, *upper, *lower;
};

SIMD_INLINE void pool_back_row(struct rows_back rows, size_t width, size_t chunk)
{
    for (size_t done = 0; done < width; done += chunk) {
        size_t u = chunk_at(done, chunk, width);
        pool_back_chunk(rows.d_upper + 2 * u, rows.d_lower + 2 * u, rows.dy + u,
                        rows.upper + 2 * u, rows.lower + 2 * u, chunk);
    }
}

SIMD_CLONES
void packed_pool_back(float *dx, struct packed_layout to, const float *dy,
                      struct packed_layout dy_layout, const float *x,
                      struct packed_layout x_layout, struct image_shape shape)
{
    if (shape.height % 2 == 1 || shape.width % 2 == 1) {
        clear(dx, to, shape); /* the last row or column is in no maximum */
    }
    const size_t width = shape.width / 2;
    for (size_t c = 0; c < shape.channels; c++) {
        for (size_t v = 0; v < shape.height / 2; v++) {
            float *d = dx + c * to.plane + 2 * v * to.pitch;
            const float *pixels = x + c * x_layout.plane + 2 * v * x_layout.pitch;
            const struct rows_back rows = {d, d + to.pitch,
                                           dy + c * dy_layout.plane + v * dy_layout.pitch,
                                           pixels, pixels + x_layout.pitch};
            if (width >= 8) {
                pool_back_row(rows, width, 8);
            } else if (width >= 4) {
                pool_back_row(rows, width, 4);
            } else {
                pool_back_row(rows, width, 1);
            }
        }
    }
}

void packed_upsample_back(float *dx, struct packed_layout to, const float *dy,
                          struct packed_layout from, struct image_shape shape)
{
    const size_t height = shape.height / 2, width = shape.width / 2;
    clear(dx, to, (struct image_shape){shape.channels, height, width});
    for (size_t c = 0; c < shape.channels; c++) {
        for (size_t v = 0; v < shape.height; v++) {
            const float *d = dy + c * from.plane + v * from.pitch;
            float *row =
                dx + c * to.plane + (v / 2 < height ? v / 2 : height - 1) * to.pitch;
            for (size_t u = 0; u < width; u++) {
                row[u] += d[2 * u] + d[2 * u + 1];
            }
            if (shape.width % 2 == 1) {
                row[width - 1] += d[shape.width - 1];
            }
        }
    }
}
