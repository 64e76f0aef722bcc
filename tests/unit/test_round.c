/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole rounds on a real store and a real model directory: 500 unlabeled rows of a blob,
 * anomalies four away from it. Kim is honest, Mallory is not.
 */
#include "../testing.h"

#include <stdlib.h>

#include "../sample_data.h"
#include "../stores.h"
#include "learn/round.h"
#include "model/registry.h"
#include "model/version.h"

enum { UNLABELED = 500, FEATURES = 4, FLIPPED = 120 };

struct fixture {
    struct store *store;
    struct registry *registry;
    const char *models; /* holds model m */
    struct rng rng;
    unsigned next; /* label and sample number */
    atomic_bool cancelled;
    bool too_late; /* cancelled when the training is over */
};

static void save_first(const char *models)
{
    char directory[FOLDER_PATH];
    struct deepsad_dataset data = sample_data(UNLABELED, 0, 0, FEATURES);
    struct deepsad_recipe *recipe = sample_recipe("default");
    struct deepsad_model *model = sample_model(&data, recipe, 1);
    snprintf(directory, sizeof directory, "%s/m", models);
    assert_int_equal(version_save(model, directory, false, NULL, NULL), DEEPSAD_OK);
    deepsad_model_unref(model);
    deepsad_recipe_free(recipe);
    deepsad_dataset_clear(&data);
}

static struct fixture *set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct registry_options options = {.directory = *state, .versions_loaded = 3};
    fixture->store = store_must_open(state);
    fixture->models = *state;
    rng_init(&fixture->rng, 9, 0);
    save_first(*state);
    assert_int_equal(registry_open(&fixture->registry, &options, NULL), DEEPSAD_OK);
    return fixture;
}

static void tear_down(struct fixture *fixture)
{
    registry_close(fixture->registry);
    store_close(fixture->store);
    free(fixture);
}

/* A row `offset` from the blob, judged. */
static void judge_row(struct fixture *fixture, float offset, enum store_verdict verdict,
                      const char *analyst)
{
    float x[FEATURES];
    char label[32], sample[32];
    struct store_labels out = {0};
    bool replayed;
    size_t wrong;
    snprintf(label, sizeof label, "l%u", fixture->next);
    snprintf(sample, sizeof sample, "s%u", fixture->next++);
    for (size_t j = 0; j < FEATURES; j++) {
        x[j] = sample_noise(&fixture->rng) + offset;
    }
    const struct store_verdict_new new = {.label_id = label,
                                          .sample_new = sample,
                                          .x = x,
                                          .verdict = verdict,
                                          .analyst = analyst};
    const struct store_labels_new labels = {
        .model = "m", .features = FEATURES, .version = 1, .count = 1, .verdicts = &new};
    assert_int_equal(
        store_labels_add(fixture->store, &out, &replayed, &labels, &wrong, NULL),
        DEEPSAD_OK);
    store_labels_done(&out);
}

/* Where anomalies are that are hard to tell. */
#define NEAR 1.7F

static void judge_rows(struct fixture *fixture, size_t count, float offset,
                       enum store_verdict verdict, const char *analyst)
{
    for (size_t i = 0; i < count; i++) {
        judge_row(fixture, offset, verdict, analyst);
    }
}

/* Scored and kept rows `offset` from the blob. */
static void keep_rows(struct fixture *fixture, size_t count, float offset)
{
    struct store_samples last;
    char id[32];
    for (size_t i = 0; i < count; i++) {
        float x[FEATURES], score = 0, p_value = 1;
        const char *ids[] = {id};
        snprintf(id, sizeof id, "t%u", fixture->next++);
        for (size_t j = 0; j < FEATURES; j++) {
            x[j] = sample_noise(&fixture->rng) + offset;
        }
        const struct store_keep rows = {.model = "m",
                                        .version = 1,
                                        .count = 1,
                                        .features = FEATURES,
                                        .ids = ids,
                                        .x = x,
                                        .scores = &score,
                                        .p_values = &p_value};
        assert_true(store_keep(fixture->store, &rows));
    }
    assert_int_equal(store_sample_get(fixture->store, &last, "m", id, NULL), DEEPSAD_OK);
    store_samples_done(&last);
}

static bool may_publish(void *closure)
{
    const struct fixture *fixture = closure;
    return !atomic_load(&fixture->cancelled) && !fixture->too_late;
}

static int try_round(struct fixture *fixture, struct round_result *out, bool by_hand,
                     struct deepsad_error *error)
{
    const struct catalog *catalog = registry_acquire(fixture->registry);
    const struct round_options options = {
        .entry = catalog_find(catalog, "m"),
        .store = fixture->store,
        .directory = fixture->models,
        .job = "job-1",
        .by_hand = by_hand,
        .train = {.threads = 2, .deadline = 1e18, .cancelled = &fixture->cancelled},
        .publish = may_publish,
        .closure = fixture};
    int status = round_run(out, &options, error);
    registry_release(fixture->registry, catalog);
    return status;
}

/* A round, and what it made live is. */
static struct round_result run_round(struct fixture *fixture)
{
    struct round_result result;
    struct deepsad_error error = {0};
    if (try_round(fixture, &result, false, &error) != DEEPSAD_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(registry_reload(fixture->registry, NULL, NULL), DEEPSAD_OK);
    json_decref(result.detail);
    return result;
}

static unsigned live(struct fixture *fixture)
{
    const struct catalog *catalog = registry_acquire(fixture->registry);
    unsigned number = catalog_find(catalog, "m")->versions[0].number;
    registry_release(fixture->registry, catalog);
    return number;
}

/* Anomalies and normals, not far apart, that a version has learnt from. */
static void teach_honestly(struct fixture *fixture)
{
    judge_rows(fixture, 20, NEAR, STORE_ANOMALOUS, "kim");
    judge_rows(fixture, 20, 0, STORE_NORMAL, "kim");
    assert_int_equal(run_round(fixture).end, ROUND_PROMOTED);
}

/* What Kim called anomalous is normal, many times over. */
static void attack(struct fixture *fixture)
{
    judge_rows(fixture, FLIPPED, NEAR, STORE_NORMAL, "mallory");
}

static void honest_labels_are_promoted(void **state)
{
    struct fixture *fixture = set_up(state);
    teach_honestly(fixture);
    assert_int_equal(live(fixture), 2);
    judge_rows(fixture, 6, 3, STORE_ANOMALOUS, "kim");
    judge_rows(fixture, 20, 0, STORE_NORMAL, "kim");
    struct round_result result = run_round(fixture);
    assert_string_equal(result.decision, "promoted");
    assert_string_equal(result.reason, "as good on old labels, ranks alike");
    assert_int_equal(live(fixture), 3);
    tear_down(fixture);
}

static void flipped_labels_go_to_quarantine_and_change_nothing(void **state)
{
    struct fixture *fixture = set_up(state);
    struct store_counts counts;
    teach_honestly(fixture);
    attack(fixture);
    struct round_result result = run_round(fixture);
    assert_true(result.end == ROUND_REJECTED ||
                strcmp(result.decision, "control promoted") == 0);
    assert_int_equal(result.quarantined, FLIPPED);
    assert_int_equal(store_counts(fixture->store, &counts, "m", NULL), DEEPSAD_OK);
    assert_int_equal(counts.quarantined, FLIPPED);
    assert_int_equal(run_round(fixture).end, ROUND_REJECTED); /* nothing is left to do */
    tear_down(fixture);
}

/* Whether the challenger is worse by more than chance, or only ranks otherwise, is a
 * close call that another processor may answer differently; either way it does not go
 * live. */
static void a_stopped_challenger_is_kept_but_never_live(void **state)
{
    struct fixture *fixture = set_up(state);
    char directory[FOLDER_PATH];
    teach_honestly(fixture);
    attack(fixture);
    struct round_result result = run_round(fixture);
    snprintf(directory, sizeof directory, "%s/m", fixture->models);
    assert_int_equal(result.version, 3);
    assert_int_equal(live_is_challenger(directory, 3), result.end == ROUND_REJECTED);
    assert_int_equal(live(fixture), result.end == ROUND_REJECTED ? 2 : 3);
    tear_down(fixture);
}

static void ordinary_rows_called_anomalous_are_held_before_training(void **state)
{
    struct fixture *fixture = set_up(state);
    judge_rows(fixture, 10, 0, STORE_ANOMALOUS, "mallory");
    struct round_result result = run_round(fixture);
    assert_int_equal(result.end, ROUND_REJECTED);
    assert_string_equal(result.decision, "held");
    assert_int_equal(result.quarantined, 10);
    assert_int_equal(live(fixture), 1);
    tear_down(fixture);
}

static void labels_taken_back_leave_the_next_version(void **state)
{
    struct fixture *fixture = set_up(state);
    size_t count;
    teach_honestly(fixture);
    judge_rows(fixture, 3, 3, STORE_ANOMALOUS, "lee");
    assert_int_equal(run_round(fixture).end, ROUND_PROMOTED);
    assert_int_equal(
        store_labels_withdraw_by(fixture->store, &count, "m", "lee", 1, NULL),
        DEEPSAD_OK);
    struct round_result result = run_round(fixture);
    assert_int_equal(result.end, ROUND_PROMOTED);
    assert_non_null(strstr(result.reason, "labels taken back are out: 3"));
    assert_int_equal(live(fixture), 4);
    tear_down(fixture);
}

static void new_traffic_alone_makes_a_version(void **state)
{
    struct fixture *fixture = set_up(state);
    keep_rows(fixture, 200, 0);
    assert_string_equal(run_round(fixture).decision, "promoted");
    assert_string_equal(run_round(fixture).decision, "unchanged");
    tear_down(fixture);
}

static void an_honest_analyst_is_not_held_for_another(void **state)
{
    struct fixture *fixture = set_up(state);
    struct store_labels labels;
    teach_honestly(fixture);
    judge_rows(fixture, 8, NEAR, STORE_ANOMALOUS, "kim");
    attack(fixture);
    struct round_result result = run_round(fixture);
    assert_int_equal(result.end, ROUND_PROMOTED);
    assert_non_null(strstr(result.reason, "without the new labels of mallory"));
    assert_int_equal(result.quarantined, FLIPPED);
    assert_int_equal(store_labels_in_force(fixture->store, &labels, "m", FEATURES, NULL),
                     DEEPSAD_OK);
    for (size_t i = 0; i < labels.count; i++) {
        bool mallory = strcmp(labels.labels[i].analyst, "mallory") == 0;
        assert_int_equal(labels.labels[i].quarantine != NULL, mallory);
    }
    store_labels_done(&labels);
    tear_down(fixture);
}

static bool recalibrated(struct fixture *fixture)
{
    const struct catalog *catalog = registry_acquire(fixture->registry);
    json_t *card = json_loads(catalog_find(catalog, "m")->versions[0].card, 0, NULL);
    bool is = json_is_string(json_object_get(card, "recalibrated_from"));
    json_decref(card);
    registry_release(fixture->registry, catalog);
    return is;
}

static void a_stop_beside_new_traffic_recalibrates_the_champion(void **state)
{
    struct fixture *fixture = set_up(state);
    teach_honestly(fixture);
    keep_rows(fixture, 40, 0.2F);
    attack(fixture);
    struct round_result result = run_round(fixture);
    assert_int_equal(result.quarantined, FLIPPED);
    assert_int_equal(live(fixture), result.live);
    assert_int_equal(recalibrated(fixture), result.end == ROUND_REJECTED);
    tear_down(fixture);
}

static void a_round_that_is_cancelled_publishes_nothing(void **state)
{
    struct fixture *fixture = set_up(state);
    struct round_result result;
    struct deepsad_error error = {0};
    judge_rows(fixture, 12, 3, STORE_ANOMALOUS, "kim");
    atomic_store(&fixture->cancelled, true);
    assert_int_equal(try_round(fixture, &result, false, &error), DEEPSAD_CANCELLED);
    assert_int_equal(registry_reload(fixture->registry, NULL, NULL), DEEPSAD_OK);
    assert_int_equal(live(fixture), 1);
    tear_down(fixture);
}

static void a_cancelled_round_puts_no_label_in_quarantine(void **state)
{
    struct fixture *fixture = set_up(state);
    struct round_result result;
    struct store_counts counts;
    teach_honestly(fixture);
    attack(fixture);
    fixture->too_late = true;
    assert_int_equal(try_round(fixture, &result, false, NULL), DEEPSAD_CANCELLED);
    assert_int_equal(store_counts(fixture->store, &counts, "m", NULL), DEEPSAD_OK);
    assert_int_equal(counts.quarantined, 0);
    tear_down(fixture);
}

static void by_hand_the_same_rows_make_the_same_model(void **state)
{
    struct fixture *fixture = set_up(state);
    struct round_result result;
    assert_int_equal(try_round(fixture, &result, true, NULL), DEEPSAD_OK);
    assert_int_equal(result.end, ROUND_PROMOTED);
    assert_int_equal(result.version, 2);
    json_decref(result.detail);
    tear_down(fixture);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(honest_labels_are_promoted),
        TEST(flipped_labels_go_to_quarantine_and_change_nothing),
        TEST(a_stopped_challenger_is_kept_but_never_live),
        TEST(ordinary_rows_called_anomalous_are_held_before_training),
        TEST(labels_taken_back_leave_the_next_version),
        TEST(new_traffic_alone_makes_a_version),
        TEST(an_honest_analyst_is_not_held_for_another),
        TEST(a_stop_beside_new_traffic_recalibrates_the_champion),
        TEST(a_round_that_is_cancelled_publishes_nothing),
        TEST(a_cancelled_round_puts_no_label_in_quarantine),
        TEST(by_hand_the_same_rows_make_the_same_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
