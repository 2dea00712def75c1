/* Tables of histories. See tables/history.h. */
#include "sink/postgres/tables/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/history_due.h"
#include "sql/postgres/history_note.h"

#define COLUMN(member, name, type) [HISTORY_##member] = {name, type},
const struct history_type history_columns[HISTORY_COLUMN_COUNT] = {HISTORY_COLUMNS(COLUMN)};

/* --- names ---------------------------------------------------------------------------------- */

static void put_name(char *out, size_t size, const struct table_settings *settings,
                     const char *column)
{
    bool time = strcmp(column, history_columns[HISTORY_TIMESTAMP].name) == 0;
    snprintf(out, size, "%s%s", time ? "" : settings->history.prefix, column);
}

void history_names_fill(struct history_names *names, const struct table_settings *settings)
{
    for (size_t i = 0; i < HISTORY_COLUMN_COUNT; i++) {
        put_name(names->room[i], sizeof names->room[i], settings, history_columns[i].name);
        names->names[i] = names->room[i];
    }
}

enum ods_status history_name(const struct table_settings *settings, const char *column,
                             char **name, struct error *error)
{
    char room[NAME_MAX_BYTES + 1];
    put_name(room, sizeof room, settings, column);
    *name = strdup(room);
    return *name ? ODS_OK : error_out_of_memory(error);
}

enum ods_status history_name_table(const struct table_settings *settings,
                                   const struct shape *shape, char **schema, char **table,
                                   struct error *error)
{
    enum ods_status status = name_table(settings, shape, schema, table, error);
    if (status != ODS_OK || *settings->history.name)
        return status;
    char *own = *table;
    *table = name_with(own, "_cdc");
    free(own);
    return *table ? ODS_OK : error_out_of_memory(error);
}

struct table_settings *history_settings_of(const struct table_settings *settings)
{
    struct table_settings *own = malloc(sizeof *own);
    if (!own)
        return NULL;
    *own = *settings;
    own->key = (struct strings){0};
    own->cdc_operation = own->cdc_timestamp = "";
    if (*settings->history.name)
        own->target = settings->history.name;
    if (own->evolve != EVOLVE_NONE)
        own->evolve = EVOLVE_FULL; /* a column whose type changes stays, and a new one is added */
    return own;
}

enum ods_status history_table_of(const struct table_settings *settings, const struct shape *shape,
                                 char **schema, char **table, struct error *error)
{
    struct table_settings *own = history_settings_of(settings);
    enum ods_status status = own ? history_name_table(own, shape, schema, table, error)
                                 : error_out_of_memory(error);
    free(own);
    return status;
}

/* --- key, indexes --------------------------------------------------------------------------- */

static int added_column(const struct plan *plan, enum history_column column)
{
    char name[NAME_MAX_BYTES + 1];
    put_name(name, sizeof name, plan->settings, history_columns[column].name);
    return catalog_column(plan->table, name);
}

/* The shape's column; those of the key and the time are in every shape. */
static uint32_t shape_place(const struct plan *plan, enum history_column column)
{
    const char *name = history_columns[column].name;
    uint32_t at = plan->shape->history_of->column_count;
    while (at + 1 < plan->shape->column_count && strcmp(plan->shape->columns[at].name, name) != 0)
        at++;
    return at;
}

enum ods_status history_map_key(struct plan *plan, struct error *error)
{
    int last = HISTORY_KEY_FIRST + HISTORY_KEY_COUNT - 1;
    bool whole = true;
    plan->key_count = 0;
    plan->spelt = plan->asks = false;
    plan->kept_operation = added_column(plan, HISTORY_OP);
    plan->kept_time = added_column(plan, HISTORY_TIMESTAMP);
    whole &= plan->kept_operation >= 0 && plan->kept_time >= 0;
    for (int i = plan->table->has_parts ? HISTORY_TIMESTAMP : HISTORY_KEY_FIRST; i <= last; i++) {
        int target = added_column(plan, (enum history_column) i);
        whole &= target >= 0;
        if (target >= 0)
            plan_add_key(plan, shape_place(plan, (enum history_column) i), (uint32_t) target);
    }
    if (whole && (plan->table->is_view ||
                  catalog_is_unique(plan->table, plan->key_target, plan->key_count)))
        return ODS_OK;
    return error_set(error, ODS_REJECT,
                     "table %s.%s: a history needs a unique index on exactly its columns topic, "
                     "partition, offset and part%s: make one, or name another table with "
                     "history.name",
                     plan->schema, plan->name,
                     plan->table->has_parts ? ", and cdc_timestamp by which it is partitioned"
                                            : "");
}

void history_explain(const struct plan *plan, struct error *why)
{
    if (!plan->shape->history_of || strcmp(why->code, HISTORY_TAKEN) != 0)
        return;
    error_set(why, ODS_REJECT,
              "table %s.%s has another record at this topic, partition and offset: the topic was "
              "made anew; give the history another table (history.name), or rename the present one",
              plan->schema, plan->name);
}

/* The offset first: rows of a partition come in its order, so the index grows at its end, and its
 * entries are compared by their first number. It costs half of one that begins with the topic. */
void history_put_key(struct buffer *sql, const struct ddl_table *table)
{
    static const enum history_column order[] = {HISTORY_OFFSET, HISTORY_PARTITION, HISTORY_PART,
                                                HISTORY_TOPIC};
    buffer_puts(sql, ", primary key (");
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        buffer_puts(sql, i ? ", " : "");
        ddl_put_name(sql, table->added[order[i]]);
    }
    if (table->parted) {
        buffer_puts(sql, ", ");
        ddl_put_name(sql, table->added[HISTORY_TIMESTAMP]);
    }
    buffer_puts(sql, ")");
}

/* The source's key in the target's names, as many as there are. `each` gets them in order. */
static enum ods_status each_key(const struct plan *plan,
                                void (*each)(struct buffer *out, const char *name, size_t place),
                                struct buffer *out, struct error *error)
{
    const struct shape *source = plan->shape->history_of;
    const struct strings *told = &plan->configured->key;
    size_t count = told->count ? told->count : source->key_count;
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < count; i++) {
        char *name = NULL;
        status = name_column(plan->configured,
                             told->count ? told->items[i] : source->columns[source->key[i]].name,
                             &name, error);
        if (status == ODS_OK && name)
            each(out, name, i);
        free(name);
    }
    return status;
}

static void put_listed(struct buffer *out, const char *name, size_t place)
{
    buffer_puts(out, place ? ", " : "");
    ddl_put_name(out, name);
}

static void put_index(struct ddl *ddl, const char *using, const char *columns, const char *where)
{
    struct buffer sql;
    buffer_init(&sql);
    buffer_puts(&sql, "create index on ");
    ddl_put_table(&sql, ddl->table);
    buffer_printf(&sql, "%s (%s)%s", using, columns, where);
    ddl_put_statement(ddl, &sql);
    buffer_done(&sql);
}

static void put_default_partition(struct ddl *ddl)
{
    struct ddl_table part = *ddl->table;
    char *name = name_with(part.name, "_default");
    struct buffer sql;
    buffer_init(&sql);
    part.name = name ? name : "";
    ddl->script.failed |= !name;
    buffer_puts(&sql, "create table ");
    ddl_put_table(&sql, &part);
    buffer_puts(&sql, " partition of ");
    ddl_put_table(&sql, ddl->table);
    buffer_puts(&sql, " default");
    ddl_put_statement(ddl, &sql);
    buffer_done(&sql);
    free(name);
}

void history_put_rest(struct ddl *ddl, const struct plan *plan)
{
    struct buffer key, where;
    struct error ignored;
    buffer_init(&key);
    buffer_init(&where);
    error_init(&ignored);
    if (ddl->table->parted)
        put_default_partition(ddl);
    put_index(ddl, " using brin", "cdc_timestamp", "");
    bool keyed = plan->settings->history.key_index &&
                 each_key(plan, put_listed, &key, &ignored) == ODS_OK && key.length;
    if (keyed) { /* a row is looked for; so are truncates, which end it */
        put_index(ddl, "", buffer_text(&key), "");
        buffer_puts(&where, " where ");
        ddl_put_name(&where, ddl->table->added[HISTORY_OP]);
        buffer_puts(&where, " = 't'");
        put_index(ddl, "", "cdc_timestamp", buffer_text(&where));
    }
    ddl->script.failed |= key.failed || where.failed;
    buffer_done(&key);
    buffer_done(&where);
}

static void put_literal(struct ddl *ddl, const char *text)
{
    char *literal = PQescapeLiteral(ddl->conn->pg, text, strlen(text));
    buffer_puts(&ddl->script, literal ? literal : "");
    ddl->script.failed |= !literal;
    PQfreemem(literal);
}

void history_put_drop_view(struct ddl *ddl)
{
    if (ddl->conn->rehearsal)
        return;
    buffer_puts(&ddl->script, "select ");
    ddl_put_name(&ddl->script, ddl->conn->settings->schema);
    buffer_puts(&ddl->script, ".drop_as_of_view(");
    put_literal(ddl, ddl->table->schema);
    buffer_puts(&ddl->script, ", ");
    put_literal(ddl, ddl->table->name);
    buffer_puts(&ddl->script, "); ");
}

/* --- what the sink knows of it -------------------------------------------------------------- */

static void put_element(struct buffer *out, const char *name, size_t place)
{
    buffer_puts(out, place ? ",\"" : "\"");
    for (; *name; name++)
        buffer_printf(out, *name == '"' || *name == '\\' ? "\\%c" : "%c", *name);
    buffer_puts(out, "\"");
}

enum ods_status history_note(const struct plan *plan, struct conn *conn, struct error *error)
{
    static const char *const partitions[] = {"none", "day", "month"};
    const struct history_settings *history = &plan->settings->history;
    const struct shape *shape = plan->shape;
    char *schema = NULL, *table = NULL, ahead[24];
    struct buffer key;
    if (conn->rehearsal) /* it notes nothing */
        return ODS_OK;
    buffer_init(&key);
    buffer_puts(&key, "{");
    enum ods_status status = each_key(plan, put_element, &key, error);
    buffer_puts(&key, "}");
    if (status == ODS_OK)
        status = name_table(plan->configured, shape, &schema, &table, error);
    if (status == ODS_OK && key.failed)
        status = error_out_of_memory(error);
    snprintf(ahead, sizeof ahead, "%lld", (long long) history->ahead);
    bool columns = shape->history_of->column_count; /* a truncate's shape has none, and no key */
    bool rows = table_keeps_rows(plan->configured), view = history->view;
    const char *values[] = {plan->schema,
                            plan->name,
                            shape->schema[0] ? shape->database : "",
                            shape->schema[0] ? shape->schema : shape->database,
                            shape->table,
                            schema,
                            table,
                            rows ? "true" : "false",
                            columns ? buffer_text(&key) : NULL,
                            history->prefix,
                            partitions[history->partition],
                            ahead,
                            *history->retain ? history->retain : NULL,
                            view ? "true" : "false"};
    if (status == ODS_OK)
        status = own_query(conn, sql_history_note, sizeof values / sizeof *values, values, NULL,
                           error);
    buffer_done(&key);
    free(schema);
    free(table);
    return status;
}

/* --- partitions ----------------------------------------------------------------------------- */

enum ods_status history_keep_up(struct conn *conn, bool *failed, struct error *error)
{
    PGresult *due = NULL;
    *failed = false;
    enum ods_status status = own_query(conn, sql_history_due, 0, NULL, &due, error);
    for (int i = 0; status == ODS_OK && i < PQntuples(due); i++) {
        struct buffer sql;
        struct error why;
        error_init(&why);
        buffer_init(&sql);
        buffer_printf(&sql, "begin; set local lock_timeout = '500ms'; %s; commit",
                      PQgetvalue(due, i, 0));
        enum ods_status done =
            sql.failed ? error_out_of_memory(&why) : conn_script(conn, buffer_text(&sql), &why);
        buffer_done(&sql);
        if (done == ODS_OK)
            continue;
        *failed = true;
        *error = why;
        error_prefix(error, "a history's partition could not be made or dropped, and is tried "
                            "again: ");
        status = conn->pg ? conn_script(conn, "rollback", NULL) : done;
    }
    PQclear(due);
    return status;
}
