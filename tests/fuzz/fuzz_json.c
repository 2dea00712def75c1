/* libFuzzer: any bytes as a plain JSON row; see decoder_input.h and fuzz_debezium.c. */
#include "decoder_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return decoder_input("json", "{\"id\":1,\"v\":\"a\"}", data, size);
}
