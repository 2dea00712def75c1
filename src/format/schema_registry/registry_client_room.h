/* What the files of the registry's client share. Nobody else includes it. */
#ifndef REGISTRY_CLIENT_ROOM_H
#define REGISTRY_CLIENT_ROOM_H

#include "format/schema_registry/registry_client.h"
#include "http/http_client.h"

struct yyjson_doc;

#define REGISTRY_URLS_MAX 16
#define REGISTRY_JSON     "application/vnd.schemaregistry.v1+json"

struct registry_client {
    const struct registry_settings *settings;
    char *urls; /* their memory */
    const char *url[REGISTRY_URLS_MAX];
    struct http_client *http[REGISTRY_URLS_MAX]; /* NULL: it is a file */
    size_t count, first;                         /* the one that answered last is asked first */
    struct http_answer answer;
};

/* Asks one of the URLs, into client->answer. body NULL: GET, else POST. */
enum ods_status registry_ask(struct registry_client *client, size_t which, const char *path,
                             const struct buffer *body, struct error *error);
/* Confluent's code, as 40403 "schema not found"; 0: there is none. */
long registry_error_code(struct yyjson_doc *doc);
/* Is it an answer about a schema or a subject, and not about the path? */
bool registry_says_unknown(struct yyjson_doc *doc);
/* ODS_RETRY: the answer is not that of a registry, or not now. */
enum ods_status registry_no_answer(const struct registry_client *client, size_t which,
                                   struct error *error);
/* A subject as a part of a path. */
void registry_escape(char *out, size_t size, const char *text);

#endif
