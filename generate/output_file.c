/* Records as `kcat -J` writes them, one a line: what `ods-sink replay` and its source of type file
 * read. */
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum { TOPICS = 16 };

struct file_output {
    struct output output;
    FILE *file;
    struct text line;
    const char *topics[TOPICS];
    int64_t offsets[TOPICS];
};

static int64_t next_offset(struct file_output *out, const char *topic)
{
    for (int i = 0; i < TOPICS; i++) {
        if (!out->topics[i])
            out->topics[i] = topic;
        if (out->topics[i] == topic)
            return out->offsets[i]++;
    }
    die("more than %d topics", TOPICS);
}

static void file_send(struct output *output, const struct outgoing *record)
{
    struct file_output *out = (struct file_output *) output;
    struct text *line = &out->line;
    line->length = 0;
    text_format(line, "{\"topic\":\"%s\",\"partition\":0,\"offset\":%lld,\"tstype\":\"create\",",
                record->topic, (long long) next_offset(out, record->topic));
    text_format(line, "\"ts\":%lld,\"broker\":0,\"headers\":[", (long long) record->ms);
    if (record->header) {
        text_format(line, "\"%s\",", record->header);
        text_json(line, record->header_value, record->header_length);
    }
    text_string(line, "],\"key\":");
    text_json(line, record->key, record->key_length);
    text_string(line, ",\"payload\":");
    if (record->value)
        text_json(line, record->value, record->value_length);
    else
        text_string(line, "null");
    text_string(line, "}\n");
    if (fwrite(line->data, 1, line->length, out->file) != line->length)
        die("cannot write: %s", strerror(errno));
}

static void file_flush(struct output *output, bool wait)
{
    if (fflush(((struct file_output *) output)->file) != 0)
        die("cannot write: %s", strerror(errno));
}

static void file_close(struct output *output)
{
    struct file_output *out = (struct file_output *) output;
    file_flush(output, true);
    if (out->file != stdout && fclose(out->file) != 0)
        die("cannot write: %s", strerror(errno));
    text_free(&out->line);
    free(out);
}

static const struct output_ops ops = {file_send, file_flush, file_close};

struct output *output_file_open(const struct output_options *options)
{
    struct file_output *out = calloc(1, sizeof *out);
    const char *path = options->to + 5;
    if (!out)
        die("out of memory");
    out->output.ops = &ops;
    out->file = strcmp(options->to, "-") == 0 ? stdout : fopen(path, "w");
    if (!out->file) {
        free(out);
        die("cannot create %s: %s", path, strerror(errno));
    }
    setvbuf(out->file, NULL, _IOFBF, 1 << 20);
    return &out->output;
}
