/* Turns a column's text, as a source database writes it, into the value that its connector would
 * have sent. Kinds and meanings are those that a decoder makes from records, so that the sink's own
 * encoders can take the value. */
#ifndef FORMS_H
#define FORMS_H

#include <ods/batch.h>
#include <ods/status.h>
#include <ods/value.h>

/* How a database writes a column's values. */
enum form {
    FORM_NONE, /* not compared */
    FORM_INT,
    FORM_NUMBER, /* digits */
    FORM_TEXT,
    FORM_BYTES, /* as they are */
    FORM_HEX,   /* \x… */
    FORM_BIT,   /* one bit, a boolean: a byte, or 0 or 1 */
    FORM_BITS,  /* bytes, the highest first */
    FORM_DIGIT_BITS, /* digits 0 and 1, the highest first */
    FORM_BOOLEAN,    /* t, f */
    FORM_DATE,
    FORM_TIME, /* [-]h…:mm:ss[.ffffff] */
    FORM_TIMESTAMP_MS,
    FORM_TIMESTAMP_US,
    FORM_MOMENT,     /* UTC, with or without its zone */
    FORM_TIME_ZONED, /* hh:mm:ss[.f]±hh[:mm] */
    FORM_MONEY,
    FORM_GEOMETRY, /* MySQL's: the SRID, then well-known binary */
    FORM_POINT,    /* (x,y) */
};

struct field {
    const char *bytes; /* not terminated; NULL: NULL */
    size_t length;
};

/* How a column is read. */
struct form_column {
    enum form form;
    bool not_null;  /* the connector sends an invalid date as the epoch, and not as NULL */
    bool is_number; /* a literal of it needs no quotes */
    bool is_bytes;
    bool is_float; /* MySQL's float, which is compared by six digits */
};

/* The value's bytes are in the cell or the arena. ODS_REJECT: the text can't be read. */
enum ods_status form_value(const struct form_column *column, const struct field *cell,
                           struct arena *arena, struct value *value, struct error *error);

#endif
