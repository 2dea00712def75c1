/* What a batch adds to the files of a folder. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include <ods/pipeline.h>

#include "sink/file/settings.h"

/* Lines that follow one another in the files of one name. */
struct output_run {
    char *name;   /* of the files, without number and ending */
    char *header; /* CSV: the line of the columns' names; NULL: there is none */
    struct buffer bytes;
    bool last; /* of its name in the batch */
};

struct output {
    const struct file_settings *settings;
    const struct pipeline_settings *pipeline;
    struct batch *batch;
    struct output_run *runs;
    size_t run_count, run_capacity;
    uint64_t lines;
    /* Of the current record: */
    struct buffer staged; /* its lines */
    struct buffer stages; /* struct stage: which run each goes to */
    struct buffer run_of; /* uint32_t for each shape, by its id: its run + 1, 0: none yet */
    struct buffer header;
};

void output_init(struct output *output, const struct file_settings *settings,
                 const struct pipeline_settings *pipeline);
void output_done(struct output *output);

/* Lines of all changes of the batch that are not rejected; those that can't be written are set
 * aside with their record. */
enum ods_status output_fill(struct output *output, struct batch *batch, struct error *error);

/* Do the files of all tables have one name? */
bool output_is_single(const struct file_settings *settings);
/* The ending of the files: "jsonl", "csv.gz". */
const char *output_ending(const struct file_settings *settings);

#endif
