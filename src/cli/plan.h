/* What the files of `ods-sink plan` share: plan.c (the command, and where records come from),
 * plan_schema.c, plan_avro.c and plan_row.c (a schema in place of records), plan_show.c (what is
 * printed). */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include <jansson.h>

#include "cli/cli.h"
#include "pipeline/worker.h"
#include "sink/postgres/read/forecast.h"

struct plan_options {
    const char *config, *pipeline, *records, *topic;
    struct strings schemas;
    int64_t sample;
    bool json;
};

/* What would become of one pipeline's target. */
struct outlook {
    const struct settings *settings;
    const struct pipeline_settings *pipeline; /* `altered`, if a schema change is to be read */
    struct pipeline_settings altered;
    bool plain; /* the pipeline's records are rows without an envelope */
    struct worker_origin origin;
    struct format_helper *helper;
    struct worker worker;
    struct forecast *forecast;
    json_t *statements, *refused, *tables, *notes; /* for the report, owned */
    uint64_t records, changes, unreadable;
};

/* --- plan.c ---------------------------------------------------------------------------------- */

/* What the record in `batch` (its first) would change, if the pipeline takes it. ODS_RETRY,
 * ODS_FATAL: the target does not answer, or out of memory. */
enum ods_status outlook_take(struct outlook *outlook, struct batch *batch, struct error *error);
void outlook_note(struct outlook *outlook, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- plan_schema.c, plan_row.c ---------------------------------------------------------------- */

/* The schemas of files, as records with which they begin to hold. */
struct schema_files {
    json_t *changes; /* schema-change records */
    json_t *rows;    /* {schema, topic, name}: Connect's schemas of rows */
    json_t *keys;    /* the same of keys */
};

/* A cli_exit. */
int schema_files_read(struct schema_files *files, const struct strings *paths, const char *topic,
                      struct error *error);
void schema_files_done(struct schema_files *files);
/* Each schema that is one of the pipeline's goes to it. `topic`: of the option, or NULL. *any is
 * set if one is. */
enum ods_status schema_files_take(const struct schema_files *files, struct outlook *outlook,
                                  const char *topic, bool *any, struct error *error);

/* --- plan_avro.c ----------------------------------------------------------------------------- */

/* An Avro schema as Connect's converter reads it, in the form of its JSON schemas; new. NULL: it
 * can't be read, *problem says why. */
json_t *connect_from_avro(const json_t *avro, const char **problem);

/* --- plan_show.c ----------------------------------------------------------------------------- */

void plan_print(const struct terminal *terminal, const json_t *report);

#endif
