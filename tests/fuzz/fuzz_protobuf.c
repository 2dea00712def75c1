/* libFuzzer: any Protobuf schema and record of it, see schema_input.h. The indexes of the record's
 * message stand before it. */
#include "schema_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_schema("PROTOBUF", "debezium-protobuf", "protobuf", data, size);
}
