/* libFuzzer: any bytes as a record that tells its format; see decoder_input.h and fuzz_debezium.c. */
#include "decoder_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return decoder_input("auto", "{\"id\":1,\"v\":\"a\"}", data, size);
}
