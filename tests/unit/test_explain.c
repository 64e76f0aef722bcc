/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <float.h>

#include "../sample_data.h"
#include "model/ensemble.h"
#include "model/explain.h"
#include "model/model.h"

enum { FEATURES = 6, ROWS = 327 };

struct fixture {
    struct deepsad_dataset data;
    struct deepsad_recipe *recipe;
    struct deepsad_model *model;
    struct deepsad_workspace *workspace;
    float base;
    float contributions[FEATURES];
};

static struct fixture fixture_on(struct deepsad_dataset data,
                                 struct deepsad_recipe *recipe)
{
    struct fixture f = {.data = data, .recipe = recipe};
    f.model = sample_model(&f.data, recipe, 2);
    f.workspace = deepsad_workspace_new();
    assert_non_null(f.workspace);
    return f;
}

static struct fixture fixture_of(struct deepsad_recipe *recipe)
{
    return fixture_on(sample_data(300, 12, 15, FEATURES), recipe);
}

static struct deepsad_recipe *recipe_with_autoencoder(void)
{
    struct deepsad_recipe *recipe = sample_recipe("default");
    sample_set(recipe, "autoencoder", "on");
    sample_set(recipe, "autoencoder_steps", "5");
    sample_set(recipe, "autoencoder_hidden", "3,2");
    return recipe;
}

static struct deepsad_recipe *recipe_without_insurance(void)
{
    struct deepsad_recipe *recipe = sample_recipe("default");
    sample_set(recipe, "insurance", "off");
    return recipe;
}

static void done(struct fixture *f)
{
    deepsad_workspace_free(f->workspace);
    deepsad_model_unref(f->model);
    deepsad_recipe_free(f->recipe);
    deepsad_dataset_clear(&f->data);
}

static void explain(struct fixture *f, const float *x)
{
    struct deepsad_error error = {0};
    f->base = NAN;
    assert_int_equal(
        deepsad_explain(f->model, f->workspace, &f->base, f->contributions, x, &error),
        DEEPSAD_OK);
}

static float score_of(struct fixture *f, const float *x)
{
    float score = NAN;
    assert_int_equal(deepsad_score(f->model, f->workspace, &score, NULL, x, 1, NULL),
                     DEEPSAD_OK);
    return score;
}

static void check_completeness(struct fixture *f, const float *x)
{
    explain(f, x);
    double sum = (double)f->base, size = fabs((double)f->base);
    for (size_t j = 0; j < FEATURES; j++) {
        assert_true(isfinite(f->contributions[j]));
        sum += (double)f->contributions[j];
        size += fabs((double)f->contributions[j]);
    }
    assert_near_floor(sum, score_of(f, x), 1e-6, fmax(size, 1));
}

static void check_rows(struct fixture *f)
{
    static const float extreme[] = {0,     -0.0F,  1e-30F,  -3,       1e9F,
                                    1e30F, -1e30F, FLT_MAX, -FLT_MAX, NAN};
    enum { EXTREMES = sizeof extreme / sizeof *extreme };
    for (size_t i = 0; i < f->data.rows; i++) {
        check_completeness(f, f->data.x + i * FEATURES);
    }
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (int i = 0; i < 2000; i++) {
        float x[FEATURES];
        for (size_t j = 0; j < FEATURES; j++) {
            x[j] = extreme[rng_below(&rng, EXTREMES)];
        }
        check_completeness(f, x);
    }
}

static void base_and_contributions_sum_to_the_score(void **state)
{
    (void)state;
    struct deepsad_recipe *recipes[] = {sample_recipe("default"), sample_reference(),
                                        recipe_with_autoencoder(),
                                        recipe_without_insurance()};
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        struct fixture f = fixture_of(recipes[i]);
        check_rows(&f);
        done(&f);
    }
}

static void a_model_without_labelled_anomalies_is_explained(void **state)
{
    (void)state;
    struct fixture f =
        fixture_on(sample_data(300, 0, 0, FEATURES), sample_recipe("default"));
    check_rows(&f);
    done(&f);
}

static void the_reference_contributes_nothing_and_is_the_base(void **state)
{
    (void)state;
    struct deepsad_recipe *recipes[] = {sample_recipe("default"), sample_reference()};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f = fixture_of(recipes[i]);
        float missing[FEATURES];
        for (size_t j = 0; j < FEATURES; j++) {
            missing[j] = NAN;
        }
        const float *references[] = {f.model->scaler.impute, missing};
        for (size_t r = 0; r < 2; r++) {
            explain(&f, references[r]);
            assert_true(f.base == score_of(&f, references[r]));
            for (size_t j = 0; j < FEATURES; j++) {
                assert_true(f.contributions[j] == 0);
            }
        }
        done(&f);
    }
}

static void missing_and_constant_features_contribute_nothing(void **state)
{
    (void)state;
    struct deepsad_dataset data = sample_data(300, 12, 15, FEATURES);
    for (size_t i = 0; i < data.rows; i++) {
        data.x[i * FEATURES + 2] = 7;
    }
    struct fixture f = fixture_on(data, sample_recipe("default"));
    float x[FEATURES] = {3, NAN, 7, -2, 4, 1};
    check_completeness(&f, x);
    assert_true(f.contributions[1] == 0);
    assert_true(f.contributions[2] == 0);
    assert_true(f.contributions[0] != 0 && f.contributions[3] != 0);
    done(&f);
}

/* The first feature alone is far off. */
static void the_odd_feature_contributes_most(void **state)
{
    (void)state;
    struct fixture f = fixture_of(sample_recipe("default"));
    for (size_t odd = 0; odd < FEATURES; odd++) {
        uint32_t order[FEATURES];
        float x[FEATURES] = {0.1F, -0.1F, 0.1F, -0.1F, 0.1F, -0.1F};
        x[odd] = 12;
        check_completeness(&f, x);
        explain_order(order, f.contributions, FEATURES);
        assert_int_equal(order[0], odd);
        assert_true(f.contributions[odd] > 0);
    }
    done(&f);
}

/* Features 0 and 1 made the same to the scaler and to every network. */
static void make_alike(struct deepsad_model *model)
{
    struct scaler *scaler = &model->scaler;
    struct ensemble *ensemble = (struct ensemble *)model->components[0];
    struct deepsad_error error = {0};
    scaler->impute[1] = scaler->impute[0];
    scaler->offset[1] = scaler->offset[0];
    scaler->scale[1] = scaler->scale[0];
    for (size_t k = 0; k < ensemble->form.member_count; k++) {
        struct ensemble_member *member = &ensemble->members[k];
        const struct layer *layer = &member->network->layers[0];
        float *weight = member->network->params + layer->weight;
        memcpy(weight + layer->outputs, weight, layer->outputs * sizeof *weight);
        folded_free(member->folded);
        member->folded = NULL;
        assert_int_equal(folded_from_network(&member->folded, member->network, &error),
                         DEEPSAD_OK);
    }
}

static void features_that_count_alike_get_equal_shares(void **state)
{
    (void)state;
    struct fixture f = fixture_of(recipe_without_insurance());
    make_alike(f.model);
    float x[FEATURES] = {2.5F, 2.5F, 1, -1, 0.5F, 3};
    check_completeness(&f, x);
    assert_true(f.contributions[0] != 0);
    assert_near(f.contributions[1], f.contributions[0], 1e-6);
    done(&f);
}

/* ---- Against a fine integration ---- */

enum { FINE = 1000 };
static const float step = 1e-3F;

/* Of a model of networks alone, at scaled rows. */
static double score_scaled(const struct deepsad_model *model, const float *z)
{
    const struct component *component = model->components[0];
    float *scratch =
        aligned_alloc(64, (component->ops->scratch(component) + 16) / 16 * 64);
    float raw, score;
    float *const views[MODEL_COMPONENTS_MAX] = {&raw};
    assert_non_null(scratch);
    component->ops->score(component, &raw, z, 1, scratch);
    model_blend(model, &score, views, 1);
    free(scratch);
    return (double)score;
}

/* d score / d z_j at the point that is t of the way, by differences. */
static double slope_at(const struct deepsad_model *model, const float from[FEATURES],
                       const float to[FEATURES], float t, size_t feature)
{
    float low[FEATURES], high[FEATURES];
    for (size_t j = 0; j < FEATURES; j++) {
        low[j] = high[j] = from[j] + t * (to[j] - from[j]);
    }
    low[feature] -= step;
    high[feature] += step;
    return (score_scaled(model, high) - score_scaled(model, low)) /
           ((double)high[feature] - (double)low[feature]);
}

static void check_fine(struct fixture *f, const float *x)
{
    float from[FEATURES], to[FEATURES];
    double error = 0, size = 0;
    scaler_apply(&f->model->scaler, from, f->model->scaler.impute, 1);
    scaler_apply(&f->model->scaler, to, x, 1);
    explain(f, x);
    for (size_t j = 0; j < FEATURES; j++) {
        double sum = 0;
        for (size_t i = 0; i < FINE; i++) {
            sum += slope_at(f->model, from, to, ((float)i + 0.5F) / FINE, j) / FINE;
        }
        double expected = sum * ((double)to[j] - (double)from[j]);
        error += fabs((double)f->contributions[j] - expected);
        size += fabs(expected);
    }
    assert_true(error <= 0.05 * size);
}

static void contributions_are_the_integrals_of_the_gradients(void **state)
{
    (void)state;
    struct fixture f = fixture_of(recipe_without_insurance());
    for (size_t i = 0; i < ROWS; i += 60) {
        check_fine(&f, f.data.x + i * FEATURES);
    }
    check_fine(&f, f.data.x + (ROWS - 1) * FEATURES);
    done(&f);
}

static void order_falls_by_size_then_rises_by_index(void **state)
{
    (void)state;
    const float contributions[] = {0, -3, 2, 3, 0, -0.5F};
    const uint32_t expected[] = {1, 3, 2, 5, 0, 4};
    uint32_t order[FEATURES];
    explain_order(order, contributions, FEATURES);
    assert_memory_equal(order, expected, sizeof order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_and_contributions_sum_to_the_score),
        cmocka_unit_test(a_model_without_labelled_anomalies_is_explained),
        cmocka_unit_test(the_reference_contributes_nothing_and_is_the_base),
        cmocka_unit_test(missing_and_constant_features_contribute_nothing),
        cmocka_unit_test(the_odd_feature_contributes_most),
        cmocka_unit_test(features_that_count_alike_get_equal_shares),
        cmocka_unit_test(contributions_are_the_integrals_of_the_gradients),
        cmocka_unit_test(order_falls_by_size_then_rises_by_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
