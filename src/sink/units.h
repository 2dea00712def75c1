/* The unit of a number that is a date or time, where the record has no schema to tell it. */
#ifndef UNITS_H
#define UNITS_H

#include <ods/pipeline.h>
#include <ods/status.h>
#include "sink/source_column.h"

/* What the target's column holds. */
enum unit_of { UNIT_OF_DATE, UNIT_OF_TIME, UNIT_OF_TIMESTAMP, UNIT_OF_LAPSE };

struct unit_asked {
    const struct source_settings *source;
    enum connector connector;
    enum unit_of what;
    int32_t precision; /* fractional digits of the target's column; -1: it names none */
    int64_t number;
};

/* The type of the number, by the settings or the connector's default. ODS_REJECT: its unit can't be
 * told, and the error says why. */
enum ods_status unit_of_number(const struct unit_asked *asked, enum semantic *type,
                               struct error *error);

#endif
