/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values as all answers write them; new references, NULL when out of memory. */
#ifndef API_VALUES_H
#define API_VALUES_H

#include <jansson.h>
#include <stdint.h>

json_t *value_text(const char *text);   /* NULL is null */
json_t *value_id(const char *id);       /* "" is null */
json_t *value_number(double number);    /* null where it is not finite */
json_t *value_float(float number);      /* as above, with the digits of a float */
json_t *value_version(unsigned number); /* a text; 0 is null */

/* Features of a row: by name, null = missing. */
struct deepsad_model;
json_t *value_features(const struct deepsad_model *model, const float *x);
/* The same as an array, of a row that is not of that model's form. */
json_t *value_row(const float *x, size_t features);

#endif
