/* SPDX-License-Identifier: Apache-2.0 */
#include "api/routes.h"

#include "api/app.h"
#include "api/health.h"
#include "api/metrics.h"
#include "api/models.h"
#include "api/score.h"

const struct route routes[] = {
    {
        .methods = HTTP_POST,
        .pattern = "/v1/models/{model}/score",
        .flags = ROUTE_TAKES_JSON | ROUTE_TAKES_CSV,
        .help = "score rows with the live version",
        .begin = score_begin,
        .body = score_body,
        .handle = score_handle,
        .end = score_end,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v1/models/{model}/versions/{version}/score",
        .flags = ROUTE_TAKES_JSON | ROUTE_TAKES_CSV,
        .help = "score rows with that version",
        .begin = score_begin,
        .body = score_body,
        .handle = score_handle,
        .end = score_end,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v2/health/live",
        .flags = ROUTE_OPERATIONS,
        .help = "whether the process answers",
        .handle = handle_live,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v2/health/ready",
        .flags = ROUTE_OPERATIONS,
        .help = "whether it can score",
        .handle = handle_ready,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/metrics",
        .flags = ROUTE_OPERATIONS,
        .help = "counters for Prometheus",
        .handle = handle_metrics,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models",
        .help = "all models and their states",
        .handle = handle_models,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models/{model}",
        .help = "one model with its card",
        .handle = handle_model,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models/{model}/versions",
        .help = "its versions",
        .handle = handle_versions,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models/{model}/versions/{version}",
        .help = "one version with its card",
        .handle = handle_version,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/",
        .help = "this list",
        .handle = handle_index,
    },
};

const size_t route_count = sizeof routes / sizeof routes[0];

void handle_index(void *app, struct request *request, struct reply *reply)
{
    (void)app;
    json_t *list = json_array();
    for (size_t i = 0; i < route_count; i++) {
        const char *method = http_method_name((enum http_method)routes[i].methods);
        json_array_append_new(list, json_pack("{ss ss ss}", "method", method, "path",
                                              routes[i].pattern, "what", routes[i].help));
    }
    reply_json(request, reply, 200,
               json_pack("{ss ss so}", "name", "deepsadd", "version", DEEPSAD_VERSION,
                         "endpoints", list));
}
