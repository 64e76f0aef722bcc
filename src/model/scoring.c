/* SPDX-License-Identifier: Apache-2.0 */
#include "model/scoring.h"

#include <stdlib.h>

#include "base/simd.h"

struct deepsad_workspace {
    float *memory; /* SIMD_ALIGN */
    size_t size;   /* bytes */
};

/* Views into a workspace's memory. */
struct block {
    float *z;                         /* (COMPONENT_BLOCK, features) */
    float *raw[MODEL_COMPONENTS_MAX]; /* (COMPONENT_BLOCK) each */
    float *scratch;
};

struct deepsad_workspace *deepsad_workspace_new(void)
{
    return calloc(1, sizeof(struct deepsad_workspace));
}

void deepsad_workspace_free(struct deepsad_workspace *workspace)
{
    if (workspace != NULL) {
        free(workspace->memory);
        free(workspace);
    }
}

static size_t largest_scratch(const struct deepsad_model *model)
{
    size_t largest = 0;
    for (size_t j = 0; j < model->component_count; j++) {
        const struct component *component = model->components[j];
        size_t needed = component->ops->scratch(component);
        largest = needed > largest ? needed : largest;
    }
    return largest;
}

float *workspace_reserve(struct deepsad_workspace *workspace, size_t floats,
                         struct deepsad_error *error)
{
    if (workspace->size < floats * sizeof(float)) {
        float *memory = aligned_alloc(SIMD_ALIGN, simd_round_up(floats) * sizeof(float));
        if (memory == NULL) {
            error_no_memory(error, "scoring");
            return NULL;
        }
        free(workspace->memory);
        workspace->memory = memory;
        workspace->size = floats * sizeof(float);
    }
    return workspace->memory;
}

static int lay_out(struct block *block, struct deepsad_workspace *workspace,
                   const struct deepsad_model *model, struct deepsad_error *error)
{
    size_t rows = simd_round_up(COMPONENT_BLOCK * model->features);
    size_t raw = simd_round_up(COMPONENT_BLOCK);
    size_t floats =
        rows + MODEL_COMPONENTS_MAX * raw + simd_round_up(largest_scratch(model));
    block->z = workspace_reserve(workspace, floats, error);
    if (block->z == NULL) {
        return DEEPSAD_NO_MEMORY;
    }
    for (size_t j = 0; j < MODEL_COMPONENTS_MAX; j++) {
        block->raw[j] = block->z + rows + j * raw;
    }
    block->scratch = block->z + rows + MODEL_COMPONENTS_MAX * raw;
    return DEEPSAD_OK;
}

int deepsad_score(const struct deepsad_model *model, struct deepsad_workspace *workspace,
                  float *scores, float *p_values, const float *x, size_t rows,
                  struct deepsad_error *error)
{
    struct block block;
    int status = lay_out(&block, workspace, model, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    for (size_t i = 0; i < rows; i += COMPONENT_BLOCK) {
        size_t count = rows - i < COMPONENT_BLOCK ? rows - i : COMPONENT_BLOCK;
        scaler_apply(&model->scaler, block.z, x + i * model->features, count);
        for (size_t j = 0; j < model->component_count; j++) {
            const struct component *component = model->components[j];
            component->ops->score(component, block.raw[j], block.z, count, block.scratch);
        }
        model_blend(model, scores + i, block.raw, count);
        if (p_values != NULL) {
            calibration_p_values(&model->calibration, p_values + i, scores + i, count);
        }
    }
    return DEEPSAD_OK;
}
