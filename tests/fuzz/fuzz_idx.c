/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes give an error, or pixels from 0 to 1. */
#include "fuzz.h"

#include "data/idx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct deepsad_read_options options = {0};
    struct deepsad_dataset out = {0};
    struct deepsad_error error = {0};
    struct stream stream;
    stream_open_memory(&stream, "f", data, size);
    int status = idx_read(&out, &stream, &options, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (out.rows > 0 && error.message[0] == '\0'));
    for (size_t i = 0; i < out.rows * out.features; i++) {
        FUZZ_CHECK(out.x[i] >= 0 && out.x[i] <= 1);
    }
    deepsad_dataset_clear(&out);
    return 0;
}
