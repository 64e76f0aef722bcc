/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a model's rows, for the decoders of rows, which know no model. */
#ifndef API_MODEL_COLUMNS_H
#define API_MODEL_COLUMNS_H

#include "api/rows.h"
#include "deepsad.h"

/* Lives as long as the model. */
struct rows_columns model_columns(const struct deepsad_model *model);

#endif
