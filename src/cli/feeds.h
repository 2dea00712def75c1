/* Which topics feed which pipelines, and how far each is applied: Kafka and the targets asked once,
 * nothing changed. */
#ifndef FEEDS_H
#define FEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/status.h>
#include "config/config.h"

struct feed_partition {
    int32_t partition;
    int64_t low, high;  /* what Kafka has: [low, high); -1: not known */
    int64_t stored;     /* the next to apply, by the target; -1: it has none */
    int64_t committed;  /* by the group; -1: none */
    int64_t lag;        /* records that are not applied and that Kafka has; -1: not known */
    int64_t lost;    /* records between the stored offset and low: gone before they were applied */
    int64_t next_ms; /* when the next one to apply was written; -1: there is none, or not known */
    int64_t newest_ms;  /* when the last one was written; -1 likewise */
    int64_t bytes;      /* by feeds_measure(), an estimate; -1: not known */
};

/* A topic of a pipeline. */
struct feed {
    const struct pipeline_settings *pipeline;
    char *topic;
    struct feed_partition *partitions;
    int32_t count;
    char *source_table; /* as its name tells; NULL: the records alone can */
    char *table;        /* where its rows go; NULL: as above */
    char *history;      /* where its changes go, too or alone; NULL: nowhere, or as above */
    bool skipped;       /* by the configuration */
    int64_t retention_ms; /* of the topic; -1: records stay for ever, or it is not known */
};

/* A topic that no pipeline takes. */
struct unread {
    char *topic;
    int32_t partitions;
    int64_t records; /* -1: not known */
    int64_t bytes;   /* by feeds_measure(); -1: not known */
    const char *role; /* what it is for, as the configuration tells; NULL: not known */
};

struct feeds {
    struct feed *feeds;
    size_t feed_count;
    struct unread *unread;
    size_t unread_count;
    int64_t now_ms;
    bool failed_target; /* a target did not answer: its offsets are not known */
};

/* Fill `feeds` for one pipeline, or all (NULL). What a target says that does not answer goes to
 * `complain`; its offsets are then not known. */
enum ods_status feeds_load(struct feeds *feeds, const struct settings *settings,
                           const struct pipeline_settings *only,
                           void (*complain)(void *context, const char *text), void *context,
                           struct error *error);
/* Adds a topic of a pipeline that does not read Kafka, of which nothing but the names of its tables
 * is told. Once is enough. False: out of memory. */
bool feeds_add(struct feeds *feeds, const struct settings *settings,
               const struct pipeline_settings *pipeline, const char *topic);
void feeds_done(struct feeds *feeds);

/* Estimate the bytes of every topic, also of those that no pipeline takes, by up to 24 records of
 * each partition. `interrupted` ends it. */
enum ods_status feeds_measure(struct feeds *feeds, const struct settings *settings,
                              bool (*interrupted)(void), struct error *error);
int64_t feed_bytes(const struct feed *feed); /* -1: not known */

/* Sums over the partitions; -1 where one is not known. */
int64_t feed_records(const struct feed *feed);
int64_t feed_lag(const struct feed *feed);
int64_t feed_lost(const struct feed *feed);
/* How old the oldest record is that waits, 0: none does, -1: not known. */
int64_t feed_behind_ms(const struct feeds *feeds, const struct feed *feed);
/* How long until the topic's retention takes the oldest record that waits; -1: it does not. */
int64_t feed_left_ms(const struct feeds *feeds, const struct feed *feed);
/* When its last record was written, -1: not known. */
int64_t feed_newest_ms(const struct feed *feed);

#endif
