/* Rows of histories. See history.h. */
#include "pipeline/history.h"

#include <stdlib.h>
#include <string.h>

#include <ods/history.h>
#include <ods/json.h>

/* What a change tells beside its row. Each combination is a shape of its own, so that no column is
 * sent that is never filled. */
enum {
    TELLS_LSN = 1,
    TELLS_BINLOG = 2,
    TELLS_TX = 4,
    TELLS_UNCHANGED = 8,
    TELLS_BEFORE = 16,
    TELLS_KINDS = 32,
};

/* What becomes of the changes of one shape. */
struct track {
    const struct table_settings *settings; /* NULL: not looked for yet */
    bool rows, history;
    const struct shape *kinds[TELLS_KINDS]; /* NULL: not made yet */
};

struct history {
    const struct pipeline_settings *pipeline;
    struct shape_table *shapes;
    struct track **tracks; /* by the shape's id */
    size_t count;
    struct buffer text;
};

static const struct {
    const char *name;
    enum semantic type;
    unsigned told; /* 0: always there */
} columns[HISTORY_COLUMN_COUNT] = {
    [HISTORY_OP] = {"op", SEM_STRING, 0},
    [HISTORY_TIMESTAMP] = {"cdc_timestamp", SEM_TIMESTAMP_US, 0},
    [HISTORY_TOPIC] = {"topic", SEM_STRING, 0},
    [HISTORY_PARTITION] = {"partition", SEM_INT32, 0},
    [HISTORY_OFFSET] = {"offset", SEM_INT64, 0},
    [HISTORY_PART] = {"part", SEM_INT16, 0},
    [HISTORY_LSN] = {"lsn", SEM_INT64, TELLS_LSN},
    [HISTORY_FILE] = {"binlog_file", SEM_STRING, TELLS_BINLOG},
    [HISTORY_POS] = {"binlog_pos", SEM_INT64, TELLS_BINLOG},
    [HISTORY_ROW] = {"binlog_row", SEM_INT32, TELLS_BINLOG},
    [HISTORY_GTID] = {"gtid", SEM_STRING, TELLS_BINLOG},
    [HISTORY_TX] = {"tx_id", SEM_STRING, TELLS_TX},
    [HISTORY_TX_ORDER] = {"tx_order", SEM_INT64, TELLS_TX},
    [HISTORY_UNCHANGED] = {"unchanged", SEM_ARRAY, TELLS_UNCHANGED},
    [HISTORY_BEFORE] = {"before", SEM_JSON, TELLS_BEFORE},
};

bool history_is_kept(const struct pipeline_settings *pipeline, bool *before)
{
    bool kept = table_keeps_history(&pipeline->defaults);
    *before = kept && pipeline->defaults.history.images == IMAGES_BOTH;
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const struct table_settings *table = &pipeline->tables[i];
        kept |= table_keeps_history(table);
        *before |= table_keeps_history(table) && table->history.images == IMAGES_BOTH;
    }
    return kept;
}

struct history *history_new(const struct pipeline_settings *pipeline, struct shape_table *shapes)
{
    struct history *history = calloc(1, sizeof *history);
    if (history) {
        history->pipeline = pipeline;
        history->shapes = shapes;
    }
    return history;
}

void history_free(struct history *history)
{
    if (!history)
        return;
    for (size_t i = 0; i < history->count; i++)
        free(history->tracks[i]);
    free(history->tracks);
    buffer_done(&history->text);
    free(history);
}

/* --- shapes --------------------------------------------------------------------------------- */

static struct track *track_of(struct history *history, const struct shape *shape)
{
    if (shape->id >= history->count) {
        size_t larger = history->count ? history->count : 64;
        while (larger <= shape->id)
            larger *= 2;
        struct track **moved = realloc(history->tracks, larger * sizeof *moved);
        if (!moved)
            return NULL;
        memset(moved + history->count, 0, (larger - history->count) * sizeof *moved);
        history->tracks = moved;
        history->count = larger;
    }
    struct track **track = &history->tracks[shape->id];
    if (*track || !(*track = calloc(1, sizeof **track)))
        return *track;
    const char *schema = *shape->schema ? shape->schema : shape->database;
    (*track)->settings = pipeline_table(history->pipeline, schema, shape->table);
    (*track)->history = table_keeps_history((*track)->settings);
    (*track)->rows = !(*track)->history || table_keeps_rows((*track)->settings);
    return *track;
}

/* The source's columns, which all may be NULL and have no default here, then those of the
 * history. */
static const struct shape *make_shape(struct history *history, const struct shape *source,
                                      unsigned told)
{
    static const struct column text = {
        .name = "", .type = SEM_STRING, .length = -1, .scale = INT32_MIN, .optional = true};
    uint32_t key[HISTORY_KEY_COUNT], count = source->column_count;
    struct column *all = calloc(count + HISTORY_COLUMN_COUNT, sizeof *all);
    if (!all)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        all[i] = source->columns[i];
        all[i].optional = true;
        all[i].default_json = NULL;
    }
    for (unsigned i = 0; i < HISTORY_COLUMN_COUNT; i++) {
        if (!columns[i].name || (columns[i].told & told) != columns[i].told)
            continue;
        if (i >= HISTORY_KEY_FIRST && i < HISTORY_KEY_FIRST + HISTORY_KEY_COUNT)
            key[i - HISTORY_KEY_FIRST] = count;
        all[count++] = (struct column){.name = columns[i].name,
                                       .name_length = (uint32_t) strlen(columns[i].name),
                                       .type = columns[i].type,
                                       .length = -1,
                                       .scale = columns[i].type == SEM_TIMESTAMP_US ? 6 : INT32_MIN,
                                       .optional = true,
                                       .element = columns[i].type == SEM_ARRAY ? &text : NULL};
    }
    struct shape candidate = *source;
    candidate.column_count = count;
    candidate.columns = all;
    candidate.key_count = HISTORY_KEY_COUNT;
    candidate.key = key;
    candidate.scattered = false;
    candidate.history_of = source;
    const struct shape *shape = shape_intern(history->shapes, &candidate);
    free(all);
    return shape;
}

/* --- values --------------------------------------------------------------------------------- */

static struct value text_of(const char *text, size_t length)
{
    return (struct value){.kind = VALUE_TEXT, .length = (uint32_t) length, .bytes = text};
}

static struct value number_of(int64_t number)
{
    return (struct value){.kind = VALUE_INT, .integer = number};
}

static struct value or_null(struct value value)
{
    return value.kind == VALUE_ABSENT ? (struct value){.kind = VALUE_NULL} : value;
}

/* The source's time; of a change without it the record's. */
static struct value time_of(const struct change *change, const struct record *record)
{
    static const char never[] = "-infinity";
    if (change->source_us != INT64_MIN)
        return number_of(change->source_us);
    if (record->timestamp_ms >= 0)
        return number_of(record->timestamp_ms * 1000);
    return text_of(never, sizeof never - 1);
}

/* The transaction's name is a text here. */
static struct value transaction_of(const struct source_position *position, struct arena *arena)
{
    struct buffer out;
    struct value value = or_null(position->transaction);
    if (value.kind != VALUE_INT)
        return value;
    buffer_init(&out);
    buffer_printf(&out, "%lld", (long long) value.integer);
    const char *kept = out.failed ? NULL : arena_strndup(arena, out.bytes, out.length);
    value = kept ? text_of(kept, out.length) : (struct value){.kind = VALUE_NULL};
    buffer_done(&out);
    return value;
}

static struct value keep_text(struct history *history, struct arena *arena)
{
    const struct buffer *text = &history->text;
    const char *kept = text->failed ? NULL : arena_strndup(arena, text->bytes, text->length);
    if (!kept)
        return (struct value){.kind = VALUE_ABSENT};
    return (struct value){
        .kind = VALUE_JSON, .length = (uint32_t) text->length, .bytes = kept};
}

/* The column's name in the target. */
static void put_name(struct buffer *out, const struct table_settings *settings,
                     const struct column *column)
{
    const char *renamed = properties_find(&settings->renames, column->name);
    size_t length = renamed ? strlen(renamed) : column->name_length, start = out->length;
    json_quote(out, renamed ? renamed : column->name, length);
    for (size_t i = start; !renamed && settings->fold == NAME_LOWER && i < out->length; i++)
        if (out->bytes[i] >= 'A' && out->bytes[i] <= 'Z')
            out->bytes[i] = (char) (out->bytes[i] | 0x20);
}

static bool is_chosen(const struct table_settings *settings, const struct column *column)
{
    return !strings_contain(&settings->exclude, column->name) &&
           (!settings->include.count || strings_contain(&settings->include, column->name));
}

/* The names of the columns that an update does not carry. ABSENT: out of memory. */
static struct value unchanged_of(struct history *history, const struct track *track,
                                 const struct change *change, struct arena *arena)
{
    struct buffer *out = &history->text;
    const char *separator = "[";
    buffer_reset(out);
    for (uint32_t i = 0; i < change->shape->column_count; i++) {
        if (change->after[i].kind != VALUE_ABSENT ||
            !is_chosen(track->settings, &change->shape->columns[i]))
            continue;
        buffer_puts(out, separator);
        put_name(out, track->settings, &change->shape->columns[i]);
        separator = ",";
    }
    buffer_puts(out, *separator == '[' ? "[]" : "]");
    return keep_text(history, arena);
}

static enum ods_status before_of(struct history *history, const struct track *track,
                                 const struct change *change, struct arena *arena,
                                 struct value *value, struct error *error)
{
    struct buffer *out = &history->text;
    const char *separator = "";
    enum ods_status status = ODS_OK;
    buffer_reset(out);
    buffer_puts(out, "{");
    for (uint32_t i = 0; status == ODS_OK && i < change->shape->column_count; i++) {
        const struct column *column = &change->shape->columns[i];
        if (change->before[i].kind == VALUE_ABSENT || !is_chosen(track->settings, column))
            continue;
        buffer_puts(out, separator);
        put_name(out, track->settings, column);
        buffer_puts(out, ":");
        separator = ",";
        status = json_value(out, column, &change->before[i], error);
    }
    buffer_puts(out, "}");
    if (status != ODS_OK)
        return status;
    *value = keep_text(history, arena);
    return value->kind == VALUE_ABSENT ? error_out_of_memory(error) : ODS_OK;
}

static bool has_absent(const struct change *change)
{
    for (uint32_t i = 0; i < change->shape->column_count; i++)
        if (change->after[i].kind == VALUE_ABSENT)
            return true;
    return false;
}

static unsigned told_by(const struct track *track, const struct change *change)
{
    const struct source_position *position = change->position;
    unsigned told = 0;
    if (position) {
        told |= position->lsn.kind > VALUE_NULL ? TELLS_LSN : 0;
        told |= position->file.kind > VALUE_NULL || position->gtid.kind > VALUE_NULL ? TELLS_BINLOG
                                                                                     : 0;
        told |= position->transaction.kind > VALUE_NULL ? TELLS_TX : 0;
    }
    if (change->op == OP_UPDATE && change->after && has_absent(change))
        told |= TELLS_UNCHANGED;
    if (change->op == OP_UPDATE && change->before &&
        track->settings->history.images == IMAGES_BOTH)
        told |= TELLS_BEFORE;
    return told;
}

static struct value *put_position(struct value *at, const struct source_position *position,
                                  unsigned told, struct arena *arena)
{
    if (told & TELLS_LSN)
        *at++ = position->lsn;
    if (told & TELLS_BINLOG) {
        *at++ = or_null(position->file);
        *at++ = or_null(position->pos);
        *at++ = or_null(position->row);
        *at++ = or_null(position->gtid);
    }
    if (told & TELLS_TX) {
        *at++ = transaction_of(position, arena);
        *at++ = or_null(position->order);
    }
    return at;
}

/* The row's values, in the order of `columns`. */
static enum ods_status put_row(struct history *history, const struct track *track,
                               const struct batch *batch, const struct change *change,
                               unsigned told, uint32_t part, struct value *row,
                               struct arena *arena, struct error *error)
{
    static const char operations[] = "crudt";
    const struct record *record = &batch->records[change->record];
    const struct value *image = change->after ? change->after : change->before;
    uint32_t count = change->shape->column_count;
    for (uint32_t i = 0; i < count; i++)
        row[i] = image ? or_null(image[i]) : (struct value){.kind = VALUE_NULL};
    struct value *at = row + count;
    *at++ = text_of(strchr(operations, (char) change->op), 1);
    *at++ = time_of(change, record);
    *at++ = text_of(record->topic, strlen(record->topic));
    *at++ = number_of(record->partition);
    *at++ = number_of(record->offset);
    *at++ = number_of(part);
    at = put_position(at, change->position, told, arena);
    if (told & TELLS_UNCHANGED) {
        *at = unchanged_of(history, track, change, arena);
        if (at++->kind == VALUE_ABSENT)
            return error_out_of_memory(error);
    }
    return told & TELLS_BEFORE ? before_of(history, track, change, arena, at, error) : ODS_OK;
}

/* --- changes -------------------------------------------------------------------------------- */

static enum ods_status keep_change(struct history *history, struct batch *batch, uint32_t index,
                                   uint32_t part, struct error *error)
{
    const struct change change = batch->changes[index];
    struct track *track = track_of(history, change.shape);
    if (!track)
        return error_out_of_memory(error);
    if (!track->history)
        return ODS_OK;
    if (batch->delivers)
        return error_set(error, ODS_REJECT,
                         "table %.63s: a history needs a source with offsets, and its record came "
                         "from a queue: set history: false",
                         change.shape->table);
    unsigned told = told_by(track, &change);
    const struct shape **shape = &track->kinds[told];
    if (!*shape && !(*shape = make_shape(history, change.shape, told)))
        return shape_table_full(history->shapes)
                   ? error_set(error, ODS_REJECT, "too many kinds of rows: table %s",
                               change.shape->table)
                   : error_out_of_memory(error);
    struct value *row = arena_alloc(&batch->arena, (*shape)->column_count * sizeof *row);
    struct change *kept = track->rows ? batch_add_change(batch) : &batch->changes[index];
    if (!row || !kept)
        return error_out_of_memory(error);
    *kept = (struct change){.op = OP_CREATE,
                            .derived = change.derived,
                            .record = change.record,
                            .shape = *shape,
                            .after = row,
                            .source_us = change.source_us};
    return put_row(history, track, batch, &change, told, part, row, &batch->arena, error);
}

enum ods_status history_keep(struct history *history, struct batch *batch, uint32_t first,
                             struct error *error)
{
    uint32_t count = batch->change_count;
    enum ods_status status = ODS_OK;
    for (uint32_t i = first; status == ODS_OK && i < count; i++)
        status = keep_change(history, batch, i, i - first, error);
    if (status != ODS_OK)
        batch->change_count = first;
    return status;
}
