// From the texts of a Protobuf schema to trees in C. See proto_schema.h.
#include "format/protobuf/proto_schema.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/message.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/unknown_field_set.h>

extern "C" {
#include "core/base64.h"
}

namespace pb = google::protobuf;

namespace {

constexpr int kDepthMax = 64;      // of braces in a text, and of messages within messages
constexpr size_t kFieldsMax = 100000; // of all messages, each where it is used
constexpr int kFieldMeta = 1088;   // confluent.field_meta

struct Refusal {
    std::string why;
};

// Files that schemas import and registries do not list among their references.
const struct {
    const char *name, *text;
} known_files[] = {
    {"confluent/meta.proto",
     "syntax = \"proto3\"; package confluent; import \"google/protobuf/descriptor.proto\";"
     "message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3;"
     " repeated Rule rules = 4; }"
     "message Rule { string name = 1; string doc = 2; string expr = 3; string sql = 4; }"
     "extend google.protobuf.FileOptions { Meta file_meta = 1088; }"
     "extend google.protobuf.MessageOptions { Meta message_meta = 1088; }"
     "extend google.protobuf.FieldOptions { Meta field_meta = 1088; }"
     "extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }"
     "extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }"},
    {"confluent/type/decimal.proto",
     "syntax = \"proto3\"; package confluent.type;"
     "message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"},
    {"google/type/date.proto",
     "syntax = \"proto3\"; package google.type;"
     "message Date { int32 year = 1; int32 month = 2; int32 day = 3; }"},
    {"google/type/timeofday.proto",
     "syntax = \"proto3\"; package google.type;"
     "message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3;"
     " int32 nanos = 4; }"},
};

// --- parsing ---

// The first error of a text, or of a file among others.
class Errors : public pb::io::ErrorCollector, public pb::DescriptorPool::ErrorCollector {
  public:
    std::string first;

    void AddError(int line, int column, const std::string &message) override
    {
        if (first.empty())
            first = "line " + std::to_string(line + 1) + ", column " + std::to_string(column + 1) +
                    ": " + message;
    }

    void AddError(const std::string &, const std::string &element, const pb::Message *,
                  ErrorLocation, const std::string &message) override
    {
        if (first.empty())
            first = element + ": " + message;
    }
};

// libprotobuf's parsers call themselves for what is nested. Its own tokenizer tells what they will
// see; each kind has its count, since a parser that passes a block over heeds one kind alone.
void check_depth(const char *bytes, size_t length)
{
    static const char open[] = "{[<", close[] = "}]>";
    int depth[3] = {0, 0, 0};
    Errors ignored;
    pb::io::ArrayInputStream stream(bytes, static_cast<int>(length));
    pb::io::Tokenizer tokens(&stream, &ignored);
    while (tokens.Next()) {
        if (tokens.current().type != pb::io::Tokenizer::TYPE_SYMBOL)
            continue;
        const char symbol = tokens.current().text[0];
        for (int kind = 0; kind < 3; kind++)
            if (symbol == open[kind])
                depth[kind]++;
            else if (symbol == close[kind] && depth[kind])
                depth[kind]--;
        if (depth[0] + depth[1] + depth[2] > kDepthMax)
            throw Refusal{"is nested deeper than 64 levels"};
    }
}

// Options that are still texts, which only a parser's own tree has: their reader has no limit.
bool has_texts(const pb::Message &message)
{
    std::vector<const pb::FieldDescriptor *> fields;
    const pb::Reflection *look = message.GetReflection();
    look->ListFields(message, &fields);
    for (const pb::FieldDescriptor *field : fields) {
        if (field->name() == "uninterpreted_option")
            return true;
        if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE)
            continue;
        if (!field->is_repeated() && has_texts(look->GetMessage(message, field)))
            return true;
        for (int i = 0; field->is_repeated() && i < look->FieldSize(message, field); i++)
            if (has_texts(look->GetRepeatedMessage(message, field, i)))
                return true;
    }
    return false;
}

// Some producers register the file's descriptor in base64, which some registries give out so.
bool parse_descriptor(const char *bytes, size_t length, pb::FileDescriptorProto *file)
{
    size_t decoded = 0;
    if (memchr(bytes, ';', length) || memchr(bytes, '{', length))
        return false;
    std::string binary(length, '\0');
    return length &&
           base64_decode(bytes, length, reinterpret_cast<unsigned char *>(&binary[0]), &decoded) &&
           file->ParseFromArray(binary.data(), static_cast<int>(decoded)) && !has_texts(*file);
}

pb::FileDescriptorProto parse_text(const std::string &name, const char *bytes, size_t length)
{
    pb::FileDescriptorProto file;
    Errors errors;
    if (parse_descriptor(bytes, length, &file)) {
        file.set_name(name);
        return file;
    }
    check_depth(bytes, length);
    pb::io::ArrayInputStream stream(bytes, static_cast<int>(length));
    pb::io::Tokenizer tokenizer(&stream, &errors);
    pb::compiler::Parser parser;
    parser.RecordErrorsTo(&errors);
    if (!parser.Parse(&tokenizer, &file) || !errors.first.empty())
        throw Refusal{"can't be parsed: " + errors.first};
    file.set_name(name);
    return file;
}

constexpr size_t kNameBytesMax = 32u << 20; // of full names, each of which repeats those above it

size_t name_bytes(const pb::EnumDescriptorProto &type, size_t above)
{
    size_t bytes = above + type.name().size();
    for (const auto &value : type.value())
        bytes += above + value.name().size();
    return bytes;
}

size_t name_bytes(const pb::DescriptorProto &type, size_t above)
{
    const size_t own = above + type.name().size() + 1;
    size_t bytes = own;
    for (const auto &field : type.field())
        bytes += own + field.name().size();
    for (const auto &field : type.extension())
        bytes += own + field.name().size();
    for (const auto &one : type.oneof_decl())
        bytes += own + one.name().size();
    for (const auto &one : type.enum_type())
        bytes += name_bytes(one, own);
    for (const auto &one : type.nested_type())
        bytes += name_bytes(one, own);
    return bytes;
}

// libprotobuf keeps the full name of all that has one.
void check_names(const pb::FileDescriptorProto &file)
{
    const size_t above = file.package().size() + 1;
    size_t bytes = 0;
    for (const auto &type : file.message_type())
        bytes += name_bytes(type, above);
    for (const auto &type : file.enum_type())
        bytes += name_bytes(type, above);
    for (const auto &field : file.extension())
        bytes += above + field.name().size();
    for (const auto &service : file.service())
        for (const auto &method : service.method())
            bytes += above + service.name().size() + 1 + method.name().size();
    if (bytes > kNameBytesMax)
        throw Refusal{"has names of more than 32 MiB, each with those that it is in"};
}

class Files {
  public:
    const pb::FileDescriptor *add(const pb::FileDescriptorProto &file)
    {
        check_names(file);
        for (const std::string &import : file.dependency())
            if (!pool_.FindFileByName(import))
                add_known(import);
        Errors errors;
        const pb::FileDescriptor *built = pool_.BuildFileCollectingErrors(file, &errors);
        if (!built)
            throw Refusal{"is not valid: " + errors.first};
        return built;
    }

    bool has(const std::string &name) { return pool_.FindFileByName(name) != nullptr; }

  private:
    pb::DescriptorPool pool_;

    void add_known(const std::string &name)
    {
        for (const auto &known : known_files)
            if (name == known.name) {
                add(parse_text(name, known.text, strlen(known.text)));
                return;
            }
        const pb::FileDescriptor *own =
            pb::DescriptorPool::generated_pool()->FindFileByName(name);
        if (!own)
            throw Refusal{"imports a file that the registry's references do not have: " + name};
        pb::FileDescriptorProto file;
        own->CopyTo(&file);
        add(file);
    }
};

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
    Files files;
    const pb::FileDescriptor *file = nullptr;
    for (size_t i = 0; i < count; i++) {
        const bool last = i + 1 == count;
        const std::string name = !last && *texts[i].name ? texts[i].name : "the schema";
        if (!last && files.has(name))
            continue;
        file = files.add(parse_text(name, texts[i].bytes, texts[i].length));
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
