/* SPDX-License-Identifier: Apache-2.0 */
#include "model/encode.h"

#include <stdlib.h>

#include "base/simd.h"
#include "model/model.h"

/* The component whose representation stands for the model: the networks, or what stands
 * for them, before the small autoencoder, as training adds them first; NULL where there
 * is no encoder. */
static const struct component *encode_component(const struct deepsad_model *model)
{
    for (size_t j = 0; j < model->component_count; j++) {
        if (model->components[j]->ops->encoder != NULL) {
            return model->components[j];
        }
    }
    return NULL;
}

size_t deepsad_model_code_width(const struct deepsad_model *model)
{
    const struct component *component = encode_component(model);
    return component == NULL ? 0 : component->ops->code_width(component);
}

static int encode_rows(const struct deepsad_model *model, const struct folded *encoder,
                       float *codes, const float *x, size_t rows,
                       struct deepsad_error *error)
{
    size_t z_size = simd_round_up(COMPONENT_BLOCK * model->features);
    size_t size = z_size + simd_round_up(folded_scratch(encoder));
    float *z = aligned_alloc(SIMD_ALIGN, size * sizeof *z);
    if (z == NULL) {
        return error_no_memory(error, "encoding");
    }
    for (size_t i = 0; i < rows; i += COMPONENT_BLOCK) {
        size_t count = rows - i < COMPONENT_BLOCK ? rows - i : COMPONENT_BLOCK;
        scaler_apply(&model->scaler, z, x + i * model->features, count);
        folded_forward(encoder, codes + i * folded_outputs(encoder), z, count,
                       z + z_size);
    }
    free(z);
    return DEEPSAD_OK;
}

int deepsad_encode(const struct deepsad_model *model, float *codes, const float *x,
                   size_t rows, struct deepsad_error *error)
{
    const struct component *component = encode_component(model);
    struct folded *encoder;
    if (component == NULL) {
        return error_set(error, DEEPSAD_UNSUPPORTED,
                         "the model has no encoder, only nearest neighbours; train it "
                         "with labelled anomalies, or with cold_start=networks");
    }
    int status = component->ops->encoder(component, &encoder, error);
    if (status == DEEPSAD_OK) {
        status = encode_rows(model, encoder, codes, x, rows, error);
        folded_free(encoder);
    }
    return status;
}
