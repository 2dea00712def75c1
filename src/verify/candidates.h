/* Tables of a source, by name: those that may be a pipeline's; and the run that compares them. */
#ifndef CANDIDATES_H
#define CANDIDATES_H

#include "verify/inspection.h"

struct candidate {
    char *schema, *name; /* in the source: MySQL's database is its schema */
    bool shared;         /* its table in the target has rows of other tables too */
    bool known;          /* the target has rows that came under this name */
    bool asked;          /* the user has named it */
};

struct candidates {
    struct candidate *items;
    size_t count;
};

/* A run of verify, which goes through the pipelines one after the other. */
struct run {
    const struct verify_options *options;
    const struct verify_listener *listener;
    struct verify_state state;
    const struct pipeline_settings *pipeline;
    const struct database_settings *database_settings;
    const struct target_settings *target_settings;
    struct database *database;
    struct target target;
    int tickets[2]; /* of both in options->cutoff */
    struct arrival arrival;
    struct pace pace;
    struct catalog catalog;
    struct plans plans;
    struct sink_config sink_config;
    struct candidates candidates;
    bool *named; /* for each of options->tables: it was found */
    uint64_t verdicts[4];
    enum cli_exit channel_code; /* of the channel's call that has failed; CLI_OK: none has */
};

/* The one of this name, which is added if it is new. NULL: out of memory. */
struct candidate *candidates_add(struct candidates *candidates, const char *schema,
                                 const char *name);
/* Lists the source tables from which the target has rows, in run->candidates. */
enum ods_status candidates_list_known(struct run *run, struct error *error);
/* Lists the tables that tables.yaml names, and those that the user has named by the source's full
 * name; the target may have no rows of them. */
enum ods_status candidates_list_named(struct run *run, struct error *error);
/* Lists the table whose topic "<prefix>.<schema>.<table>" it is, if the user has it in mind. */
enum ods_status candidates_list_topic(struct run *run, const char *topic, struct error *error);
/* Lists the tables whose records the pipeline has read, and those that tables.yaml names. */
enum ods_status candidates_list_sources(struct run *run, struct candidates *sources,
                                        struct error *error);
void candidates_done(struct candidates *candidates); /* empty again */

#endif
