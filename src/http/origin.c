/* SPDX-License-Identifier: Apache-2.0 */
#include "http/origin.h"

#include <string.h>
#include <strings.h>

static bool is(struct http_text text, const char *word)
{
    return text.length == strlen(word) && memcmp(text.data, word, text.length) == 0;
}

/* "https://host:port" and Host. */
static bool same_host(struct http_text origin, struct http_text host)
{
    const char *slashes = memmem(origin.data, origin.length, "://", 3);
    if (slashes == NULL) {
        return false; /* "null" */
    }
    size_t skipped = (size_t)(slashes - origin.data) + 3;
    return origin.length - skipped == host.length &&
           strncasecmp(origin.data + skipped, host.data, host.length) == 0;
}

bool origin_check(const struct head *head, const struct request *request,
                  struct reply *reply)
{
    bool reads = request->method == HTTP_GET || request->method == HTTP_HEAD;
    bool own = head->fetch_site.data != NULL
                   ? is(head->fetch_site, "same-origin") || is(head->fetch_site, "none")
                   : head->origin.data == NULL || same_host(head->origin, head->host);
    if (reads || own) {
        return true;
    }
    reply_problem(
        request, reply, 403,
        "the request comes from a page of another site (Sec-Fetch-Site, Origin)");
    return false;
}
