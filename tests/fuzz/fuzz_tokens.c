/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a file of tokens: refused with its place, or a set that lets in nobody
 * whose token is not in it. Behind the first NUL is a token. */
#include "fuzz.h"

#include <string.h>

#include "access/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char good[] =
        "deepsad_3f9a1c2b4d5e_dPneetg2JnxN4iFjnAlIodXOG67eoinuLzOZQrks7Wg";
    struct tokens *tokens = NULL;
    const struct token *found = NULL;
    struct deepsad_error error = {0};
    const char *text = (const char *)data;
    const char *end = memchr(text, '\0', size);
    size_t length = end == NULL ? size : (size_t)(end - text);
    int status = tokens_parse(&tokens, text, length, "f", &error);
    FUZZ_CHECK(status == DEEPSAD_OK || strncmp(error.message, "f:", 2) == 0);
    if (status == DEEPSAD_OK) {
        size_t rest = end == NULL ? 0 : size - length - 1;
        FUZZ_CHECK(tokens_find(&found, tokens, rest == 0 ? good : end + 1,
                               rest == 0 ? sizeof good - 1 : rest, 0) != TOKENS_VALID ||
                   token_id_of(rest == 0 ? good : end + 1,
                               rest == 0 ? sizeof good - 1 : rest) != NULL);
        tokens_unref(tokens);
    }
    return 0;
}
