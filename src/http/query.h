/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of a request's query (?limit=20&analyst=kim). An endpoint says which it
 * takes; whatever else comes is refused, so that a slip of the pen is not ignored:
 *
 *     400  percent-encoding that is none, a NUL, text that is not UTF-8
 *     422  an unknown parameter (those there are are named), one given twice, a value
 *          that is none
 */
#ifndef HTTP_QUERY_H
#define HTTP_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "http/reply.h"
#include "http/request.h"

/* Decoded. Plain value. */
struct query {
    size_t count;
    struct {
        const char *name, *value; /* in `text`; a parameter without "=" is "" */
    } arguments[REQUEST_ARGUMENTS_MAX];
    char *text;
};

/* `names`: what the endpoint takes, NULL-terminated. False: the reply is the problem, and
 * there is nothing to be freed. */
bool query_read(struct query *out, const struct request *request,
                const char *const *names, struct reply *reply);
void query_done(struct query *query);

/* The value; NULL where the parameter was not given. */
const char *query_text(const struct query *query, const char *name);

/* A whole number from 1 to `max`; *out is left alone where there is none. False: the
 * reply is the problem. */
bool query_count(size_t *out, const struct query *query, const char *name, size_t max,
                 const struct request *request, struct reply *reply);

/* One of `choices` (NULL-terminated): its index; *out is left alone where there is none.
 * False: the reply is the problem. */
bool query_choice(size_t *out, const struct query *query, const char *name,
                  const char *const *choices, const struct request *request,
                  struct reply *reply);

/* For endpoints that take no parameter. */
bool query_none(const struct request *request, struct reply *reply);

#endif
