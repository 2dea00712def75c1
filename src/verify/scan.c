/* Compares ranges of both sides. See inspection.h.
 *
 * The source's thread reads a number of rows in the order of the key's index: they are a range. The
 * target's thread reads the same range, and the main thread compares the two. A few ranges are
 * being read at once, so that both databases always work; as they are few, memory is bounded. The
 * rows of a range need no order: their digests are summed, and rows are found by key only when the
 * sums differ.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "verify/cutoff.h"
#include "verify/inspection.h"

#define PARTS     4
#define SETTLED_US INT64_C(10000000) /* how often rows are settled, so that a run can go on there */

/* A range that goes from one thread to the next. */
struct part {
    struct chunk source, target;
    struct buffer from, upto; /* keys as elements; empty: no limit at that end */
    struct key_texts last;    /* the texts of `upto`, as the source writes them */
    uint64_t source_rows, target_rows;
    bool is_last;
    enum ods_status status;
    struct error error;
};

/* A queue of parts. Closed: nothing more comes, or nothing more is wanted. */
struct lineup {
    struct part *parts[PARTS];
    size_t count;
};

struct scan {
    struct inspection *inspection;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct lineup free, to_target, done;
    atomic_bool stopped; /* the threads are to end */
    struct part parts[PARTS];
    struct key_texts begin; /* after which key to begin; count 0: at the first */
};

static struct part *take_part(struct scan *scan, struct lineup *lineup)
{
    struct part *part = NULL;
    pthread_mutex_lock(&scan->lock);
    while (!lineup->count && !scan->stopped)
        pthread_cond_wait(&scan->changed, &scan->lock);
    if (lineup->count && !scan->stopped) {
        part = lineup->parts[0];
        memmove(lineup->parts, lineup->parts + 1, --lineup->count * sizeof *lineup->parts);
    }
    pthread_mutex_unlock(&scan->lock);
    return part;
}

static void give_part(struct scan *scan, struct lineup *lineup, struct part *part)
{
    pthread_mutex_lock(&scan->lock);
    lineup->parts[lineup->count++] = part;
    pthread_cond_broadcast(&scan->changed);
    pthread_mutex_unlock(&scan->lock);
}

static void stop_threads(struct scan *scan)
{
    pthread_mutex_lock(&scan->lock);
    scan->stopped = true;
    pthread_cond_broadcast(&scan->changed);
    pthread_mutex_unlock(&scan->lock);
}

static enum ods_status take_row(void *context, const struct row *row, struct error *error)
{
    return chunk_add(context, row) ? ODS_OK : error_out_of_memory(error);
}

/* --- the source's thread -------------------------------------------------------------------- */

static void put_order(struct buffer *sql, const struct comparison *comparison)
{
    buffer_puts(sql, " order by ");
    for (uint32_t k = 0; k < comparison->keys; k++) {
        uint32_t column = comparison->columns[comparison->order[k]].source;
        buffer_printf(sql, "%s%s", k ? ", " : "", comparison->source->quoted_columns[column]);
    }
}

static enum ods_status read_source_part(struct source_rows *rows, const struct key_texts *behind,
                                        int64_t limit, struct part *part, struct error *error)
{
    const struct comparison *comparison = rows->comparison;
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "select %s from %s", comparison->source_list, comparison->source->quoted);
    inspection_put_behind(comparison, rows->database, behind, &sql);
    put_order(&sql, comparison);
    buffer_printf(&sql, " limit %lld", (long long) limit);
    chunk_reset(&part->source);
    enum ods_status status =
        sql.failed ? error_out_of_memory(error)
                   : source_rows_read(rows, buffer_text(&sql), &part->source_rows, &part->last,
                                      take_row, &part->source, error);
    buffer_done(&sql);
    part->is_last = status == ODS_OK && part->source_rows < (uint64_t) limit;
    buffer_reset(&part->upto);
    if (status == ODS_OK && !part->is_last)
        status = source_rows_key(rows, &part->last, &part->upto, error);
    return status;
}

static void copy_key(struct key_texts *to, const struct key_texts *from)
{
    to->count = from->count;
    for (uint32_t k = 0; k < from->count; k++) {
        buffer_reset(&to->texts[k]);
        buffer_add(&to->texts[k], from->texts[k].bytes, from->texts[k].length);
    }
}

static void rest(const struct scan *scan, int64_t due_us)
{
    int64_t left;
    while ((left = due_us - time_monotonic_us()) > 0 && !inspection_stops(scan->inspection) &&
           !scan->stopped)
        usleep((useconds_t) (left < 20000 ? left : 20000));
}

static enum ods_status read_source(struct scan *scan, struct source_rows *rows, struct part *part,
                                   struct key_texts *behind, uint64_t *total, struct error *error)
{
    int64_t limit = pace_rows(scan->inspection->pace), read_us = time_monotonic_us();
    buffer_reset(&part->from);
    enum ods_status status =
        behind->count ? source_rows_key(rows, behind, &part->from, error) : ODS_OK;
    if (status == ODS_OK)
        status = read_source_part(rows, behind, limit, part, error);
    if (status == ODS_OK && !part->is_last)
        copy_key(behind, &part->last);
    *total += part->source_rows;
    if (status == ODS_OK && !part->is_last)
        rest(scan, pace_due(scan->inspection->pace, read_us, (int64_t) *total));
    return status;
}

static void *source_thread(void *context)
{
    struct scan *scan = context;
    struct inspection *inspection = scan->inspection;
    const struct session_settings *session = inspection->target->conn.settings;
    struct cutoff *cutoff = inspection->options->cutoff;
    struct database *database = database_new(inspection->database_settings);
    struct source_rows rows = {0};
    struct target reader = {0};
    struct key_texts behind;
    struct error error;
    uint64_t total = 0;
    error_init(&error);
    key_texts_init(&behind);
    copy_key(&behind, &scan->begin);
    enum ods_status status = database ? database->ops->open(database, &error)
                                      : error_out_of_memory(&error);
    if (status == ODS_OK)
        status = target_open(&reader, inspection->target->conn.name, session, &error);
    reader.conn.hides = inspection->target->conn.hides;
    if (status == ODS_OK)
        status = source_rows_open(&rows, &inspection->comparison, database, &reader.conn, false,
                                  &error);
    int ticket = status == ODS_OK ? cutoff_add(cutoff, database->ops->socket(database)) : -1;
    int reader_ticket = status == ODS_OK ? cutoff_add(cutoff, PQsocket(reader.conn.pg)) : -1;
    struct part *part;
    for (bool more = true; more && (part = take_part(scan, &scan->free));) {
        if (status == ODS_OK)
            status = read_source(scan, &rows, part, &behind, &total, &error);
        part->status = status;
        part->error = error;
        more = status == ODS_OK && !part->is_last;
        give_part(scan, &scan->to_target, part);
    }
    cutoff_drop(cutoff, ticket);
    cutoff_drop(cutoff, reader_ticket);
    source_rows_close(&rows);
    target_close(&reader);
    key_texts_done(&behind);
    database_free(database);
    return NULL;
}

/* --- the target's thread -------------------------------------------------------------------- */

static enum ods_status read_target(struct scan *scan, struct target *target, struct part *part,
                                   struct error *error)
{
    struct inspection *inspection = scan->inspection;
    struct buffer where;
    buffer_init(&where);
    chunk_reset(&part->target);
    enum ods_status status =
        target_put_range(target, &inspection->comparison, part->from.length ? &part->from : NULL,
                         part->upto.length ? &part->upto : NULL, &where, error);
    if (status == ODS_OK)
        status = target_read(target, &inspection->comparison, buffer_text(&where),
                             false, &part->target_rows, take_row, &part->target, error);
    buffer_done(&where);
    return status;
}

static void *target_thread(void *context)
{
    struct scan *scan = context;
    struct inspection *inspection = scan->inspection;
    struct target target = {0};
    struct error error;
    error_init(&error);
    enum ods_status status = target_open(&target, inspection->target->conn.name,
                                         inspection->target->conn.settings, &error);
    target.conn.hides = inspection->target->conn.hides;
    int ticket = status == ODS_OK
                     ? cutoff_add(inspection->options->cutoff, PQsocket(target.conn.pg))
                     : -1;
    struct part *part;
    for (bool more = true; more && (part = take_part(scan, &scan->to_target));) {
        if (part->status == ODS_OK) {
            if (status == ODS_OK)
                status = read_target(scan, &target, part, &error);
            part->status = status;
            part->error = error;
        }
        more = part->status == ODS_OK && !part->is_last;
        give_part(scan, &scan->done, part);
    }
    cutoff_drop(inspection->options->cutoff, ticket);
    target_close(&target);
    return NULL;
}

/* --- both ----------------------------------------------------------------------------------- */

static bool suspect(void *context, const struct digest *digest, const char *key, size_t length)
{
    return inspection_suspect(context, digest, key, length);
}

/* Takes a part that is done. Once all rows are settled, the state gets the last key, from which a
 * later run goes on. */
static enum ods_status take_done(struct scan *scan, struct part *part, struct error *error)
{
    struct inspection *inspection = scan->inspection;
    struct verify_table *result = &inspection->result;
    enum ods_status status = ODS_OK;
    result->source_rows += (int64_t) part->source_rows;
    result->target_rows += (int64_t) part->target_rows;
    if (!chunk_compare(&part->source, &part->target, inspection->comparison.extras, suspect,
                       inspection))
        status = error_out_of_memory(error);
    bool due = state_is_kept(inspection->state) &&
               time_monotonic_us() - inspection->state->saved_us > SETTLED_US;
    if (status == ODS_OK && (inspection->suspect_count >= SUSPECTS_MAX || part->is_last || due))
        status = settle(inspection, error);
    inspection->listener->goes_on(inspection->listener->context, result);
    if (status == ODS_OK && !part->is_last && inspection_is_settled(inspection))
        status = state_keep(inspection->state, result, 0, &part->last, false, error);
    return status == ODS_OK ? inspection_yield(inspection, error) : status;
}

static enum ods_status run(struct scan *scan, struct error *error)
{
    enum ods_status status = ODS_OK;
    struct part *part;
    for (bool more = true; more && (part = take_part(scan, &scan->done));) {
        status = part->status;
        if (status != ODS_OK)
            *error = part->error;
        if (status == ODS_OK && inspection_stops(scan->inspection))
            break;
        if (status == ODS_OK)
            status = take_done(scan, part, error);
        more = status == ODS_OK && !part->is_last;
        give_part(scan, &scan->free, part);
    }
    return status;
}

static void scan_done(struct scan *scan)
{
    for (size_t i = 0; i < PARTS; i++) {
        chunk_done(&scan->parts[i].source);
        chunk_done(&scan->parts[i].target);
        buffer_done(&scan->parts[i].from);
        buffer_done(&scan->parts[i].upto);
        key_texts_done(&scan->parts[i].last);
    }
    key_texts_done(&scan->begin);
    pthread_cond_destroy(&scan->changed);
    pthread_mutex_destroy(&scan->lock);
    free(scan);
}

enum ods_status scan_ranges(struct inspection *inspection, struct error *error)
{
    struct scan *scan = calloc(1, sizeof *scan);
    pthread_t source, target;
    int64_t phase;
    if (!scan)
        return error_out_of_memory(error);
    scan->inspection = inspection;
    pthread_mutex_init(&scan->lock, NULL);
    pthread_cond_init(&scan->changed, NULL);
    for (size_t i = 0; i < PARTS; i++)
        scan->free.parts[scan->free.count++] = &scan->parts[i];
    state_place(inspection->state, inspection->result.pipeline, inspection->result.source, &phase,
                &scan->begin, &inspection->result);
    inspection->result.method = "ranges of the key";
    enum ods_status status = ODS_OK;
    if (pthread_create(&source, NULL, source_thread, scan) != 0) {
        scan_done(scan);
        return error_set(error, ODS_RETRY, "no thread left");
    }
    if (pthread_create(&target, NULL, target_thread, scan) == 0) {
        status = run(scan, error);
        stop_threads(scan);
        pthread_join(target, NULL);
    } else {
        status = error_set(error, ODS_RETRY, "no thread left");
        stop_threads(scan);
    }
    pthread_join(source, NULL);
    scan_done(scan);
    return status;
}
