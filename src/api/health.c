/* SPDX-License-Identifier: Apache-2.0 */
#include "api/health.h"

#include "api/app.h"
#include "api/learning_view.h"

void handle_live(void *app, struct request *request, struct reply *reply)
{
    (void)app;
    reply_json(request, reply, 200, json_pack("{sb}", "live", 1));
}

static size_t count_live(struct app *app)
{
    const struct catalog *catalog = registry_acquire(app->registry);
    size_t live = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        live += catalog->entries[i].version_count > 0;
    }
    registry_release(app->registry, catalog);
    return live;
}

void handle_ready(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    if (atomic_load(&app->draining)) {
        reply_problem(request, reply, 503, "not ready: the server is shutting down");
        reply->retry_after = 5;
    } else if (count_live(app) == 0) {
        reply_problem(request, reply, 503,
                      "not ready: there is no model that can score; see GET /v1/models");
        reply->retry_after = 5;
    } else {
        json_t *ready = json_pack("{sb}", "ready", 1);
        if (ready != NULL && app->store != NULL) {
            json_object_set_new(ready, "store", store_view(app));
        }
        reply_json(request, reply, 200, ready);
    }
}
