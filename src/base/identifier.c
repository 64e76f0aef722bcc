/* SPDX-License-Identifier: Apache-2.0 */
#include "base/identifier.h"

#include <ctype.h>

bool identifier_valid(const char *text, size_t length, size_t max)
{
    if (length == 0 || length > max) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80 || (!isalnum(c) && c != '.' && c != '_' && c != ':' && c != '-')) {
            return false;
        }
    }
    return true;
}
