/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of scoring requests, of rows and of images: the same result in pieces of any
 * size; accepted only what jansson accepts, with its values; malformed only what jansson
 * refuses. */
#include "fuzz.h"

#include <jansson.h>
#include <math.h>

#include "columns.h"

static void compare_cell(float value, const json_t *cell)
{
    double want = json_is_number(cell) ? json_number_value(cell) : (double)NAN;
    FUZZ_CHECK(isnan(want) ? isnan(value)
                           : fabs((double)value - want) <= 1e-7 * fabs(want) + 1e-45);
}

/* The values of arrays in arrays, in order; all on one level. Returns how many. */
static size_t compare_array(const float *values, const json_t *array)
{
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *element = json_array_get(array, i);
        FUZZ_CHECK(json_is_array(element) == json_is_array(json_array_get(array, 0)));
        FUZZ_CHECK(json_array_size(element) == json_array_size(json_array_get(array, 0)));
        if (json_is_array(element)) {
            used += compare_array(values + used, element);
        } else {
            compare_cell(values[used++], element);
        }
    }
    return used;
}

static void compare_row(const struct rows *rows, size_t i, const json_t *row)
{
    size_t count = rows->columns.count;
    const float *values = rows->x + i * count;
    if (json_is_array(row)) {
        FUZZ_CHECK(compare_array(values, row) == count);
        return;
    }
    for (size_t j = 0; j < count; j++) {
        compare_cell(values[j], json_object_get(row, test_names[j]));
    }
}

static void compare(const struct rows *rows, const char *text, size_t size)
{
    if (memchr(text, '\0', size) != NULL) { /* jansson takes a number that one follows */
        FUZZ_CHECK(rows->fault.status != 0);
        return;
    }
    json_t *root = json_loadb(text, size, JSON_DECODE_INT_AS_REAL, NULL);
    bool malformed = rows->fault.status == 400;
    FUZZ_CHECK(malformed ? root == NULL : rows->fault.status != 0 || root != NULL);
    const json_t *samples = json_object_get(root, "samples");
    for (size_t i = 0; rows->fault.status == 0 && i < rows->count; i++) {
        FUZZ_CHECK(json_array_size(samples) == rows->count);
        compare_row(rows, i, json_array_get(samples, i));
    }
    json_decref(root);
}

static void decode(const struct rows_columns *columns, const char *text, size_t size)
{
    struct rows whole = {.x = NULL}, parts = {.x = NULL};
    bool fine = test_decode_as(&whole, columns, false, text, size, size + 1);
    FUZZ_CHECK(fine == (whole.fault.status == 0));
    FUZZ_CHECK(test_decode_as(&parts, columns, false, text, size, 1 + size % 7) == fine);
    FUZZ_CHECK(parts.fault.status == whole.fault.status && parts.count == whole.count);
    FUZZ_CHECK(fine || strcmp(parts.fault.detail, whole.fault.detail) == 0);
    FUZZ_CHECK(fine || strcmp(parts.fault.pointer, whole.fault.pointer) == 0);
    compare(&whole, text, size);
    rows_done(&whole);
    rows_done(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= JSON_TOKEN_MAX) {
        decode(test_forms[size % 3], (const char *)data, size);
    }
    return 0;
}
