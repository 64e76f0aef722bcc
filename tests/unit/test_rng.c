/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "nn/rng.h"

/* xoshiro256** of Blackman and Vigna, from the state 1, 2, 3, 4. */
static void numbers_are_those_of_the_published_generator(void **state)
{
    (void)state;
    struct rng rng = {{1, 2, 3, 4}};
    const uint64_t expected[] = {11520,
                                 0,
                                 1509978240,
                                 1215971899390074240,
                                 1216172134540287360,
                                 607988272756665600,
                                 16172922978634559625U,
                                 8476171486693032832,
                                 10595114339597558777U,
                                 2904607092377533576};
    for (size_t i = 0; i < 10; i++) {
        assert_true(rng_next(&rng) == expected[i]);
    }
}

static void the_same_seed_gives_the_same_numbers(void **state)
{
    (void)state;
    struct rng a;
    struct rng b;
    rng_init(&a, 7, 3);
    rng_init(&b, 7, 3);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(rng_next(&a) == rng_next(&b));
    }
}

static void seeds_and_streams_differ_from_each_other(void **state)
{
    (void)state;
    uint64_t seen[64];
    for (uint64_t i = 0; i < 64; i++) {
        struct rng rng;
        rng_init(&rng, i / 8, i % 8);
        seen[i] = rng_next(&rng);
        for (uint64_t j = 0; j < i; j++) {
            assert_true(seen[j] != seen[i]);
        }
    }
}

static void below_is_uniform_over_its_range(void **state)
{
    (void)state;
    enum { BOUND = 7, DRAWS = 70000 };
    size_t counts[BOUND] = {0};
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (size_t i = 0; i < DRAWS; i++) {
        size_t drawn = rng_below(&rng, BOUND);
        assert_true(drawn < BOUND);
        counts[drawn]++;
    }
    for (size_t i = 0; i < BOUND; i++) { /* five standard deviations: 5 sqrt(8571) */
        assert_in_range(counts[i], 10000 - 463, 10000 + 463);
    }
    assert_int_equal(rng_below(&rng, 1), 0);
}

static void below_takes_bounds_near_two_to_the_64(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 2, 0);
    size_t bound = SIZE_MAX / 4 * 3; /* a quarter of the draws must be drawn again */
    size_t upper = 0;
    for (size_t i = 0; i < 3000; i++) {
        size_t drawn = rng_below(&rng, bound);
        assert_true(drawn < bound);
        upper += drawn >= bound / 2;
    }
    assert_in_range(upper, 1500 - 137, 1500 + 137);
}

static void floats_fill_zero_to_below_one(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3, 0);
    double sum = 0;
    float least = 1;
    float most = 0;
    for (size_t i = 0; i < 100000; i++) {
        float drawn = rng_float(&rng);
        assert_true(drawn >= 0 && drawn < 1);
        sum += (double)drawn;
        least = fminf(least, drawn);
        most = fmaxf(most, drawn);
    }
    assert_near(sum / 100000, 0.5, 0.01);
    assert_true(least < 1e-3F && most > 0.999F);
}

static void a_shuffle_is_a_permutation_and_reaches_each_place(void **state)
{
    (void)state;
    enum { COUNT = 5, SHUFFLES = 10000 };
    size_t places[COUNT][COUNT] = {{0}};
    struct rng rng;
    rng_init(&rng, 4, 0);
    for (size_t k = 0; k < SHUFFLES; k++) {
        size_t index[COUNT] = {0, 1, 2, 3, 4};
        unsigned seen = 0;
        rng_shuffle(&rng, index, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            seen |= 1U << index[i];
            places[index[i]][i]++;
        }
        assert_int_equal(seen, 31);
    }
    for (size_t i = 0; i < (size_t)COUNT * COUNT; i++) { /* 5 sqrt(1600) */
        assert_in_range(places[i / COUNT][i % COUNT], 2000 - 200, 2000 + 200);
    }
}

static void shuffling_nothing_does_nothing(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5, 0);
    size_t only[1] = {9};
    rng_shuffle(&rng, only, 0);
    rng_shuffle(&rng, only, 1);
    assert_int_equal(only[0], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_the_published_generator),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(seeds_and_streams_differ_from_each_other),
        cmocka_unit_test(below_is_uniform_over_its_range),
        cmocka_unit_test(below_takes_bounds_near_two_to_the_64),
        cmocka_unit_test(floats_fill_zero_to_below_one),
        cmocka_unit_test(a_shuffle_is_a_permutation_and_reaches_each_place),
        cmocka_unit_test(shuffling_nothing_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
