/* An error that PostgreSQL reports: its fields, and where it comes from. See conn.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "sink/postgres/wire/conn.h"

/* The number in "COPY items, line 17, column id". The words are in the server's language and the
 * table's name may be anything, so the number may be wrong: it only says where to look first. */
static uint64_t copy_line(const PGresult *result)
{
    const char *context = result ? PQresultErrorField(result, PG_DIAG_CONTEXT) : NULL;
    const char *table = result ? PQresultErrorField(result, PG_DIAG_TABLE_NAME) : NULL;
    for (const char *at = context; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, "COPY ", 5) != 0)
            continue;
        at += 5;
        size_t length = table ? strlen(table) : 0;
        at += table && strncmp(at, table, length) == 0 ? length : strcspn(at, ",\n");
        at += strcspn(at, "0123456789\n");
        return strtoull(at, NULL, 10);
    }
    return 0;
}

static const char *field(const PGresult *result, int code)
{
    const char *text = result ? PQresultErrorField(result, code) : NULL;
    return text ? text : "";
}

/* Does the line name a function, as "PL/pgSQL function check_item() line 3 at RAISE" does? The
 * words are in the server's language, but the name of the function's language is not translated.
 * What a line quotes of a row or a statement comes after a colon or in quotation marks, and is not
 * looked at. */
static bool is_frame(const char *line, size_t length)
{
    const char *name = memmem(line, length, "PL/", 3);
    bool quoted = name && strcspn(line, ":\"") < (size_t) (name - line);
    return (name && !quoted) || strncmp(line, "SQL function ", 13) == 0;
}

/* The innermost function that the error came from; NULL: none. */
static const char *routine(const PGresult *result, size_t *length)
{
    for (const char *at = field(result, PG_DIAG_CONTEXT); *at; at += *at == '\n') {
        *length = strcspn(at, "\n");
        if (is_frame(at, *length))
            return at;
        at += *length;
    }
    return NULL;
}

/* Is this the source file of RAISE, or of its counterpart in another language? */
static bool is_language_handler(const char *file)
{
    static const char *const files[] = {"pl_", "plpy_", "plperl.", "pltcl."};
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (strncmp(base, files[i], strlen(files[i])) == 0)
            return true;
    return false;
}

static enum error_origin origin_of(const PGresult *result, bool in_routine)
{
    const char *file = field(result, PG_DIAG_SOURCE_FILE);
    if (in_routine)
        return is_language_handler(file) ? ORIGIN_RAISED : ORIGIN_ROUTINE;
    if (strcmp(field(result, PG_DIAG_SOURCE_FUNCTION), "ExecWithCheckOptions") == 0)
        return ORIGIN_ROW_CHECK;
    const char *memory = strstr(file, "mcxt.c");
    return memory && !memory[6] ? ORIGIN_VALUE_MEMORY : ORIGIN_SERVER;
}

/* --- what may quote a row -------------------------------------------------------------------- */

/* Names that are as long as this one may be cut or digested in the target. */
#define NAME_LENGTH_SURE 50

/* May the rows of such a table of the source be in this table of the target? */
static bool may_be(const struct table_settings *settings, const char *table)
{
    const char *name = *settings->target ? settings->target : settings->name;
    const char *dot = strrchr(name, '.');
    if (settings->pattern || strchr(name, '$') || !*name || strlen(name) > NAME_LENGTH_SURE)
        return true;
    return strcasecmp(dot ? dot + 1 : name, table) == 0;
}

static bool is_redacted(const struct pipeline_settings *pipeline, const char *table)
{
    bool any = pipeline->defaults.redact.count > 0;
    for (size_t i = 0; !any && i < pipeline->table_count; i++)
        any = pipeline->tables[i].redact.count &&
              (!*table || may_be(&pipeline->tables[i], table));
    return any;
}

/* Is it of a class whose messages name tables, columns and constraints, but quote no value? Those
 * of a function that the target's users wrote may say anything. */
static bool quotes_nothing(const char *code, bool in_routine)
{
    static const char *const classes[] = {"08", "0A", "23", "25", "28", "3D", "3F", "40", "42",
                                          "44", "53", "54", "55", "57", "58", "XX"};
    if (strncmp(code, "OS", 2) == 0) /* what the sink's own functions raise */
        return true;
    if (!*code || strcmp(code, "22001") == 0)
        return !in_routine;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strncmp(code, classes[i], 2) == 0)
            return !in_routine;
    return false;
}

/* Details of these tell of the server; others quote the row or its key. */
static bool is_of_server(const char *code)
{
    return !*code || strncmp(code, "08", 2) == 0 || strncmp(code, "28", 2) == 0 ||
           strncmp(code, "40", 2) == 0 || strncmp(code, "53", 2) == 0 ||
           strncmp(code, "57", 2) == 0;
}

static const char *hide(const struct conn *conn, const char *table, const char *code,
                        bool in_routine, const char **detail, const char *primary)
{
    if (!conn->hides || !is_redacted(conn->hides, conn->hides_all ? "" : table))
        return primary;
    if (!is_of_server(code) || in_routine)
        *detail = "";
    return quotes_nothing(code, in_routine)
               ? primary
               : "refused; what the server says may quote a redacted value, and is not shown";
}

/* These messages have no password in them, but may have several lines; error_set() makes one line
 * of them. */
static void describe(struct conn *conn, const PGresult *result, enum ods_status status,
                     struct error *error)
{
    const char *primary = field(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = field(result, PG_DIAG_MESSAGE_DETAIL);
    const char *table = field(result, PG_DIAG_TABLE_NAME);
    size_t length = 0;
    const char *in = routine(result, &length);
    snprintf(error->code, sizeof error->code, "%s", field(result, PG_DIAG_SQLSTATE));
    error->fault = sqlstate_fault(error->code);
    const char *column = field(result, PG_DIAG_COLUMN_NAME);
    const char *constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
    utf8_copy(error->column, sizeof error->column, column, strlen(column));
    utf8_copy(error->constraint, sizeof error->constraint, constraint, strlen(constraint));
    error->origin = origin_of(result, in != NULL);
    if (!result || !PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY))
        primary = conn->pg ? PQerrorMessage(conn->pg) : "not connected";
    primary = hide(conn, table, error->code, in != NULL, &detail, primary);
    error_set(error, status, "target %s: %s%s%s%s%s%s%s%.*s", conn->name, primary,
              *detail ? " (" : "", detail, *detail ? ")" : "", *table ? ", table " : "", table,
              in ? ", in " : "", (int) length, in ? in : "");
}

enum ods_status conn_error(struct conn *conn, const PGresult *result, struct error *error)
{
    conn->copy_line = copy_line(result);
    bool lost = !conn->pg || PQstatus(conn->pg) == CONNECTION_BAD;
    const char *code = field(result, PG_DIAG_SQLSTATE);
    enum ods_status status = sqlstate_status(code);
    conn->read_only |= strcmp(code, "25006") == 0;
    if (lost)
        status = ODS_RETRY;
    if (error)
        describe(conn, result, status, error);
    return status;
}
