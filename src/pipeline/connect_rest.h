/* Kafka Connect's REST as the daemon asks it: short questions, which end when the daemon does. */
#ifndef CONNECT_REST_H
#define CONNECT_REST_H

#include <jansson.h>
#include <stdatomic.h>

#include "config/settings.h"
#include "http/http_client.h"

struct connect_rest {
    struct http_client *client;
    struct http_answer answer;
    const char *urls; /* the workers of a cluster, separated by commas */
    char url[512];    /* of the one that answered */
};

/* The settings, and `stop` (or NULL), outlive it. */
enum ods_status connect_rest_open(struct connect_rest *rest,
                                  const struct connect_settings *settings,
                                  const atomic_bool *stop, struct error *error);
void connect_rest_close(struct connect_rest *rest);

/* Of the first worker that answers: the connectors by name, each with what `expand` asks for
 * ("info", "status"). The caller gives it back; NULL with the error filled. */
json_t *connect_rest_connectors(struct connect_rest *rest, const char *expand, struct error *error);
/* The same of a path of that worker. */
json_t *connect_rest_get(struct connect_rest *rest, const char *path, struct error *error);

#endif
