/* The sources there are. Adding one: its folder, its name in the two lines below. */
#include <string.h>

#include <ods/source.h>

extern const struct source_ops kafka_source_ops, lines_source_ops, file_source_ops,
    messages_source_ops, amqp_source_ops, outbox_source_ops, delta_source_ops,
    iceberg_source_ops;

static const struct source_ops *const sources[] = {
    &kafka_source_ops,
    &lines_source_ops,
    &messages_source_ops,
    &file_source_ops,
    &amqp_source_ops,
    &outbox_source_ops,
    &delta_source_ops,
    &iceberg_source_ops,
    NULL,
};

const struct source_ops *source_find(const char *type)
{
    for (size_t i = 0; sources[i]; i++)
        if (strcmp(sources[i]->type, type) == 0)
            return sources[i];
    return NULL;
}

const struct source_ops *const *source_list(void)
{
    return sources;
}

/* The daemon's own settings are of no group here. */
static const struct setting_group none = {.title = "", .intro = ""};

const struct setting_group *source_groups(size_t number, const char **name)
{
    if (number >= sizeof sources / sizeof *sources - 1)
        return NULL;
    *name = sources[number]->type;
    return sources[number]->settings ? sources[number]->settings : &none;
}
