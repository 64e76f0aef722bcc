/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An encoder that was trained in PyTorch, from the tensors of its state_dict, as a
 * network of ours. Layers are taken by the usual names: those of the authors' code
 * (hidden.0.linear.weight, code.weight; conv1.weight, bn2d1.running_mean, fc1.weight),
 * of an nn.Sequential (0.weight, 1.running_mean), or whatever sorts alike, numbers by
 * their value, convolutions first. Between two layers there is a leaky ReLU of slope
 * 0.01, with a batch norm before it where the file has one.
 *
 * What a network of ours has no place for is folded, so that the outputs stay the same:
 * a batch norm y = g (W x + b - m) / sqrt(v + eps) + h becomes one that is not affine
 * and has the statistics m' = -(g s (b - m) + h), v' + 1e-4 = 1 with W' = g s W, s = 1 /
 * sqrt(v + eps). Where there is nothing to fold and eps is 1e-4 the values are kept.
 */
#ifndef MODEL_IMPORT_H
#define MODEL_IMPORT_H

#include "model/safetensors.h"
#include "model/training.h"
#include "nn/architecture.h"

struct import_options {
    const char *network;      /* as architecture_parse() takes it; NULL: dense, by the
                                 tensors' shapes */
    struct image_shape input; /* (features, 1, 1) where rows are no images */
    double epsilon;           /* of batch norms */
};

/* What an imported encoder is. */
struct import_encoder {
    struct architecture architecture;
    bool batch_norm, bias;
    struct network *network;
};
void import_encoder_done(struct import_encoder *encoder);

/* Messages name the tensor, what was found and what is expected. */
int import_encoder(struct import_encoder *out, const struct safetensors *file,
                   const struct import_options *options, struct deepsad_error *error);

#endif
