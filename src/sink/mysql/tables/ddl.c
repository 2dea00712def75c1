/* Tables and columns that the sink makes. See ddl.h. */
#include "sink/mysql/tables/ddl.h"

#include <stdlib.h>
#include <string.h>

#include "core/text_nested.h"
#include "core/utf8.h"
#include "sink/mysql/tables/names.h"
#include "sink/mysql/wire/conn.h"
#include "sql/mysql/database_is_there.h"
#include "sql/mysql/ddl_lock.h"
#include "sql/mysql/ddl_unlock.h"
#include "sql/mysql/key_collation.h"

#define COMMENT_BYTES       1000 /* of a column: MySQL takes 1,024 characters */
#define TABLE_COMMENT_BYTES 2000

/* --- defaults ------------------------------------------------------------------------------- */

static bool is_moment(enum semantic type)
{
    return type == SEM_DATE || type == SEM_ISO_DATE || type == SEM_ISO_TIMESTAMP ||
           (type >= SEM_TIMESTAMP_MS && type <= SEM_ZONED_TIMESTAMP);
}

/* Types whose default, in the canonical text, is what MySQL reads. */
static bool has_plain_default(const struct source_column *source)
{
    enum semantic type = source->column.type;
    return source->column.default_json && source->coding == CODING_NONE && !source->literal &&
           ((type >= SEM_BOOLEAN && type <= SEM_STRING) || type == SEM_DECIMAL ||
            (type >= SEM_DATE && type <= SEM_ISO_TIMESTAMP) || type == SEM_YEAR ||
            type == SEM_UUID || type == SEM_ENUM || type == SEM_ENUM_SET);
}

static enum ods_status take(void *context, struct buffer *out, const struct column *column,
                            const struct value *value, struct error *error)
{
    (void) out;
    if (value->kind == VALUE_BOOL) {
        buffer_puts(context, value->integer ? "1" : "0");
        return ODS_OK;
    }
    return text_value(context, column, value, error);
}

/* A schema's default is written as a row's value is, so it is read as one: an array's element. */
static bool read_default(struct buffer *text, const struct column *column)
{
    struct buffer json, ignored;
    struct column array = {.name = column->name, .type = SEM_ARRAY, .element = column};
    buffer_init(&json);
    buffer_init(&ignored);
    buffer_puts(&json, "[");
    buffer_puts(&json, column->default_json);
    buffer_puts(&json, "]");
    const struct value value = {
        .kind = VALUE_JSON, .length = (uint32_t) json.length, .bytes = buffer_text(&json)};
    bool good = text_array(&ignored, &array, &value, take, text, NULL) == ODS_OK;
    text->failed |= json.failed || ignored.failed;
    buffer_done(&ignored);
    buffer_done(&json);
    return good;
}

/* Connectors write the epoch where the source has current_timestamp or a zero date, so a moment
 * that is the epoch is taken for no default. *any: there is one. */
static void put_default(struct buffer *sql, const struct mysql_ddl_change *change, bool *any)
{
    struct buffer text;
    struct mysql_typed typed;
    *any = false;
    if (!change->source || change->key || change->unfilled || !has_plain_default(change->source))
        return;
    buffer_init(&text);
    bool good = read_default(&text, &change->source->column);
    const char *bytes = buffer_text(&text);
    size_t length = text.length;
    if (change->source->column.type == SEM_ZONED_TIMESTAMP && length > 3)
        length -= 3; /* "+00": the session is in UTC */
    good = good && !(is_moment(change->source->column.type) &&
                     strncmp(bytes, "1970-01-01", 10) == 0);
    if (good) {
        mysql_typed_read(&typed, change->type);
        bool large = typed.type == MYSQL_IS_TEXT;
        buffer_puts(sql, large ? " default (" : " default ");
        mysql_put_text(sql, bytes, length);
        buffer_puts(sql, large ? ")" : "");
        *any = true;
    }
    sql->failed |= text.failed;
    buffer_done(&text);
}

/* MySQL's information_schema has a backslash before each quote and backslash of an expression. */
static void put_expression(struct buffer *sql, const char *text)
{
    for (; *text; text++) {
        text += *text == '\\' && text[1];
        buffer_add(sql, text, 1);
    }
}

/* A column that is given another type keeps its default only where that is said again. */
static void put_default_again(struct buffer *sql, const struct mysql_ddl *ddl,
                              const struct mysql_column *there, const char *type)
{
    struct mysql_typed typed;
    if (!there->default_text)
        return;
    mysql_typed_read(&typed, type);
    bool whole = typed.type == MYSQL_IS_TEXT || there->default_expression;
    buffer_puts(sql, whole ? " default (" : " default ");
    if (there->default_expression)
        put_expression(sql, there->default_text);
    else if (ddl->conn->mariadb)
        buffer_puts(sql, there->default_text);
    else
        mysql_put_text(sql, there->default_text, strlen(there->default_text));
    buffer_puts(sql, whole ? ")" : "");
}

/* --- columns -------------------------------------------------------------------------------- */

static void put_comment(struct buffer *sql, const char *text, size_t most)
{
    buffer_puts(sql, " comment ");
    mysql_put_text(sql, text, utf8_cut(text, strlen(text) < most ? strlen(text) : most));
}

/* Its source, and the type that it was given: the sink recognizes the column by both. */
static void put_origin(struct buffer *sql, const struct mysql_ddl_change *change, const char *type)
{
    struct buffer text;
    buffer_init(&text);
    const struct column *source = change->source ? &change->source->column : NULL;
    if (!source)
        buffer_puts(&text, MYSQL_COMMENT_TABLE "of the last change applied to this row");
    else if (source->type == SEM_UNKNOWN)
        buffer_printf(&text,
                      MYSQL_COMMENT_COLUMN "%.200s, told by its first value: the records carry no "
                                           "schema" MYSQL_COMMENT_TYPE "%s",
                      source->name, type);
    else
        buffer_printf(&text, MYSQL_COMMENT_COLUMN "%.200s, %s%s%.100s" MYSQL_COMMENT_TYPE "%s",
                      source->name, semantic_name(source->type), source->source_type ? ", " : "",
                      source->source_type ? source->source_type : "", type);
    put_comment(sql, buffer_text(&text), COMMENT_BYTES);
    sql->failed |= text.failed;
    buffer_done(&text);
}

/* A comment that names the type, with another type in its place. */
static void put_origin_again(struct buffer *sql, const struct mysql_column *there,
                             const char *type)
{
    struct buffer text;
    const char *end = NULL;
    buffer_init(&text);
    for (const char *at = there->comment; (at = strstr(at, MYSQL_COMMENT_TYPE)) != NULL;)
        end = at += strlen(MYSQL_COMMENT_TYPE);
    buffer_add(&text, there->comment, end ? (size_t) (end - there->comment)
                                          : strlen(there->comment));
    buffer_puts(&text, end ? type : "");
    put_comment(sql, buffer_text(&text), COMMENT_BYTES);
    sql->failed |= text.failed;
    buffer_done(&text);
}

/* Keys are compared by all of their bytes, whatever the table's collation is. */
static void put_type(struct buffer *sql, const struct mysql_ddl_change *change,
                     const char *collation)
{
    struct mysql_typed typed;
    buffer_puts(sql, change->type);
    mysql_typed_read(&typed, change->type);
    bool text = typed.type == MYSQL_IS_VARCHAR || typed.type == MYSQL_IS_CHAR;
    if (change->key && text)
        buffer_printf(sql, " character set utf8mb4 collate %s", collation);
}

static void put_column(struct buffer *sql, const struct mysql_ddl *ddl,
                       const struct mysql_ddl_change *change, bool created, const char *collation)
{
    struct buffer text;
    bool any;
    buffer_init(&text);
    put_default(&text, change, &any);
    /* A column of a record without schema says nothing about NULL. Rows that are there already have
     * its default, or NULL. */
    bool required = !ddl->shared && change->source &&
                    change->source->column.type != SEM_UNKNOWN &&
                    !change->source->column.optional && (created || any);
    mysql_put_name(sql, change->name);
    buffer_puts(sql, " ");
    put_type(sql, change, collation);
    buffer_puts(sql, required || (change->key && created) ? " not null" : " null");
    buffer_add(sql, text.bytes ? text.bytes : "", text.length);
    put_origin(sql, change, change->type);
    sql->failed |= text.failed;
    buffer_done(&text);
}

/* --- statements ------------------------------------------------------------------------------ */

static void tell(const struct mysql_ddl *ddl, const char *sql)
{
    if (ddl->listener->notice)
        ddl->listener->notice(ddl->listener->context, sql);
}

/* Errors that say that no table can be like this. MariaDB has one number for many, and the storage
 * engine's behind it: 139 is a row too large, 185 too many columns. */
static bool is_of_table(const struct error *error)
{
    static const char *const codes[] = {"1059", "1060", "1061", "1067", "1068", "1069", "1070",
                                        "1071", "1074", "1089", "1101", "1102", "1103", "1110",
                                        "1113", "1117", "1118", "1166", "1171", "1231", "1426",
                                        "1439", "1709", "3770"};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(error->code, codes[i]) == 0)
            return true;
    return strcmp(error->code, "1005") == 0 &&
           (strstr(error->text, "errno: 139") || strstr(error->text, "errno: 185"));
}

static enum ods_status run(struct mysql_ddl *ddl, struct buffer *sql, struct error *error)
{
    enum ods_status status =
        sql->failed ? error_out_of_memory(error)
                    : mysql_conn_query(ddl->conn, sql->bytes, sql->length, NULL, error);
    if (status == ODS_OK)
        tell(ddl, buffer_text(sql));
    else
        error_prefix(error, "table %s.%s can't be made or changed: ", ddl->plan->schema,
                     ddl->plan->name);
    if (status != ODS_OK && status != ODS_RETRY)
        status = is_of_table(error) || error->fault == FAULT_ROW ? ODS_REJECT : ODS_FATAL;
    return status;
}

static enum ods_status ask_one(struct mysql_conn *conn, const char *sql, size_t length,
                               char *answer, size_t size, struct error *error)
{
    MYSQL_RES *rows = NULL;
    enum ods_status status = mysql_conn_query(conn, sql, length, &rows, error);
    MYSQL_ROW row = status == ODS_OK && rows ? mysql_fetch_row(rows) : NULL;
    utf8_copy(answer, size, row && row[0] ? row[0] : "", row && row[0] ? strlen(row[0]) : 0);
    mysql_free_result(rows);
    return status;
}

enum ods_status mysql_ddl_begin(struct mysql_ddl *ddl, struct error *error)
{
    char answer[8] = "";
    enum ods_status status = mysql_conn_open(ddl->conn, error);
    if (status == ODS_OK)
        status = ask_one(ddl->conn, sql_mysql_ddl_lock, strlen(sql_mysql_ddl_lock), answer,
                         sizeof answer, error);
    if (status != ODS_OK || strcmp(answer, "1") == 0)
        return status;
    if (error)
        error->fault = FAULT_OUTAGE;
    return error_set(error, ODS_RETRY, "another session of ods-sink changes tables");
}

void mysql_ddl_end(struct mysql_ddl *ddl)
{
    struct error error;
    error_init(&error);
    if (ddl->conn->mysql)
        mysql_conn_run(ddl->conn, sql_mysql_ddl_unlock, NULL, &error);
}

/* Made only where it does not exist, as only then the right to make one is needed. */
static enum ods_status make_database(struct mysql_ddl *ddl, struct error *error)
{
    const char *texts[] = {ddl->plan->schema};
    struct buffer sql;
    char answer[8] = "";
    buffer_init(&sql);
    mysql_put_statement(&sql, sql_mysql_database_is_there, texts);
    enum ods_status status = sql.failed ? error_out_of_memory(error)
                                        : ask_one(ddl->conn, sql.bytes, sql.length, answer,
                                                  sizeof answer, error);
    if (status == ODS_OK && strcmp(answer, "0") == 0) {
        buffer_reset(&sql);
        buffer_puts(&sql, "create database if not exists ");
        mysql_put_name(&sql, ddl->plan->schema);
        buffer_puts(&sql, " character set utf8mb4");
        status = run(ddl, &sql, error);
    }
    buffer_done(&sql);
    return status;
}

/* In the order of the record's key; a key of tables.yaml in that of the columns. */
static void put_key(struct buffer *sql, const struct shape *shape,
                    const struct mysql_ddl_change *changes, size_t count)
{
    bool any = false;
    for (uint32_t k = 0; k <= shape->key_count; k++)
        for (size_t i = 0; i < count; i++) {
            uint32_t rank = 0;
            if (!changes[i].source || !changes[i].key)
                continue;
            while (rank < shape->key_count && strcmp(shape->columns[shape->key[rank]].name,
                                                     changes[i].source->column.name) != 0)
                rank++;
            if (rank != k)
                continue;
            buffer_puts(sql, any ? ", " : ", primary key (");
            mysql_put_name(sql, changes[i].name);
            any = true;
        }
    buffer_puts(sql, any ? ")" : "");
}

static void put_table(struct buffer *sql, const struct mysql_plan *plan)
{
    mysql_put_name(sql, plan->schema);
    buffer_puts(sql, ".");
    mysql_put_name(sql, plan->name);
}

static void put_table_comment(struct buffer *sql, const struct shape *shape)
{
    char source[MYSQL_SOURCE_BYTES];
    struct buffer text;
    buffer_init(&text);
    mysql_name_source(shape, source);
    buffer_printf(&text, MYSQL_COMMENT_TABLE "from %s" MYSQL_COMMENT_SOURCE "%s, topic %.300s",
                  shape->connector[0] ? shape->connector : "source", source, shape->topic);
    put_comment(sql, buffer_text(&text), TABLE_COMMENT_BYTES);
    sql->failed |= text.failed;
    buffer_done(&text);
}

enum ods_status mysql_ddl_create(struct mysql_ddl *ddl, const struct mysql_ddl_change *changes,
                                 size_t count, struct error *error)
{
    char collation[65];
    struct buffer sql;
    enum ods_status status = make_database(ddl, error);
    if (status == ODS_OK)
        status = ask_one(ddl->conn, sql_mysql_key_collation, strlen(sql_mysql_key_collation),
                         collation, sizeof collation, error);
    if (status != ODS_OK)
        return status;
    buffer_init(&sql);
    buffer_puts(&sql, "create table ");
    put_table(&sql, ddl->plan);
    buffer_puts(&sql, " (");
    for (size_t i = 0; i < count; i++) {
        buffer_puts(&sql, i ? ", " : "");
        put_column(&sql, ddl, &changes[i], true, collation);
    }
    put_key(&sql, ddl->plan->shape, changes, count);
    buffer_puts(&sql, ") engine = InnoDB default character set utf8mb4");
    put_table_comment(&sql, ddl->plan->shape);
    status = run(ddl, &sql, error);
    buffer_done(&sql);
    return status;
}

/* --- a table that exists -------------------------------------------------------------------- */

/* A json of MariaDB is a longtext with a check, which a statement has to ask for again. */
static const char *type_now(const struct mysql_column *there)
{
    return there->type == MYSQL_IS_JSON ? "json" : there->column_type;
}

static void put_collation_again(struct buffer *sql, const struct mysql_column *there,
                                const char *type)
{
    struct mysql_typed typed;
    mysql_typed_read(&typed, type);
    if (typed.type >= MYSQL_IS_CHAR && typed.type <= MYSQL_IS_TEXT && there->collation[0] &&
        there->type != MYSQL_IS_JSON)
        buffer_printf(sql, " character set %s collate %s", there->charset, there->collation);
}

static void put_modify(struct buffer *sql, const struct mysql_ddl *ddl,
                       const struct mysql_ddl_change *change)
{
    const struct mysql_column *there = change->there;
    const char *type = change->kind == MYSQL_DDL_RETYPE ? change->type : type_now(there);
    bool any, null = there->nullable || change->relaxes || change->kind == MYSQL_DDL_RELAX;
    buffer_printf(sql, "modify column %s %s", there->quoted, type);
    put_collation_again(sql, there, type);
    buffer_puts(sql, null ? " null" : " not null");
    if (there->default_expression && !there->default_text) /* which MySQL 8.0.15 does not show */
        put_default(sql, change, &any);
    else
        put_default_again(sql, ddl, there, type);
    if (change->kind == MYSQL_DDL_RETYPE)
        put_origin_again(sql, there, type);
    else
        put_comment(sql, there->comment, COMMENT_BYTES);
}

static void put_keep(struct buffer *sql, const struct mysql_ddl_change *change)
{
    buffer_printf(sql, "change column %s ", change->there->quoted);
    mysql_put_name(sql, change->kept);
    buffer_printf(sql, " %s", type_now(change->there));
    put_collation_again(sql, change->there, type_now(change->there));
    buffer_puts(sql, " null");
    put_comment(sql, change->there->comment, COMMENT_BYTES);
}

/* Columns that make place for others go first, in a statement of their own: what a crash leaves
 * between the two is a table that lacks a column, and gets it. */
static enum ods_status alter(struct mysql_ddl *ddl, const struct mysql_ddl_change *changes,
                             size_t count, bool keeping, struct error *error)
{
    struct buffer sql;
    bool any = false;
    buffer_init(&sql);
    buffer_puts(&sql, "alter table ");
    put_table(&sql, ddl->plan);
    for (size_t i = 0; i < count; i++) {
        if ((changes[i].kind == MYSQL_DDL_KEEP) != keeping)
            continue;
        buffer_puts(&sql, any ? ", " : " ");
        any = true;
        if (keeping) {
            put_keep(&sql, &changes[i]);
        } else if (changes[i].kind == MYSQL_DDL_ADD) {
            buffer_puts(&sql, "add column ");
            put_column(&sql, ddl, &changes[i], false, "utf8mb4_bin");
        } else {
            put_modify(&sql, ddl, &changes[i]);
        }
    }
    enum ods_status status = any ? run(ddl, &sql, error) : ODS_OK;
    buffer_done(&sql);
    return status;
}

enum ods_status mysql_ddl_alter(struct mysql_ddl *ddl, const struct mysql_ddl_change *changes,
                                size_t count, struct error *error)
{
    enum ods_status status = alter(ddl, changes, count, true, error);
    return status == ODS_OK ? alter(ddl, changes, count, false, error) : status;
}
