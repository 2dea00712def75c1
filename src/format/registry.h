/* The decoders that registry.c lists. */
#ifndef FORMAT_REGISTRY_H
#define FORMAT_REGISTRY_H

#include <ods/format.h>

extern const struct format_ops format_debezium, format_maxwell;

#endif
