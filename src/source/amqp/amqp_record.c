/* A message that was received. See amqp_record.h. */
#include "source/amqp/amqp_record.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "source/amqp/amqp_identity.h"

#define CUT_BYTES ((size_t) 64 * 1024)

struct text {
    const char *bytes; /* NULL: none */
    size_t length;
};

struct amqp_block {
    atomic_uint owners;
    size_t length, room;
    struct amqp_bytes body, properties; /* members of the application's */
    int64_t created_ms;
    const char *refusal; /* static; NULL: none */
    struct text identity, key;
    struct buffer texts[2]; /* of identity and key, where the message has no such text */
    struct buffer headers;  /* names and values, made when somebody asks */
    char bytes[];
};

struct amqp_block *amqp_block_new(size_t room)
{
    struct amqp_block *block = malloc(sizeof *block + room);
    if (!block)
        return NULL;
    memset(block, 0, sizeof *block);
    atomic_init(&block->owners, 1);
    block->room = room;
    return block;
}

char *amqp_block_take(struct amqp_block **block, size_t more)
{
    struct amqp_block *own = *block;
    if (own->room - own->length < more) {
        size_t room = own->length + (more > own->length ? more : own->length);
        own = realloc(own, sizeof *own + room);
        if (!own)
            return NULL;
        own->room = room;
        *block = own;
    }
    own->length += more;
    return own->bytes + own->length - more;
}

void amqp_block_cut(struct amqp_block *block)
{
    if (block->length > CUT_BYTES)
        block->length = CUT_BYTES;
    block->refusal = "the message is larger than input.max_message_bytes allows: its letter has "
                     "the first 64 KiB";
}

size_t amqp_block_length(const struct amqp_block *block)
{
    return block->length;
}

size_t amqp_block_bytes(const struct amqp_block *block)
{
    return sizeof *block + block->room;
}

/* --- reading ---------------------------------------------------------------------------------- */

static struct text text_at(const struct amqp_message *message, const char *place,
                           struct buffer *room)
{
    struct amqp_value value;
    if (!amqp_message_find(message, place, &value))
        return (struct text){0};
    if (value.kind == AMQP_STRING || value.kind == AMQP_SYMBOL)
        return (struct text){value.bytes.at, value.bytes.length};
    if (!amqp_text(&value, room) || room->failed)
        return (struct text){0};
    return (struct text){room->bytes, room->length};
}

static void identify_by_content(struct amqp_block *block)
{
    struct buffer *room = &block->texts[0];
    const struct amqp_bytes *body = &block->body;
    char *digest = buffer_take(room, AMQP_IDENTITY_BYTES);
    if (digest && amqp_identity_of_content(body->at, body->length, digest))
        block->identity = (struct text){room->bytes, AMQP_IDENTITY_BYTES};
}

/* Senders that number their messages often begin anew with each session, so that a number says
 * nothing by itself. */
static bool is_count(const struct amqp_value *id)
{
    return id->kind == AMQP_UINT || id->kind == AMQP_INT;
}

static void identify(struct amqp_block *block, const struct amqp_message *message,
                     const char *place)
{
    bool content = strcmp(place, "content") == 0, automatic = strcmp(place, "auto") == 0;
    if (!content && !(automatic && is_count(&message->message_id)))
        block->identity = text_at(message, automatic ? "message-id" : place, &block->texts[0]);
    if (content || (automatic && !block->identity.length))
        identify_by_content(block);
    if (block->identity.length > UINT32_MAX)
        block->identity = (struct text){0};
}

void amqp_block_read(struct amqp_block *block, const char *identity, const char *key)
{
    struct amqp_message message;
    bool good = amqp_message_read(&message, block->bytes, block->length);
    if (!block->refusal)
        block->refusal = good ? message.refusal : "the message is not encoded as AMQP 1.0 says";
    block->body = message.body;
    if (!message.body.at && !good)
        block->body = (struct amqp_bytes){block->bytes, block->length};
    block->properties = message.properties.bytes;
    bool dated = message.created.kind == AMQP_TIMESTAMP;
    block->created_ms = dated ? (int64_t) message.created.number : -1;
    identify(block, &message, identity);
    if (*key)
        block->key = text_at(&message, key, &block->texts[1]);
}

void amqp_block_record(struct amqp_block *block, struct record *record)
{
    atomic_fetch_add(&block->owners, 1);
    *record = (struct record){
        .timestamp_ms = block->created_ms,
        .identity = block->identity.length ? block->identity.bytes : NULL,
        .identity_length = (uint32_t) block->identity.length,
        .key = block->key.bytes,
        .key_length = block->key.length,
        .value = block->body.at,
        .value_length = block->body.length,
        .refusal = block->refusal,
        .owner = block,
    };
}

void amqp_block_release(void *owner)
{
    struct amqp_block *block = owner;
    if (!block || atomic_fetch_sub(&block->owners, 1) != 1)
        return;
    buffer_done(&block->texts[0]);
    buffer_done(&block->texts[1]);
    buffer_done(&block->headers);
    free(block);
}

/* --- headers ---------------------------------------------------------------------------------- */

/* The next property; false: there is none. */
static bool next_property(struct amqp_bytes *rest, struct amqp_value *name,
                          struct amqp_value *value)
{
    return rest->length && amqp_take(rest, name) && amqp_take(rest, value);
}

/* All names and values, each terminated; a value without text is a null header. */
static bool put_properties(struct amqp_block *block)
{
    struct amqp_bytes rest = block->properties;
    struct amqp_value name, value;
    struct buffer *out = &block->headers;
    if (out->length)
        return !out->failed;
    while (next_property(&rest, &name, &value)) {
        amqp_text(&name, out);
        buffer_add(out, "", 1);
        amqp_text(&value, out);
        buffer_add(out, "", 1);
    }
    return !out->failed;
}

size_t amqp_block_headers(const struct record *record, struct header *headers, size_t max)
{
    struct amqp_block *block = record->owner;
    size_t count = 0;
    if (!block->properties.length || !put_properties(block))
        return 0;
    struct amqp_bytes rest = block->properties;
    struct amqp_value name, value;
    struct buffer length;
    const char *at = block->headers.bytes;
    buffer_init(&length);
    for (; next_property(&rest, &name, &value); count++) {
        struct header header = {.name = at};
        buffer_reset(&length);
        amqp_text(&name, &length);
        at += length.length + 1;
        buffer_reset(&length);
        if (amqp_text(&value, &length)) {
            header.value = at;
            header.length = length.length;
        }
        at += length.length + 1;
        if (count < max)
            headers[count] = header;
    }
    buffer_done(&length);
    return count;
}
