/* Reads one table of a lake: its versions and the changes between them. One thread; nothing is
 * written. */
#ifndef LAKE_READER_H
#define LAKE_READER_H

#include <jansson.h>
#include <stdint.h>

#include <ods/setting.h>
#include <ods/status.h>

#include "sink/lake/settings.h"

struct lake_reader;

/* Opens the table at `place`, a folder by its whole path or s3://bucket/…. `settings`: of a target,
 * for its credentials and its engine; NULL: S3 is that of the environment (AWS_ENDPOINT_URL …).
 * ODS_REJECT: there is no table. */
enum ods_status lake_reader_open(struct lake_reader **reader, const char *place,
                                 const struct lake_settings *settings, struct error *error);
/* Opens the table `table` ("shop/orders") of Iceberg by its catalog: the settings' one, or without
 * them catalog.sqlite in the folder `location`. */
enum ods_status lake_reader_open_iceberg(struct lake_reader **reader, const char *location,
                                         const char *table, const struct lake_settings *settings,
                                         struct error *error);
void lake_reader_close(struct lake_reader *reader); /* NULL is fine */

/* Which events: as ods_lake_feed() (ods/lake.h) takes them. */
struct lake_feed_query {
    int64_t version; /* -1: only what is known of the table is asked for */
    bool snapshot;
    int64_t skip;
    const struct strings *key; /* none: the table's own */
    const char *topic, *schema, *table;
};

struct lake_feed_about {
    int64_t newest;
    size_t keys; /* columns of the key that holds */
    bool begun;  /* the version is there: lake_reader_events() has its events */
};

/* ODS_REJECT: the version was deleted, or a file of it. ODS_RETRY: an outage. */
enum ods_status lake_reader_feed(struct lake_reader *reader, const struct lake_feed_query *query,
                                 struct lake_feed_about *about, struct error *error);
/* Some of its events, each a line, until the next call; NULL: there are no more. */
enum ods_status lake_reader_events(struct lake_reader *reader, const char **lines,
                                   struct error *error);

/* Which versions: as ods_lake_versions() and ods_lake_changes() (ods/lake.h) take them. ODS_RETRY:
 * an outage, the same call may come again. */
enum ods_status lake_reader_versions(struct lake_reader *reader, const json_t *which,
                                     json_t **versions, struct error *error);
/* Begins with the changes of the versions *from to *upto; what an earlier call began ends. */
enum ods_status lake_reader_changes(struct lake_reader *reader, const json_t *which, int64_t *from,
                                    int64_t *upto, struct error *error);
/* Some of them, each a line of JSON, until the next call; NULL: there are no more. */
enum ods_status lake_reader_next(struct lake_reader *reader, const char **lines,
                                 struct error *error);

/* The same changes as a stream of Arrow's IPC format; further calls go on with it. Some of its
 * bytes until the next call; none: there are no more of these versions. */
enum ods_status lake_reader_arrow(struct lake_reader *reader, const json_t *which, int64_t *from,
                                  int64_t *upto, struct error *error);
enum ods_status lake_reader_next_arrow(struct lake_reader *reader, const uint8_t **bytes,
                                       size_t *size, struct error *error);

#endif
