/* CloudEvents (JSON, structured mode), as Debezium's CloudEventsConverter writes them: the event's
 * attributes hold what an envelope has in op and source, and its data holds the images, with or
 * without a schema. After that it is handled as an envelope.
 *
 * Format: Debezium's documentation ("Exporting CloudEvents") and its CloudEventsConverter. */
#include "format/debezium/debezium.h"

#include <stddef.h>
#include <string.h>

#include "core/time.h"

struct event {
    struct slice specversion, source, time;
    struct slice op, connector, database, schema, table, ts_us, ts_ns, ts_ms; /* extensions */
    struct slice data;                                                        /* as JSON */
    bool flattened; /* a member that no event can have and flattened rows do */
};

/* Attributes are texts, int64 too. */
static struct slice *find_attribute(struct event *event, struct slice name)
{
    static const struct {
        const char *name;
        size_t offset;
    } attributes[] = {
        {"specversion", offsetof(struct event, specversion)},
        {"source", offsetof(struct event, source)},
        {"time", offsetof(struct event, time)},
        {"iodebeziumop", offsetof(struct event, op)},
        {"iodebeziumconnector", offsetof(struct event, connector)},
        {"iodebeziumdb", offsetof(struct event, database)},
        {"iodebeziumschema", offsetof(struct event, schema)},
        {"iodebeziumtable", offsetof(struct event, table)},
        {"iodebeziumtsus", offsetof(struct event, ts_us)},
        {"iodebeziumtsns", offsetof(struct event, ts_ns)},
        {"iodebeziumtsms", offsetof(struct event, ts_ms)},
    };
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
        if (slice_is(name, attributes[i].name, strlen(attributes[i].name)))
            return (struct slice *) (void *) ((char *) event + attributes[i].offset);
    return NULL;
}

/* Reads the event's members. Its data is only skipped, since its meaning depends on the others. */
static bool read_event(struct reading *reading, struct json_scan *scan, struct event *event)
{
    bool first = true;
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        if (!json_name(scan, reading->reader.arena, &name.bytes, &name.length))
            return false;
        const char *start = scan->at;
        struct slice *text = find_attribute(event, name);
        if (text && json_peek(scan) == '"') {
            if (!json_string(scan, reading->reader.arena, &text->bytes, &text->length))
                return false;
            continue;
        }
        if (!json_skip(scan))
            return false;
        if (SLICE_IS(name, "data"))
            event->data = (struct slice){start, (size_t) (scan->at - start)};
        event->flattened |=
            metadata_tells_row(&reading->self->metadata, name.bytes, name.length);
    }
    return !scan->problem;
}

/* "/debezium/<connector>/<topic prefix>": present also without the extensions. */
static struct slice connector_of_source(struct slice source)
{
    static const char prefix[] = "/debezium/";
    const size_t length = sizeof prefix - 1;
    if (source.length <= length || memcmp(source.bytes, prefix, length) != 0)
        return (struct slice){0};
    const char *name = source.bytes + length;
    const char *end = memchr(name, '/', source.length - length);
    return (struct slice){name, end ? (size_t) (end - name) : source.length - length};
}

/* Puts the attributes where an envelope has them. */
static void fill_envelope(const struct event *event, struct envelope *envelope)
{
    int32_t ps;
    bool zoned;
    int64_t us;
    envelope->op = event->op;
    envelope->source = (struct identity){.connector = event->connector,
                                         .database = event->database,
                                         .schema = event->schema,
                                         .table = event->table};
    if (!event->connector.length)
        envelope->source.connector = connector_of_source(event->source);
    envelope->source_ts[0] = json_number_of(event->ts_us);
    envelope->source_ts[1] = json_number_of(event->ts_ns);
    envelope->source_ts[2] = json_number_of(event->ts_ms);
    if (event->time.length &&
        time_parse_timestamp(event->time.bytes, event->time.length, &us, &ps, &zoned))
        envelope->ts[0] = (struct value){.kind = VALUE_INT, .integer = us};
}

/* Without extensions the images tell the operation. A row with only an after image may be new or
 * changed; it is written like a flattened row without an operation. */
static bool tell_op(struct envelope *envelope)
{
    if (envelope->op.length)
        return true;
    if (!envelope->after.start && !envelope->before.start)
        return false;
    envelope->op = (struct slice){envelope->after.start ? "u" : "d", 1};
    return true;
}

static bool read_images(struct reading *reading, struct json_scan *scan, const struct plan *plan,
                        struct envelope *envelope)
{
    bool first = true;
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        if (!json_name(scan, reading->reader.arena, &name.bytes, &name.length))
            return false;
        bool before = SLICE_IS(name, "before");
        if (before || SLICE_IS(name, "after")
                ? !envelope_read_image(reading, scan, before, plan, envelope)
                : !json_skip(scan))
            return false;
    }
    return !scan->problem;
}

static enum ods_status read_data(struct reading *reading, struct json_scan *scan,
                                 const struct payload *payload, struct envelope *envelope)
{
    struct plan_list *list = &reading->topic->value_layouts;
    struct plan *plan = payload->plan;
    bool images = !plan || plan->schema.kind == SCHEMA_EVENT_DATA;
    if (!plan && list->count && !list->items[0]->flattened)
        plan = list->items[0];
    if (images && (!read_images(reading, scan, plan, envelope) || !payload_close(scan, payload)))
        return scan->problem ? scan_error(reading, scan, "value") : ODS_REJECT;
    if (!envelope->has_images)
        return error_set(reading->error, ODS_REJECT,
                         "the CloudEvent's data has neither before nor after; expected a row "
                         "change (metadata.source=value at the CloudEventsConverter)");
    if (!tell_op(envelope))
        return error_set(reading->error, ODS_REJECT,
                         "the CloudEvent has neither iodebeziumop nor an image to tell it by; set "
                         "extension.attributes.enable=true at the CloudEventsConverter");
    return envelope_finish(reading, scan, plan, envelope);
}

static enum ods_status open_data(struct reading *reading, struct json_scan scan,
                                 const struct event *event)
{
    struct envelope envelope = {0};
    struct payload payload;
    if (!SLICE_IS(event->specversion, "1.0"))
        return error_set(reading->error, ODS_REJECT,
                         "a CloudEvent of specversion '%.*s', expected 1.0",
                         (int) (event->specversion.length < 20 ? event->specversion.length : 20),
                         event->specversion.bytes);
    if (!event->data.bytes)
        return error_set(reading->error, ODS_REJECT, "a CloudEvent without data");
    scan.at = event->data.bytes;
    scan.end = event->data.bytes + event->data.length;
    enum ods_status status = payload_open(reading, &scan, &reading->topic->values, false, &payload);
    if (status != ODS_OK)
        return status;
    if (json_peek(&scan) != '{')
        return error_set(reading->error, ODS_REJECT,
                         "the CloudEvent's data is %s, expected a JSON object (set "
                         "data.serializer.type=json at the CloudEventsConverter)",
                         *scan.at == 'n' ? "null" : json_found(&scan));
    fill_envelope(event, &envelope);
    if (SLICE_IS(envelope.source.connector, "mongodb"))
        return document_refuse(reading);
    return read_data(reading, &scan, &payload, &envelope);
}

enum envelope_answer cloudevent_read(struct reading *reading, struct json_scan *scan,
                                     enum ods_status *status)
{
    struct event event = {0};
    *status = ODS_REJECT;
    if (!read_event(reading, scan, &event))
        return ENVELOPE_FAILED;
    if (!event.specversion.bytes || event.flattened)
        return ENVELOPE_NONE;
    *status = open_data(reading, *scan, &event);
    return *status == ODS_OK ? ENVELOPE_OK : ENVELOPE_FAILED;
}
