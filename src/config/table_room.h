/* What the tables of settings need. */
#ifndef TABLE_ROOM_H
#define TABLE_ROOM_H

#include "config/settings.h"
#include "config/settings_registry.h"
#include "config/table.h"

#define AT(type, member) offsetof(struct type, member)
#define KIB              INT64_C(1024)
#define DAY_MS           INT64_C(86400000)

/* The rows of a registry that schemas are read from, in tables.yaml and in ods-sink.conf. */
#define REGISTRY_ROWS(type)                                                                        \
    REGISTRY_ACCESS_ROWS(type, REGISTRY_INHERITS,                                                  \
                         "The schema registry of the Avro and Protobuf formats: its Confluent "    \
                         "API, as `http://host:8081`, or of Apicurio "                             \
                         "`http://host:8080/apis/ccompat/v7`. Several are separated by commas: "   \
                         "the first that answers is asked. `file:///path` names a JSON file in "   \
                         "its place: `{\"<id>\": {\"schema\": \"…\"}, …}`."),                      \
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
