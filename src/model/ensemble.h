/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of components made of networks. By what their members' output says of a row:
 *
 *     distance        d = |phi(x) - c|^2: Deep SAD's encoders ("networks")
 *     reconstruction  d = mean_j (x_j - y_j)^2: the small autoencoder beside other
 *                     components ("autoencoder"), and the autoencoder of the encoder
 *                     that is to be compared with Deep SAD ("reconstruction")
 *     logit           d = log(1 + exp(y)): the encoder with a logit of being anomalous,
 *                     to be compared with Deep SAD ("classifier")
 *
 * An ensemble of K members, each trained without its fold of the rows:
 *
 *     raw(x) = mean_k d_k(x) / m_k,  m_k = median of d_k over reference rows (K = 1: 1,
 *                                          but for a classifier's normalised score)
 */
#ifndef MODEL_ENSEMBLE_H
#define MODEL_ENSEMBLE_H

#include "base/setting.h"
#include "model/component.h"
#include "nn/folded.h"
#include "nn/network.h"

enum ensemble_output { ENSEMBLE_DISTANCE, ENSEMBLE_RECONSTRUCTION, ENSEMBLE_LOGIT };

/* What its networks look like. */
struct ensemble_form {
    struct image_shape input; /* (features, 1, 1) for what is dense */
    size_t member_count;
    struct architecture architecture;
    bool bias, batch_norm;
    bool sigmoid; /* of an autoencoder's output */
};

struct ensemble_member {
    enum ensemble_output output;
    struct network *network; /* kept for the model file */
    struct folded *folded;   /* scores */
    float *center;           /* (representation), NULL but for distances */
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
extern const struct component_ops ensemble_reconstruction;
extern const struct component_ops ensemble_classifier;
extern const struct component_ops ensemble_autoencoder;

enum ensemble_output ensemble_output(const struct component_ops *ops);

/* Members without networks yet; ops is one of the four. */
int ensemble_allocate(struct ensemble **out, const struct component_ops *ops,
                      const struct ensemble_form *form, struct deepsad_error *error);
/* The form that the plan gives it, to be trained. */
int ensemble_new(struct component **out, const struct component_ops *ops,
                 const struct plan *plan, size_t features, struct deepsad_error *error);

struct network_shape ensemble_shape(const struct ensemble *ensemble);
/* A member's network of that form, its weights drawn. */
int ensemble_new_network(struct network **out, const struct ensemble *ensemble,
                         struct rng *rng, struct deepsad_error *error);
bool ensemble_is_convolutional(const struct ensemble *ensemble);
/* Bytes of scratch for scoring a block by one member, a multiple of SIMD_ALIGN. */
size_t ensemble_member_scratch(const struct ensemble_member *member);
/* raw (rows) by one member, not yet divided by its median; rows <= COMPONENT_BLOCK. */
void ensemble_member_raw(const struct ensemble_member *member, float *raw, const float *z,
                         size_t rows, float *scratch);

#endif
