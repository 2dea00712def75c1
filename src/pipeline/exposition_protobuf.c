/* Metrics as Prometheus' protobuf messages (io.prometheus.client.MetricFamily of client_model's
 * metrics.proto), each with its length before it. Read from the text that metrics_write() makes, so
 * there is one place that knows what there is. */
#include "pipeline/exposition.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum family_type { COUNTER = 0, GAUGE = 1, HISTOGRAM = 4 };

struct text {
    const char *at, *end;
};

struct writer {
    struct buffer *out;
    struct buffer family, metric, histogram, part, exemplar; /* of the message, one in another */
    struct text labels; /* of the histogram whose buckets are read, without `le` */
    bool in_histogram;
    enum family_type type;
};

/* --- wire ----------------------------------------------------------------------------------- */

static void put_varint(struct buffer *out, uint64_t value)
{
    char bytes[10];
    size_t length = 0;
    do {
        bytes[length++] = (char) ((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    buffer_add(out, bytes, length);
}

static void put_unsigned(struct buffer *out, unsigned field, uint64_t value)
{
    put_varint(out, field << 3);
    put_varint(out, value);
}

static uint64_t zigzag(int64_t value)
{
    return (uint64_t) value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

static void put_double(struct buffer *out, unsigned field, double value)
{
    put_varint(out, field << 3 | 1);
    buffer_add(out, &value, sizeof value); /* little-endian, as all that we run on */
}

static void put_bytes(struct buffer *out, unsigned field, const char *bytes, size_t length)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, length);
    buffer_add(out, bytes, length);
}

static void put_message(struct buffer *out, unsigned field, struct buffer *message)
{
    put_bytes(out, field, message->bytes, message->length);
    out->failed |= message->failed;
    buffer_reset(message);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "doubles are written as they are");

/* --- labels --------------------------------------------------------------------------------- */

/* Takes one NAME="VALUE", and the comma behind it. False: there is none. */
static bool take_label(struct text *text, struct text *name, struct text *value)
{
    const char *equals = memchr(text->at, '=', (size_t) (text->end - text->at));
    if (!equals || equals + 1 >= text->end)
        return false;
    *name = (struct text){text->at, equals};
    const char *at = equals + 2;
    value->at = at;
    while (at < text->end && *at != '"')
        at += *at == '\\' ? 2 : 1;
    value->end = at;
    at += at < text->end;
    text->at = at + (at < text->end && *at == ',');
    return true;
}

static bool named(const struct text *name, const char *word)
{
    size_t length = strlen(word);
    return (size_t) (name->end - name->at) == length && memcmp(name->at, word, length) == 0;
}

static void put_label(struct buffer *out, struct buffer *scratch, const struct text *name,
                      const struct text *value)
{
    struct buffer plain;
    buffer_init(&plain);
    for (const char *at = value->at; at < value->end; at++) {
        bool escaped = *at == '\\' && at + 1 < value->end;
        at += escaped;
        buffer_add(&plain, escaped && *at == 'n' ? "\n" : at, 1);
    }
    put_bytes(scratch, 1, name->at, (size_t) (name->end - name->at));
    put_bytes(scratch, 2, plain.bytes, plain.length);
    put_message(out, 1, scratch);
    buffer_done(&plain);
}

/* All but `le`. */
static void put_labels(struct writer *writer, struct text labels)
{
    struct text name, value;
    while (take_label(&labels, &name, &value))
        if (!named(&name, "le"))
            put_label(&writer->metric, &writer->part, &name, &value);
}

/* --- families ------------------------------------------------------------------------------- */

static void end_family(struct writer *writer)
{
    if (writer->family.length) {
        put_varint(writer->out, writer->family.length);
        buffer_add(writer->out, writer->family.bytes, writer->family.length);
    }
    writer->out->failed |= writer->family.failed;
    buffer_reset(&writer->family);
}

/* "# HELP name text" begins a family, "# TYPE name type" follows. */
static void take_head(struct writer *writer, const char *line, const char *end)
{
    const char *name = line + 7, *rest = memchr(name, ' ', (size_t) (end - name));
    if (!rest)
        return;
    if (line[2] == 'H') {
        end_family(writer);
        put_bytes(&writer->family, 1, name, (size_t) (rest - name));
        put_bytes(&writer->family, 2, rest + 1, (size_t) (end - rest - 1));
        return;
    }
    writer->type = rest[1] == 'c' ? COUNTER : rest[1] == 'h' ? HISTOGRAM : GAUGE;
    put_unsigned(&writer->family, 3, writer->type);
}

static void put_sample(struct writer *writer, struct text labels, double value)
{
    put_labels(writer, labels);
    put_double(&writer->part, 1, value);
    put_message(&writer->metric, writer->type == COUNTER ? 3 : 2, &writer->part);
    put_message(&writer->family, 4, &writer->metric);
}

/* --- histograms ----------------------------------------------------------------------------- */

/* " # {trace_id="…"} VALUE SECONDS" */
static void take_exemplar(struct writer *writer, const char *at, const char *end)
{
    const char *open = memchr(at, '{', (size_t) (end - at)),
               *close = open ? memchr(open, '}', (size_t) (end - open)) : NULL;
    struct text labels = {open ? open + 1 : NULL, close}, name, value;
    struct buffer label;
    char *next;
    if (!close)
        return;
    buffer_init(&label);
    while (take_label(&labels, &name, &value))
        put_label(&writer->exemplar, &label, &name, &value);
    put_double(&writer->exemplar, 2, strtod(close + 1, &next));
    double seconds = strtod(next, NULL);
    put_unsigned(&label, 1, (uint64_t) seconds);
    put_unsigned(&label, 2, (uint64_t) ((seconds - (double) (uint64_t) seconds) * 1e9));
    put_message(&writer->exemplar, 3, &label);
    buffer_done(&label);
}

static void take_bucket(struct writer *writer, struct text labels, const char *rest,
                        const char *end)
{
    struct text name, value;
    double bound = 0;
    if (!writer->in_histogram)
        writer->labels = labels;
    writer->in_histogram = true;
    while (take_label(&labels, &name, &value))
        if (named(&name, "le"))
            bound = strtod(value.at, NULL);
    put_unsigned(&writer->part, 1, strtoull(rest, NULL, 10));
    put_double(&writer->part, 2, bound);
    const char *mark = memchr(rest, '#', (size_t) (end - rest));
    if (mark)
        take_exemplar(writer, mark, end);
    if (writer->exemplar.length)
        put_message(&writer->part, 3, &writer->exemplar);
    put_message(&writer->histogram, 3, &writer->part);
}

/* Spans of buckets that follow one another, and each count's difference to the one before. Answers
 * how many there are in them. */
static uint64_t put_spans(struct writer *writer, const char *at, const char *end)
{
    uint64_t sum = 0;
    int64_t expected = 0, before = 0;
    uint64_t length = 0;
    int64_t offset = 0;
    struct buffer *deltas = &writer->exemplar;
    while (at < end && *at == ' ') {
        char *next;
        int64_t index = strtoll(at, &next, 10), count = strtoll(next + 1, &next, 10);
        at = next;
        if (length && index != expected) {
            put_unsigned(&writer->part, 1, zigzag(offset));
            put_unsigned(&writer->part, 2, length);
            put_message(&writer->histogram, 12, &writer->part);
            length = 0;
        }
        if (!length)
            offset = index - expected;
        length++;
        expected = index + 1;
        put_varint(deltas, zigzag(count - before));
        before = count;
        sum += (uint64_t) count;
    }
    if (!length) { /* a span of none says that it is a native one */
        put_unsigned(&writer->part, 1, 0);
        put_unsigned(&writer->part, 2, 0);
    } else {
        put_unsigned(&writer->part, 1, zigzag(offset));
        put_unsigned(&writer->part, 2, length);
    }
    put_message(&writer->histogram, 12, &writer->part);
    if (deltas->length)
        put_message(&writer->histogram, 13, deltas);
    return sum;
}

/* "#native SCHEMA ZEROS INDEX:COUNT …" ends a histogram. */
static void take_native(struct writer *writer, const char *line, const char *end)
{
    char *next;
    long schema = strtol(line + sizeof EXPOSITION_NATIVE - 1, &next, 10);
    unsigned long long zeros = strtoull(next, &next, 10);
    put_unsigned(&writer->histogram, 5, zigzag(schema));
    put_double(&writer->histogram, 6, 0x1p-128);
    put_unsigned(&writer->histogram, 7, zeros);
    /* Of the same moment as its buckets: the last one counts. */
    put_unsigned(&writer->histogram, 1, zeros + put_spans(writer, next, end));
    put_labels(writer, writer->labels);
    put_message(&writer->metric, 7, &writer->histogram);
    put_message(&writer->family, 4, &writer->metric);
    writer->in_histogram = false;
}

static bool ends(const struct text *name, const char *word)
{
    size_t length = strlen(word);
    return (size_t) (name->end - name->at) >= length &&
           memcmp(name->end - length, word, length) == 0;
}

/* NAME{LABELS} VALUE, or without braces; no label has a brace but in quotes, and a value none. */
static void take_sample(struct writer *writer, const char *line, const char *end)
{
    const char *open = line + strcspn(line, "{ "), *rest = open;
    struct text name = {line, open}, labels = {open, open};
    if (*open == '{') {
        struct text from = {open + 1, end}, one, value;
        labels.at = open + 1;
        while (from.at < end && *from.at != '}' && take_label(&from, &one, &value))
            ;
        labels.end = from.at;
        rest = from.at + 1;
    }
    if (writer->type != HISTOGRAM)
        put_sample(writer, labels, strtod(rest, NULL));
    else if (ends(&name, "_bucket"))
        take_bucket(writer, labels, rest, end);
    else if (ends(&name, "_sum"))
        put_double(&writer->histogram, 2, strtod(rest, NULL));
    else
        put_unsigned(&writer->histogram, 1, strtoull(rest, NULL, 10));
}

void exposition_protobuf(struct buffer *out, const struct buffer *text)
{
    struct writer writer = {.out = out, .type = GAUGE};
    struct buffer *const messages[] = {&writer.family, &writer.metric, &writer.histogram,
                                       &writer.part, &writer.exemplar};
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        buffer_init(messages[i]);
    for (const char *at = text->bytes, *end = at + text->length; at < end;) {
        const char *newline = memchr(at, '\n', (size_t) (end - at));
        if (!newline)
            break;
        if (strncmp(at, EXPOSITION_NATIVE, sizeof EXPOSITION_NATIVE - 1) == 0)
            take_native(&writer, at, newline);
        else if (*at == '#')
            take_head(&writer, at, newline);
        else
            take_sample(&writer, at, newline);
        at = newline + 1;
    }
    end_family(&writer);
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        buffer_done(messages[i]);
}
