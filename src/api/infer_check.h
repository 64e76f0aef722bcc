/* SPDX-License-Identifier: Apache-2.0 */
/* An inference request against the model: what only its whole tells, or the type of its
 * input, which may come after the data. */
#ifndef API_INFER_CHECK_H
#define API_INFER_CHECK_H

#include "api/infer_grammar.h"

/* Rows that are complete and came as JSON hold values of the input's type, as far as it
 * is known. False: rows->fault says which does not. To be called before rows are given
 * up. */
bool infer_check_values(struct infer_grammar *grammar);
/* The JSON has ended: the input is whole, and its shape fits the model, the limits, and
 * the data where they are JSON. False: rows->fault says why. */
bool infer_check_request(struct infer_grammar *grammar);

#endif
