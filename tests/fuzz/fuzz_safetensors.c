/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a model file: refused with a message, or a model that can be released. */
#include "fuzz.h"

#include "model/model_file.h"

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
    return 0;
}
