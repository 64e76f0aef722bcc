/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes give an error with a place and a message, or rows without infinities. */
#include "fuzz.h"

#include <math.h>

#include "data/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *const ignore[] = {"id", NULL};
    const struct deepsad_read_options options = {.label_map = "0=normal,1=anomalous",
                                                 .ignore = size % 2 == 0 ? NULL : ignore};
    struct deepsad_dataset out = {0};
    struct deepsad_error error = {0};
    struct stream stream;
    stream_open_memory(&stream, "f", data, size);
    int status = csv_read(&out, &stream, size % 3 == 0 ? NULL : &options, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (out.rows > 0 && error.message[0] == '\0'));
    for (size_t i = 0; i < out.rows * out.features; i++) {
        FUZZ_CHECK(!isinf(out.x[i]));
    }
    deepsad_dataset_clear(&out);
    return 0;
}
