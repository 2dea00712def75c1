/* Envelopes: before, after, source, op. The images are decoded while walking over them, along the
 * plan that the topic's last record had; only a record that is not as expected is walked twice. */
#include "decoder/debezium.h"

#include <string.h>

struct image {
    const char *start; /* NULL: null or not there */
    struct value *values; /* NULL: not decoded yet */
};

struct envelope {
    struct image before, after;
    bool has_images, has_message, has_op;
    struct slice op;
    struct identity source;
    struct value source_ts[3], ts[3]; /* us, ns, ms */
};

int64_t source_time(const struct value *us, const struct value *ns, const struct value *ms)
{
    int64_t time;
    if (us->kind == VALUE_INT)
        return us->integer;
    if (ns->kind == VALUE_INT)
        return ns->integer / 1000 - (ns->integer % 1000 < 0);
    if (ms->kind == VALUE_INT && !__builtin_mul_overflow(ms->integer, INT64_C(1000), &time))
        return time;
    return INT64_MIN;
}

/* A string into `text`; anything else is walked over and leaves "" there. */
static bool read_text(struct reading *reading, struct json_scan *scan, struct slice *text)
{
    *text = (struct slice) {.bytes = "", .length = 0};
    if (json_peek(scan) == '"')
        return json_string(scan, reading->reader.arena, &text->bytes, &text->length);
    return json_skip(scan);
}

static bool read_integer(struct json_scan *scan, struct value *value)
{
    char first = json_peek(scan);
    *value = (struct value) {.kind = VALUE_NULL};
    return first == '-' || (first >= '0' && first <= '9') ? json_number(scan, value)
                                                          : json_skip(scan);
}

/* "ts_us", "ts_ns", "ts_ms" to 0, 1, 2; -1 for another name. */
static int time_unit(struct slice name)
{
    if (name.length != 5 || memcmp(name.bytes, "ts_", 3) != 0 || name.bytes[4] != 's')
        return -1;
    return name.bytes[3] == 'u' ? 0 : name.bytes[3] == 'n' ? 1 : name.bytes[3] == 'm' ? 2 : -1;
}

static bool read_source_member(struct reading *reading, struct json_scan *scan, struct slice name,
                               struct envelope *envelope)
{
    struct slice *text = NULL;
    int unit = time_unit(name);
    if (unit >= 0)
        return read_integer(scan, &envelope->source_ts[unit]);
    if (SLICE_IS(name, "db"))
        text = &envelope->source.database;
    else if (SLICE_IS(name, "table"))
        text = &envelope->source.table;
    else if (SLICE_IS(name, "schema"))
        text = &envelope->source.schema;
    else if (SLICE_IS(name, "connector"))
        text = &envelope->source.connector;
    return text ? read_text(reading, scan, text) : json_skip(scan);
}

static bool read_source(struct reading *reading, struct json_scan *scan, struct envelope *envelope)
{
    if (json_peek(scan) != '{')
        return json_skip(scan);
    bool first = true;
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        if (!json_name(scan, reading->reader.arena, &name.bytes, &name.length) ||
            !read_source_member(reading, scan, name, envelope))
            return false;
    }
    return !scan->problem;
}

/* Walk over an image; decode it on the way where `plan` says what to expect. */
static bool read_image(struct reading *reading, struct json_scan *scan, const struct plan *plan,
                       struct image *image)
{
    *image = (struct image) {0};
    if (json_peek(scan) != '{')
        return json_skip(scan);
    image->start = scan->at;
    if (!plan)
        return json_skip(scan);
    image->values = values_alloc(reading, plan);
    if (!image->values)
        return false;
    enum layout_answer answer =
        layout_read(&plan->layout, scan, &reading->reader, image->values, NULL);
    if (answer != LAYOUT_OTHER)
        return answer == LAYOUT_OK;
    image->values = NULL;
    scan->at = image->start;
    return json_skip(scan);
}

static bool read_member(struct reading *reading, struct json_scan *scan, struct slice name,
                        const struct plan *plan, struct envelope *envelope)
{
    int unit = time_unit(name);
    if (unit >= 0)
        return read_integer(scan, &envelope->ts[unit]);
    if (SLICE_IS(name, "after")) {
        envelope->has_images = true;
        return read_image(reading, scan, plan, &envelope->after);
    }
    if (SLICE_IS(name, "before")) {
        bool wanted = reading->self->want_before || !reading->key;
        envelope->has_images = true;
        return read_image(reading, scan, wanted ? plan : NULL, &envelope->before);
    }
    if (SLICE_IS(name, "source"))
        return read_source(reading, scan, envelope);
    if (SLICE_IS(name, "op")) {
        envelope->has_op = json_peek(scan) == '"';
        return read_text(reading, scan, &envelope->op);
    }
    envelope->has_message |= SLICE_IS(name, "message");
    return json_skip(scan);
}

/* Decode an image that read_image() only walked over, finding its plan where none is known. */
static bool decode_image(struct reading *reading, const struct json_scan *scan, struct plan **plan,
                         struct image *image, enum ods_status *status)
{
    struct json_scan inner = *scan;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!*plan) {
            inner.at = image->start;
            *plan = plan_of_object(reading, &reading->topic->value_layouts, inner, false, status);
        }
        if (!*plan)
            return false;
        image->values = values_alloc(reading, *plan);
        if (!image->values) {
            *status = no_memory(reading);
            return false;
        }
        inner.at = image->start;
        enum layout_answer answer =
            layout_read(&(*plan)->layout, &inner, &reading->reader, image->values, NULL);
        if (answer == LAYOUT_OK)
            return true;
        if (answer == LAYOUT_BAD)
            break;
        *plan = NULL;
    }
    *status = inner.problem ? scan_error(reading, &inner, "value") : ODS_REJECT;
    return false;
}

/* Both images of an update have to be of one plan. */
static bool decode_before(struct reading *reading, const struct json_scan *scan, struct plan *plan,
                          struct image *image, enum ods_status *status)
{
    struct plan *found = plan;
    if (!decode_image(reading, scan, &found, image, status))
        return false;
    if (found == plan)
        return true;
    *status = error_set(reading->error, ODS_REJECT,
                        "the images before and after an update have different columns");
    return false;
}

static enum ods_status append_row(struct reading *reading, const struct json_scan *scan,
                                  struct plan *plan, struct envelope *envelope, enum change_op op,
                                  int64_t time)
{
    enum ods_status status = ODS_OK;
    struct image *main = op == OP_DELETE ? &envelope->before : &envelope->after;
    struct image *other = op == OP_DELETE ? NULL : &envelope->before;
    if (!main->start && op == OP_DELETE && reading->key)
        return change_append_key(reading, &envelope->source, time);
    if (!main->start)
        return error_set(reading->error, ODS_REJECT, "op '%c' without its '%s' image%s", (char) op,
                         op == OP_DELETE ? "before" : "after",
                         op == OP_DELETE ? " or a key" : "");
    struct plan *expected = plan;
    if (op == OP_READ && snapshot_differs(reading, plan, main->values))
        main->values = NULL;
    if (!main->values && !decode_image(reading, scan, &plan, main, &status))
        return status;
    if (other && other->start && plan != expected)
        other->values = NULL;
    bool want_other = other && other->start && (reading->self->want_before || !reading->key);
    if (want_other && !other->values && !decode_before(reading, scan, plan, other, &status))
        return status;
    const struct binding *binding =
        plan_bind(reading, plan, reading->key, &envelope->source, &status);
    if (!binding)
        return status;
    if (op == OP_DELETE)
        return change_append(reading, binding, op, main->values, NULL, time);
    return change_append(reading, binding, op, want_other ? other->values : NULL, main->values,
                         time);
}

static enum ods_status append_truncate(struct reading *reading, const struct plan *plan,
                                       const struct envelope *envelope, int64_t time)
{
    enum ods_status status = ODS_OK;
    const struct shape *shape = bind_table(reading, &envelope->source, plan && plan->text, &status);
    if (!shape)
        return status;
    struct binding binding = {.shape = shape};
    return change_append(reading, &binding, OP_TRUNCATE, NULL, NULL, time);
}

static enum ods_status finish(struct reading *reading, const struct json_scan *scan,
                              struct plan *plan, struct envelope *envelope)
{
    int64_t time = source_time(&envelope->source_ts[0], &envelope->source_ts[1],
                               &envelope->source_ts[2]);
    if (time == INT64_MIN)
        time = source_time(&envelope->ts[0], &envelope->ts[1], &envelope->ts[2]);
    char op = envelope->op.length == 1 ? *envelope->op.bytes : '?';
    if (op == 'm') {
        reading->pass = PASS_MESSAGE;
        return ODS_OK;
    }
    identity_complete(reading, plan, &envelope->source);
    switch (op) {
    case OP_CREATE:
    case OP_READ:
    case OP_UPDATE:
    case OP_DELETE:
        return append_row(reading, scan, plan, envelope, (enum change_op) op, time);
    case OP_TRUNCATE:
        return append_truncate(reading, plan, envelope, time);
    default:
        return error_set(reading->error, ODS_REJECT, "op '%.*s', expected one of c r u d t m",
                         (int) (envelope->op.length < 20 ? envelope->op.length : 20),
                         envelope->op.bytes);
    }
}

enum envelope_answer envelope_read(struct reading *reading, struct json_scan *scan,
                                   struct plan *plan, enum ods_status *status)
{
    struct envelope envelope = {0};
    bool first = true;
    *status = ODS_REJECT;
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        if (!json_name(scan, reading->reader.arena, &name.bytes, &name.length) ||
            !read_member(reading, scan, name, plan, &envelope))
            return ENVELOPE_FAILED;
    }
    if (scan->problem)
        return ENVELOPE_FAILED;
    if (!envelope.has_op || !(envelope.has_images || envelope.has_message))
        return ENVELOPE_NONE;
    *status = finish(reading, scan, plan, &envelope);
    return *status == ODS_OK ? ENVELOPE_OK : ENVELOPE_FAILED;
}
