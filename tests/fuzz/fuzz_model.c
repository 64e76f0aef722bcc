/* SPDX-License-Identifier: Apache-2.0 */
/* Model files behind their digest, which no fuzzer would get past: the input is manifest,
 * what is said of the training rows, and the table of tensors, each ended by a NUL, then
 * the tensors' bytes (unpack_model.py makes it of a file). Refused with a message, or a
 * model whose scores are finite. */
#include "fuzz.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "model/digest.h"
#include "model/model_file.h"
#include "model/training_set_file.h"

struct parts {
    const char *manifest, *rows, *table, *data;
    size_t data_size;
};

static bool split(struct parts *parts, const char *text, size_t size)
{
    const char **ends[] = {&parts->manifest, &parts->rows, &parts->table};
    for (size_t i = 0; i < 3; i++) {
        const char *end = memchr(text, '\0', size);
        if (end == NULL) {
            return false;
        }
        *ends[i] = text;
        size -= (size_t)(end + 1 - text);
        text = end + 1;
    }
    parts->data = text;
    parts->data_size = size;
    return true;
}

static void append_text(struct buffer *out, const char *key, const char *text)
{
    json_t *string = json_string(text);
    char *json = json_dumps(string, JSON_ENCODE_ANY);
    buffer_printf(out, ",\"%s\":%s", key, json == NULL ? "null" : json);
    free(json);
    json_decref(string);
}

static void make_file(const struct parts *parts, const char *digest, struct buffer *file)
{
    struct buffer header = {0};
    buffer_printf(&header,
                  "{\"__metadata__\":{\"deepsad.format\":\"" MODEL_FILE_FORMAT
                  "\",\"deepsad.sha256\":\"%s\"",
                  digest);
    append_text(&header, "deepsad.manifest", parts->manifest);
    if (parts->rows[0] != '\0') {
        append_text(&header, "deepsad.reservoir", parts->rows);
    }
    buffer_printf(&header, "}%s%s}", parts->table[0] == '\0' ? "" : ",", parts->table);
    uint64_t length = header.length;
    buffer_append(file, &length, sizeof length);
    buffer_append(file, header.data, header.length);
    buffer_append(file, parts->data, parts->data_size);
    buffer_done(&header);
}

/* Of what is in the file, whose table the parser writes anew for it. False: no file. */
static bool take_digest(char text[static DIGEST_TEXT_SIZE], const struct parts *parts)
{
    struct buffer file = {0};
    struct deepsad_error error = {0};
    struct safetensors *tensors = NULL;
    struct digest digest;
    size_t size;
    make_file(parts, "", &file);
    if (safetensors_parse(&tensors, &file, &error) != DEEPSAD_OK) {
        FUZZ_CHECK(error.message[0] != '\0');
        buffer_done(&file);
        return false;
    }
    digest_init(&digest);
    digest_add(&digest, parts->manifest, strlen(parts->manifest));
    digest_add(&digest, "\n", 1);
    const char *table = safetensors_table(tensors, &size);
    digest_add(&digest, table, size);
    digest_add(&digest, parts->data, parts->data_size);
    digest_finish(&digest, text);
    struct training_set set = {0};
    int status = training_set_load(&set, tensors, 2, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    training_set_done(&set);
    safetensors_free(tensors);
    return true;
}

static void score(const struct deepsad_model *model)
{
    size_t features = deepsad_model_features(model);
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    float *x = calloc(2 * features, sizeof *x), scores[2], p_values[2];
    FUZZ_CHECK(x != NULL && workspace != NULL);
    for (size_t i = 0; i < features; i++) {
        x[i] = i % 3 == 0 ? NAN : (float)i * 1e3f;
    }
    struct deepsad_error error = {0};
    if (deepsad_score(model, workspace, scores, p_values, x, 2, &error) == DEEPSAD_OK) {
        for (size_t i = 0; i < 2; i++) {
            FUZZ_CHECK(isfinite(scores[i]) && p_values[i] > 0 && p_values[i] <= 1);
        }
    }
    free(x);
    deepsad_workspace_free(workspace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct parts parts;
    char digest[DIGEST_TEXT_SIZE];
    if (!split(&parts, (const char *)data, size) || !take_digest(digest, &parts)) {
        return 0;
    }
    struct buffer file = {0};
    struct deepsad_error error = {0};
    struct deepsad_model *model = NULL;
    make_file(&parts, digest, &file);
    int status = model_file_parse(&model, &file, &error);
    FUZZ_CHECK((status == DEEPSAD_OK) == (error.message[0] == '\0'));
    FUZZ_CHECK(strncmp(error.message, "the SHA-256", 11) != 0);
    if (status == DEEPSAD_OK) {
        score(model);
        deepsad_model_unref(model);
    }
    buffer_done(&file);
    return 0;
}
