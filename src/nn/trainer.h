/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Training loops over given rows: the autoencoder's, Deep SAD's and a classifier's. No
 * files, no clock, threads for layers on images alone: same input and rng, same weights
 * bit for bit. Several may run at the same time on networks of their own. Call
 * matrix_blas_init() first.
 *
 * A fit fails with DEEPSAD_INVALID where an option makes no sense or the loss or a weight
 * stops being finite, DEEPSAD_CANCELLED, or DEEPSAD_NO_MEMORY; the network is then not to
 * be used.
 */
#ifndef NN_TRAINER_H
#define NN_TRAINER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "nn/network.h"
#include "nn/rng.h"

enum trainer_loss {
    /* Equation 7 of the paper, as its code has it: mean over the batch of d (unlabeled)
     * and eta (d + 1e-6)^y (labelled) */
    TRAINER_LOSS_PAPER,
    /* mean over kept rows of log(1 + d) + eta * mean over anomalies of 1 / (d + 1e-6) */
    TRAINER_LOSS_LOG,
};

enum trainer_schedule { TRAINER_SCHEDULE_MILESTONES, TRAINER_SCHEDULE_COSINE };

enum { TRAINER_MILESTONES_MAX = 8 };

struct trainer_options {
    size_t epochs; /* passes over the rows; or, where it is 0, */
    size_t steps;  /* a number of batches whatever the number of rows */
    size_t batch; /* rows a batch; the last partial batch of a pass is dropped, unless the
                     rows are fewer than a batch: then all of them are the batch */
    /* Labelled anomalies drawn with replacement and added to each batch, which then holds
     * unlabeled and normal rows only; 0 = anomalies take part in the passes like any row.
     */
    size_t anomaly_batch;
    float learning_rate;
    float weight_decay;
    bool decoupled_decay; /* AdamW; else Adam with L2 as torch.optim.Adam */
    enum trainer_schedule schedule;
    size_t milestone_count;
    size_t milestones[TRAINER_MILESTONES_MAX]; /* epochs (from 0) from which on x 0.1 */
    enum trainer_loss loss;
    float eta;
    /* share of largest d among a batch's unlabeled rows left out of the log loss */
    float trim;
    size_t threads; /* of layers on images; 0 = 1; the result does not depend on it */
};

struct trainer_data {
    const float *rows; /* (*, features), already scaled, finite */
    size_t features;
    const signed char *labels; /* (*): 0, +1, -1; NULL = all unlabeled */
    const size_t *index;       /* (count): the rows to use; NULL = rows 0..count-1 */
    size_t count;
};

/* Few rows: no unlabeled or normal ones: batches hold anomalies alone; no anomalies: the
 * loss over the other rows alone, which is Deep SVDD. A network with batch norm learns
 * nothing from a batch of one row: it is left out, as one row has no variance. */

/* Called after each epoch (or each step, without epochs) with the loss since the last
 * call (NaN: no batch could be used); and `cancelled` before each batch. Both may be
 * NULL. */
struct trainer_watch {
    void (*progress)(void *closure, size_t done, size_t total, double loss);
    bool (*cancelled)(void *closure);
    void *closure;
};

/* Minimises the mean squared error over all elements of a batch. Labels are not looked
 * at. */
int trainer_fit_autoencoder(struct network *autoencoder, const struct trainer_data *data,
                            const struct trainer_options *options, struct rng *rng,
                            const struct trainer_watch *watch,
                            struct deepsad_error *error);

/* Minimises the Deep SAD loss around the fixed center (encoder->outputs). */
int trainer_fit_deepsad(struct network *encoder, const float *center,
                        const struct trainer_data *data,
                        const struct trainer_options *options, struct rng *rng,
                        const struct trainer_watch *watch, struct deepsad_error *error);

/* Moves the running statistics of batch norm towards the data, so that a network that was
 * not pretrained has a meaningful center: `passes` forward passes of `batch` rows (fewer
 * where there are fewer) in training mode, learning nothing. Does nothing to a network
 * without batch norm, and by a single row, which has no variance. */
int trainer_warm(struct network *network, const struct trainer_data *data, size_t batch,
                 size_t passes, size_t threads, struct rng *rng,
                 struct deepsad_error *error);

/* Minimises the binary cross-entropy of a network of one output, the logit of being
 * anomalous: the supervised classifier of the paper's experiments. Unlabeled rows count
 * as normal; `loss`, `eta` and `trim` are not looked at. */
int trainer_fit_classifier(struct network *classifier, const struct trainer_data *data,
                           const struct trainer_options *options, struct rng *rng,
                           const struct trainer_watch *watch,
                           struct deepsad_error *error);

/* ---- Single steps: what the loops are made of ---- */

/* A network being trained by `options`: its tape, and Adam's moments. */
struct trainer;

/* `rows`: the largest batch. The network must outlive the trainer. */
int trainer_new(struct trainer **out, struct network *network,
                const struct trainer_options *options, size_t rows,
                struct deepsad_error *error);
void trainer_free(struct trainer *trainer);

/* One step of Adam on the batch x (rows, inputs), at least 1 row. Returns the loss before
 * the step. NaN, and nothing is learnt, for one row and a network with batch norm. */
double trainer_step_autoencoder(struct trainer *trainer, const float *x, size_t rows,
                                double learning_rate);
/* labels (rows) */
double trainer_step_deepsad(struct trainer *trainer, const float *center, const float *x,
                            const signed char *labels, size_t rows, double learning_rate);

/* labels (rows); of a network with one output */
double trainer_step_classifier(struct trainer *trainer, const float *x,
                               const signed char *labels, size_t rows,
                               double learning_rate);

/* The learning rate of step `step` of `steps`, `per_pass` to a pass. */
double trainer_learning_rate(const struct trainer_options *options, size_t step,
                             size_t steps, size_t per_pass);

#endif
