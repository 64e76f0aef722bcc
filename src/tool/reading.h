/* SPDX-License-Identifier: Apache-2.0 */
/* Options that say how DATA is read, alike in every command that reads some. */
#ifndef TOOL_READING_H
#define TOOL_READING_H

#include "deepsad.h"
#include "tool/command.h"

struct reading {
    const char *label_column, *label_map, *labels, *normal_class;
    struct option_list ignore, anomaly_classes;
};

/* Rows of an option table; `member` is a struct reading in struct `type_`. */
#define READING_OPTIONS(type_, member)                                                 \
    {.name = "label-column",                                                           \
     .type = OPTION_TEXT,                                                              \
     .offset = offsetof(type_, member.label_column),                                   \
     .argument = "NAME",                                                               \
     .help = "CSV: the column of labels (default: label, if there is one)"},           \
        {.name = "label-map",                                                          \
         .type = OPTION_TEXT,                                                          \
         .offset = offsetof(type_, member.label_map),                                  \
         .argument = "A=normal,B=anomalous",                                           \
         .help = "CSV: what other spellings of labels mean"},                          \
        {.name = "ignore",                                                             \
         .type = OPTION_LIST,                                                          \
         .offset = offsetof(type_, member.ignore),                                     \
         .argument = "COLUMN",                                                         \
         .help = "CSV: leave the column out (may be repeated)"},                       \
        {.name = "labels",                                                             \
         .type = OPTION_TEXT,                                                          \
         .offset = offsetof(type_, member.labels),                                     \
         .argument = "FILE",                                                           \
         .help = "NPY: labels 0 (none), 1 (normal), -1 (anomalous); IDX: classes"},    \
        {.name = "normal-class",                                                       \
         .type = OPTION_TEXT,                                                          \
         .offset = offsetof(type_, member.normal_class),                               \
         .argument = "K",                                                              \
         .help = "IDX, CIFAR-10: the class that is normal"},                           \
    {                                                                                  \
        .name = "anomaly-class", .type = OPTION_LIST,                                  \
        .offset = offsetof(type_, member.anomaly_classes), .argument = "K",            \
        .help = "IDX, CIFAR-10: a class that is anomalous (may be repeated; default: " \
                "all others)"                                                          \
    }

int reading_read(struct deepsad_dataset *out, const struct reading *reading,
                 const char *path, struct deepsad_error *error);

/* The same for rows that the model is to score: refuses those it does not take. */
int reading_read_for(struct deepsad_dataset *out, const struct deepsad_model *model,
                     const struct reading *reading, const char *path,
                     struct deepsad_error *error);

/* Rows by label. */
struct reading_counts {
    size_t unlabeled, normal, anomalous;
};
struct reading_counts reading_count(const struct deepsad_dataset *dataset);

/* An error that says where labels come from, if no row has one. */
int reading_need_labels(const struct deepsad_dataset *dataset,
                        struct deepsad_error *error);

#endif
