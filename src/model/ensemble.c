/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ensemble.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"
#include "model/ensemble_file.h"
#include "model/ensemble_fit.h"
#include "nn/folded_gradient.h"
#include "nn/metrics.h"

_Static_assert((int)COMPONENT_GRADIENT_ROWS == (int)FOLDED_GRADIENT_ROWS,
               "gradients of components are those of their networks");

/* ---- Scoring ---- */

void ensemble_member_raw(const struct ensemble_member *member, float *raw, const float *z,
                         size_t rows, float *scratch)
{
    if (member->center != NULL) {
        folded_distance(member->folded, member->center, raw, z, rows, scratch);
    } else {
        folded_reconstruction(member->folded, raw, z, rows, scratch);
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

static size_t ensemble_gradient_scratch(const struct component *component)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    return folded_gradient_scratch(ensemble->members[0].folded);
}

static void ensemble_gradient(const struct component *component, float *gradient,
                              float *raw, const float *z, float *scratch)
{
    const struct ensemble *ensemble = (const struct ensemble *)component;
    const struct folded_gradient out = {raw, gradient};
    size_t floats = ensemble->form.inputs * FOLDED_GRADIENT_ROWS;
    float share = 1 / (float)ensemble->form.member_count;
    memset(raw, 0, FOLDED_GRADIENT_ROWS * sizeof *raw);
    memset(gradient, 0, floats * sizeof *gradient);
    for (size_t k = 0; k < ensemble->form.member_count; k++) {
        const struct ensemble_member *member = &ensemble->members[k];
        float factor = share / member->median;
        if (member->center != NULL) {
            folded_distance_gradient(member->folded, member->center, &out, factor, z,
                                     scratch);
        } else {
            folded_reconstruction_gradient(member->folded, &out, factor, z, scratch);
        }
    }
}

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
                           z + i * ensemble->form.inputs, block, scratch);
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

static size_t ensemble_tasks(const struct component *component)
{
    return ((const struct ensemble *)component)->form.member_count;
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
    return (struct network_shape){
        .input = {ensemble->form.inputs, 1, 1},
        .architecture = &ensemble->form.architecture,
        .bias = ensemble->component.ops == &ensemble_autoencoder,
        .batch_norm = ensemble->form.batch_norm,
    };
}

size_t ensemble_member_scratch(const struct ensemble_member *member)
{
    size_t bytes = folded_scratch(member->folded) * sizeof(float);
    return (bytes + SIMD_ALIGN - 1) / SIMD_ALIGN * SIMD_ALIGN;
}

int ensemble_new(struct component **out, const struct component_ops *ops,
                 const struct plan *plan, size_t features, struct deepsad_error *error)
{
    bool autoencoder = ops == &ensemble_autoencoder;
    const struct setting_counts *widths =
        autoencoder ? &plan->autoencoder_hidden : &plan->hidden;
    struct ensemble_form form = {
        .inputs = features,
        .member_count = plan->members,
        .batch_norm = !autoencoder && plan->batch_norm,
    };
    architecture_dense(&form.architecture, widths->values, widths->count);
    struct ensemble *ensemble;
    int status = ensemble_allocate(&ensemble, ops, &form, error);
    if (status == DEEPSAD_OK) {
        ensemble->component.weight = autoencoder ? plan->autoencoder_weight : 1;
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

const struct component_ops ensemble_networks = {
    .kind = "networks",
    .tasks = ensemble_tasks,
    .work = ensemble_work,
    .prepare = ensemble_prepare,
    .fit = ensemble_fit,
    .finish = ensemble_finish,
    .scratch = ensemble_scratch,
    .score = ensemble_score,
    .member_score = ensemble_member_score,
    .gradient_scratch = ensemble_gradient_scratch,
    .gradient = ensemble_gradient,
    .entropy = ensemble_entropy,
    .describe = ensemble_describe,
    .save = ensemble_save,
    .free = ensemble_free,
};

const struct component_ops ensemble_autoencoder = {
    .kind = "autoencoder",
    .tasks = ensemble_tasks,
    .work = ensemble_work,
    .prepare = ensemble_prepare,
    .fit = ensemble_fit,
    .finish = ensemble_finish,
    .scratch = ensemble_scratch,
    .score = ensemble_score,
    .member_score = ensemble_member_score,
    .gradient_scratch = ensemble_gradient_scratch,
    .gradient = ensemble_gradient,
    .describe = ensemble_describe,
    .save = ensemble_save,
    .free = ensemble_free,
};
