/* SPDX-License-Identifier: Apache-2.0 */
/* What deepsad train says at its end. */
#ifndef TOOL_SUMMARY_H
#define TOOL_SUMMARY_H

#include <stdbool.h>

#include "deepsad.h"

struct summary {
    const char *directory; /* MODELS/NAME */
    unsigned version;
    unsigned live;  /* the version that is live now */
    double seconds; /* of all: reading, training, writing */
    struct deepsad_model *model;
};

/* Writes the version, then reads it back: what is told of it is what others will see,
 * with the policy that its directory has. */
int summary_save(struct summary *summary, struct deepsad_error *error);

/* On stdout; returns an exit code. */
int summary_print(const struct summary *summary, bool json);

#endif
