/* SPDX-License-Identifier: Apache-2.0 */
#include "base/commas.h"

#include "../testing.h"
#include "nn/rng.h"

/* From none to all. */
static void commas_are_listed_in_order(void **state)
{
    char text[COMMAS_TEXT_MAX];
    uint16_t places[COMMAS_MAX];
    struct rng rng;
    (void)state;
    rng_init(&rng, 1, 0);
    for (size_t round = 0; round < 3000; round++) {
        size_t size = 64 * (1 + rng_below(&rng, COMMAS_TEXT_MAX / 64)), found = 0;
        size_t rare = rng_below(&rng, 12);
        for (size_t i = 0; i < size; i++) {
            bool comma = rare == 0 || rng_below(&rng, rare) == 1;
            text[i] = comma ? ',' : (char)(rng_below(&rng, 256));
        }
        size_t count = commas_list(places, text, size);
        for (size_t i = 0; i < size; i++) {
            if (text[i] == ',') {
                assert_true(found < count);
                assert_int_equal(places[found++], i);
            }
        }
        assert_int_equal(found, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(commas_are_listed_in_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
