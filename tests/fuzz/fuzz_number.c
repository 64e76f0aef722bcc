/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is read as a number is strtof's, and is written so that it reads back. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "base/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    float value, again;
    const char *strict = number_parse_float(&value, text, text + size);
    const char *behind = number_parse_decimal(&again, text, text + size);
    if (behind == NULL) {
        FUZZ_CHECK(strict == NULL);
        return 0;
    }
    FUZZ_CHECK(strict == NULL || (strict == behind && !(value < again || value > again)));
    char *copy = strndup(text, (size_t)(behind - text));
    float expected = copy != NULL ? strtof(copy, NULL) : again;
    FUZZ_CHECK(memcmp(&again, &expected, sizeof again) == 0);
    free(copy);
    char out[NUMBER_FLOAT_MAX];
    size_t length = isfinite(again) ? number_format_float(out, again) : 0;
    FUZZ_CHECK(length == 0 ||
               number_parse_float(&value, out, out + length) == out + length);
    FUZZ_CHECK(length == 0 || !(value < again || value > again));
    return 0;
}
