/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "base/memory.h"

static void a_machine_has_some_memory_and_always_as_much(void **state)
{
    (void)state;
    double total = memory_total();
    assert_true(total > 1 << 24);
    assert_true(total == memory_total());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_has_some_memory_and_always_as_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
