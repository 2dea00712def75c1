/* An AMQP 1.0 message. See amqp_message.h.
 *
 * Its sections are described values, in this order: header, delivery annotations, message
 * annotations, properties, application properties, body (data sections, sequences or one value),
 * footer. */
#include "source/amqp/amqp_message.h"

enum section {
    SECTION_HEADER = 0x70,
    SECTION_DELIVERY_ANNOTATIONS,
    SECTION_MESSAGE_ANNOTATIONS,
    SECTION_PROPERTIES,
    SECTION_APPLICATION_PROPERTIES,
    SECTION_DATA,
    SECTION_SEQUENCE,
    SECTION_VALUE,
    SECTION_FOOTER,
};

/* Their places in the list of properties. */
enum { PROPERTY_MESSAGE_ID, PROPERTY_SUBJECT = 3, PROPERTY_CORRELATION_ID = 5,
       PROPERTY_CONTENT_ENCODING = 7, PROPERTY_CREATED = 9, PROPERTY_GROUP_ID = 10 };
enum { HEADER_DELIVERIES = 4 };

#define PROPERTY_BEGIN   "property:"
#define ANNOTATION_BEGIN "annotation:"

static bool read_header(struct amqp_message *message, const struct amqp_value *list)
{
    struct amqp_bytes rest = list->bytes;
    struct amqp_value value;
    if (list->kind != AMQP_LIST)
        return false;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!amqp_take(&rest, &value))
            return false;
        if (i == HEADER_DELIVERIES && value.kind == AMQP_UINT)
            message->deliveries = (uint32_t) value.number;
    }
    return true;
}

static bool read_properties(struct amqp_message *message, const struct amqp_value *list)
{
    struct amqp_value *const places[] = {
        [PROPERTY_MESSAGE_ID] = &message->message_id,
        [PROPERTY_SUBJECT] = &message->subject,
        [PROPERTY_CORRELATION_ID] = &message->correlation_id,
        [PROPERTY_CONTENT_ENCODING] = &message->content_encoding,
        [PROPERTY_CREATED] = &message->created,
        [PROPERTY_GROUP_ID] = &message->group_id,
    };
    struct amqp_bytes rest = list->bytes;
    struct amqp_value value;
    if (list->kind != AMQP_LIST)
        return false;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!amqp_take(&rest, &value))
            return false;
        if (i < sizeof places / sizeof *places && places[i])
            *places[i] = value;
    }
    return true;
}

/* The pieces are in one order in the message, so each moves to a lower place, or stays. */
static bool read_data(struct amqp_message *message, const struct amqp_value *data)
{
    struct amqp_bytes *body = &message->body;
    if (data->kind != AMQP_BINARY)
        return false;
    if (!body->at)
        *body = data->bytes;
    else if (data->bytes.length) {
        memmove(body->at + body->length, data->bytes.at, data->bytes.length);
        body->length += data->bytes.length;
    }
    return true;
}

static void refuse_body(struct amqp_message *message, const char *why, char *from, const char *upto)
{
    if (!message->body.at)
        message->body = (struct amqp_bytes){from, (size_t) (upto - from)};
    if (!message->refusal)
        message->refusal = why;
}

static void read_value(struct amqp_message *message, const struct amqp_value *value, char *from,
                       const char *upto)
{
    if (message->body.at)
        refuse_body(message, "the message has several bodies", from, upto);
    else if (value->kind == AMQP_STRING || value->kind == AMQP_BINARY || value->kind == AMQP_SYMBOL)
        message->body = value->bytes;
    else if (value->kind != AMQP_NULL)
        refuse_body(message,
                    "the message's body is an amqp-value that is neither a string nor binary: "
                    "have the sender put the record into data sections or one string",
                    from, upto);
}

static bool read_section(struct amqp_message *message, const struct amqp_value *section,
                         char *from, const char *upto)
{
    bool map = section->kind == AMQP_MAP;
    if (!section->described)
        return false;
    switch (section->descriptor) {
    case SECTION_HEADER:
        return read_header(message, section);
    case SECTION_MESSAGE_ANNOTATIONS:
        message->annotations = *section;
        return map;
    case SECTION_PROPERTIES:
        return read_properties(message, section);
    case SECTION_APPLICATION_PROPERTIES:
        message->properties = *section;
        return map;
    case SECTION_DATA:
        return read_data(message, section);
    case SECTION_SEQUENCE:
        refuse_body(message,
                    "the message's body is an amqp-sequence: have the sender put the record into "
                    "data sections or one string",
                    from, upto);
        return true;
    case SECTION_VALUE:
        read_value(message, section, from, upto);
        return true;
    default:
        return section->descriptor == SECTION_DELIVERY_ANNOTATIONS ||
               section->descriptor == SECTION_FOOTER;
    }
}

static bool is_compressed(const struct amqp_value *encoding)
{
    static const char *const names[] = {"gzip", "x-gzip", "deflate", "compress", "br", "zstd"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((encoding->kind == AMQP_SYMBOL || encoding->kind == AMQP_STRING) &&
            encoding->bytes.length == strlen(names[i]) &&
            memcmp(encoding->bytes.at, names[i], encoding->bytes.length) == 0)
            return true;
    return false;
}

bool amqp_message_read(struct amqp_message *message, char *bytes, size_t length)
{
    struct amqp_bytes rest = {bytes, length};
    struct amqp_value section;
    *message = (struct amqp_message){0};
    while (rest.length) {
        char *from = rest.at;
        if (!amqp_take(&rest, &section) || !read_section(message, &section, from, rest.at))
            return false;
    }
    if (message->body.at && !message->body.length)
        message->body.at = NULL;
    if (is_compressed(&message->content_encoding))
        refuse_body(message,
                    "the message's body is compressed, as its content-encoding says: have the "
                    "sender send it as it is",
                    bytes, bytes);
    return true;
}

static const struct amqp_value *place_of(const struct amqp_message *message, const char *place)
{
    return strcmp(place, "message-id") == 0       ? &message->message_id
           : strcmp(place, "correlation-id") == 0 ? &message->correlation_id
           : strcmp(place, "subject") == 0        ? &message->subject
           : strcmp(place, "group-id") == 0       ? &message->group_id
                                                  : NULL;
}

static const char *after(const char *text, const char *begin)
{
    size_t length = strlen(begin);
    return strncmp(text, begin, length) == 0 && text[length] ? text + length : NULL;
}

bool amqp_place_is_good(const char *place)
{
    static const struct amqp_message none;
    return place_of(&none, place) || after(place, PROPERTY_BEGIN) || after(place, ANNOTATION_BEGIN);
}

bool amqp_message_find(const struct amqp_message *message, const char *place,
                       struct amqp_value *value)
{
    const struct amqp_value *there = place_of(message, place);
    const char *name = after(place, PROPERTY_BEGIN);
    const struct amqp_value *map = name ? &message->properties : &message->annotations;
    if (there) {
        *value = *there;
        return there->kind != AMQP_NULL;
    }
    if (!name)
        name = after(place, ANNOTATION_BEGIN);
    return name && amqp_member(map, name, value) && value->kind != AMQP_NULL;
}
