/* SPDX-License-Identifier: Apache-2.0 */
#include "api/app.h"

#include <stdlib.h>

#include "api/audit.h"
#include "api/infer.h"
#include "api/score.h"
#include "base/log.h"

void *app_worker_new(void *app)
{
    struct worker *worker = calloc(1, sizeof *worker);
    (void)app;
    if (worker == NULL) {
        return NULL;
    }
    worker->workspace = deepsad_workspace_new();
    if (worker->workspace == NULL) {
        free(worker);
        return NULL;
    }
    uuid_source_init(&worker->ids);
    return worker;
}

void app_worker_free(void *app, void *closure)
{
    struct worker *worker = closure;
    (void)app;
    if (worker != NULL) {
        score_free_idle(worker);
        infer_free_idle(worker);
        deepsad_workspace_free(worker->workspace);
        free(worker);
    }
}

/* A request that failed by our fault is a warning; one that is refused because of load
 * or shutdown, and a client's mistakes, are only of interest with the others. */
static void log_access(const struct app *app, const struct server_event *event)
{
    enum log_level level = LOG_LEVEL_DEBUG;
    if (event->status == 500) {
        level = LOG_LEVEL_ERROR;
    } else if (atomic_load_explicit(&app->log_access, memory_order_relaxed)) {
        level = LOG_LEVEL_INFO;
    }
    if (!log_enabled(level)) {
        return;
    }
    const struct request *request = event->request;
    log_event(level, "request", LOG_TEXT("request_id", request->id),
              LOG_TEXT("method", http_method_name(request->method)),
              LOG_TEXT("path", request->path), LOG_INTEGER("status", event->status),
              LOG_NUMBER("seconds", event->seconds),
              LOG_INTEGER("received", event->received), LOG_INTEGER("sent", event->sent));
}

void app_observe(void *closure, const struct server_event *event)
{
    struct app *app = closure;
    metrics_count_request(app->metrics, event);
    if (event->request->refusal != NULL &&
        (event->status == 401 || event->status == 403)) {
        audit_refusal(app->audit, event->request, event->status);
    }
    log_access(app, event);
}
