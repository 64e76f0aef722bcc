/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings from YAML files: sections one deep, scalars, and sequences where a setting
 * takes them; nothing that a table of settings does not name.
 */
#ifndef BASE_SETTING_YAML_H
#define BASE_SETTING_YAML_H

#include <stddef.h>

#include "base/setting.h"

/* Sets what the YAML file says; messages start with path:line:column. */
int settings_load_yaml(void *values, struct setting_table table, const char *path,
                       enum setting_source *sources, struct deepsad_error *error);
/* The same for a YAML text; `path` names it in messages. */
int settings_load_yaml_text(void *values, struct setting_table table, const char *path,
                            const char *text, size_t length, enum setting_source *sources,
                            struct deepsad_error *error);

#endif
