/* What the changes of a record become: one Kafka record each, a delete perhaps two, a change of the
 * key those of a delete and of a create. All are made before the first is sent, so that a record is
 * sent whole or set aside whole. */
#include <stdlib.h>
#include <string.h>

#include <ods/lines.h>

#include "sink/kafka/kafka_sink.h"
#include "source/kafka/kafka.h"

/* One row's part of a change. */
struct part {
    uint32_t change;
    const struct form_plan *plan;
    struct form_value value;
    bool moved; /* the record's key names another row */
};

static struct kafka_piece *add_piece(struct kafka_sink *kafka)
{
    if (kafka->piece_count == kafka->piece_capacity) {
        size_t capacity = kafka->piece_capacity ? 2 * kafka->piece_capacity : 16;
        struct kafka_piece *grown = realloc(kafka->pieces, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        kafka->pieces = grown;
        kafka->piece_capacity = capacity;
    }
    struct kafka_piece *piece = &kafka->pieces[kafka->piece_count++];
    *piece = (struct kafka_piece){0};
    return piece;
}

static const struct record *record_of(const struct kafka_sink *kafka, uint32_t change)
{
    return &kafka->batch->records[kafka->batch->changes[change].record];
}

static enum ods_status put_key(struct kafka_sink *kafka, const struct part *part,
                               struct kafka_piece *piece, struct error *error)
{
    const struct value *row = part->value.after ? part->value.after : part->value.before;
    uint32_t count;
    form_key(part->plan, &count);
    if (kafka_keeps_key(kafka->settings)) {
        piece->own_key = piece->has_key = record_of(kafka, part->change)->key != NULL;
        return ODS_OK;
    }
    if (!count || part->value.op == OP_TRUNCATE)
        return ODS_OK;
    piece->has_key = true;
    piece->key = kafka->bytes.length;
    enum ods_status status = subjects_put_id(kafka, part->plan, piece->topic, true, error);
    if (status == ODS_OK)
        status = form_put_key(&kafka->form, part->plan, row, &kafka->bytes, error);
    piece->key_length = kafka->bytes.length - piece->key;
    return status;
}

static enum ods_status put_piece(struct kafka_sink *kafka, const struct part *part,
                                 const struct kafka_topic *topic, bool tombstone,
                                 struct error *error)
{
    struct kafka_piece *piece = add_piece(kafka);
    if (!piece)
        return error_out_of_memory(error);
    piece->topic = topic;
    piece->change = part->change;
    piece->partition = kafka->partition == KAFKA_AS_READ ? record_of(kafka, part->change)->partition
                                                         : kafka->partition;
    enum ods_status status = put_key(kafka, part, piece, error);
    if (status != ODS_OK || tombstone)
        return status;
    piece->has_value = true;
    piece->value = kafka->bytes.length;
    status = subjects_put_id(kafka, part->plan, topic, false, error);
    if (status == ODS_OK)
        status = form_put_value(&kafka->form, part->plan, &part->value, &kafka->bytes, error);
    piece->value_length = kafka->bytes.length - piece->value;
    return status;
}

/* A tombstone without a key, or under the key of another row, would say nothing, or the wrong
 * thing. */
static enum ods_status put_tombstone(struct kafka_sink *kafka, const struct part *part,
                                     const struct kafka_topic *topic, bool has_row,
                                     struct error *error)
{
    uint32_t count;
    form_key(part->plan, &count);
    bool named = kafka_keeps_key(kafka->settings)
                     ? record_of(kafka, part->change)->key && !part->moved
                     : count > 0;
    if (named)
        return put_piece(kafka, part, topic, true, error);
    if (has_row)
        return ODS_OK;
    return error_set(error, ODS_REJECT,
                     part->moved ? "a tombstone for the old row of a changed key needs a key of "
                                   "its own: set key = \"columns\""
                                 : "a tombstone needs a key, and the record has none: set key = "
                                   "\"columns\", or deletes = \"row\"");
}

static enum ods_status put_part(struct kafka_sink *kafka, const struct part *part,
                                const struct kafka_topic *topic, struct error *error)
{
    const struct kafka_target_settings *settings = kafka->settings;
    bool deletes = part->value.op == OP_DELETE, row = !deletes || kafka_writes_rows(settings);
    enum ods_status status = ODS_OK;
    /* A record in Avro has all columns of its table, so a key alone makes none. */
    if (row && settings->encoding == KAFKA_AVRO && kafka->batch->changes[part->change].tombstone) {
        row = false;
        if (!kafka_writes_tombstones(settings))
            return error_set(error, ODS_REJECT,
                             "the record tells a deleted row's key alone, and a row in Avro has "
                             "all columns: set deletes = \"both\" or \"tombstone\"");
    }
    if (row)
        status = put_piece(kafka, part, topic, false, error);
    if (status == ODS_OK && deletes && kafka_writes_tombstones(settings))
        status = put_tombstone(kafka, part, topic, row, error);
    return status;
}

/* Does an update give the row another key, of which the record's own knows nothing? */
static bool changes_key(const struct part *part)
{
    uint32_t count;
    const uint32_t *key = form_key(part->plan, &count);
    const struct value *before = part->value.before, *after = part->value.after;
    bool changed = false;
    if (part->value.op != OP_UPDATE || !before || !after)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (before[key[i]].kind == VALUE_ABSENT || after[key[i]].kind == VALUE_ABSENT)
            return false;
        changed |= !value_same(&before[key[i]], &after[key[i]]);
    }
    return changed;
}

static enum ods_status put_moved(struct kafka_sink *kafka, const struct part *part,
                                 const struct kafka_topic *topic, struct error *error)
{
    struct part old = *part, new = *part;
    old.value.op = OP_DELETE;
    old.value.after = NULL;
    new.value.op = OP_CREATE;
    new.value.before = NULL;
    enum ods_status status = put_part(kafka, &old, topic, error);
    return status == ODS_OK ? put_part(kafka, &new, topic, error) : status;
}

static enum ods_status check_truncate(const struct kafka_sink *kafka, const struct change *change,
                                      struct error *error)
{
    if (change->op != OP_TRUNCATE || kafka->settings->form == KAFKA_ENVELOPE)
        return ODS_OK;
    return error_set(error, ODS_REJECT, "rows can't tell of a truncate: set format = \"envelope\"");
}

/* Do records of Kafka hand their headers on by themselves? Not where a value may stand in them,
 * which is there as long as its record. */
static bool bears_headers(const struct kafka_sink *kafka)
{
    const struct batch *batch = kafka->batch;
    return kafka->settings->keep_headers && batch->headers == kafka_headers && !batch->headers_read;
}

/* What the record brought, but where it hands it on, and what the settings add. */
static enum ods_status put_headers(struct kafka_sink *kafka, uint32_t change,
                                   struct header *headers, size_t *count, struct error *error)
{
    const struct properties *told = &kafka->settings->headers;
    const struct template_change at = {kafka->batch, change, kafka->config.pipeline,
                                       &kafka->scratch};
    const struct batch *batch = kafka->batch;
    size_t room = KAFKA_HEADERS_MAX - told->count, starts[KAFKA_HEADERS_MAX];
    *count = kafka->settings->keep_headers && batch->headers && !bears_headers(kafka)
                 ? batch->headers(record_of(kafka, change), headers, room)
                 : 0;
    buffer_reset(&kafka->added);
    for (size_t i = 0; i < told->count; i++) {
        starts[i] = kafka->added.length;
        enum ods_status status = template_put(&kafka->added, &kafka->headers[i], &at, error);
        if (status != ODS_OK)
            return status;
    }
    for (size_t i = 0; i < told->count; i++) {
        size_t end = i + 1 < told->count ? starts[i + 1] : kafka->added.length;
        const char *added = kafka->added.bytes;
        headers[(*count)++] = (struct header){.name = told->items[i].name,
                                              .value = added ? added + starts[i] : "",
                                              .length = end - starts[i]};
    }
    return ODS_OK;
}

/* A value that can't stand in a header is its record's fault, which has to be known before anything
 * of it is sent. */
static enum ods_status check_headers(struct kafka_sink *kafka, uint32_t change, struct error *error)
{
    struct header headers[KAFKA_HEADERS_MAX];
    size_t count;
    return kafka->settings->headers.count ? put_headers(kafka, change, headers, &count, error)
                                          : ODS_OK;
}

enum ods_status pieces_add(struct kafka_sink *kafka, uint32_t index, bool *skipped,
                           struct error *error)
{
    const struct change *change = &kafka->batch->changes[index];
    struct kafka_topic *topic = NULL;
    struct part part = {.change = index,
                        .value = {.op = change->op,
                                  .before = change->before,
                                  .after = change->after,
                                  .source_us = change->source_us,
                                  .record_ms = record_of(kafka, index)->timestamp_ms},
                        .moved = change->moved && change->op == OP_DELETE};
    enum ods_status status = form_plan(&kafka->form, change->shape, &part.plan, error);
    if (part.plan && form_table(part.plan)->skip) {
        *skipped = true;
        return ODS_OK;
    }
    if (status == ODS_OK)
        status = check_truncate(kafka, change, error);
    if (status == ODS_OK)
        status = topics_find(kafka, index, &topic, error);
    if (status == ODS_OK)
        status = check_headers(kafka, index, error);
    if (status != ODS_OK)
        return status;
    if (!kafka_keeps_key(kafka->settings) && changes_key(&part))
        return put_moved(kafka, &part, topic, error);
    return put_part(kafka, &part, topic, error);
}

/* --- sending ------------------------------------------------------------------------------ */

/* What is under way is pointed to, and has a limit of its own. */
static enum ods_status make_room(struct kafka_sink *kafka, struct error *error)
{
    if (kafka->values.used_bytes < UNDER_WAY_BYTES)
        return ODS_OK;
    enum ods_status status = kafka_writer_flush(kafka_writer_of(kafka), error);
    if (status == ODS_OK)
        arena_reset(&kafka->values, UNDER_WAY_BYTES);
    return status;
}

/* Key and value stay where they are until they are written. *key: of one that the record has not
 * brought itself. */
static bool keep(struct kafka_sink *kafka, const struct kafka_piece *piece, char **key,
                 char **value)
{
    const char *bytes = kafka->bytes.bytes;
    size_t key_bytes = piece->own_key ? 0 : piece->key_length;
    char *at = arena_alloc(&kafka->values, key_bytes + piece->value_length);
    if (!at)
        return false;
    *key = at;
    *value = piece->has_value ? at + key_bytes : NULL;
    if (key_bytes)
        memcpy(at, bytes + piece->key, key_bytes);
    if (piece->value_length)
        memcpy(at + key_bytes, bytes + piece->value, piece->value_length);
    return true;
}

static enum ods_status send_piece(struct kafka_sink *kafka, const struct kafka_piece *piece,
                                  const struct header *headers, size_t header_count,
                                  struct error *error)
{
    const struct record *record = record_of(kafka, piece->change);
    char *key, *value;
    if (!keep(kafka, piece, &key, &value))
        return error_out_of_memory(error);
    const struct kafka_outgoing outgoing = {.topic = piece->topic->topics[kafka->turn],
                                            .partition = piece->partition,
                                            .tag = piece->change,
                                            .key = !piece->has_key  ? NULL
                                                   : piece->own_key ? record->key
                                                                    : key,
                                            .key_length = piece->own_key ? record->key_length
                                                                         : piece->key_length,
                                            .value = value,
                                            .value_length = piece->value_length,
                                            .bearer = bears_headers(kafka) ? record->owner : NULL,
                                            .headers = headers,
                                            .header_count = header_count};
    return kafka_writer_send(kafka_writer_of(kafka), &outgoing, error);
}

enum ods_status pieces_send(struct kafka_sink *kafka, struct error *error)
{
    struct header headers[KAFKA_HEADERS_MAX];
    size_t header_count = 0;
    bool any =
        (kafka->settings->keep_headers && !bears_headers(kafka)) || kafka->settings->headers.count;
    enum ods_status status = make_room(kafka, error);
    for (size_t i = 0; i < kafka->piece_count && status == ODS_OK; i++) {
        const struct kafka_piece *piece = &kafka->pieces[i];
        if (any && (!i || piece->change != piece[-1].change))
            status = put_headers(kafka, piece->change, headers, &header_count, error);
        if (status == ODS_OK)
            status = send_piece(kafka, piece, headers, header_count, error);
    }
    return status;
}
