/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of scoring requests: the same result in pieces of any size; accepted only what
 * jansson accepts, with its values; malformed only what jansson refuses. */
#include "fuzz.h"

#include <jansson.h>
#include <math.h>

#include "columns.h"

static void compare_row(const struct rows *rows, size_t i, const json_t *row)
{
    for (size_t j = 0; j < 3; j++) {
        const json_t *cell = json_is_array(row) ? json_array_get(row, j)
                                                : json_object_get(row, test_names[j]);
        float value = rows->x[i * 3 + j];
        double want = json_is_number(cell) ? json_number_value(cell) : (double)NAN;
        FUZZ_CHECK(isnan(want) ? isnan(value)
                               : fabs((double)value - want) <= 1e-7 * fabs(want) + 1e-45);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rows whole = {.x = NULL}, parts = {.x = NULL};
    const char *text = (const char *)data;
    if (size > JSON_TOKEN_MAX) {
        return 0;
    }
    bool fine = test_decode(&whole, false, text, size, size + 1);
    FUZZ_CHECK(fine == (whole.fault.status == 0));
    FUZZ_CHECK(test_decode(&parts, false, text, size, 1 + size % 7) == fine);
    FUZZ_CHECK(parts.fault.status == whole.fault.status && parts.count == whole.count);
    FUZZ_CHECK(fine || strcmp(parts.fault.detail, whole.fault.detail) == 0);
    compare(&whole, text, size);
    rows_done(&whole);
    rows_done(&parts);
    return 0;
}
