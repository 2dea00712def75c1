/* Kafka Connect's REST, for commands and for the daemon. One thread; each call waits for its
 * answer, bounded by connect.timeout_ms. */
#ifndef CONNECT_H
#define CONNECT_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"

struct connect;

/* ODS_FATAL: connect.url is not set. Sends no request yet. The settings outlive it.
 * `stop` is the daemon's, which asks again by itself, so that it waits for no answer longer than
 * 5 s, nor beyond `stop`; NULL for a command. */
enum ods_status connect_open(struct connect **connect, const struct connect_settings *settings,
                             const atomic_bool *stop, struct error *error);
void connect_close(struct connect *connect); /* accepts NULL */

/* Ask `path`, with a body unless it is NULL. *answer (may be NULL) is the caller's: the body,
 * JSON's null where there is none. While the workers rebalance (409) a command asks again,
 * for up to a minute.
 *   ODS_RETRY   nobody answers
 *   ODS_REJECT  Connect refuses: its own words, and its HTTP code in error->code
 *   ODS_FATAL   what answers is no Kafka Connect, or the settings do not do */
enum ods_status connect_ask(struct connect *connect, const char *method, const char *path,
                            const json_t *body, json_t **answer, struct error *error);

/* Was the refusal "there is none of that name"? */
bool connect_is_missing(const struct error *error);

/* "/connectors/<name, encoded><rest>", in the buffer, which is emptied first. */
const char *connect_path(struct buffer *path, const char *name, const char *rest);

/* A string member, "" when there is none. */
const char *json_text(const json_t *object, const char *name);

#endif
