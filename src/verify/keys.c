/* Looks up keys of one side in the other. See inspection.h.
 *
 * Used for keys that the two sides sort differently (texts, as each side has its collation), for
 * samples, and for rows that the target got lately. Each side is read in the order of its own
 * index, a page at a time, and the rows of a page are looked up by key in the other side. So the
 * two sides need not sort alike.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "verify/inspection.h"

enum phase { PHASE_SOURCE, PHASE_TARGET };

#define SAMPLE_MORE 1.1 /* more rows than were asked for, since chance may give fewer */

struct pages {
    struct inspection *inspection;
    struct chunk source, target;
    struct keys keys;
    struct key_texts last;
    int64_t page_us; /* when the page was begun */
    int64_t before;  /* source rows that an earlier run has read */
};

static enum ods_status take_row(void *context, const struct row *row, struct error *error)
{
    return chunk_add(context, row) ? ODS_OK : error_out_of_memory(error);
}

static bool suspect(void *context, const struct digest *digest, const char *key, size_t length)
{
    return inspection_suspect(context, digest, key, length);
}

static bool is_sample(const struct inspection *inspection)
{
    return inspection->options->mode == VERIFY_SAMPLE;
}

static bool is_since(const struct inspection *inspection)
{
    return inspection->options->since_us != INT64_MIN;
}

/* Compares a page's rows with the rows that the other side has for the same keys. */
static enum ods_status compare_page(struct pages *pages, bool extras, struct error *error)
{
    struct inspection *inspection = pages->inspection;
    if (!chunk_compare(&pages->source, &pages->target, extras, suspect, inspection))
        return error_out_of_memory(error);
    enum ods_status status = ODS_OK;
    if (inspection->suspect_count >= SUSPECTS_MAX)
        status = settle(inspection, error);
    inspection->listener->goes_on(inspection->listener->context, &inspection->result);
    int64_t due = pace_due(inspection->pace, pages->page_us,
                           inspection->result.source_rows - pages->before);
    while (time_monotonic_us() < due && !inspection_stops(inspection))
        usleep(5000);
    if (status == ODS_OK)
        status = inspection_yield(inspection, error);
    pages->page_us = time_monotonic_us();
    return status;
}

/* Stores the place of a phase once everything before it is settled. */
static enum ods_status keep(struct pages *pages, enum phase phase, struct error *error)
{
    struct inspection *inspection = pages->inspection;
    if (is_sample(inspection) || is_since(inspection) || !inspection_is_settled(inspection))
        return ODS_OK;
    return state_keep(inspection->state, &inspection->result, phase, &pages->last, false, error);
}

/* --- the source's keys ---------------------------------------------------------------------- */

static void put_key_columns(struct buffer *sql, const struct comparison *comparison)
{
    for (uint32_t k = 0; k < comparison->keys; k++) {
        uint32_t column = comparison->columns[comparison->order[k]].source;
        buffer_printf(sql, "%s%s", k ? ", " : "", comparison->source->quoted_columns[column]);
    }
}

static enum ods_status lookup_target(struct pages *pages, size_t from, size_t upto,
                                     struct error *error)
{
    keys_reset(&pages->keys);
    for (size_t i = from; i < upto; i++) {
        size_t length;
        const char *key = chunk_key(&pages->source, i, &length);
        keys_add(&pages->keys, key, length);
    }
    return target_lookup(pages->inspection->target, &pages->inspection->comparison, &pages->keys,
                         take_row, &pages->target, error);
}

static enum ods_status source_page(struct pages *pages, const char *sql, uint64_t *count,
                                   struct error *error)
{
    struct inspection *inspection = pages->inspection;
    chunk_reset(&pages->source);
    chunk_reset(&pages->target);
    enum ods_status status = source_rows_read(&inspection->rows, sql, count, &pages->last, take_row,
                                              &pages->source, error);
    for (size_t i = 0; status == ODS_OK && i < pages->source.count; i += LOOKUP_KEYS) {
        size_t left = pages->source.count - i;
        status = lookup_target(pages, i, i + (left < LOOKUP_KEYS ? left : LOOKUP_KEYS), error);
    }
    inspection->result.source_rows += (int64_t) *count;
    if (!inspection->comparison.extras) /* else the target's own phase counts its rows */
        inspection->result.target_rows += (int64_t) pages->target.count;
    return status == ODS_OK ? compare_page(pages, false, error) : status;
}

static enum ods_status all_of_source(struct pages *pages, struct error *error)
{
    const struct comparison *comparison = &pages->inspection->comparison;
    enum ods_status status = ODS_OK;
    uint64_t count = LOOKUP_KEYS;
    struct buffer sql;
    buffer_init(&sql);
    while (status == ODS_OK && count == LOOKUP_KEYS && !inspection_stops(pages->inspection)) {
        buffer_reset(&sql);
        buffer_printf(&sql, "select %s from %s", comparison->source_list,
                      comparison->source->quoted);
        inspection_put_behind(comparison, pages->inspection->database, &pages->last, &sql);
        buffer_puts(&sql, " order by ");
        put_key_columns(&sql, comparison);
        buffer_printf(&sql, " limit %d", LOOKUP_KEYS);
        status = sql.failed ? error_out_of_memory(error)
                            : source_page(pages, buffer_text(&sql), &count, error);
        if (status == ODS_OK)
            status = keep(pages, PHASE_SOURCE, error);
    }
    buffer_done(&sql);
    return status;
}

static enum ods_status sample_of_source(struct pages *pages, struct error *error)
{
    struct inspection *inspection = pages->inspection;
    const struct comparison *comparison = &inspection->comparison;
    struct buffer sql;
    int64_t rows = 0;
    uint64_t count;
    buffer_init(&sql);
    buffer_printf(&sql, "select count(*) from %s", comparison->source->quoted);
    enum ods_status status =
        database_number(inspection->database, buffer_text(&sql), &rows, error);
    double share = rows ? SAMPLE_MORE * (double) inspection->options->sample / (double) rows : 1;
    buffer_reset(&sql);
    buffer_printf(&sql, "select %s from %s where %s < %.9f limit %lld", comparison->source_list,
                  comparison->source->quoted, inspection->database->ops->random, share,
                  (long long) inspection->options->sample);
    if (status == ODS_OK)
        status = source_page(pages, buffer_text(&sql), &count, error);
    buffer_done(&sql);
    return status;
}

/* --- the target's keys ---------------------------------------------------------------------- */

/* Writes the target's condition, without the order: "where true …". */
static enum ods_status put_target_where(struct pages *pages, struct buffer *sql,
                                        struct error *error)
{
    struct inspection *inspection = pages->inspection;
    const struct comparison *comparison = &inspection->comparison;
    const struct plan *plan = comparison->plan;
    int64_t rows = 0;
    if (is_since(inspection)) { /* also rows that are marked deleted */
        buffer_printf(sql, " where t.%s >= '1970-01-01 00:00:00+00'::timestamptz + "
                           "interval '1 microsecond' * %lld",
                      plan->table->columns[plan->timestamp_column].quoted,
                      (long long) inspection->options->since_us);
        return ODS_OK;
    }
    buffer_printf(sql, " where true%s", comparison->target_where);
    if (!is_sample(inspection))
        return pages->last.count
                   ? target_put_behind(inspection->target, comparison, &pages->last, sql, error)
                   : ODS_OK;
    struct buffer question;
    buffer_init(&question);
    buffer_printf(&question, "select count(*) from %s", plan->table->quoted);
    enum ods_status status =
        target_number(inspection->target, buffer_text(&question), &rows, error);
    buffer_done(&question);
    double share = rows ? SAMPLE_MORE * (double) inspection->options->sample / (double) rows : 1;
    buffer_printf(sql, " and random() < %.9f", share);
    return status;
}

static void keep_texts(struct pages *pages, const PGresult *texts)
{
    int last = PQntuples(texts) - 1;
    pages->last.count = (uint32_t) PQnfields(texts);
    for (int k = 0; k < PQnfields(texts); k++) {
        buffer_reset(&pages->last.texts[k]);
        buffer_add(&pages->last.texts[k], PQgetvalue(texts, last, k),
                   (size_t) PQgetlength(texts, last, k));
    }
}

/* Asks both sides for the rows of some keys, and compares them. */
static enum ods_status compare_keys(struct pages *pages, const struct keys *keys,
                                    struct error *error)
{
    struct inspection *inspection = pages->inspection;
    chunk_reset(&pages->source);
    chunk_reset(&pages->target);
    enum ods_status status =
        inspection_lookup_source(inspection, keys, take_row, &pages->source, error);
    if (status == ODS_OK)
        status = target_lookup(inspection->target, &inspection->comparison, keys, take_row,
                               &pages->target, error);
    inspection->result.target_rows += (int64_t) pages->target.count;
    if (is_since(inspection))
        inspection->result.source_rows += (int64_t) pages->source.count;
    return status == ODS_OK ? compare_page(pages, inspection->comparison.extras, error) : status;
}

static enum ods_status compare_slices(struct pages *pages, const struct keys *all,
                                      struct error *error)
{
    enum ods_status status = ODS_OK;
    struct keys slice;
    const char *at = all->elements.bytes;
    keys_init(&slice);
    for (size_t i = 0; status == ODS_OK && i < all->count; i++) {
        const char *start = at;
        for (uint32_t k = 0; k < pages->inspection->comparison.keys; k++)
            at += element_bytes(at);
        keys_add(&slice, start, (size_t) (at - start));
        if (slice.count == LOOKUP_KEYS || i + 1 == all->count) {
            status = compare_keys(pages, &slice, error);
            keys_reset(&slice);
        }
        if (inspection_stops(pages->inspection))
            break;
    }
    keys_done(&slice);
    return status;
}

static enum ods_status target_page(struct pages *pages, size_t *count, struct error *error)
{
    struct inspection *inspection = pages->inspection;
    const struct comparison *comparison = &inspection->comparison;
    struct buffer where;
    struct keys keys;
    buffer_init(&where);
    keys_init(&keys);
    enum ods_status status = put_target_where(pages, &where, error);
    bool paged = !is_sample(inspection) && !is_since(inspection);
    if (paged)
        buffer_puts(&where, " order by ");
    for (uint32_t k = 0; paged && k < comparison->keys; k++)
        buffer_printf(&where, "%st.%s", k ? ", " : "", compared_target(comparison, k)->quoted);
    if (!is_since(inspection))
        buffer_printf(&where, " limit %lld",
                      paged ? (long long) LOOKUP_KEYS : (long long) inspection->options->sample);
    if (status == ODS_OK)
        status = target_keys(inspection->target, comparison, buffer_text(&where), &keys, error);
    *count = keys.count;
    if (status == ODS_OK && paged && keys.count) {
        PGresult *texts = NULL;
        status = target_key_texts(inspection->target, comparison, &keys, &texts, error);
        if (status == ODS_OK)
            keep_texts(pages, texts);
        PQclear(texts);
    }
    if (status == ODS_OK)
        status = compare_slices(pages, &keys, error);
    buffer_done(&where);
    keys_done(&keys);
    return status;
}

static enum ods_status all_of_target(struct pages *pages, struct error *error)
{
    struct inspection *inspection = pages->inspection;
    bool paged = !is_sample(inspection) && !is_since(inspection);
    enum ods_status status = ODS_OK;
    size_t count = LOOKUP_KEYS;
    while (status == ODS_OK && count == LOOKUP_KEYS && !inspection_stops(inspection)) {
        status = target_page(pages, &count, error);
        if (status == ODS_OK && paged)
            status = keep(pages, PHASE_TARGET, error);
        if (!paged)
            break;
    }
    return status;
}

enum ods_status scan_keys(struct inspection *inspection, struct error *error)
{
    struct pages pages = {.inspection = inspection, .page_us = time_monotonic_us()};
    int64_t phase = PHASE_SOURCE;
    enum ods_status status = ODS_OK;
    keys_init(&pages.keys);
    key_texts_init(&pages.last);
    inspection->result.method = is_since(inspection)    ? "rows written since"
                                : is_sample(inspection) ? "a sample of each side"
                                                        : "keys of each side";
    if (is_since(inspection) && inspection->comparison.plan->timestamp_column < 0)
        status = error_set(error, ODS_REJECT,
                           "--since needs the column of cdc_timestamp, which the table has not");
    if (!is_sample(inspection) && !is_since(inspection))
        state_place(inspection->state, inspection->result.pipeline, inspection->result.source,
                    &phase, &pages.last, &inspection->result);
    pages.before = inspection->result.source_rows;
    if (status == ODS_OK && phase == PHASE_SOURCE && !is_since(inspection)) {
        status = is_sample(inspection) ? sample_of_source(&pages, error)
                                       : all_of_source(&pages, error);
        pages.last.count = 0;
    }
    if (status == ODS_OK && !inspection_stops(inspection) &&
        (inspection->comparison.extras || is_since(inspection)))
        status = all_of_target(&pages, error);
    if (status == ODS_OK)
        status = settle(inspection, error);
    chunk_done(&pages.source);
    chunk_done(&pages.target);
    keys_done(&pages.keys);
    key_texts_done(&pages.last);
    return status;
}
