/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a model file: refused with a message, or a model that can be released. The
 * training rows in it are read also where the file's digest is wrong. */
#include "fuzz.h"

#include "model/model_file.h"
#include "model/training_set_file.h"

enum { FEATURES = 2 }; /* of the corpus */

static void read_rows(const uint8_t *data, size_t size)
{
    struct buffer file = {0};
    struct deepsad_error error = {0};
    struct safetensors *tensors = NULL;
    struct training_set set = {0};
    buffer_append(&file, data, size);
    int status = safetensors_parse(&tensors, &file, &error);
    if (status == DEEPSAD_OK) {
        status = training_set_load(&set, tensors, FEATURES, &error);
    }
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    training_set_done(&set);
    safetensors_free(tensors);
    buffer_done(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer file = {0};
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    buffer_append(&file, data, size);
    int status = model_file_parse(&model, &file, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    deepsad_model_unref(model);
    buffer_done(&file);
    read_rows(data, size);
    return 0;
}
