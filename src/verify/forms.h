/* A column's text, as a source database writes it, into the value that its connector would have
 * sent: the same kinds and meanings that a decoder makes of records, so that the sink's own type
 * code takes it from here. */
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
    FORM_BITS,  /* bytes, the first the highest */
    FORM_DIGIT_BITS, /* 0 and 1, the first the highest */
    FORM_BOOLEAN,    /* t, f */
    FORM_DATE,
    FORM_TIME, /* [-]h…:mm:ss[.ffffff] */
    FORM_TIMESTAMP_MS,
    FORM_TIMESTAMP_US,
    FORM_MOMENT,     /* UTC, without or with a zone that says so */
    FORM_TIME_ZONED, /* hh:mm:ss[.f]±hh[:mm] */
    FORM_MONEY,
    FORM_GEOMETRY, /* MySQL's: the SRID, then well-known binary */
    FORM_POINT,    /* (x,y) */
};

struct field {
    const char *bytes; /* not terminated; NULL: NULL */
    size_t length;
};

/* What is read of a column. */
struct form_column {
    enum form form;
    bool not_null;  /* a date that no calendar has is then the connector's epoch, not NULL */
    bool is_number; /* as a literal */
    bool is_bytes;
    bool is_float; /* MySQL's float, which has its own equality */
};

/* Bytes live as long as the cell or the arena. ODS_REJECT: it can't be read. */
enum ods_status form_value(const struct form_column *column, const struct field *cell,
                           struct arena *arena, struct value *value, struct error *error);

#endif
