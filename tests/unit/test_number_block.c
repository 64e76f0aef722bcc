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

/* `count` numbers one behind the other, some behind a space. */
struct list {
    char text[NUMBER_PLAIN_MAX * 32 + NUMBER_PLAIN_BEHIND];
    uint16_t starts[NUMBER_PLAIN_MAX], stops[NUMBER_PLAIN_MAX];
};

static void make_list(struct list *list, size_t count, struct rng *rng)
{
    size_t used = 0;
    for (size_t i = 0; i < NUMBER_PLAIN_MAX; i++) {
        list->starts[i] = i < count ? (uint16_t)used : list->starts[0];
        used += i < count && rng_below(rng, 3) == 0;
        list->text[used - (used > list->starts[i])] = ' ';
        size_t length = i < count ? make_text(list->text + used, rng) : 0;
        used += i < count ? length + 1 : 0;
        list->stops[i] = i < count ? (uint16_t)(used - 1) : list->stops[0];
    }
}

static void blocks_are_read_as_number_by_number(void **state)
{
    struct list list = {.text = {0}};
    struct rng rng;
    (void)state;
    rng_init(&rng, 1, 0);
    for (size_t round = 0; round < 30000; round++) {
        float values[NUMBER_PLAIN_MAX];
        size_t count = 1 + round % NUMBER_PLAIN_MAX;
        make_list(&list, count, &rng);
        uint64_t odd =
            number_convert_plain(values, list.text, list.starts, list.stops, count);
        for (size_t i = 0; i < count; i++) {
            const char *text = list.text + list.starts[i];
            text += *text == ' ';
            assert_as_by_one(text, (size_t)(list.text + list.stops[i] - text), values[i],
                             odd >> i & 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_read_as_number_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
