/* MySQL and MariaDB as a source. See database.h.
 *
 * Texts are those of the text protocol: its numbers, dates and bytes need no second set of rules.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h> /* a dsn is written as libpq's */
#include <mariadb/mysql.h>

#include "verify/database.h"

#define TIMEOUT_S    30
#define READ_TIMEOUT_S 600
#define CELLS_MAX    4096
#define EVENTS_MAX   20000    /* of the binary log, in one answer */
#define SEARCHED_MAX INT64_C(1073741824) /* bytes of it */

struct mysql_database {
    struct database base;
    MYSQL *connection;
    MYSQL_RES *result;
    struct field cells[CELLS_MAX];
};

static struct mysql_database *from_base(struct database *database)
{
    return (struct mysql_database *) database;
}

static enum ods_status failed(struct mysql_database *mysql, const char *doing, struct error *error)
{
    unsigned number = mysql->connection ? mysql_errno(mysql->connection) : 0;
    return error_set(error, number >= 2000 && number < 3000 ? ODS_RETRY : ODS_FATAL,
                     "database %s: %s: %s (%u)", mysql->base.settings->name, doing,
                     mysql->connection ? mysql_error(mysql->connection) : "out of memory", number);
}

/* --- connecting ----------------------------------------------------------------------------- */

/* mysql://… is parsed as postgresql://… is: both are URIs of the same parts. */
static PQconninfoOption *parse_dsn(const char *dsn)
{
    static const char *const schemes[] = {"mysql://", "mariadb://"};
    char *why = NULL, *text = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t length = strlen(schemes[i]);
        if (strncmp(dsn, schemes[i], length) == 0 &&
            asprintf(&text, "postgresql://%s", dsn + length) < 0)
            text = NULL;
    }
    PQconninfoOption *options = PQconninfoParse(text ? text : dsn, &why);
    PQfreemem(why); /* it may quote the dsn, password and all */
    free(text);
    return options;
}

static const char *option_named(const PQconninfoOption *options, const char *name)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, name) == 0)
            return options->val && *options->val ? options->val : NULL;
    return NULL;
}

static void set_tls(MYSQL *connection, const PQconninfoOption *options)
{
    const char *mode = option_named(options, "sslmode");
    my_bool verifies = mode && strncmp(mode, "verify", 6) == 0;
    my_bool enforces = verifies || (mode && strcmp(mode, "require") == 0);
    mysql_ssl_set(connection, option_named(options, "sslkey"), option_named(options, "sslcert"),
                  option_named(options, "sslrootcert"), NULL, NULL);
    mysql_options(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verifies);
    mysql_options(connection, MYSQL_OPT_SSL_ENFORCE, &enforces);
}

/* Texts that always read the same, and nothing is written. */
static enum ods_status prepare_session(struct mysql_database *mysql, struct error *error)
{
    static const char *const statements[] = {
        "set session sql_mode = ''", "set session time_zone = '+00:00'",
        "set session transaction isolation level read committed",
        "set session transaction read only", "set session net_write_timeout = 600"};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (mysql_query(mysql->connection, statements[i]))
            return failed(mysql, statements[i], error);
    return ODS_OK;
}

static void end_result(struct mysql_database *mysql)
{
    if (mysql->result)
        mysql_free_result(mysql->result);
    mysql->result = NULL;
}

static enum ods_status connect_with(struct mysql_database *mysql, const PQconninfoOption *options,
                                    struct error *error)
{
    unsigned timeout = TIMEOUT_S, read_timeout = READ_TIMEOUT_S;
    const char *host = option_named(options, "host"), *port = option_named(options, "port");
    bool is_socket = host && *host == '/';
    mysql_options(mysql->connection, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
    mysql_options(mysql->connection, MYSQL_OPT_READ_TIMEOUT, &read_timeout);
    mysql_options(mysql->connection, MYSQL_OPT_WRITE_TIMEOUT, &timeout);
    mysql_options(mysql->connection, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    set_tls(mysql->connection, options);
    if (!mysql_real_connect(mysql->connection, is_socket ? NULL : host, option_named(options, "user"),
                            option_named(options, "password"), option_named(options, "dbname"),
                            port ? (unsigned) strtoul(port, NULL, 10) : 0, is_socket ? host : NULL,
                            0))
        return failed(mysql, "connecting", error);
    return prepare_session(mysql, error);
}

static enum ods_status mysql_open(struct database *database, struct error *error)
{
    struct mysql_database *mysql = from_base(database);
    end_result(mysql);
    if (mysql->connection)
        mysql_close(mysql->connection);
    PQconninfoOption *options = parse_dsn(database->settings->dsn);
    if (!options) {
        mysql->connection = NULL;
        return error_set(error, ODS_FATAL,
                         "database %s: the dsn is none: expected host=… port=… dbname=… user=… "
                         "password=…, or mysql://user@host:port/name",
                         database->settings->name);
    }
    mysql->connection = mysql_init(NULL);
    enum ods_status status = mysql->connection ? connect_with(mysql, options, error)
                                               : error_out_of_memory(error);
    PQconninfoFree(options);
    return status;
}

static void mysql_close_database(struct database *database)
{
    struct mysql_database *mysql = from_base(database);
    end_result(mysql);
    if (mysql->connection)
        mysql_close(mysql->connection);
    free(mysql);
}

/* --- queries -------------------------------------------------------------------------------- */

static enum ods_status mysql_run(struct database *database, const char *sql, struct error *error)
{
    struct mysql_database *mysql = from_base(database);
    end_result(mysql);
    if (!mysql->connection || mysql_real_query(mysql->connection, sql, strlen(sql)))
        return failed(mysql, "a query", error);
    mysql->result = mysql_use_result(mysql->connection);
    if (!mysql->result)
        return failed(mysql, "a query", error);
    if (mysql_num_fields(mysql->result) > CELLS_MAX)
        return error_set(error, ODS_FATAL, "database %s: more than %d columns",
                         database->settings->name, CELLS_MAX);
    return ODS_OK;
}

static enum ods_status mysql_next(struct database *database, const struct field **cells,
                                  struct error *error)
{
    struct mysql_database *mysql = from_base(database);
    MYSQL_ROW row = mysql_fetch_row(mysql->result);
    *cells = NULL;
    if (!row) {
        bool broken = mysql_errno(mysql->connection) != 0;
        enum ods_status status = broken ? failed(mysql, "reading rows", error) : ODS_OK;
        end_result(mysql);
        return status;
    }
    const unsigned long *lengths = mysql_fetch_lengths(mysql->result);
    unsigned count = mysql_num_fields(mysql->result);
    for (unsigned i = 0; i < count; i++)
        mysql->cells[i] = (struct field){row[i], lengths[i]};
    *cells = mysql->cells;
    return ODS_OK;
}

static void put_quoted(struct mysql_database *mysql, struct buffer *sql, const char *text,
                       size_t length)
{
    char *room = buffer_take(sql, 2 * length + 3);
    if (!room)
        return;
    *room = '\'';
    unsigned long written = mysql_real_escape_string(mysql->connection, room + 1, text, length);
    room[1 + written] = '\'';
    sql->length -= 2 * length + 3 - (written + 2);
}

static void mysql_literal(struct database *database, struct buffer *sql,
                          const struct form_column *column, const char *text, size_t length)
{
    if (column->is_number) {
        buffer_add(sql, text, length);
    } else if (column->is_bytes) {
        buffer_puts(sql, "x'");
        for (size_t i = 0; i < length; i++)
            buffer_printf(sql, "%02x", (uint8_t) text[i]);
        buffer_puts(sql, "'");
    } else {
        put_quoted(from_base(database), sql, text, length);
    }
}

/* --- tables --------------------------------------------------------------------------------- */

static char *quote(const char *name)
{
    struct buffer out;
    buffer_init(&out);
    buffer_puts(&out, "`");
    for (; *name; name++)
        buffer_add(&out, *name == '`' ? "``" : name, *name == '`' ? 2 : 1);
    buffer_puts(&out, "`");
    char *quoted = strdup(buffer_text(&out));
    buffer_done(&out);
    return quoted;
}

/* How Debezium's connector declares a type, in its default modes, and how it is read. */
struct kind {
    const char *type;
    enum semantic semantic, of_unsigned;
    enum form form;
};

static const struct kind kinds[] = {
    {"tinyint", SEM_INT16, SEM_INT16, FORM_INT},
    {"smallint", SEM_INT16, SEM_INT32, FORM_INT},
    {"mediumint", SEM_INT32, SEM_INT32, FORM_INT},
    {"int", SEM_INT32, SEM_INT64, FORM_INT},
    {"bigint", SEM_INT64, SEM_DECIMAL, FORM_INT},
    {"decimal", SEM_DECIMAL, SEM_DECIMAL, FORM_NUMBER},
    {"float", SEM_FLOAT32, SEM_FLOAT32, FORM_NUMBER},
    {"double", SEM_FLOAT64, SEM_FLOAT64, FORM_NUMBER},
    {"bit", SEM_BITS, SEM_BITS, FORM_BITS},
    {"date", SEM_DATE, SEM_DATE, FORM_DATE},
    {"time", SEM_TIME_US, SEM_TIME_US, FORM_TIME},
    {"datetime", SEM_TIMESTAMP_MS, SEM_TIMESTAMP_MS, FORM_TIMESTAMP_MS},
    {"timestamp", SEM_ZONED_TIMESTAMP, SEM_ZONED_TIMESTAMP, FORM_MOMENT},
    {"year", SEM_YEAR, SEM_YEAR, FORM_INT},
    {"char", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"varchar", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"tinytext", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"text", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"mediumtext", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"longtext", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"uuid", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"inet4", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"inet6", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"binary", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"varbinary", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"tinyblob", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"blob", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"mediumblob", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"longblob", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"enum", SEM_ENUM, SEM_ENUM, FORM_TEXT},
    {"set", SEM_ENUM_SET, SEM_ENUM_SET, FORM_TEXT},
    {"json", SEM_JSON, SEM_JSON, FORM_TEXT},
    {"geometry", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"linestring", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"polygon", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"multipoint", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"multilinestring", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"multipolygon", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"geomcollection", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"geometrycollection", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"point", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
};

static bool is(const struct field *cell, const char *text)
{
    return cell->bytes && cell->length == strlen(text) && memcmp(cell->bytes, text, cell->length) == 0;
}

static int32_t number(const struct field *cell, int32_t none)
{
    char text[24] = "";
    if (!cell->bytes || cell->length >= sizeof text)
        return none;
    memcpy(text, cell->bytes, cell->length);
    return (int32_t) strtol(text, NULL, 10);
}

enum place_of_column { NAME, TYPE, WHOLE_TYPE, NULLABLE, LENGTH, PRECISION, SCALE, FRACTION };

static void declare(struct column *column, struct form_column *form, const struct field *cells)
{
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (is(&cells[TYPE], kinds[i].type))
            kind = &kinds[i];
    bool is_unsigned = cells[WHOLE_TYPE].bytes &&
                       memmem(cells[WHOLE_TYPE].bytes, cells[WHOLE_TYPE].length, "unsigned", 8);
    int32_t precision = number(&cells[PRECISION], -1), fraction = number(&cells[FRACTION], 0);
    column->length = -1;
    column->scale = INT32_MIN;
    column->optional = is(&cells[NULLABLE], "YES");
    form->not_null = !column->optional;
    if (!kind)
        return;
    column->type = is_unsigned ? kind->of_unsigned : kind->semantic;
    form->form = kind->form;
    if (column->type == SEM_DECIMAL) {
        form->form = FORM_NUMBER;
        column->scale = number(&cells[SCALE], 0);
        column->length = precision;
    }
    if (kind->form == FORM_BITS && precision == 1) {
        column->type = SEM_BOOLEAN;
        form->form = FORM_BIT;
    } else if (kind->form == FORM_BITS) {
        column->length = precision;
    }
    if (kind->semantic == SEM_TIMESTAMP_MS && fraction > 3) {
        column->type = SEM_TIMESTAMP_US;
        form->form = FORM_TIMESTAMP_US;
    }
    if (kind->semantic == SEM_STRING)
        column->length = number(&cells[LENGTH], -1);
    form->is_number = form->form == FORM_INT || form->form == FORM_NUMBER;
    form->is_bytes = form->form == FORM_BYTES;
    form->is_float = column->type == SEM_FLOAT32;
}

static bool add_column(struct source_table *table, const struct field *cells)
{
    uint32_t count = table->column_count + 1;
    struct column *columns = realloc(table->columns, count * sizeof *columns);
    if (columns)
        table->columns = columns;
    char **quoted = realloc(table->quoted_columns, count * sizeof *quoted);
    if (quoted)
        table->quoted_columns = quoted;
    struct form_column *forms = realloc(table->forms, count * sizeof *forms);
    if (forms)
        table->forms = forms;
    char *name = strndup(cells[NAME].bytes, cells[NAME].length);
    if (!columns || !quoted || !forms || !name) {
        free(name);
        return false;
    }
    struct column *column = &columns[table->column_count];
    *column = (struct column){.name = name, .name_length = (uint32_t) cells[NAME].length};
    forms[table->column_count] = (struct form_column){0};
    declare(column, &forms[table->column_count], cells);
    quoted[table->column_count++] = quote(name);
    return quoted[count - 1] != NULL;
}

static void put_where(struct mysql_database *mysql, struct buffer *sql, const char *schema,
                      const char *name)
{
    buffer_puts(sql, " where table_schema = ");
    put_quoted(mysql, sql, schema, strlen(schema));
    buffer_puts(sql, " and table_name = ");
    put_quoted(mysql, sql, name, strlen(name));
}

static enum ods_status read_columns(struct mysql_database *mysql, const char *schema,
                                    const char *name, struct source_table *table,
                                    struct error *error)
{
    struct buffer sql;
    const struct field *cells;
    buffer_init(&sql);
    buffer_puts(&sql, "select column_name, data_type, column_type, is_nullable, "
                      "character_maximum_length, numeric_precision, numeric_scale, "
                      "datetime_precision from information_schema.columns");
    put_where(mysql, &sql, schema, name);
    buffer_puts(&sql, " order by ordinal_position");
    enum ods_status status = mysql_run(&mysql->base, buffer_text(&sql), error);
    while (status == ODS_OK) {
        status = mysql_next(&mysql->base, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        if (!add_column(table, cells))
            status = error_out_of_memory(error);
    }
    buffer_done(&sql);
    return status;
}

static enum ods_status read_key(struct mysql_database *mysql, const char *schema, const char *name,
                                struct source_table *table, struct error *error)
{
    struct buffer sql;
    const struct field *cells;
    buffer_init(&sql);
    buffer_puts(&sql, "select column_name from information_schema.statistics");
    put_where(mysql, &sql, schema, name);
    buffer_puts(&sql, " and index_name = 'PRIMARY' order by seq_in_index");
    table->key = calloc(table->column_count + 1u, sizeof *table->key);
    enum ods_status status = table->key ? mysql_run(&mysql->base, buffer_text(&sql), error)
                                        : error_out_of_memory(error);
    while (status == ODS_OK) {
        status = mysql_next(&mysql->base, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        for (uint32_t i = 0; i < table->column_count; i++)
            if (is(&cells[0], table->columns[i].name) && table->key_count < table->column_count)
                table->key[table->key_count++] = i;
    }
    buffer_done(&sql);
    return status;
}

static enum ods_status mysql_describe(struct database *database, const char *schema,
                                      const char *name, struct source_table *table, bool *found,
                                      struct error *error)
{
    struct mysql_database *mysql = from_base(database);
    *table = (struct source_table){0};
    char *quoted_schema = quote(schema), *quoted_name = quote(name);
    table->database = strdup(schema);
    table->schema = strdup("");
    table->name = strdup(name);
    if (!quoted_schema || !quoted_name ||
        asprintf(&table->quoted, "%s.%s", quoted_schema, quoted_name) < 0)
        table->quoted = NULL;
    free(quoted_schema);
    free(quoted_name);
    enum ods_status status = table->database && table->schema && table->name && table->quoted
                                 ? read_columns(mysql, schema, name, table, error)
                                 : error_out_of_memory(error);
    if (status == ODS_OK)
        status = read_key(mysql, schema, name, table, error);
    *found = status == ODS_OK && table->column_count;
    return status;
}

/* --- where it stands ------------------------------------------------------------------------ */

static enum ods_status first_row(struct mysql_database *mysql, const char *sql, bool *found,
                                 struct field row[2], char room[512], struct error *error)
{
    const struct field *cells;
    *found = false;
    enum ods_status status = mysql_run(&mysql->base, sql, error);
    while (status == ODS_OK) {
        status = mysql_next(&mysql->base, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        for (size_t i = 0; !*found && i < 2; i++) {
            size_t length = cells[i].length < 255 ? cells[i].length : 255;
            memcpy(room + i * 256, cells[i].bytes, length);
            room[i * 256 + length] = '\0';
            row[i] = (struct field){room + i * 256, length};
        }
        *found = true;
    }
    return status;
}

static enum ods_status mysql_place(struct database *database, struct source_place *place,
                                   struct error *error)
{
    static const char *const questions[] = {"show master status", "show binary log status"};
    struct mysql_database *mysql = from_base(database);
    struct field row[2];
    char room[512];
    bool found = false;
    *place = (struct source_place){0};
    for (size_t i = 0; !found && i < 2; i++) {
        struct error why;
        error_init(&why);
        enum ods_status status = first_row(mysql, questions[i], &found, row, room, &why);
        if (status == ODS_RETRY)
            return error_set(error, status, "%s", why.text);
        if (status != ODS_OK && !*place->why) /* 8.4 has another name for it */
            snprintf(place->why, sizeof place->why,
                     "where its binary log stands can't be asked (grant replication client): %.150s",
                     why.text);
    }
    place->known = found;
    if (found) {
        snprintf(place->file, sizeof place->file, "%.255s", room);
        place->position = strtoull(room + 256, NULL, 10);
    } else if (!*place->why) {
        snprintf(place->why, sizeof place->why, "it has no binary log");
    }
    return database_number(database, "select cast(unix_timestamp(now(6)) * 1000000 as signed)",
                           &place->clock_us, error);
}

static enum ods_status mysql_confirmed(struct database *database, const struct source_place *to,
                                       bool *confirmed, char *why, size_t size, struct error *error)
{
    (void) database;
    (void) to;
    (void) why;
    (void) size;
    (void) error;
    *confirmed = false; /* the server does not keep what a connector has done */
    return ODS_OK;
}

enum place_of_event { LOG_NAME, POSITION, EVENT_TYPE, SERVER, END, INFO };

struct search {
    const struct source_table *table;
    const struct source_place *from, *to;
    char name[520];        /* "(db.table)" */
    uint64_t next, events; /* where the next answer begins, and how many events this one had */
    char ids[64][24];      /* numbers of tables that are others */
    size_t id_count;
    bool touched;
};

static bool holds(const struct field *cell, const char *text)
{
    return cell->bytes && memmem(cell->bytes, cell->length, text, strlen(text));
}

static uint64_t big_number(const struct field *cell)
{
    char text[32] = "";
    if (cell->bytes && cell->length < sizeof text)
        memcpy(text, cell->bytes, cell->length);
    return strtoull(text, NULL, 10);
}

/* "table_id: 108 (db.t)", "table_id: 108 flags: STMT_END_F" */
static void table_number(const struct field *info, char *number, size_t size)
{
    const char *at = info->bytes ? memmem(info->bytes, info->length, "table_id: ", 10) : NULL;
    size_t length = 0;
    for (at = at ? at + 10 : NULL; at && at + length < info->bytes + info->length &&
                                   at[length] >= '0' && at[length] <= '9' && length + 1 < size;)
        length++;
    memcpy(number, at ? at : "", length);
    number[length] = '\0';
}

static bool is_other(const struct search *search, const char *number)
{
    for (size_t i = 0; i < search->id_count && i < 64; i++)
        if (strcmp(search->ids[i], number) == 0)
            return true;
    return false;
}

static void look_at_event(struct search *search, const struct field *cells, bool first_file)
{
    char number[24];
    uint64_t position = big_number(&cells[POSITION]);
    bool rows = holds(&cells[EVENT_TYPE], "_rows");
    search->next = big_number(&cells[END]);
    search->events++;
    if (first_file && position <= search->from->position)
        return; /* the record's own */
    if (holds(&cells[EVENT_TYPE], "Table_map")) {
        table_number(&cells[INFO], number, sizeof number);
        if (holds(&cells[INFO], search->name))
            search->touched = true;
        else if (!is_other(search, number))
            memcpy(search->ids[search->id_count++ % 64], number, sizeof number);
    } else if (rows) {
        table_number(&cells[INFO], number, sizeof number);
        search->touched |= !is_other(search, number);
    } else if (holds(&cells[EVENT_TYPE], "Query")) {
        search->touched |= holds(&cells[INFO], search->table->name);
    }
}

/* From search->next on; false: there is no more of this file before the end that was asked for. */
static enum ods_status search_more(struct mysql_database *mysql, struct search *search,
                                   const char *file, bool first, bool last, bool *more,
                                   struct error *error)
{
    char sql[512];
    const struct field *cells;
    snprintf(sql, sizeof sql, "show binlog events in '%s' from %llu limit %d", file,
             (unsigned long long) search->next, EVENTS_MAX);
    search->events = 0;
    *more = true;
    enum ods_status status = mysql_run(&mysql->base, sql, error);
    while (status == ODS_OK) {
        status = mysql_next(&mysql->base, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        if (last && big_number(&cells[POSITION]) >= search->to->position)
            *more = false;
        if (*more && !search->touched)
            look_at_event(search, cells, first);
    }
    *more &= search->events == EVENTS_MAX && !search->touched;
    return status;
}

/* The files of the log from the first to the last, and how much of them is to be looked at. */
static enum ods_status list_files(struct mysql_database *mysql, const struct search *search,
                                  char files[64][256], size_t *count, uint64_t *bytes,
                                  struct error *error)
{
    const struct field *cells;
    *count = 0;
    *bytes = 0;
    enum ods_status status = mysql_run(&mysql->base, "show binary logs", error);
    while (status == ODS_OK) {
        struct source_place file = {0};
        status = mysql_next(&mysql->base, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        memcpy(file.file, cells[0].bytes, cells[0].length < 255 ? cells[0].length : 255);
        struct source_place first = *search->from, last = *search->to;
        first.position = last.position = 0;
        if (source_place_compare(&file, &first) < 0 || source_place_compare(&file, &last) > 0)
            continue;
        *bytes += big_number(&cells[1]);
        if (*count < 64)
            memcpy(files[*count], file.file, sizeof file.file);
        ++*count;
    }
    return status;
}

static enum ods_status mysql_touched(struct database *database, const struct source_table *table,
                                     const struct source_place *from, const struct source_place *to,
                                     enum touched *touched, char *why, size_t size,
                                     struct error *error)
{
    struct mysql_database *mysql = from_base(database);
    struct search search = {.table = table, .from = from, .to = to};
    struct error problem;
    char files[64][256];
    size_t count = 0;
    uint64_t bytes = 0;
    error_init(&problem);
    *touched = TOUCHED_UNKNOWN;
    snprintf(search.name, sizeof search.name, "(%s.%s)", table->database, table->name);
    enum ods_status status = list_files(mysql, &search, files, &count, &bytes, &problem);
    bool known = count && count <= 64 && strcmp(files[0], from->file) == 0;
    if (status == ODS_OK && (!known || bytes > SEARCHED_MAX + from->position)) {
        snprintf(why, size, "%s",
                 known ? "the connector is more than 1 GiB of the binary log behind"
                       : "the binary log from the connector's place on is gone");
        return ODS_OK;
    }
    for (size_t i = 0; status == ODS_OK && i < count && !search.touched; i++) {
        bool more = true;
        search.next = i ? 4 : from->position;
        while (status == ODS_OK && more)
            status = search_more(mysql, &search, files[i], i == 0, i + 1 == count, &more, &problem);
    }
    if (status == ODS_RETRY)
        return error_set(error, status, "%s", problem.text);
    if (status != ODS_OK)
        snprintf(why, size, "its binary log can't be read (grant replication slave): %.150s",
                 problem.text);
    else
        *touched = search.touched ? TOUCHED_YES : TOUCHED_NO;
    return ODS_OK;
}

const struct database_ops mysql_database = {
    .type = "mysql",
    .connector = "mysql",
    .open = mysql_open,
    .describe = mysql_describe,
    .query = mysql_run,
    .next = mysql_next,
    .literal = mysql_literal,
    .random = "rand()",
    .place = mysql_place,
    .confirmed = mysql_confirmed,
    .touched = mysql_touched,
    .close = mysql_close_database,
};

struct database *mysql_database_new(const struct database_settings *settings)
{
    struct mysql_database *mysql = calloc(1, sizeof *mysql);
    if (mysql)
        mysql->base = (struct database){&mysql_database, settings};
    return mysql ? &mysql->base : NULL;
}
