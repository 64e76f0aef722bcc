/* SPDX-License-Identifier: Apache-2.0 */
#include "model/digest.h"

#include <stdint.h>
#include <stdio.h>

void digest_init(struct digest *digest)
{
    sha256_init(&digest->context);
}

void digest_add(struct digest *digest, const void *bytes, size_t size)
{
    if (size > 0) {
        sha256_update(&digest->context, size, bytes);
    }
}

void digest_finish(struct digest *digest, char text[static DIGEST_TEXT_SIZE])
{
    uint8_t bytes[SHA256_DIGEST_SIZE];
    sha256_digest(&digest->context, sizeof bytes, bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    }
}
