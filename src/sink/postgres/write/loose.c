/* Tables without a key. See loose.h.
 *
 * An update or a delete names its row by the whole before image (MySQL's full row image, or
 * PostgreSQL's REPLICA IDENTITY FULL). Of several equal rows any one is taken. A row's place is its
 * table together with its ctid, since each partition and each child table has ctids of its own. The
 * row is locked when it is found: if another lane has just taken an equal row, this one waits for
 * it and then takes the next one.
 */
#include "sink/postgres/write/loose.h"

#include <endian.h>
#include <string.h>

void loose_done(struct loose_statement *statement)
{
    buffer_done(&statement->sql);
    buffer_done(&statement->values);
}

bool loose_is_insert(const struct batch *batch, const struct loose *loose)
{
    const struct change *change = &batch->changes[loose->change];
    enum keyless keyless = loose->plan->settings->keyless;
    if (keyless == KEYLESS_APPEND)
        return change->after || change->before;
    return keyless != KEYLESS_REJECT && (change->op == OP_CREATE || change->op == OP_READ);
}

/* Encodes a value as the next parameter, and writes $n with the cast that its type needs. */
static enum ods_status add_parameter(struct loose_statement *statement,
                                     const struct pg_column *target,
                                     const struct source_column *source, const struct value *value,
                                     struct encoder *encoder, struct error *error)
{
    size_t at = statement->values.length;
    uint32_t length;
    enum ods_status status =
        encode_value(encoder, &statement->values, target, source, value, error);
    if (status != ODS_OK)
        return status;
    if (statement->values.failed || statement->count == 1664)
        return error_out_of_memory(error);
    memcpy(&length, statement->values.bytes + at, sizeof length);
    statement->offsets[statement->count] = at + sizeof length;
    statement->lengths[statement->count] = (int) be32toh(length);
    statement->types[statement->count++] = target->element_type;
    buffer_printf(&statement->sql, "$%d", statement->count);
    if (target->encoding == ENCODE_CAST)
        buffer_printf(&statement->sql, "::%s", target->cast);
    return ODS_OK;
}

/* Types without equality (json, xml, point …) compare as text. */
static bool lacks_equality(const struct pg_column *target)
{
    return target->encoding == ENCODE_JSON || target->encoding == ENCODE_CAST;
}

static enum ods_status put_match(struct loose_statement *statement, const struct plan *plan,
                                 const struct change *change, struct encoder *encoder,
                                 struct error *error)
{
    bool any = false;
    for (uint32_t i = 0; i < plan->shape->column_count; i++) {
        int32_t target = plan->target_of[i];
        if (target < 0 || change->before[i].kind == VALUE_ABSENT)
            continue;
        const struct pg_column *column = &plan->table->columns[target];
        const char *cast = lacks_equality(column) ? "::text" : "";
        buffer_printf(&statement->sql, "%s%s%s is not distinct from ", any ? " and " : "",
                      column->quoted, cast);
        enum ods_status status =
            add_parameter(statement, column, &plan->sources[i], &change->before[i], encoder, error);
        if (status != ODS_OK)
            return status;
        buffer_puts(&statement->sql, cast);
        any = true;
    }
    if (plan->operation_column >= 0)
        buffer_printf(&statement->sql, "%s%s is distinct from 'd'", any ? " and " : "",
                      plan->table->columns[plan->operation_column].quoted);
    return any ? ODS_OK : error_set(error, ODS_REJECT, "the before image carries no column");
}

static const struct source_column text_source = {
    .column = {.name = "cdc_operation", .type = SEM_STRING}};
static const struct source_column time_source = {
    .column = {.name = "cdc_timestamp", .type = SEM_TIMESTAMP_US}};

static enum ods_status put_stamp(struct loose_statement *statement, const struct plan *plan,
                                 const struct change *change, struct encoder *encoder,
                                 struct error *error)
{
    enum ods_status status = ODS_OK;
    if (plan->operation_column >= 0) {
        const struct pg_column *column = &plan->table->columns[plan->operation_column];
        char operation = (char) change->op;
        struct value value = {.kind = VALUE_TEXT, .length = 1, .bytes = &operation};
        buffer_printf(&statement->sql, ", %s = ", column->quoted);
        status = add_parameter(statement, column, &text_source, &value, encoder, error);
    }
    if (status == ODS_OK && plan->timestamp_column >= 0) {
        const struct pg_column *column = &plan->table->columns[plan->timestamp_column];
        struct value value = {.kind = change->source_us == INT64_MIN ? VALUE_NULL : VALUE_INT,
                              .integer = change->source_us};
        buffer_printf(&statement->sql, ", %s = ", column->quoted);
        status = add_parameter(statement, column, &time_source, &value, encoder, error);
    }
    return status;
}

static enum ods_status put_update(struct loose_statement *statement, const struct plan *plan,
                                  const struct change *change, struct encoder *encoder,
                                  struct error *error)
{
    bool soft = change->op == OP_DELETE;
    size_t start;
    buffer_printf(&statement->sql, "update %s set", plan->table->quoted);
    start = statement->sql.length;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; !soft && status == ODS_OK && i < plan->shape->column_count; i++) {
        int32_t target = plan->target_of[i];
        if (target < 0 || change->after[i].kind == VALUE_ABSENT)
            continue;
        buffer_printf(&statement->sql, ", %s = ", plan->table->columns[target].quoted);
        status = add_parameter(statement, &plan->table->columns[target], &plan->sources[i],
                               &change->after[i], encoder, error);
    }
    if (status == ODS_OK)
        status = put_stamp(statement, plan, change, encoder, error);
    if (status == ODS_OK && !statement->sql.failed && statement->sql.length > start)
        statement->sql.bytes[start] = ' '; /* the first comma */
    return status;
}

static enum ods_status put_search(struct loose_statement *statement, const struct plan *plan,
                                  const struct change *change, struct encoder *encoder,
                                  struct error *error)
{
    buffer_printf(&statement->sql, "select tableoid, ctid from %s where ", plan->table->quoted);
    enum ods_status status = put_match(statement, plan, change, encoder, error);
    buffer_puts(&statement->sql, " limit 1 for update");
    return status;
}

/* A foreign table may have partitions on its own server, and then several rows may have the same
 * place. */
static void put_place_of_one(struct loose_statement *statement, const struct plan *plan)
{
    static const char here[] = "(tableoid, ctid) = (select part, spot from place)";
    buffer_printf(&statement->sql,
                  " where %s and (select case when count(*) > 1 then ('the change would meet ' || "
                  "count(*) || ' rows instead of one')::pg_catalog.int4 end from %s where %s) "
                  "is null",
                  here, plan->table->quoted, here);
}

static enum ods_status can_match(const struct plan *plan, const struct change *change,
                                 struct error *error)
{
    if (plan->settings->keyless == KEYLESS_REJECT)
        return error_set(error, ODS_REJECT, "table %s has no key and keyless is reject",
                         plan->shape->table);
    if (plan->table->is_view)
        return error_set(error, ODS_REJECT,
                         "%s.%s is a view, and rows without a key can only be inserted into one: "
                         "name the table's own key with key: in tables.yaml",
                         plan->schema, plan->name);
    if (!change->before)
        return error_set(error, ODS_REJECT,
                         "table %s has no key, and this %s carries no before "
                         "image to find its row by (PostgreSQL: alter table … replica identity "
                         "full)",
                         plan->shape->table, change->op == OP_DELETE ? "delete" : "update");
    return ODS_OK;
}

enum ods_status loose_compile(struct loose_statement *statement, const struct batch *batch,
                              const struct loose *loose, struct encoder *encoder,
                              struct error *error)
{
    const struct change *change = &batch->changes[loose->change];
    const struct plan *plan = loose->plan;
    enum ods_status status = can_match(plan, change, error);
    buffer_reset(&statement->sql);
    buffer_reset(&statement->values);
    statement->count = 0;
    if (status == ODS_OK && plan->table->has_parts) {
        buffer_puts(&statement->sql, "with place (part, spot) as (");
        status = put_search(statement, plan, change, encoder, error);
        buffer_puts(&statement->sql, ") ");
    }
    if (status != ODS_OK)
        return status;
    if (change->op == OP_DELETE && plan->settings->on_delete == ON_DELETE_HARD)
        buffer_printf(&statement->sql, "delete from %s", plan->table->quoted);
    else
        status = put_update(statement, plan, change, encoder, error);
    if (plan->table->has_parts) {
        put_place_of_one(statement, plan);
    } else if (status == ODS_OK) {
        buffer_puts(&statement->sql, " where (tableoid, ctid) = (");
        status = put_search(statement, plan, change, encoder, error);
        buffer_puts(&statement->sql, ")");
    }
    if (status == ODS_OK && statement->sql.failed)
        status = error_out_of_memory(error);
    return status;
}

enum ods_status loose_send(struct loose_statement *statement, struct conn *conn,
                           struct error *error)
{
    const char *values[1664];
    int lengths[1664];
    for (int i = 0; i < statement->count; i++) {
        values[i] =
            statement->lengths[i] < 0 ? NULL : statement->values.bytes + statement->offsets[i];
        lengths[i] = statement->lengths[i] < 0 ? 0 : statement->lengths[i];
    }
    struct conn_params params = {
        .count = statement->count, .types = statement->types, .values = values, .lengths = lengths};
    return conn_send_params(conn, buffer_text(&statement->sql), &params, error);
}
