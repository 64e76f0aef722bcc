/* SPDX-License-Identifier: Apache-2.0 */
/* NPY bodies: rows without infinities within all limits, or a fault that says what is
 * wrong; the same in pieces of any size. */
#include "fuzz.h"

#include <math.h>

#include "columns.h"

static void decode(const struct rows_columns *columns, const uint8_t *data, size_t size)
{
    struct rows whole = {.x = NULL}, parts = {.x = NULL};
    const char *bytes = (const char *)data;
    bool fine = test_decode_npy(&whole, columns, bytes, size, size + 1);
    FUZZ_CHECK(fine == (whole.fault.status == 0));
    FUZZ_CHECK(test_decode_npy(&parts, columns, bytes, size, 1 + size % 7) == fine);
    FUZZ_CHECK(parts.fault.status == whole.fault.status && parts.count == whole.count);
    FUZZ_CHECK(fine || strcmp(parts.fault.detail, whole.fault.detail) == 0);
    FUZZ_CHECK(whole.count <= TEST_ROWS_MAX && (!fine || whole.count > 0));
    for (size_t i = 0; i < columns->count * whole.count; i++) {
        FUZZ_CHECK(!isinf(whole.x[i]));
    }
    rows_done(&whole);
    rows_done(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(&test_columns, data, size);
    decode(&test_image, data, size);
    decode(&test_channels, data, size);
    return 0;
}
