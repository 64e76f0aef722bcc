/* SPDX-License-Identifier: Apache-2.0 */
#include "api/score.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/batcher.h"
#include "api/csv_rows.h"
#include "api/json_rows.h"
#include "api/keep.h"
#include "api/npy_rows.h"
#include "api/score_answer.h"
#include "base/clock.h"

/* One request under way. */
struct score_request {
    struct scoring scoring;
    struct json_rows json;
    struct csv_rows csv;
    struct npy_rows npy;
    struct explanation explanation;
    struct score_answer answer;
    bool whole;                 /* the decoder has been told that the body has ended */
    struct score_request *next; /* in the worker's list of idle ones */
};

/* ---- States ------------------------------------------------------------------------ */

static void free_state(struct score_request *state)
{
    scoring_done(&state->scoring);
    csv_rows_done(&state->csv);
    npy_rows_done(&state->npy);
    explanation_done(&state->explanation);
    free(state);
}

void score_free_idle(struct worker *worker)
{
    while (worker->idle != NULL) {
        struct score_request *state = worker->idle;
        worker->idle = state->next;
        free_state(state);
    }
}

static struct score_request *take_state(struct worker *worker)
{
    struct score_request *state = worker->idle;
    if (state == NULL) {
        return calloc(1, sizeof *state);
    }
    worker->idle = state->next;
    worker->idle_count--;
    return state;
}

/* ---- The request ------------------------------------------------------------------- */

static void start_decoder(struct score_request *state, const struct request *request)
{
    struct rows *rows = &state->scoring.rows;
    state->whole = false;
    if (request->body_type == BODY_CSV) {
        csv_rows_start(&state->csv, rows);
    } else if (request->body_type == BODY_NPY) {
        npy_rows_start(&state->npy, rows);
    } else {
        json_rows_start(&state->json, rows);
    }
}

bool score_begin(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    struct score_request *state =
        request->worker == NULL ? NULL : take_state(request->worker);
    if (state == NULL) {
        reply_problem(request, reply, 500, "out of memory for the request");
        return false;
    }
    request->state = state;
    if (!scoring_begin(&state->scoring, app, request, reply)) {
        return false;
    }
    start_decoder(state, request); /* a fault is reported with the body's */
    return true;
}

/* What the options that have come so far need the rows for. */
static void note_options(struct score_request *state, const struct request *request)
{
    const struct json_grammar *grammar = &state->json.grammar;
    if (request->body_type == BODY_JSON) {
        state->scoring.wants_rows |= grammar->keep || grammar->explain > 0;
    }
}

void score_body(void *closure, struct request *request, const char *bytes, size_t size)
{
    struct score_request *state = request->state;
    struct scoring *scoring = &state->scoring;
    double start = clock_monotonic();
    (void)closure;
    if (scoring->rows.fault.status != 0) {
        return;
    }
    if (request->body_type == BODY_CSV) {
        csv_rows_feed(&state->csv, bytes, size);
    } else if (request->body_type == BODY_NPY) {
        npy_rows_feed(&state->npy, bytes, size);
    } else {
        json_rows_feed(&state->json, bytes, size);
    }
    scoring_decoded(scoring, start);
    note_options(state, request);
    scoring_advance(scoring, request->worker);
}

/* The body has ended. False: rows.fault says what is wrong. May be called again. */
static bool decoded(struct score_request *state, const struct request *request)
{
    struct scoring *scoring = &state->scoring;
    double start = clock_monotonic();
    if (scoring->rows.fault.status == 0 && !state->whole) {
        state->whole = request->body_type == BODY_CSV   ? csv_rows_finish(&state->csv)
                       : request->body_type == BODY_NPY ? npy_rows_finish(&state->npy)
                                                        : json_rows_finish(&state->json);
        scoring_decoded(scoring, start);
    }
    return scoring->rows.fault.status == 0;
}

bool score_defers(void *closure, struct request *request)
{
    const struct app *app = closure;
    struct score_request *state = request->state;
    return batcher_used(app->batcher, &state->scoring) && decoded(state, request) &&
           batcher_wants(app->batcher, &state->scoring);
}

bool score_defer(void *closure, struct request *request, struct executor_task *task)
{
    const struct app *app = closure;
    struct score_request *state = request->state;
    return batcher_take(app->batcher, &state->scoring, task);
}

void score_end(void *closure, struct request *request)
{
    struct score_request *state = request->state;
    struct worker *worker = request->worker;
    (void)closure;
    if (state == NULL) {
        return;
    }
    request->state = NULL;
    scoring_end(&state->scoring);
    if (worker->idle_count == WORKER_IDLE_MAX) {
        free_state(state);
        return;
    }
    npy_rows_trim(&state->npy, SCORING_HELD_MAX);
    worker->idle_count++;
    state->next = worker->idle;
    worker->idle = state;
}

/* ---- Options ----------------------------------------------------------------------- */

struct options {
    size_t explained; /* features of each row */
    bool asked_to_keep;
    bool keep; /* by the policy too, and there is a store */
};

/* Fills the reply where the rows that an option needs are gone. */
static bool check_rows_are_held(const struct scoring *scoring, const char *option,
                                const struct request *request, struct reply *reply)
{
    char detail[192], pointer[32];
    if (scoring_has_rows(scoring)) {
        return true;
    }
    snprintf(pointer, sizeof pointer, "#/%s", option);
    snprintf(detail, sizeof detail,
             "%s: comes after rows that take more than %d bytes as floats, which are not "
             "held; write \"%s\" before \"samples\"",
             option, (int)SCORING_HELD_MAX, option);
    reply_problem_at(request, reply, 422, detail, pointer);
    return false;
}

/* Fills the reply where too much is to be explained. */
static bool check_explained(const struct scoring *scoring, size_t explained,
                            const struct request *request, struct reply *reply)
{
    size_t rows = scoring->rows.count;
    if (explained == 0) {
        return true;
    }
    if (rows > EXPLANATION_ROWS_MAX || rows > EXPLANATION_FEATURES_MAX / explained) {
        char detail[192];
        snprintf(detail, sizeof detail,
                 "explain: %zu features of %zu rows; an answer explains at most %d rows "
                 "and %d features in all; send the rows in several requests",
                 explained, rows, EXPLANATION_ROWS_MAX, EXPLANATION_FEATURES_MAX);
        reply_problem_at(request, reply, 413, detail, "#/explain");
        return false;
    }
    return check_rows_are_held(scoring, "explain", request, reply);
}

static bool read_options(struct options *out, const struct score_request *state,
                         const struct request *request, struct reply *reply)
{
    const struct scoring *scoring = &state->scoring;
    size_t features = scoring->rows.columns.count;
    bool json = request->body_type == BODY_JSON;
    double wanted = json ? state->json.grammar.explain : 0;
    bool asked = json && state->json.grammar.keep;
    out->explained = wanted < (double)features ? (size_t)wanted : features;
    out->asked_to_keep = asked;
    out->keep = keep_wanted_of(scoring, asked);
    return check_explained(scoring, out->explained, request, reply) &&
           (!out->keep || check_rows_are_held(scoring, "keep", request, reply));
}

/* ---- The whole --------------------------------------------------------------------- */

static bool next_piece(struct request *request, struct buffer *piece)
{
    struct score_request *state = request->state;
    return score_answer_rows(&state->answer, request->worker, piece);
}

static void write_answer(struct score_request *state, const struct options *options,
                         bool kept, struct worker *worker, struct reply *reply)
{
    struct score_answer *answer = &state->answer;
    *answer = (struct score_answer){.scoring = &state->scoring,
                                    .explanation = &state->explanation,
                                    .explained = options->explained,
                                    .tells_kept = options->asked_to_keep,
                                    .kept = kept};
    reply->status = 200;
    reply->content_type = "application/json";
    score_answer_head(answer, &reply->body);
    if (state->scoring.scored > SCORING_WHOLE_ROWS) {
        reply->next = next_piece;
        return;
    }
    while (score_answer_rows(answer, worker, &reply->body)) {
    }
}

static void fail(const struct scoring *scoring, const struct request *request,
                 struct reply *reply)
{
    const struct rows_fault *fault = &scoring->rows.fault;
    reply_problem_at(request, reply, fault->status, fault->detail,
                     fault->pointer[0] == '\0' ? NULL : fault->pointer);
}

static bool answer(struct score_request *state, struct request *request,
                   struct reply *reply)
{
    struct scoring *scoring = &state->scoring;
    struct worker *worker = request->worker;
    struct options options;
    if (!decoded(state, request)) {
        fail(scoring, request, reply);
        return false;
    }
    if (!read_options(&options, state, request, reply)) {
        return false;
    }
    if (!scoring_finish(scoring, worker) ||
        ((options.keep || options.explained > 0) &&
         !keep_name_rows(&scoring->rows, &worker->ids))) {
        fail(scoring, request, reply);
        return false;
    }
    bool kept = options.keep && keep_scored(scoring);
    double start = clock_monotonic();
    write_answer(state, &options, kept, worker, reply);
    scoring_written(scoring, start);
    return true;
}

void score_handle(void *closure, struct request *request, struct reply *reply)
{
    struct score_request *state = request->state;
    (void)closure;
    bool success = answer(state, request, reply);
    scoring_count(&state->scoring, request->worker, success);
}
