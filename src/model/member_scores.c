/* SPDX-License-Identifier: Apache-2.0 */
#include "model/member_scores.h"

#include <stdlib.h>
#include <string.h>

#include "base/simd.h"

size_t member_scores_members(const struct deepsad_model *model)
{
    for (size_t j = 0; j < model->component_count; j++) {
        const struct component *component = model->components[j];
        if (component->ops->member_score != NULL) {
            return component->ops->tasks(component);
        }
    }
    return 0;
}

static void score_block(const struct component *component, size_t k, float *raw,
                        const float *z, size_t rows, float *scratch)
{
    if (component->ops->member_score == NULL || k == MEMBER_SCORES_ALL) {
        component->ops->score(component, raw, z, rows, scratch);
    } else {
        component->ops->member_score(component, k, raw, z, rows, scratch);
    }
}

/* All rows, in the order they stand. */
static void score_all(struct member_scores *scores, size_t j, size_t k)
{
    const struct training *training = scores->training;
    for (size_t i = 0; i < training->rows; i += COMPONENT_BLOCK) {
        size_t left = training->rows - i;
        score_block(scores->model->components[j], k, scores->raw[j] + i,
                    training->z + i * training->features,
                    left < COMPONENT_BLOCK ? left : COMPONENT_BLOCK, scores->scratch);
    }
}

static size_t scratch_bytes(const struct deepsad_model *model)
{
    size_t largest = 0;
    for (size_t j = 0; j < model->component_count; j++) {
        size_t needed = model->components[j]->ops->scratch(model->components[j]);
        largest = needed > largest ? needed : largest;
    }
    return (largest * sizeof(float) / SIMD_ALIGN + 1) * SIMD_ALIGN;
}

int member_scores_new(struct member_scores *out, const struct deepsad_model *model,
                      const struct training *training, struct deepsad_error *error)
{
    struct member_scores scores = {.model = model, .training = training};
    size_t stride = training->rows + 1;
    float *raw = calloc(model->component_count * stride, sizeof *raw);
    scores.rows = calloc(COMPONENT_BLOCK, training->features * sizeof *scores.rows);
    scores.scratch = aligned_alloc(SIMD_ALIGN, scratch_bytes(model));
    scores.raw[0] = raw;
    if (raw == NULL || scores.rows == NULL || scores.scratch == NULL) {
        member_scores_done(&scores);
        return error_no_memory(error, "scores of training rows");
    }
    for (size_t j = 0; j < model->component_count; j++) {
        scores.raw[j] = raw + j * stride;
        if (model->components[j]->ops->member_score == NULL) {
            score_all(&scores, j, MEMBER_SCORES_ALL);
        }
    }
    *out = scores;
    return DEEPSAD_OK;
}

void member_scores_done(struct member_scores *scores)
{
    free(scores->raw[0]); /* the block that all of them lie in */
    free(scores->rows);
    free(scores->scratch);
    *scores = (struct member_scores){0};
}

void member_scores_by(struct member_scores *scores, size_t k)
{
    for (size_t j = 0; j < scores->model->component_count; j++) {
        if (scores->model->components[j]->ops->member_score != NULL) {
            score_all(scores, j, k);
        }
    }
}

/* One block of rows of fold k, gathered from the list. */
static void score_list(struct member_scores *scores, size_t k, const size_t *list,
                       size_t count)
{
    const struct training *training = scores->training;
    size_t features = training->features;
    float raw[COMPONENT_BLOCK];
    for (size_t i = 0; i < count; i++) {
        memcpy(scores->rows + i * features, training->z + list[i] * features,
               features * sizeof *scores->rows);
    }
    for (size_t j = 0; j < scores->model->component_count; j++) {
        const struct component *component = scores->model->components[j];
        if (component->ops->member_score == NULL) {
            continue;
        }
        score_block(component, k, raw, scores->rows, count, scores->scratch);
        for (size_t i = 0; i < count; i++) {
            scores->raw[j][list[i]] = raw[i];
        }
    }
}

static void score_fold(struct member_scores *scores, size_t k)
{
    const struct training *training = scores->training;
    size_t list[COMPONENT_BLOCK], count = 0;
    for (size_t i = 0; i < training->rows; i++) {
        if (training->folds.of[i] == k) {
            list[count++] = i;
        }
        if (count == COMPONENT_BLOCK) {
            score_list(scores, k, list, count);
            count = 0;
        }
    }
    if (count > 0) {
        score_list(scores, k, list, count);
    }
}

int member_scores_fit(struct member_scores *out, const struct deepsad_model *model,
                      const struct training *training, struct deepsad_error *error)
{
    int status = member_scores_new(out, model, training, error);
    size_t members = member_scores_members(model);
    for (size_t k = 0; k < members && status == DEEPSAD_OK; k++) {
        score_fold(out, k);
    }
    if (status == DEEPSAD_OK && members > 0) {
        score_fold(out, MEMBER_SCORES_ALL);
    }
    return status;
}
