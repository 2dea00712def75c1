/* Into queues or topics of an AMQP 1.0 broker, by the product's own sender. What the broker has not
 * accepted when a connection is lost is sent again under the same message-ids, in its order. */
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "source/amqp/amqp_sender.h"
#include "text.h"

enum { ADDRESSES = 16, WINDOW = 512 };

/* No connection with messages on their way is left alone for longer, lest the broker drops it. */
#define REST_US INT64_C(5000000)

/* Of an address: what was sent and is not known to have arrived, in order. */
struct stream {
    char address[256];
    const char *topic;
    struct amqp_sender *sender;
    struct amqp_draft drafts[WINDOW];
    bool delivered[WINDOW];
    size_t count;
};

struct amqp_output {
    struct output output;
    struct broker_settings broker;
    const char *url, *pattern;
    struct stream *streams[ADDRESSES];
    int64_t flushed_us;
};

static void name_address(struct stream *stream, const char *pattern)
{
    const char *at = strstr(pattern, "${topic}");
    int before = at ? (int) (at - pattern) : (int) strlen(pattern);
    snprintf(stream->address, sizeof stream->address, "%.*s%s%s", before, pattern,
             at ? stream->topic : "", at ? at + 8 : "");
}

static struct stream *find_stream(struct amqp_output *out, const char *topic)
{
    for (int i = 0; i < ADDRESSES; i++) {
        if (out->streams[i] && out->streams[i]->topic == topic)
            return out->streams[i];
        if (out->streams[i])
            continue;
        struct stream *stream = calloc(1, sizeof *stream);
        if (!stream)
            die("out of memory");
        stream->topic = topic;
        name_address(stream, out->pattern);
        /* All topics at one address are one stream, so that they keep their order. */
        for (int j = 0; j < i; j++)
            if (strcmp(out->streams[j]->address, stream->address) == 0) {
                free(stream);
                return out->streams[j];
            }
        for (int j = 0; j < WINDOW; j++)
            amqp_draft_init(&stream->drafts[j]);
        stream->sender = amqp_sender_new(&out->broker, stream->address, "ods-generate");
        if (!stream->sender)
            die("out of memory");
        return out->streams[i] = stream;
    }
    die("more than %d addresses", ADDRESSES);
}

static void say_once(bool *said, const struct error *error)
{
    if (!*said)
        fprintf(stderr, "ods-generate: %s; it is tried again\n", error->text);
    *said = true;
}

/* Until all of the stream's messages have arrived, in whatever number of tries. */
static void arrive(struct stream *stream)
{
    struct error error;
    bool said = false;
    for (bool first = true; stream->count; first = false) {
        enum ods_status status = ODS_OK;
        error_init(&error);
        for (size_t i = 0; i < stream->count && !first && status == ODS_OK; i++)
            if (!stream->delivered[i])
                status = amqp_sender_send(stream->sender, &stream->drafts[i],
                                          &stream->delivered[i], &error);
        if (status == ODS_OK)
            status = amqp_sender_wait(stream->sender, &error);
        if (status == ODS_OK)
            break;
        say_once(&said, &error);
        if (interrupted)
            die("interrupted: %zu messages may not have arrived", stream->count);
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    }
    stream->count = 0;
}

static void amqp_flush(struct output *output, bool wait);

static void amqp_send(struct output *output, const struct outgoing *record)
{
    struct amqp_output *out = (struct amqp_output *) output;
    struct stream *stream = find_stream(out, record->topic);
    struct error error;
    if (stream->count == WINDOW)
        arrive(stream);
    if (now_us() - out->flushed_us > REST_US)
        amqp_flush(output, true);
    size_t at = stream->count++;
    struct amqp_draft *draft = &stream->drafts[at];
    char sent[24];
    int length = snprintf(sent, sizeof sent, "%lld", (long long) now_us());
    amqp_draft_reset(draft);
    amqp_draft_property(draft, "key", record->key, record->key_length);
    amqp_draft_property(draft, "sent-us", sent, (size_t) length);
    if (record->header)
        amqp_draft_property(draft, record->header, record->header_value, record->header_length);
    if (!amqp_draft_end(draft, record->id, record->value, record->value_length))
        die("out of memory");
    error_init(&error);
    stream->delivered[at] = false;
    if (amqp_sender_send(stream->sender, draft, &stream->delivered[at], &error) != ODS_OK)
        arrive(stream);
}

static void amqp_flush(struct output *output, bool wait)
{
    struct amqp_output *out = (struct amqp_output *) output;
    out->flushed_us = now_us();
    for (int i = 0; i < ADDRESSES && out->streams[i]; i++)
        arrive(out->streams[i]);
}

static void amqp_close(struct output *output)
{
    struct amqp_output *out = (struct amqp_output *) output;
    amqp_flush(output, true);
    for (int i = 0; i < ADDRESSES && out->streams[i]; i++) {
        amqp_sender_free(out->streams[i]->sender);
        for (int j = 0; j < WINDOW; j++)
            amqp_draft_done(&out->streams[i]->drafts[j]);
        free(out->streams[i]);
    }
    free(out);
}

static const struct output_ops ops = {amqp_send, amqp_flush, amqp_close};

struct output *output_amqp_open(const struct output_options *options)
{
    struct amqp_output *out = calloc(1, sizeof *out);
    if (!out)
        die("out of memory");
    out->output.ops = &ops;
    out->url = options->to;
    out->pattern = options->address;
    out->broker = (struct broker_settings){
        .name = "broker", .urls = {&out->url, 1}, .user = options->user,
        .password = options->password, .ca = options->ca, .certificate = "", .key = "",
        .virtual_host = "", .container = "", .idle_timeout_ms = 30000,
        .connect_timeout_ms = 10000};
    return &out->output;
}
