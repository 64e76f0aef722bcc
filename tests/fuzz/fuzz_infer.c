/* SPDX-License-Identifier: Apache-2.0 */
/* Inference requests, behind two bytes that say how long their JSON is: the same result
 * in pieces of any size; accepted only what jansson accepts, with its values. */
#include "fuzz.h"

#include <jansson.h>
#include <math.h>

#include "infer.h"

/* The values of arrays in arrays, in order. Returns how many. */
static size_t compare_array(const float *values, const json_t *array)
{
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *element = json_array_get(array, i);
        if (json_is_array(element)) {
            used += compare_array(values + used, element);
            continue;
        }
        float value = values[used++];
        double want = json_is_boolean(element)  ? json_is_true(element)
                      : json_is_number(element) ? json_number_value(element)
                                                : (double)NAN;
        FUZZ_CHECK(isnan(want) ? isnan(value)
                               : fabs((double)value - want) <= 1e-7 * fabs(want) + 1e-45);
    }
    return used;
}

static void compare(const struct test_infer *infer, const char *text, size_t size)
{
    const struct rows *rows = &infer->scoring.rows;
    json_t *root = json_loadb(text, size, JSON_DECODE_INT_AS_REAL, NULL);
    FUZZ_CHECK(root != NULL);
    const json_t *input = json_array_get(json_object_get(root, "inputs"), 0);
    FUZZ_CHECK(json_is_object(input));
    size_t values = compare_array(rows->x, json_object_get(input, "data"));
    FUZZ_CHECK(values == rows->count * rows->columns.count || values == 0);
    json_decref(root);
}

static void decode(const struct rows_columns *columns, size_t header, const char *text,
                   size_t size)
{
    static struct test_infer whole, parts;
    bool fine = test_infer_decode(&whole, columns, header, text, size, size + 1);
    bool same = test_infer_decode(&parts, columns, header, text, size, 1 + size % 7);
    const struct rows_fault *a = &whole.scoring.rows.fault,
                            *b = &parts.scoring.rows.fault;
    FUZZ_CHECK(fine == same && a->status == b->status);
    FUZZ_CHECK(whole.scoring.rows.count == parts.scoring.rows.count || !fine);
    FUZZ_CHECK(fine || (a->status != 0 && strcmp(a->detail, b->detail) == 0));
    if (fine && header > 0) {
        FUZZ_CHECK(memchr(text, '\0', header < size ? header : size) == NULL);
        compare(&whole, text, header < size ? header : size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 2 && size <= JSON_TOKEN_MAX) {
        size_t header = data[0] | (size_t)data[1] << 8;
        const char *text = (const char *)data + 2;
        decode(test_forms[size % 2], header, text, size - 2);
    }
    return 0;
}
