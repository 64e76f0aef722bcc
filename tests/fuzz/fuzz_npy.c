/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes give an error, or rows without infinities. */
#include <float.h>

#include "reading.h"

#include "data/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct deepsad_read_options options = {0};
    fuzz_read(npy_read, data, size, &options, -FLT_MAX, FLT_MAX, true);
    return 0;
}
