/* SPDX-License-Identifier: Apache-2.0 */
#include "api/label_view.h"

#include "api/label_rows.h"
#include "api/values.h"
#include "base/json.h"

static const char *state_of(const struct store_label *label)
{
    return label->withdrawn_at_ms != 0 ? "withdrawn"
           : label->in_force           ? "in_force"
                                       : "superseded";
}

json_t *label_view(const struct store_label *label)
{
    return json_pack(
        "{ss ss ss ss so so so so so so sb so}", "label_id", label->id, "sample_id",
        label->sample_id, "verdict", label_verdict_name(label->verdict), "state",
        state_of(label), "analyst", value_text(label->analyst), "reason",
        value_text(label->reason), "note", value_text(label->note), "supersedes",
        value_id(label->supersedes), "created_at", json_time(label->created_at_ms),
        "withdrawn_at", json_time(label->withdrawn_at_ms), "conflict",
        label->in_force && label->conflict, "quarantine", value_text(label->quarantine));
}

json_t *label_view_list(const struct store_labels *labels)
{
    json_t *list = json_array();
    for (size_t i = 0; i < labels->count; i++) {
        if (json_array_append_new(list, label_view(&labels->labels[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
