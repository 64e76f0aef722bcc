/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member's median and scores are taken right after its training, in the same thread.
 * Members write to disjoint parts of the shared array of scores, so they need no lock.
 */
#include "model/ensemble_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/simd.h"
#include "model/network_cost.h"
#include "model/order.h"
#include "nn/center.h"

/* Medians are taken over at most so many rows. */
enum { ENSEMBLE_MEDIAN_ROWS = 8192 };

/* Streams of randomness; a member's is apart from every other's. */
enum { STREAM_NETWORKS = 0x100, STREAM_AUTOENCODER = 0x200 };

/* Rows as a list of indices. */
struct selection {
    size_t count;
    size_t *index;
};

enum selection_kind {
    SELECT_TRAINING,         /* all but the member's fold */
    SELECT_TRAINING_NORMALS, /* the same without labelled anomalies */
    SELECT_OWN,              /* the member's fold */
    SELECT_UNFOLDED,         /* rows in no fold whose scores are asked for */
};

static bool selects(enum selection_kind kind, const struct training *training,
                    size_t member, size_t row)
{
    unsigned char fold = training->folds.of[row];
    switch (kind) {
    case SELECT_TRAINING:
        return fold != member;
    case SELECT_TRAINING_NORMALS:
        return fold != member && training->labels[row] >= 0;
    case SELECT_OWN:
        return fold == member;
    case SELECT_UNFOLDED:
        break;
    }
    return fold == FOLD_NONE &&
           (training->labels[row] != 0 || training->folds.basis == FOLD_IN_SAMPLE);
}

/* An autoencoder has no use for anomalies. */
static enum selection_kind training_rows_of(const struct component_ops *ops)
{
    return ensemble_output(ops) == ENSEMBLE_RECONSTRUCTION ? SELECT_TRAINING_NORMALS
                                                           : SELECT_TRAINING;
}

static size_t count_rows(enum selection_kind kind, const struct training *training,
                         size_t member)
{
    size_t count = 0;
    for (size_t i = 0; i < training->rows; i++) {
        count += selects(kind, training, member, i);
    }
    return count;
}

static int select_rows(struct selection *out, enum selection_kind kind,
                       const struct training *training, size_t member,
                       struct deepsad_error *error)
{
    struct selection selection = {.index = malloc((training->rows + 1) * sizeof(size_t))};
    if (selection.index == NULL) {
        return error_no_memory(error, "row indices");
    }
    for (size_t i = 0; i < training->rows; i++) {
        if (selects(kind, training, member, i)) {
            selection.index[selection.count++] = i;
        }
    }
    *out = selection;
    return DEEPSAD_OK;
}

/* Reference rows, evenly spread, at most ENSEMBLE_MEDIAN_ROWS. */
static int select_for_median(struct selection *out, const struct training *training,
                             struct deepsad_error *error)
{
    size_t stride = training->references / ENSEMBLE_MEDIAN_ROWS + 1;
    size_t count = (training->references + stride - 1) / stride;
    struct selection selection = {count, malloc((count + 1) * sizeof(size_t))};
    if (selection.index == NULL) {
        return error_no_memory(error, "row indices");
    }
    for (size_t i = 0; i < count; i++) {
        selection.index[i] = i * stride;
    }
    *out = selection;
    return DEEPSAD_OK;
}

/* raw (selection->count) */
static int score_selection(const struct ensemble_member *member, float *raw,
                           const struct training *training,
                           const struct selection *selection, struct deepsad_error *error)
{
    size_t features = training->features;
    float *rows = calloc(COMPONENT_BLOCK, features * sizeof *rows);
    float *scratch = aligned_alloc(SIMD_ALIGN, ensemble_member_scratch(member));
    if (rows == NULL || scratch == NULL) {
        free(rows);
        free(scratch);
        return error_no_memory(error, "scoring");
    }
    for (size_t i = 0; i < selection->count; i += COMPONENT_BLOCK) {
        size_t left = selection->count - i;
        size_t block = left < COMPONENT_BLOCK ? left : COMPONENT_BLOCK;
        for (size_t j = 0; j < block; j++) {
            memcpy(rows + j * features, training->z + selection->index[i + j] * features,
                   features * sizeof *rows);
        }
        ensemble_member_raw(member, raw + i, rows, block, scratch);
    }
    free(rows);
    free(scratch);
    return DEEPSAD_OK;
}

/* Floor: a median of 0 (all rows on the center) must not divide. A single member needs no
 * median, but a classifier's scores of normal rows are all near 0, where the normaliser
 * (model/component.h) no longer tells them apart. */
static int fit_median(const struct ensemble *ensemble, struct ensemble_member *member,
                      const struct training *training, struct deepsad_error *error)
{
    bool alone = ensemble->form.member_count == 1 &&
                 (member->output != ENSEMBLE_LOGIT || training->plan->raw);
    if (alone || training->references == 0) {
        return DEEPSAD_OK;
    }
    struct selection selection = {0};
    int status = select_for_median(&selection, training, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    float *raw = malloc((selection.count + 1) * sizeof *raw);
    uint32_t *order = NULL;
    status = raw == NULL ? error_no_memory(error, "a median") : DEEPSAD_OK;
    if (status == DEEPSAD_OK) {
        status = score_selection(member, raw, training, &selection, error);
    }
    if (status == DEEPSAD_OK) {
        for (size_t i = 0; i < selection.count; i++) {
            raw[i] = component_clamp(raw[i]);
        }
        status = order_ascending(&order, raw, selection.count, error);
    }
    if (status == DEEPSAD_OK) {
        double median = order_quantile(raw, order, selection.count, 0.5);
        member->median = fmaxf((float)median, 1e-12F);
    }
    free(order);
    free(raw);
    free(selection.index);
    return status;
}

/* The scores that calibrate: of the member's fold, and its part of the unfolded rows. */
static int score_own(struct ensemble *ensemble, struct ensemble_member *member,
                     const struct training *training, size_t k,
                     struct deepsad_error *error)
{
    struct selection own = {0}, unfolded = {0};
    float *raw = NULL;
    int status = select_rows(&own, SELECT_OWN, training, k, error);
    if (status == DEEPSAD_OK) {
        status = select_rows(&unfolded, SELECT_UNFOLDED, training, k, error);
    }
    if (status == DEEPSAD_OK) {
        raw = malloc((own.count + 1) * sizeof *raw);
        member->unfolded = malloc((unfolded.count + 1) * sizeof *member->unfolded);
        status = raw == NULL || member->unfolded == NULL
                     ? error_no_memory(error, "scores")
                     : DEEPSAD_OK;
    }
    if (status == DEEPSAD_OK) {
        status = score_selection(member, raw, training, &own, error);
    }
    if (status == DEEPSAD_OK) {
        status = score_selection(member, member->unfolded, training, &unfolded, error);
    }
    for (size_t i = 0; i < own.count && status == DEEPSAD_OK; i++) {
        ensemble->raw[own.index[i]] = raw[i] / member->median; /* rows no one else has */
    }
    free(raw);
    free(own.index);
    free(unfolded.index);
    return status;
}

/* Products of the ensemble's network with so many rows as training sees. */
static double training_work(const struct ensemble *ensemble, bool decoder,
                            const struct trainer_options *options, size_t rows)
{
    const struct ensemble_form *form = &ensemble->form;
    size_t batch = options->batch + options->anomaly_batch;
    double seen = options->epochs > 0 ? (double)options->epochs * (double)rows
                                      : (double)options->steps * (double)batch;
    struct network_cost cost = {0}; /* of what the plan has checked */
    network_cost_architecture(&cost, &form->architecture, form->input, decoder, NULL);
    return seen * cost.products * 3; /* forward, two products backward */
}

/* Where a phase of training takes place. */
struct place {
    const struct ensemble *ensemble;
    const struct training *training;
    const struct trainer_data *data;
    size_t member;
};

static void start_phase(struct monitor_phase *phase, const struct place *place,
                        const char *name, bool decoder,
                        const struct trainer_options *options)
{
    double work = training_work(place->ensemble, decoder, options, place->data->count);
    monitor_phase_start(phase, place->training->monitor, name, place->member,
                        place->ensemble->form.member_count, work);
    phase->epochs = options->epochs > 0;
}

static struct trainer_options with_threads(const struct trainer_options *options,
                                           const struct place *place)
{
    struct trainer_options own = *options;
    bool several = ensemble_is_convolutional(place->ensemble);
    own.threads = several ? place->training->threads : 1;
    return own;
}

static int fit_autoencoder(struct network *autoencoder, const struct place *place,
                           const char *name, const struct trainer_options *options,
                           struct rng *rng, struct deepsad_error *error)
{
    struct trainer_options own = with_threads(options, place);
    struct monitor_phase phase;
    start_phase(&phase, place, name, true, options);
    int status =
        trainer_fit_autoencoder(autoencoder, place->data, &own, rng, &phase.watch, error);
    if (status == DEEPSAD_OK) {
        monitor_phase_end(&phase);
    }
    return status;
}

static int pretrain(struct network *encoder, const struct place *place, struct rng *rng,
                    struct deepsad_error *error)
{
    const struct plan *plan = place->training->plan;
    struct network_shape shape = ensemble_shape(place->ensemble);
    struct network *autoencoder;
    int status = network_new_autoencoder(&autoencoder, &shape, plan->sigmoid, rng, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    status = fit_autoencoder(autoencoder, place, "pretrain", &plan->pretrain_options, rng,
                             error);
    if (status == DEEPSAD_OK) {
        network_copy_encoder(encoder, autoencoder);
    }
    network_free(autoencoder);
    return status;
}

/* BatchNorm knows nothing yet of rows where nothing was pretrained. */
static int warm(struct network *encoder, const struct place *place, struct rng *rng,
                struct deepsad_error *error)
{
    const struct plan *plan = place->training->plan;
    if (!plan->batch_norm || plan->warm == 0) {
        return DEEPSAD_OK;
    }
    struct trainer_options options = with_threads(&plan->train_options, place);
    return trainer_warm(encoder, place->data, options.batch, plan->warm, options.threads,
                        rng, error);
}

static int fit_center(struct ensemble_member *member, const struct training *training,
                      const struct trainer_data *data, struct deepsad_error *error)
{
    size_t wanted = training->plan->center_rows;
    size_t stride = wanted == 0 || wanted >= data->count ? 1 : data->count / wanted;
    struct trainer_data sample = *data;
    size_t *index = malloc((data->count / stride + 1) * sizeof *index);
    member->center = calloc(member->network->outputs, sizeof *member->center);
    if (index == NULL || member->center == NULL) {
        free(index);
        return error_no_memory(error, "a center");
    }
    sample.count = 0;
    for (size_t i = 0; i < data->count; i += stride) {
        index[sample.count++] = data->index[i];
    }
    sample.index = index;
    int status = center_fit(member->center, member->network, &sample, error);
    free(index);
    return status;
}

static int fit_deepsad(struct ensemble_member *member, const struct place *place,
                       struct rng *rng, struct deepsad_error *error)
{
    const struct plan *plan = place->training->plan;
    int status = plan->pretrain ? pretrain(member->network, place, rng, error)
                                : warm(member->network, place, rng, error);
    if (status == DEEPSAD_OK) {
        status = fit_center(member, place->training, place->data, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct trainer_options options = with_threads(&plan->train_options, place);
    struct monitor_phase phase;
    start_phase(&phase, place, "train", false, &options);
    status = trainer_fit_deepsad(member->network, member->center, place->data, &options,
                                 rng, &phase.watch, error);
    if (status == DEEPSAD_OK) {
        monitor_phase_end(&phase);
    }
    return status;
}

static int fit_classifier(struct ensemble_member *member, const struct place *place,
                          struct rng *rng, struct deepsad_error *error)
{
    struct trainer_options options =
        with_threads(&place->training->plan->train_options, place);
    struct monitor_phase phase;
    start_phase(&phase, place, "train", false, &options);
    int status = trainer_fit_classifier(member->network, place->data, &options, rng,
                                        &phase.watch, error);
    if (status == DEEPSAD_OK) {
        monitor_phase_end(&phase);
    }
    return status;
}

/* One that was trained elsewhere. */
static int take_given(struct ensemble_member *member, const struct place *place,
                      const struct training_given *given, struct deepsad_error *error)
{
    struct network *network = member->network;
    memcpy(network->params, given->network->params,
           network->param_count * sizeof *network->params);
    if (network->state_count > 0) {
        memcpy(network->state, given->network->state,
               network->state_count * sizeof *network->state);
    }
    if (given->center == NULL) {
        return fit_center(member, place->training, place->data, error);
    }
    member->center = malloc(network->outputs * sizeof *member->center);
    if (member->center == NULL) {
        return error_no_memory(error, "a center");
    }
    memcpy(member->center, given->center, network->outputs * sizeof *member->center);
    return DEEPSAD_OK;
}

static int fit_member(struct ensemble *ensemble, struct ensemble_member *member,
                      const struct place *place, struct deepsad_error *error)
{
    const struct plan *plan = place->training->plan;
    bool beside = ensemble->component.ops == &ensemble_autoencoder;
    const struct training_given *given = place->training->given;
    struct rng rng;
    rng_init(&rng, place->training->seed,
             (beside ? STREAM_AUTOENCODER : STREAM_NETWORKS) + place->member);
    int status = ensemble_new_network(&member->network, ensemble, &rng, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    switch (member->output) {
    case ENSEMBLE_RECONSTRUCTION:
        return fit_autoencoder(
            member->network, place, "autoencoder",
            beside ? &plan->autoencoder_options : &plan->pretrain_options, &rng, error);
    case ENSEMBLE_LOGIT:
        return fit_classifier(member, place, &rng, error);
    case ENSEMBLE_DISTANCE:
        break;
    }
    return given != NULL ? take_given(member, place, given, error)
                         : fit_deepsad(member, place, &rng, error);
}

int ensemble_fit(struct component *component, const struct training *training, size_t k,
                 struct deepsad_error *error)
{
    struct ensemble *ensemble = (struct ensemble *)component;
    struct ensemble_member *member = &ensemble->members[k];
    struct selection selection = {0};
    int status =
        select_rows(&selection, training_rows_of(component->ops), training, k, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct trainer_data data = {.rows = training->z,
                                .features = training->features,
                                .labels = training->labels,
                                .index = selection.index,
                                .count = selection.count};
    struct place place = {ensemble, training, &data, k};
    status = fit_member(ensemble, member, &place, error);
    free(selection.index);
    if (status == DEEPSAD_OK) {
        network_end_training(member->network);
        status = folded_from_network(&member->folded, member->network, error);
    }
    if (status == DEEPSAD_OK) {
        status = fit_median(ensemble, member, training, error);
    }
    return status != DEEPSAD_OK ? status
                                : score_own(ensemble, member, training, k, error);
}

int ensemble_finish(struct component *component, const struct training *training,
                    float *raw, struct deepsad_error *error)
{
    struct ensemble *ensemble = (struct ensemble *)component;
    struct selection unfolded = {0};
    int status = select_rows(&unfolded, SELECT_UNFOLDED, training, 0, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    memcpy(raw, ensemble->raw, training->rows * sizeof *raw);
    for (size_t i = 0; i < unfolded.count; i++) {
        float sum = 0;
        for (size_t k = 0; k < ensemble->form.member_count; k++) {
            sum += ensemble->members[k].unfolded[i] / ensemble->members[k].median;
        }
        raw[unfolded.index[i]] = sum / (float)ensemble->form.member_count;
    }
    free(unfolded.index);
    free(ensemble->raw);
    ensemble->raw = NULL;
    for (size_t k = 0; k < ensemble->form.member_count; k++) {
        free(ensemble->members[k].unfolded);
        ensemble->members[k].unfolded = NULL;
    }
    return DEEPSAD_OK;
}

/* Of one member. */
static double member_work(const struct ensemble *ensemble,
                          const struct training *training, size_t k)
{
    const struct plan *plan = training->plan;
    const struct component_ops *ops = ensemble->component.ops;
    size_t rows = count_rows(training_rows_of(ops), training, k);
    if (ops == &ensemble_autoencoder) {
        return training_work(ensemble, true, &plan->autoencoder_options, rows);
    }
    if (ops == &ensemble_reconstruction) {
        return training_work(ensemble, true, &plan->pretrain_options, rows);
    }
    double work = training_work(ensemble, false, &plan->train_options, rows);
    return plan->pretrain
               ? work + training_work(ensemble, true, &plan->pretrain_options, rows)
               : work;
}

double ensemble_work(const struct component *component, const struct training *training)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    double work = 0;
    for (size_t k = 0; k < ensemble->form.member_count; k++) {
        work += member_work(ensemble, training, k);
    }
    return work;
}

/* Whether a phase of training fits into the machine. */
static int check_memory(const struct ensemble *ensemble, bool decoder,
                        const struct trainer_options *options, size_t rows,
                        struct deepsad_error *error)
{
    const struct ensemble_form *form = &ensemble->form;
    size_t batch = options->batch < rows ? options->batch : rows;
    struct network_cost cost = {0}; /* of what the plan has checked */
    network_cost_architecture(&cost, &form->architecture, form->input, decoder, NULL);
    double needed = network_cost_memory(&cost, batch), total = memory_total();
    if (needed <= total) {
        return DEEPSAD_OK;
    }
    const double gib = 1 << 30;
    return error_set(error, DEEPSAD_NO_MEMORY,
                     "network: training it with batches of %zu rows takes about %.3g GiB "
                     "of memory, and there are %.3g: give it fewer channels, pool "
                     "earlier, or set a smaller batch",
                     batch, needed / gib, total / gib);
}

static int check_phases(const struct ensemble *ensemble, const struct training *training,
                        struct deepsad_error *error)
{
    const struct plan *plan = training->plan;
    const struct component_ops *ops = ensemble->component.ops;
    size_t rows = count_rows(training_rows_of(ops), training, 0);
    if (ops == &ensemble_autoencoder) {
        return check_memory(ensemble, true, &plan->autoencoder_options, rows, error);
    }
    int status = DEEPSAD_OK;
    if (plan->pretrain || ops == &ensemble_reconstruction) {
        status = check_memory(ensemble, true, &plan->pretrain_options, rows, error);
    }
    return status == DEEPSAD_OK && ops != &ensemble_reconstruction
               ? check_memory(ensemble, false, &plan->train_options, rows, error)
               : status;
}

int ensemble_prepare(struct component *component, const struct training *training,
                     struct deepsad_error *error)
{
    struct ensemble *ensemble = (struct ensemble *)component;
    int status = check_phases(ensemble, training, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    ensemble->raw = calloc(training->rows + 1, sizeof *ensemble->raw);
    return ensemble->raw == NULL ? error_no_memory(error, "scores") : DEEPSAD_OK;
}
