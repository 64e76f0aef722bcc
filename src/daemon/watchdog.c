/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/watchdog.h"

#include <math.h>
#include <stdlib.h>

#include "base/log.h"

struct watchdog {
    struct deepsad_workspace *workspace;
    double stuck_after;
    bool failing; /* at the last check */
};

struct watchdog *watchdog_new(double stuck_after)
{
    struct watchdog *watchdog = calloc(1, sizeof *watchdog);
    if (watchdog != NULL && (watchdog->workspace = deepsad_workspace_new()) == NULL) {
        free(watchdog);
        return NULL;
    }
    if (watchdog != NULL) {
        watchdog->stuck_after = stuck_after;
    }
    return watchdog;
}

void watchdog_free(struct watchdog *watchdog)
{
    if (watchdog != NULL) {
        deepsad_workspace_free(watchdog->workspace);
        free(watchdog);
    }
}

/* A row of zeros. */
static bool score_row(struct watchdog *watchdog, const struct deepsad_model *model)
{
    size_t features = deepsad_model_features(model);
    float score = NAN, p_value = NAN;
    float *x = calloc(features, sizeof *x);
    bool scored = x != NULL && deepsad_score(model, watchdog->workspace, &score, &p_value,
                                             x, 1, NULL) == DEEPSAD_OK;
    free(x);
    return scored && isfinite(score);
}

/* With the first model that is live; where none is, there is nothing to be scored. */
static bool can_score(struct watchdog *watchdog, struct app *app)
{
    const struct catalog *catalog = registry_acquire(app->registry);
    const struct catalog_version *live = NULL;
    for (size_t i = 0; i < catalog->count && live == NULL; i++) {
        live = catalog_version(&catalog->entries[i], 0);
    }
    bool good = live == NULL || score_row(watchdog, live->model);
    registry_release(app->registry, catalog);
    return good;
}

bool watchdog_check(struct watchdog *watchdog, struct app *app)
{
    const char *reason = can_score(watchdog, app) ? NULL : "a row could not be scored";
    for (size_t i = 0; i < APP_SERVERS; i++) {
        struct server *server = atomic_load(&app->servers[i]);
        if (server != NULL && server_stuck(server, watchdog->stuck_after)) {
            reason = "a thread that serves requests is stuck in one";
        }
    }
    if (reason != NULL && !watchdog->failing) {
        log_event(LOG_LEVEL_ERROR, "the watchdog is not told that all is well",
                  LOG_TEXT("reason", reason));
    }
    watchdog->failing = reason != NULL;
    return reason == NULL;
}
