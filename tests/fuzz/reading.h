/* SPDX-License-Identifier: Apache-2.0 */
/* What the targets for readers of data share: any bytes give an error, or rows. */
#ifndef TESTS_FUZZ_READING_H
#define TESTS_FUZZ_READING_H

#include <math.h>

#include "fuzz.h"

#include "data/dataset.h"
#include "data/stream.h"

/* All values are from `low` to `high`, or missing where `missing`. */
static inline void
fuzz_read(int (*read)(struct deepsad_dataset *, struct stream *,
                      const struct deepsad_read_options *, struct deepsad_error *),
          const uint8_t *data, size_t size, const struct deepsad_read_options *options,
          float low, float high, bool missing)
{
    struct deepsad_dataset out = {0};
    struct deepsad_error error = {0};
    struct stream stream;
    stream_open_memory(&stream, "f", data, size);
    int status = read(&out, &stream, options, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (out.rows > 0 && error.message[0] == '\0'));
    for (size_t i = 0; i < out.rows * out.features; i++) {
        FUZZ_CHECK((out.x[i] >= low && out.x[i] <= high) || (missing && isnan(out.x[i])));
    }
    deepsad_dataset_clear(&out);
}

#endif
