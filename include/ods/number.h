/* What a source or a target shows of itself in /metrics, beside what the pipeline counts for all of
 * them. A table of rows, ended by one without labels; their values come in its order. */
#ifndef ODS_NUMBER_H
#define ODS_NUMBER_H

#ifdef __cplusplus
extern "C" {
#endif

struct number {
    const char *name;   /* without "ods_sink_"; NULL: another value of the row before */
    const char *type;   /* "counter", whose name ends in _total, or "gauge" */
    const char *help;   /* one line */
    const char *labels; /* "" or as in ",direction=\"sent\""; NULL: the end */
};

#define NUMBER_ROWS_MAX 32 /* rows of a table */

#ifdef __cplusplus
}
#endif

#endif
