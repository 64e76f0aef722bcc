/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel for small matrices keeps a tile of the product in registers: a few rows by a
 * vector of columns. Edges are covered by a tile moved back inside, which computes some
 * elements twice and so needs no masks and no padding; matrices narrower than a vector
 * take narrower tiles.
 */
#include "nn/matrix.h"

#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/simd.h"
#include "nn/blocked.h"

/* Multiplications from which on the blocked kernel pays for its copies, measured with
 * AVX-512 and AVX2; and those from which on OpenBLAS is faster, if it knows the CPU. */
#define BLOCKED_WORK ((size_t)1 << 19)
#define BLAS_WORK ((size_t)1 << 26)
enum { BLOCKED_DEPTH = 64, BLOCKED_COLUMNS = 32 }; /* likewise */

/* ---- BLAS ---- */

static pthread_once_t blas_once = PTHREAD_ONCE_INIT;
static int blas_status;
static char blas_description[160];
static bool blas_wide;

/* Floats in the widest register of the clones that are running (see base/simd.h). Wider
 * vectors would be correct too, but compilers take them apart badly. */
static size_t lanes(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vl")) {
        return 16;
    }
    return __builtin_cpu_supports("avx2") ? 8 : 4;
#else
    return 4;
#endif
}

bool matrix_blas_is_wide(const char *core, enum simd_level level)
{
    static const char *const avx512[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
    static const char *const avx2[] = {"Haswell", "Zen"};
    enum simd_level has = SIMD_BASELINE;
    for (size_t i = 0; i < sizeof avx512 / sizeof *avx512; i++) {
        has = strcasecmp(core, avx512[i]) == 0 ? SIMD_AVX512 : has;
    }
    for (size_t i = 0; i < sizeof avx2 / sizeof *avx2; i++) {
        has = strcasecmp(core, avx2[i]) == 0 ? SIMD_AVX2 : has;
    }
    return has >= level;
}

static void init_blas(void)
{
    static const char *const variants[] = {"serial", "pthread", "openmp"};
    int parallel = openblas_get_parallel();
    const char *variant = parallel >= 0 && parallel <= 2 ? variants[parallel] : "unknown";
    const char *version = openblas_get_config(); /* "OpenBLAS 0.3.21 NO_LAPACKE ..." */
    size_t length = strcspn(version, " ");
    length += version[length] == ' ' ? 1 + strcspn(version + length + 1, " ") : 0;
    snprintf(blas_description, sizeof blas_description, "%.*s %s, core %s, %zu lanes",
             (int)length, version, variant, openblas_get_corename(), lanes());
    blas_wide = matrix_blas_is_wide(openblas_get_corename(), simd_level());
    const char *threads = getenv("OMP_NUM_THREADS");
    if (parallel == OPENBLAS_OPENMP && (threads == NULL || strcmp(threads, "1") != 0)) {
        blas_status = DEEPSAD_UNSUPPORTED;
        return;
    }
    openblas_set_num_threads(1);
}

int matrix_blas_init(struct deepsad_error *error)
{
    if (pthread_once(&blas_once, init_blas) != 0) {
        return error_set(error, DEEPSAD_UNSUPPORTED, "cannot initialise OpenBLAS");
    }
    if (blas_status != DEEPSAD_OK) {
        return error_set(error, DEEPSAD_UNSUPPORTED,
                         "the OpenMP variant of OpenBLAS is slow and not reproducible "
                         "under threads: install libopenblas0-pthread, or set "
                         "OMP_NUM_THREADS=1 in the environment");
    }
    return DEEPSAD_OK;
}

const char *matrix_blas_description(void)
{
    pthread_once(&blas_once, init_blas);
    return blas_description;
}

/* ---- Memory ---- */

int matrix_new(float **out, size_t rows, size_t columns, const char *what,
               struct deepsad_error *error)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(rows, columns, &bytes) ||
        __builtin_mul_overflow(bytes, sizeof(float), &bytes) ||
        bytes > SIZE_MAX - SIMD_ALIGN) {
        return error_no_memory(error, what);
    }
    bytes = (bytes / SIMD_ALIGN + 1) * SIMD_ALIGN;
    float *values = aligned_alloc(SIMD_ALIGN, bytes);
    if (values == NULL) {
        return error_no_memory(error, what);
    }
    memset(values, 0, bytes);
    *out = values;
    return DEEPSAD_OK;
}

/* ---- Products ---- */

typedef float v16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef float v8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float v4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef float v1 __attribute__((may_alias));

enum { TILE_ROWS = 8 };

/* c (ROWS, width of VECTOR) = a (ROWS, k) b (k, that width); c and b have n columns */
#define DEFINE_TILE(NAME, VECTOR, ROWS)                                         \
    SIMD_INLINE void NAME(float *c, struct strided a, const float *b, size_t k, \
                          size_t n)                                             \
    {                                                                           \
        VECTOR sum[ROWS];                                                       \
        _Pragma("GCC unroll 8") for (size_t i = 0; i < (ROWS); i++)             \
        {                                                                       \
            sum[i] = (VECTOR){0};                                               \
        }                                                                       \
        for (size_t p = 0; p < k; p++) {                                        \
            VECTOR row = *(const VECTOR *)(b + p * n);                          \
            const float *column = a.at + p * a.step;                            \
            _Pragma("GCC unroll 8") for (size_t i = 0; i < (ROWS); i++)         \
            {                                                                   \
                sum[i] += column[i * a.row] * row;                              \
            }                                                                   \
        }                                                                       \
        _Pragma("GCC unroll 8") for (size_t i = 0; i < (ROWS); i++)             \
        {                                                                       \
            *(VECTOR *)(c + i * n) = sum[i];                                    \
        }                                                                       \
    }

DEFINE_TILE(tile_8x16, v16, TILE_ROWS)
DEFINE_TILE(tile_8x8, v8, TILE_ROWS)
DEFINE_TILE(tile_8x4, v4, TILE_ROWS)
DEFINE_TILE(tile_8x1, v1, TILE_ROWS)
DEFINE_TILE(tile_1x16, v16, 1)
DEFINE_TILE(tile_1x8, v8, 1)
DEFINE_TILE(tile_1x4, v4, 1)
DEFINE_TILE(tile_1x1, v1, 1)

/* c (m, WIDTH) = a (m, k) b (k, WIDTH): tiles of 8 rows, the last one moved back */
#define DEFINE_STRIP(NAME, TILE, SINGLE)                                        \
    SIMD_INLINE void NAME(float *c, struct strided a, const float *b, size_t m, \
                          size_t k, size_t n)                                   \
    {                                                                           \
        if (m < TILE_ROWS) {                                                    \
            for (size_t i = 0; i < m; i++) {                                    \
                struct strided row = {a.at + i * a.row, a.row, a.step};         \
                SINGLE(c + i * n, row, b, k, n);                                \
            }                                                                   \
            return;                                                             \
        }                                                                       \
        for (size_t done = 0; done < m; done += TILE_ROWS) {                    \
            size_t i = done + TILE_ROWS <= m ? done : m - TILE_ROWS;            \
            struct strided rows = {a.at + i * a.row, a.row, a.step};            \
            TILE(c + i * n, rows, b, k, n);                                     \
        }                                                                       \
    }

DEFINE_STRIP(strip_16, tile_8x16, tile_1x16)
DEFINE_STRIP(strip_8, tile_8x8, tile_1x8)
DEFINE_STRIP(strip_4, tile_8x4, tile_1x4)
DEFINE_STRIP(strip_1, tile_8x1, tile_1x1)

SIMD_CLONES
static void multiply_small(float *c, struct strided a, const float *b, size_t m, size_t k,
                           size_t n, size_t widest)
{
    size_t width = n >= 16 && widest >= 16 ? 16
                   : n >= 8 && widest >= 8 ? 8
                   : n >= 4                ? 4
                                           : 1;
    for (size_t done = 0; done < n;) {
        size_t left = n - done;
        width = left <= 8 && width > 8 ? 8 : width;
        size_t j = left >= width ? done : n - width;
        if (width == 16) {
            strip_16(c + j, a, b + j, m, k, n);
        } else if (width == 8) {
            strip_8(c + j, a, b + j, m, k, n);
        } else if (width == 4) {
            strip_4(c + j, a, b + j, m, k, n);
        } else {
            strip_1(c + j, a, b + j, m, k, n);
        }
        done += width;
    }
}

/* ---- Which kernel ---- */

static bool blocked_pays(size_t m, size_t k, size_t n)
{
    return m >= BLOCKED_ROWS && k >= BLOCKED_DEPTH && n >= BLOCKED_COLUMNS &&
           m * k * n >= BLOCKED_WORK;
}

static bool blas_pays(size_t m, size_t k, size_t n)
{
    return m * k * n >= BLAS_WORK && blocked_pays(m, k, n) &&
           pthread_once(&blas_once, init_blas) == 0 && blas_wide;
}

static void blas(enum CBLAS_TRANSPOSE a_form, enum CBLAS_TRANSPOSE b_form, float *c,
                 const float *a, const float *b, const size_t mkn[static 3],
                 const size_t leading[static 2])
{
    cblas_sgemm(CblasRowMajor, a_form, b_form, (blasint)mkn[0], (blasint)mkn[2],
                (blasint)mkn[1], 1, a, (blasint)leading[0], b, (blasint)leading[1], 0, c,
                (blasint)mkn[2]);
}

void matrix_multiply(float *c, const float *a, const float *b, size_t m, size_t k,
                     size_t n)
{
    struct strided rows = {a, k, 1};
    if (blas_pays(m, k, n)) {
        blas(CblasNoTrans, CblasNoTrans, c, a, b, (size_t[]){m, k, n}, (size_t[]){k, n});
    } else if (blocked_pays(m, k, n)) {
        blocked_multiply(c, rows, (struct strided){b, n, 1}, m, k, n);
    } else {
        multiply_small(c, rows, b, m, k, n, lanes());
    }
}

void matrix_multiply_at(float *c, const float *a, const float *b, size_t m, size_t k,
                        size_t n)
{
    struct strided rows = {a, 1, k};
    if (blas_pays(k, m, n)) {
        blas(CblasTrans, CblasNoTrans, c, a, b, (size_t[]){k, m, n}, (size_t[]){k, n});
    } else if (blocked_pays(k, m, n)) {
        blocked_multiply(c, rows, (struct strided){b, n, 1}, k, m, n);
    } else {
        multiply_small(c, rows, b, k, m, n, lanes());
    }
}

void matrix_multiply_bt(float *c, const float *a, const float *b, size_t m, size_t n,
                        size_t k, float *scratch)
{
    struct strided rows = {a, n, 1};
    if (blas_pays(m, n, k)) {
        blas(CblasNoTrans, CblasTrans, c, a, b, (size_t[]){m, n, k}, (size_t[]){n, n});
    } else if (blocked_pays(m, n, k)) {
        blocked_multiply(c, rows, (struct strided){b, 1, n}, m, n, k);
    } else {
        matrix_transpose(scratch, b, k, n);
        multiply_small(c, rows, scratch, m, n, k, lanes());
    }
}

/* ---- Elementwise ---- */

void matrix_transpose(float *out, const float *a, size_t rows, size_t columns)
{
    for (size_t j = 0; j < columns; j++) {
        for (size_t i = 0; i < rows; i++) {
            out[j * rows + i] = a[i * columns + j];
        }
    }
}

SIMD_CLONES
void matrix_add_row(float *a, const float *restrict row, size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++) {
        float *restrict to = a + i * columns;
        for (size_t j = 0; j < columns; j++) {
            to[j] += row[j];
        }
    }
}

enum { SUM_COLUMNS = 16 };

SIMD_CLONES
void matrix_column_sums(float *sums, const float *a, size_t rows, size_t columns)
{
    for (size_t first = 0; first < columns; first += SUM_COLUMNS) {
        size_t width = columns - first < SUM_COLUMNS ? columns - first : SUM_COLUMNS;
        double total[SUM_COLUMNS] = {0};
        for (size_t i = 0; i < rows; i++) {
            const float *row = a + i * columns + first;
            for (size_t j = 0; j < width; j++) {
                total[j] += (double)row[j];
            }
        }
        for (size_t j = 0; j < width; j++) {
            sums[first + j] = (float)total[j];
        }
    }
}

void matrix_gather(float *out, const float *a, const size_t *index, size_t count,
                   size_t columns)
{
    for (size_t i = 0; i < count; i++) {
        memcpy(out + i * columns, a + index[i] * columns, columns * sizeof *out);
    }
}
