/* Envelopes: before, after, source, op. The images are decoded in the same pass, by the plan of the
 * topic's last record; only a record that differs from it needs a second pass. */
#include "format/debezium/debezium.h"

#include <string.h>

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

/* Reads a string into `text`; anything else is skipped, and `text` is "". */
static bool read_text(struct reading *reading, struct json_scan *scan, struct slice *text)
{
    *text = (struct slice){.bytes = "", .length = 0};
    if (json_peek(scan) == '"')
        return json_string(scan, reading->reader.arena, &text->bytes, &text->length);
    return json_skip(scan);
}

static bool read_integer(struct json_scan *scan, struct value *value)
{
    char first = json_peek(scan);
    *value = (struct value){.kind = VALUE_NULL};
    return first == '-' || (first >= '0' && first <= '9') ? json_number(scan, value)
                                                          : json_skip(scan);
}

/* The members of the envelope and of its source that are used. */
enum member {
    MEMBER_OTHER,
    MEMBER_TS_US,
    MEMBER_TS_NS,
    MEMBER_TS_MS,
    MEMBER_BEFORE,
    MEMBER_AFTER,
    MEMBER_SOURCE,
    MEMBER_OP,
    MEMBER_MESSAGE,
    MEMBER_TRANSACTION,
    MEMBER_META,
    MEMBER_DATABASE,
    MEMBER_SCHEMA,
    MEMBER_TABLE,
    MEMBER_CONNECTOR,
    /* The place in the source's log, in the order of position_read(). */
    MEMBER_LSN,
    MEMBER_FILE,
    MEMBER_POS,
    MEMBER_ROW,
    MEMBER_GTID,
    MEMBER_TX_ID,
    MEMBER_SCN,
};

static enum member find_member(struct slice name)
{
    static const struct {
        const char *name;
        enum member member;
    } members[] = {
        {"ts_us", MEMBER_TS_US},   {"ts_ns", MEMBER_TS_NS},     {"ts_ms", MEMBER_TS_MS},
        {"before", MEMBER_BEFORE}, {"after", MEMBER_AFTER},     {"source", MEMBER_SOURCE},
        {"op", MEMBER_OP},         {"message", MEMBER_MESSAGE}, {"db", MEMBER_DATABASE},
        {"schema", MEMBER_SCHEMA}, {"table", MEMBER_TABLE},     {"connector", MEMBER_CONNECTOR},
        {"__op", MEMBER_META},     {"__deleted", MEMBER_META},  {"transaction", MEMBER_TRANSACTION},
        {"lsn", MEMBER_LSN},       {"file", MEMBER_FILE},       {"pos", MEMBER_POS},
        {"row", MEMBER_ROW},       {"gtid", MEMBER_GTID},       {"txId", MEMBER_TX_ID},
        {"scn", MEMBER_SCN},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (slice_is(name, members[i].name, strlen(members[i].name)))
            return members[i].member;
    return MEMBER_OTHER;
}

/* Store a name that was written without escapes. */
static void learn(struct expected_name *expected, const char *token, const struct json_scan *scan,
                  struct slice name, enum member member)
{
    size_t length = (size_t) (scan->at - token);
    if (length > EXPECTED_BYTES || length != name.length + 3 || name.bytes != token + 1)
        return;
    expected->length = (uint8_t) length;
    expected->member = (uint8_t) member;
    memcpy(expected->token, token, length);
}

/* Read the name at the cursor, the object's member number `position`. */
static bool read_name(struct reading *reading, struct json_scan *scan,
                      struct expected_name *expected, size_t position, enum member *member)
{
    if (position < EXPECTED_NAMES && expected[position].length &&
        (size_t) (scan->end - scan->at) > expected[position].length &&
        json_same(scan->at, expected[position].token, expected[position].length)) {
        scan->at += expected[position].length;
        json_space(scan);
        *member = (enum member) expected[position].member;
        return true;
    }
    const char *token = scan->at;
    struct slice name;
    if (!json_name(scan, reading->reader.arena, &name.bytes, &name.length))
        return false;
    *member = find_member(name);
    if (position < EXPECTED_NAMES)
        learn(&expected[position], token, scan, name, *member);
    return true;
}

static bool read_source_member(struct reading *reading, struct json_scan *scan, enum member member,
                               struct envelope *envelope)
{
    switch (member) {
    case MEMBER_TS_US:
    case MEMBER_TS_NS:
    case MEMBER_TS_MS:
        return read_integer(scan, &envelope->source_ts[member - MEMBER_TS_US]);
    case MEMBER_DATABASE:
        return read_text(reading, scan, &envelope->source.database);
    case MEMBER_SCHEMA:
        return read_text(reading, scan, &envelope->source.schema);
    case MEMBER_TABLE:
        return read_text(reading, scan, &envelope->source.table);
    case MEMBER_CONNECTOR:
        return read_text(reading, scan, &envelope->source.connector);
    case MEMBER_LSN:
    case MEMBER_FILE:
    case MEMBER_POS:
    case MEMBER_ROW:
    case MEMBER_GTID:
    case MEMBER_TX_ID:
    case MEMBER_SCN:
        if (envelope->position)
            return position_read(reading, scan, (size_t) (member - MEMBER_LSN), envelope->position);
        return json_skip(scan);
    default:
        return json_skip(scan);
    }
}

static bool read_source(struct reading *reading, struct json_scan *scan, struct envelope *envelope)
{
    if (json_peek(scan) != '{')
        return json_skip(scan);
    bool first = true;
    scan->at++;
    for (size_t position = 0; json_next_member(scan, &first); position++) {
        enum member member;
        if (!read_name(reading, scan, reading->topic->source, position, &member) ||
            !read_source_member(reading, scan, member, envelope))
            return false;
    }
    return !scan->problem;
}

static bool skip_text(struct json_scan *scan, struct slice *text)
{
    const char *start = scan->at;
    bool good = json_skip(scan);
    *text = (struct slice){start, (size_t) (scan->at - start)};
    return good;
}

static bool walk_image(struct json_scan *scan, struct image *image)
{
    bool good = json_skip(scan);
    image->end = scan->at;
    return good;
}

/* Move past an image, and decode it if `plan` says what to expect. */
static bool read_image(struct reading *reading, struct json_scan *scan, const struct plan *plan,
                       struct image *image)
{
    *image = (struct image){0};
    if (json_peek(scan) != '{')
        return json_skip(scan);
    image->start = scan->at;
    if (!plan)
        return walk_image(scan, image);
    image->values = values_alloc(reading, plan);
    if (!image->values)
        return json_no_memory(scan);
    enum layout_answer answer =
        layout_read(&plan->layout, scan, &reading->reader, image->values, NULL);
    image->end = scan->at;
    if (answer != LAYOUT_OTHER)
        return answer == LAYOUT_OK;
    image->values = NULL;
    scan->at = image->start;
    return walk_image(scan, image);
}

bool envelope_expects_before(const struct reading *reading, const struct plan *plan)
{
    return reading->self->want_before || !reading->key ||
           (plan && plan->binding_count && plan->bindings[0].watched_count);
}

static bool read_member(struct reading *reading, struct json_scan *scan, enum member member,
                        const struct plan *plan, struct envelope *envelope)
{
    char first = json_peek(scan);
    switch (member) {
    case MEMBER_TS_US:
    case MEMBER_TS_NS:
    case MEMBER_TS_MS:
        return read_integer(scan, &envelope->ts[member - MEMBER_TS_US]);
    case MEMBER_AFTER:
        envelope->has_images = true;
        envelope->misfits |= first != '{' && first != 'n';
        return read_image(reading, scan, plan, &envelope->after);
    case MEMBER_BEFORE:
        envelope->has_images = true;
        envelope->misfits |= first != '{' && first != 'n';
        return read_image(reading, scan, envelope_expects_before(reading, plan) ? plan : NULL,
                          &envelope->before);
    case MEMBER_SOURCE:
        envelope->has_source = first == '{';
        envelope->misfits |= first != '{' && first != 'n';
        return read_source(reading, scan, envelope);
    case MEMBER_OP:
        envelope->has_op = first == '"';
        return read_text(reading, scan, &envelope->op);
    case MEMBER_MESSAGE:
        envelope->has_message = first == '{';
        return json_skip(scan);
    case MEMBER_TRANSACTION:
        return skip_text(scan, &envelope->transaction);
    case MEMBER_META:
        envelope->misfits = true;
        return json_skip(scan);
    default:
        envelope->has_others = true;
        return json_skip(scan);
    }
}

bool envelope_read_image(struct reading *reading, struct json_scan *scan, bool before,
                         const struct plan *plan, struct envelope *envelope)
{
    bool wanted = !before || envelope_expects_before(reading, plan);
    envelope->has_images = true;
    return read_image(reading, scan, wanted ? plan : NULL,
                      before ? &envelope->before : &envelope->after);
}

/* Decode an image that read_image() only moved past; finds its plan if none is known. */
static bool decode_image(struct reading *reading, const struct json_scan *scan, struct plan **plan,
                         struct image *image, enum ods_status *status)
{
    if (*plan && (*plan)->avro)
        return avro_read_image(reading, *plan, image, status);
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

/* Both images of an update must have the same plan. */
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
    if (!main->start && op == OP_DELETE && (reading->key || reading->key_problem))
        return change_append_key(reading, &envelope->source, time);
    if (!main->start)
        return error_set(reading->error, ODS_REJECT, "op '%c' without its '%s' image%s", (char) op,
                         op == OP_DELETE ? "before" : "after", op == OP_DELETE ? " or a key" : "");
    struct plan *expected = plan;
    if (op == OP_READ && snapshot_differs(reading, plan, main->values))
        main->values = NULL;
    if (!main->values && !decode_image(reading, scan, &plan, main, &status))
        return status;
    if (other && other->start && plan != expected)
        other->values = NULL;
    const struct binding *binding =
        key_resolve(reading, &envelope->source, &status)
            ? plan_bind(reading, plan, reading->key, &envelope->source, time, &status)
            : NULL;
    if (!binding)
        return status;
    bool watched = op == OP_UPDATE && binding->watched_count;
    bool want_other = other && other->start &&
                      (reading->self->want_before || !reading->key || watched);
    if (want_other && !other->values && !decode_before(reading, scan, plan, other, &status))
        return status;
    if (watched)
        return watched_update(reading, binding, other->start ? other->values : NULL, main->values,
                              time);
    if (op == OP_DELETE)
        return binding->watched_count
                   ? watched_delete(reading, binding, main->values, time)
                   : change_append(reading, binding, op, main->values, NULL, time);
    status = change_append(reading, binding, op, want_other ? other->values : NULL, main->values,
                           time);
    if (status == ODS_OK && op == OP_UPDATE && other->start)
        reading->batch->changes[reading->batch->change_count - 1].repeats =
            image_repeats(plan, other, main);
    return status;
}

static enum ods_status append_truncate(struct reading *reading, const struct plan *plan,
                                       const struct envelope *envelope, int64_t time)
{
    enum ods_status status = ODS_OK;
    const struct shape *shape =
        bind_table(reading, &envelope->source, plan && plan->layout.typed, &status);
    if (!shape)
        return status;
    struct binding binding = {.shape = shape};
    return change_append(reading, &binding, OP_TRUNCATE, NULL, NULL, time);
}

enum ods_status document_refuse(struct reading *reading)
{
    return error_set(reading->error, ODS_REJECT,
                     "found the envelope of Debezium's MongoDB connector, whose documents are text "
                     "and have no columns; it is not supported, flattened documents are: set "
                     "transforms.unwrap.type=io.debezium.connector.mongodb.transforms."
                     "ExtractNewDocumentState and "
                     "transforms.unwrap.add.fields=op,source.ts_ms,source.collection there");
}

enum ods_status envelope_finish(struct reading *reading, const struct json_scan *scan,
                                struct plan *plan, struct envelope *envelope)
{
    if (SLICE_IS(envelope->source.connector, "mongodb"))
        return document_refuse(reading);
    int64_t time =
        source_time(&envelope->source_ts[0], &envelope->source_ts[1], &envelope->source_ts[2]);
    if (time == INT64_MIN)
        time = source_time(&envelope->ts[0], &envelope->ts[1], &envelope->ts[2]);
    char op = envelope->op.length == 1 ? *envelope->op.bytes : '?';
    if (op == 'm') {
        reading->pass = PASS_MESSAGE;
        return ODS_OK;
    }
    if (op == OP_DELETE)
        reading->tells = TELLS_DELETE;
    if (!identity_complete(reading, plan, &envelope->source))
        return ODS_REJECT;
    if (reading->self->want_position && !position_of_envelope(reading, envelope))
        return no_memory(reading);
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

/* Does `source` have the members that Debezium writes? */
static bool is_source(const struct envelope *envelope)
{
    return envelope->has_source && (envelope->source.table.length ||
                                    envelope->source.connector.length ||
                                    envelope->source_ts[0].kind == VALUE_INT ||
                                    envelope->source_ts[2].kind == VALUE_INT);
}

/* Any row may have members named like an envelope's. It is an envelope only if all have the right
 * types, and there is a source of Debezium's or no other member. With a schema, the schema has told
 * already. */
static bool is_envelope(const struct envelope *envelope, const struct plan *plan)
{
    bool told = plan && plan->text;
    if (!envelope->has_op || !(envelope->has_images || envelope->has_message) || envelope->misfits)
        return false;
    if (SLICE_IS(envelope->op, "m"))
        return envelope->has_message;
    return told || (envelope->has_images && (is_source(envelope) || !envelope->has_others));
}

enum envelope_answer envelope_read(struct reading *reading, struct json_scan *scan,
                                   struct plan *plan, enum ods_status *status)
{
    struct envelope envelope = {0};
    bool first = true;
    *status = ODS_REJECT;
    if (reading->self->want_position && !(envelope.position = position_new(reading))) {
        *status = no_memory(reading);
        return ENVELOPE_FAILED;
    }
    scan->at++;
    for (size_t position = 0; json_next_member(scan, &first); position++) {
        enum member member;
        if (!read_name(reading, scan, reading->topic->envelope, position, &member) ||
            !read_member(reading, scan, member, plan, &envelope))
            return ENVELOPE_FAILED;
    }
    if (scan->problem)
        return ENVELOPE_FAILED;
    if (!is_envelope(&envelope, plan))
        return ENVELOPE_NONE;
    *status = envelope_finish(reading, scan, plan, &envelope);
    return *status == ODS_OK ? ENVELOPE_OK : ENVELOPE_FAILED;
}
