/* What all ways of comparing a table share. See inspection.h. */
#include "verify/inspection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"

#define LAG_LOOK_US INT64_C(2000000)

bool inspection_suspect(struct inspection *inspection, const struct digest *digest,
                        const char *key, size_t length)
{
    if (inspection->suspect_count == inspection->suspect_capacity) {
        size_t larger = inspection->suspect_capacity ? 2 * inspection->suspect_capacity : 256;
        struct suspect *suspects = realloc(inspection->suspects, larger * sizeof *suspects);
        if (!suspects)
            return false;
        inspection->suspects = suspects;
        inspection->suspect_capacity = larger;
    }
    char *copy = malloc(length ? length : 1);
    if (!copy)
        return false;
    memcpy(copy, key, length);
    inspection->suspects[inspection->suspect_count++] = (struct suspect){*digest, copy, length};
    return true;
}

void inspection_tell(struct inspection *inspection, const struct verify_difference *difference)
{
    struct verify_table *result = &inspection->result;
    int64_t *counts[] = {[VERIFY_MISSING] = &result->missing,
                         [VERIFY_EXTRA] = &result->extra,
                         [VERIFY_CHANGED] = &result->changed};
    ++*counts[difference->kind];
    if (inspection->told++ < inspection->options->limit)
        inspection->listener->differs(inspection->listener->context, result, difference);
}

/* \x…, or a uuid. */
static void put_bytes(const char *text, size_t length, struct buffer *sql)
{
    buffer_puts(sql, "x'");
    for (size_t i = strncmp(text, "\\x", 2) == 0 ? 2 : 0; i < length; i++)
        if (text[i] != '-')
            buffer_add(sql, text + i, 1);
    buffer_puts(sql, "'");
}

/* Can the text be written without quotes? The target's column may be of another type than the
 * source's, and then hold any text. */
static bool is_plain(const struct form_column *form, const char *text, size_t length)
{
    if (form->is_number)
        return length && strspn(text, "0123456789+-.eE") == length;
    size_t start = strncmp(text, "\\x", 2) == 0 ? 2 : 0;
    return strspn(text + start, "0123456789abcdefABCDEF-") == length - start;
}

/* Writes a key's text, which the target gave, as a literal for the source. */
static void put_literal(struct inspection *inspection, uint32_t column, const char *text,
                        size_t length, bool portable, struct buffer *sql)
{
    const struct form_column *form = compared_form(&inspection->comparison, column);
    const struct pg_column *target = compared_target(&inspection->comparison, column);
    struct database *database = inspection->database;
    if (target->encoding == ENCODE_BOOL && form->is_number) {
        buffer_puts(sql, *text == 't' ? "1" : "0");
    } else if ((form->is_number || form->is_bytes) && !is_plain(form, text, length)) {
        buffer_puts(sql, "null"); /* the source has no such row */
    } else if (form->is_bytes) {
        put_bytes(text, length, sql);
    } else if (portable) {
        database->ops->portable(database, sql, form, text, length);
    } else {
        if (form->form == FORM_MOMENT && length > 3 && memcmp(text + length - 3, "+00", 3) == 0)
            length -= 3; /* the session's zone is UTC */
        database->ops->literal(database, sql, form, text, length);
    }
}

void inspection_put_keys(struct inspection *inspection, const PGresult *texts, int from, int count,
                         bool portable, struct buffer *sql)
{
    const struct comparison *comparison = &inspection->comparison;
    bool several = comparison->keys > 1;
    buffer_puts(sql, several ? "(" : "");
    for (uint32_t k = 0; k < comparison->keys; k++)
        buffer_printf(sql, "%s%s", k ? ", " : "",
                      comparison->source->quoted_columns[comparison->columns[k].source]);
    buffer_puts(sql, several ? ") in (" : " in (");
    for (int row = from; row < from + count; row++) {
        buffer_puts(sql, row > from ? ", " : "");
        buffer_puts(sql, several ? "(" : "");
        for (uint32_t k = 0; k < comparison->keys; k++) {
            buffer_puts(sql, k ? ", " : "");
            if (PQgetisnull(texts, row, (int) k))
                buffer_puts(sql, "null");
            else
                put_literal(inspection, k, PQgetvalue(texts, row, (int) k),
                            (size_t) PQgetlength(texts, row, (int) k), portable, sql);
        }
        buffer_puts(sql, several ? ")" : "");
    }
    buffer_puts(sql, ")");
}

void inspection_put_behind(const struct comparison *comparison, struct database *database,
                           const struct key_texts *texts, struct buffer *sql)
{
    if (!texts->count)
        return;
    buffer_puts(sql, " where (");
    for (uint32_t last = 0; last < texts->count; last++) {
        buffer_puts(sql, last ? " or (" : "(");
        for (uint32_t k = 0; k <= last; k++) {
            uint32_t column = comparison->columns[comparison->order[k]].source;
            buffer_printf(sql, "%s%s %s ", k ? " and " : "",
                          comparison->source->quoted_columns[column], k < last ? "=" : ">");
            database->ops->literal(database, sql, &comparison->source->forms[column],
                                   texts->texts[k].bytes, texts->texts[k].length);
        }
        buffer_puts(sql, ")");
    }
    buffer_puts(sql, ")");
}

enum ods_status inspection_lookup_source(struct inspection *inspection, const struct keys *keys,
                                         row_take *take, void *context, struct error *error)
{
    const struct comparison *comparison = &inspection->comparison;
    struct buffer sql;
    PGresult *texts = NULL;
    uint64_t count;
    buffer_init(&sql);
    enum ods_status status = target_key_texts(inspection->target, comparison, keys, &texts, error);
    if (status == ODS_OK) {
        buffer_printf(&sql, "select %s from %s where ", comparison->source_list,
                      comparison->source->quoted);
        inspection_put_keys(inspection, texts, 0, PQntuples(texts), false, &sql);
        status = sql.failed ? error_out_of_memory(error)
                            : source_rows_read(&inspection->rows, buffer_text(&sql), &count, NULL,
                                               take, context, error);
    }
    PQclear(texts);
    buffer_done(&sql);
    return status;
}

static enum ods_status wait_for_pipeline(struct inspection *inspection, struct error *error)
{
    int64_t most = inspection->database_settings->max_lag, records = 0;
    enum ods_status status = ODS_OK;
    if (!most || time_monotonic_us() < inspection->lag_looked_us + LAG_LOOK_US)
        return ODS_OK;
    do {
        status = arrival_lag(inspection->arrival, &records, error);
        inspection->lag_looked_us = time_monotonic_us();
        if (status == ODS_RETRY) { /* Kafka does not answer, and is not asked again */
            inspection->listener->notice(inspection->listener->context, error->text);
            inspection->lag_looked_us = INT64_MAX / 2;
            error_init(error);
            return ODS_OK;
        }
        if (records > most)
            usleep(500000);
    } while (status == ODS_OK && records > most && !inspection_stops(inspection));
    return status;
}

enum ods_status inspection_yield(struct inspection *inspection, struct error *error)
{
    enum ods_status status = target_ready(inspection->target, error);
    if (status == ODS_OK)
        status = pace_look(inspection->pace, &inspection->target->conn, error);
    if (status == ODS_OK && pace_rests(inspection->pace) && !inspection->pace->told) {
        char text[160];
        snprintf(text, sizeof text,
                 "changes stream into the target: its rows are read for %d %% of "
                 "the time (busy_share of the database)",
                 (int) inspection->database_settings->busy_share);
        inspection->pace->told = true;
        inspection->listener->notice(inspection->listener->context, text);
    }
    return status == ODS_OK ? wait_for_pipeline(inspection, error) : status;
}
