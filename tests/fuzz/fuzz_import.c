/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the tensors of an encoder to be imported: refused with a message, or a
 * network. */
#include "fuzz.h"

#include "model/import.h"

static void import(const struct safetensors *file, const char *network,
                   struct image_shape input)
{
    struct deepsad_error error = {0};
    struct import_encoder encoder;
    const struct import_options options = {
        .network = network, .input = input, .epsilon = 1e-5};
    int status = import_encoder(&encoder, file, &options, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    if (status == DEEPSAD_OK) {
        FUZZ_CHECK(encoder.network->inputs == image_size(input));
        import_encoder_done(&encoder);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer file = {0};
    struct deepsad_error error = {0};
    struct safetensors *tensors = NULL;
    buffer_append(&file, data, size);
    int status = safetensors_parse_foreign(&tensors, &file, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    if (status == DEEPSAD_OK) {
        import(tensors, NULL, (struct image_shape){6, 1, 1});
        import(tensors, "conv3x3:3,pool,conv3x3:4,pool,rep:5",
               (struct image_shape){2, 8, 12});
        safetensors_free(tensors);
    }
    buffer_done(&file);
    return 0;
}
