/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum http_method method;
} methods[] = {
    {"POST", HTTP_POST},       {"GET", HTTP_GET},     {"HEAD", HTTP_HEAD},
    {"PUT", HTTP_PUT},         {"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE},
    {"OPTIONS", HTTP_OPTIONS},
};

enum http_method http_method_parse(const char *text)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(text, methods[i].name) == 0) {
            return methods[i].method;
        }
    }
    return HTTP_OTHER;
}

const char *http_method_name(enum http_method method)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (method == methods[i].method) {
            return methods[i].name;
        }
    }
    return "OTHER";
}

static bool equals(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

static void trim(const char **text, size_t *length)
{
    while (*length > 0 && isspace((unsigned char)**text)) {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && isspace((unsigned char)(*text)[*length - 1])) {
        (*length)--;
    }
}

/* Only UTF-8 and its subset are read; parameters other than charset do not matter. */
static bool charset_fits(const char *text, size_t length)
{
    while (length > 0) {
        const char *end = memchr(text, ';', length);
        size_t size = end == NULL ? length : (size_t)(end - text);
        const char *part = text;
        size_t left = size;
        trim(&part, &left);
        if (left >= 8 && strncasecmp(part, "charset=", 8) == 0) {
            part += 8;
            left -= 8;
            if (left >= 2 && part[0] == '"' && part[left - 1] == '"') {
                part++;
                left -= 2;
            }
            if (!equals(part, left, "utf-8") && !equals(part, left, "us-ascii")) {
                return false;
            }
        }
        text += end == NULL ? size : size + 1;
        length -= end == NULL ? size : size + 1;
    }
    return true;
}

const char *http_target_path(const char *target)
{
    size_t scheme = strncasecmp(target, "http://", 7) == 0    ? 7
                    : strncasecmp(target, "https://", 8) == 0 ? 8
                                                              : 0;
    if (scheme == 0) {
        return target;
    }
    const char *path = strchr(target + scheme, '/');
    return path == NULL ? "/" : path;
}

enum body_type http_body_type_parse(const char *text, size_t length)
{
    if (equals(text, length, "application/json")) {
        return BODY_JSON;
    }
    const char *end = memchr(text, ';', length);
    size_t size = end == NULL ? length : (size_t)(end - text);
    if (end != NULL && !charset_fits(end + 1, length - size - 1)) {
        return BODY_OTHER;
    }
    trim(&text, &size);
    if (equals(text, size, "application/json")) {
        return BODY_JSON;
    }
    return equals(text, size, "text/csv")            ? BODY_CSV
           : equals(text, size, "application/x-npy") ? BODY_NPY
                                                     : BODY_OTHER;
}
