/* Which table somebody means: by the source's name for it or the target's, in the configuration. */
#ifndef TABLE_CHOICE_H
#define TABLE_CHOICE_H

#include "config/config.h"
#include "sink/postgres/read/reader.h"

struct table_choice {
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    const struct target_settings *target;
    const struct table_settings *table; /* what tables.yaml says of it */
    char *qualifier, *source;           /* of the source: "shop" and "items"; "": not known */
    char *schema, *name;                /* in the target */
    unsigned certainty;
};

/* `text`: "items", "shop.items", "public.items". `pipeline`: NULL, or the only one to look at. With
 * `any_pipeline` one of several that write the same table of the target will do. A cli_exit;
 * CLI_USAGE: none or several are meant, the error lists them. */
int table_choose(struct table_choice *choice, const struct settings *settings, const char *text,
                 const char *pipeline, bool any_pipeline, struct error *error);
/* Of any target that can erase a row, and not only of those that can be read. */
int table_choose_to_erase(struct table_choice *choice, const struct settings *settings,
                          const char *text, const char *pipeline, struct error *error);
void table_choice_done(struct table_choice *choice);

/* Connect to the choice's target. A cli_exit. */
int table_reader_open(struct reader **reader, const struct table_choice *choice,
                      int64_t timeout_ms, struct error *error);

/* A topic that carries the table. */
struct choice_topic {
    char *name;
    int32_t partitions;
};

struct choice_topics {
    struct choice_topic *items;
    size_t count, capacity;
    bool all; /* none is named like the table: these are all of the pipeline's */
    bool failed;
};

/* CLI_USAGE: the pipeline's records come from elsewhere than Kafka. */
int choice_check_source(const struct table_choice *choice, struct error *error);

struct kafka_tool;
/* By the table's own `topics`, else by the names of topics, else all. `reader`: NULL where the
 * target is none that is read. A cli_exit. */
int choice_topics_find(struct choice_topics *topics, const struct table_choice *choice,
                      struct reader *reader, struct kafka_tool *tool, struct error *error);
void choice_topics_done(struct choice_topics *topics);

#endif
