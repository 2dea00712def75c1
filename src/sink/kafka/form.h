/* A change as the key and value of a Kafka record. */
#ifndef KAFKA_FORM_H
#define KAFKA_FORM_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include <ods/pipeline.h>
#include "format/avro/avro_schema.h"
#include "sink/kafka/settings.h"

struct form_plan;

/* What is compiled from the shapes, by their ids. */
struct form {
    const struct kafka_target_settings *settings;
    const struct pipeline_settings *pipeline;
    struct form_plan **plans;
    size_t plan_count;
    size_t bytes; /* of the plans */
    const char *placeholder;
    struct buffer unavailable, unavailable_base64; /* the placeholder in JSON */
};

/* In Avro: the schema of a plan's keys or values. */
struct form_schema {
    struct buffer text;
    struct avro_schema avro;
    const void *topic; /* where records of it were last written, and its id there */
    uint32_t id;
};

enum ods_status form_init(struct form *form, const struct kafka_target_settings *settings,
                          const struct pipeline_settings *pipeline, struct error *error);
void form_done(struct form *form); /* zeroed is fine */

/* As good as to the next call. ODS_REJECT: the shape can't be written so. */
enum ods_status form_plan(struct form *form, const struct shape *shape,
                          const struct form_plan **plan, struct error *error);
bool form_has_columns(const struct form_plan *plan); /* a truncate's shape has none */
struct form_schema *form_schema(const struct form_plan *plan, bool key); /* NULL: it is JSON */
/* "schema.table", or its topic's name: for messages. */
const char *form_table_name(const struct form_plan *plan, char *room, size_t size);
const struct table_settings *form_table(const struct form_plan *plan);

/* The columns that `key = "columns"` takes the key from. */
const uint32_t *form_key(const struct form_plan *plan, uint32_t *count);
/* Append it, in Avro without what stands before it; the plan has a key. ODS_REJECT: a column of it
 * is not carried. */
enum ods_status form_put_key(const struct form *form, const struct form_plan *plan,
                             const struct value *row, struct buffer *out, struct error *error);

/* What stands in a record's value. */
struct form_value {
    enum change_op op;
    const struct value *before, *after; /* NULL: none */
    int64_t source_us, record_ms;
};

/* Append it likewise. */
enum ods_status form_put_value(struct form *form, const struct form_plan *plan,
                               const struct form_value *value, struct buffer *out,
                               struct error *error);

#endif
