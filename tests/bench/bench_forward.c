/* SPDX-License-Identifier: Apache-2.0 */
/* Microseconds of CPU that one call of deepsad_score() takes on made-up rows: the forward
 * pass alone, without a server. usage: bench_forward MODEL ROWS COUNT */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "deepsad.h"

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
    struct deepsad_model *model;
    struct deepsad_error error = {0};
    if (argc != 4) {
        fputs("usage: bench_forward MODEL ROWS COUNT\n", stderr);
        return 2;
    }
    if (deepsad_model_load(&model, argv[1], &error) != DEEPSAD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    size_t rows = strtoul(argv[2], NULL, 10), count = strtoul(argv[3], NULL, 10);
    size_t values = rows * deepsad_model_features(model);
    float *x = malloc(values * sizeof *x), *out = malloc(2 * rows * sizeof *out);
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    if (x == NULL || out == NULL || workspace == NULL) {
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < values; i++) {
        x[i] = (float)(i * 7919 % 1000) / 1000.0F;
    }
    deepsad_score(model, workspace, out, out + rows, x, rows, NULL);
    double start = cpu_seconds();
    for (size_t i = 0; i < count; i++) {
        deepsad_score(model, workspace, out, out + rows, x, rows, NULL);
    }
    printf("%.3f\n", (cpu_seconds() - start) / (double)count * 1e6);
    deepsad_workspace_free(workspace);
    deepsad_model_unref(model);
    free(x);
    free(out);
    return 0;
}
