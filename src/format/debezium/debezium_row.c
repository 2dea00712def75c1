/* Flattened rows, and all records without a schema, whose members tell what they are; usually they
 * are what the topic's last record was. */
#include "format/debezium/debezium.h"

#include <stdio.h>
#include <string.h>

#include "config/settings.h"

/* --- flattened rows --- */

static struct slice meta_text(const struct value *value)
{
    if (value->kind != VALUE_TEXT)
        return (struct slice){.bytes = "", .length = 0};
    return (struct slice){.bytes = value->bytes, .length = value->length};
}

static bool is_said(const struct value *value)
{
    return value->kind != VALUE_ABSENT && value->kind != VALUE_NULL;
}

/* The operation. __deleted goes first, since a rewritten delete is a delete whatever its other
 * fields say; a row with neither field exists and is written. 0: unknown. */
enum change_op row_op(const struct value *meta)
{
    const struct value *said = &meta[META_DELETED];
    struct slice deleted = meta_text(said), op = meta_text(&meta[META_OP]);
    if (said->kind == VALUE_BOOL ? said->integer : SLICE_IS(deleted, "true"))
        return OP_DELETE;
    if (is_said(said) && said->kind != VALUE_BOOL && !SLICE_IS(deleted, "false"))
        return (enum change_op) 0;
    if (!is_said(&meta[META_OP]))
        return OP_UPDATE;
    return op.length == 1 && strchr("crudt", *op.bytes) ? (enum change_op) * op.bytes
                                                        : (enum change_op) 0;
}

static bool names_operation(const struct value *meta)
{
    return is_said(&meta[META_OP]) || is_said(&meta[META_DELETED]);
}

static enum ods_status refuse_operation(struct reading *reading, const struct value *meta)
{
    char place[128];
    struct slice op = meta_text(&meta[META_OP]), deleted = meta_text(&meta[META_DELETED]);
    if (is_said(&meta[META_DELETED]) && meta[META_DELETED].kind != VALUE_BOOL &&
        !SLICE_IS(deleted, "false"))
        return error_set(reading->error, ODS_REJECT,
                         "the row's __deleted is neither true nor false");
    return error_set(reading->error, ODS_REJECT, "%s '%.*s', expected one of c r u d t",
                     metadata_op_place(&reading->self->metadata, place, sizeof place),
                     (int) (op.length < 20 ? op.length : 20), op.bytes);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

struct identity row_identity(const struct value *meta)
{
    return (struct identity){.connector = meta_text(&meta[META_CONNECTOR]),
                             .database = meta_text(&meta[META_DATABASE]),
                             .schema = meta_text(&meta[META_SCHEMA]),
                             .table = meta_text(&meta[META_TABLE])};
}

int64_t row_time(const struct value *meta)
{
    int64_t time =
        source_time(&meta[META_SOURCE_TS_US], &meta[META_SOURCE_TS_NS], &meta[META_SOURCE_TS_MS]);
    return time == INT64_MIN ? source_time(&meta[META_TS_US], &meta[META_TS_NS], &meta[META_TS_MS])
                             : time;
}

static bool is_same_table(const struct shape *a, const struct shape *b)
{
    return strcmp(a->table, b->table) == 0 && strcmp(a->schema, b->schema) == 0 &&
           strcmp(a->database, b->database) == 0;
}

/* Remember that a notice about the table is given. False: it was given before, or for enough tables
 * of the topic. */
static bool note_silent(struct topic *topic, const struct shape *shape)
{
    for (uint32_t i = 0; i < topic->silent_count; i++)
        if (is_same_table(topic->silent[i], shape))
            return false;
    if (topic->silent_count == SILENT_MAX)
        return false;
    topic->silent[topic->silent_count++] = shape;
    return true;
}

/* A notice, once for each table: its rows do not say their operation, and the target has a column
 * for it. */
static void tell_no_operation(struct reading *reading, struct plan *plan, const struct shape *shape)
{
    char text[640], place[128];
    const struct debezium *self = reading->self;
    const char *schema = *shape->schema ? shape->schema : shape->database;
    plan->silent = shape;
    if (!self->notice || !self->pipeline || !note_silent(reading->topic, shape))
        return;
    const struct table_settings *table = pipeline_table(self->pipeline, schema, shape->table);
    const char *column = table->cdc_operation;
    if (table->skip || !column || !*column)
        return;
    snprintf(text, sizeof text,
             "rows of %.63s%s%.63s in topic %.100s do not say their operation (no %s): %.63s is "
             "written as u for creates, reads and updates alike; set "
             "transforms.unwrap.add.fields=op,source.ts_ms at the source, or name the field or "
             "header that has it in source.metadata",
             schema, *schema ? "." : "", shape->table, reading->topic->name,
             metadata_op_place(&self->metadata, place, sizeof place), column);
    self->notice(self->notice_context, text);
}

enum ods_status row_finish(struct reading *reading, struct plan *plan, struct value *values,
                           const struct value *meta)
{
    enum ods_status status = ODS_OK;
    struct identity identity = row_identity(meta);
    enum change_op op = row_op(meta);
    if (op == OP_DELETE)
        reading->tells = TELLS_DELETE;
    if (!identity_complete(reading, plan, &identity))
        return ODS_REJECT;
    int64_t time = row_time(meta);
    if (reading->self->want_position && !position_of_row(reading, meta))
        return no_memory(reading);
    if (!names_operation(meta) && !reading->self->metadata.configured &&
        !ends_with(plan->schema.name, ".Value") && reading->self->shape != SHAPE_FLATTENED &&
        !reading->self->plain)
        return error_set(reading->error, ODS_REJECT,
                         "found a row with schema '%.100s' that says neither __op nor __deleted; "
                         "expected a Debezium envelope or a flattened row (set "
                         "transforms.unwrap.add.fields=op,source.ts_ms,source.table)",
                         plan->schema.name);
    if (!op)
        return refuse_operation(reading, meta);
    if (op == OP_TRUNCATE) {
        struct binding table = {.shape =
                                    bind_table(reading, &identity, plan->layout.typed, &status)};
        return table.shape ? change_append(reading, &table, op, NULL, NULL, time) : status;
    }
    const struct binding *binding =
        key_resolve(reading, &identity, &status)
            ? plan_bind(reading, plan, reading->key, &identity, time, &status)
            : NULL;
    if (!binding)
        return status;
    if (op == OP_UPDATE && !is_said(&meta[META_OP]) && plan->silent != binding->shape)
        tell_no_operation(reading, plan, binding->shape);
    if (binding->watched_count && op == OP_UPDATE)
        return watched_update(reading, binding, NULL, values, time);
    if (binding->watched_count && op == OP_DELETE)
        return watched_delete(reading, binding, values, time);
    return op == OP_DELETE ? change_append(reading, binding, op, values, NULL, time)
                           : change_append(reading, binding, op, NULL, values, time);
}

enum layout_answer row_read(struct reading *reading, struct json_scan *scan, struct plan *plan,
                            enum ods_status *status)
{
    const struct metadata *metadata = &reading->self->metadata;
    struct value meta[META_COUNT] = {0};
    struct value *values = values_alloc(reading, plan);
    *status = ODS_REJECT;
    if (!values) {
        *status = no_memory(reading);
        return LAYOUT_BAD;
    }
    const char *start = scan->at;
    enum layout_answer answer = layout_read(&plan->layout, scan, &reading->reader, values, meta);
    if (answer == LAYOUT_OK && metadata->header_count) {
        *status = metadata_read_headers(metadata, reading->batch, reading->record, meta,
                                        reading->error);
        if (*status != ODS_OK)
            return LAYOUT_BAD;
        *status = ODS_REJECT;
    }
    if (answer == LAYOUT_OK && row_op(meta) == OP_READ &&
        snapshot_differs(reading, plan, values)) {
        scan->at = start;
        answer = layout_read(&plan->layout, scan, &reading->reader, values, meta);
    }
    if (answer != LAYOUT_OK)
        return answer;
    *status = row_finish(reading, plan, values, meta);
    return *status == ODS_OK ? LAYOUT_OK : LAYOUT_BAD;
}

/* --- values without a schema --- */

enum member {
    MEMBER_OP = 1,
    MEMBER_IMAGE = 2,
    MEMBER_META = 4,
    MEMBER_DDL = 8,
    MEMBER_DATABASE = 16,
    MEMBER_STATUS = 32,
    MEMBER_ID = 64,
    MEMBER_EVENTS = 128,
    MEMBER_TS_MS = 256,
    MEMBER_MESSAGE = 512,
    MEMBER_SPECVERSION = 1024,
    MEMBER_SOURCE = 2048,
    MEMBER_BAD_OP = 4096, /* has the name of an envelope's member, and another type */
    MEMBER_BAD_IMAGE = 8192,
    MEMBER_BAD_SOURCE = 16384,
    MEMBER_TRANSACTION = 32768,
    MEMBER_OTHER = 65536,
};

#define MEMBERS_BAD      (MEMBER_BAD_OP | MEMBER_BAD_IMAGE | MEMBER_BAD_SOURCE)
#define MEMBERS_ENVELOPE (MEMBER_OP | MEMBER_IMAGE | MEMBER_TS_MS | MEMBER_TRANSACTION)

static unsigned member_of(const struct metadata *metadata, struct slice name, char first)
{
    bool text = first == '"';
    if (SLICE_IS(name, "op"))
        return text ? MEMBER_OP : MEMBER_BAD_OP;
    if (SLICE_IS(name, "before") || SLICE_IS(name, "after"))
        return first == '{' || first == 'n' ? MEMBER_IMAGE : MEMBER_BAD_IMAGE;
    if (SLICE_IS(name, "source"))
        return first == '{' ? MEMBER_SOURCE : first == 'n' ? 0 : MEMBER_BAD_SOURCE;
    if (metadata_tells_row(metadata, name.bytes, name.length))
        return MEMBER_META;
    if (SLICE_IS(name, "ddl") || SLICE_IS(name, "tableChanges"))
        return MEMBER_DDL;
    if (SLICE_IS(name, "databaseName"))
        return MEMBER_DATABASE;
    if (SLICE_IS(name, "status") && text)
        return MEMBER_STATUS;
    if (SLICE_IS(name, "id") && text)
        return MEMBER_ID;
    if (SLICE_IS(name, "event_count") || SLICE_IS(name, "data_collections"))
        return MEMBER_EVENTS;
    if (SLICE_IS(name, "ts_ms") || SLICE_IS(name, "ts_us") || SLICE_IS(name, "ts_ns"))
        return MEMBER_TS_MS;
    if (SLICE_IS(name, "transaction"))
        return MEMBER_TRANSACTION;
    if (SLICE_IS(name, "message") && first == '{')
        return MEMBER_MESSAGE;
    if (SLICE_IS(name, "specversion") && text)
        return MEMBER_SPECVERSION;
    return MEMBER_OTHER;
}

/* Which kinds of top-level members there are; the first names are also written to `names`, for a
 * message. */
static bool survey(struct reading *reading, struct json_scan scan, unsigned *members, char *names,
                   size_t room)
{
    bool first = true;
    size_t used = 0;
    *members = 0;
    names[0] = '\0';
    scan.at++;
    while (json_next_member(&scan, &first)) {
        struct slice name;
        if (!json_name(&scan, reading->reader.arena, &name.bytes, &name.length))
            break;
        *members |= member_of(&reading->self->metadata, name, json_peek(&scan));
        if (used + name.length + 3 < room) {
            memcpy(names + used, used ? ", " : "", used ? 2 : 0);
            used += used ? 2 : 0;
            memcpy(names + used, name.bytes, name.length);
            names[used += name.length] = '\0';
        }
        if (!json_skip(&scan))
            break;
    }
    if (scan.problem)
        scan_error(reading, &scan, "value");
    return !scan.problem;
}

static enum ods_status refuse_object(struct reading *reading, unsigned members, const char *names)
{
    const char *why = "";
    if (members & MEMBER_BAD_OP)
        why = " (its 'op' is no text)";
    else if (members & MEMBER_BAD_IMAGE)
        why = " (a 'before' or 'after' of it is neither an object nor null)";
    else if (members & MEMBER_BAD_SOURCE)
        why = " (its 'source' is no object)";
    else if (members & MEMBER_META)
        why = " (it has flattened rows' __op or __deleted)";
    else if (members & MEMBER_OP && members & MEMBER_IMAGE)
        why = " (it has members that an envelope has not, and no 'source' of Debezium's)";
    return error_set(reading->error, ODS_REJECT,
                     "found an object with members %s; expected a Debezium envelope (op, before, "
                     "after, source)%s or a flattened row with __op or __deleted (set "
                     "transforms.unwrap.add.fields=op,source.ts_ms,source.table, or source.shape: "
                     "flattened in tables.yaml)",
                     names, why);
}

/* Like envelope_read(), but the record must be an envelope. */
static enum ods_status read_untyped_envelope(struct reading *reading, struct json_scan *scan,
                                             unsigned members, const char *names)
{
    struct plan_list *list = &reading->topic->value_layouts;
    struct plan *plan = list->count && !list->items[0]->flattened ? list->items[0] : NULL;
    enum ods_status status;
    enum envelope_answer answer = envelope_read(reading, scan, plan, &status);
    if (answer == ENVELOPE_NONE)
        return refuse_object(reading, members, names);
    if (answer == ENVELOPE_FAILED && scan->problem)
        return scan_error(reading, scan, "value");
    return status;
}

static enum ods_status read_untyped_flat(struct reading *reading, struct json_scan *scan)
{
    enum ods_status status = ODS_OK;
    reading->topic->untyped = UNTYPED_ROW;
    struct plan *plan =
        plan_of_object(reading, &reading->topic->value_layouts, *scan, true, &status);
    if (plan && row_read(reading, scan, plan, &status) != LAYOUT_OK && scan->problem)
        return scan_error(reading, scan, "value");
    return status;
}

static enum ods_status read_cloudevent(struct reading *reading, struct json_scan *scan)
{
    enum ods_status status;
    if (cloudevent_read(reading, scan, &status) == ENVELOPE_FAILED && scan->problem)
        return scan_error(reading, scan, "value");
    return status;
}

static bool has_key_column(const struct reading *reading, const char *name)
{
    const struct column wanted = {.name = name, .name_length = (uint32_t) strlen(name)};
    return reading->key && layout_column(&reading->key->layout, &wanted) >= 0;
}

/* Which of Debezium's records that are no rows it is; -1: none. */
static int pass_of(const struct reading *reading, unsigned members)
{
    const unsigned transaction = MEMBER_STATUS | MEMBER_ID | MEMBER_EVENTS;
    if (members & MEMBER_DDL && members & MEMBER_DATABASE && members & MEMBER_SOURCE)
        return PASS_SCHEMA_CHANGE;
    if ((members & ~(unsigned) MEMBER_TS_MS) == transaction)
        return PASS_TRANSACTION;
    if (members == MEMBER_TS_MS && has_key_column(reading, "serverName"))
        return PASS_HEARTBEAT;
    return -1;
}

static bool looks_like_envelope(unsigned members)
{
    if (members & MEMBERS_BAD || !(members & MEMBER_OP))
        return false;
    return members & MEMBER_MESSAGE ||
           (members & MEMBER_IMAGE &&
            (members & MEMBER_SOURCE || !(members & ~(unsigned) MEMBERS_ENVELOPE)));
}

/* Moves the cursor to the value of this member of the object at the cursor. */
static bool find_member(struct reading *reading, struct json_scan *scan, const char *wanted)
{
    bool first = true;
    if (json_peek(scan) != '{')
        return false;
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        if (!json_name(scan, reading->reader.arena, &name.bytes, &name.length))
            return false;
        if (slice_is(name, wanted, strlen(wanted)))
            return true;
        if (!json_skip(scan))
            return false;
    }
    return false;
}

/* Is it an envelope of the MongoDB connector, by its source? Its images are text, so it can't be
 * read as an envelope. */
static bool is_of_mongodb(struct reading *reading, struct json_scan scan)
{
    struct slice connector = {NULL, 0};
    return find_member(reading, &scan, "source") && find_member(reading, &scan, "connector") &&
           json_peek(&scan) == '"' &&
           json_string(&scan, reading->reader.arena, &connector.bytes, &connector.length) &&
           SLICE_IS(connector, "mongodb");
}

/* A record without a schema that is not of the same kind as the topic's last one. */
static enum ods_status read_unforeseen(struct reading *reading, struct json_scan *scan)
{
    unsigned members;
    char names[160];
    enum source_shape shape = reading->self->shape;
    if (!survey(reading, *scan, &members, names, sizeof names))
        return scan->out_of_memory ? ODS_RETRY : ODS_REJECT;
    if (shape != SHAPE_ENVELOPE && members & MEMBER_META)
        return read_untyped_flat(reading, scan);
    if (shape != SHAPE_FLATTENED && looks_like_envelope(members)) {
        reading->topic->untyped = UNTYPED_ENVELOPE;
        return read_untyped_envelope(reading, scan, members, names);
    }
    if (shape != SHAPE_FLATTENED && members & MEMBER_OP && members & MEMBER_SOURCE &&
        is_of_mongodb(reading, *scan))
        return document_refuse(reading);
    if (shape != SHAPE_FLATTENED && members & MEMBER_SPECVERSION) {
        reading->topic->untyped = UNTYPED_CLOUDEVENT;
        return read_cloudevent(reading, scan);
    }
    reading->pass = pass_of(reading, members);
    if (reading->pass >= 0)
        return json_skip(scan) ? ODS_OK : scan_error(reading, scan, "value");
    /* source.shape says what it is. */
    bool is_row = shape == SHAPE_FLATTENED ||
                  (shape == SHAPE_AUTO && reading->self->metadata.configured);
    return is_row ? read_untyped_flat(reading, scan) : refuse_object(reading, members, names);
}

enum ods_status untyped_read(struct reading *reading, struct json_scan *scan)
{
    struct topic *topic = reading->topic;
    struct plan_list *list = &topic->value_layouts;
    struct json_scan start = *scan;
    struct plan *plan = list->count ? list->items[0] : NULL;
    enum ods_status status = ODS_OK;
    bool read = false, foreseen = false;
    if (topic->untyped == UNTYPED_ENVELOPE || topic->untyped == UNTYPED_CLOUDEVENT) {
        struct plan *expected = plan && !plan->flattened ? plan : NULL;
        enum envelope_answer answer = topic->untyped == UNTYPED_ENVELOPE
                                          ? envelope_read(reading, scan, expected, &status)
                                          : cloudevent_read(reading, scan, &status);
        read = answer == ENVELOPE_OK;
        foreseen = answer != ENVELOPE_NONE;
    } else if (topic->untyped == UNTYPED_ROW && plan && plan->flattened) {
        enum layout_answer answer = row_read(reading, scan, plan, &status);
        read = answer == LAYOUT_OK;
        foreseen = answer != LAYOUT_OTHER;
    }
    if (read)
        return ODS_OK;
    if (foreseen)
        return scan->problem ? scan_error(reading, scan, "value") : status;
    *scan = start;
    return read_unforeseen(reading, scan);
}
