/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One loop serves all trainings: draw a batch, gather its rows, step. What differs is the
 * step's loss.
 */
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>

#include "base/crew.h"
#include "nn/batches.h"
#include "nn/lanes.h"
#include "nn/loss.h"
#include "nn/matrix.h"
#include "nn/optimizer.h"
#include "nn/tape.h"

/* ---- Single steps ---- */

struct trainer {
    struct network *network;
    struct trainer_options options;
    bool batch_norm;
    struct crew *crew; /* of layers on images; NULL = the caller's thread alone */
    struct tape *tape;
    struct optimizer *optimizer;
    float *scratch; /* (2, rows) of the loss */
};

static bool has_batch_norm(const struct network *network)
{
    for (size_t i = 0; i < network->layer_count; i++) {
        if (network->layers[i].kind == LAYER_BATCH_NORM) {
            return true;
        }
    }
    return false;
}

/* No crew where there is nothing to share: its threads take groups of lanes. */
static int new_crew(struct crew **out, const struct network *network, size_t threads,
                    size_t rows, struct deepsad_error *error)
{
    size_t most = network_has_images(network) ? lanes_groups(rows) : 1;
    threads = threads < most ? threads : most;
    return threads > 1 ? crew_new(out, threads, error) : DEEPSAD_OK;
}

int trainer_new(struct trainer **out, struct network *network,
                const struct trainer_options *options, size_t rows,
                struct deepsad_error *error)
{
    struct trainer *trainer = calloc(1, sizeof *trainer);
    if (trainer == NULL) {
        return error_no_memory(error, "the trainer");
    }
    trainer->network = network;
    trainer->options = *options;
    trainer->batch_norm = has_batch_norm(network);
    int status = new_crew(&trainer->crew, network, options->threads, rows, error);
    if (status == DEEPSAD_OK) {
        status = tape_new(&trainer->tape, network, rows, trainer->crew, error);
    }
    if (status == DEEPSAD_OK) {
        status = optimizer_new(&trainer->optimizer, network->param_count,
                               options->weight_decay, options->decoupled_decay, error);
    }
    if (status == DEEPSAD_OK) {
        status = matrix_new(&trainer->scratch, 2, rows, "the loss", error);
    }
    if (status != DEEPSAD_OK) {
        trainer_free(trainer);
        return status;
    }
    *out = trainer;
    return DEEPSAD_OK;
}

void trainer_free(struct trainer *trainer)
{
    if (trainer != NULL) {
        tape_free(trainer->tape);
        crew_free(trainer->crew);
        optimizer_free(trainer->optimizer);
        free(trainer->scratch);
        free(trainer);
    }
}

static void learn(struct trainer *trainer, double learning_rate)
{
    struct network *network = trainer->network;
    tape_backward(trainer->tape, network);
    optimizer_step(trainer->optimizer, network->params, network->grads, learning_rate);
}

double trainer_step_autoencoder(struct trainer *trainer, const float *x, size_t rows,
                                double learning_rate)
{
    if (rows < 2 && trainer->batch_norm) {
        return (double)NAN;
    }
    const float *y = tape_forward_train(trainer->tape, trainer->network, x, rows);
    double loss = loss_squared_error(tape_output_gradient(trainer->tape), y, x,
                                     rows * trainer->network->outputs);
    learn(trainer, learning_rate);
    return loss;
}

double trainer_step_deepsad(struct trainer *trainer, const float *center, const float *x,
                            const signed char *labels, size_t rows, double learning_rate)
{
    if (rows < 2 && trainer->batch_norm) {
        return (double)NAN;
    }
    struct loss_batch batch = {
        .phi = tape_forward_train(trainer->tape, trainer->network, x, rows),
        .center = center,
        .labels = labels,
        .rows = rows,
        .width = trainer->network->outputs,
        .scratch = trainer->scratch,
    };
    const struct trainer_options *options = &trainer->options;
    float *dphi = tape_output_gradient(trainer->tape);
    double loss = options->loss == TRAINER_LOSS_PAPER
                      ? loss_paper(dphi, &batch, options->eta)
                      : loss_log(dphi, &batch, options->eta, options->trim);
    learn(trainer, learning_rate);
    return loss;
}

double trainer_step_classifier(struct trainer *trainer, const float *x,
                               const signed char *labels, size_t rows,
                               double learning_rate)
{
    if (rows < 2 && trainer->batch_norm) {
        return (double)NAN;
    }
    const float *logit = tape_forward_train(trainer->tape, trainer->network, x, rows);
    double loss =
        loss_cross_entropy(tape_output_gradient(trainer->tape), logit, labels, rows);
    learn(trainer, learning_rate);
    return loss;
}

double trainer_learning_rate(const struct trainer_options *options, size_t step,
                             size_t steps, size_t per_pass)
{
    double rate = (double)options->learning_rate;
    if (options->schedule == TRAINER_SCHEDULE_COSINE) {
        return rate * (1 + cos(M_PI * (double)step / (double)steps)) / 2;
    }
    for (size_t i = 0; i < options->milestone_count; i++) {
        if (step / per_pass >= options->milestones[i]) {
            rate *= 0.1;
        }
    }
    return rate;
}

/* ---- The loop ---- */

enum objective { AUTOENCODER, DEEPSAD, CLASSIFIER };

struct loop {
    struct trainer *trainer;
    const struct trainer_data *data;
    enum objective objective;
    const float *center; /* of DEEPSAD */
    struct batches batches;
    float *x;            /* (rows of a batch, features) */
    signed char *labels; /* (rows of a batch) */
    size_t steps, per_pass;
    size_t per_report; /* steps between two calls of progress */
    double loss_sum;   /* since the last call, over loss_count batches */
    size_t loss_count;
};

static int check(const struct network *network, const struct trainer_data *data,
                 const struct trainer_options *options, struct deepsad_error *error)
{
    if (data->count == 0 || data->features != network->inputs) {
        return error_set(error, DEEPSAD_INVALID,
                         "training needs rows of %zu features, got %zu rows of %zu",
                         network->inputs, data->count, data->features);
    }
    if (options->batch == 0 || options->milestone_count > TRAINER_MILESTONES_MAX) {
        return error_set(error, DEEPSAD_INVALID,
                         "a batch must have at least 1 row, and a schedule at most %d "
                         "milestones",
                         TRAINER_MILESTONES_MAX);
    }
    if (!(options->trim >= 0 && options->trim < 1) || !isfinite(options->eta) ||
        !isfinite(options->learning_rate) || !isfinite(options->weight_decay)) {
        return error_set(error, DEEPSAD_INVALID,
                         "trim must be in [0, 1); eta, learning rate and weight decay "
                         "must be finite");
    }
    return DEEPSAD_OK;
}

static int init_loop(struct loop *loop, struct network *network,
                     const struct trainer_options *options, struct deepsad_error *error)
{
    const struct trainer_data *data = loop->data;
    size_t anomaly_batch = loop->objective != AUTOENCODER ? options->anomaly_batch : 0;
    int status = batches_init(&loop->batches, data->labels, data->index, data->count,
                              options->batch, anomaly_batch, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    size_t rows = batches_rows(&loop->batches);
    loop->per_pass = batches_per_pass(&loop->batches);
    loop->per_report = options->epochs > 0 ? loop->per_pass : 1;
    loop->steps = options->steps;
    if (options->epochs > 0 &&
        __builtin_mul_overflow(options->epochs, loop->per_pass, &loop->steps)) {
        return error_set(error, DEEPSAD_INVALID, "too many epochs");
    }
    loop->labels = calloc(rows, sizeof *loop->labels);
    if (loop->labels == NULL) {
        return error_no_memory(error, "a batch");
    }
    status = matrix_new(&loop->x, rows, data->features, "a batch", error);
    if (status == DEEPSAD_OK) {
        status = trainer_new(&loop->trainer, network, options, rows, error);
    }
    return status;
}

static void done_loop(struct loop *loop)
{
    trainer_free(loop->trainer);
    batches_done(&loop->batches);
    free(loop->x);
    free(loop->labels);
}

/* Rows of a batch, read from all over the data. */
struct gather {
    float *x; /* (rows, features) */
    const struct trainer_data *data;
    const struct batches *batches;
};

/* Group i: the rows that its thread then most likely takes through the layers. */
static void gather_task(void *closure, size_t i, size_t thread)
{
    const struct gather *gather = closure;
    const struct trainer_data *data = gather->data;
    size_t first = i * LANES;
    size_t left = batches_rows(gather->batches) - first;
    (void)thread;
    matrix_gather(gather->x + first * data->features, data->rows,
                  gather->batches->rows + first, left < LANES ? left : LANES,
                  data->features);
}

/* x = the rows of the next batch */
static void next_batch(float *x, const struct trainer_data *data, struct batches *batches,
                       struct crew *crew, struct rng *rng)
{
    struct gather gather = {.x = x, .data = data, .batches = batches};
    batches_next(batches, rng);
    crew_run(crew, lanes_groups(batches_rows(batches)), gather_task, &gather);
}

static double step(struct loop *loop, struct rng *rng, double learning_rate)
{
    const struct trainer_data *data = loop->data;
    size_t rows = batches_rows(&loop->batches);
    next_batch(loop->x, data, &loop->batches, loop->trainer->crew, rng);
    if (loop->objective == AUTOENCODER) {
        return trainer_step_autoencoder(loop->trainer, loop->x, rows, learning_rate);
    }
    for (size_t i = 0; i < rows && data->labels != NULL; i++) {
        loop->labels[i] = data->labels[loop->batches.rows[i]];
    }
    if (loop->objective == CLASSIFIER) {
        return trainer_step_classifier(loop->trainer, loop->x, loop->labels, rows,
                                       learning_rate);
    }
    return trainer_step_deepsad(loop->trainer, loop->center, loop->x, loop->labels, rows,
                                learning_rate);
}

static void report(struct loop *loop, size_t done, const struct trainer_watch *watch)
{
    if (done % loop->per_report != 0 || watch == NULL || watch->progress == NULL) {
        return;
    }
    double loss =
        loop->loss_count > 0 ? loop->loss_sum / (double)loop->loss_count : (double)NAN;
    watch->progress(watch->closure, done / loop->per_report,
                    loop->steps / loop->per_report, loss);
    loop->loss_sum = 0;
    loop->loss_count = 0;
}

static bool all_finite(const float *values, size_t count)
{
    float sum = 0; /* 0 * x is NaN for an infinite x */
    for (size_t i = 0; i < count; i++) {
        sum += 0 * values[i];
    }
    return sum == 0;
}

static int diverged(size_t at, double learning_rate, struct deepsad_error *error)
{
    return error_set(error, DEEPSAD_INVALID,
                     "training diverged at step %zu (learning rate %g): a loss or weight "
                     "is not finite; lower the learning rate or scale the features",
                     at, learning_rate);
}

static int run(struct loop *loop, struct rng *rng, const struct trainer_watch *watch,
               struct deepsad_error *error)
{
    const struct trainer *trainer = loop->trainer;
    const struct network *network = trainer->network;
    bool usable = batches_rows(&loop->batches) > 1 || !trainer->batch_norm;
    double rate = 0;
    for (size_t i = 0; i < loop->steps; i++) {
        if (watch != NULL && watch->cancelled != NULL &&
            watch->cancelled(watch->closure)) {
            return error_set(error, DEEPSAD_CANCELLED, "training was cancelled");
        }
        rate = trainer_learning_rate(&trainer->options, i, loop->steps, loop->per_pass);
        double loss = step(loop, rng, rate);
        if (usable && !isfinite(loss)) {
            return diverged(i, rate, error);
        }
        loop->loss_sum += usable ? loss : 0;
        loop->loss_count += usable;
        report(loop, i + 1, watch);
    }
    if (!all_finite(network->params, network->param_count) ||
        !all_finite(network->state, network->state_count)) {
        return diverged(loop->steps, rate, error);
    }
    return DEEPSAD_OK;
}

static int fit(struct network *network, enum objective objective, const float *center,
               const struct trainer_data *data, const struct trainer_options *options,
               struct rng *rng, const struct trainer_watch *watch,
               struct deepsad_error *error)
{
    int status = check(network, data, options, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct loop loop = {.data = data, .objective = objective, .center = center};
    status = init_loop(&loop, network, options, error);
    if (status == DEEPSAD_OK) {
        status = run(&loop, rng, watch, error);
    }
    done_loop(&loop);
    return status;
}

int trainer_fit_autoencoder(struct network *autoencoder, const struct trainer_data *data,
                            const struct trainer_options *options, struct rng *rng,
                            const struct trainer_watch *watch,
                            struct deepsad_error *error)
{
    return fit(autoencoder, AUTOENCODER, NULL, data, options, rng, watch, error);
}

int trainer_fit_deepsad(struct network *encoder, const float *center,
                        const struct trainer_data *data,
                        const struct trainer_options *options, struct rng *rng,
                        const struct trainer_watch *watch, struct deepsad_error *error)
{
    return fit(encoder, DEEPSAD, center, data, options, rng, watch, error);
}

int trainer_fit_classifier(struct network *classifier, const struct trainer_data *data,
                           const struct trainer_options *options, struct rng *rng,
                           const struct trainer_watch *watch, struct deepsad_error *error)
{
    if (classifier->outputs != 1) {
        return error_set(error, DEEPSAD_INVALID,
                         "a classifier has one output, the network has %zu",
                         classifier->outputs);
    }
    return fit(classifier, CLASSIFIER, NULL, data, options, rng, watch, error);
}

/* ---- Warming ---- */

static int warm(struct network *network, const struct trainer_data *data,
                struct batches *batches, size_t passes, struct crew *crew,
                struct rng *rng, struct deepsad_error *error)
{
    size_t rows = batches_rows(batches);
    struct tape *tape = NULL;
    float *x = NULL;
    int status = matrix_new(&x, rows, data->features, "a batch", error);
    if (status == DEEPSAD_OK) {
        status = tape_new(&tape, network, rows, crew, error);
    }
    for (size_t i = 0; i < passes && status == DEEPSAD_OK; i++) {
        next_batch(x, data, batches, crew, rng);
        tape_forward_train(tape, network, x, rows);
    }
    if (status == DEEPSAD_OK && !all_finite(network->state, network->state_count)) {
        status = error_set(error, DEEPSAD_INVALID,
                           "the statistics of a network are not finite: scale the "
                           "features");
    }
    tape_free(tape);
    free(x);
    return status;
}

int trainer_warm(struct network *network, const struct trainer_data *data, size_t batch,
                 size_t passes, size_t threads, struct rng *rng,
                 struct deepsad_error *error)
{
    struct trainer_options options = {.batch = batch};
    struct batches batches;
    struct crew *crew = NULL;
    int status = check(network, data, &options, error);
    if (status != DEEPSAD_OK || !has_batch_norm(network)) {
        return status;
    }
    status = batches_init(&batches, NULL, data->index, data->count, batch, 0, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (batches_rows(&batches) > 1) {
        status = new_crew(&crew, network, threads, batches_rows(&batches), error);
        if (status == DEEPSAD_OK) {
            status = warm(network, data, &batches, passes, crew, rng, error);
        }
    }
    crew_free(crew);
    batches_done(&batches);
    return status;
}
