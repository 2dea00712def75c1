// From the texts of a Protobuf schema to trees in C. See proto_schema.h.
#include "format/protobuf/proto_schema.h"

#include <algorithm>
#include <exception>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/unknown_field_set.h>

#include "format/protobuf/proto_files.h"

using proto::Refusal;

namespace {

constexpr int kDepthMax = 64;         // of messages within messages
constexpr size_t kFieldsMax = 100000; // of all messages, each where it is used
constexpr int kFieldMeta = 1088;      // confluent.field_meta

// --- confluent.field_meta ---

using Params = std::map<std::string, std::string>;

std::string text_of(const pb::UnknownFieldSet &set, int number)
{
    for (int i = 0; i < set.field_count(); i++)
        if (set.field(i).number() == number &&
            set.field(i).type() == pb::UnknownField::TYPE_LENGTH_DELIMITED)
            return set.field(i).length_delimited();
    return "";
}

Params params_of(const pb::FieldDescriptor *field)
{
    Params params;
    pb::UnknownFieldSet meta, entry;
    const std::string bytes = text_of(field->options().unknown_fields(), kFieldMeta);
    if (bytes.empty() || !meta.ParseFromString(bytes))
        return params;
    for (int i = 0; i < meta.field_count(); i++) {
        const pb::UnknownField &item = meta.field(i);
        if (item.number() == 2 && item.type() == pb::UnknownField::TYPE_LENGTH_DELIMITED &&
            entry.ParseFromString(item.length_delimited()))
            params[text_of(entry, 1)] = text_of(entry, 2);
    }
    return params;
}

// --- writing the trees and the Avro schema ---

const char *const base_kinds[] = {"int",  "long", "long",  "bytes",  "int",    "long",
                                  "long", "bytes", "int",  "long",   "boolean", "float",
                                  "double", "string", "bytes"};

std::string quoted(const std::string &text)
{
    static const char hex[] = "0123456789abcdef";
    std::string out = "\"";
    for (char c : text) {
        unsigned char byte = static_cast<unsigned char>(c);
        if (byte == '"' || byte == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += hex[byte >> 4];
            out += hex[byte & 15];
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string member(const char *name, const std::string &value)
{
    return std::string(",") + quoted(name) + ":" + quoted(value);
}

class Writer {
  public:
    Writer(struct blocks *blocks, bool connect) : blocks_(blocks), connect_(connect) {}

    std::string json;

    const struct proto_message *write(const pb::Descriptor *type);
    bool single(const pb::Descriptor *type, const struct proto_message **message);

  private:
    struct blocks *blocks_;
    bool connect_;
    size_t fields_ = 0;
    std::vector<const pb::Descriptor *> open_;
    std::map<const pb::Descriptor *, const struct proto_message *> messages_;
    std::map<const pb::EnumDescriptor *, const struct proto_enum *> enums_;

    template <typename T> T *many(size_t count)
    {
        T *items = static_cast<T *>(blocks_alloc(blocks_, (count + 1) * sizeof(T)));
        if (!items)
            throw std::bad_alloc();
        return items;
    }

    const char *copy(const std::string &text)
    {
        char *own = blocks_strndup(blocks_, text.c_str(), text.size());
        if (!own)
            throw std::bad_alloc();
        return own;
    }

    struct proto_message *tree(const pb::Descriptor *type);
    void set_special(struct proto_field *own, const pb::FieldDescriptor *field,
                     const Params &params);
    const struct proto_enum *set_enum(const pb::EnumDescriptor *type);
    void put_enum(const struct proto_field *own, const pb::EnumDescriptor *type);
    void prepare(struct proto_field *own, const pb::FieldDescriptor *field, const Params &params);
    void put_type(struct proto_field *own, const pb::FieldDescriptor *field, const Params &params);
    void put_map(struct proto_field *own, const pb::Descriptor *entry);
    void put_plain(const struct proto_field *own, const pb::FieldDescriptor *field,
                   const Params &params);
    void put_field(struct proto_field *own, const pb::FieldDescriptor *field);
    void put_record(const pb::Descriptor *type);
};

enum proto_kind kind_of(const pb::FieldDescriptor *field)
{
    switch (field->type()) {
    case pb::FieldDescriptor::TYPE_INT32: return PROTO_INT32;
    case pb::FieldDescriptor::TYPE_INT64: return PROTO_INT64;
    case pb::FieldDescriptor::TYPE_UINT32: return PROTO_UINT32;
    case pb::FieldDescriptor::TYPE_UINT64: return PROTO_UINT64;
    case pb::FieldDescriptor::TYPE_SINT32: return PROTO_SINT32;
    case pb::FieldDescriptor::TYPE_SINT64: return PROTO_SINT64;
    case pb::FieldDescriptor::TYPE_FIXED32: return PROTO_FIXED32;
    case pb::FieldDescriptor::TYPE_FIXED64: return PROTO_FIXED64;
    case pb::FieldDescriptor::TYPE_SFIXED32: return PROTO_SFIXED32;
    case pb::FieldDescriptor::TYPE_SFIXED64: return PROTO_SFIXED64;
    case pb::FieldDescriptor::TYPE_BOOL: return PROTO_BOOL;
    case pb::FieldDescriptor::TYPE_FLOAT: return PROTO_FLOAT;
    case pb::FieldDescriptor::TYPE_DOUBLE: return PROTO_DOUBLE;
    case pb::FieldDescriptor::TYPE_STRING: return PROTO_STRING;
    case pb::FieldDescriptor::TYPE_BYTES: return PROTO_BYTES;
    case pb::FieldDescriptor::TYPE_ENUM: return PROTO_ENUM;
    case pb::FieldDescriptor::TYPE_MESSAGE: return PROTO_MESSAGE;
    case pb::FieldDescriptor::TYPE_GROUP: break;
    }
    throw Refusal{"has a group, which is not read: " + field->full_name()};
}

bool is_wrapper(const pb::Descriptor *type)
{
    static const char *const names[] = {"Double", "Float",  "Int64", "UInt64", "Int32",
                                        "UInt32", "Bool",   "String", "Bytes"};
    for (const char *name : names)
        if (type->full_name() == std::string("google.protobuf.") + name + "Value")
            return type->field_count() == 1 && type->field(0)->number() == 1 &&
                   !type->field(0)->is_repeated() && !type->field(0)->has_presence() &&
                   type->field(0)->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE &&
                   type->field(0)->cpp_type() != pb::FieldDescriptor::CPPTYPE_ENUM;
    return false;
}

// Has the message these fields, by number, of these types?
bool has_fields(const pb::Descriptor *type, std::vector<pb::FieldDescriptor::Type> types)
{
    if (type->field_count() != static_cast<int>(types.size()))
        return false;
    for (size_t i = 0; i < types.size(); i++) {
        const pb::FieldDescriptor *field = type->FindFieldByNumber(static_cast<int>(i) + 1);
        if (!field || field->type() != types[i] || field->is_repeated())
            return false;
    }
    return true;
}

int32_t scale_of(const Params &params)
{
    const auto at = params.find("scale");
    if (at == params.end())
        return INT32_MIN;
    char *end;
    const long scale = strtol(at->second.c_str(), &end, 10);
    return at->second.empty() || *end || scale < -131072 || scale > 131072
               ? INT32_MIN
               : static_cast<int32_t>(scale);
}

// Debezium's struct types, whose names lose what stands before the last dot.
std::string struct_name(const pb::Descriptor *type)
{
    static const struct {
        const char *name, *full, *field;
    } known[] = {
        {"VariableScaleDecimal", "io.debezium.data.VariableScaleDecimal", "scale"},
        {"Geometry", "io.debezium.data.geometry.Geometry", "wkb"},
        {"Geography", "io.debezium.data.geometry.Geography", "wkb"},
        {"Point", "io.debezium.data.geometry.Point", "wkb"},
        {"Circle", "io.debezium.data.geometry.Circle", "radius"},
        {"Line", "io.debezium.data.geometry.Line", "a"},
    };
    for (const auto &one : known)
        if (type->name() == one.name && type->FindFieldByName(one.field))
            return one.full;
    if (type->name().compare(0, 10, "Structured") == 0)
        return "io.debezium.time." + type->name();
    return "";
}

void Writer::set_special(struct proto_field *own, const pb::FieldDescriptor *field,
                         const Params &params)
{
    using T = pb::FieldDescriptor;
    const pb::Descriptor *type = field->message_type();
    const std::string &name = type->full_name();
    if (is_wrapper(type))
        own->kind = PROTO_WRAPPER;
    else if (name == "google.protobuf.Timestamp" &&
             has_fields(type, {T::TYPE_INT64, T::TYPE_INT32}))
        own->kind = connect_ ? PROTO_MOMENT_MS : PROTO_MOMENT;
    else if (name == "google.type.Date" &&
             has_fields(type, {T::TYPE_INT32, T::TYPE_INT32, T::TYPE_INT32}))
        own->kind = PROTO_DATE;
    else if (name == "google.type.TimeOfDay" &&
             has_fields(type, {T::TYPE_INT32, T::TYPE_INT32, T::TYPE_INT32, T::TYPE_INT32}))
        own->kind = connect_ ? PROTO_CLOCK_MS : PROTO_CLOCK_NS;
    else if (name == "confluent.type.Decimal" &&
             has_fields(type, {T::TYPE_BYTES, T::TYPE_UINT32, T::TYPE_INT32}) &&
             scale_of(params) != INT32_MIN) {
        own->kind = PROTO_DECIMAL;
        own->scale = scale_of(params);
    }
}

// The message's fields, without what they are in Avro.
struct proto_message *Writer::tree(const pb::Descriptor *type)
{
    struct proto_message *own = many<struct proto_message>(1);
    own->count = static_cast<uint32_t>(type->field_count());
    if ((fields_ += own->count) > kFieldsMax)
        throw Refusal{"has more than 100000 fields"};
    own->name = copy(type->full_name());
    own->fields = many<struct proto_field>(own->count);
    own->by_number = many<uint32_t>(own->count);
    for (uint32_t i = 0; i < own->count; i++) {
        const pb::FieldDescriptor *field = type->field(static_cast<int>(i));
        own->fields[i].number = static_cast<uint32_t>(field->number());
        own->fields[i].kind = static_cast<uint8_t>(kind_of(field));
        own->fields[i].name = copy(field->name());
        own->fields[i].repeated = field->is_repeated();
        own->fields[i].required = field->is_required();
        own->fields[i].nullable =
            !field->is_repeated() && !field->is_required() && field->has_presence();
        own->by_number[i] = i;
    }
    std::sort(own->by_number, own->by_number + own->count, [own](uint32_t a, uint32_t b) {
        return own->fields[a].number < own->fields[b].number;
    });
    return own;
}

const struct proto_enum *Writer::set_enum(const pb::EnumDescriptor *type)
{
    const auto known = enums_.find(type);
    if (known != enums_.end())
        return known->second;
    struct proto_enum *own = many<struct proto_enum>(1);
    const int count = type->value_count();
    if ((fields_ += static_cast<size_t>(count)) > kFieldsMax)
        throw Refusal{"has more than 100000 fields"};
    own->name = copy(type->full_name());
    own->symbols = many<struct proto_symbol>(static_cast<size_t>(count));
    own->count = static_cast<uint32_t>(count);
    for (int i = 0; i < count; i++)
        own->symbols[i] = {type->value(i)->number(), static_cast<uint32_t>(i)};
    // of two names of one number the first
    std::stable_sort(own->symbols, own->symbols + count,
                     [](const struct proto_symbol &a, const struct proto_symbol &b) {
                         return a.number < b.number;
                     });
    return own;
}

// A type that was written before is its name.
void Writer::put_enum(const struct proto_field *own, const pb::EnumDescriptor *type)
{
    if (enums_.count(type)) {
        json += quoted(type->full_name());
        return;
    }
    enums_[type] = own->symbols;
    json += "{\"type\":\"enum\"" + member("namespace", "") + member("name", type->full_name()) +
            ",\"symbols\":[";
    for (int i = 0; i < type->value_count(); i++)
        json += (i ? "," : "") + quoted(type->value(i)->name());
    json += "]}";
}

// What a value of the field is, one of several if it is repeated.
void Writer::put_plain(const struct proto_field *own, const pb::FieldDescriptor *field,
                       const Params &params)
{
    std::string type, more;
    switch (static_cast<enum proto_kind>(own->kind)) {
    case PROTO_UINT64:
    case PROTO_FIXED64:
        type = "bytes";
        more = ",\"logicalType\":\"decimal\",\"precision\":20,\"scale\":0";
        break;
    case PROTO_WRAPPER:
        put_plain(&own->message->fields[0], field->message_type()->field(0), params);
        return;
    case PROTO_MOMENT:
        type = "string";
        more = member("connect.name", "io.debezium.time.ZonedTimestamp");
        break;
    case PROTO_MOMENT_MS:
        type = "long";
        more = member("connect.name", "org.apache.kafka.connect.data.Timestamp");
        break;
    case PROTO_DATE:
        type = "int";
        more = member("connect.name", "org.apache.kafka.connect.data.Date");
        break;
    case PROTO_CLOCK_NS:
        type = "long";
        more = member("connect.name", "io.debezium.time.NanoTime");
        break;
    case PROTO_CLOCK_MS:
        type = "int";
        more = member("connect.name", "org.apache.kafka.connect.data.Time");
        break;
    case PROTO_DECIMAL:
        type = "bytes";
        more = member("connect.name", "org.apache.kafka.connect.data.Decimal");
        break;
    default:
        type = base_kinds[own->kind];
    }
    json += "{\"type\":" + quoted(type) + more;
    const auto named = params.find("connect.name"), typed = params.find("connect.type");
    if (more.empty() && named != params.end())
        json += member("connect.name", named->second);
    if (typed != params.end())
        json += member("connect.type", typed->second);
    if (!params.empty()) {
        const char *comma = ",\"connect.parameters\":{";
        for (const auto &param : params) {
            json += comma + quoted(param.first == "precision" ? "connect.decimal.precision"
                                                              : param.first) +
                    ":" + quoted(param.second);
            comma = ",";
        }
        json += "}";
    }
    json += "}";
}

void Writer::put_record(const pb::Descriptor *type)
{
    if (messages_.count(type))
        json += quoted(type->full_name());
    else
        write(type);
}

// What the field's values are, before their type is written.
void Writer::prepare(struct proto_field *own, const pb::FieldDescriptor *field,
                     const Params &params)
{
    if (own->kind == PROTO_MESSAGE)
        set_special(own, field, params);
    if (own->kind == PROTO_ENUM)
        own->symbols = set_enum(field->enum_type());
    if (own->kind > PROTO_MESSAGE)
        own->message = tree(field->message_type());
}

void Writer::put_type(struct proto_field *own, const pb::FieldDescriptor *field,
                      const Params &params)
{
    prepare(own, field, params);
    if (own->kind == PROTO_ENUM) {
        put_enum(own, field->enum_type());
    } else if (own->kind == PROTO_MESSAGE) {
        put_record(field->message_type());
        own->message = messages_.at(field->message_type());
    } else {
        put_plain(own, field, params);
    }
}

void Writer::put_map(struct proto_field *own, const pb::Descriptor *entry)
{
    struct proto_message *pair = tree(entry);
    json += "{\"type\":\"map\",\"values\":";
    put_type(&pair->fields[1], entry->map_value(), params_of(entry->map_value()));
    json += "}";
    own->map = true;
    own->message = pair;
}

void Writer::put_field(struct proto_field *own, const pb::FieldDescriptor *field)
{
    json += "{\"name\":" + quoted(field->name()) + ",\"type\":";
    if (field->is_map() &&
        field->message_type()->map_key()->type() == pb::FieldDescriptor::TYPE_STRING) {
        put_map(own, field->message_type());
        json += "}";
        return;
    }
    json += own->repeated ? "{\"type\":\"array\",\"items\":" : own->nullable ? "[\"null\"," : "";
    put_type(own, field, params_of(field));
    json += own->repeated ? "}}" : own->nullable ? "]}" : "}";
}

const struct proto_message *Writer::write(const pb::Descriptor *type)
{
    if (std::find(open_.begin(), open_.end(), type) != open_.end())
        throw Refusal{"is recursive, so its rows have no columns: its message holds itself: " +
                      type->full_name()};
    if (open_.size() >= static_cast<size_t>(kDepthMax))
        throw Refusal{"is nested deeper than 64 levels"};
    open_.push_back(type);
    struct proto_message *own = tree(type);
    json += "{\"type\":\"record\"" + member("namespace", "") + member("name", type->full_name());
    if (type->options().map_entry())
        json += member("connect.internal.type", "MapEntry");
    else if (connect_ && !struct_name(type).empty())
        json += member("connect.name", struct_name(type));
    json += ",\"fields\":[";
    for (int i = 0; i < type->field_count(); i++) {
        json += i ? "," : "";
        put_field(&own->fields[i], type->field(i));
    }
    json += "]}";
    open_.pop_back();
    messages_[type] = own;
    return own;
}

// A record that is nothing but a wrapper: the key of a table of one column.
bool Writer::single(const pb::Descriptor *type, const struct proto_message **message)
{
    if (!is_wrapper(type))
        return false;
    *message = tree(type);
    put_plain(&(*message)->fields[0], type->field(0), Params());
    return true;
}

// --- which message ---

const pb::Descriptor *nested(const pb::Descriptor *type, uint32_t index)
{
    for (int i = 0; i < type->nested_type_count(); i++) {
        // what stands for a map in libprotobuf's tree is no message of the text
        if (!type->nested_type(i)->options().map_entry() && index-- == 0)
            return type->nested_type(i);
    }
    return nullptr;
}

const pb::Descriptor *find(const pb::FileDescriptor *file, const uint32_t *path, size_t length)
{
    const pb::Descriptor *type =
        length && path[0] < static_cast<uint32_t>(file->message_type_count())
            ? file->message_type(static_cast<int>(path[0]))
            : nullptr;
    for (size_t i = 1; type && i < length; i++)
        type = nested(type, path[i]);
    if (!type)
        throw Refusal{"has no message at the indexes that the record names"};
    return type;
}

// Are values that the source may have as NULL lost, since nothing says that they are not there?
// Connect's converter writes all columns so unless it is told otherwise.
bool is_forgetful(const pb::Descriptor *type)
{
    const pb::FieldDescriptor *after = type->FindFieldByName("after");
    if (after && after->message_type() && type->FindFieldByName("op"))
        type = after->message_type();
    int plain = 0;
    for (int i = 0; i < type->field_count(); i++) {
        const pb::FieldDescriptor *field = type->field(i);
        if (field->is_repeated())
            continue;
        bool wrapped = field->message_type() && is_wrapper(field->message_type());
        if (wrapped || (!field->message_type() && field->has_presence()))
            return false;
        plain += !field->message_type();
    }
    return plain > 1;
}

void parse(const struct proto_text *texts, size_t count, const uint32_t *path, size_t path_length,
           bool connect, struct blocks *blocks, struct proto_root *root, struct buffer *avro)
{
    proto::Files files;
    const pb::FileDescriptor *file = nullptr;
    for (size_t i = 0; i < count; i++) {
        const bool last = i + 1 == count;
        const std::string name = !last && *texts[i].name ? texts[i].name : "the schema";
        if (!last && files.has(name))
            continue;
        file = files.add(name, texts[i].bytes, texts[i].length);
    }
    const pb::Descriptor *type = find(file, path, path_length);
    // Debezium names messages so; others that come by `auto` are anybody's
    const std::string &name = type->name();
    connect = connect && (name == "Envelope" || name == "Value" || name == "Key");
    Writer writer(blocks, connect);
    root->single = writer.single(type, &root->message);
    if (!root->single)
        root->message = writer.write(type);
    root->forgetful = connect && is_forgetful(type);
    buffer_add(avro, writer.json.data(), writer.json.size());
}

void silent(pb::LogLevel, const char *, int, const std::string &)
{
}

} // namespace

enum ods_status proto_schema_parse(const struct proto_text *texts, size_t count,
                                   const uint32_t *path, size_t path_length, bool connect,
                                   struct blocks *blocks, struct proto_root *root,
                                   struct buffer *avro, struct error *error)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += texts[i].length;
    if (bytes > PROTO_SCHEMA_BYTES_MAX)
        return error_set(error, ODS_REJECT,
                         "the Protobuf schema has %zu bytes with its imports, more than %zu", bytes,
                         PROTO_SCHEMA_BYTES_MAX);
    try {
        // what is wrong stands in the error
        static pb::LogHandler *const before = pb::SetLogHandler(silent);
        static_cast<void>(before);
        parse(texts, count, path, path_length, connect, blocks, root, avro);
    } catch (const Refusal &refusal) {
        return error_set(error, ODS_REJECT, "the Protobuf schema %.400s", refusal.why.c_str());
    } catch (const std::bad_alloc &) {
        return error_set(error, ODS_RETRY, "out of memory while reading a schema");
    } catch (const std::exception &problem) {
        return error_set(error, ODS_REJECT, "the Protobuf schema can't be read: %.200s",
                         problem.what());
    } catch (...) {
        return error_set(error, ODS_REJECT, "the Protobuf schema can't be read");
    }
    return avro->failed ? error_set(error, ODS_RETRY, "out of memory while reading a schema")
                        : ODS_OK;
}
