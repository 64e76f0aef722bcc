/* SPDX-License-Identifier: Apache-2.0 */
/* A program that was given the OpenMP variant of OpenBLAS: this definition takes the
 * place of the library's own answer. */
#include "../testing.h"

#include <stdlib.h>

#include "nn/matrix.h"

int openblas_get_parallel(void);

int openblas_get_parallel(void)
{
    return 2; /* OPENBLAS_OPENMP */
}

static void the_openmp_variant_is_refused_unless_it_is_pinned(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    assert_int_equal(unsetenv("OMP_NUM_THREADS"), 0);
    assert_int_equal(matrix_blas_init(&error), DEEPSAD_UNSUPPORTED);
    assert_error_says(error, "libopenblas0-pthread");
    assert_error_says(error, "OMP_NUM_THREADS=1");
    assert_int_equal(matrix_blas_init(NULL), DEEPSAD_UNSUPPORTED);
    assert_non_null(strstr(matrix_blas_description(), "openmp"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_openmp_variant_is_refused_unless_it_is_pinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
