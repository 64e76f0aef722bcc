/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of label requests: any text is labels within all limits, or a fault that says
 * what is wrong. */
#include "fuzz.h"

#include <math.h>

#include "api/body.h"
#include "api/label_rows.h"
#include "base/identifier.h"
#include "columns.h"

enum { LABELS_MAX = 8, TEXT_MAX = 16, FEATURED_MAX = 6 };

static void check_text(const char *text)
{
    FUZZ_CHECK(text == NULL || (text[0] != '\0' && strlen(text) <= TEXT_MAX));
}

static void check_row(const struct label_row *row, size_t features)
{
    FUZZ_CHECK((row->x == NULL) != (row->sample_id == NULL));
    for (size_t j = 0; row->x != NULL && j < features; j++) {
        FUZZ_CHECK(!isinf(row->x[j]));
    }
    FUZZ_CHECK(row->sample_id == NULL ||
               identifier_valid(row->sample_id, strlen(row->sample_id), STORE_ID_MAX));
    check_text(row->analyst);
    check_text(row->reason);
    check_text(row->note);
}

static void read_rows(const struct rows_columns *columns, const uint8_t *data,
                      size_t size)
{
    unsigned status = 0;
    char detail[BODY_DETAIL_MAX];
    struct label_rows rows = {.count = 0};
    struct label_fault fault = {.status = 0};
    struct label_limits limits = {.labels = LABELS_MAX,
                                  .text = TEXT_MAX,
                                  .bytes = FEATURED_MAX * columns->count * 4};
    json_t *json = body_parse_text((const char *)data, size, &status, detail);
    if (json == NULL) {
        FUZZ_CHECK((status == 400 || status == 422) && detail[0] != '\0');
        return;
    }
    if (!label_rows_read(&rows, json, columns, &limits, &fault)) {
        FUZZ_CHECK((fault.status == 422 || fault.status == 413) &&
                   fault.detail[0] != '\0');
        FUZZ_CHECK(fault.pointer[0] == '#' && rows.rows == NULL);
        return;
    }
    FUZZ_CHECK(rows.count > 0 && rows.count <= LABELS_MAX &&
               rows.featured <= FEATURED_MAX);
    for (size_t i = 0; i < rows.count; i++) {
        check_row(&rows.rows[i], columns->count);
    }
    label_rows_done(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_rows(test_forms[size % 3], data, size);
    return 0;
}
