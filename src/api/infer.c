/* SPDX-License-Identifier: Apache-2.0 */
#include "api/infer.h"

#include <stdlib.h>
#include <string.h>

#include "api/batcher.h"
#include "api/infer_answer.h"
#include "api/infer_check.h"
#include "api/keep.h"
#include "api/raw_rows.h"
#include "base/clock.h"

/* What the next byte of the body belongs to. */
enum part { PART_JSON, PART_TENSOR, PART_NONE };

struct infer_request {
    struct scoring scoring;
    struct infer_grammar grammar;
    struct json_reader reader;
    struct raw_rows raw;
    enum part part;
    bool has_header, is_raw; /* Inference-Header-Content-Length is there, and is 0 */
    uint64_t header_left;    /* bytes of the JSON that are still to come */
    uint64_t tensor_left;    /* and of the tensor; UINT64_MAX: up to the end */
    bool whole;              /* the body has ended and is fine */
    struct infer_answer answer;
    struct infer_request *next; /* in the worker's list of idle ones */
};

/* ---- States ------------------------------------------------------------------------ */

static void free_state(struct infer_request *state)
{
    scoring_done(&state->scoring);
    raw_rows_done(&state->raw);
    free(state);
}

void infer_free_idle(struct worker *worker)
{
    while (worker->idle_infer != NULL) {
        struct infer_request *state = worker->idle_infer;
        worker->idle_infer = state->next;
        free_state(state);
    }
}

static struct infer_request *take_state(struct worker *worker)
{
    struct infer_request *state = worker->idle_infer;
    if (state == NULL) {
        return calloc(1, sizeof *state);
    }
    worker->idle_infer = state->next;
    worker->idle_count--;
    return state;
}

bool infer_begin(void *closure, struct request *request, struct reply *reply)
{
    struct app *app = closure;
    struct infer_request *state =
        request->worker == NULL ? NULL : take_state(request->worker);
    if (state == NULL) {
        reply_problem(request, reply, 500, "out of memory for the request");
        return false;
    }
    request->state = state;
    struct scoring *scoring = &state->scoring;
    if (!scoring_begin(scoring, app, request, reply)) {
        return false;
    }
    state->has_header = request->has_header_length;
    state->is_raw = state->has_header && request->header_length == 0;
    state->header_left = state->has_header ? request->header_length : UINT64_MAX;
    state->tensor_left = UINT64_MAX;
    state->whole = false;
    state->part = state->is_raw ? PART_TENSOR : PART_JSON;
    infer_grammar_start(&state->grammar, &scoring->rows);
    json_reader_start(&state->reader, &infer_grammar_ops, &state->grammar.base);
    raw_rows_start(&state->raw, scoring, TENSOR_FP32);
    return true;
}

void infer_end(void *closure, struct request *request)
{
    struct infer_request *state = request->state;
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
    worker->idle_count++;
    state->next = worker->idle_infer;
    worker->idle_infer = state;
}

/* ---- The body ---------------------------------------------------------------------- */

/* The JSON has ended, by its length or with the body. */
static void end_json(struct infer_request *state)
{
    struct infer_grammar *grammar = &state->grammar;
    struct rows *rows = &state->scoring.rows;
    state->part = PART_NONE;
    if (!json_reader_finish(&state->reader) || !infer_check_request(grammar)) {
        return;
    }
    if (!grammar->has_binary_size) {
        return;
    }
    if (!state->has_header) {
        rows_fail(rows, 400, "#/inputs/0/parameters/binary_data_size",
                  "input \"" INFER_INPUT "\": binary data need the header field "
                  "Inference-Header-Content-Length, the length of the JSON before them");
        return;
    }
    state->part = PART_TENSOR;
    state->tensor_left = grammar->binary_size;
    raw_rows_start(&state->raw, &state->scoring, grammar->type);
}

static size_t feed_json(struct infer_request *state, const char *bytes, size_t size)
{
    struct scoring *scoring = &state->scoring;
    size = size < state->header_left ? size : (size_t)state->header_left;
    json_reader_feed(&state->reader, bytes, size);
    if (state->has_header) {
        state->header_left -= size;
    }
    scoring->wants_rows |= state->grammar.keep;
    if (state->header_left == 0) {
        end_json(state);
    }
    return size;
}

static size_t feed_tensor(struct infer_request *state, struct worker *worker,
                          const char *bytes, size_t size)
{
    size = size < state->tensor_left ? size : (size_t)state->tensor_left;
    raw_rows_feed(&state->raw, worker, bytes, size);
    state->tensor_left -= state->is_raw ? 0 : size;
    if (state->tensor_left == 0) {
        state->part = PART_NONE;
    }
    return size;
}

void infer_body(void *closure, struct request *request, const char *bytes, size_t size)
{
    struct infer_request *state = request->state;
    struct scoring *scoring = &state->scoring;
    uint64_t infer_ns = scoring->sample.infer_ns;
    double start = clock_monotonic();
    (void)closure;
    while (size > 0 && scoring->rows.fault.status == 0) {
        size_t taken = size;
        if (state->part == PART_JSON) {
            taken = feed_json(state, bytes, size);
        } else if (state->part == PART_TENSOR) {
            taken = feed_tensor(state, request->worker, bytes, size);
        } else {
            rows_fail(&scoring->rows, 400, "",
                      "there are bytes behind the input tensor in the body");
        }
        bytes += taken;
        size -= taken;
    }
    scoring_decoded(scoring, start);
    scoring->sample.input_ns -= scoring->sample.infer_ns - infer_ns; /* in place */
    bool untyped = infer_grammar_is_untyped(&state->grammar) && !state->is_raw;
    if (infer_check_values(&state->grammar) && !untyped) {
        scoring_advance(scoring, request->worker);
    }
}

/* ---- The answer -------------------------------------------------------------------- */

/* What is wrong with rows is told of samples; here they are the data of the input. */
static void fail(const struct infer_request *state, const struct request *request,
                 struct reply *reply)
{
    const struct rows_fault *fault = &state->scoring.rows.fault;
    const char *pointer = fault->pointer;
    if (strncmp(pointer, "#/samples", 9) == 0) {
        pointer = "#/inputs/0/data";
    }
    reply_problem_at(request, reply, fault->status == 422 ? 400 : fault->status,
                     fault->detail, pointer[0] == '\0' ? NULL : pointer);
}

/* The whole body has come. May be called again. */
static bool finish_body(struct infer_request *state)
{
    struct rows *rows = &state->scoring.rows;
    if (rows->fault.status != 0 || state->whole) {
        return state->whole;
    }
    if (state->part == PART_JSON && state->has_header) {
        return rows_fail(rows, 400, "",
                         "the body ends %llu bytes before the JSON that "
                         "Inference-Header-Content-Length announces",
                         (unsigned long long)state->header_left);
    }
    if (state->part == PART_JSON) {
        end_json(state);
    }
    if (state->part == PART_TENSOR && !state->is_raw && rows->fault.status == 0) {
        return rows_fail(rows, 400, "#/inputs/0/parameters/binary_data_size",
                         "input \"" INFER_INPUT "\": the body ends %llu bytes before the "
                         "binary_data_size of %llu",
                         (unsigned long long)state->tensor_left,
                         (unsigned long long)state->grammar.binary_size);
    }
    state->whole =
        rows->fault.status == 0 && raw_rows_finish(&state->raw) && rows_finish(rows);
    return state->whole;
}

bool infer_defers(void *closure, struct request *request)
{
    const struct app *app = closure;
    struct infer_request *state = request->state;
    return batcher_used(app->batcher, &state->scoring) && finish_body(state) &&
           batcher_wants(app->batcher, &state->scoring);
}

bool infer_defer(void *closure, struct request *request, struct executor_task *task)
{
    const struct app *app = closure;
    struct infer_request *state = request->state;
    return batcher_take(app->batcher, &state->scoring, task);
}

static bool next_piece(struct request *request, struct buffer *piece)
{
    struct infer_request *state = request->state;
    return infer_answer_next(&state->answer, piece);
}

static void write_answer(struct infer_request *state, struct reply *reply)
{
    struct infer_answer *answer = &state->answer;
    struct buffer *out = &reply->body;
    bool binary = infer_answer_is_binary(answer);
    reply->status = 200;
    reply->content_type = binary ? "application/octet-stream" : "application/json";
    infer_answer_head(answer, out);
    if (!binary && /* else the length is known */
        state->scoring.scored > SCORING_WHOLE_ROWS) {
        reply->next = next_piece;
        return;
    }
    while (infer_answer_next(answer, out)) {
    }
    if (binary) {
        reply->has_header_length = true;
        reply->header_length = out->length;
        infer_answer_tensors(answer, out);
    }
}

static bool answer(struct infer_request *state, struct request *request,
                   struct reply *reply)
{
    struct scoring *scoring = &state->scoring;
    struct worker *worker = request->worker;
    double start = clock_monotonic();
    bool fine = finish_body(state);
    scoring_decoded(scoring, start);
    if (!fine || !scoring_finish(scoring, worker)) {
        fail(state, request, reply);
        return false;
    }
    infer_answer_start(&state->answer, scoring, &state->grammar, state->is_raw);
    if (keep_wanted_of(scoring, state->grammar.keep)) {
        if (!scoring_has_rows(scoring)) {
            reply_problem_at(request, reply, 400,
                             "keep: comes after more data than are held; write "
                             "\"parameters\" before \"inputs\"",
                             "#/parameters/keep");
            return false;
        }
        state->answer.kept =
            keep_name_rows(&scoring->rows, &worker->ids) && keep_scored(scoring);
    }
    start = clock_monotonic();
    write_answer(state, reply);
    scoring_written(scoring, start);
    return true;
}

void infer_handle(void *closure, struct request *request, struct reply *reply)
{
    struct infer_request *state = request->state;
    (void)closure;
    bool success = answer(state, request, reply);
    scoring_count(&state->scoring, request->worker, success);
}
