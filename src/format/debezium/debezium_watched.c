/* Tables whose configured key has columns that the records' own key lacks ("watched" here). An
 * update that changes one of them belongs to another row of the target: the old row must be
 * deleted, and only the before image tells which one it is. */
#include "format/debezium/debezium.h"

#include <stdio.h>

static enum ods_status refuse(struct reading *reading, const struct binding *binding,
                              uint32_t column, const char *what)
{
    return error_set(reading->error, ODS_REJECT,
                     "table %.63s: %s column \"%.63s\", which tables.yaml names in the key and the "
                     "record's own key does not hold; have the source send whole before images "
                     "(envelopes and not flattened rows, REPLICA IDENTITY FULL), or the column in "
                     "the key (message.key.columns)",
                     binding->shape->table, what, binding->shape->columns[column].name);
}

/* A source without any key: updates are applied, with a notice that old rows may be left. */
static void tell_once(struct reading *reading, const struct binding *binding)
{
    struct debezium *self = reading->self;
    const struct pipeline_settings *pipeline = self->pipeline;
    const struct shape *shape = binding->shape;
    const char *schema = *shape->schema ? shape->schema : shape->database;
    const struct table_settings *entry = pipeline_table(pipeline, schema, shape->table);
    size_t index = entry == &pipeline->defaults ? pipeline->table_count
                                                : (size_t) (entry - pipeline->tables);
    char text[400];
    if (!self->notice || self->told[index])
        return;
    self->told[index] = true;
    snprintf(text, sizeof text,
             "table %.63s: its records have neither a key that can be read nor a before image: an "
             "update that changes column \"%.63s\" (of key: in tables.yaml) leaves the old row; "
             "envelopes with whole before images (REPLICA IDENTITY FULL) remove it",
             shape->table, shape->columns[binding->watched[0]].name);
    self->notice(self->notice_context, text);
}

/* The delete of the old row and the create of the new one are both applied, or neither is. */
static enum ods_status append_move(struct reading *reading, const struct binding *binding,
                                   struct value *before, struct value *after, int64_t time)
{
    for (uint32_t i = 0; i < binding->shape->column_count - binding->extra_count; i++) {
        if (after[i].kind == VALUE_ABSENT)
            after[i] = before[i];
        if (after[i].kind == VALUE_ABSENT)
            return refuse(reading, binding, binding->watched[0],
                          "some values of an updated row are not carried, which may have changed");
    }
    enum ods_status status = change_append(reading, binding, OP_DELETE, before, NULL, time);
    return status == ODS_OK ? change_append(reading, binding, OP_CREATE, NULL, after, time)
                            : status;
}

enum ods_status watched_update(struct reading *reading, const struct binding *binding,
                               struct value *before, struct value *after, int64_t time)
{
    bool moved = false;
    if (!before && reading->key)
        return refuse(reading, binding, binding->watched[0],
                      "an update without its before image may have changed");
    if (!before)
        tell_once(reading, binding);
    for (uint32_t i = 0; before && i < binding->watched_count; i++) {
        uint32_t column = binding->watched[i];
        if (before[column].kind == VALUE_ABSENT)
            return refuse(reading, binding, column,
                          "the before image of an update does not carry");
        if (after[column].kind == VALUE_ABSENT)
            after[column] = before[column];
        moved |= !value_same(&before[column], &after[column]);
    }
    if (moved)
        return append_move(reading, binding, before, after, time);
    bool wanted = reading->self->want_before || !reading->key;
    return change_append(reading, binding, OP_UPDATE, wanted ? before : NULL, after, time);
}

enum ods_status watched_delete(struct reading *reading, const struct binding *binding,
                               struct value *before, int64_t time)
{
    for (uint32_t i = 0; i < binding->watched_count; i++)
        if (before[binding->watched[i]].kind <= VALUE_NULL)
            return refuse(reading, binding, binding->watched[i], "a delete has no value of");
    return change_append(reading, binding, OP_DELETE, before, NULL, time);
}
