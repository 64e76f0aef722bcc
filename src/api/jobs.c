/* SPDX-License-Identifier: Apache-2.0 */
#include "api/jobs.h"

#include <stdio.h>
#include <string.h>

#include "api/audit.h"
#include "api/body.h"
#include "api/cursor.h"
#include "api/endpoint.h"
#include "api/options.h"
#include "api/values.h"
#include "base/json.h"
#include "http/auth.h"

/* ---- Showing ----------------------------------------------------------------------- */

static json_t *show_progress(const struct learner_progress *progress)
{
    return json_pack(
        "{ss sI sI sI sI ss so so so}", "phase", progress->phase, "member",
        (json_int_t)progress->member, "members", (json_int_t)progress->members, "step",
        (json_int_t)progress->step, "steps", (json_int_t)progress->steps, "steps_are",
        progress->epochs ? "epochs" : "batches", "loss", value_number(progress->loss),
        "fraction", value_number(progress->fraction), "seconds_left",
        value_number(progress->seconds_left));
}

/* How far the job is, where it runs; else null. */
static json_t *progress_of(const struct app *app, const struct store_job *job)
{
    struct learner_status status;
    if (app->learner == NULL || strcmp(job->state, "running") != 0 ||
        learner_status(app->learner, &status, job->model, NULL) != DEEPSAD_OK ||
        !status.running || strcmp(status.progress.job, job->id) != 0) {
        return json_null();
    }
    return show_progress(&status.progress);
}

/* With what the learner wrote of it: trigger, measures, gate. */
static json_t *show_job(const struct app *app, const struct store_job *job)
{
    json_t *shown = json_pack(
        "{ss ss ss so so so so so}", "job", job->id, "model", job->model, "state",
        job->state, "created_at", json_time(job->created_at_ms), "started_at",
        json_time(job->started_at_ms), "finished_at", json_time(job->finished_at_ms),
        "version", value_version(job->version), "progress", progress_of(app, job));
    json_t *detail = job->detail == NULL ? NULL : json_read(job->detail);
    if (shown != NULL && json_is_object(detail) &&
        json_object_update_missing(shown, detail) != 0) {
        json_decref(shown);
        shown = NULL;
    }
    json_decref(detail);
    return shown;
}

static json_t *show_jobs(const struct app *app, const struct store_jobs *jobs)
{
    json_t *list = json_array();
    for (size_t i = 0; i < jobs->count; i++) {
        if (json_array_append_new(list, show_job(app, &jobs->jobs[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* The job, if there is one of a model that the client may operate. False: the reply is
 * the problem; else store_job_done() it. */
static bool find_job(const struct app *app, struct store_job *job,
                     const struct request *request, struct reply *reply, const char *id)
{
    struct deepsad_error error = {0};
    if (store_job_get(app->store, job, id, &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
        return false;
    }
    if (!auth_allows(request, ROLE_OPERATE, job->model)) {
        store_job_done(job);
        reply_problem(request, reply, 404, "there is no job \"%s\"", id);
        return false;
    }
    return true;
}

/* The job with that status; the reply is the problem where it cannot be read. */
static void reply_job(const struct app *app, const struct request *request,
                      struct reply *reply, unsigned status, const char *id)
{
    struct store_job job;
    if (find_job(app, &job, request, reply, id)) {
        reply_json(request, reply, status, show_job(app, &job));
        store_job_done(&job);
    }
}

/* ---- Starting ---------------------------------------------------------------------- */

static void set_location(struct reply *reply, const char *job)
{
    snprintf(reply->location, sizeof reply->location, "/v1/jobs/%s", job);
}

static void retrain_model(struct app *app, const char *model, const char *analyst,
                          const struct request *request, struct reply *reply)
{
    char job[STORE_ID_MAX + 1] = "";
    struct deepsad_error error = {0};
    int status = learner_retrain(app->learner, job, model, analyst, &error);
    if (status == DEEPSAD_OK) {
        audit_event(app->audit, request, "model.retrain", LOG_TEXT("model", model),
                    LOG_TEXT("job", job));
        set_location(reply, job);
        reply_job(app, request, reply, 202, job);
    } else if (status == DEEPSAD_INVALID && job[0] != '\0') {
        reply_problem(request, reply, 409, "%s", error.message);
        set_location(reply, job);
    } else {
        endpoint_fail(request, reply, &error);
    }
}

void handle_retrain(void *closure, struct request *request, struct reply *reply)
{
    static const struct option_member members[] = {{"analyst", OPTION_TEXT}, {NULL, 0}};
    struct app *app = closure;
    char model[STORE_MODEL_MAX + 1];
    json_t *options;
    if (!endpoint_model(model, app, request, reply) || !query_none(request, reply) ||
        !endpoint_has_store(app, request, reply) ||
        !endpoint_has_learner(app, request, reply) ||
        !options_read(&options, app, members, request, reply)) {
        return;
    }
    const char *analyst = json_string_value(json_object_get(options, "analyst"));
    if (endpoint_analyst(&analyst, model, request, reply, "#/analyst")) {
        retrain_model(app, model, analyst, request, reply);
    }
    json_decref(options);
}

/* ---- Listing ----------------------------------------------------------------------- */

static json_t *next_cursor(const struct store_jobs *jobs, const char *list)
{
    char cursor[CURSOR_SIZE];
    if (!jobs->more || jobs->count == 0) {
        return json_null();
    }
    cursor_write(cursor, list, jobs->jobs[jobs->count - 1].id);
    return json_string(cursor);
}

static void list_jobs(struct app *app, const char *model, const struct query *query,
                      const struct request *request, struct reply *reply)
{
    static const char *const states[] = {"queued",   "waiting", "running",   "promoted",
                                         "rejected", "failed",  "cancelled", NULL};
    char list[96], before[STORE_ID_MAX + 1];
    size_t state = SIZE_MAX, limit = ENDPOINT_PAGE;
    struct store_jobs jobs = {.count = 0};
    struct deepsad_error error = {0};
    snprintf(list, sizeof list, "jobs of %s", model);
    if (!query_choice(&state, query, "state", states, request, reply) ||
        !endpoint_limit(&limit, app, query, request, reply) ||
        !endpoint_cursor(before, query, list, request, reply)) {
        return;
    }
    if (store_jobs_list(app->store, &jobs, model,
                        state == SIZE_MAX ? NULL : states[state],
                        before[0] == '\0' ? NULL : before, limit, &error) != DEEPSAD_OK) {
        endpoint_fail(request, reply, &error);
        return;
    }
    reply_json(request, reply, 200,
               json_pack("{ss so so}", "model", model, "jobs", show_jobs(app, &jobs),
                         "next_cursor", next_cursor(&jobs, list)));
    store_jobs_done(&jobs);
}

void handle_jobs(void *closure, struct request *request, struct reply *reply)
{
    static const char *const names[] = {"state", "limit", "cursor", NULL};
    struct app *app = closure;
    char model[STORE_MODEL_MAX + 1];
    struct query query;
    if (!endpoint_list(model, &query, names, app, request, reply)) {
        return;
    }
    list_jobs(app, model, &query, request, reply);
    query_done(&query);
}

/* ---- One --------------------------------------------------------------------------- */

void handle_job(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    char id[STORE_ID_MAX + 1];
    if (query_none(request, reply) && endpoint_has_store(app, request, reply) &&
        endpoint_id(id, 0, "job", request, reply)) {
        reply_job(app, request, reply, 200, id);
    }
}

/* The learner does not know the job: it has ended, or there is none. */
static void refuse_cancel(const struct app *app, const char *id,
                          const struct request *request, struct reply *reply)
{
    struct store_job job;
    if (find_job(app, &job, request, reply, id)) {
        reply_problem(request, reply, 409, "job %s has ended already: %s", id, job.state);
        store_job_done(&job);
    }
}

/* Whether it is one that the client may cancel; without tokens everybody may. */
static bool may_cancel(const struct app *app, const char *id,
                       const struct request *request, struct reply *reply)
{
    struct store_job job;
    if (request->token == NULL) {
        return true;
    }
    if (!find_job(app, &job, request, reply, id)) {
        return false;
    }
    store_job_done(&job);
    return true;
}

void handle_job_cancel(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    char id[STORE_ID_MAX + 1];
    struct deepsad_error error = {0};
    if (!query_none(request, reply) || !endpoint_has_store(app, request, reply) ||
        !endpoint_has_learner(app, request, reply) ||
        !endpoint_id(id, 0, "job", request, reply) ||
        !may_cancel(app, id, request, reply)) {
        return;
    }
    int status = learner_cancel(app->learner, id, &error);
    if (status == DEEPSAD_OK) {
        audit_event(app->audit, request, "job.cancel", LOG_TEXT("job", id));
        set_location(reply, id);
        reply_job(app, request, reply, 202, id);
    } else if (status == DEEPSAD_INVALID) {
        reply_problem(request, reply, 409, "%s", error.message);
    } else if (status == DEEPSAD_NOT_FOUND) {
        refuse_cancel(app, id, request, reply);
    } else {
        endpoint_fail(request, reply, &error);
    }
}
