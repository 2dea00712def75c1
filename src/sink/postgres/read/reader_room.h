/* What the files of this room share. */
#ifndef READER_ROOM_H
#define READER_ROOM_H

#include "sink/postgres/read/reader.h"
#include "sink/postgres/tables/plan.h"
#include "sink/postgres/values/encode.h"
#include "sink/postgres/values/readings.h"

struct reader {
    struct sink_config config;
    struct conn conn;
    struct catalog catalog;
    struct plans plans;
    struct encoder encoder;
    struct readings readings;
    struct known_table *known;
    char *own_schema; /* quoted; NULL: not asked for yet */
};

struct known_table {
    struct read_table table;
    const struct pg_table *of;
    struct read_column *columns;
    struct known_table *next;
};

#endif
