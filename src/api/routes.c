/* SPDX-License-Identifier: Apache-2.0 */
#include "api/routes.h"

#include "api/app.h"
#include "api/body.h"
#include "api/health.h"
#include "api/infer.h"
#include "api/infer_metadata.h"
#include "api/inference_stats.h"
#include "api/jobs.h"
#include "api/labels.h"
#include "api/metrics.h"
#include "api/models.h"
#include "api/repository.h"
#include "api/review_page.h"
#include "api/samples.h"
#include "api/score.h"
#include "api/versions.h"

const struct route routes[] = {
    {
        .methods = HTTP_POST,
        .pattern = "/v1/models/{model}/score",
        .flags = ROUTE_TAKES_JSON | ROUTE_TAKES_CSV | ROUTE_TAKES_NPY,
        .roles = ROLE_SCORE,
        .help = "score rows with the live version",
        .begin = score_begin,
        .body = score_body,
        .handle = score_handle,
        .end = score_end,
        .defers = score_defers,
        .defer = score_defer,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v1/models/{model}/versions/{version}/score",
        .flags = ROUTE_TAKES_JSON | ROUTE_TAKES_CSV | ROUTE_TAKES_NPY,
        .roles = ROLE_SCORE,
        .help = "score rows with that version",
        .begin = score_begin,
        .body = score_body,
        .handle = score_handle,
        .end = score_end,
        .defers = score_defers,
        .defer = score_defer,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v2",
        .roles = ROLE_ANY,
        .help = "server metadata",
        .handle = handle_server_metadata,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v2/models/stats",
        .roles = ROLE_ANY,
        .help = "counts and times of all models",
        .handle = handle_stats_all,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v2/models/{model}/stats",
        .roles = ROLE_ANY,
        .help = "of one model",
        .handle = handle_stats,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v2/models/{model}/versions/{version}/stats",
        .roles = ROLE_ANY,
        .help = "of one version",
        .handle = handle_stats,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v2/repository/index",
        .flags = ROUTE_TAKES_ANY | ROUTE_BODY_OPTIONAL | ROUTE_MAY_BLOCK,
        .roles = ROLE_ANY,
        .help = "all versions there are and their states",
        .begin = body_begin,
        .body = body_collect,
        .handle = handle_repository_index,
        .end = body_end,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v2/repository/models/{model}/load",
        .flags = ROUTE_TAKES_ANY | ROUTE_BODY_OPTIONAL | ROUTE_MAY_BLOCK,
        .roles = ROLE_OPERATE,
        .help = "read a model from disk again",
        .begin = body_begin,
        .body = body_collect,
        .handle = handle_repository_load,
        .end = body_end,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v2/repository/models/{model}/unload",
        .flags = ROUTE_TAKES_ANY | ROUTE_BODY_OPTIONAL | ROUTE_MAY_BLOCK,
        .roles = ROLE_OPERATE,
        .help = "give up a model's memory until it is loaded",
        .begin = body_begin,
        .body = body_collect,
        .handle = handle_repository_unload,
        .end = body_end,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v2/models/{model}",
        .roles = ROLE_ANY,
        .help = "a model's tensors and versions",
        .handle = handle_model_metadata,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v2/models/{model}/versions/{version}",
        .roles = ROLE_ANY,
        .help = "the same of that version",
        .handle = handle_model_metadata,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v2/models/{model}/ready",
        .roles = ROLE_ANY,
        .help = "whether it can score",
        .handle = handle_model_ready,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v2/models/{model}/versions/{version}/ready",
        .roles = ROLE_ANY,
        .help = "whether that version can",
        .handle = handle_model_ready,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v2/models/{model}/infer",
        .flags = ROUTE_TAKES_ANY,
        .roles = ROLE_SCORE,
        .help = "score a tensor with the live version",
        .begin = infer_begin,
        .body = infer_body,
        .handle = infer_handle,
        .defers = infer_defers,
        .defer = infer_defer,
        .end = infer_end,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v2/models/{model}/versions/{version}/infer",
        .flags = ROUTE_TAKES_ANY,
        .roles = ROLE_SCORE,
        .help = "score a tensor with that version",
        .begin = infer_begin,
        .body = infer_body,
        .handle = infer_handle,
        .defers = infer_defers,
        .defer = infer_defer,
        .end = infer_end,
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
        .flags = ROUTE_OPERATIONS | ROUTE_MAY_BLOCK,
        .roles = ROLE_ANY,
        .help = "counters for Prometheus",
        .handle = handle_metrics,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_ANY,
        .help = "all models and their states",
        .handle = handle_models,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models/{model}",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_ANY,
        .help = "one model with its card",
        .handle = handle_model,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models/{model}/versions",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_ANY,
        .help = "its versions",
        .handle = handle_versions,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models/{model}/versions/{version}",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_ANY,
        .help = "one version with its card",
        .handle = handle_version,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v1/models/{model}/labels",
        .flags = ROUTE_TAKES_JSON | ROUTE_MAY_BLOCK,
        .roles = ROLE_LABEL,
        .help = "record verdicts on samples",
        .begin = body_begin,
        .body = body_collect,
        .handle = handle_labels_add,
        .end = body_end,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models/{model}/labels",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_LABEL,
        .help = "its labels, newest first",
        .handle = handle_labels,
    },
    {
        .methods = HTTP_DELETE,
        .pattern = "/v1/models/{model}/labels",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_LABEL,
        .help = "withdraw all labels of an analyst",
        .handle = handle_labels_withdraw,
    },
    {
        .methods = HTTP_DELETE,
        .pattern = "/v1/models/{model}/labels/{label_id}",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_LABEL,
        .help = "withdraw a label",
        .handle = handle_label_withdraw,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models/{model}/samples/{sample_id}",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_LABEL,
        .help = "a kept sample and its labels",
        .handle = handle_sample,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models/{model}/review",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_LABEL,
        .help = "samples that a person should look at next",
        .handle = handle_review,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v1/models/{model}/retrain",
        .flags = ROUTE_TAKES_JSON | ROUTE_BODY_OPTIONAL | ROUTE_MAY_BLOCK,
        .roles = ROLE_OPERATE,
        .help = "retrain it now",
        .begin = body_begin,
        .body = body_collect,
        .handle = handle_retrain,
        .end = body_end,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/models/{model}/jobs",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_OPERATE,
        .help = "its retrainings, newest first",
        .handle = handle_jobs,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/v1/jobs/{job}",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_OPERATE,
        .help = "one retraining and how far it is",
        .handle = handle_job,
    },
    {
        .methods = HTTP_DELETE,
        .pattern = "/v1/jobs/{job}",
        .flags = ROUTE_MAY_BLOCK,
        .roles = ROLE_OPERATE,
        .help = "cancel it",
        .handle = handle_job_cancel,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v1/models/{model}/versions/{version}/activate",
        .flags = ROUTE_TAKES_JSON | ROUTE_BODY_OPTIONAL | ROUTE_MAY_BLOCK,
        .roles = ROLE_OPERATE,
        .help = "make that version live",
        .begin = body_begin,
        .body = body_collect,
        .handle = handle_activate,
        .end = body_end,
    },
    {
        .methods = HTTP_POST,
        .pattern = "/v1/models/{model}/release",
        .flags = ROUTE_TAKES_JSON | ROUTE_BODY_OPTIONAL | ROUTE_MAY_BLOCK,
        .roles = ROLE_OPERATE,
        .help = "let new versions go live again",
        .begin = body_begin,
        .body = body_collect,
        .handle = handle_release,
        .end = body_end,
    },
    {
        .methods = HTTP_GET,
        .pattern = "/",
        .roles = ROLE_ANY,
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
