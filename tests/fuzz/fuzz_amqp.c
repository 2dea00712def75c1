/* libFuzzer: messages of AMQP 1.0. What is read must lie in the message, and be read the same
 * twice. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "source/amqp/amqp_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct amqp_block *read_block(const uint8_t *data, size_t size)
{
    static const char *const identities[] = {"auto", "content", "property:id", "annotation:id"};
    struct amqp_block *block = amqp_block_new(0);
    char *room = amqp_block_take(&block, size);
    if (size)
        memcpy(room, data, size);
    amqp_block_read(block, identities[size % 4], "property:key");
    return block;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct amqp_block *one = read_block(data, size), *two = read_block(data, size);
    struct record first, second;
    struct header headers[8];
    amqp_block_record(one, &first);
    amqp_block_record(two, &second);
    assert(first.value_length <= size && first.value_length == second.value_length);
    assert(!first.value_length || memcmp(first.value, second.value, first.value_length) == 0);
    assert(first.identity_length == second.identity_length);
    assert(!first.identity_length ||
           memcmp(first.identity, second.identity, first.identity_length) == 0);
    assert(first.refusal == second.refusal);
    size_t count = amqp_block_headers(&first, headers, 8);
    assert(count == amqp_block_headers(&second, headers, 8));
    for (size_t i = 0; i < count && i < 8; i++)
        assert(strlen(headers[i].name) < size * 25 &&
               (!headers[i].value || headers[i].length < size * 25));
    amqp_block_release(first.owner);
    amqp_block_release(second.owner);
    amqp_block_release(one);
    amqp_block_release(two);
    return 0;
}
