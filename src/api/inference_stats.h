/* SPDX-License-Identifier: Apache-2.0 */
/* What one scoring request was, and where its time went. */
#ifndef API_INFERENCE_STATS_H
#define API_INFERENCE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inference_sample {
    size_t rows;
    uint64_t queue_ns, input_ns, infer_ns, output_ns, total_ns;
    bool success;
};

#endif
