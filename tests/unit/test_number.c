/* SPDX-License-Identifier: Apache-2.0 */
/* The C library is the oracle: strtof for reading, %.*e of rising precision for the
 * shortest text. */
#include "base/number.h"

#include <locale.h>
#include <stdlib.h>

#include "../testing.h"
#include "nn/rng.h"

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float random_finite(struct rng *rng)
{
    float value;
    do {
        uint32_t bits = (uint32_t)rng_next(rng);
        memcpy(&value, &bits, sizeof value);
    } while (!isfinite(value) || value == 0);
    return value;
}

static void assert_reads_as_strtof(const char *text)
{
    float value = 0;
    const char *end = text + strlen(text);
    if (number_parse_decimal(&value, text, end) != end) {
        fail_msg("\"%s\" was not read whole", text);
    }
    if (bits_of(value) != bits_of(strtof(text, NULL))) {
        fail_msg("\"%s\" is %.9g, not %.9g", text, (double)strtof(text, NULL),
                 (double)value);
    }
}

static void reading_agrees_with_strtof_on_random_texts(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int i = 0; i < 1000000; i++) {
        char text[64];
        size_t length = 0;
        size_t digits = 1 + rng_below(&rng, 28);
        size_t point = rng_below(&rng, 29);
        if (rng_below(&rng, 2) == 0) {
            text[length++] = '-';
        }
        for (size_t j = 0; j < digits; j++) {
            if (j == point) {
                text[length++] = '.';
            }
            text[length++] = (char)('0' + rng_below(&rng, 10));
        }
        snprintf(text + length, sizeof text - length, "e%d",
                 (int)rng_below(&rng, 110) - 60);
        if (rng_below(&rng, 2) == 0) {
            text[length] = '\0';
        }
        assert_reads_as_strtof(text);
    }
}

/* Texts at, just below and just above the middle of two neighbours: a rounding by way of
 * double goes wrong here. */
static void reading_rounds_midpoints_as_strtof(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 2, 0);
    for (int i = 0; i < 20000; i++) {
        float low = fabsf(random_finite(&rng));
        double middle = ((double)low + (double)nextafterf(low, INFINITY)) / 2;
        char text[256];
        for (int precision = 14; precision < 22; precision++) {
            snprintf(text, sizeof text, "%.*e", precision, middle);
            assert_reads_as_strtof(text);
        }
        snprintf(text, sizeof text, "%.160e", middle);
        assert_reads_as_strtof(text);
        text[strchr(text, 'e') - text - 1] = '1';
        assert_reads_as_strtof(text);
    }
}

static void reading_agrees_with_strtof_at_the_edges(void **state)
{
    (void)state;
    const char *texts[] = {"0",
                           "-0",
                           "0.0e99",
                           "3.4028235e38",
                           "3.4028235677973366e38",
                           "3.4028235677973367e38",
                           "3.5e38",
                           "-1e39",
                           "1e400",
                           "1e-400",
                           "1.4e-45",
                           "7.006492321624085e-46",
                           "7.0064923216240854e-46",
                           "1.17549435e-38",
                           "1.1754942807573643e-38",
                           "16777217",
                           "16777217.000000000000000000000000000001",
                           "8388608.5",
                           "9007199791611905",
                           "1e99999999999999999999",
                           "0e99999999999999999999",
                           "1e-99999999999999999999",
                           "18446744073709551616",
                           "9999999999999999999",
                           "00000000000000000000000000000000001.5",
                           "+1",
                           ".5",
                           "5.",
                           "-.5e-3",
                           "5.e3"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_reads_as_strtof(texts[i]);
    }
}

static void a_token_of_any_length_is_exact(void **state)
{
    (void)state;
    enum { LENGTH = 100000 };
    char *text = malloc(LENGTH + 16);
    assert_non_null(text);
    memset(text, '0', LENGTH);
    text[1] = '.';
    memcpy(text + LENGTH - 8, "16777217", 8);
    snprintf(text + LENGTH, 16, "e%d", LENGTH - 2);
    float value = 0;
    assert_non_null(number_parse_float(&value, text, text + strlen(text)));
    assert_true(value == 16777216);
    strcpy(text + LENGTH, "1e99998"); /* one digit more decides the tie */
    assert_non_null(number_parse_float(&value, text, text + strlen(text)));
    assert_true(value == 16777218);
    free(text);
}

static void only_json_numbers_are_read(void **state)
{
    (void)state;
    const char *wrong[] = {"",     "-",  "+1",  "01",  "-01", ".5",       "1.",
                           "1.e3", "1e", "1e+", "nan", "inf", "Infinity", "x",
                           "-x",   " 1", "e5",  "-e5", "--1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        float value = 7;
        if (number_parse_float(&value, wrong[i], wrong[i] + strlen(wrong[i])) != NULL) {
            fail_msg("\"%s\" was taken for a number", wrong[i]);
        }
        assert_true(value == 7);
    }
}

static void reading_stops_behind_the_number(void **state)
{
    (void)state;
    const char *texts[] = {"12,5", "-1.5]", "1e3 ", "0x10", "2.5.5", "1-2"};
    const size_t lengths[] = {2, 4, 3, 1, 3, 1};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        float value;
        const char *behind =
            number_parse_float(&value, texts[i], texts[i] + strlen(texts[i]));
        assert_int_equal(behind - texts[i], lengths[i]);
    }
}

static void reading_never_looks_behind_the_end(void **state)
{
    (void)state;
    const char text[] = "123.5e17";
    float value;
    assert_ptr_equal(number_parse_float(&value, text, text + 3), text + 3);
    assert_true(value == 123);
    assert_null(number_parse_float(&value, text, text + 4));
    assert_ptr_equal(number_parse_float(&value, text, text + 5), text + 5);
    assert_null(number_parse_float(&value, text, text + 6));
    assert_ptr_equal(number_parse_float(&value, text, text + 7), text + 7);
    assert_true(value == 1235);
}

static void reading_does_not_depend_on_the_locale(void **state)
{
    (void)state;
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL) {
        setlocale(LC_NUMERIC, ""); /* whatever the machine has */
    }
    const char text[] = "1.00000005960464477540";
    float value = 0;
    assert_non_null(number_parse_float(&value, text, text + strlen(text)));
    assert_int_equal(bits_of(value), 0x3f800001);
    setlocale(LC_NUMERIC, "C");
}

static size_t significant_digits(const char *text)
{
    size_t count = 0;
    size_t zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text >= '0' && *text <= '9' && (count > 0 || *text != '0')) {
            count++;
            zeros = *text == '0' ? zeros + 1 : 0;
        }
    }
    return count - zeros;
}

static void assert_shortest(float value)
{
    char text[NUMBER_FLOAT_MAX + 1] = "";
    size_t length = number_format_float(text, value);
    assert_in_range(length, 1, NUMBER_FLOAT_MAX);
    text[length] = '\0';
    float back = 0;
    assert_ptr_equal(number_parse_float(&back, text, text + length), text + length);
    if (bits_of(back) != bits_of(value)) {
        fail_msg("%.9g became %s", (double)value, text);
    }
    char shorter[32];
    int precision = 0;
    do {
        snprintf(shorter, sizeof shorter, "%.*e", precision++, (double)value);
    } while (strtof(shorter, NULL) != value);
    if (significant_digits(text) > significant_digits(shorter)) {
        fail_msg("%s is longer than %s", text, shorter);
    }
    if (significant_digits(text) == significant_digits(shorter)) {
        assert_true(strtod(text, NULL) == strtod(shorter, NULL)); /* and the nearest */
    }
}

static void writing_is_shortest_and_reads_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (int i = 0; i < 200000; i++) {
        assert_shortest(random_finite(&rng));
        assert_shortest((float)rng_below(&rng, 1000000) / 1000);
    }
    for (int exponent = -149; exponent < 128; exponent++) { /* closer below than above */
        assert_shortest(ldexpf(1, exponent));
        assert_shortest(nextafterf(ldexpf(1, exponent), 0.0f) + 0x1p-149f);
    }
}

static void blocks_are_written_as_number_by_number(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 4, 0);
    for (int round = 0; round < 5000; round++) {
        float values[NUMBER_BLOCK];
        struct number_texts texts;
        size_t count = 1 + (size_t)rng_below(&rng, NUMBER_BLOCK);
        for (size_t i = 0; i < count; i++) {
            values[i] = round % 2 == 0 ? random_finite(&rng)
                                       : (float)rng_below(&rng, 2000) / 1000 - 1;
        }
        number_format_floats(&texts, values, count);
        for (size_t i = 0; i < count; i++) {
            char text[NUMBER_FLOAT_MAX];
            assert_int_equal(texts.length[i], number_format_float(text, values[i]));
            assert_memory_equal(texts.text[i], text, texts.length[i]);
        }
    }
}

static void writing_chooses_a_readable_notation(void **state)
{
    (void)state;
    const struct {
        float value;
        const char *text;
    } cases[] = {{0.0f, "0"},
                 {-0.0f, "0"},
                 {1, "1"},
                 {-1, "-1"},
                 {0.5f, "0.5"},
                 {100, "100"},
                 {-0.1f, "-0.1"},
                 {1.25f, "1.25"},
                 {3.1415927f, "3.1415927"},
                 {16777216, "16777216"},
                 {1e9f, "1000000000"},
                 {1e10f, "1e10"},
                 {0.001f, "0.001"},
                 {1.2345678e-5f, "0.000012345678"},
                 {1e-6f, "1e-6"},
                 {3.4028235e38f, "3.4028235e38"},
                 {1e-45f, "1e-45"},
                 {-1.17549435e-38f, "-1.1754944e-38"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[NUMBER_FLOAT_MAX + 1] = "";
        text[number_format_float(text, cases[i].value)] = '\0';
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_agrees_with_strtof_on_random_texts),
        cmocka_unit_test(reading_rounds_midpoints_as_strtof),
        cmocka_unit_test(reading_agrees_with_strtof_at_the_edges),
        cmocka_unit_test(a_token_of_any_length_is_exact),
        cmocka_unit_test(only_json_numbers_are_read),
        cmocka_unit_test(reading_stops_behind_the_number),
        cmocka_unit_test(reading_never_looks_behind_the_end),
        cmocka_unit_test(reading_does_not_depend_on_the_locale),
        cmocka_unit_test(writing_is_shortest_and_reads_back),
        cmocka_unit_test(blocks_are_written_as_number_by_number),
        cmocka_unit_test(writing_chooses_a_readable_notation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
