/* libFuzzer: any bytes as a Debezium record; see decoder_input.h.
 *
 *   clang -fsanitize=fuzzer,address,undefined … fuzz_debezium.c && ./fuzz_debezium corpus seeds
 * tests/fuzz/seeds.py writes seeds from the golden fixtures.
 */
#include "decoder_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return decoder_input("debezium",
                         "{\"before\":null,\"after\":{\"id\":1,\"v\":\"a\"},\"source\":{\"db\":"
                         "\"d\",\"table\":\"t\",\"ts_ms\":1},\"op\":\"c\"}",
                         data, size);
}
