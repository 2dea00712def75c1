/* What the files of `ods-sink changes` share. */
#ifndef CHANGES_H
#define CHANGES_H

#include "cli/lake_place.h"

enum changes_form { CHANGES_TABLE, CHANGES_JSON, CHANGES_ARROW };

struct changes_options {
    struct lake_range range;
    const char *types, *format;
    int64_t every_ms; /* between two looks */
    bool follow, summary, json;
};

/* Prints lines of changes as tables, one a version; feed by feed. */
struct changes_printer {
    const struct terminal *terminal;
    json_t *rows;    /* of one version, not printed yet */
    int64_t version; /* theirs */
    int64_t last;    /* the version whose head is printed */
    bool failed;
};

/* `lines` end in \n each. */
void changes_print(struct changes_printer *printer, const char *lines);
/* What is still held; false: memory ran out. */
bool changes_print_rest(struct changes_printer *printer);

/* Writes the bytes of a stream of Arrow that the reader has now, and the stream's end. A cli_exit;
 * CLI_TARGET: the error says why. */
int changes_arrow(struct lake_reader *reader, bool *printed, struct error *error);
void changes_arrow_end(void);

/* The summary of these versions. `path`: the table's. */
bool changes_summary(const struct call *call, const char *path, const json_t *versions,
                     bool as_json);

#endif
