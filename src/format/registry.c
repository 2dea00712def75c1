/* The formats that ods-sink reads. A new one is a line here. */
#include "format/registry.h"

#include <string.h>

static const struct format_ops *const decoders[] = {
    &format_debezium,
    &format_maxwell,
    NULL,
};

const struct format_ops *const *format_list(void)
{
    return decoders;
}

const struct format_ops *format_find(const char *name)
{
    for (const struct format_ops *const *at = decoders; *at; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}
