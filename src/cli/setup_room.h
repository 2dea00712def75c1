/* What the files of `ods-sink setup` share. */
#ifndef ODS_SETUP_ROOM_H
#define ODS_SETUP_ROOM_H

#include "cli/connectors.h"
#include "source/kafka/kafka_admin.h"

struct setup_options {
    const char *config, *cluster;
    struct strings connectors, sets;
    bool json, yes, dry_run;
    int64_t wait_ms;
};

enum step_state { STEP_DONE, STEP_TO_DO, STEP_NOTE, STEP_FAILED };

struct setup {
    const struct call *call;
    const struct setup_options *options;
    const struct settings *settings;
    struct connectors_options connector_options;
    struct connectors connectors;
    struct connector_file *files;
    json_t **changes;                         /* by file */
    const struct connect_settings **clusters; /* by file */
    size_t file_count;
    struct kafka_admin *admin;
    json_t *topics; /* those that there are, as keys */
    json_t *steps;  /* what was done, or is to be done */
    size_t to_do;
    bool told; /* a failure has been reported */
};

/* A line of what was found or done, for people at once, for --json at the end. */
void setup_say(struct setup *setup, const char *what, enum step_state state, const char *format,
               ...) __attribute__((format(printf, 4, 5)));

/* setup_plan.c: looks, changes nothing, and says what is there, to do, or wrong. Exit codes. */
int setup_plan(struct setup *setup, struct error *error);
/* The cluster where a connector is registered: that of --cluster, that of the pipeline which reads
 * its topics, or that of all pipelines. NULL: the error says why that can't be told. */
const struct connect_settings *
setup_cluster_of(struct setup *setup, const struct connector_file *file, struct error *error);
/* Ask the cluster of this file's connector from now on. */
bool setup_turn_to(struct setup *setup, size_t number, struct error *error);
/* Looks at the rights in each pipeline's target; with `make`, makes what the sink owns there. */
int setup_reach_targets(struct setup *setup, bool make, struct error *error);

/* Of topics that ods-sink makes: names and values in turn, NULL-terminated. */
extern const char *const setup_letter_settings[], *const setup_signal_settings[];

/* setup_await.c: waits until every pipeline's first records are there and, where a daemon runs,
 * are applied. */
int setup_await(struct setup *setup, struct error *error);

#endif
