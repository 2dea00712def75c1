/* What the checks share. */
#ifndef VALIDATE_ROOM_H
#define VALIDATE_ROOM_H

#include "config/validate.h"

#define REFUSE(load, node, ...)                                                                    \
    findings_error((load)->findings, (node)->source, (node)->line, __VA_ARGS__)

/* The node that a finding points at: the entry's value if there is one, else the group around it.
 */
const struct node *validate_place(const struct node *group, const char *name);
/* Topic names and patterns; patterns are compiled as librdkafka compiles them. */
void validate_topic(struct load *load, const struct node *node, const char *topic,
                    const char *dead_letter);
bool validate_port(const char *port); /* digits, at most 65535 */
void validate_transforms(struct load *load, const struct node *node,
                         const struct transform_settings *transforms, size_t count);

/* validate_http.c: the group `http` of ods-sink.conf. */
void validate_http(struct load *load, const struct node *node, const struct http_settings *http);

/* validate_amqp.c: the list `amqp` of ods-sink.conf. */
void validate_brokers(struct load *load, const struct node *node, const struct settings *settings);

/* validate_quality.c: the rules of a pipeline and of its tables; gives them names. */
void validate_quality(struct load *load, const struct node *node, const struct settings *settings,
                      struct pipeline_settings *pipeline);

/* validate_tables.c: `defaults` and `tables` of a pipeline. */
void validate_tables(struct load *load, const struct node *node, struct pipeline_settings *pipeline,
                     const char *dead_letter);

/* validate_derived.c: resolves `derived`, and hands it to the pipelines, whose rows leave marks. */
void validate_derived(struct load *load, const struct node *moves, struct settings *settings);

#endif
