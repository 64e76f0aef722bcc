/* SPDX-License-Identifier: Apache-2.0 */
/* Scoring by several cores: who scores what leaves no trace in the scores. */
#include "../sample_data.h"

#include <pthread.h>

#include "api/cores.h"
#include "model/component.h"

enum { FEATURES = 7, ROWS = 9000, THREADS = 4, CALLERS = 6 };

/* Models that score rows in different ways: a network alone, and neighbours as well. */
static const char *const recipes[] = {"reference", "default"};
enum { RECIPES = sizeof recipes / sizeof recipes[0] };

struct fixture {
    struct deepsad_model *models[RECIPES];
    float *x; /* (ROWS, FEATURES), some missing */
    float *scores[RECIPES], *p_values[RECIPES];
};

static float *floats(size_t count)
{
    float *memory = calloc(count, sizeof *memory);
    assert_non_null(memory);
    return memory;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct deepsad_dataset data = sample_data(300, 10, 10, FEATURES);
    struct deepsad_dataset asked = sample_data(ROWS, 0, 0, FEATURES);
    assert_non_null(fixture);
    for (size_t i = 0; i < ROWS; i += 17) {
        asked.x[i * FEATURES + i % FEATURES] = (float)NAN;
    }
    for (size_t m = 0; m < RECIPES; m++) {
        struct deepsad_recipe *recipe =
            m == 0 ? sample_reference() : sample_recipe(recipes[m]);
        fixture->models[m] = sample_model(&data, recipe, 1);
        fixture->scores[m] = floats(ROWS);
        fixture->p_values[m] = floats(ROWS);
        sample_scores(fixture->models[m], fixture->scores[m], fixture->p_values[m],
                      &asked);
        deepsad_recipe_free(recipe);
    }
    fixture->x = asked.x;
    asked.x = NULL;
    deepsad_dataset_clear(&asked);
    deepsad_dataset_clear(&data);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    for (size_t m = 0; m < RECIPES; m++) {
        deepsad_model_unref(fixture->models[m]);
        free(fixture->scores[m]);
        free(fixture->p_values[m]);
    }
    free(fixture->x);
    free(fixture);
    return 0;
}

/* Whether the first rows get the bits that deepsad_score() gave them. */
static bool same_bits(struct cores *cores, const struct fixture *fixture, size_t m,
                      size_t rows)
{
    struct deepsad_workspace *workspace = deepsad_workspace_new();
    float *scores = calloc(rows + 1, sizeof *scores),
          *p_values = calloc(rows + 1, sizeof *p_values);
    bool same = scores != NULL && p_values != NULL &&
                cores_score(cores, fixture->models[m], workspace, scores, p_values,
                            fixture->x, rows) == DEEPSAD_OK &&
                memcmp(scores, fixture->scores[m], rows * sizeof *scores) == 0 &&
                memcmp(p_values, fixture->p_values[m], rows * sizeof *p_values) == 0 &&
                scores[rows] == 0 && p_values[rows] == 0;
    free(scores);
    free(p_values);
    deepsad_workspace_free(workspace);
    return same;
}

/* Whole blocks score the same wherever they begin; a partial last block is as long in
 * deepsad_score(), so the row counts here end with blocks, but for those of one call. */
static void the_bits_are_those_of_one_thread(void **state)
{
    static const size_t blocks[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 35};
    const struct fixture *fixture = *state;
    for (size_t threads = 1; threads <= THREADS; threads++) {
        struct cores *cores = NULL;
        assert_int_equal(cores_new(&cores, threads, NULL), DEEPSAD_OK);
        for (size_t m = 0; m < RECIPES; m++) {
            for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
                assert_true(same_bits(cores, fixture, m, blocks[i] * COMPONENT_BLOCK));
            }
        }
        cores_free(cores);
    }
}

/* Against deepsad_score() of as many rows, whose last block is as short. */
static void a_last_block_that_is_not_full_changes_nothing(void **state)
{
    static const size_t counts[] = {0,   1,   2,   31,   255,  257, 511,
                                    513, 769, 800, 1500, 4097, ROWS};
    const struct fixture *fixture = *state;
    struct cores *cores = NULL;
    assert_int_equal(cores_new(&cores, THREADS, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct fixture own = *fixture;
        struct deepsad_workspace *workspace = deepsad_workspace_new();
        own.scores[0] = floats(ROWS);
        own.p_values[0] = floats(ROWS);
        assert_int_equal(deepsad_score(own.models[0], workspace, own.scores[0],
                                       own.p_values[0], own.x, counts[i], NULL),
                         DEEPSAD_OK);
        assert_true(same_bits(cores, &own, 0, counts[i]));
        free(own.scores[0]);
        free(own.p_values[0]);
        deepsad_workspace_free(workspace);
    }
    cores_free(cores);
}

struct caller {
    struct cores *cores;
    const struct fixture *fixture;
    size_t model, blocks;
    size_t wrong;
    pthread_t id;
};

static void *call(void *closure)
{
    struct caller *caller = closure;
    for (size_t i = 0; i < 12; i++) {
        size_t blocks = (caller->blocks + i * 7) % (ROWS / COMPONENT_BLOCK) + 1;
        caller->wrong += !same_bits(caller->cores, caller->fixture, caller->model,
                                    blocks * COMPONENT_BLOCK);
    }
    return NULL;
}

static void callers_at_once_do_not_disturb_each_other(void **state)
{
    struct caller callers[CALLERS];
    struct cores *cores = NULL;
    assert_int_equal(cores_new(&cores, THREADS, NULL), DEEPSAD_OK);
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){
            .cores = cores, .fixture = *state, .model = i % RECIPES, .blocks = 5 * i};
        assert_int_equal(pthread_create(&callers[i].id, NULL, call, &callers[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(callers[i].id, NULL);
        assert_int_equal(callers[i].wrong, 0);
    }
    cores_free(cores);
}

static void without_cores_the_caller_scores_alone(void **state)
{
    assert_true(same_bits(NULL, *state, 0, 4 * COMPONENT_BLOCK));
    assert_true(same_bits(NULL, *state, 1, 4 * COMPONENT_BLOCK));
    cores_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bits_are_those_of_one_thread),
        cmocka_unit_test(a_last_block_that_is_not_full_changes_nothing),
        cmocka_unit_test(callers_at_once_do_not_disturb_each_other),
        cmocka_unit_test(without_cores_the_caller_scores_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
