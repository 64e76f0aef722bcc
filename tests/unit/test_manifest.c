/* SPDX-License-Identifier: Apache-2.0 */
/* Model files whose digest is right and whose manifest is not: made by hand, by a newer
 * version, or by somebody hostile. */
#include <jansson.h>

#include "../sample_data.h"
#include "../testing.h"

#include "model/digest.h"
#include "model/manifest.h"
#include "model/model_file.h"
#include "model/safetensors.h"

static struct deepsad_model *model_of(const char *recipe_name)
{
    struct deepsad_dataset data = sample_data(300, 12, 15, 4);
    struct deepsad_recipe *recipe =
        recipe_name == NULL ? sample_reference() : sample_recipe(recipe_name);
    struct deepsad_model *model = sample_model(&data, recipe, 2);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
    return model;
}

/* The file's tensors under another manifest, with the digest that goes with it; a tensor
 * called `without` is left out, the first value of one called `spoilt` is `value`. */
struct change {
    const char *from, *to; /* in the manifest, the first place */
    const char *without, *spoilt;
    float value;
};

static char *change_manifest(const char *manifest, const struct change *change)
{
    struct buffer out = {0};
    const char *place = change->from == NULL ? NULL : strstr(manifest, change->from);
    if (change->from == NULL) {
        buffer_append_text(&out, manifest);
    } else {
        assert_non_null(place);
        buffer_append(&out, manifest, (size_t)(place - manifest));
        buffer_append_text(&out, change->to);
        buffer_append_text(&out, place + strlen(change->from));
    }
    char *text = buffer_take_string(&out);
    assert_non_null(text);
    return text;
}

static void copy_tensors(struct safetensors_writer *writer,
                         const struct safetensors *file, const struct change *change)
{
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const struct safetensors_tensor *tensor = safetensors_at(file, i);
        if (change->without != NULL && strcmp(tensor->name, change->without) == 0) {
            continue;
        }
        float *values = malloc((tensor->count + 1) * sizeof *values);
        assert_non_null(values);
        memcpy(values, tensor->bytes, tensor->count * sizeof *values);
        if (change->spoilt != NULL && strcmp(tensor->name, change->spoilt) == 0) {
            values[0] = change->value;
        }
        safetensors_writer_add_shape(writer, tensor->name, tensor->rank, tensor->shape,
                                     values);
        free(values);
    }
}

static void add_to_digest(void *closure, const void *bytes, size_t size)
{
    digest_add(closure, bytes, size);
}

static void finish_file(struct buffer *out, struct safetensors_writer *writer,
                        const char *manifest)
{
    char text[DIGEST_TEXT_SIZE];
    struct digest digest;
    size_t table_size;
    const char *table = safetensors_writer_table(writer, &table_size);
    const struct safetensors_sink sink = {add_to_digest, &digest};
    digest_init(&digest);
    digest_add(&digest, manifest, strlen(manifest));
    digest_add(&digest, "\n", 1);
    digest_add(&digest, table, table_size);
    safetensors_writer_data(writer, &sink);
    digest_finish(&digest, text);
    safetensors_writer_metadata(writer, "deepsad.format", MODEL_FILE_FORMAT);
    safetensors_writer_metadata(writer, "deepsad.manifest", manifest);
    safetensors_writer_metadata(writer, "deepsad.sha256", text);
    assert_int_equal(safetensors_writer_finish(writer, out, NULL), DEEPSAD_OK);
}

static int load_changed(const struct deepsad_model *model, const struct change *change,
                        struct deepsad_error *error)
{
    struct buffer bytes = {0};
    struct safetensors *file;
    struct deepsad_model *loaded = NULL;
    assert_int_equal(model_file_format(&bytes, model, error), DEEPSAD_OK);
    assert_int_equal(safetensors_parse(&file, &bytes, error), DEEPSAD_OK);
    char *manifest =
        change_manifest(safetensors_metadata(file, "deepsad.manifest"), change);
    struct safetensors_writer *writer = safetensors_writer_new();
    copy_tensors(writer, file, change);
    finish_file(&bytes, writer, manifest);
    int status = model_file_parse(&loaded, &bytes, error);
    deepsad_model_unref(loaded);
    safetensors_writer_free(writer);
    safetensors_free(file);
    free(manifest);
    buffer_done(&bytes);
    return status;
}

static void assert_refused(const struct deepsad_model *model, struct change change,
                           int status, const char *part)
{
    struct deepsad_error error = {0};
    assert_int_equal(load_changed(model, &change, &error), status);
    assert_error_says(error, part);
}

static bool is_kept_row(const char *name)
{
    return strncmp(name, SAFETENSORS_ROWS, strlen(SAFETENSORS_ROWS)) == 0;
}

/* But for the training rows, which scoring never reads. */
static void check_every_tensor(const struct deepsad_model *model)
{
    struct buffer bytes = {0};
    struct safetensors *file;
    assert_int_equal(model_file_format(&bytes, model, NULL), DEEPSAD_OK);
    assert_int_equal(safetensors_parse(&file, &bytes, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < safetensors_count(file); i++) {
        struct change change = {.without = safetensors_at(file, i)->name};
        if (!is_kept_row(change.without)) {
            assert_refused(model, change, DEEPSAD_CORRUPT, change.without);
        }
    }
    safetensors_free(file);
}

static void an_unchanged_copy_loads(void **state)
{
    (void)state;
    struct deepsad_error error = {0};
    struct deepsad_model *model = model_of("default");
    assert_int_equal(load_changed(model, &(struct change){0}, &error), DEEPSAD_OK);
    deepsad_model_unref(model);
}

static void sizes_that_the_tensors_do_not_have_are_refused(void **state)
{
    (void)state;
    struct deepsad_model *model = model_of("default");
    static const struct {
        const char *from, *to, *part;
    } cases[] = {
        {"\"widths\":[128,64]", "\"widths\":[127,64]", "encoder.0.weight"},
        {"\"widths\":[128,64]", "\"widths\":[65536,2000]", "more weights"},
        {"\"widths\":[128,64]", "\"widths\":[128,0]", "out of range"},
        {"\"widths\":[128,64]", "\"widths\":\"x\"", "out of range"},
        {"\"members\":4", "\"members\":5", "networks.median"},
        {"\"members\":4", "\"members\":-1", "out of range"},
        {"\"members\":100", "\"members\":99", "neighbours.inverse_scale"},
        {"\"members\":100", "\"members\":1000000000000", "out of range"},
        {"\"features\":4", "\"features\":5", "scaler.impute"},
        {"\"features\":4", "\"features\":0", "input.features"},
        {"\"features\":4", "\"features\":99999999999", "input.features"},
        {"\"names\":null", "\"names\":[\"a\"]", "input.names"},
        {"\"weight\":1.0", "\"weight\":0.0", "weight"},
        {"\"weight\":1.0", "\"height\":1.0", "weight"},
        {"\"kind\":\"networks\"", "\"kind\":7", "no kind"},
        {"{\"input\"", "[\"input\"", "line 1"},
        {"\"components\":[", "\"others\":[", "components are missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct change change = {.from = cases[i].from, .to = cases[i].to};
        assert_refused(model, change, DEEPSAD_CORRUPT, cases[i].part);
    }
    deepsad_model_unref(model);
}

static struct deepsad_model *image_model(const char *method)
{
    struct deepsad_dataset data = sample_images(120, 5, 10, 8);
    struct deepsad_recipe *recipe = sample_recipe("default");
    sample_set(recipe, "network", "conv3x3:2,pool,rep:4");
    sample_set(recipe, "method", method);
    sample_set(recipe, "steps", "2");
    sample_set(recipe, "autoencoder_steps", "2");
    struct deepsad_model *model = sample_model(&data, recipe, 1);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
    return model;
}

static void networks_that_the_tensors_or_the_image_do_not_have_are_refused(void **state)
{
    (void)state;
    struct deepsad_model *model = image_model("deepsad");
    static const struct {
        const char *to, *part;
    } cases[] = {
        {"conv3x3:3,pool,rep:4", "not the 3 x 1 x 3 x 3"},
        {"conv5x5:2,pool,rep:4", "not the 2 x 1 x 5 x 5"},
        {"conv3x3:2,rep:4", "networks.0.encoder.3.weight"},
        {"conv3x3:2,pool,rep:5", "networks.0.encoder.4.weight"},
        {"conv3x3:2,pool,pool,pool,pool,rep:4", "step 5"},
        {"conv4x4:2,pool,rep:4", "component \"networks\": network: step 1"},
        {"conv3x3:65536,conv3x3:65536,rep:4", "limit is"},
        {"conv3x3:2,conv3x3:60000,rep:4", "more weights"},
        {"conv3x3:2,pool", "rep:N"},
        {"", "no steps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char to[128];
        snprintf(to, sizeof to, "\"network\":\"%s\",\"batch", cases[i].to);
        struct change change = {.from = "\"network\":\"conv3x3:2,pool,rep:4\",\"batch",
                                .to = to};
        assert_refused(model, change, DEEPSAD_CORRUPT, cases[i].part);
    }
    deepsad_model_unref(model);
}

static void images_of_another_size_are_refused(void **state)
{
    (void)state;
    struct deepsad_model *model = image_model("deepsad");
    static const struct change cases[] = {
        {.from = "\"height\":8", .to = "\"height\":9"},
        {.from = "\"height\":8", .to = "\"height\":-8"},
        {.from = "\"height\":8", .to = "\"height\":\"8\""},
        {.from = "\"height\":8", .to = "\"height\":4611686018427387904"},
        {.from = "\"image\":{", .to = "\"image\":7,\"other\":{"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_refused(model, cases[i], DEEPSAD_CORRUPT, "not an image of 64 values");
    }
    assert_refused(model, (struct change){.from = "\"image\":{", .to = "\"other\":{"},
                   DEEPSAD_CORRUPT, "network: step 1");
    deepsad_model_unref(model);
}

static void every_tensor_of_an_image_model_is_needed(void **state)
{
    (void)state;
    static const char *const methods[] = {"deepsad", "autoencoder", "classifier"};
    for (size_t i = 0; i < 3; i++) {
        struct deepsad_model *model = image_model(methods[i]);
        check_every_tensor(model);
        deepsad_model_unref(model);
    }
}

static void kinds_of_a_newer_version_are_unsupported(void **state)
{
    (void)state;
    struct deepsad_model *model = model_of("default");
    static const struct change cases[] = {
        {.from = "\"kind\":\"networks\"", .to = "\"kind\":\"oracle\""},
        {.from = "\"scaler\":\"asinh\"", .to = "\"scaler\":\"tanh\""},
        {.from = "\"score\":\"normalised\"", .to = "\"score\":\"cooked\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_refused(model, cases[i], DEEPSAD_UNSUPPORTED, "not known to deepsad");
    }
    deepsad_model_unref(model);
}

static void a_raw_score_has_one_component(void **state)
{
    (void)state;
    struct deepsad_model *model = model_of("default");
    assert_refused(
        model,
        (struct change){.from = "\"score\":\"normalised\"", .to = "\"score\":\"raw\""},
        DEEPSAD_CORRUPT, "more than one component");
    deepsad_model_unref(model);
}

static void values_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct deepsad_model *model = model_of("default"), *paper = model_of(NULL);
    static const struct change cases[] = {
        {.spoilt = "neighbours.feature_index", .value = 4},
        {.spoilt = "neighbours.feature_index", .value = 0.5F},
        {.spoilt = "neighbours.feature_index", .value = -1},
        {.spoilt = "neighbours.member_features", .value = 2},
        {.spoilt = "networks.median", .value = 0},
        {.spoilt = "calibration.scores", .value = 1e30F},
        {.spoilt = "calibration.p_values", .value = 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct deepsad_error error = {0};
        assert_int_equal(load_changed(model, &cases[i], &error), DEEPSAD_CORRUPT);
        assert_true(error.message[0] != '\0');
    }
    assert_refused(
        paper, (struct change){.spoilt = "networks.0.encoder.1.running_var", .value = -1},
        DEEPSAD_CORRUPT, "negative variance");
    deepsad_model_unref(model);
    deepsad_model_unref(paper);
}

static void every_tensor_is_needed(void **state)
{
    (void)state;
    struct deepsad_model *model = model_of("default");
    check_every_tensor(model);
    deepsad_model_unref(model);
}

static void the_card_names_recipe_data_and_seed(void **state)
{
    (void)state;
    struct deepsad_model *model = model_of("default");
    char *text = deepsad_model_card(model);
    json_t *card = json_loads(text, 0, NULL), *recipe;
    const char *base, *digest;
    json_int_t seed, rows, anomalous;
    assert_int_equal(json_unpack(card, "{s:o, s:{s:I, s:{s:I, s:I, s:s}}}", "recipe",
                                 &recipe, "lineage", "seed", &seed, "data", "rows", &rows,
                                 "anomalous", &anomalous, "sha256", &digest),
                     0);
    base = json_string_value(json_object_get(recipe, "base"));
    assert_string_equal(base, "default");
    assert_int_equal(json_object_size(recipe), recipe_table.count);
    assert_true(seed == 3 && rows == 327 && anomalous == 15);
    assert_int_equal(strlen(digest), DIGEST_TEXT_SIZE - 1);
    json_decref(card);
    free(text);
    deepsad_model_unref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unchanged_copy_loads),
        cmocka_unit_test(sizes_that_the_tensors_do_not_have_are_refused),
        cmocka_unit_test(networks_that_the_tensors_or_the_image_do_not_have_are_refused),
        cmocka_unit_test(images_of_another_size_are_refused),
        cmocka_unit_test(every_tensor_of_an_image_model_is_needed),
        cmocka_unit_test(kinds_of_a_newer_version_are_unsupported),
        cmocka_unit_test(a_raw_score_has_one_component),
        cmocka_unit_test(values_that_make_no_sense_are_refused),
        cmocka_unit_test(every_tensor_is_needed),
        cmocka_unit_test(the_card_names_recipe_data_and_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
