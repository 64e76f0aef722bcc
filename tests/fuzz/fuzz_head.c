/* SPDX-License-Identifier: Apache-2.0 */
/* A request's head, "METHOD TARGET" and then a field a line, by the daemon's own routes:
 * whatever is let in is framed in one way only, and whatever is not has a problem. */
#include "fuzz.h"

#include <string.h>

#include "api/routes.h"
#include "http/head.h"
#include "http/origin.h"
#include "http/router.h"

enum { HEAD_MAX = 4096 };

/* The fields of `text`, whose lines it cuts; one is "name:value". */
static void add_fields(struct head *head, struct request *request, char *text)
{
    for (char *line = text, *next; line != NULL; line = next) {
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        char *colon = strchr(line, ':');
        if (colon != NULL) {
            *colon = '\0';
            head_add(head, request, line, (size_t)(colon - line), colon + 1,
                     strlen(colon + 1));
        }
    }
}

static void check_framing(const struct head *head, const struct request *request)
{
    FUZZ_CHECK(head->hosts == 1 && head->lengths <= 1 && head->encodings <= 1);
    FUZZ_CHECK(!(request->has_length && request->chunked));
    FUZZ_CHECK(head->authorizations <= 1 && head->content_types <= 1);
    FUZZ_CHECK(request->idempotency_key == NULL || request->idempotency_key[0] != '\0');
}

static void route(struct request *request, struct reply *reply)
{
    const struct router router = {routes, route_count, 0};
    const struct route *found = router_find(&router, request, reply);
    FUZZ_CHECK((found != NULL) == (reply->status == 0));
    for (size_t i = 0; found != NULL && i < REQUEST_PARAMETERS_MAX; i++) {
        FUZZ_CHECK(
            memchr(request->parameters[i].data == NULL ? "" : request->parameters[i].data,
                   '/', request->parameters[i].length) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[HEAD_MAX + 1];
    struct request request = {.path = ""};
    struct reply reply = {0};
    struct head head = {0};
    size = size < HEAD_MAX ? size : HEAD_MAX;
    memcpy(text, data, size);
    text[size] = '\0';
    char *fields = strchr(text, '\n');
    if (fields != NULL) {
        *fields++ = '\0';
        add_fields(&head, &request, fields);
    }
    char *target = strchr(text, ' ');
    if (target != NULL) {
        *target++ = '\0';
        request.method = http_method_parse(text);
        request.path = http_target_path(target);
    }
    if (head_check(&head, &request, true, &reply)) {
        check_framing(&head, &request);
        if (origin_check(&head, &request, &reply)) {
            route(&request, &reply);
        }
    } else {
        FUZZ_CHECK(reply.status == 400 && reply.close);
    }
    reply_done(&reply);
    return 0;
}
