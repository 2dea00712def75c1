/* The formats that ods-sink reads. A new one is a line here. */
#include "decoder/registry.h"

#include <string.h>

static const struct decoder_ops *const decoders[] = {
    &decoder_debezium,
    &decoder_maxwell,
    NULL,
};

const struct decoder_ops *const *decoder_list(void)
{
    return decoders;
}

const struct decoder_ops *decoder_find(const char *name)
{
    for (const struct decoder_ops *const *at = decoders; *at; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}
