/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member's median and scores are taken right after its training, in the same thread.
 * Members write to disjoint parts of the shared array of scores, so they need no lock.
 */
#include "model/ensemble_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"
#include "model/order.h"

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

/* Floor: a median of 0 (all rows on the center) must not divide. */
static int fit_median(const struct ensemble *ensemble, struct ensemble_member *member,
                      const struct training *training, struct deepsad_error *error)
{
    if (ensemble->form.member_count == 1 || training->references == 0) {
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

static double training_work(const struct trainer_options *options, size_t rows,
                            size_t params)
{
    size_t batch = options->batch + options->anomaly_batch;
    double seen = options->epochs > 0 ? (double)options->epochs * (double)rows
                                      : (double)options->steps * (double)batch;
    return seen * (double)params * 3; /* forward, two products backward */
}

static int pretrain(struct network *encoder, const struct ensemble *ensemble,
                    const struct training *training, const struct trainer_data *data,
                    size_t k, struct rng *rng, struct deepsad_error *error)
{
    struct network_shape shape = ensemble_shape(ensemble);
    struct network *autoencoder;
    int status = network_new_autoencoder(&autoencoder, &shape, true, rng, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    const struct trainer_options *options = &training->plan->pretrain_options;
    struct monitor_phase phase;
    monitor_phase_start(&phase, training->monitor, "pretrain", k,
                        ensemble->form.member_count,
                        training_work(options, data->count, autoencoder->param_count));
    phase.epochs = options->epochs > 0;
    status =
        trainer_fit_autoencoder(autoencoder, data, options, rng, &phase.watch, error);
    if (status == DEEPSAD_OK) {
        network_copy_encoder(encoder, autoencoder);
        monitor_phase_end(&phase);
    }
    network_free(autoencoder);
    return status;
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
    int status = trainer_center(member->center, member->network, &sample, error);
    free(index);
    return status;
}

static int fit_network(struct ensemble *ensemble, struct ensemble_member *member,
                       const struct training *training, const struct trainer_data *data,
                       size_t k, struct deepsad_error *error)
{
    struct network_shape shape = ensemble_shape(ensemble);
    struct rng rng;
    rng_init(&rng, training->seed, STREAM_NETWORKS + k);
    int status = network_new_encoder(&member->network, &shape, &rng, error);
    if (status == DEEPSAD_OK && training->plan->pretrain) {
        status = pretrain(member->network, ensemble, training, data, k, &rng, error);
    }
    if (status == DEEPSAD_OK) {
        status = fit_center(member, training, data, error);
    }
    if (status != DEEPSAD_OK) {
        return status;
    }
    const struct trainer_options *options = &training->plan->train_options;
    struct monitor_phase phase;
    monitor_phase_start(
        &phase, training->monitor, "train", k, ensemble->form.member_count,
        training_work(options, data->count, member->network->param_count));
    phase.epochs = options->epochs > 0;
    status = trainer_fit_deepsad(member->network, member->center, data, options, &rng,
                                 &phase.watch, error);
    if (status == DEEPSAD_OK) {
        monitor_phase_end(&phase);
    }
    return status;
}

static int fit_autoencoder(struct ensemble *ensemble, struct ensemble_member *member,
                           const struct training *training,
                           const struct trainer_data *data, size_t k,
                           struct deepsad_error *error)
{
    struct network_shape shape = ensemble_shape(ensemble);
    struct rng rng;
    rng_init(&rng, training->seed, STREAM_AUTOENCODER + k);
    int status = network_new_autoencoder(&member->network, &shape, false, &rng, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    const struct trainer_options *options = &training->plan->autoencoder_options;
    struct monitor_phase phase;
    monitor_phase_start(
        &phase, training->monitor, "autoencoder", k, ensemble->form.member_count,
        training_work(options, data->count, member->network->param_count));
    status = trainer_fit_autoencoder(member->network, data, options, &rng, &phase.watch,
                                     error);
    if (status == DEEPSAD_OK) {
        monitor_phase_end(&phase);
    }
    return status;
}

int ensemble_fit(struct component *component, const struct training *training, size_t k,
                 struct deepsad_error *error)
{
    struct ensemble *ensemble = (struct ensemble *)component;
    struct ensemble_member *member = &ensemble->members[k];
    bool autoencoder = component->ops == &ensemble_autoencoder;
    struct selection selection = {0};
    int status =
        select_rows(&selection, autoencoder ? SELECT_TRAINING_NORMALS : SELECT_TRAINING,
                    training, k, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct trainer_data data = {.rows = training->z,
                                .features = training->features,
                                .labels = training->labels,
                                .index = selection.index,
                                .count = selection.count};
    status = autoencoder ? fit_autoencoder(ensemble, member, training, &data, k, error)
                         : fit_network(ensemble, member, training, &data, k, error);
    free(selection.index);
    if (status == DEEPSAD_OK) {
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

double ensemble_work(const struct component *component, const struct training *training)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    const struct plan *plan = training->plan;
    size_t members = ensemble->form.member_count, params = 0;
    size_t rows = members > 1 ? training->rows * (members - 1) / members : training->rows;
    size_t inputs = ensemble->form.inputs;
    for (size_t i = 0; i < ensemble->form.architecture.encoder_count; i++) {
        params += inputs * ensemble->form.architecture.encoder[i].width;
        inputs = ensemble->form.architecture.encoder[i].width;
    }
    double work;
    if (component->ops == &ensemble_autoencoder) {
        work = training_work(&plan->autoencoder_options, rows, 2 * params);
    } else {
        work = training_work(&plan->train_options, rows, params);
        work +=
            plan->pretrain ? training_work(&plan->pretrain_options, rows, 2 * params) : 0;
    }
    return work * (double)members;
}

int ensemble_prepare(struct component *component, const struct training *training,
                     struct deepsad_error *error)
{
    struct ensemble *ensemble = (struct ensemble *)component;
    ensemble->raw = calloc(training->rows + 1, sizeof *ensemble->raw);
    return ensemble->raw == NULL ? error_no_memory(error, "scores") : DEEPSAD_OK;
}
