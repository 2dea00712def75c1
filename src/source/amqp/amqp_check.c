/* What a broker is asked for `check`. See amqp_check.h. */
#include "source/amqp/amqp_check.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>
#include <ods/sink.h>

#include "core/time.h"
#include "source/amqp/amqp_connection.h"
#include "source/amqp/amqp_queue.h"

#define ANSWER_US INT64_C(10000000)
#define POLL_MS   20

/* A topic of the pipeline's whose queue the other one reads too; NULL: none. */
static const char *shared_topic(const struct pipeline_settings *pipeline,
                                const struct pipeline_settings *other)
{
    const struct amqp_settings *mine = pipeline->input.own, *theirs = other->input.own;
    for (size_t i = 0; i < pipeline->topics.count; i++)
        for (size_t j = 0; j < other->topics.count; j++)
            if (amqp_queue_same(mine->address, pipeline->topics.items[i], theirs->address,
                                other->topics.items[j]))
                return pipeline->topics.items[i];
    return NULL;
}

/* Does a pipeline before this one read one of its queues? Each would get a part of the messages. A
 * subscription of each is a queue of each. */
static const char *shared_queue(const struct source_config *config, const char **topic)
{
    const struct amqp_settings *mine = config->settings, *theirs;
    const struct settings *daemon = config->daemon;
    for (size_t i = 0; i < daemon->pipeline_count; i++) {
        const struct pipeline_settings *other = &daemon->pipelines[i];
        if (other == config->pipeline)
            break;
        theirs = strcmp(other->input.type, "amqp") == 0 ? other->input.own : NULL;
        if (!theirs || *mine->subscription || *theirs->subscription ||
            settings_broker(daemon, theirs->broker) != settings_broker(daemon, mine->broker))
            continue;
        if ((*topic = shared_topic(config->pipeline, other)))
            return other->name;
    }
    return NULL;
}

enum ods_status amqp_check_settings(const struct source_config *config, struct error *error)
{
    const struct amqp_settings *settings = config->settings;
    const struct pipeline_settings *pipeline = config->pipeline;
    if (!settings_broker(config->daemon, settings->broker))
        return error_set(error, ODS_FATAL, "pipeline \"%s\": %s", pipeline->name,
                         !config->daemon->broker_count
                             ? "its input is of type amqp: name its broker in the list amqp of "
                               "ods-sink.conf"
                         : *settings->broker ? "input.broker names none of the list amqp of "
                                               "ods-sink.conf"
                                             : "input.broker is missing: the list amqp has several "
                                               "to choose from");
    for (size_t i = 0; i < pipeline->topics.count; i++)
        if (*pipeline->topics.items[i] == '^')
            return error_set(error, ODS_FATAL,
                             "pipeline \"%s\": the pattern '%.200s' can't be looked for among a "
                             "broker's queues: name each queue in topics",
                             pipeline->name, pipeline->topics.items[i]);
    if (pipeline->topics.count > 1 && !strstr(settings->address, "${topic}"))
        return error_set(error, ODS_FATAL,
                         "pipeline \"%s\": several topics have the one address '%.200s': put "
                         "${topic} into input.address, or make a pipeline of each",
                         pipeline->name, settings->address);
    const struct target_settings *target = settings_target(config->daemon, pipeline->target);
    const struct sink_ops *sink = target ? sink_find(target->type) : NULL;
    if (settings->consumers == AMQP_MERGED && sink && !sink->merges)
        return error_set(error, ODS_FATAL,
                         "pipeline \"%s\": a target of type \"%s\" keeps no positions, so it can't "
                         "put the changes of several consumers in order: leave input.consumers at "
                         "one",
                         pipeline->name, target->type);
    const char *topic, *other = shared_queue(config, &topic);
    if (other)
        return error_set(error, ODS_FATAL,
                         "pipeline \"%s\" reads the queue of %s, and so does \"%s\": each would "
                         "get a part of its messages, in no order",
                         pipeline->name, topic, other);
    return ODS_OK;
}

/* A table of the pipeline's that has no key by configuration; "": all of those that are not named;
 * NULL: none. What is said to have none (`keyless`) is meant. */
static const char *table_without_key(const struct pipeline_settings *pipeline)
{
    if (!pipeline->defaults.key.count && !pipeline->table_count &&
        pipeline->defaults.keyless == KEYLESS_MATCH_BEFORE)
        return "";
    for (size_t i = 0; i < pipeline->table_count; i++)
        if (!pipeline->tables[i].key.count && !pipeline->tables[i].skip &&
            pipeline->tables[i].keyless == KEYLESS_MATCH_BEFORE)
            return pipeline->tables[i].name;
    return NULL;
}

bool amqp_doubts_settings(const struct source_config *config, struct error *why)
{
    const struct amqp_settings *settings = config->settings;
    const struct pipeline_settings *pipeline = config->pipeline;
    const struct target_settings *target = settings_target(config->daemon, pipeline->target);
    const struct sink_ops *sink = target ? sink_find(target->type) : NULL;
    const char *table = *settings->key ? NULL : table_without_key(pipeline);
    const char *format = pipeline->format;
    bool envelopes = strcmp(format, "debezium") == 0 || strcmp(format, "auto") == 0;
    bool of_content = strcmp(settings->identity, "content") == 0;
    if (!envelopes && (of_content || strcmp(settings->identity, "auto") == 0)) {
        error_set(why, ODS_REJECT,
                  "a message of format %s has no identity in its content, so each one%s becomes a "
                  "dead letter: set input.identity to where messages have an id of their own "
                  "(message-id, property:NAME)",
                  format, of_content ? "" : " without a message-id, or with a number for it,");
        return true;
    }
    if (!table)
        return false;
    error_set(why, ODS_REJECT,
              "a message of a queue has no key of its own, and neither input.key (property:NAME) "
              "nor 'key' of %s%s says what tells rows apart: they are those of a table without a "
              "key%s",
              *table ? "table " : "the defaults or a table", table,
              sink && !sink->identities ? ", and this target appends what is delivered again" : "");
    return true;
}

/* --- what it says of itself ------------------------------------------------------------------- */

/* A member of the map by which a broker presents itself, "" where it has none. */
static void member(pn_data_t *properties, const char *name, char *text, size_t size)
{
    text[0] = '\0';
    pn_data_rewind(properties);
    if (!pn_data_next(properties) || pn_data_type(properties) != PN_MAP ||
        !pn_data_enter(properties))
        return;
    while (pn_data_next(properties)) {
        pn_bytes_t key = pn_data_get_bytes(properties);
        bool same = key.size == strlen(name) && memcmp(key.start, name, key.size) == 0;
        if (!pn_data_next(properties))
            return;
        pn_bytes_t value = pn_data_get_bytes(properties);
        if (same && value.start)
            snprintf(text, size, "%.*s", (int) (value.size < 90 ? value.size : 90), value.start);
    }
}

void amqp_check_product(pn_connection_t *connection, char *text, size_t size)
{
    pn_data_t *properties = pn_connection_remote_properties(connection);
    char product[96], version[96];
    member(properties, "product", product, sizeof product);
    member(properties, "version", version, sizeof version);
    snprintf(text, size, "%s%s%s", product, *product && *version ? " " : "", version);
}

/* An array or a single symbol, as words. */
static void words(pn_data_t *data, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    pn_data_rewind(data);
    bool one = pn_data_next(data) && pn_data_type(data) != PN_ARRAY;
    if (!one && (pn_data_type(data) != PN_ARRAY || !pn_data_enter(data) || !pn_data_next(data)))
        return;
    do {
        pn_bytes_t word = pn_data_get_bytes(data);
        if (word.start && length < size)
            length += (size_t) snprintf(text + length, size - length, "%s%.*s", length ? ", " : "",
                                        (int) word.size, word.start);
    } while (!one && pn_data_next(data));
}

/* --- asking ----------------------------------------------------------------------------------- */

struct asking {
    void (*report)(void *context, const char *line);
    void *context;
    struct amqp_connection connection;
    struct amqp_queue *queues;
    size_t queue_count, answered, refused;
    bool up, down;
    char why[512];
};

static void __attribute__((format(printf, 2, 3)))
say(const struct asking *asking, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    asking->report(asking->context, line);
}

static void on_up(void *context)
{
    struct asking *asking = context;
    asking->up = true;
    for (size_t i = 0; i < asking->queue_count; i++)
        amqp_queue_attach(&asking->queues[i], asking->connection.session);
}

static void on_down(void *context, bool was_up, const char *why)
{
    struct asking *asking = context;
    asking->down = true;
    snprintf(asking->why, sizeof asking->why, "%s", why);
    for (size_t i = 0; i < asking->queue_count; i++)
        amqp_queue_lost(&asking->queues[i], 0);
}

static void say_queue(struct asking *asking, struct amqp_queue *queue)
{
    char offers[200];
    pn_link_t *link = queue->link;
    if (pn_terminus_get_type(pn_link_remote_source(link)) == PN_UNSPECIFIED)
        return;
    words(pn_terminus_capabilities(pn_link_remote_source(link)), offers, sizeof offers);
    queue->attached = true;
    asking->answered++;
    say(asking, "%s: can be read%s%s%s", queue->address, *offers ? ", as " : "", offers,
        pn_link_remote_snd_settle_mode(link) == PN_SND_SETTLED
            ? "; but its messages are settled as they are sent, and those on their way are lost "
              "when the connection is"
            : "");
}

static void say_refusal(struct asking *asking, struct amqp_queue *queue)
{
    char why[400];
    if (queue->attached)
        return;
    amqp_condition_text(pn_link_remote_condition(queue->link), why, sizeof why);
    asking->answered++;
    asking->refused++;
    say(asking, "%s: can't be read: %s", queue->address,
        *why ? why : "the broker does not say why");
    snprintf(asking->why, sizeof asking->why, "%.100s: %s", queue->address, why);
}

static void on_event(void *context, pn_event_t *event)
{
    pn_link_t *link = pn_event_link(event);
    struct amqp_queue *queue = link ? pn_link_get_context(link) : NULL;
    if (queue && pn_event_type(event) == PN_LINK_REMOTE_OPEN)
        say_queue(context, queue);
    else if (queue && (pn_event_type(event) == PN_LINK_REMOTE_CLOSE ||
                       pn_event_type(event) == PN_LINK_REMOTE_DETACH))
        say_refusal(context, queue);
}

static void say_connection(const struct asking *asking)
{
    const struct amqp_connection *connection = &asking->connection;
    pn_connection_t *own = connection->driver.connection;
    pn_transport_t *transport = connection->driver.transport;
    char product[200], offers[400], protocol[64] = "";
    amqp_check_product(own, product, sizeof product);
    words(pn_connection_remote_offered_capabilities(own), offers, sizeof offers);
    if (connection->secure)
        pn_ssl_get_protocol_name(pn_ssl(transport), protocol, sizeof protocol);
    say(asking, "%s: %s%ssigned in by %s%s%s; it offers %s", connection->place, product,
        *product ? ", " : "", amqp_sasl_name(&connection->sasl),
        connection->secure ? " over " : ", not encrypted", protocol,
        connection->sasl.offered);
    say(asking, "%s: frames of %u bytes, heartbeats %s; it offers %s", connection->place,
        (unsigned) pn_transport_get_remote_max_frame(transport),
        pn_transport_get_remote_idle_timeout(transport) ? "wanted" : "not wanted",
        *offers ? offers : "nothing of its own");
    if (!connection->secure && strcmp(amqp_sasl_name(&connection->sasl), "PLAIN") == 0)
        say(asking, "%s: the password is sent in clear: use amqps://", connection->place);
}


static bool is_up(const struct asking *asking)
{
    return asking->up;
}

static bool all_answered(const struct asking *asking)
{
    return asking->answered == asking->queue_count;
}

static void wait_until(struct asking *asking, bool (*done)(const struct asking *asking))
{
    int64_t end_us = time_monotonic_us() + ANSWER_US;
    while (!done(asking) && !asking->down && time_monotonic_us() < end_us) {
        struct pollfd ready = {.fd = asking->connection.fd, .events = POLLIN};
        amqp_connection_turn(&asking->connection);
        poll(&ready, 1, POLL_MS);
        amqp_connection_pump(&asking->connection, true);
    }
}

/* One of the broker's servers. True: it answers. */
static bool ask_server(struct asking *asking, const struct broker_settings *broker, size_t url)
{
    struct broker_settings one = *broker;
    const struct amqp_events events = {on_up, on_down, on_event, asking};
    one.urls = (struct strings){&broker->urls.items[url], 1};
    asking->up = asking->down = false;
    asking->answered = 0;
    amqp_connection_init(&asking->connection, &one, "ods-sink-check", &events);
    wait_until(asking, is_up);
    bool up = asking->up && !asking->down;
    if (up) {
        say_connection(asking);
        wait_until(asking, all_answered);
    } else {
        say(asking, "%s: can't connect: %s", asking->connection.place,
            *asking->why ? asking->why : "it does not answer");
    }
    amqp_connection_close(&asking->connection, 1000);
    return up;
}

/* A subscription would be made by attaching to it, so it is not looked at. */
static enum ods_status make_queues(struct asking *asking, const struct source_config *config,
                                   struct error *error)
{
    const struct amqp_settings *settings = config->settings;
    const struct strings *topics = &config->pipeline->topics;
    asking->queues = calloc(topics->count + 1, sizeof *asking->queues);
    for (size_t i = 0; asking->queues && !*settings->subscription && i < topics->count; i++)
        if (!amqp_queue_init(&asking->queues[asking->queue_count++], settings, topics->items[i], 0))
            return error_out_of_memory(error);
    if (*settings->subscription)
        say(asking, "the subscription %s is made, or found, at the start", settings->subscription);
    if ((size_t) config->pipeline->lanes > topics->count)
        say(asking, "%lld lanes for %zu queue%s: some will have nothing to do",
            (long long) config->pipeline->lanes, topics->count, topics->count == 1 ? "" : "s");
    return asking->queues ? ODS_OK : error_out_of_memory(error);
}

enum ods_status amqp_check(const struct source_config *config,
                           void (*report)(void *context, const char *line), void *context,
                           struct error *error)
{
    const struct amqp_settings *settings = config->settings;
    struct asking asking = {.report = report, .context = context};
    size_t answer = 0;
    enum ods_status status = amqp_check_settings(config, error);
    if (status != ODS_OK)
        return status;
    const struct broker_settings *broker = settings_broker(config->daemon, settings->broker);
    status = make_queues(&asking, config, error);
    for (size_t i = 0; status == ODS_OK && i < broker->urls.count; i++)
        answer += ask_server(&asking, broker, i);
    if (status == ODS_OK && !answer)
        status = error_set(error, ODS_RETRY, "no server of the broker \"%s\" answers: %s",
                           broker->name, asking.why);
    else if (status == ODS_OK && asking.refused)
        status = error_set(error, ODS_FATAL, "the broker \"%s\" does not let it be read: %s",
                           broker->name, asking.why);
    for (size_t i = 0; i < asking.queue_count; i++)
        amqp_queue_done(&asking.queues[i]);
    free(asking.queues);
    return status;
}
