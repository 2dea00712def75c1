/* The trigger of tables with `outbox: true`. See follow.h. */
#include "sink/postgres/tables/follow.h"

#include <stdlib.h>

#include "sink/postgres/tables/origin.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/outbox_follow.h"

static void put_element(struct buffer *out, const char *text)
{
    buffer_puts(out, out->length > 1 ? ",\"" : "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_puts(out, "\\");
        buffer_add(out, text, 1);
    }
    buffer_puts(out, "\"");
}

/* The outbox's name for the table, and the columns of its key, as an array. */
static bool put_arguments(struct buffer *out, const struct plan *plan)
{
    struct buffer name;
    buffer_init(&name);
    buffer_puts(&name, plan->schema);
    buffer_puts(&name, ".");
    buffer_puts(&name, plan->name);
    buffer_puts(out, "{");
    put_element(out, buffer_text(&name));
    for (uint32_t k = 0; k < plan->key_count; k++)
        put_element(out, plan->table->columns[plan->key_target[k]].name);
    buffer_puts(out, "}");
    bool good = !name.failed && !out->failed;
    buffer_done(&name);
    return good;
}

enum ods_status follow_table(const struct plan *plan, struct conn *conn, struct error *error)
{
    struct buffer arguments;
    bool follows = plan->settings->outbox;
    /* The shape of a truncate tells no key. */
    bool shared = false;
    if (conn->rehearsal || (follows && !plan->shape->column_count))
        return ODS_OK;
    if (!follows && origin_is_shared(plan, conn, &shared, error) != ODS_OK)
        return ODS_RETRY;
    if (shared) /* the pipeline of another source may have it follow */
        return ODS_OK;
    if (follows && plan->table->is_view)
        return error_set(error, ODS_FATAL,
                         "%s.%s is a view: `outbox: true` needs a table", plan->schema, plan->name);
    buffer_init(&arguments);
    enum ods_status status = put_arguments(&arguments, plan)
                                 ? own_schema_prepare_table(conn, "outbox_reads", error)
                                 : error_out_of_memory(error);
    const char *values[] = {plan->table->quoted, buffer_text(&arguments), follows ? "t" : "f"};
    if (status == ODS_OK)
        status = own_query(conn, sql_outbox_follow, 3, values, NULL, error);
    buffer_done(&arguments);
    if (status != ODS_OK)
        error_prefix(error, "outbox of %s.%s: ", plan->schema, plan->name);
    return status;
}
