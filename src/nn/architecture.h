/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network looks like, as a list of steps: an encoder's, from the input to the
 * representation, and of its autoencoder's decoder, back to the input. Whence they
 * come, by name or from a text: nn/architecture_parse.h.
 */
#ifndef NN_ARCHITECTURE_H
#define NN_ARCHITECTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

/* Of a row of channels * height * width floats, channels first as in torch. A row that is
 * no image: (features, 1, 1). */
struct image_shape {
    size_t channels, height, width;
};

static inline size_t image_size(struct image_shape image)
{
    return image.channels * image.height * image.width;
}

enum architecture_kind {
    /* torch.nn.Conv2d, stride 1, padding (kernel - 1) / 2: height and width stay */
    ARCHITECTURE_CONV,
    /* torch.nn.ConvTranspose2d, stride 1: a side becomes side + kernel - 1 - 2 padding */
    ARCHITECTURE_DECONV,
    ARCHITECTURE_POOL,     /* maximum of 2 x 2, stride 2; an odd last row or column is
                              left out */
    ARCHITECTURE_UPSAMPLE, /* nearest: a side becomes twice as long, and one more where
                              `image` says so (the mirror of a pool of odd sides) */
    ARCHITECTURE_DENSE,
    ARCHITECTURE_VIEW,     /* the row is seen as the image `image` from here on */
    ARCHITECTURE_ACTIVATE, /* leaky ReLU alone */
};

struct architecture_step {
    enum architecture_kind kind;
    size_t width;             /* conv, deconv: output channels; dense: outputs */
    size_t kernel;            /* conv, deconv: odd side */
    size_t padding;           /* deconv, at most kernel - 1 */
    struct image_shape image; /* view; upsample: the sides that come out, channels 0 */
};

enum {
    ARCHITECTURE_STEPS_MAX = 24,
    ARCHITECTURE_WIDTH_MAX = 65536,
    ARCHITECTURE_KERNEL_MAX = 15,
};

/* Each conv, deconv and dense step but the last of encoder and decoder is followed by
 * [batch norm] leaky ReLU; a pool or upsampling comes after these. Plain value. */
struct architecture {
    const char *name;     /* of one of the paper's, static; else NULL */
    size_t encoder_count; /* the last step is dense: the representation */
    struct architecture_step encoder[ARCHITECTURE_STEPS_MAX];
    size_t decoder_count; /* 0 = the encoder's mirror */
    struct architecture_step decoder[ARCHITECTURE_STEPS_MAX];
    bool xavier_decoder; /* its deconvs drawn by Xavier's rule with the gain of a leaky
                            ReLU (CIFAR-10 LeNet of the paper's code) */
};

/* An encoder of dense steps. 1 <= count <= ARCHITECTURE_STEPS_MAX widths >= 1. */
void architecture_dense(struct architecture *out, const size_t *widths, size_t count);

/* The name, else the list of the encoder's steps, "conv:16,pool,...,rep:64": what
 * architecture_parse() takes. */
void architecture_print(struct buffer *out, const struct architecture *architecture);

/* A list to show in messages. */
#define ARCHITECTURE_EXAMPLE "conv:16,pool,conv:32,pool,dense:128,rep:64"

/* What is wrong with the place of the encoder's step `at`, as far as the steps before it
 * tell, or NULL. */
const char *architecture_order_fault(const struct architecture *architecture, size_t at);

/* Whether images (or rows: height = width = 1) of this shape can go through: convs need
 * an image, pools at least 2 x 2, products must not overflow. Messages name the step and
 * the shape that it meets. */
int architecture_check(const struct architecture *architecture, struct image_shape input,
                       struct deepsad_error *error);

/* The decoder in full: the paper's, or the mirror for inputs of this shape, which
 * architecture_check() took. count <= 2 * ARCHITECTURE_STEPS_MAX. */
size_t architecture_decoder(struct architecture_step *steps,
                            const struct architecture *architecture,
                            struct image_shape input);

/* The shape that comes out of a step that meets the shape `in`. */
struct image_shape architecture_step_image(const struct architecture_step *step,
                                           struct image_shape in);

/* The size of the representation. */
size_t architecture_outputs(const struct architecture *architecture);

#endif
