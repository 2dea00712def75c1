/* Chooses the cluster of Kafka Connect that is asked. See connectors.h. */
#include "cli/connectors.h"

#include <stdlib.h>
#include <string.h>

const char *connectors_cluster_name(const struct connect_settings *cluster)
{
    return cluster->name ? cluster->name : "connect";
}

int connectors_clusters(struct connectors *connectors, const char *only, struct error *error)
{
    const struct settings *settings = connectors->settings;
    size_t count = 0;
    connectors->clusters = calloc(settings->connect_cluster_count + 2, sizeof(void *));
    if (!connectors->clusters) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; i <= settings->connect_cluster_count; i++) {
        const struct connect_settings *one =
            i ? &settings->connect_clusters[i - 1] : &settings->connect;
        if ((*one->url || !settings->connect_cluster_count) &&
            (!only || strcmp(connectors_cluster_name(one), only) == 0))
            connectors->clusters[count++] = one;
    }
    connectors->cluster_count = count;
    if (count)
        return CLI_OK;
    error_set(
        error, ODS_FATAL,
        "ods-sink.conf has no cluster \"%s\" in connect_clusters (nor is it \"connect\", with a "
        "connect.url)",
        only ? only : "");
    return CLI_USAGE;
}

enum ods_status connectors_ask(struct connectors *connectors,
                               const struct connect_settings *cluster, struct error *error)
{
    connect_close(connectors->connect);
    return connect_open(&connectors->connect, cluster, NULL, error);
}

int connectors_reach(struct connectors *connectors, const char *name, struct error *error)
{
    const struct connect_settings *found = NULL;
    size_t count = 0;
    if (connectors->cluster_count == 1)
        return CLI_OK;
    for (size_t i = 0; i < connectors->cluster_count; i++) {
        json_t *config = NULL;
        enum ods_status status = connectors_ask(connectors, connectors->clusters[i], error);
        if (status == ODS_OK)
            status = connector_config(connectors->connect, name, &config, error);
        json_decref(config);
        if (status == ODS_OK) {
            found = connectors->clusters[i];
            count++;
        } else if (status != ODS_REJECT || !connect_is_missing(error)) {
            error_prefix(error, "cluster %s: ", connectors_cluster_name(connectors->clusters[i]));
            return CLI_SOURCE;
        }
    }
    error_init(error);
    if (count == 1)
        return connectors_ask(connectors, found, error) == ODS_OK ? CLI_OK : CLI_SOURCE;
    error_set(error, ODS_REJECT,
              count ? "several clusters have a connector %s: say which one with --cluster"
                    : "none of the clusters has a connector %s: say which one is meant with "
                      "--cluster",
              name);
    return count ? CLI_USAGE : CLI_NEGATIVE;
}

int connectors_find_clusters(struct connectors *connectors, struct connect_settings *single,
                             struct error *error)
{
    const struct connectors_options *options = connectors->options;
    int code = CLI_OK;
    if (connectors->settings) {
        code = connectors_clusters(connectors, options->cluster, error);
        if (code == CLI_OK && connectors->cluster_count)
            *single = *connectors->clusters[0];
    } else if (!(connectors->clusters = calloc(1, sizeof(void *)))) {
        error_out_of_memory(error);
        code = CLI_INTERNAL;
    }
    if (code == CLI_OK && (options->url || !connectors->cluster_count)) {
        if (options->url)
            single->url = options->url;
        connectors->clusters[0] = single;
        connectors->cluster_count = 1;
    }
    /* The others say at each connector what is wrong with its cluster. */
    if (code == CLI_OK && connectors->cluster_count == 1 &&
        connectors_ask(connectors, connectors->clusters[0], error) != ODS_OK)
        code = CLI_CONFIG;
    return code;
}
