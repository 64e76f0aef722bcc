/* SPDX-License-Identifier: Apache-2.0 */
/* A label of the journal as JSON, wherever labels are shown. */
#ifndef API_LABEL_VIEW_H
#define API_LABEL_VIEW_H

#include <jansson.h>

#include "store/store.h"

json_t *label_view(const struct store_label *label);
json_t *label_view_list(const struct store_labels *labels);

#endif
