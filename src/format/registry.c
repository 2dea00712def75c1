/* The formats there are. Adding one: its folder, its name in the two lines below. */
#include <string.h>

#include <ods/format.h>

extern const struct format_ops format_debezium, format_debezium_avro, format_avro,
    format_debezium_protobuf, format_protobuf, format_maxwell, format_json, format_auto;

static const struct format_ops *const decoders[] = {
    &format_debezium,
    &format_debezium_avro,
    &format_avro,
    &format_debezium_protobuf,
    &format_protobuf,
    &format_maxwell,
    &format_json,
    &format_auto,
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
