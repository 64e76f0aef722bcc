/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block of b, DEPTH rows by COLUMNS columns, is copied side by side, so that it stays
 * in the first-level cache while all rows of a pass by it; a tile of the product is held
 * in registers. Tiles over an edge are computed beside the product, and what lies inside
 * is copied.
 */
#include "nn/blocked.h"

#include <stdbool.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

enum {
    DEPTH = 256,
    COLUMNS = 32, /* a block of b is 32 KiB */
};

#define NAME(x) x##_baseline
#define TARGET
#define FLOATS 4
#define ROWS 4
#define VECTORS 2
#include "nn/blocked_kernel.inc"

#if SIMD_X86
#define NAME(x) x##_avx2
#define TARGET SIMD_TARGET_AVX2
#define FLOATS 8
#define ROWS 4
#define VECTORS 2
#include "nn/blocked_kernel.inc"

#define NAME(x) x##_avx512
#define TARGET SIMD_TARGET_AVX512
#define FLOATS 16
#define ROWS 8
#define VECTORS 2
#include "nn/blocked_kernel.inc"
#endif

static void multiply_tiles(float *c, size_t stride, struct strided a, const float *b,
                           size_t depth, size_t columns, bool first,
                           enum simd_level level)
{
    SIMD_CALL(level, tiles, c, stride, a, b, depth, columns, first);
}

/* ---- Copies of b ---- */

typedef float quarter __attribute__((vector_size(16), aligned(4), may_alias));

/* to (4, 4; rows COLUMNS apart) = transposed from (4, 4; rows `stride` apart) */
static void transpose_square(float *to, const float *from, size_t stride)
{
    quarter row[4];
    for (size_t i = 0; i < 4; i++) {
        row[i] = *(const quarter *)(from + i * stride);
    }
    quarter low01 = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
    quarter high01 = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
    quarter low23 = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
    quarter high23 = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
    *(quarter *)to = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    *(quarter *)(to + COLUMNS) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    *(quarter *)(to + (size_t)2 * COLUMNS) =
        __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    *(quarter *)(to + (size_t)3 * COLUMNS) =
        __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

/* packed (depth, COLUMNS) = b (depth, columns), of a transposed matrix; the other columns
 * stay as they are. */
static void pack_transposed(float *packed, struct strided b, size_t depth, size_t columns)
{
    size_t j = 0;
    for (; j + 4 <= columns; j += 4) {
        size_t p = 0;
        for (; p + 4 <= depth; p += 4) {
            transpose_square(packed + p * COLUMNS + j, b.at + j * b.step + p, b.step);
        }
        for (; p < depth; p++) {
            for (size_t i = j; i < j + 4; i++) {
                packed[p * COLUMNS + i] = b.at[i * b.step + p];
            }
        }
    }
    for (; j < columns; j++) {
        for (size_t p = 0; p < depth; p++) {
            packed[p * COLUMNS + j] = b.at[j * b.step + p];
        }
    }
}

static void pack(float *packed, struct strided b, size_t depth, size_t columns)
{
    if (columns < COLUMNS) {
        memset(packed, 0, depth * COLUMNS * sizeof *packed);
    }
    if (b.step != 1) {
        pack_transposed(packed, b, depth, columns);
        return;
    }
    for (size_t p = 0; p < depth; p++) {
        if (columns == COLUMNS) {
            memcpy(packed + p * COLUMNS, b.at + p * b.row, COLUMNS * sizeof *packed);
        } else {
            memcpy(packed + p * COLUMNS, b.at + p * b.row, columns * sizeof *packed);
        }
    }
}

/* ---- Products ---- */

/* What all tiles of a block of b have in common. */
struct block {
    float *c; /* from the block's first column on */
    struct strided a;
    const float *packed;
    size_t m, n, depth, columns;
    bool first;
    enum simd_level level;
};

/* Rows from `row` on that are new, of the tile at `row` moved back inside. */
static void multiply_edge(const struct block *block, size_t row)
{
    float tile[BLOCKED_ROWS * COLUMNS] = {0};
    size_t top = row + BLOCKED_ROWS <= block->m ? row : block->m - BLOCKED_ROWS;
    struct strided a = block->a;
    a.at += top * a.row;
    const size_t bytes = block->columns * sizeof *tile;
    for (size_t i = row - top; i < BLOCKED_ROWS && !block->first; i++) {
        memcpy(tile + i * COLUMNS, block->c + (top + i) * block->n, bytes);
    }
    multiply_tiles(tile, COLUMNS, a, block->packed, block->depth, block->columns,
                   block->first, block->level);
    for (size_t i = row - top; i < BLOCKED_ROWS; i++) {
        memcpy(block->c + (top + i) * block->n, tile + i * COLUMNS, bytes);
    }
}

static void multiply_block(const struct block *block)
{
    for (size_t i = 0; i < block->m; i += BLOCKED_ROWS) {
        if (i + BLOCKED_ROWS > block->m || block->columns < COLUMNS) {
            multiply_edge(block, i);
            continue;
        }
        struct strided rows = block->a;
        rows.at += i * rows.row;
        multiply_tiles(block->c + i * block->n, block->n, rows, block->packed,
                       block->depth, block->columns, block->first, block->level);
    }
}

/* c += block.depth columns of a times as many rows of b. */
static void multiply_depth(struct block block, struct strided b)
{
    float packed[DEPTH * COLUMNS] __attribute__((aligned(SIMD_ALIGN)));
    block.packed = packed;
    for (size_t j = 0; j < block.n; j += COLUMNS) {
        block.columns = block.n - j < COLUMNS ? block.n - j : COLUMNS;
        pack(packed, b, block.depth, block.columns);
        multiply_block(&block);
        b.at += COLUMNS * b.step;
        block.c += COLUMNS;
    }
}

void blocked_multiply_level(float *c, struct strided a, struct strided b, size_t m,
                            size_t k, size_t n, enum simd_level level)
{
    struct block block = {.c = c, .a = a, .m = m, .n = n, .first = true, .level = level};
    for (size_t p = 0; p < k; p += DEPTH) {
        block.depth = k - p < DEPTH ? k - p : DEPTH;
        multiply_depth(block, b);
        block.a.at += DEPTH * a.step;
        b.at += DEPTH * b.row;
        block.first = false;
    }
}

void blocked_multiply(float *c, struct strided a, struct strided b, size_t m, size_t k,
                      size_t n)
{
    blocked_multiply_level(c, a, b, m, k, n, simd_level());
}
