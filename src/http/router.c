/* SPDX-License-Identifier: Apache-2.0 */
#include "http/router.h"

#include <stdio.h>
#include <string.h>

bool route_matches(const char *pattern, const char *path,
                   struct http_text parameters[static REQUEST_PARAMETERS_MAX])
{
    struct http_text found[REQUEST_PARAMETERS_MAX] = {{NULL, 0}};
    size_t count = 0;
    while (*pattern != '\0') {
        if (*pattern == '{') {
            size_t length = strcspn(path, "/");
            if (length == 0 || count == REQUEST_PARAMETERS_MAX) {
                return false;
            }
            found[count++] = (struct http_text){path, length};
            path += length;
            pattern += strcspn(pattern, "}") + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    if (*path != '\0') {
        return false;
    }
    memcpy(parameters, found, sizeof found);
    return true;
}

static void append_method(struct reply *reply, unsigned methods, enum http_method method)
{
    if ((methods & (unsigned)method) != 0) {
        size_t used = strlen(reply->allow);
        snprintf(reply->allow + used, sizeof reply->allow - used, "%s%s",
                 used == 0 ? "" : ", ", http_method_name(method));
    }
}

static void refuse_method(const struct request *request, struct reply *reply,
                          unsigned methods)
{
    methods |= (methods & HTTP_GET) != 0 ? (unsigned)HTTP_HEAD : 0;
    for (unsigned method = HTTP_GET; method <= HTTP_OPTIONS; method <<= 1) {
        append_method(reply, methods, (enum http_method)method);
    }
    reply_problem(request, reply, 405, "%s is not a method of %s; it has %s",
                  http_method_name(request->method), request->path, reply->allow);
}

const struct route *router_find(const struct router *router, struct request *request,
                                struct reply *reply)
{
    unsigned method = request->method == HTTP_HEAD ? HTTP_GET : (unsigned)request->method;
    unsigned methods = 0;
    for (size_t i = 0; i < router->count; i++) {
        const struct route *route = &router->routes[i];
        if ((route->flags & router->flags) != router->flags ||
            !route_matches(route->pattern, request->path, request->parameters)) {
            continue;
        }
        if ((route->methods & method) != 0) {
            return route;
        }
        methods |= route->methods;
    }
    if (methods != 0) {
        refuse_method(request, reply, methods);
    } else {
        reply_problem(request, reply, 404,
                      "there is nothing at %.200s; GET / lists the endpoints",
                      request->path);
    }
    return NULL;
}
