/* SPDX-License-Identifier: Apache-2.0 */
#include "base/flatyaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/buffer.h"

struct flatyaml {
    yaml_parser_t parser;
    const char *path, *text;
    struct buffer section; /* name of the section we are in, terminated */
    struct buffer key, value;
    bool started, in_section, ended;
};

static struct flatyaml_place place_of(yaml_mark_t mark)
{
    return (struct flatyaml_place){mark.line + 1, mark.column + 1};
}

static int fault(struct deepsad_error *error, const struct flatyaml *yaml,
                 struct flatyaml_place place, const char *what)
{
    return error_set(error, DEEPSAD_INVALID, "%s:%zu:%zu: %s", yaml->path, place.line,
                     place.column, what);
}

/* The reader names bytes, not lines. */
static struct flatyaml_place place_of_byte(const char *text, size_t offset)
{
    struct flatyaml_place place = {1, 1};
    for (size_t i = 0; i < offset; i++) {
        bool line = text[i] == '\n';
        place.line += line;
        place.column = line ? 1 : place.column + 1;
    }
    return place;
}

static int parser_fault(struct deepsad_error *error, const struct flatyaml *yaml)
{
    const yaml_parser_t *parser = &yaml->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "is not YAML";
    if (parser->error == YAML_MEMORY_ERROR) {
        return error_no_memory(error, yaml->path);
    }
    if (parser->error == YAML_READER_ERROR) {
        return fault(error, yaml, place_of_byte(yaml->text, parser->problem_offset),
                     problem);
    }
    return fault(error, yaml, place_of(parser->problem_mark), problem);
}

int flatyaml_open(struct flatyaml **out, const char *path, const char *text,
                  size_t length, struct deepsad_error *error)
{
    struct flatyaml *yaml = calloc(1, sizeof *yaml);
    if (yaml == NULL || !yaml_parser_initialize(&yaml->parser)) {
        free(yaml);
        return error_no_memory(error, path);
    }
    yaml->path = path;
    yaml->text = text;
    yaml_parser_set_encoding(&yaml->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&yaml->parser, (const unsigned char *)text, length);
    *out = yaml;
    return DEEPSAD_OK;
}

void flatyaml_close(struct flatyaml *yaml)
{
    if (yaml != NULL) {
        yaml_parser_delete(&yaml->parser);
        buffer_done(&yaml->section);
        buffer_done(&yaml->key);
        buffer_done(&yaml->value);
        free(yaml);
    }
}

/* The next event, which the caller deletes; aliases, anchors and tags end here. */
static int next_event(struct flatyaml *yaml, yaml_event_t *event,
                      struct deepsad_error *error)
{
    if (!yaml_parser_parse(&yaml->parser, event)) {
        return parser_fault(error, yaml);
    }
    const unsigned char *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (event->type == YAML_ALIAS_EVENT || anchor != NULL || tag != NULL) {
        struct flatyaml_place place = place_of(event->start_mark);
        yaml_event_delete(event);
        return fault(error, yaml, place,
                     "anchors, aliases and tags are not taken; write the value itself");
    }
    return DEEPSAD_OK;
}

/* The event's type; its content is not needed. */
static int next_type(struct flatyaml *yaml, yaml_event_type_t *type,
                     struct flatyaml_place *place, struct deepsad_error *error)
{
    yaml_event_t event;
    int status = next_event(yaml, &event, error);
    if (status == DEEPSAD_OK) {
        *type = event.type;
        *place = place_of(event.start_mark);
        yaml_event_delete(&event);
    }
    return status;
}

/* Up to the first key of the root mapping; an empty file has no entries. */
static int start(struct flatyaml *yaml, struct deepsad_error *error)
{
    yaml->started = true;
    for (;;) {
        yaml_event_t event;
        int status = next_event(yaml, &event, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        yaml_event_type_t type = event.type;
        struct flatyaml_place place = place_of(event.start_mark);
        bool empty = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0 &&
                     event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        yaml_event_delete(&event);
        if (type == YAML_MAPPING_START_EVENT) {
            return DEEPSAD_OK;
        }
        if (type == YAML_STREAM_END_EVENT) {
            yaml->ended = true;
            return DEEPSAD_OK;
        }
        if ((type == YAML_SCALAR_EVENT && !empty) || type == YAML_SEQUENCE_START_EVENT) {
            return fault(error, yaml, place, "expected lines of the form \"key: value\"");
        }
    }
}

/* After the root mapping nothing may follow. */
static int finish(struct flatyaml *yaml, struct deepsad_error *error)
{
    yaml_event_type_t type = YAML_NO_EVENT;
    struct flatyaml_place place;
    while (type != YAML_STREAM_END_EVENT) {
        int status = next_type(yaml, &type, &place, error);
        if (status != DEEPSAD_OK) {
            return status;
        }
        if (type == YAML_DOCUMENT_START_EVENT) {
            return fault(error, yaml, place, "only one document is taken");
        }
    }
    yaml->ended = true;
    return DEEPSAD_OK;
}

static void append_scalar(struct buffer *out, const yaml_event_t *event)
{
    buffer_append(out, event->data.scalar.value, event->data.scalar.length);
}

static bool holds_nul(const yaml_event_t *event)
{
    return memchr(event->data.scalar.value, '\0', event->data.scalar.length) != NULL;
}

/* Appends the scalar that must stand here to the value. */
static int read_scalar(struct flatyaml *yaml, const char *otherwise,
                       struct deepsad_error *error)
{
    yaml_event_t event;
    int status = next_event(yaml, &event, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    struct flatyaml_place place = place_of(event.start_mark);
    bool good = event.type == YAML_SCALAR_EVENT && !holds_nul(&event);
    if (good) {
        append_scalar(&yaml->value, &event);
    }
    yaml_event_delete(&event);
    return good ? DEEPSAD_OK : fault(error, yaml, place, otherwise);
}

/* The one entry of a mapping in a sequence, as "key:value". */
static int read_pair(struct flatyaml *yaml, struct deepsad_error *error)
{
    static const char *const one = "expected one \"name: value\" for each step of the "
                                   "sequence; start a new step for the next";
    yaml_event_type_t type = YAML_NO_EVENT;
    struct flatyaml_place place;
    int status = read_scalar(yaml, one, error);
    buffer_append(&yaml->value, ":", 1);
    if (status == DEEPSAD_OK) {
        status = read_scalar(yaml, "expected a plain value behind the name", error);
    }
    if (status == DEEPSAD_OK) {
        status = next_type(yaml, &type, &place, error);
    }
    return status == DEEPSAD_OK && type != YAML_MAPPING_END_EVENT
               ? fault(error, yaml, place, one)
               : status;
}

static int read_item(struct flatyaml *yaml, bool first, bool *ended,
                     struct deepsad_error *error)
{
    yaml_event_t event;
    int status = next_event(yaml, &event, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    yaml_event_type_t type = event.type;
    struct flatyaml_place place = place_of(event.start_mark);
    bool scalar = type == YAML_SCALAR_EVENT && !holds_nul(&event);
    if (scalar || type == YAML_MAPPING_START_EVENT) {
        buffer_append(&yaml->value, ",", !first);
    }
    if (scalar) {
        append_scalar(&yaml->value, &event);
    }
    yaml_event_delete(&event);
    *ended = type == YAML_SEQUENCE_END_EVENT;
    if (type == YAML_MAPPING_START_EVENT) {
        return read_pair(yaml, error);
    }
    return scalar || *ended
               ? DEEPSAD_OK
               : fault(error, yaml, place, "expected a plain value in the sequence");
}

static int read_sequence(struct flatyaml *yaml, struct deepsad_error *error)
{
    bool ended = false;
    int status = DEEPSAD_OK;
    for (size_t count = 0; status == DEEPSAD_OK && !ended; count++) {
        status = read_item(yaml, count == 0, &ended, error);
    }
    return status;
}

static void set_key(struct flatyaml *yaml, const yaml_event_t *event)
{
    buffer_clear(&yaml->key);
    if (yaml->in_section) {
        buffer_append_text(&yaml->key, yaml->section.data);
        buffer_append(&yaml->key, ".", 1);
    }
    append_scalar(&yaml->key, event);
    buffer_append(&yaml->key, "", 1);
}

static void enter_section(struct flatyaml *yaml)
{
    buffer_clear(&yaml->section);
    buffer_append(&yaml->section, yaml->key.data, yaml->key.length);
    yaml->in_section = true;
}

/* What stands behind a key. */
static int read_value(struct flatyaml *yaml, struct flatyaml_entry *entry,
                      struct deepsad_error *error)
{
    yaml_event_t event;
    int status = next_event(yaml, &event, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    entry->value_place = place_of(event.start_mark);
    buffer_clear(&yaml->value);
    if (event.type == YAML_MAPPING_START_EVENT && yaml->in_section) {
        status = fault(error, yaml, entry->value_place, "sections are only one deep");
    } else if (event.type == YAML_MAPPING_START_EVENT) {
        entry->kind = FLATYAML_SECTION;
        enter_section(yaml);
    } else if (event.type == YAML_SEQUENCE_START_EVENT) {
        entry->kind = FLATYAML_SEQUENCE;
        status = read_sequence(yaml, error);
    } else if (holds_nul(&event)) {
        status = fault(error, yaml, entry->value_place, "the value holds a NUL byte");
    } else {
        entry->kind = FLATYAML_SCALAR;
        entry->quoted = event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        append_scalar(&yaml->value, &event);
    }
    yaml_event_delete(&event);
    buffer_append(&yaml->value, "", 1);
    return status;
}

/* True once `entry` holds something; false after the end of a section. */
static int read_entry(struct flatyaml *yaml, struct flatyaml_entry *entry, bool *found,
                      struct deepsad_error *error)
{
    yaml_event_t event;
    int status = next_event(yaml, &event, error);
    if (status != DEEPSAD_OK) {
        return status;
    }
    yaml_event_type_t type = event.type;
    bool good = type == YAML_SCALAR_EVENT && !holds_nul(&event);
    entry->key_place = place_of(event.start_mark);
    if (good) {
        set_key(yaml, &event);
    }
    yaml_event_delete(&event);
    if (type == YAML_MAPPING_END_EVENT) {
        bool root = !yaml->in_section;
        yaml->in_section = false;
        *found = root;
        return root ? finish(yaml, error) : DEEPSAD_OK;
    }
    if (!good) {
        return fault(error, yaml, entry->key_place, "expected a key");
    }
    if (yaml->key.failed) {
        return error_no_memory(error, yaml->path);
    }
    *found = true;
    return read_value(yaml, entry, error);
}

int flatyaml_next(struct flatyaml *yaml, struct flatyaml_entry *entry,
                  struct deepsad_error *error)
{
    *entry = (struct flatyaml_entry){.kind = FLATYAML_END};
    int status = yaml->started ? DEEPSAD_OK : start(yaml, error);
    bool found = yaml->ended;
    while (status == DEEPSAD_OK && !found) {
        status = read_entry(yaml, entry, &found, error);
    }
    if (status == DEEPSAD_OK &&
        (yaml->key.failed || yaml->value.failed || yaml->section.failed)) {
        status = error_no_memory(error, yaml->path);
    }
    entry->key = yaml->key.data;
    entry->value = yaml->value.data;
    return status;
}
