/* Settings of the source `amqp`. */
#include "source/amqp/amqp_settings.h"

#include <string.h>

#include "source/amqp/amqp_message.h"

#define AT(member) offsetof(struct amqp_settings, member)
#define MIB        (INT64_C(1) << 20)

static const char *const consumers[] = {"one", "merged", NULL};
static const char *const letters[] = {"rejected", "modified", "accepted", NULL};

static const struct setting rows[] = {
    {"broker", SETTING_STRING, AT(broker), "", .inherits = "the only broker that is configured",
     .max = 200, .doc = "Name of a broker in the list `amqp` of `ods-sink.conf`."},
    {"address", SETTING_STRING, AT(address), "${topic}", .min = 1, .max = 2048,
     .flags = SETTING_PLACES,
     .doc =
         "What the broker calls the queue. `${topic}` stands for each of the pipeline's `topics` "
         "in turn, so that one pipeline can read several: `/queues/${topic}` for RabbitMQ. An "
         "address without it names one queue, and `topics` one topic: what the records of the "
         "queue are said to come from."},
    {"subscription", SETTING_STRING, AT(subscription), "", .max = 1000, .flags = SETTING_PLACES,
     .doc =
         "Name of a durable subscription, where `address` is a topic of the broker: it is made "
         "at the first start and outlives the connection, also when the pipeline is taken out. "
         "May hold `${topic}`. Empty: `address` is a queue, or whatever the broker makes of it."},
    {"identity", SETTING_STRING, AT(identity), "auto", .min = 1, .max = 300,
     .doc = "By what a message is known when it is delivered again: `message-id`, "
            "`correlation-id`, `property:NAME` (an application property), `annotation:NAME` (a "
            "message annotation), `content` (a digest of a Debezium envelope's source position, "
            "operation and row, which also finds what its sender has sent twice), or `auto`: the "
            "message-id, unless that is a number, which a sender may count anew, and else its "
            "content. A message that has none is a dead letter."},
    {"key", SETTING_STRING, AT(key), "", .max = 300,
     .doc = "Where a message has the record's key, for formats that need one: `property:NAME`, "
            "`annotation:NAME`, `group-id`, `subject`, `message-id` or `correlation-id`. A message "
            "without body is then a tombstone of that key."},
    {"letters", SETTING_ENUM, AT(letters), "rejected", .choices = letters,
     .doc = "How a message that has become a dead letter is settled, once the letter is safe. "
            "`rejected`: as not fit for anybody, so most brokers move it to their own dead-letter "
            "queue as well. `modified`: as failed and not to be delivered here again; where the "
            "broker does not heed that it comes again, and is dropped. `accepted`: as any other."},
    {"consumers", SETTING_ENUM, AT(consumers), "one", .choices = consumers,
     .doc = "`one`: the queue's only reader is a lane of one process; where the target is of type "
            "`postgres` a second process of the pipeline waits until the first one is gone. "
            "`merged`: several processes read the queue at once, in whatever order its messages "
            "are dealt out; the target keeps the source's position of each key's last change "
            "(`lsn`, `scn`, or binary log) and passes over what is older. A change without "
            "position is then a dead letter. Needs a target of type `postgres`, a key, and the "
            "same `group_id`. See [amqp.md](amqp.md#order-and-several-consumers)."},
    {"credit", SETTING_INT, AT(credit), "2000", .min = 1, .max = 1000000,
     .doc = "Messages that the broker may send ahead, at most; granted anew when half is used."},
    {"prefetch_bytes", SETTING_BYTES, AT(prefetch_bytes), "16777216", .min = 65536,
     .max = 1024 * MIB,
     .doc = "How much may wait in a lane before it is taken into a batch. Credit is granted for as "
            "many messages as fit, by their usual size, and dealt out to the lane's queues; when "
            "twice as much has come all the same, only as much is read as keeps the connection. "
            "Not less than `max_message_bytes`. A batch is full with a quarter of it, or 1 MiB "
            "if that is more, where `batch.max_bytes` is not less."},
    {"max_message_bytes", SETTING_BYTES, AT(max_message_bytes), "16777216", .min = 65536,
     .max = 1024 * MIB,
     .doc = "A larger message is a dead letter with its first 64 KiB. The broker is told, too."},
};

/* A queue's name is known before any record of it is: of ${…} it can only hold ${topic}. */
static bool has_other_places(const char *text)
{
    while ((text = strstr(text, "${")) && strncmp(text, "${topic}", 8) == 0)
        text += 8;
    return text != NULL;
}

static enum ods_status check(const void *own, struct error *error)
{
    const struct amqp_settings *settings = own;
    bool named = strcmp(settings->identity, "auto") == 0 ||
                 strcmp(settings->identity, "content") == 0;
    if (!named && !amqp_place_is_good(settings->identity))
        return error_set(error, ODS_FATAL,
                         "'identity' expects auto, content, message-id, correlation-id, "
                         "property:NAME or annotation:NAME, found '%.100s'",
                         settings->identity);
    if (*settings->key && !amqp_place_is_good(settings->key))
        return error_set(error, ODS_FATAL,
                         "'key' expects property:NAME, annotation:NAME, group-id, subject, "
                         "message-id or correlation-id, found '%.100s'",
                         settings->key);
    if (settings->prefetch_bytes < settings->max_message_bytes)
        return error_set(error, ODS_FATAL,
                         "'prefetch_bytes' (%lld) is less than 'max_message_bytes' (%lld): raise "
                         "the one or lower the other, so that the largest message fits",
                         (long long) settings->prefetch_bytes,
                         (long long) settings->max_message_bytes);
    if (has_other_places(settings->address) || has_other_places(settings->subscription))
        return error_set(error, ODS_FATAL,
                         "'address' and 'subscription' may hold ${topic} and no other ${…}");
    return ODS_OK;
}

const struct setting_group amqp_settings_group = {
    .title = "input of type `amqp`",
    .intro = "Queues of an AMQP 1.0 broker (ActiveMQ Artemis, RabbitMQ 4, Solace PubSub+, …), a "
             "message a record. A message is settled when the target has committed it; the target "
             "drops what is delivered again by its identity, for as long and as many as it keeps: "
             "see `delivered` in its settings. Each of the pipeline's `topics` is a queue, and is "
             "read by one lane. See [amqp.md](amqp.md).",
    .size = sizeof(struct amqp_settings),
    SETTING_ROWS(rows),
    .check = check,
};
