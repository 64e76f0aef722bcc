/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each pixel is a loop over its 16 lanes, which compilers make one vector operation, or
 * two or four. Sums go over a few dozen pixels in float, then into doubles, lane by lane;
 * so lanes that hold no sample are left out at the end, at no cost. A loop over lanes has
 * one choice at most: of two with the same condition compilers make a jump.
 */
#include "nn/lanes.h"

#include <string.h>

#include "base/simd.h"

enum { PAIR = 2 * LANES }; /* two pixels */

#define PIXEL _Pragma("omp simd") for (size_t l = 0; l < LANES; l++)

/* ---- Rows ---- */

enum { PIECE = 64 }; /* pixels: what is written of them stays in the first-level cache */

void lanes_from_rows(float *restrict lanes, const float *restrict rows, size_t count,
                     size_t width)
{
    if (count < LANES) {
        memset(lanes, 0, width * LANES * sizeof *lanes);
    }
    for (size_t first = 0; first < width; first += PIECE) {
        size_t end = width - first < PIECE ? width : first + PIECE;
        for (size_t l = 0; l < count; l++) {
            for (size_t i = first; i < end; i++) {
                lanes[i * LANES + l] = rows[l * width + i];
            }
        }
    }
}

void lanes_to_rows(float *restrict rows, const float *restrict lanes, size_t count,
                   size_t width)
{
    for (size_t first = 0; first < width; first += PIECE) {
        size_t end = width - first < PIECE ? width : first + PIECE;
        for (size_t l = 0; l < count; l++) {
            for (size_t i = first; i < end; i++) {
                rows[l * width + i] = lanes[i * LANES + l];
            }
        }
    }
}

/* ---- Sums ---- */

enum { SUM_PIXELS = 64, SHIFT_PIXELS = 64 };

SIMD_INLINE void widen(double *restrict total, const float *restrict part)
{
    PIXEL
    {
        total[l] += (double)part[l];
    }
}

static double total_of(const double *total, size_t count)
{
    double sum = 0;
    for (size_t l = 0; l < count; l++) {
        sum += total[l];
    }
    return sum;
}

SIMD_INLINE float first_mean(const float *z, size_t pixels, size_t count)
{
    float sum[LANES] = {0};
    for (size_t p = 0; p < pixels; p++) {
        PIXEL
        {
            sum[l] += z[p * LANES + l];
        }
    }
    double total = 0;
    for (size_t l = 0; l < count; l++) {
        total += (double)sum[l];
    }
    return (float)(total / (double)(pixels * count));
}

/* One pass, of deviations from the mean of the first pixels. As these are a part of the
 * whole, their mean is near enough to that of all: what cancels in the last line is at
 * most pixels / SHIFT_PIXELS times what is left. */
SIMD_CLONES
void lanes_moments(struct lanes_moments *out, const float *z, size_t pixels, size_t count)
{
    float shift = first_mean(z, pixels < SHIFT_PIXELS ? pixels : SHIFT_PIXELS, count);
    double sum[LANES] = {0};
    double squares[LANES] = {0};
    for (size_t first = 0; first < pixels; first += SUM_PIXELS) {
        size_t end = pixels - first < SUM_PIXELS ? pixels : first + SUM_PIXELS;
        float part[LANES] = {0};
        float part_squares[LANES] = {0};
        for (size_t p = first; p < end; p++) {
            PIXEL
            {
                float d = z[p * LANES + l] - shift;
                part[l] += d;
                part_squares[l] += d * d;
            }
        }
        widen(sum, part);
        widen(squares, part_squares);
    }
    double n = (double)(pixels * count);
    double deviation = total_of(sum, count) / n;
    double left = total_of(squares, count) - n * deviation * deviation;
    *out = (struct lanes_moments){(double)shift + deviation, left > 0 ? left : 0};
}

SIMD_CLONES
void lanes_add(float *restrict sum, const float *restrict part, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sum[i] += part[i];
    }
}

/* ---- Forward ---- */

/* 1 in lanes that hold a sample, 0 in others */
static void fill_keep(float keep[static LANES], size_t count)
{
    for (size_t l = 0; l < LANES; l++) {
        keep[l] = l < count ? 1 : 0;
    }
}

SIMD_INLINE float activate(float z, struct lanes_norm norm, float slope)
{
    float n = (z - norm.mean) * norm.inverse_std;
    return n > 0 ? n : slope * n;
}

SIMD_INLINE float larger(float a, float b)
{
    return b > a ? b : a;
}

/* Where an upsampling puts what was at i: from 2 i up to, not including, this. */
SIMD_INLINE size_t patch_end(size_t i, size_t in, size_t out)
{
    return i + 1 < in ? 2 * i + 2 : out;
}

SIMD_INLINE void forward_same(float *restrict y, const float *restrict z,
                              const struct lanes_tail *tail, struct lanes_norm norm,
                              const float *keep)
{
    for (size_t p = 0; p < tail->in.height * tail->in.width; p++) {
        PIXEL
        {
            y[p * LANES + l] = activate(z[p * LANES + l], norm, tail->slope) * keep[l];
        }
    }
}

SIMD_INLINE void forward_pool(float *restrict y, const float *restrict z,
                              const struct lanes_tail *tail, struct lanes_norm norm,
                              const float *keep)
{
    size_t row = tail->in.width * LANES;
    for (size_t v = 0; v < tail->out.height; v++) {
        const float *above = z + 2 * v * row;
        const float *below = above + row;
        for (size_t u = 0; u < tail->out.width; u++) {
            PIXEL
            {
                float top = larger(above[l], above[LANES + l]);
                float bottom = larger(below[l], below[LANES + l]);
                y[l] = activate(larger(top, bottom), norm, tail->slope) * keep[l];
            }
            above += PAIR;
            below += PAIR;
            y += LANES;
        }
    }
}

SIMD_INLINE void forward_upsample(float *restrict y, const float *restrict z,
                                  const struct lanes_tail *tail, struct lanes_norm norm,
                                  const float *keep)
{
    size_t row = tail->out.width * LANES;
    for (size_t v = 0; v < tail->in.height; v++) {
        float *to = y + 2 * v * row;
        for (size_t u = 0; u < tail->in.width; u++) {
            PIXEL
            {
                float value = activate(z[l], norm, tail->slope) * keep[l];
                to[l] = value;
                to[LANES + l] = value;
            }
            z += LANES;
            to += PAIR;
        }
        if (tail->out.width % 2 != 0) {
            const float *left = to - LANES;
            memcpy(to, left, LANES * sizeof *to);
        }
        size_t end = patch_end(v, tail->in.height, tail->out.height);
        for (size_t copy = 2 * v + 1; copy < end; copy++) {
            memcpy(y + copy * row, y + 2 * v * row, row * sizeof *y);
        }
    }
}

SIMD_CLONES
void lanes_tail_forward(float *y, const float *z, const struct lanes_tail *tail,
                        struct lanes_norm norm, size_t count)
{
    float keep[LANES];
    fill_keep(keep, count);
    switch (tail->resize) {
    case LANES_SAME:
        forward_same(y, z, tail, norm, keep);
        break;
    case LANES_POOL:
        forward_pool(y, z, tail, norm, keep);
        break;
    case LANES_UPSAMPLE:
        forward_upsample(y, z, tail, norm, keep);
        break;
    }
}

/* ---- Backward, first part ---- */

struct sums {
    double g[LANES], product[LANES];
};

/* Sums of one row, in float. */
struct row_sums {
    float g[LANES], product[LANES];
};

/* g and its share of the sums, of one pixel; y and g may be the same. */
SIMD_INLINE void gradient_pixel(struct row_sums *row, float *g, const float *y,
                                const float *dy, float slope, float unslope)
{
    float normalised[LANES];
    float by[LANES];
    PIXEL
    {
        normalised[l] = y[l] > 0 ? y[l] : unslope * y[l];
    }
    PIXEL
    {
        by[l] = y[l] > 0 ? dy[l] : slope * dy[l];
    }
    PIXEL
    {
        g[l] = by[l];
        row->g[l] += by[l];
        row->product[l] += by[l] * normalised[l];
    }
}

SIMD_INLINE void add_row(struct sums *sums, const struct row_sums *row)
{
    widen(sums->g, row->g);
    widen(sums->product, row->product);
}

SIMD_INLINE void gradient_same(struct sums *sums, float *g, const float *y,
                               const float *dy, const struct lanes_tail *tail)
{
    float unslope = 1 / tail->slope;
    size_t pixels = tail->out.height * tail->out.width;
    for (size_t first = 0; first < pixels; first += SUM_PIXELS) {
        size_t end = pixels - first < SUM_PIXELS ? pixels : first + SUM_PIXELS;
        struct row_sums row = {{0}, {0}};
        for (size_t p = first; p < end; p++) {
            gradient_pixel(&row, g + p * LANES, y + p * LANES, dy + p * LANES,
                           tail->slope, unslope);
        }
        add_row(sums, &row);
    }
}

/* sum = what an upsampling's patch of rows x columns pixels gets back */
SIMD_INLINE void sum_patch(float *restrict sum, const float *restrict dy, size_t row,
                           size_t rows, size_t columns)
{
    PIXEL
    {
        sum[l] = (dy[l] + dy[LANES + l]) + (dy[row + l] + dy[row + LANES + l]);
    }
    for (size_t r = 0; r < rows; r++) { /* of an odd side's last pixel: 3 */
        for (size_t c = r < 2 ? 2 : 0; c < columns; c++) {
            PIXEL
            {
                sum[l] += dy[r * row + c * LANES + l];
            }
        }
    }
}

SIMD_INLINE void gradient_upsample(struct sums *sums, float *g, const float *y,
                                   const float *dy, const struct lanes_tail *tail)
{
    float unslope = 1 / tail->slope;
    size_t out_row = tail->out.width * LANES;
    for (size_t v = 0; v < tail->in.height; v++) {
        size_t rows = patch_end(v, tail->in.height, tail->out.height) - 2 * v;
        struct row_sums row = {{0}, {0}};
        for (size_t u = 0; u < tail->in.width; u++) {
            size_t columns = patch_end(u, tail->in.width, tail->out.width) - 2 * u;
            size_t from = 2 * v * out_row + 2 * u * LANES;
            float patch[LANES];
            sum_patch(patch, dy + from, out_row, rows, columns);
            gradient_pixel(&row, g, y + from, patch, tail->slope, unslope);
            g += LANES;
        }
        add_row(sums, &row);
    }
}

SIMD_CLONES
void lanes_tail_gradient(struct lanes_sums *sums, float *g, const float *y,
                         const float *dy, const struct lanes_tail *tail, size_t count)
{
    struct sums total = {{0}, {0}};
    if (tail->resize == LANES_UPSAMPLE) {
        gradient_upsample(&total, g, y, dy, tail);
    } else {
        gradient_same(&total, g, y, dy, tail);
    }
    *sums = (struct lanes_sums){total_of(total.g, count), total_of(total.product, count)};
}

/* ---- Backward, second part ---- */

/* dz = keep (g inverse_std - base - (z - mean) factor) */
struct factors {
    float mean, inverse_std, base, factor;
    float keep[LANES];
};

SIMD_INLINE float through_norm(float z, float g, const struct factors *f, float keep)
{
    return (g * f->inverse_std - f->base - (z - f->mean) * f->factor) * keep;
}

SIMD_INLINE void backward_same(float *restrict dz, const float *restrict z,
                               const float *restrict g, size_t pixels,
                               const struct factors *f)
{
    for (size_t p = 0; p < pixels * LANES; p += LANES) {
        PIXEL
        {
            dz[p + l] = through_norm(z[p + l], g[p + l], f, f->keep[l]);
        }
    }
}

/* Where no pool looks: a last row or column of an odd side. */
SIMD_INLINE void backward_unseen(float *restrict dz, const float *restrict z,
                                 size_t pixels, const struct factors *f)
{
    for (size_t p = 0; p < pixels * LANES; p += LANES) {
        PIXEL
        {
            dz[p + l] = through_norm(z[p + l], 0, f, f->keep[l]);
        }
    }
}

/* dz of one pixel, which takes what is left of the pool's gradient if it is the most. */
SIMD_INLINE void backward_pixel(float *restrict dz, const float *restrict z,
                                const float *restrict most, float *restrict left,
                                const struct factors *f)
{
    float taken[LANES];
    PIXEL
    {
        taken[l] = z[l] == most[l] ? left[l] : 0;
    }
    PIXEL
    {
        left[l] -= taken[l];
        dz[l] = through_norm(z[l], taken[l], f, f->keep[l]);
    }
}

SIMD_INLINE void backward_patch(float *restrict dz, const float *restrict z,
                                const float *restrict g, size_t row,
                                const struct factors *f)
{
    float most[LANES];
    float left[LANES];
    PIXEL
    {
        float top = larger(z[l], z[LANES + l]);
        most[l] = larger(top, larger(z[row + l], z[row + LANES + l]));
    }
    PIXEL
    {
        left[l] = g[l];
    }
    backward_pixel(dz, z, most, left, f);
    backward_pixel(dz + LANES, z + LANES, most, left, f);
    backward_pixel(dz + row, z + row, most, left, f);
    backward_pixel(dz + row + LANES, z + row + LANES, most, left, f);
}

SIMD_INLINE void backward_pool(float *restrict dz, const float *restrict z,
                               const float *restrict g, const struct lanes_tail *tail,
                               const struct factors *f)
{
    size_t row = tail->in.width * LANES;
    for (size_t v = 0; v < tail->out.height; v++) {
        for (size_t u = 0; u < tail->out.width; u++) {
            size_t at = 2 * v * row + 2 * u * LANES;
            backward_patch(dz + at, z + at, g, row, f);
            g += LANES;
        }
        if (tail->in.width % 2 != 0) {
            size_t last = (2 * v + 1) * row - LANES;
            backward_unseen(dz + last, z + last, 1, f);
            backward_unseen(dz + last + row, z + last + row, 1, f);
        }
    }
    if (tail->in.height % 2 != 0) {
        size_t last = (tail->in.height - 1) * row;
        backward_unseen(dz + last, z + last, tail->in.width, f);
    }
}

SIMD_CLONES
void lanes_tail_backward(float *dz, const float *z, const float *g,
                         const struct lanes_tail *tail, struct lanes_norm norm,
                         struct lanes_means means, size_t count)
{
    struct factors f = {
        .mean = norm.mean,
        .inverse_std = norm.inverse_std,
        .base = norm.inverse_std * means.g,
        .factor = norm.inverse_std * norm.inverse_std * means.product,
    };
    fill_keep(f.keep, count);
    if (tail->resize == LANES_POOL) {
        backward_pool(dz, z, g, tail, &f);
    } else {
        backward_same(dz, z, g, tail->in.height * tail->in.width, &f);
    }
}
