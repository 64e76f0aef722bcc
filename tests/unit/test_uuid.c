/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "base/uuid.h"

static void a_uuid_holds_time_version_and_variant(void **state)
{
    struct uuid_source source;
    char text[UUID_SIZE + 1] = "";
    (void)state;
    uuid_source_init(&source);
    uuid_make(&source, 0x017F22E279B0, text);
    assert_memory_equal(text, "017f22e2-79b0-7", 15);
    assert_non_null(strchr("89ab", text[19]));
    assert_int_equal(text[18], '-');
    assert_int_equal(text[23], '-');
    assert_int_equal(strspn(text, "0123456789abcdef-"), UUID_SIZE);
}

static void uuids_of_a_source_rise_even_when_the_clock_falls(void **state)
{
    struct uuid_source source;
    char last[UUID_SIZE] = "", next[UUID_SIZE];
    (void)state;
    uuid_source_init(&source);
    for (int i = 0; i < 100000; i++) {
        uuid_make(&source, 1000000 + (i % 5000 == 0 ? i : -i), next);
        assert_true(memcmp(last, next, UUID_SIZE) < 0);
        memcpy(last, next, UUID_SIZE);
    }
}

static void the_random_part_carries_into_the_next_bits(void **state)
{
    struct uuid_source source = {
        .milliseconds = 5, .high = 0xFFF, .low = UINT64_MAX >> 2};
    char text[UUID_SIZE];
    (void)state;
    uuid_make(&source, 5, text);
    assert_memory_equal(text, "00000000-0006-7000-8", 20);
}

static void two_sources_differ(void **state)
{
    struct uuid_source one, other;
    char a[UUID_SIZE], b[UUID_SIZE];
    (void)state;
    uuid_source_init(&one);
    uuid_source_init(&other);
    uuid_make(&one, 1, a);
    uuid_make(&other, 1, b);
    assert_memory_not_equal(a, b, UUID_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uuid_holds_time_version_and_variant),
        cmocka_unit_test(uuids_of_a_source_rise_even_when_the_clock_falls),
        cmocka_unit_test(the_random_part_carries_into_the_next_bits),
        cmocka_unit_test(two_sources_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
