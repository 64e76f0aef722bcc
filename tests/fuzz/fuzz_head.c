/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of requests, as lines of method, target and fields: none is let through to a
 * route whose framing two readers could take differently, and a route's parameters are
 * segments of its path. The table is the real one without its functions. */
#include "fuzz.h"

#include <string.h>
#include <strings.h>

#include "api/routes.h"
#include "http/exchange.h"

enum { FIELDS_MAX = 16, ROUTES_MAX = 64 };

/* Ended by a NUL each, as the library's are. */
struct lines {
    char *texts[FIELDS_MAX + 2];
    size_t count;
};

static void split(struct lines *lines, char *text, char *end)
{
    lines->count = 0;
    while (text < end && lines->count < FIELDS_MAX + 2) {
        char *line = memchr(text, '\n', (size_t)(end - text));
        lines->texts[lines->count++] = text;
        text = line == NULL ? end : line + 1;
        *(line == NULL ? end : line) = '\0';
    }
}

static void make_table(struct route *table)
{
    FUZZ_CHECK(route_count <= ROUTES_MAX);
    for (size_t i = 0; i < route_count; i++) {
        table[i] = (struct route){.methods = routes[i].methods,
                                  .pattern = routes[i].pattern,
                                  .flags = routes[i].flags};
    }
}

static size_t count_fields(const struct lines *lines, const char *name)
{
    size_t found = 0, length = strlen(name);
    for (size_t i = 2; i < lines->count; i++) {
        const char *line = lines->texts[i];
        found += strncasecmp(line, name, length) == 0 &&
                 (line[length] == ':' || line[length] == '\0');
    }
    return found;
}

static void check_accepted(const struct exchange *exchange, const struct lines *lines)
{
    const struct request *request = &exchange->request;
    size_t lengths = count_fields(lines, "Content-Length");
    size_t encodings = count_fields(lines, "Transfer-Encoding");
    FUZZ_CHECK(exchange->route != NULL && lengths + encodings <= 1);
    FUZZ_CHECK(count_fields(lines, "Host") == 1);
    FUZZ_CHECK(request->has_length == (lengths == 1));
    FUZZ_CHECK(request->chunked == (encodings == 1));
    FUZZ_CHECK(request->content_length <= 1000);
    FUZZ_CHECK(count_fields(lines, "Idempotency-Key") <= 1);
    for (size_t i = 0; i < REQUEST_PARAMETERS_MAX; i++) {
        struct http_text part = request->parameters[i];
        FUZZ_CHECK(part.data == NULL ||
                   (part.length > 0 && memchr(part.data, '/', part.length) == NULL));
    }
}

static void read_fields(struct head *head, struct request *request,
                        const struct lines *lines)
{
    for (size_t i = 2; i < lines->count; i++) {
        const char *line = lines->texts[i], *colon = strchr(line, ':');
        size_t name = colon == NULL ? strlen(line) : (size_t)(colon - line);
        const char *value = colon == NULL ? NULL : colon + 1;
        head_add(head, request, line, name, value, value == NULL ? 0 : strlen(value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct route table[ROUTES_MAX];
    static struct server_options options;
    static struct exchanges all;
    static struct uuid_source ids;
    if (options.router.count == 0) {
        make_table(table);
        options.router = (struct router){table, route_count, 0};
        options.limits = (struct server_limits){.body = 1000, .in_flight = 5};
        exchanges_init(&all, &options);
        uuid_source_init(&ids);
    }
    char *text = malloc(size + 1);
    struct lines lines;
    memcpy(text, data, size);
    split(&lines, text, text + size);
    struct exchange exchange = {.owner = NULL};
    struct head head = {0};
    if (lines.count >= 2) {
        exchange.request.method = http_method_parse(lines.texts[0]);
        exchange.request.path = http_target_path(lines.texts[1]);
        read_fields(&head, &exchange.request, &lines);
        exchange_start(&all, &exchange);
        exchange_head(&all, &exchange, &head, true, &ids);
        FUZZ_CHECK(exchange.refused == (exchange.reply.status >= 400));
        FUZZ_CHECK(strlen(exchange.request.id) == exchange.request.id_length);
        if (!exchange.refused) {
            check_accepted(&exchange, &lines);
        }
        exchange_end(&all, &exchange);
        exchanges_leave(&all);
    }
    reply_done(&exchange.reply);
    free(text);
    return 0;
}
