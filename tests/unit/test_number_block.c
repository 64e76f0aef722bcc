/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle is number_parse_float(). */
#include "base/number_block.h"

#include "../testing.h"
#include "base/number.h"
#include "nn/rng.h"

/* A number, or nearly one, with a comma behind it; returns its length. */
static size_t make_text(char *text, struct rng *rng)
{
    static const char unusual[] = "./-+eE ]\x1f\x80\xff,";
    size_t length = rng_below(rng, 13);
    size_t point = rng_below(rng, rng_below(rng, 2) == 0 ? 3 : 14);
    for (size_t i = 0; i < length; i++) {
        text[i] = (char)('0' + (rng_below(rng, 4) == 0 ? 0 : rng_below(rng, 10)));
        text[i] = i == point ? '.' : text[i];
    }
    if (point == 1 && rng_below(rng, 2) == 0) {
        text[0] = '0';
    }
    if (length > 0 && rng_below(rng, 3) == 0) {
        text[0] = '-';
    }
    if (length > 0 && rng_below(rng, 3) == 0) {
        text[rng_below(rng, length)] = unusual[rng_below(rng, sizeof unusual - 1)];
    }
    text[length] = rng_below(rng, 2) == 0 ? ',' : ']';
    return length;
}

static void put_number(struct number_plain *numbers, size_t i, const char *text,
                       size_t length)
{
    size_t skipped = *text == '-';
    uint64_t bits = *text == '-' ? NUMBER_NEGATIVE : 0;
    if (memcmp(text + skipped, "0.", 2) == 0 && length >= skipped + 2) {
        skipped += 2;
        bits |= NUMBER_FRACTION;
    }
    memcpy(&numbers->text[i], text + skipped, 8);
    numbers->length[i] = (length - skipped) | bits;
}

static bool is_plain(const char *text, size_t length)
{
    size_t sign = *text == '-', whole = 0, exponent = strcspn(text, "eE");
    bool fraction = length >= sign + 2 && memcmp(text + sign, "0.", 2) == 0;
    bool point = memchr(text, '.', length) != NULL;
    for (size_t i = sign; i < length; i++) {
        whole = text[i] == '.' ? whole : 10 * whole + (size_t)(text[i] - '0');
    }
    return exponent >= length && length - sign <= (fraction ? 10 : 8) &&
           (!point || whole <= 1 << 24);
}

static void assert_as_by_one(const char *text, size_t length, float value, uint64_t odd)
{
    float want = 0;
    bool number = number_parse_float(&want, text, text + length) == text + length;
    if ((odd == 0) != (number && is_plain(text, length))) {
        fail_msg("\"%.*s\": %s", (int)length, text, odd == 0 ? "taken" : "left");
    }
    if (odd == 0 && memcmp(&value, &want, sizeof value) != 0) {
        fail_msg("\"%.*s\" is %.9g, not %.9g", (int)length, text, (double)want,
                 (double)value);
    }
}

static void blocks_are_read_as_number_by_number(void **state)
{
    struct number_plain numbers = {.text = {0}};
    struct rng rng;
    (void)state;
    rng_init(&rng, 1, 0);
    for (size_t round = 0; round < 30000; round++) {
        char text[NUMBER_PLAIN_MAX][32] = {{0}};
        size_t length[NUMBER_PLAIN_MAX];
        float values[NUMBER_PLAIN_MAX];
        uint64_t odd[NUMBER_PLAIN_MAX];
        size_t count = 1 + round % NUMBER_PLAIN_MAX;
        for (size_t i = 0; i < count; i++) {
            length[i] = make_text(text[i], &rng);
            put_number(&numbers, i, text[i], length[i]);
        }
        for (size_t i = count; i % NUMBER_LANES != 0; i++) {
            put_number(&numbers, i, "0,......", 1);
        }
        uint64_t others = 0, any = number_convert_plain(values, odd, &numbers, count);
        for (size_t i = 0; i < count; i++) {
            assert_as_by_one(text[i], length[i], values[i], odd[i]);
            others |= odd[i];
        }
        assert_true((any != 0) == (others != 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_read_as_number_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
