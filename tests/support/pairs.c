/* The smallest format there can be, for docs/contributing.md: a row is a text as id=1;name=a, its
 * first member is the key, and each record an upsert. It needs include/ods and nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include <ods/format.h>

extern const struct format_ops format_pairs;

struct pairs {
    struct decoder decoder;
    struct decoder_config config;
};

#define MOST 16

/* Cuts the text at its signs; the names and values point into it. */
static bool cut(char *text, struct column *columns, struct value *values, uint32_t *count)
{
    for (char *part = text, *next; part; part = next) {
        next = strchr(part, ';');
        if (next)
            *next++ = '\0';
        char *sign = strchr(part, '=');
        if (!sign || *count == MOST)
            return false;
        *sign = '\0';
        columns[*count] = (struct column){.name = part,
                                          .name_length = (uint32_t) (sign - part),
                                          .length = -1,
                                          .scale = INT32_MIN,
                                          .optional = *count > 0};
        values[(*count)++] = (struct value){.kind = VALUE_TEXT,
                                            .length = (uint32_t) strlen(sign + 1),
                                            .bytes = sign + 1};
    }
    return true;
}

static const struct shape *shape_of(struct pairs *self, const struct record *record,
                                    const struct column *columns, uint32_t count)
{
    const char *dot = strrchr(record->topic, '.');
    const uint32_t key = 0;
    const struct shape candidate = {.topic = record->topic,
                                    .database = "",
                                    .schema = "",
                                    .table = dot ? dot + 1 : record->topic,
                                    .connector = "",
                                    .column_count = count,
                                    .columns = columns,
                                    .key_count = 1,
                                    .key = &key};
    return shape_intern(self->config.shapes, &candidate);
}

static enum ods_status pairs_decode(struct decoder *decoder, struct batch *batch, uint32_t index,
                                    struct error *error)
{
    struct pairs *self = (struct pairs *) decoder;
    const struct record *record = &batch->records[index];
    if (!record->value) {
        batch->passed[PASS_TOMBSTONE]++;
        return ODS_OK;
    }
    struct column *columns = arena_alloc(&batch->arena, MOST * sizeof *columns);
    struct value *values = arena_alloc(&batch->arena, MOST * sizeof *values);
    char *text = arena_strndup(&batch->arena, record->value, record->value_length);
    if (!columns || !values || !text)
        return error_out_of_memory(error);
    uint32_t count = 0;
    if (!cut(text, columns, values, &count))
        return error_set(error, ODS_REJECT, "the record is not NAME=VALUE;...");
    const struct shape *shape = shape_of(self, record, columns, count);
    struct change *change = shape ? batch_add_change(batch) : NULL;
    if (!change)
        return error_out_of_memory(error);
    change->op = OP_CREATE;
    change->record = index;
    change->shape = shape;
    change->source_us = INT64_MIN;
    change->after = values;
    return ODS_OK;
}

static void pairs_close(struct decoder *decoder)
{
    free(decoder);
}

static enum ods_status pairs_open(struct decoder **decoder, const struct decoder_config *config,
                                  struct error *error)
{
    struct pairs *self = calloc(1, sizeof *self);
    *decoder = (struct decoder *) self;
    if (!self)
        return error_out_of_memory(error);
    self->decoder.ops = &format_pairs;
    self->config = *config;
    return ODS_OK;
}

const struct format_ops format_pairs = {
    .name = "pairs",
    .summary = "rows as NAME=VALUE;...",
    .open = pairs_open,
    .decode = pairs_decode,
    .close = pairs_close,
};
