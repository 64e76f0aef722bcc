/* SPDX-License-Identifier: Apache-2.0 */
/* Options of the paper's semi-supervised setting, alike in split and train. */
#ifndef TOOL_SELECTION_H
#define TOOL_SELECTION_H

#include <stdbool.h>

#include "deepsad.h"
#include "tool/command.h"
#include "tool/reading.h"

/* An amount that is NaN and a text that is NULL were not given. */
struct selection {
    double labeled_anomalies, labeled_normals;
    const char *pollution;
};
#define SELECTION_NONE                                                   \
    {                                                                    \
        .labeled_anomalies = (double)NAN, .labeled_normals = (double)NAN \
    }

#define SELECTION_OPTIONS(type_, member, anomalies_default, none_default)              \
    {.name = "labeled-anomalies",                                                      \
     .type = OPTION_NUMBER,                                                            \
     .offset = offsetof(type_, member.labeled_anomalies),                              \
     .max = 1e15,                                                                      \
     .argument = "R",                                                                  \
     .help = "labelled anomalies: their share of the training rows, or from 1 on "     \
             "their count" anomalies_default},                                         \
        {.name = "labeled-normals",                                                    \
         .type = OPTION_NUMBER,                                                        \
         .offset = offsetof(type_, member.labeled_normals),                            \
         .max = 1e15,                                                                  \
         .argument = "R",                                                              \
         .help = "labelled normal rows, likewise" none_default},                       \
    {                                                                                  \
        .name = "pollution", .type = OPTION_TEXT,                                      \
        .offset = offsetof(type_, member.pollution), .argument = "R|natural",          \
        .help = "share of anomalies among the unlabeled rows; natural keeps all that " \
                "are not labelled" none_default                                        \
    }

/* Whether any of the three was given. */
bool selection_given(const struct selection *selection);

/* `anomalies` stands for the share of labelled anomalies where it was not given. False,
 * and an error said, where the pollution is no ratio. */
bool selection_resolve(struct deepsad_split_options *out,
                       const struct selection *selection, double anomalies);

/* Reads the rows; where a selection was given, their labels are the truth and most of
 * them are hidden first, as `how` says. */
int selection_read(struct deepsad_dataset *out, const struct selection *selection,
                   const struct reading *reading, const struct deepsad_split_options *how,
                   const char *path, struct deepsad_error *error);

#endif
