/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ensemble.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"
#include "model/ensemble_file.h"
#include "model/ensemble_fit.h"
#include "model/ensemble_onnx.h"
#include "nn/folded_gradient.h"
#include "nn/metrics.h"

_Static_assert((int)COMPONENT_GRADIENT_ROWS == (int)FOLDED_GRADIENT_ROWS,
               "gradients of components are those of their networks");

/* ---- Scoring ---- */

/* log(1 + exp(logit)), at most FLT_MAX, never NaN. */
static float softplus(float logit)
{
    float value = fmaxf(logit, 0) + log1pf(expf(-fabsf(logit)));
    return value < FLT_MAX ? value : FLT_MAX;
}

static void score_logits(const struct folded *folded, float *raw, const float *z,
                         size_t rows, float *scratch)
{
    folded_forward(folded, raw, z, rows, scratch);
    for (size_t i = 0; i < rows; i++) {
        raw[i] = softplus(raw[i]);
    }
}

void ensemble_member_raw(const struct ensemble_member *member, float *raw, const float *z,
                         size_t rows, float *scratch)
{
    switch (member->output) {
    case ENSEMBLE_DISTANCE:
        folded_distance(member->folded, member->center, raw, z, rows, scratch);
        break;
    case ENSEMBLE_RECONSTRUCTION:
        folded_reconstruction(member->folded, raw, z, rows, scratch);
        break;
    case ENSEMBLE_LOGIT:
        score_logits(member->folded, raw, z, rows, scratch);
        break;
    }
}

static size_t ensemble_scratch(const struct component *component)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    return COMPONENT_BLOCK + folded_scratch(ensemble->members[0].folded);
}

static void ensemble_score(const struct component *component, float *raw, const float *z,
                           size_t rows, float *scratch)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    float *one = scratch; /* (COMPONENT_BLOCK) */
    float share = 1 / (float)ensemble->form.member_count;
    for (size_t k = 0; k < ensemble->form.member_count; k++) {
        const struct ensemble_member *member = &ensemble->members[k];
        ensemble_member_raw(member, one, z, rows, scratch + COMPONENT_BLOCK);
        float factor = share / member->median;
        for (size_t i = 0; i < rows; i++) {
            raw[i] = (k == 0 ? 0 : raw[i]) + one[i] * factor;
        }
    }
}

static void ensemble_member_score(const struct component *component, size_t k, float *raw,
                                  const float *z, size_t rows, float *scratch)
{
    const struct ensemble_member *member =
        &((const struct ensemble *)component)->members[k];
    ensemble_member_raw(member, raw, z, rows, scratch);
    for (size_t i = 0; i < rows; i++) {
        raw[i] /= member->median;
    }
}

/* ---- Gradients ---- */

static size_t ensemble_inputs(const struct ensemble *ensemble)
{
    return image_size(ensemble->form.input);
}

static size_t ensemble_gradient_scratch(const struct component *component)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    return folded_gradient_scratch(ensemble->members[0].folded);
}

/* Of a classifier: logits, their squared distances, these one's gradient, and the rest.
 */
static size_t logit_gradient_scratch(const struct component *component)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    size_t forward = folded_scratch(ensemble->members[0].folded);
    size_t backward = ensemble_gradient_scratch(component);
    return (2 + ensemble_inputs(ensemble)) * FOLDED_GRADIENT_ROWS +
           (forward > backward ? forward : backward);
}

/* The logit's gradient is that of its squared distance to a point below, divided by twice
 * the distance; softplus has the slope of a logistic function. */
static void add_logit_gradient(const struct ensemble *ensemble,
                               const struct ensemble_member *member,
                               const struct folded_gradient *out, float factor,
                               const float *z, float *scratch)
{
    size_t count = ensemble_inputs(ensemble) * FOLDED_GRADIENT_ROWS;
    float *logits = scratch, *squares = scratch + FOLDED_GRADIENT_ROWS;
    struct folded_gradient part = {squares, squares + FOLDED_GRADIENT_ROWS};
    float *rest = part.gradient + count, below = FLT_MAX;
    folded_forward(member->folded, logits, z, FOLDED_GRADIENT_ROWS, rest);
    for (size_t r = 0; r < FOLDED_GRADIENT_ROWS; r++) {
        below = fminf(below, logits[r] - 1);
    }
    memset(squares, 0, (FOLDED_GRADIENT_ROWS + count) * sizeof *squares);
    folded_distance_gradient(member->folded, &below, &part, 1, z, rest);
    for (size_t r = 0; r < FOLDED_GRADIENT_ROWS; r++) {
        float slope = 1 / (1 + expf(-logits[r]));
        out->value[r] += factor * softplus(logits[r]);
        squares[r] = factor * slope / (2 * (logits[r] - below));
    }
    for (size_t i = 0; i < count; i++) {
        out->gradient[i] += part.gradient[i] * squares[i % FOLDED_GRADIENT_ROWS];
    }
}

static void add_gradient(const struct ensemble *ensemble,
                         const struct ensemble_member *member,
                         const struct folded_gradient *out, float factor, const float *z,
                         float *scratch)
{
    switch (member->output) {
    case ENSEMBLE_DISTANCE:
        folded_distance_gradient(member->folded, member->center, out, factor, z, scratch);
        break;
    case ENSEMBLE_RECONSTRUCTION:
        folded_reconstruction_gradient(member->folded, out, factor, z, scratch);
        break;
    case ENSEMBLE_LOGIT:
        add_logit_gradient(ensemble, member, out, factor, z, scratch);
        break;
    }
}

static void ensemble_gradient(const struct component *component, float *gradient,
                              float *raw, const float *z, float *scratch)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    const struct folded_gradient out = {raw, gradient};
    size_t floats = ensemble_inputs(ensemble) * FOLDED_GRADIENT_ROWS;
    float share = 1 / (float)ensemble->form.member_count;
    memset(raw, 0, FOLDED_GRADIENT_ROWS * sizeof *raw);
    memset(gradient, 0, floats * sizeof *gradient);
    for (size_t k = 0; k < ensemble->form.member_count; k++) {
        const struct ensemble_member *member = &ensemble->members[k];
        add_gradient(ensemble, member, &out, share / member->median, z, scratch);
    }
}

/* ---- The latent space ---- */

static int ensemble_entropy(const struct component *component, double *entropy,
                            const float *z, size_t rows, struct deepsad_error *error)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    size_t outputs = architecture_outputs(&ensemble->form.architecture);
    float *latent = calloc(rows + 1, outputs * sizeof *latent);
    float *scratch =
        aligned_alloc(SIMD_ALIGN, ensemble_member_scratch(&ensemble->members[0]));
    int status = latent == NULL || scratch == NULL
                     ? error_no_memory(error, "latent entropies")
                     : DEEPSAD_OK;
    double sum = 0;
    for (size_t k = 0; k < ensemble->form.member_count && status == DEEPSAD_OK; k++) {
        for (size_t i = 0; i < rows; i += FOLDED_BLOCK) {
            size_t block = rows - i < FOLDED_BLOCK ? rows - i : FOLDED_BLOCK;
            folded_forward(ensemble->members[k].folded, latent + i * outputs,
                           z + i * ensemble_inputs(ensemble), block, scratch);
        }
        double one = (double)NAN;
        status = metrics_gaussian_entropy(&one, latent, rows, outputs, error);
        sum += one;
    }
    free(scratch);
    free(latent);
    if (status == DEEPSAD_OK) {
        *entropy = sum / (double)ensemble->form.member_count;
    }
    return status;
}

static size_t ensemble_code_width(const struct component *component)
{
    return architecture_outputs(&((const struct ensemble *)component)->form.architecture);
}

/* The encoder comes first in every network that is made of it. */
static int ensemble_encoder(const struct component *component, struct folded **out,
                            struct deepsad_error *error)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    struct network_shape shape = ensemble_shape(ensemble);
    struct network *encoder;
    struct rng rng; /* the weights it draws are overwritten */
    rng_init(&rng, 0, 0);
    int status = network_new_encoder(&encoder, &shape, &rng, error);
    if (status == DEEPSAD_OK) {
        network_copy_encoder(encoder, ensemble->members[0].network);
        status = folded_from_network(out, encoder, error);
        network_free(encoder);
    }
    return status;
}

static size_t ensemble_tasks(const struct component *component)
{
    return ((const struct ensemble *)component)->form.member_count;
}

/* Only layers on images run in several threads. */
static bool ensemble_threaded(const struct component *component)
{
    return ensemble_is_convolutional((const struct ensemble *)component);
}

/* ---- Construction ---- */

int ensemble_allocate(struct ensemble **out, const struct component_ops *ops,
                      const struct ensemble_form *form, struct deepsad_error *error)
{
    struct ensemble *ensemble = calloc(1, sizeof *ensemble);
    struct ensemble_member *members = calloc(form->member_count, sizeof *members);
    if (ensemble == NULL || members == NULL) {
        free(ensemble);
        free(members);
        return error_no_memory(error, "an ensemble");
    }
    for (size_t k = 0; k < form->member_count; k++) {
        members[k].output = ensemble_output(ops);
        members[k].median = 1;
    }
    ensemble->component = (struct component){.ops = ops, .weight = 1};
    ensemble->form = *form;
    ensemble->members = members;
    *out = ensemble;
    return DEEPSAD_OK;
}

struct network_shape ensemble_shape(const struct ensemble *ensemble)
{
    return (struct network_shape){.input = ensemble->form.input,
                                  .architecture = &ensemble->form.architecture,
                                  .bias = ensemble->form.bias,
                                  .batch_norm = ensemble->form.batch_norm};
}

int ensemble_new_network(struct network **out, const struct ensemble *ensemble,
                         struct rng *rng, struct deepsad_error *error)
{
    struct network_shape shape = ensemble_shape(ensemble);
    switch (ensemble_output(ensemble->component.ops)) {
    case ENSEMBLE_RECONSTRUCTION:
        return network_new_autoencoder(out, &shape, ensemble->form.sigmoid, rng, error);
    case ENSEMBLE_LOGIT:
        return network_new_classifier(out, &shape, rng, error);
    case ENSEMBLE_DISTANCE:
        break;
    }
    return network_new_encoder(out, &shape, rng, error);
}

bool ensemble_is_convolutional(const struct ensemble *ensemble)
{
    return ensemble->form.input.height * ensemble->form.input.width > 1;
}

size_t ensemble_member_scratch(const struct ensemble_member *member)
{
    return simd_round_up(folded_scratch(member->folded)) * sizeof(float);
}

enum ensemble_output ensemble_output(const struct component_ops *ops)
{
    return ops == &ensemble_networks     ? ENSEMBLE_DISTANCE
           : ops == &ensemble_classifier ? ENSEMBLE_LOGIT
                                         : ENSEMBLE_RECONSTRUCTION;
}

static void plan_form(struct ensemble_form *form, const struct component_ops *ops,
                      const struct plan *plan, size_t features)
{
    *form = (struct ensemble_form){.member_count = plan->members};
    if (ops == &ensemble_autoencoder) {
        form->input = (struct image_shape){features, 1, 1};
        form->bias = true;
        architecture_dense(&form->architecture, plan->autoencoder_hidden.values,
                           plan->autoencoder_hidden.count);
    } else {
        form->input = plan->input;
        form->architecture = plan->network;
        form->batch_norm = plan->batch_norm;
        form->bias = plan->bias;
        form->sigmoid = plan->sigmoid && ops == &ensemble_reconstruction;
    }
}

int ensemble_new(struct component **out, const struct component_ops *ops,
                 const struct plan *plan, size_t features, struct deepsad_error *error)
{
    struct ensemble_form form;
    struct ensemble *ensemble;
    plan_form(&form, ops, plan, features);
    int status = ensemble_allocate(&ensemble, ops, &form, error);
    if (status == DEEPSAD_OK) {
        bool beside = ops == &ensemble_autoencoder;
        ensemble->component.weight = beside ? plan->autoencoder_weight : 1;
        *out = &ensemble->component;
    }
    return status;
}

static void ensemble_free(struct component *component)
{
    struct ensemble *ensemble = (struct ensemble *)component;
    for (size_t k = 0; k < ensemble->form.member_count; k++) {
        struct ensemble_member *member = &ensemble->members[k];
        network_free(member->network);
        folded_free(member->folded);
        free(member->center);
        free(member->unfolded);
    }
    free(ensemble->members);
    free(ensemble->raw);
    free(ensemble);
}

/* What all kinds have in common. */
#define ENSEMBLE_OPS                                                               \
    .tasks = ensemble_tasks, .work = ensemble_work, .threaded = ensemble_threaded, \
    .prepare = ensemble_prepare, .fit = ensemble_fit, .finish = ensemble_finish,   \
    .scratch = ensemble_scratch, .score = ensemble_score,                          \
    .member_score = ensemble_member_score, .gradient = ensemble_gradient,          \
    .code_width = ensemble_code_width, .encoder = ensemble_encoder,                \
    .describe = ensemble_describe, .save = ensemble_save, .onnx = ensemble_onnx,   \
    .free = ensemble_free

const struct component_ops ensemble_networks = {
    .kind = "networks",
    .gradient_scratch = ensemble_gradient_scratch,
    .entropy = ensemble_entropy,
    ENSEMBLE_OPS,
};

const struct component_ops ensemble_reconstruction = {
    .kind = "reconstruction",
    .gradient_scratch = ensemble_gradient_scratch,
    ENSEMBLE_OPS,
};

const struct component_ops ensemble_classifier = {
    .kind = "classifier",
    .gradient_scratch = logit_gradient_scratch,
    ENSEMBLE_OPS,
};

const struct component_ops ensemble_autoencoder = {
    .kind = "autoencoder",
    .gradient_scratch = ensemble_gradient_scratch,
    ENSEMBLE_OPS,
};
