/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a row costs is known once some have been scored: the first block of a long request
 * is, alone, and if what is left would take much longer than waking a thread, it is
 * shared out. There is one crew; while it is at work for one request, the others keep to
 * their own core. Shares are whole blocks of rows, as deepsad_score() makes them, so that
 * who scores what leaves no trace in the scores.
 */
#include "api/cores.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crew.h"
#include "model/component.h"

/* Waking a thread takes up to 16 us; a share should be worth ten times that. */
#define SHARE_SECONDS 160e-6

struct cores {
    size_t threads;
    atomic_size_t busy;    /* threads that are scoring, without the crew's own */
    pthread_mutex_t mutex; /* who holds it has the crew; never waited for, a leaf */
    struct crew *crew;
    struct deepsad_workspace **workspaces; /* (threads) of the crew's */
};

void cores_free(struct cores *cores)
{
    if (cores == NULL) {
        return;
    }
    crew_free(cores->crew);
    for (size_t i = 0; cores->workspaces != NULL && i < cores->threads; i++) {
        deepsad_workspace_free(cores->workspaces[i]);
    }
    free(cores->workspaces);
    pthread_mutex_destroy(&cores->mutex);
    free(cores);
}

int cores_new(struct cores **out, size_t threads, struct deepsad_error *error)
{
    struct cores *cores = calloc(1, sizeof *cores);
    if (cores == NULL) {
        return error_no_memory(error, "the scoring threads");
    }
    cores->threads = threads;
    pthread_mutex_init(&cores->mutex, NULL);
    cores->workspaces = calloc(threads, sizeof(struct deepsad_workspace *));
    int status = cores->workspaces == NULL ? error_no_memory(error, "the scoring threads")
                                           : crew_new(&cores->crew, threads, error);
    for (size_t i = 0; i < threads && status == DEEPSAD_OK; i++) {
        cores->workspaces[i] = deepsad_workspace_new();
        if (cores->workspaces[i] == NULL) {
            status = error_no_memory(error, "the scoring threads");
        }
    }
    if (status != DEEPSAD_OK) {
        cores_free(cores);
        return status;
    }
    *out = cores;
    return DEEPSAD_OK;
}

/* Rows to be scored, in shares of so many blocks. */
struct batch {
    struct cores *cores;
    const struct deepsad_model *model;
    float *scores, *p_values;
    const float *x;
    size_t rows, share; /* rows of a share */
    atomic_int status;
};

static void score_share(void *closure, size_t i, size_t thread)
{
    struct batch *batch = closure;
    size_t first = i * batch->share, left = batch->rows - first;
    size_t rows = left < batch->share ? left : batch->share;
    int status = deepsad_score(batch->model, batch->cores->workspaces[thread],
                               batch->scores + first, batch->p_values + first,
                               batch->x + first * deepsad_model_features(batch->model),
                               rows, NULL);
    if (status != DEEPSAD_OK) {
        atomic_store(&batch->status, status);
    }
}

/* Threads for work of so many seconds in so many blocks, the caller's among them. */
static size_t count_shares(const struct cores *cores, double seconds, size_t blocks)
{
    size_t busy = atomic_load_explicit(&cores->busy, memory_order_relaxed);
    size_t most = cores->threads > busy ? cores->threads - busy + 1 : 1;
    double worth = seconds / SHARE_SECONDS;
    most = worth < (double)most ? (size_t)worth : most;
    return blocks < most ? blocks : most;
}

static int score_shared(struct batch *batch, size_t shares, size_t blocks)
{
    size_t each = (blocks + shares - 1) / shares;
    batch->share = each * COMPONENT_BLOCK;
    crew_run(batch->cores->crew, (blocks + each - 1) / each, score_share, batch);
    return atomic_load(&batch->status);
}

/* The first block by the caller alone, then the rest. */
static int score_long(struct batch *batch, struct deepsad_workspace *workspace)
{
    struct cores *cores = batch->cores;
    size_t features = deepsad_model_features(batch->model);
    double start = clock_monotonic();
    int status = deepsad_score(batch->model, workspace, batch->scores, batch->p_values,
                               batch->x, COMPONENT_BLOCK, NULL);
    double block_seconds = clock_monotonic() - start;
    batch->rows -= COMPONENT_BLOCK;
    batch->scores += COMPONENT_BLOCK;
    batch->p_values += COMPONENT_BLOCK;
    batch->x += COMPONENT_BLOCK * features;
    size_t blocks = (batch->rows + COMPONENT_BLOCK - 1) / COMPONENT_BLOCK;
    size_t shares = count_shares(cores, block_seconds * (double)blocks, blocks);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (shares > 1 && pthread_mutex_trylock(&cores->mutex) == 0) {
        status = score_shared(batch, shares, blocks);
        pthread_mutex_unlock(&cores->mutex);
        return status;
    }
    return deepsad_score(batch->model, workspace, batch->scores, batch->p_values,
                         batch->x, batch->rows, NULL);
}

int cores_score(struct cores *cores, const struct deepsad_model *model,
                struct deepsad_workspace *workspace, float *scores, float *p_values,
                const float *x, size_t rows)
{
    if (cores == NULL) {
        return deepsad_score(model, workspace, scores, p_values, x, rows, NULL);
    }
    struct batch batch = {.cores = cores,
                          .model = model,
                          .scores = scores,
                          .p_values = p_values,
                          .x = x,
                          .rows = rows};
    atomic_fetch_add_explicit(&cores->busy, 1, memory_order_relaxed);
    int status = cores->threads > 1 && rows > (size_t)2 * COMPONENT_BLOCK
                     ? score_long(&batch, workspace)
                     : deepsad_score(model, workspace, scores, p_values, x, rows, NULL);
    atomic_fetch_sub_explicit(&cores->busy, 1, memory_order_relaxed);
    return status;
}
