/* SPDX-License-Identifier: Apache-2.0 */
#include "access/role.h"

#include <string.h>

static const char *const names[] = {"score", "label", "operate", "admin"};
enum { ROLES = sizeof names / sizeof names[0] };

const char role_list[] = "score, label, operate, admin";

unsigned role_parse(const char *text, size_t length)
{
    for (unsigned i = 0; i < ROLES; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0) {
            return 1U << i;
        }
    }
    return 0;
}

const char *role_name(unsigned role)
{
    unsigned i = 0;
    while (i + 1 < ROLES && role != 1U << i) {
        i++;
    }
    return names[i];
}
