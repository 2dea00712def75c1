// The texts of a Protobuf schema. See proto_files.h.
#include "format/protobuf/proto_files.h"

#include <cstring>
#include <vector>

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>

extern "C" {
#include "core/base64.h"
}

namespace proto {

namespace {

constexpr int kDepthMax = 64; // of braces in a text
constexpr size_t kNameBytesMax = 32u << 20; // of full names, each of which repeats those above it

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

} // namespace

const pb::FileDescriptor *Files::add(const std::string &name, const char *bytes, size_t length)
{
    return build(parse_text(name, bytes, length));
}

bool Files::has(const std::string &name)
{
    return pool_.FindFileByName(name) != nullptr;
}

const pb::FileDescriptor *Files::build(const pb::FileDescriptorProto &file)
{
    check_names(file);
    for (const std::string &import : file.dependency())
        if (!has(import))
            add_known(import);
    Errors errors;
    const pb::FileDescriptor *built = pool_.BuildFileCollectingErrors(file, &errors);
    if (!built)
        throw Refusal{"is not valid: " + errors.first};
    return built;
}

void Files::add_known(const std::string &name)
{
    for (const auto &known : known_files)
        if (name == known.name) {
            add(name, known.text, strlen(known.text));
            return;
        }
    const pb::FileDescriptor *own = pb::DescriptorPool::generated_pool()->FindFileByName(name);
    if (!own)
        throw Refusal{"imports a file that the registry's references do not have: " + name};
    pb::FileDescriptorProto file;
    own->CopyTo(&file);
    build(file);
}

} // namespace proto
