/* What form.c and form_plan.c share: a shape's plan. Nobody else includes it. */
#ifndef KAFKA_FORM_ROOM_H
#define KAFKA_FORM_ROOM_H

#include "sink/kafka/form.h"

struct form_column {
    const char *token; /* ,"name": on the plan's buffer; NULL: left out */
    size_t token_length;
    const char *base; /* as declared; NULL: no schema */
    bool untyped;     /* declared by its values: as a text once two of them differ */
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
    size_t bytes;
};

/* How a column is declared: as the type that it has, or that its values have. */
static inline const char *form_base(const struct form_plan *plan, uint32_t column)
{
    return plan->columns[column].base ? plan->columns[column].base : "string";
}

/* form_plan.c */
const char *form_shown_name(const struct form_plan *plan, uint32_t column);
/* Written out anew when a column is declared otherwise. False: memory is out. */
bool form_write_schemas(const struct form *form, struct form_plan *plan);
void form_forget_plans(struct form *form);

#endif
