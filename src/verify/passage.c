/* Rows through transforms. See passage.h. */
#include "verify/passage.h"

#include <string.h>

enum ods_status passage_open(struct passage *passage, const struct pipeline_settings *pipeline,
                             const struct shape *shape, struct error *error)
{
    enum ods_status status = ODS_OK;
    *passage = (struct passage){.pipeline = pipeline, .op = OP_CREATE};
    passage->record = (struct record){.topic = shape->topic, .timestamp_ms = -1};
    passage->shapes = shape_table_new();
    passage->batch = batch_new();
    bool ignored = false;
    if (!passage->shapes || !passage->batch)
        status = error_out_of_memory(error);
    if (status == ODS_OK && !(passage->shape = shape_intern(passage->shapes, shape)))
        status = error_out_of_memory(error);
    if (status == ODS_OK)
        status = transform_chain_open(&passage->transforms, pipeline, passage->shapes, &ignored,
                                      error);
    if (status != ODS_OK)
        passage_close(passage);
    return status;
}

void passage_close(struct passage *passage)
{
    transform_chain_close(passage->transforms);
    if (passage->batch)
        batch_free(passage->batch);
    if (passage->shapes)
        shape_table_free(passage->shapes);
    *passage = (struct passage){0};
}

static bool is_wanted(const struct passage *passage, const struct shape *shape)
{
    const struct shape *wanted = passage->wanted;
    return !wanted || (strcmp(wanted->table, shape->table) == 0 &&
                       strcmp(wanted->schema, shape->schema) == 0 &&
                       strcmp(wanted->database, shape->database) == 0);
}

enum ods_status passage_row(struct passage *passage, const struct value *values,
                            const struct change **made, struct error *error)
{
    struct batch *batch = passage->batch;
    batch_reset(batch);
    *made = NULL;
    struct record *record = batch_add_record(batch);
    struct change *change = batch_add_change(batch);
    if (!record || !change)
        return error_out_of_memory(error);
    *record = passage->record;
    *change = (struct change){.op = passage->op, .shape = passage->shape, .source_us = INT64_MIN};
    if (passage->op == OP_DELETE)
        change->before = values;
    else
        change->after = values;
    enum ods_status status = ODS_OK;
    if (passage->transforms)
        status = transform_chain_apply(passage->transforms, batch, 0, error);
    for (uint32_t i = 0; status == ODS_OK && !*made && i < batch->change_count; i++)
        if (is_wanted(passage, batch->changes[i].shape))
            *made = &batch->changes[i];
    return status;
}
