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
#include "nn/rng.h"

enum layer_kind {
    LAYER_DENSE,      /* y = x W + b; W (in, out) row-major, b (out) optional */
    LAYER_BATCH_NORM, /* y = (x - mean) / sqrt(variance + 1e-4), not affine; training:
                         over the batch, biased variance; running statistics: momentum
                         0.1, unbiased variance, as torch.nn.BatchNorm1d */
    LAYER_LEAKY_RELU, /* y = x > 0 ? x : 0.01 x */
    LAYER_SIGMOID,    /* y = 1 / (1 + exp(-x)) */
};

struct layer {
    enum layer_kind kind;
    size_t inputs, outputs;
    size_t weight;         /* offset in params of W (inputs, outputs) */
    size_t bias;           /* offset in params of b (outputs), SIZE_MAX = none */
    size_t mean, variance; /* offsets in state of the running statistics (outputs) */
};

struct network {
    size_t inputs, outputs;
    size_t layer_count;
    struct layer *layers;
    size_t param_count;
    float *params;
    float *grads; /* (param_count) */
    size_t state_count;
    float *state;
};

struct network_shape {
    size_t inputs;
    size_t width_count;   /* hidden layers, then the representation */
    const size_t *widths; /* (width_count) */
    bool bias;
    bool batch_norm; /* before each hidden leaky ReLU; none on the last layer */
};

/* The encoder phi(x; W): for each hidden width dense [batch norm] leaky ReLU, then dense
 * to the representation, which has no activation. Weights and biases uniform in
 * +-1/sqrt(inputs), torch.nn.Linear's default. */
int network_new_encoder(struct network **out, const struct network_shape *shape,
                        struct rng *rng, struct deepsad_error *error);

/* The encoder's layers, then the mirror decoder: the hidden widths in reverse, each
 * dense [batch norm] leaky ReLU, then dense to the inputs and, if `sigmoid`, a sigmoid.
 * As in the paper's code the representation goes straight into the decoder's first dense
 * layer. */
int network_new_autoencoder(struct network **out, const struct network_shape *shape,
                            bool sigmoid, struct rng *rng, struct deepsad_error *error);

void network_free(struct network *network);

/* Copies the encoder part (weights and running statistics) of an autoencoder that was
 * made from the same shape: the pretraining's result. */
void network_copy_encoder(struct network *encoder, const struct network *autoencoder);

#endif
