/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a token may do, and with which models. Roles do not include each other, but for
 * admin, which may do all that the others may:
 *
 *     score    score rows; see models and versions
 *     label    give and withdraw verdicts under one's own name; see samples, labels and
 *              the review list
 *     operate  retrain, activate, load and unload; see jobs
 *     admin    all of it, and verdicts in the name of others
 */
#ifndef ACCESS_ROLE_H
#define ACCESS_ROLE_H

#include <stddef.h>

enum role { ROLE_SCORE = 1, ROLE_LABEL = 2, ROLE_OPERATE = 4, ROLE_ADMIN = 8 };
enum { ROLE_ANY = ROLE_SCORE | ROLE_LABEL | ROLE_OPERATE | ROLE_ADMIN };

/* The role's bit; 0: there is no such role. */
unsigned role_parse(const char *text, size_t length);
/* "score"; of one bit. */
const char *role_name(unsigned role);
/* "score, label, operate, admin" */
extern const char role_list[];

#endif
