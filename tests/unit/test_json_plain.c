/* SPDX-License-Identifier: Apache-2.0 */
/* A body decoded in one piece takes the hot path, in pieces of a few bytes it never does:
 * nobody must be able to tell which. */
#include "api/json_plain.h"

#include "../testing.h"

#include "../fuzz/columns.h"
#include "nn/rng.h"

enum { BODY_MAX = 8192 };

/* Rows of three numbers of `usual` significant digits, some of more or fewer. */
static size_t make_body(char *text, struct rng *rng)
{
    const char *space = rng_below(rng, 2) == 0 ? "" : " ";
    size_t values = 3 * (1 + rng_below(rng, 45)), used = 0;
    size_t usual = rng_below(rng, 2) == 0 ? 6 : 1 + rng_below(rng, 17);
    used += (size_t)sprintf(text, "{\"samples\":[[");
    for (size_t i = 0; i < values; i++) {
        size_t digits = rng_below(rng, 40) == 0 ? 1 + rng_below(rng, 17) : usual;
        double value = ((double)rng_below(rng, 2000000000) - 5e8) / 12345678;
        bool last = i + 1 == values, row = i % 3 == 2 && !last;
        for (size_t extra = rng_below(rng, 300) == 0 ? 1 + rng_below(rng, 7) : 0;
             extra > 0; extra--) {
            used += (size_t)sprintf(text + used, "1,"); /* the row is too wide */
        }
        bool missing = rng_below(rng, 20) == 0;
        used += missing ? (size_t)sprintf(text + used, "null")
                        : (size_t)sprintf(text + used, "%.*g", (int)digits, value);
        used += (size_t)sprintf(text + used, "%s%s%s%s", row ? "]" : "", last ? "" : ",",
                                last ? "" : space, row ? "[" : "");
    }
    return used + (size_t)sprintf(text + used, "]]}");
}

static void damage(char *text, size_t size, struct rng *rng)
{
    static const char bytes[] = ",.-][ e0\"\n{}n1/\x80";
    for (size_t left = rng_below(rng, 3); left > 0; left--) {
        text[rng_below(rng, size)] = bytes[rng_below(rng, sizeof bytes - 1)];
    }
}

static void one_piece_gives_what_small_pieces_give(void **state)
{
    struct rows whole = {.x = NULL}, parts = {.x = NULL};
    char text[BODY_MAX + 64];
    struct rng rng;
    size_t good = 0;
    (void)state;
    rng_init(&rng, 1, 0);
    for (size_t round = 0; round < 20000; round++) {
        size_t size = make_body(text, &rng);
        damage(text, size, &rng);
        bool fine = test_decode(&whole, false, text, size, size);
        assert_int_equal(test_decode(&parts, false, text, size, 61), fine);
        assert_int_equal(whole.fault.status, parts.fault.status);
        assert_string_equal(whole.fault.detail, parts.fault.detail);
        assert_string_equal(whole.fault.pointer, parts.fault.pointer);
        assert_int_equal(whole.count, parts.count);
        assert_memory_equal(whole.x, parts.x, 3 * whole.count * sizeof(float));
        good += fine;
    }
    assert_true(good > 5000 && good < 18000);
    rows_done(&whole);
    rows_done(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_piece_gives_what_small_pieces_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
