/* libFuzzer: any Avro schema and record of it, see schema_input.h. */
#include "schema_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_schema("AVRO", "debezium-avro", "avro", data, size);
}
