/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes give an error, or pixels from 0 to 1. */
#include "reading.h"

#include "data/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct deepsad_read_options options = {0};
    fuzz_read(idx_read, data, size, &options, 0, 1, false);
    return 0;
}
