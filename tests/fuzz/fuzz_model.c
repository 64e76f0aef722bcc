/* SPDX-License-Identifier: Apache-2.0 */
/* A model file whose digest is right whatever is in it: what is behind the digest (the
 * manifest, components, calibration) refuses it with a message, or makes a model that
 * scores a row without NaN. */
#include "fuzz.h"

#include <math.h>
#include <string.h>

#include "model/model_file.h"

enum { FEATURES_MAX = 4096 };

/* Puts the digest where one of 64 digits is. */
static void mend(char *bytes, size_t size)
{
    static const char key[] = "\"deepsad.sha256\":\"";
    struct buffer copy = {0};
    struct safetensors *file = NULL;
    char digest[DIGEST_TEXT_SIZE];
    char *place = memmem(bytes, size, key, sizeof key - 1);
    size_t room = place == NULL ? 0 : size - (size_t)(place - bytes);
    buffer_append(&copy, bytes, size);
    if (room >= sizeof key + DIGEST_TEXT_SIZE &&
        safetensors_parse(&file, &copy, NULL) == DEEPSAD_OK &&
        safetensors_metadata(file, "deepsad.manifest") != NULL) {
        model_file_digest(digest, file, safetensors_metadata(file, "deepsad.manifest"));
        memcpy(place + sizeof key - 1, digest, DIGEST_TEXT_SIZE - 1);
    }
    safetensors_free(file);
    buffer_done(&copy);
}

static void score(struct deepsad_model *model)
{
    size_t features = deepsad_model_features(model);
    float score = 0, p_value = 0;
    float *x = features <= FEATURES_MAX ? calloc(features, sizeof *x) : NULL;
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    if (x != NULL && workspace != NULL &&
        deepsad_score(model, workspace, &score, &p_value, x, 1, NULL) == DEEPSAD_OK) {
        FUZZ_CHECK(isfinite(score) && p_value > 0 && p_value <= 1);
    }
    deepsad_workspace_free(workspace);
    free(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer file = {0};
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    buffer_append(&file, data, size);
    if (file.data != NULL) {
        mend(file.data, file.length);
    }
    int status = model_file_parse(&model, &file, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    if (status == DEEPSAD_OK) {
        score(model);
    }
    deepsad_model_unref(model);
    buffer_done(&file);
    return 0;
}
