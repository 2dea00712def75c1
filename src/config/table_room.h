/* What both tables of settings need. */
#ifndef TABLE_ROOM_H
#define TABLE_ROOM_H

#include "config/settings.h"
#include "config/table.h"

#define AT(type, member) offsetof(struct type, member)
#define KIB              INT64_C(1024)
#define DAY_MS           INT64_C(86400000)

/* The rows of a registry, in tables.yaml and in ods-sink.conf. */
#define REGISTRY_ROWS(type)                                                                        \
    {"registry.url", SETTING_STRING, AT(type, registry.url), "", REGISTRY_INHERITS,                \
     .max = 4096,                                                                                  \
     .doc = "The schema registry of the Avro formats: its Confluent API, as "                      \
            "`http://host:8081`, or of Apicurio `http://host:8080/apis/ccompat/v7`. Several "      \
            "are separated by commas: the first that answers is asked. `file:///path` names a "    \
            "JSON file in its place: `{\"<id>\": {\"schema\": \"…\"}, …}`."},               \
    {"registry.user", SETTING_STRING, AT(type, registry.user), "", .max = 1000,                    \
     .doc = "User for basic authentication. Empty: none."},                                        \
    {"registry.password", SETTING_STRING, AT(type, registry.password), "", .max = 10000,           \
     .doc = "Its password, best as `${NAME}` or `${file:/path}`. Never printed."},                 \
    {"registry.token", SETTING_STRING, AT(type, registry.token), "", .max = 100000,                \
     .doc = "Token for bearer authentication, in place of user and password; likewise."},          \
    {"registry.ca", SETTING_STRING, AT(type, registry.ca), "",                                     \
     .inherits = "the system's authorities", .max = 4096,                                          \
     .doc = "File of the certificates (PEM) by which an `https://` registry is known. Its host "   \
            "name is checked too."},                                                               \
    {"registry.client_cert", SETTING_STRING, AT(type, registry.client_cert), "", .max = 4096,      \
     .doc = "File of our own certificate (PEM), for a registry that asks for one."},               \
    {"registry.client_key", SETTING_STRING, AT(type, registry.client_key), "", .max = 4096,        \
     .doc = "File of the key to `registry.client_cert` (PEM); empty: it is in the same file."},    \
    {"registry.timeout_ms", SETTING_MS, AT(type, registry.timeout_ms), "10000", .min = 100,        \
     .max = 600000,                                                                                \
     .doc = "How long one answer may take. A registry that does not answer is an outage: the "     \
            "partitions whose next record needs a schema that is not known yet wait."},            \
    {"registry.cache", SETTING_INT, AT(type, registry.cache), "1000", .min = 1, .max = 10000,      \
     .doc = "How many schemas the pipeline keeps, at most 64 MiB of them; the ones not used for "  \
            "longest are forgotten first, and asked for again when a record needs them."},         \
    {"registry.unknown_ms", SETTING_MS, AT(type, registry.unknown_ms), "3000", .min = 0,           \
     .max = 3600000,                                                                               \
     .doc = "How long an id is asked for again that the registry says it does not know, before "   \
            "its records become dead letters: a replica of the registry may be behind. A "         \
            "registry without any schema is given a minute, since it may be about to be "          \
            "restored. What is not known then is asked for again after half a minute, if a "       \
            "record still needs it."}

#endif
