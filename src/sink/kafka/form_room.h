/* What form.c, form_plan.c, form_avro.c and form_avro_value.c share: a shape's plan. Nobody else
 * includes it. */
#ifndef KAFKA_FORM_ROOM_H
#define KAFKA_FORM_ROOM_H

#include "sink/kafka/form.h"

struct form_column {
    const char *token; /* ,"name": on the plan's buffer; NULL: left out */
    size_t token_length;
    const char *base;     /* as declared; NULL: no schema */
    const char *key_base; /* in keys: without a type as the last one's value was; NULL: none yet */
    bool untyped;         /* declared by its values: as a text once two of them differ */
};

struct form_plan {
    const struct shape *shape;
    const struct table_settings *table;
    bool declared; /* records have a schema around them */
    struct form_column *columns;
    uint32_t *key, key_count;
    const char *missing; /* a column of the configured key that the shape lacks */
    bool has_op_field;   /* a column is called as op_field */
    struct buffer tokens, value_schema, key_schema;
    struct buffer source; /* {"version":…,"ts_ms": and what follows the number */
    size_t source_split;
    struct form_avro *avro; /* NULL: it is written as JSON */
    size_t bytes;
};

/* How a column is declared: as the type that it has, or that its values have. */
static inline const char *form_base(const struct form_plan *plan, uint32_t column)
{
    return plan->columns[column].base ? plan->columns[column].base : "string";
}

static inline const char *form_key_base(const struct form_plan *plan, uint32_t column)
{
    const struct form_column *at = &plan->columns[column];
    return !at->untyped ? form_base(plan, column) : at->key_base ? at->key_base : "string";
}

/* form_plan.c */
const char *form_shown_name(const struct form_plan *plan, uint32_t column);
/* Written out anew when a column is declared otherwise. False: memory is out. */
bool form_write_schemas(const struct form *form, struct form_plan *plan);
bool form_write_key_schema(const struct form *form, struct form_plan *plan);
void form_forget_plans(struct form *form);
/* The schemas of the plan's rows as Kafka Connect describes them, bare. */
void form_put_value_schema(struct buffer *out, const struct form *form,
                           const struct form_plan *plan);
void form_put_key_schema(struct buffer *out, const struct form *form,
                         const struct form_plan *plan);

/* form_avro.c. ODS_REJECT: rows of the plan can't be said in Avro. */
enum ods_status form_avro_plan(const struct form *form, struct form_plan *plan,
                               struct error *error);
enum ods_status form_avro_refusal(const struct form_plan *plan, struct error *error);
void form_avro_free(struct form_avro *avro); /* NULL is fine */
size_t form_avro_bytes(const struct form_avro *avro);
static inline bool form_avro_optional(const struct avro_type *type)
{
    return type->kind == AVRO_UNION;
}
/* form_avro_value.c: append a column's value; whole: of a row as it is now, where a value that is
 * not carried must be told from NULL. */
enum ods_status form_avro_put_field(const struct form *form, const struct column *column,
                                    const struct avro_type *type, const struct value *value,
                                    bool whole, struct buffer *out, struct error *error);
enum ods_status form_avro_put_key(const struct form *form, const struct form_plan *plan,
                                  const struct value *row, struct buffer *out,
                                  struct error *error);
enum ods_status form_avro_put_value(const struct form *form, const struct form_plan *plan,
                                    const struct form_value *value, struct buffer *out,
                                    struct error *error);

#endif
