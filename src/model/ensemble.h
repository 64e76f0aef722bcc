/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two kinds of components made of networks: Deep SAD encoders (raw score: squared
 * distance to the center) and autoencoders (raw score: mean squared reconstruction
 * error). An ensemble of K members, each trained without its fold of the rows:
 *
 *     raw(x) = mean_k d_k(x) / m_k,  m_k = median of d_k over reference rows (K = 1: 1)
 */
#ifndef MODEL_ENSEMBLE_H
#define MODEL_ENSEMBLE_H

#include "base/setting.h"
#include "model/component.h"
#include "nn/folded.h"
#include "nn/network.h"

/* What its networks look like. */
struct ensemble_form {
    size_t inputs, member_count;
    struct architecture architecture;
    bool batch_norm;
};

struct ensemble_member {
    struct network *network; /* kept for the model file */
    struct folded *folded;   /* scores */
    float *center;           /* (representation), NULL in an autoencoder */
    float median;            /* m_k */
    float *unfolded;         /* raw scores of rows without a fold, during training */
};

struct ensemble {
    struct component component;
    struct ensemble_form form;
    struct ensemble_member *members;
    float *raw; /* (rows) by the member of each row's fold, during training */
};

extern const struct component_ops ensemble_networks;
extern const struct component_ops ensemble_autoencoder;

/* Members without networks yet; ops is one of the two. */
int ensemble_allocate(struct ensemble **out, const struct component_ops *ops,
                      const struct ensemble_form *form, struct deepsad_error *error);
/* The form that the plan gives it, to be trained. */
int ensemble_new(struct component **out, const struct component_ops *ops,
                 const struct plan *plan, size_t features, struct deepsad_error *error);

struct network_shape ensemble_shape(const struct ensemble *ensemble);
/* Bytes of scratch for scoring a block by one member, a multiple of SIMD_ALIGN. */
size_t ensemble_member_scratch(const struct ensemble_member *member);
/* raw (rows) by one member, not yet divided by its median; rows <= COMPONENT_BLOCK. */
void ensemble_member_raw(const struct ensemble_member *member, float *raw, const float *z,
                         size_t rows, float *scratch);

#endif
