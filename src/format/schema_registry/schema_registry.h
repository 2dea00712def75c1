/* The schemas that a pipeline's records name by id, as its lanes' decoders see them: known, asked
 * for, or not in the registry.
 *
 * Who asks never waits: what is not known yet is ODS_RETRY, and the helper's thread asks the
 * registry for it (registry_client.h) and wakes the lanes. Commands have no such thread: there the
 * caller's own one asks, and waits. Bounded by registry.cache and by bytes; what was not used for
 * longest goes first. */
#ifndef SCHEMA_REGISTRY_H
#define SCHEMA_REGISTRY_H

#include <ods/format.h>
#include <ods/pipeline.h>

#include "format/schema_registry/registry_client.h"

extern const struct format_helper_ops schema_registry_ops;

struct schema_registry;

/* The registry of a helper; NULL: there is no helper. */
struct schema_registry *schema_registry_of(struct format_helper *helper);

/* Opens one for a command, without a thread. Settings outlive it. */
enum ods_status schema_registry_open(struct schema_registry **registry,
                                     const struct registry_settings *settings,
                                     struct error *error);
void schema_registry_close(struct schema_registry *registry); /* accepts NULL */

/* A copy of the schema's texts, the caller's to give back. Any thread.
 * ODS_RETRY: it is not known yet; the error says what is waited for. ODS_REJECT: there is no such
 * schema, or none in Avro or Protobuf. */
enum ods_status schema_registry_get(struct schema_registry *registry, const struct schema_ref *ref,
                                    struct schema_texts *texts, struct error *error);

#endif
