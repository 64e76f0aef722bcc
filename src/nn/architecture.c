/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/architecture.h"

void architecture_dense(struct architecture *out, const size_t *widths, size_t count)
{
    *out = (struct architecture){.encoder_count = count};
    for (size_t i = 0; i < count && i < ARCHITECTURE_STEPS_MAX; i++) {
        out->encoder[i] =
            (struct architecture_step){.kind = ARCHITECTURE_DENSE, .width = widths[i]};
    }
}

size_t architecture_outputs(const struct architecture *architecture)
{
    return architecture->encoder[architecture->encoder_count - 1].width;
}
