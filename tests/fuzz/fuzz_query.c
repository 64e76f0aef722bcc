/* SPDX-License-Identifier: Apache-2.0 */
/* Queries, one argument a line: what is read is UTF-8 under known names; cursors are read
 * only where they would be written the same. */
#include "fuzz.h"

#include <string.h>

#include "api/cursor.h"
#include "base/utf8.h"
#include "http/query.h"

static const char *const names[] = {"limit", "analyst", "cursor", NULL};

static void split(struct request *request, const char *text, const char *end)
{
    while (text < end) {
        const char *line = memchr(text, '\n', (size_t)(end - text));
        line = line == NULL ? end : line;
        const char *sign = memchr(text, '=', (size_t)(line - text));
        size_t i = request->argument_count;
        if (i == REQUEST_ARGUMENTS_MAX) {
            request->arguments_excess = true;
            return;
        }
        request->arguments[i].name =
            (struct http_text){text, (size_t)((sign == NULL ? line : sign) - text)};
        request->arguments[i].value =
            sign == NULL ? (struct http_text){"", 0}
                         : (struct http_text){sign + 1, (size_t)(line - sign - 1)};
        request->argument_count++;
        text = line + 1;
    }
}

static void check_values(const struct query *query)
{
    const char *cursor = query_text(query, "cursor");
    char key[CURSOR_KEY_MAX + 1], again[CURSOR_SIZE];
    for (size_t i = 0; i < query->count; i++) {
        const char *value = query->arguments[i].value;
        for (size_t at = 0, left = strlen(value); left > 0;) {
            size_t length = utf8_length(value + at, left);
            FUZZ_CHECK(length > 0);
            at += length;
            left -= length;
        }
    }
    if (cursor != NULL && cursor_read(key, "labels of m", cursor)) {
        cursor_write(again, "labels of m", key);
        FUZZ_CHECK(strcmp(again, cursor) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request request = {.path = "/"};
    struct reply reply = {0};
    struct query query;
    size_t limit = 5;
    split(&request, (const char *)data, (const char *)data + size);
    if (query_read(&query, &request, names, &reply)) {
        bool fine = query_count(&limit, &query, "limit", 20, &request, &reply);
        FUZZ_CHECK(fine == (reply.status == 0) && limit >= 1 && limit <= 20);
        check_values(&query);
        query_done(&query);
    }
    FUZZ_CHECK(reply.status == 0 || reply.status == 400 || reply.status == 422);
    reply_done(&reply);
    return 0;
}
