/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmocka with its quirks hidden: include order, and asserts for floats with a relative
 * tolerance. Asserts only from the test's own thread. A test's name is a sentence about
 * behaviour; its body at most 15 lines.
 */
#ifndef TESTS_TESTING_H
#define TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* |actual - expected| <= tolerance * max(|expected|, floor) */
#define assert_near_floor(actual, expected, tolerance, floor_)                        \
    do {                                                                              \
        double actual_ = (double)(actual), expected_ = (double)(expected);            \
        double allowed_ = (tolerance)*fmax(fabs(expected_), (double)(floor_));        \
        if (!(fabs(actual_ - expected_) <= allowed_)) {                               \
            fail_msg("%s = %.9g, expected %.9g +- %.2g", #actual, actual_, expected_, \
                     allowed_);                                                       \
        }                                                                             \
    } while (0)
#define assert_near(actual, expected, tolerance) \
    assert_near_floor(actual, expected, tolerance, 1e-30)

/* The message of an error holds `part`. */
#define assert_error_says(error, part)                                       \
    do {                                                                     \
        if (strstr((error).message, (part)) == NULL) {                       \
            fail_msg("\"%s\" does not say \"%s\"", (error).message, (part)); \
        }                                                                    \
    } while (0)

#endif
