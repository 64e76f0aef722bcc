/* SPDX-License-Identifier: Apache-2.0 */
/* CSV bodies: the same rows or the same fault in pieces of any size. */
#include "fuzz.h"

#include "columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rows whole = {.x = NULL}, parts = {.x = NULL};
    const char *text = (const char *)data;
    bool fine = test_decode(&whole, true, text, size, size + 1);
    FUZZ_CHECK(fine == (whole.fault.status == 0));
    FUZZ_CHECK(test_decode(&parts, true, text, size, 1 + size % 7) == fine);
    FUZZ_CHECK(parts.fault.status == whole.fault.status && parts.count == whole.count);
    FUZZ_CHECK(fine || strcmp(parts.fault.detail, whole.fault.detail) == 0);
    for (size_t i = 0; i < 3 * whole.count; i++) {
        FUZZ_CHECK(memcmp(&whole.x[i], &parts.x[i], sizeof(float)) == 0);
    }
    rows_done(&whole);
    rows_done(&parts);
    return 0;
}
