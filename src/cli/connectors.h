/* What the files of `ods-sink connectors` share: connectors.c does, connectors_show.c prints,
 * connectors_clusters.c finds out whom to ask. */
#ifndef CONNECTORS_H
#define CONNECTORS_H

#include "cli/cli.h"
#include "cli/connector.h"

struct connectors_options {
    const char *config, *url, *cluster;
    struct strings names; /* of connectors, or files */
    struct strings sets;  /* PROPERTY=VALUE */
    bool json, yes, dry_run, offsets, detailed;
    bool quiet; /* say nothing on standard output */
    int64_t wait_ms;
};

struct connectors {
    const struct call *call;
    const struct connectors_options *options;
    const struct settings *settings; /* NULL: no configuration was named */
    const struct connect_settings **clusters; /* that may be meant */
    size_t cluster_count;
    struct connect *connect; /* of the cluster that is asked now */
};

/* The clusters that the configuration names, or the one named `only`: on the heap. CLI_USAGE: there
 * is none of that name. */
int connectors_clusters(struct connectors *connectors, const char *only, struct error *error);
/* What a cluster is called: "connect" where it has no name of its own. */
const char *connectors_cluster_name(const struct connect_settings *cluster);
/* Finds the clusters that the options mean. `single` is room for one whose url the command line
 * gives. */
int connectors_find_clusters(struct connectors *connectors, struct connect_settings *single,
                             struct error *error);
/* Ask the cluster that has the connector: of several that may be meant, the one where it is. */
int connectors_reach(struct connectors *connectors, const char *name, struct error *error);
/* Ask this cluster from now on. */
enum ods_status connectors_ask(struct connectors *connectors,
                               const struct connect_settings *cluster, struct error *error);

/* Each answers a cli_exit; with other than CLI_OK the error may say why, or it has been said.
 * connectors_plan() says what in the file differs from the connector that is there (also into the
 * array `changes`) and lets Connect check it; connectors_make_so() then changes it, and waits. */
int connectors_plan(const struct connectors *connectors, const struct connector_file *file,
                    json_t *changes, struct error *error);
int connectors_make_so(const struct connectors *connectors, const struct connector_file *file,
                       json_t *changes, struct error *error);
/* Put PROPERTY=VALUE in. */
bool connectors_set(struct connector_file *file, const struct strings *sets, struct error *error);

/* List them, or with `detailed` say how they are; of all clusters. */
int connectors_show(struct connectors *connectors);

/* Prints for the connector and each task that failed why, what that means and what helps. */
void connectors_print_failures(const json_t *status);
/* Puts the same of the first that failed into the error. */
void connectors_cause(const char *name, enum connector_state state, const json_t *status,
                      struct error *error);
/* Prints what in the configuration makes trouble. */
void connectors_print_troubles(const char *name, const json_t *config);
/* One connector as JSON, in one line, with the changes unless they are NULL. */
void connectors_print_json(const json_t *status, json_t *changes);

#endif
