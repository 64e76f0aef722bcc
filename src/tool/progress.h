/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is seen of a training while it runs: a bar that redraws itself where stderr is a
 * terminal, else a line for each tenth; or JSON lines on stdout. Asks for the stop flag
 * on the way.
 */
#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "deepsad.h"

enum progress_form { PROGRESS_BAR, PROGRESS_LINES, PROGRESS_JSON };

struct progress {
    enum progress_form form;
    double last;   /* when something was shown last, clock_monotonic() */
    size_t tenths; /* of the way, seen so far */
    bool drawn;    /* a bar stands on the terminal */
};

struct progress progress_new(bool json);

/* For deepsad_train_options.progress; closure: a struct progress. */
int progress_report(void *closure, const struct deepsad_progress *now);

/* Takes the bar away. */
void progress_end(struct progress *progress);

enum { PROGRESS_TEXT_SIZE = 256 };
/* "train 2/4, 34 of 100, loss 0.1234, 3 s left": the part beside the bar. */
void progress_describe(char out[static PROGRESS_TEXT_SIZE],
                       const struct deepsad_progress *now);
/* "0.4 s", "12 s", "3 min 20 s", "2 h 5 min" */
enum { PROGRESS_TIME_SIZE = 48 };
const char *progress_time(char out[static PROGRESS_TIME_SIZE], double seconds);
/* `width` cells, of which the share `fraction` is filled. */
void progress_bar(char *out, size_t width, double fraction);

#endif
