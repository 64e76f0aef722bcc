/* SPDX-License-Identifier: Apache-2.0 */
/* Networks as texts: what is read prints as what reads back the same, and an input that
 * is said to fit goes through encoder and decoder. */
#include "fuzz.h"

#include <string.h>

#include "nn/architecture_parse.h"

static void check_prints(const struct architecture *network)
{
    struct architecture again;
    struct buffer text = {0};
    struct deepsad_error error = {0};
    architecture_print(&text, network);
    buffer_append(&text, "", 1);
    FUZZ_CHECK(architecture_parse(&again, text.data, &error) == DEEPSAD_OK);
    FUZZ_CHECK(again.encoder_count == network->encoder_count);
    FUZZ_CHECK(architecture_outputs(&again) == architecture_outputs(network));
    buffer_done(&text);
}

static void check_shape(const struct architecture *network, struct image_shape input)
{
    struct deepsad_error error = {0};
    struct architecture_step decoder[2 * ARCHITECTURE_STEPS_MAX];
    int status = architecture_check(network, input, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    if (status != DEEPSAD_OK) {
        return;
    }
    size_t count = architecture_decoder(decoder, network, input);
    struct image_shape shape = input;
    for (size_t i = 0; i < network->encoder_count; i++) {
        shape = architecture_step_image(&network->encoder[i], shape);
        FUZZ_CHECK(image_size(shape) > 0);
    }
    for (size_t i = 0; i < count; i++) {
        shape = architecture_step_image(&decoder[i], shape);
    }
    FUZZ_CHECK(image_size(shape) == image_size(input));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct architecture network;
    struct deepsad_error error = {0};
    char *text = strndup((const char *)data, size);
    int status =
        text == NULL ? DEEPSAD_NO_MEMORY : architecture_parse(&network, text, &error);
    if (status == DEEPSAD_OK) {
        FUZZ_CHECK(network.encoder_count >= 1 &&
                   network.encoder_count <= ARCHITECTURE_STEPS_MAX);
        check_prints(&network);
        check_shape(&network, (struct image_shape){3, 32, 32});
        check_shape(&network, (struct image_shape){1, 7, 13});
        check_shape(&network, (struct image_shape){5, 1, 1});
    } else {
        FUZZ_CHECK(error.message[0] != '\0');
    }
    free(text);
    return 0;
}
