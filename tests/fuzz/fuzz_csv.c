/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes give an error with a place and a message, or rows without infinities. */
#include <float.h>

#include "reading.h"

#include "data/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *const ignore[] = {"id", NULL};
    const struct deepsad_read_options options = {.label_map = "0=normal,1=anomalous",
                                                 .ignore = size % 2 == 0 ? NULL : ignore};
    fuzz_read(csv_read, data, size, size % 3 == 0 ? NULL : &options, -FLT_MAX, FLT_MAX,
              true);
    return 0;
}
