/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of several pieces, as hexadecimal text. */
#ifndef MODEL_DIGEST_H
#define MODEL_DIGEST_H

#include <nettle/sha2.h>
#include <stddef.h>

enum { DIGEST_TEXT_SIZE = 2 * SHA256_DIGEST_SIZE + 1 };

struct digest {
    struct sha256_ctx context;
};

void digest_init(struct digest *digest);
void digest_add(struct digest *digest, const void *bytes, size_t size);
void digest_finish(struct digest *digest, char text[static DIGEST_TEXT_SIZE]);

#endif
