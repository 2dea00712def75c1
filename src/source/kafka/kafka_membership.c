/* Who a member of a group is, for transactions that commit its offsets. */
#include "source/kafka/kafka_member.h"

#include <string.h>

/* What librdkafka writes begins with these and the generation, in the machine's own byte order:
 * rd_kafka_consumer_group_metadata_write(). */
#define MAGIC        "CGMDv2:"
#define MAGIC_LENGTH (sizeof MAGIC - 1)

/* A broker takes offsets of generation -1 from anybody while the group is empty: they are never
 * sent. */
static bool has_generation(const char *bytes, size_t length)
{
    int32_t generation;
    if (length < MAGIC_LENGTH + sizeof generation || memcmp(bytes, MAGIC, MAGIC_LENGTH) != 0)
        return false;
    memcpy(&generation, bytes + MAGIC_LENGTH, sizeof generation);
    return generation >= 0;
}

enum ods_status kafka_membership(struct source *base, struct buffer *out, struct error *error)
{
    struct kafka_source *source = (struct kafka_source *) base;
    rd_kafka_consumer_group_metadata_t *metadata = rd_kafka_consumer_group_metadata(source->rk);
    void *bytes = NULL;
    size_t length = 0;
    rd_kafka_error_t *failure =
        metadata ? rd_kafka_consumer_group_metadata_write(metadata, &bytes, &length) : NULL;
    bool known = metadata && !failure && has_generation(bytes, length) && kafka_is_member(source);
    if (known)
        buffer_add(out, bytes, length);
    if (failure)
        rd_kafka_error_destroy(failure);
    if (bytes)
        rd_kafka_mem_free(NULL, bytes);
    if (metadata)
        rd_kafka_consumer_group_metadata_destroy(metadata);
    if (!known)
        return error_set(error, ODS_RETRY, "the lane is no member of its group at the moment");
    return out->failed ? error_out_of_memory(error) : ODS_OK;
}
