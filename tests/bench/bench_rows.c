/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds of CPU per value of decoding the body of a scoring request: the best of
 * several runs. Random numbers of six digits; no arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/csv_rows.h"
#include "api/json_rows.h"
#include "base/buffer.h"
#include "nn/rng.h"

enum { VALUES = 100000, PART = 16384, RUNS = 25 };

struct form {
    const char *name;
    size_t columns;
    size_t width;          /* of images; 0 = flat rows */
    const char *separator; /* between values, and between rows */
};

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static const char *no_name(const void *closure, size_t column)
{
    (void)closure;
    (void)column;
    return "x";
}

static size_t no_index(const void *closure, const char *name, size_t length)
{
    (void)closure;
    (void)name;
    (void)length;
    return SIZE_MAX;
}

static void write_body(struct buffer *out, const struct form *form)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    buffer_append_text(out, "{\"samples\":[");
    size_t rows = VALUES / form->columns;
    for (size_t i = 0; i < rows * form->columns; i++) {
        size_t line = form->width > 0 ? form->width : form->columns;
        bool first = i % form->columns == 0, last = (i + 1) % form->columns == 0;
        buffer_append_text(out, i > 0 ? form->separator : "");
        buffer_append_text(out, first && form->width > 0 ? "[" : "");
        buffer_append_text(out, i % line == 0 ? "[" : "");
        buffer_printf(out, "%.6g", (double)rng_float(&rng));
        buffer_append_text(out, (i + 1) % line == 0 ? "]" : "");
        buffer_append_text(out, last && form->width > 0 ? "]" : "");
    }
    buffer_append_text(out, "]}");
}

static bool decode(struct rows *rows, const struct form *form, const struct buffer *body)
{
    static struct json_rows json;
    struct rows_columns columns = {
        .count = form->columns, .name = no_name, .index = no_index};
    if (form->width > 0) {
        columns.channels = 1;
        columns.height = form->columns / form->width;
        columns.width = form->width;
    }
    struct rows_limits limits = {.rows = VALUES, .bytes = VALUES * sizeof(float)};
    rows_reset(rows, &columns, &limits);
    json_rows_start(&json, rows);
    for (size_t at = 0; at < body->length; at += PART) {
        size_t left = body->length - at;
        json_rows_feed(&json, body->data + at, left < PART ? left : PART);
    }
    return json_rows_finish(&json);
}

static void report(const struct form *form)
{
    struct buffer body = {0};
    struct rows rows = {.x = NULL};
    double best = 1e9;
    write_body(&body, form);
    for (int run = 0; run < RUNS; run++) {
        double start = cpu_seconds();
        if (!decode(&rows, form, &body)) {
            fprintf(stderr, "bench_rows: %s: %s\n", form->name, rows.fault.detail);
            exit(EXIT_FAILURE);
        }
        double seconds = cpu_seconds() - start;
        best = seconds < best ? seconds : best;
    }
    printf("%-28s %8.2f\n", form->name, 1e9 * best / VALUES);
    rows_done(&rows);
    buffer_done(&body);
}

int main(void)
{
    static const struct form forms[] = {
        {"json, rows of 9", 9, 0, ","},
        {"json, rows of 9, spaced", 9, 0, ", "},
        {"json, rows of 784", 784, 0, ","},
        {"json, images of 28 x 28", 784, 28, ","},
        {"json, the same, spaced", 784, 28, ", "},
    };
    printf("%-28s %8s\n", "", "ns/value");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        report(&forms[i]);
    }
    return EXIT_SUCCESS;
}
