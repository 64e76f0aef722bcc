/* SPDX-License-Identifier: Apache-2.0 */
#include "data/classes.h"

#include <stdlib.h>
#include <string.h>

static int parse_class(unsigned *class, const char *text, const char *what,
                       struct deepsad_error *error)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long number = digits > 0 && digits < 6 ? strtoul(text, NULL, 10) : ~0ul;
    if (text[digits] != '\0' || number >= CLASSES_MAX) {
        return error_set(error, DEEPSAD_INVALID,
                         "%s `%s` is not a class; classes are numbers from 0 to %d", what,
                         text, CLASSES_MAX - 1);
    }
    *class = (unsigned)number;
    return DEEPSAD_OK;
}

static int add_anomalies(struct classes *classes, const char *const *names,
                         unsigned normal, struct deepsad_error *error)
{
    for (; *names != NULL; names++) {
        unsigned class = 0;
        int status = parse_class(&class, *names, "anomaly class", error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        if (class == normal) {
            return error_set(error, DEEPSAD_INVALID,
                             "class %u is named both normal and anomalous", class);
        }
        classes->kept[class] = true;
        classes->labels[class] = -1;
    }
    return DEEPSAD_OK;
}

int classes_init(struct classes *out, const struct deepsad_read_options *options,
                 struct deepsad_error *error)
{
    struct classes classes = {.chosen = options->normal_class != NULL};
    const char *const *names = options->anomaly_classes;
    bool named = names != NULL && *names != NULL;
    if (!classes.chosen) {
        if (named) {
            return error_set(error, DEEPSAD_INVALID,
                             "anomaly classes without a normal class; name it too "
                             "(--normal-class)");
        }
        *out = classes;
        return DEEPSAD_OK;
    }
    unsigned normal = 0;
    classes.named = named;
    int status = parse_class(&normal, options->normal_class, "normal class", error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    if (!named) {
        memset(classes.kept, true, sizeof classes.kept);
        memset(classes.labels, -1, sizeof classes.labels);
    } else if ((status = add_anomalies(&classes, names, normal, error)) != DEEPSAD_OK) {
        return status;
    }
    classes.kept[normal] = true;
    classes.labels[normal] = 1;
    *out = classes;
    return DEEPSAD_OK;
}

bool classes_label(const struct classes *classes, unsigned char class, signed char *label)
{
    *label = classes->labels[class]; /* all 0 where none is chosen */
    return !classes->chosen || classes->kept[class];
}

int classes_check_counts(const struct classes *classes,
                         const size_t counts[static CLASSES_MAX], const char *path,
                         struct deepsad_error *error)
{
    for (unsigned class = 0; classes->chosen && class < CLASSES_MAX; class ++) {
        if (classes->labels[class] > 0 && counts[class] == 0) {
            return error_set(error, DEEPSAD_INVALID,
                             "%s: no row is of the normal class %u; check --normal-class",
                             path, class);
        }
        if (classes->named && classes->labels[class] < 0 && counts[class] == 0) {
            return error_set(error, DEEPSAD_INVALID,
                             "%s: no row is of the anomaly class %u; check "
                             "--anomaly-class",
                             path, class);
        }
    }
    return DEEPSAD_OK;
}
