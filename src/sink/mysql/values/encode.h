/* A value of a change as MySQL reads it for a column of the target. */
#ifndef MYSQL_ENCODE_H
#define MYSQL_ENCODE_H

#include <ods/batch.h>
#include <ods/pipeline.h>

#include "sink/mysql/tables/catalog.h"
#include "sink/source_column.h"

enum mysql_form {
    MYSQL_NULL,
    MYSQL_NUMBER, /* digits, sign, point, exponent and nothing else: goes in without quotes */
    MYSQL_TEXT,   /* UTF-8: goes in quoted and escaped */
    MYSQL_BYTES,  /* raw: binaries, bits, geometries (SRID and WKB) */
};

struct mysql_out {
    enum mysql_form form;
    uint32_t length;
    const char *bytes; /* in the arena, or the value's own; not terminated */
};

/* What the settings say of values. */
struct mysql_encoding {
    const struct source_settings *source;
    const struct table_settings *table;
    bool key; /* the value names its row, whichever unique key of the target that is */
    struct apply_result *result; /* zero_dates, values_rounded, nul_stripped grow */
};

/* `source` is the value's column, as the plan corrects it (mysql_plan.sources). Equal values of one
 * column are equal bytes: 1.50 and 1.5 for a decimal(10,2), so that keys can be compared.
 * ODS_REJECT: it does not fit, and error->column is the target's; a value is never cut, rounded or
 * taken for another one in silence. ODS_RETRY: memory is out. */
enum ods_status mysql_encode(const struct mysql_encoding *encoding,
                             const struct mysql_column *column,
                             const struct source_column *source, const struct value *value,
                             struct arena *arena, struct mysql_out *out, struct error *error);

#endif
