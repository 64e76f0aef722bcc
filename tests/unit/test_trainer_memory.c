/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training allocates when it starts, not per step: the allocator of this program counts
 * its calls. Sanitizers bring allocators of their own: nothing to count there.
 */
#include "../testing.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "nn/architecture_parse.h"
#include "nn/matrix.h"
#include "nn/trainer.h"

static atomic_size_t allocations;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if !defined(SANITIZED) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
enum { COUNTS = true };

/* glibc's own, under their other names */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    allocations++;
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    allocations++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    allocations++;
    *out = __libc_memalign(alignment, size);
    return *out == NULL;
}
#else
enum { COUNTS = false };
#endif

enum { BATCH = 40, STEPS = 4 };

struct fixture {
    struct network *network;
    struct trainer *trainer;
    float *x; /* (BATCH, inputs) */
    float *center;
    signed char labels[BATCH];
};

struct training {
    const char *network;
    struct image_shape input;
    bool autoencoder;
    size_t threads;
};

static void init_fixture(struct fixture *f, const struct training *training)
{
    *f = (struct fixture){.labels = {0, 1, -1}};
    struct architecture form;
    struct rng rng;
    rng_init(&rng, 1, 0);
    assert_int_equal(architecture_parse(&form, training->network, NULL), DEEPSAD_OK);
    struct network_shape shape = {training->input, &form, false, true};
    int status = training->autoencoder
                     ? network_new_autoencoder(&f->network, &shape, true, &rng, NULL)
                     : network_new_encoder(&f->network, &shape, &rng, NULL);
    assert_int_equal(status, DEEPSAD_OK);
    struct trainer_options options = {
        .batch = BATCH, .eta = 1, .weight_decay = 1e-4F, .threads = training->threads};
    assert_int_equal(trainer_new(&f->trainer, f->network, &options, BATCH, NULL), 0);
    size_t inputs = f->network->inputs;
    assert_int_equal(matrix_new(&f->x, BATCH, inputs, "rows", NULL), DEEPSAD_OK);
    assert_int_equal(matrix_new(&f->center, 1, f->network->outputs, "", NULL), 0);
    for (size_t i = 0; i < BATCH * inputs; i++) {
        f->x[i] = rng_float(&rng);
    }
}

static void done_fixture(struct fixture *f)
{
    trainer_free(f->trainer);
    network_free(f->network);
    free(f->x);
    free(f->center);
}

static double step(struct fixture *f, bool autoencoder, size_t rows)
{
    return autoencoder
               ? trainer_step_autoencoder(f->trainer, f->x, rows, 1e-3)
               : trainer_step_deepsad(f->trainer, f->center, f->x, f->labels, rows, 1e-3);
}

/* Of steps after the first one, which OpenBLAS may use to get ready. */
static size_t allocations_of_steps(const struct training *training)
{
    struct fixture f;
    init_fixture(&f, training);
    assert_true(isfinite(step(&f, training->autoencoder, BATCH)));
    size_t before = allocations;
    for (size_t i = 0; i < STEPS; i++) {
        assert_true(isfinite(step(&f, training->autoencoder, BATCH - i)));
    }
    size_t count = allocations - before;
    done_fixture(&f);
    return count;
}

static void no_step_of_training_images_allocates(void **state)
{
    (void)state;
    if (!COUNTS) {
        skip();
    }
    static const struct image_shape gray = {1, 28, 28}, color = {3, 32, 32};
    const struct training trainings[] = {
        {"fashion-mnist-lenet", gray, false, 1}, {"fashion-mnist-lenet", gray, true, 1},
        {"fashion-mnist-lenet", gray, false, 2}, {"fashion-mnist-lenet", gray, true, 2},
        {"cifar-10-lenet", color, false, 2},     {"cifar-10-lenet", color, true, 2},
        {"conv3x3:5,pool,rep:4", color, true, 2}};
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        assert_int_equal(allocations_of_steps(&trainings[i]), 0);
    }
}

static void no_step_of_training_rows_allocates(void **state)
{
    (void)state;
    if (!COUNTS) {
        skip();
    }
    static const struct image_shape row = {30, 1, 1};
    const struct training trainings[] = {{"dense:32,dense:16,rep:8", row, false, 1},
                                         {"dense:32,dense:16,rep:8", row, true, 1}};
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        assert_int_equal(allocations_of_steps(&trainings[i]), 0);
    }
}

/* What the tests above rely on. */
static void allocations_are_counted(void **state)
{
    (void)state;
    size_t before = allocations;
    float *floats = NULL;
    assert_int_equal(matrix_new(&floats, 3, 5, "", NULL), DEEPSAD_OK);
    assert_true(!COUNTS || allocations > before);
    before = allocations;
    struct fixture f;
    init_fixture(&f, &(struct training){"mnist-lenet", {1, 28, 28}, false, 2});
    assert_true(!COUNTS || allocations > before + 10);
    done_fixture(&f);
    free(floats);
}

int main(void)
{
    assert_int_equal(matrix_blas_init(NULL), DEEPSAD_OK);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_step_of_training_images_allocates),
        cmocka_unit_test(no_step_of_training_rows_allocates),
        cmocka_unit_test(allocations_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
