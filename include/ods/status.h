/* What a step of the pipeline answers: the answer itself says what to do next.
 *
 * A function that can fail returns an ods_status and fills a caller-owned struct error, or logs,
 * never both. Only main.c, cli/ and pipeline/ log above debug level.
 */
#ifndef ODS_STATUS_H
#define ODS_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ods_status {
    ODS_OK = 0,
    ODS_RETRY,  /* an outage: the same work may succeed later, nothing was done */
    ODS_REJECT, /* this record, not the system, is wrong: it goes to the dead letters */
    ODS_FENCED, /* another writer owns the partition: roll back and drop the batch */
    ODS_FATAL,  /* none of these: the lane stops and logs an error */
};

/* What is at fault, in terms that all targets share. The status says what to do next with the
 * record or the batch; the fault says why, and the pipeline decides by it, never by a target's own
 * code. */
enum fault {
    FAULT_NONE = 0,      /* nobody has said */
    FAULT_ROW,           /* the row itself */
    FAULT_ORDER,         /* the row may be right, but another one has to be written or deleted
                            first */
    FAULT_TABLE,         /* the table can't hold such rows, or has been changed */
    FAULT_OUTAGE,        /* the target is away or busy */
    FAULT_CONFIGURATION, /* rights, settings, or an answer that is not expected of a target */
};

/* Where in a target an error arose. Triggers, checks and other functions of the target's users may
 * raise any code, so the code alone does not tell. */
enum error_origin {
    ORIGIN_SERVER,
    ORIGIN_ROUTINE,      /* in a function that the target's users have written */
    ORIGIN_RAISED,       /* which raised it on purpose */
    ORIGIN_ROW_CHECK,    /* row security, or a view's check option */
    ORIGIN_VALUE_MEMORY, /* a value would be larger than a value can be */
};

#define ERROR_NO_INDEX   ((size_t) -1)
#define ERROR_TEXT_BYTES 1024

/* Where it happened and why. Caller-owned, no heap memory; error_init() before use. */
struct error {
    size_t index;     /* the change (in its batch) that is at fault, or ERROR_NO_INDEX */
    enum fault fault;
    char code[24];    /* the target's own (sink_ops.codes), or "" */
    enum error_origin origin;
    char column[64];  /* the column at fault (possibly cut), or "" */
    char constraint[64];
    char
        text[ERROR_TEXT_BYTES]; /* one line, UTF-8, without secrets; what, where, why, what to do */
};

void error_init(struct error *error);

/* Format the message into error (NULL is allowed) and return status, so that a caller can write
 * return error_set(error, ODS_REJECT, "…", …); */
enum ods_status error_set(struct error *error, enum ods_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Memory ran out, which may pass: ODS_RETRY. */
enum ods_status error_out_of_memory(struct error *error);

/* Put a prefix ("topic t partition 1 offset 7: ") before the message that is there. */
void error_prefix(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

const char *ods_status_name(enum ods_status status);

#ifdef __cplusplus
}
#endif

#endif
