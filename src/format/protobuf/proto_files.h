// The texts of a Protobuf schema and what they import, parsed within bounds: of nesting, and of the
// names that libprotobuf keeps of all that has one.
#ifndef PROTO_FILES_H
#define PROTO_FILES_H

#include <string>

#include <google/protobuf/descriptor.h>

namespace pb = google::protobuf;

namespace proto {

// Thrown: what is wrong with a schema, as the end of a sentence that begins with it.
struct Refusal {
    std::string why;
};

class Files {
  public:
    // A file's text, or its descriptor in base64; its imports were added before, but for those that
    // everybody has. The answer lives as long as this does. Throws Refusal.
    const pb::FileDescriptor *add(const std::string &name, const char *bytes, size_t length);
    bool has(const std::string &name);

  private:
    pb::DescriptorPool pool_;

    const pb::FileDescriptor *build(const pb::FileDescriptorProto &file);
    void add_known(const std::string &name);
};

} // namespace proto

#endif
