/* A table of a lake that a command names by its place, and the moments that it prints. */
#ifndef LAKE_PLACE_H
#define LAKE_PLACE_H

#include "cli/cli.h"
#include "sink/lake/reader.h"

/* What versions a command asks for. */
struct lake_range {
    const char *place, *config; /* config NULL: none */
    int64_t from, upto;         /* below 0: not given */
    int64_t from_snapshot, upto_snapshot; /* likewise */
    int64_t since_us;           /* INT64_MIN: not given */
};

#define LAKE_RANGE_DEFAULTS                                                                        \
    .from = -1, .upto = -1, .from_snapshot = -1, .upto_snapshot = -1, .since_us = INT64_MIN

struct lake_place {
    struct lake_reader *reader;
    struct config *config;
    char *path; /* a folder by its whole path, s3://bucket/…, or a name in a catalog */
};

/* Opens delta:// or iceberg:// with a folder, s3://bucket/… or (Iceberg) a name behind it, by the
 * settings of the configuration's target whose tables are there, if one is given. What is wrong is
 * said. A cli_exit; close either way. */
int lake_place_open(struct lake_place *place, const struct call *call,
                    const struct lake_range *range);
void lake_place_close(struct lake_place *place);

/* The versions, as the reader takes them. */
json_t *lake_range_json(const struct lake_range *range);
/* Is a beginning given? */
bool lake_range_begins(const struct lake_range *range);

/* Says what failed; CLI_TARGET. */
int lake_place_failed(const struct call *call, const struct error *error);

/* 2026-01-31T12:00:00Z; "-" when it is not known. */
const char *lake_moment(int64_t ms, char *text, size_t size);
/* "topic:0 → 1200, …", in the buffer, which is emptied first. */
const char *lake_offsets(const json_t *offsets, struct buffer *out);

#define LAKE_PLACE_DOC                                                                             \
    "`delta://` and the table's place: a folder (`delta:///var/lib/lake/shop/orders`) or a part "  \
    "of a bucket (`delta://s3://bucket/shop/orders`); `iceberg://` and likewise a folder, "        \
    "with `catalog.sqlite` in a folder above it, or with `-c` any place or name of the target's " \
    "(`iceberg://shop.orders`)"
#define LAKE_FROM_SNAPSHOT(type, doc)                                                              \
    OPTION(type, range.from_snapshot, "from-snapshot", &argument_number,                           \
           doc ", by its id (Iceberg)", .value = "ID", .either = 1)
#define LAKE_TO_SNAPSHOT(type)                                                                     \
    OPTION(type, range.upto_snapshot, "to-snapshot", &argument_number,                             \
           "up to this snapshot, by its id (Iceberg)", .value = "ID", .either = 2)
#define LAKE_CONFIG(type)                                                                          \
    OPTION(type, range.config, "config", &argument_file,                                           \
           "ods-sink.conf, whose target has the table: for the storage's address and "             \
           "credentials",                                                                          \
           .letter = 'c')

#endif
