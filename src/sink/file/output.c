/* What a batch adds to the files of a folder. */
#include "sink/file/output.h"

#include <stdlib.h>
#include <string.h>

#include <ods/lines.h>

#include "sink/file/csv.h"

#define NAME_MAX_BYTES 200

/* A line of the current record. */
struct stage {
    size_t run, start;
};

void output_init(struct output *output, const struct file_settings *settings,
                 const struct pipeline_settings *pipeline)
{
    *output = (struct output){.settings = settings, .pipeline = pipeline};
    buffer_init(&output->staged);
    buffer_init(&output->stages);
    buffer_init(&output->run_of);
    buffer_init(&output->header);
}

static void forget_runs(struct output *output)
{
    for (size_t i = 0; i < output->run_count; i++) {
        free(output->runs[i].name);
        free(output->runs[i].header);
        buffer_done(&output->runs[i].bytes);
    }
    output->run_count = 0;
}

void output_done(struct output *output)
{
    forget_runs(output);
    free(output->runs);
    buffer_done(&output->staged);
    buffer_done(&output->stages);
    buffer_done(&output->run_of);
    buffer_done(&output->header);
}

bool output_is_single(const struct file_settings *settings)
{
    return !strstr(settings->file_name, "{{");
}

const char *output_ending(const struct file_settings *settings)
{
    static const char *const endings[][3] = {
        [FILE_JSONL] = {"jsonl", "jsonl.gz", "jsonl.zst"},
        [FILE_CSV] = {"csv", "csv.gz", "csv.zst"},
    };
    return endings[settings->format][settings->compression];
}

/* --- names ---------------------------------------------------------------------------------- */

/* In the name of a file: nothing that a path or a shell reads as something else. */
static void put_plain(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        char c = *text;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || c == '-' || (c == '.' && out->length);
        if (plain)
            buffer_add(out, &c, 1);
        else
            buffer_printf(out, "%%%02X", (unsigned char) c);
    }
}

/* The settings' check has seen to it that each {{…}} is one of these. */
static char *name_of(const struct output *output, const struct shape *shape)
{
    const struct {
        const char *place, *value;
    } places[] = {{"{{database}}", shape->database},
                  {"{{schema}}", *shape->schema ? shape->schema : shape->database},
                  {"{{table}}", shape->table},
                  {"{{pipeline}}", output->pipeline->name}};
    struct buffer out;
    buffer_init(&out);
    for (const char *at = output->settings->file_name; *at;) {
        size_t i = 0, count = sizeof places / sizeof *places;
        while (i < count && strncmp(at, places[i].place, strlen(places[i].place)) != 0)
            i++;
        if (i < count)
            put_plain(&out, places[i].value);
        else
            buffer_add(&out, at, 1);
        at += i < count ? strlen(places[i].place) : 1;
    }
    buffer_add(&out, "", 1);
    if (!out.failed)
        return out.bytes;
    buffer_done(&out);
    return NULL;
}

/* --- runs ----------------------------------------------------------------------------------- */

static enum ods_status add_run(struct output *output, char *name, const char *header,
                               struct error *error)
{
    if (output->run_count == output->run_capacity) {
        size_t capacity = output->run_capacity ? 2 * output->run_capacity : 4;
        struct output_run *grown = realloc(output->runs, capacity * sizeof *grown);
        if (!grown)
            return error_out_of_memory(error);
        output->runs = grown;
        output->run_capacity = capacity;
    }
    struct output_run *run = &output->runs[output->run_count];
    *run = (struct output_run){.last = true, .header = header ? strdup(header) : NULL};
    if (header && !run->header)
        return error_out_of_memory(error);
    buffer_init(&run->bytes);
    for (size_t i = 0; i < output->run_count; i++)
        if (strcmp(output->runs[i].name, name) == 0)
            output->runs[i].last = false;
    run->name = name;
    output->run_count++;
    return ODS_OK;
}

static bool same_header(const struct output_run *run, const char *header)
{
    return run->header == header || (run->header && header && strcmp(run->header, header) == 0);
}

static enum ods_status find_run(struct output *output, const struct shape *shape, uint32_t *number,
                                struct error *error)
{
    bool csv = output->settings->format == FILE_CSV;
    char *name = name_of(output, shape);
    enum ods_status status = ODS_OK;
    buffer_reset(&output->header);
    if (csv)
        csv_put_header(&output->header, shape, lines_table(output->pipeline, shape));
    const char *header = csv ? buffer_text(&output->header) : NULL;
    if (!name || output->header.failed) {
        free(name);
        return error_out_of_memory(error);
    }
    if (strlen(name) > NAME_MAX_BYTES) {
        free(name);
        return error_set(error, ODS_REJECT, "a file's name can't have more than %d bytes",
                         NAME_MAX_BYTES);
    }
    for (size_t i = 0; i < output->run_count; i++) {
        const struct output_run *run = &output->runs[i];
        if (run->last && strcmp(run->name, name) == 0 && same_header(run, header)) {
            free(name);
            *number = (uint32_t) i;
            return ODS_OK;
        }
    }
    status = add_run(output, name, header, error);
    if (status != ODS_OK)
        free(name);
    *number = (uint32_t) output->run_count - 1;
    return status;
}

/* The run that a change's line goes to. */
static enum ods_status run_of(struct output *output, const struct shape *shape, size_t *run,
                              struct error *error)
{
    size_t wanted = ((size_t) shape->id + 1) * sizeof(uint32_t);
    if (output->run_of.length < wanted) {
        size_t had = output->run_of.length;
        if (!buffer_take(&output->run_of, wanted - had))
            return error_out_of_memory(error);
        memset(output->run_of.bytes + had, 0, wanted - had);
    }
    uint32_t *known = (uint32_t *) (void *) output->run_of.bytes + shape->id, number = 0;
    if (!*known || !output->runs[*known - 1].last) {
        enum ods_status status = find_run(output, shape, &number, error);
        if (status != ODS_OK)
            return status;
        *known = number + 1;
    }
    *run = *known - 1;
    return ODS_OK;
}

/* --- lines ---------------------------------------------------------------------------------- */

static enum ods_status put_line(void *context, uint32_t index, struct error *error)
{
    struct output *output = context;
    const struct shape *shape = output->batch->changes[index].shape;
    struct stage stage = {.start = output->staged.length};
    if (lines_table(output->pipeline, shape)->skip)
        return ODS_OK;
    enum ods_status status = run_of(output, shape, &stage.run, error);
    if (status == ODS_OK)
        status = output->settings->format == FILE_CSV
                     ? csv_put(&output->staged, output->batch, index, output->pipeline, error)
                     : lines_put(&output->staged, output->batch, index, output->pipeline, error);
    buffer_add(&output->stages, &stage, sizeof stage);
    return status;
}

static void end_record(void *context, bool good)
{
    struct output *output = context;
    const struct stage *stages = (const struct stage *) (const void *) output->stages.bytes;
    size_t count = output->stages.length / sizeof *stages;
    bool failed = output->staged.failed || output->stages.failed;
    for (size_t i = 0; good && !failed && i < count; i++) {
        size_t end = i + 1 < count ? stages[i + 1].start : output->staged.length;
        buffer_add(&output->runs[stages[i].run].bytes, output->staged.bytes + stages[i].start,
                   end - stages[i].start);
        output->lines++;
    }
    output->staged.length = output->stages.length = 0;
}

enum ods_status output_fill(struct output *output, struct batch *batch, struct error *error)
{
    const struct lines_writer writer = {put_line, end_record, output};
    forget_runs(output);
    buffer_reset(&output->staged);
    buffer_reset(&output->stages);
    buffer_reset(&output->run_of);
    output->batch = batch;
    output->lines = 0;
    enum ods_status status = lines_each(batch, &writer, error);
    bool failed = output->staged.failed || output->stages.failed;
    for (size_t i = 0; i < output->run_count; i++)
        failed |= output->runs[i].bytes.failed;
    return status == ODS_OK && failed ? error_out_of_memory(error) : status;
}
