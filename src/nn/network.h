/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A feed-forward network for training: a list of layers over flat float blocks
 * (parameters, gradients, running statistics); layers hold offsets into them. What each
 * kind computes: nn/layer.h; running it: nn/tape.h; for scoring see nn/folded.h.
 */
#ifndef NN_NETWORK_H
#define NN_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "nn/architecture.h"
#include "nn/rng.h"

enum layer_kind {
    LAYER_DENSE,      /* y = x W + b; W (in, out) row-major, b (out) optional */
    LAYER_BATCH_NORM, /* y = (x - mean) / sqrt(variance + 1e-4), not affine, a channel's
                         mean and variance over the rows and its pixels; training: over
                         the batch, biased variance; running statistics: momentum 0.1,
                         unbiased variance, as torch.nn.BatchNorm1d and 2d */
    LAYER_LEAKY_RELU, /* y = x > 0 ? x : 0.01 x */
    LAYER_SIGMOID,    /* y = 1 / (1 + exp(-x)) */
    LAYER_CONV,       /* nn/conv.h; no bias */
    LAYER_MAX_POOL,   /* maximum of 2 x 2, stride 2, floor */
    LAYER_UPSAMPLE,   /* nearest: y[v][u] = x[min(v / 2, height - 1)][likewise] */
};

struct layer {
    enum layer_kind kind;
    size_t inputs, outputs;     /* floats of a row: the sizes of in and out */
    struct image_shape in, out; /* (inputs, 1, 1) where rows are no images */
    size_t kernel, padding;     /* of a conv */
    bool transposed;            /* of a conv: torch.nn.ConvTranspose2d */
    /* Offset in params: of a dense layer W (inputs, outputs); of a conv as in torch,
     * (out, in channels, kernel, kernel), transposed (in, out channels, ...). */
    size_t weight;
    size_t bias;           /* offset in params of b (outputs), SIZE_MAX = none */
    size_t mean, variance; /* offsets in state of the running statistics (out.channels) */
};

struct network {
    size_t inputs, outputs;
    size_t layer_count;
    struct layer *layers;
    size_t param_count;
    float *params;
    float *grads; /* (param_count); NULL after network_end_training() */
    size_t state_count;
    float *state;
};

struct network_shape {
    struct image_shape input; /* (features, 1, 1) where rows are no images */
    const struct architecture *architecture;
    bool bias;       /* of dense layers; convs have none */
    bool batch_norm; /* before each hidden leaky ReLU; none on the last layer */
};

/* The encoder phi(x; W): the steps of the architecture, each conv and hidden dense layer
 * followed by [batch norm] leaky ReLU; the representation has no activation. Weights and
 * biases uniform in +-1/sqrt(fan in), torch's default (the fan in of a transposed conv is
 * out.channels * kernel^2 there). DEEPSAD_INVALID where the architecture does not fit the
 * input. */
int network_new_encoder(struct network **out, const struct network_shape *shape,
                        struct rng *rng, struct deepsad_error *error);

/* The encoder's layers, then the decoder's, architecture_decoder(): of dense layers the
 * mirror, the hidden widths in reverse; and, if `sigmoid`, a sigmoid at the end. As in
 * the paper's code the representation goes straight into the decoder's first dense layer.
 */
int network_new_autoencoder(struct network **out, const struct network_shape *shape,
                            bool sigmoid, struct rng *rng, struct deepsad_error *error);

void network_free(struct network *network);

/* Gives back what only training needs, for networks that are kept for their weights. */
void network_end_training(struct network *network);

/* Whether any of its layers sees rows as images. */
bool network_has_images(const struct network *network);

/* The encoder, then one dense output: the logit of being anomalous, for the supervised
 * classifier that Deep SAD is compared with. The encoder's representation is followed by
 * a leaky ReLU there; the output has a bias always, as a classifier cannot collapse. */
int network_new_classifier(struct network **out, const struct network_shape *shape,
                           struct rng *rng, struct deepsad_error *error);

/* Copies the encoder part (weights and running statistics) of an autoencoder that was
 * made from the same shape: the pretraining's result. */
void network_copy_encoder(struct network *encoder, const struct network *autoencoder);

#endif
