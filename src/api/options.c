/* SPDX-License-Identifier: Apache-2.0 */
#include "api/options.h"

#include <stdio.h>
#include <string.h>

#include "api/body.h"

static bool check_member(const struct app *app, const struct option_member *member,
                         const json_t *value, const struct request *request,
                         struct reply *reply)
{
    char pointer[64], detail[128];
    size_t max = atomic_load(&app->max_label_text);
    size_t length = json_string_length(value);
    bool fine = member->type == OPTION_BOOL
                    ? json_is_boolean(value)
                    : json_is_string(value) && length > 0 && length <= max;
    if (!fine) {
        snprintf(pointer, sizeof pointer, "#/%s", member->name);
        if (member->type == OPTION_BOOL) {
            snprintf(detail, sizeof detail, "%s: expected true or false", member->name);
        } else {
            snprintf(detail, sizeof detail, "%s: expected a text of 1 to %zu bytes",
                     member->name, max);
        }
        reply_problem_at(request, reply, 422, detail, pointer);
    }
    return fine;
}

static void refuse_unknown(const struct option_member *members, const char *name,
                           const struct request *request, struct reply *reply)
{
    char detail[256];
    int used = snprintf(detail, sizeof detail,
                        "\"%.60s\" is not a member of the body; there are", name);
    for (size_t i = 0; members[i].name != NULL && used < (int)sizeof detail; i++) {
        used += snprintf(detail + used, sizeof detail - (size_t)used, "%s %s",
                         i == 0 ? "" : ",", members[i].name);
    }
    reply_problem_at(request, reply, 422, detail, "#");
}

static bool check(const struct app *app, const struct option_member *members,
                  json_t *options, const struct request *request, struct reply *reply)
{
    const char *name;
    json_t *value;
    if (!json_is_object(options)) {
        reply_problem_at(request, reply, 422, "expected an object", "#");
        return false;
    }
    json_object_foreach(options, name, value)
    {
        const struct option_member *member = members;
        while (member->name != NULL && strcmp(member->name, name) != 0) {
            member++;
        }
        if (member->name == NULL) {
            refuse_unknown(members, name, request, reply);
            return false;
        }
        if (!check_member(app, member, value, request, reply)) {
            return false;
        }
    }
    return true;
}

bool options_read(json_t **out, const struct app *app,
                  const struct option_member *members, const struct request *request,
                  struct reply *reply)
{
    json_t *options = body_is_empty(request) ? json_object() : body_parse(request, reply);
    if (options == NULL) {
        if (reply->status == 0) {
            reply_problem(request, reply, 500, "out of memory for the request");
        }
        return false;
    }
    if (!check(app, members, options, request, reply)) {
        json_decref(options);
        return false;
    }
    *out = options;
    return true;
}
