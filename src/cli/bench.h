/* What the parts of `bench` share. */
#ifndef BENCH_H
#define BENCH_H

#include "cli/cli.h"
#include "pipeline/recording.h"
#include "pipeline/worker.h"

double bench_cpu_seconds(void);

/* All records of the file, in one batch that is never applied. */
enum ods_status bench_load(const char *path, struct batch *store, struct recording **file,
                           struct error *error);

/* Decodes and transforms a copy of the record, whose bytes are another batch's. */
enum ods_status bench_take(struct batch *batch, struct worker *worker, const struct record *record,
                           int64_t from, struct error *error);

/* What each transform of a pipeline costs an event: JSON on standard output. An exit code. */
int bench_transforms(const char *config, const char *pipeline, const char *path, double seconds);

#endif
