/* libFuzzer: any bytes as a record of Maxwell's; see decoder_input.h and fuzz_debezium.c. */
#include "decoder_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return decoder_input("maxwell",
                         "{\"database\":\"d\",\"table\":\"t\",\"type\":\"insert\",\"ts\":1,"
                         "\"data\":{\"id\":1,\"v\":\"a\"}}",
                         data, size);
}
