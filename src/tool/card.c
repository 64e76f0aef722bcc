/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/card.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tool/terminal.h"

/* A list of names or widths is shown up to here. */
enum { CARD_LIST_MAX = 12, CARD_INDENT = 2 };

json_t *card_of(const struct deepsad_model *model)
{
    char *text = deepsad_model_card(model);
    json_t *card = text == NULL ? NULL : json_read(text);
    free(text);
    return card;
}

static bool is_block(const json_t *value)
{
    return json_object_size(value) > 0 || json_is_object(json_array_get(value, 0));
}

static size_t widest_name(const json_t *object)
{
    size_t widest = 0;
    /* an iterator takes what is not const, and changes nothing */
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        size_t length = strlen(json_object_iter_key(at));
        bool line = !is_block(json_object_iter_value(at));
        widest = line && length > widest ? length : widest;
    }
    return widest;
}

static void render_name(struct buffer *out, const char *name, size_t indent)
{
    buffer_printf(out, "%*s", (int)indent, "");
    for (; *name != '\0'; name++) {
        buffer_append(out, *name == '_' ? " " : name, 1);
    }
}

static void render_text(struct buffer *out, const char *text, size_t length)
{
    size_t start = out->length;
    buffer_append(out, text, length);
    if (out->length > start) {
        terminal_plain(out->data + start, out->length - start);
    }
}

static void render_scalar(struct buffer *out, const json_t *value)
{
    if (json_is_string(value)) {
        render_text(out, json_string_value(value), json_string_length(value));
    } else if (json_is_integer(value)) {
        buffer_printf(out, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        buffer_printf(out, "%.6g", json_real_value(value));
    } else if (json_is_boolean(value)) {
        buffer_append_text(out, json_is_true(value) ? "yes" : "no");
    } else {
        buffer_append_text(out, "none");
    }
}

static void render_line(struct buffer *out, const json_t *value)
{
    if (!json_is_array(value) && !json_is_object(value)) {
        render_scalar(out, value);
        return;
    }
    size_t count = json_array_size(value);
    if (count == 0) {
        buffer_append_text(out, "none");
    }
    for (size_t i = 0; i < count && i < CARD_LIST_MAX; i++) {
        buffer_append_text(out, i > 0 ? ", " : "");
        render_line(out, json_array_get(value, i));
    }
    if (count > CARD_LIST_MAX) {
        buffer_printf(out, ", ... (%zu in all)", count);
    }
}

static void render_block(struct buffer *out, const char *name, const json_t *value,
                         size_t indent)
{
    if (json_is_object(value)) {
        render_name(out, name, indent);
        buffer_append_text(out, "\n");
        card_render(out, value, indent + CARD_INDENT);
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        render_name(out, name, indent);
        buffer_printf(out, " %zu\n", i + 1);
        card_render(out, json_array_get(value, i), indent + CARD_INDENT);
    }
}

void card_render(struct buffer *out, const json_t *object, size_t indent)
{
    size_t widest = widest_name(object);
    for (void *at = json_object_iter((json_t *)(uintptr_t)object); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *value = json_object_iter_value(at);
        if (is_block(value)) {
            render_block(out, name, value, indent);
            continue;
        }
        render_name(out, name, indent);
        buffer_printf(out, "%*s", (int)(widest - strlen(name) + 2), "");
        render_line(out, value);
        buffer_append_text(out, "\n");
    }
}
