/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for whom, without threads and without a clock. */
#include "../testing.h"

#include "api/batch_lane.h"

enum { REQUESTS = 100 };

#define DELAY 0.5

/* Requests of one row each, to a model of four features. */
struct bench {
    struct catalog_entry entry;
    struct batch_lane lane;
    struct scoring requests[REQUESTS];
    size_t used;
    double now;
};

static void start(struct bench *bench, size_t rows)
{
    *bench = (struct bench){.now = 100};
    bench->entry.policy.batching.delay = DELAY;
    bench->entry.policy.batching.rows = rows;
    batch_lane_init(&bench->lane, NULL);
}

static struct scoring *add_rows(struct bench *bench, size_t rows)
{
    struct scoring *scoring = &bench->requests[bench->used++ % REQUESTS];
    *scoring = (struct scoring){.entry = &bench->entry};
    scoring->rows.columns.count = 4;
    scoring->rows.count = rows;
    batch_lane_add(&bench->lane, scoring, bench->now);
    return scoring;
}

static void add(struct bench *bench, size_t requests)
{
    for (size_t i = 0; i < requests; i++) {
        add_rows(bench, 1);
    }
}

static bool due(const struct bench *bench)
{
    return bench->lane.due <= bench->now;
}

/* Requests of the batch that is taken. */
static size_t take(struct bench *bench)
{
    size_t count = 0;
    for (const struct scoring *one = batch_lane_take(&bench->lane); one != NULL;
         one = one->queued.next) {
        count++;
    }
    return count;
}

/* As many clients as that send their next request when they have the answer; the delay
 * passes where the lane waits for more. Returns how often it did, in so many batches. */
static size_t closed_loop(struct bench *bench, size_t clients, size_t batches)
{
    size_t waits = 0;
    for (size_t i = 0; i < batches; i++) {
        if (clients == 1 && !batch_lane_wanted(&bench->lane)) {
            continue; /* it goes on alone */
        }
        add(bench, clients - bench->lane.requests);
        if (!due(bench)) {
            bench->now += DELAY;
            waits++;
        }
        assert_true(due(bench));
        take(bench);
    }
    return waits;
}

static void a_batch_closes_when_those_expected_are_there(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, 64);
    bench.lane.expected = 3;
    add(&bench, 2);
    assert_false(due(&bench));
    add(&bench, 1);
    assert_true(due(&bench));
    assert_int_equal(take(&bench), 3);
    assert_int_equal(bench.lane.requests, 0);
    assert_int_equal(bench.lane.rows, 0);
}

static void nobody_waits_longer_than_the_delay(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, 64);
    bench.lane.expected = 10;
    add(&bench, 1);
    bench.now += DELAY / 2;
    add(&bench, 1);
    assert_near(bench.lane.due, 100 + DELAY, 1e-12); /* of the oldest */
    bench.now = 100 + DELAY;
    assert_true(due(&bench));
    assert_int_equal(take(&bench), 2);
    assert_int_equal(bench.lane.expected, 6);
}

static void a_batch_has_so_many_rows_at_most(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, 8);
    bench.lane.expected = 100;
    add_rows(&bench, 5);
    assert_false(due(&bench));
    const struct scoring *second = add_rows(&bench, 4); /* does not fit */
    assert_true(due(&bench));
    assert_int_equal(take(&bench), 1);
    assert_ptr_equal(bench.lane.first, second);
    assert_int_equal(bench.lane.rows, 4);
    assert_false(due(&bench));
    assert_near(bench.lane.due, 100 + DELAY, 1e-12);
}

static void the_order_is_that_of_arrival(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, 4);
    add(&bench, 10);
    const struct scoring *expected = bench.requests;
    for (size_t left = 10; left > 0;) {
        for (const struct scoring *one = batch_lane_take(&bench.lane); one != NULL;
             one = one->queued.next, left--) {
            assert_ptr_equal(one, expected++);
        }
    }
    assert_null(bench.lane.first);
}

static void wide_rows_make_smaller_batches(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, 4096);
    struct scoring scoring = {.entry = &bench.entry, .rows.columns.count = 1 << 16};
    assert_int_equal(batch_lane_most(&scoring), 16); /* 4 MiB */
    scoring.rows.columns.count = 10;
    assert_int_equal(batch_lane_most(&scoring), 4096);
    scoring.rows.columns.count = (size_t)1 << 30;
    assert_int_equal(batch_lane_most(&scoring), 1);
}

static void a_single_client_hardly_ever_waits(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, 64);
    closed_loop(&bench, 1, 2000); /* it learns */
    assert_int_equal(bench.lane.expected, 1);
    assert_true(closed_loop(&bench, 1, 25600) <= 100);
}

static void clients_that_come_together_are_waited_for(void **state)
{
    struct bench bench;
    (void)state;
    for (size_t clients = 2; clients <= 40; clients += 19) {
        start(&bench, 64);
        closed_loop(&bench, clients, 20000); /* it learns */
        assert_in_range(bench.lane.expected, clients, clients + 1);
        assert_true(closed_loop(&bench, clients, 2560) <= 20);
    }
}

static void those_that_leave_are_not_waited_for_any_more(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, 64);
    add(&bench, 50);
    take(&bench);
    assert_int_equal(bench.lane.expected, 50);
    assert_true(closed_loop(&bench, 1, 100) < 12);
    assert_true(bench.lane.expected <= 2);
}

static void what_piles_up_is_expected_from_then_on(void **state)
{
    struct bench bench;
    (void)state;
    start(&bench, 64);
    add(&bench, 5);
    assert_int_equal(take(&bench), 5);
    assert_int_equal(bench.lane.expected, 5);
    add(&bench, 90); /* two batches */
    assert_int_equal(take(&bench), 64);
    assert_int_equal(bench.lane.expected, 64); /* no more than a batch holds */
    assert_int_equal(take(&bench), 26);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_closes_when_those_expected_are_there),
        cmocka_unit_test(nobody_waits_longer_than_the_delay),
        cmocka_unit_test(a_batch_has_so_many_rows_at_most),
        cmocka_unit_test(the_order_is_that_of_arrival),
        cmocka_unit_test(wide_rows_make_smaller_batches),
        cmocka_unit_test(a_single_client_hardly_ever_waits),
        cmocka_unit_test(clients_that_come_together_are_waited_for),
        cmocka_unit_test(those_that_leave_are_not_waited_for_any_more),
        cmocka_unit_test(what_piles_up_is_expected_from_then_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
