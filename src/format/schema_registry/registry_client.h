/* Asks a schema registry for one schema, and for those that it refers to, or for the id of one.
 *
 * Protocol: Confluent's Schema Registry API (/schemas/ids, /schemas/guids, /subjects), which
 * Apicurio's /apis/ccompat/v7, Karapace and Redpanda have too; for ids that are Apicurio's own, its
 * /apis/registry/v2. In place of a registry there may be a file: {"<id>": {"schema": "…",
 * "references": […]}, …}. It waits for its answers, so a lane's consumer never enters it. One
 * thread.
 */
#ifndef REGISTRY_CLIENT_H
#define REGISTRY_CLIENT_H

#include <stdatomic.h>

#include <ods/pipeline.h>
#include <ods/status.h>

#include "core/json_scan.h"

/* How a record names its schema. */
enum schema_id {
    SCHEMA_ID,         /* the number after the magic byte, or in Confluent's header */
    SCHEMA_GUID,       /* Confluent's header */
    SCHEMA_GLOBAL_ID,  /* Apicurio's headers */
    SCHEMA_CONTENT_ID,
};

struct schema_ref {
    enum schema_id kind;
    uint64_t high, low; /* the number is in `low` */
};

static inline bool schema_ref_same(const struct schema_ref *a, const struct schema_ref *b)
{
    return a->low == b->low && a->kind == b->kind && a->high == b->high;
}

/* "schema id 42", "schema guid …": for messages. */
#define SCHEMA_REF_BYTES 64
const char *schema_ref_text(const struct schema_ref *ref, char *text);

/* The languages of schemas that are read here. */
enum schema_type { SCHEMA_AVRO, SCHEMA_PROTOBUF };

/* A schema and what it refers to, each after what it needs itself; the last is the schema's own. */
struct schema_texts {
    enum schema_type type;
    struct slice *items;
    char **names; /* by which the others refer to an item; "" for the last, or not known */
    size_t count, bytes;
    char subject[128]; /* one of those that it is registered under; "": it is not known */
    bool key_only;     /* all of them are subjects of keys ("…-key") */
    bool value_only;   /* … of values */
};

void schema_texts_done(struct schema_texts *texts); /* also for zeroed ones */
bool schema_texts_add(struct schema_texts *texts, const char *name, const char *bytes,
                      size_t length);

struct registry_client;

/* `stop`: ends a question that waits for its answer; NULL: nobody stops it. Settings and stop
 * outlive the client. */
enum ods_status registry_client_open(struct registry_client **client,
                                     const struct registry_settings *settings,
                                     const atomic_bool *stop, struct error *error);
void registry_client_close(struct registry_client *client); /* accepts NULL */

/* ODS_OK: here it is. ODS_RETRY: the registry is away, or does not answer as a registry; the
 * error names it. ODS_REJECT: it has answered, and there is no such schema (*unknown), or one that
 * is of no language that is read here, or too large. */
enum ods_status registry_client_fetch(struct registry_client *client, const struct schema_ref *ref,
                                      struct schema_texts *texts, bool *unknown,
                                      struct error *error);

/* The id of an Avro schema under a subject: it is registered where it is not there yet, or without
 * `registers` only looked for. ODS_RETRY: the registry is away, or may not be written to now.
 * ODS_REJECT: it refuses the schema, or does not have it (*unknown). */
enum ods_status registry_client_register(struct registry_client *client, const char *subject,
                                         struct slice schema, bool registers, uint32_t *id,
                                         bool *unknown, struct error *error);

/* Has the registry no schema at all, as one that is about to be restored? */
bool registry_client_is_empty(struct registry_client *client);

/* Ask each URL once: a line for each that answers. Anything but ODS_OK: one does not. */
enum ods_status registry_client_check(struct registry_client *client,
                                      void (*report)(void *context, const char *line),
                                      void *context, struct error *error);

#endif
