/* What tables.yaml says about the quality of a pipeline's data: rules about rows and tables. It is
 * immutable and lives as long as the configuration.
 */
#ifndef ODS_QUALITY_H
#define ODS_QUALITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/setting.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first ones look at one row, and can do so in flight; the others need the table. */
enum quality_check {
    QUALITY_NOT_NULL,
    QUALITY_RANGE,
    QUALITY_SET,
    QUALITY_PATTERN,
    QUALITY_SCHEMA,
    QUALITY_UNIQUE,
    QUALITY_REFERENCE,
    QUALITY_ROW_COUNT,
    QUALITY_CHECKSUM,
    QUALITY_LAG,
    QUALITY_FRESHNESS,
    QUALITY_VOLUME,
    QUALITY_CHECKS
};

extern const char *const quality_checks[]; /* their names; NULL-terminated */

static inline bool quality_check_flies(enum quality_check check)
{
    return check <= QUALITY_SCHEMA;
}

/* What becomes of a record that breaks the rule, on its way. */
enum quality_on_fail {
    ON_FAIL_NONE, /* it is not looked at on its way */
    ON_FAIL_PASS, /* counted */
    ON_FAIL_MARK, /* and the rule's name is put into a column of its row */
    ON_FAIL_LETTER,
};
extern const char *const quality_on_fails[]; /* likewise */

struct quality_rule {
    const char *name; /* resolved: never "" */
    enum quality_check check;
    struct strings tables;  /* of a pipeline's rule: only these; empty: all */
    struct strings columns; /* names of the source, as for the table's `key` */
    const char *min, *max;  /* "": no bound */
    struct strings values;
    const char *pattern;
    const char *references; /* "customers(id)" */
    struct properties types; /* by column */
    struct strings key;
    bool others, drift;
    int64_t within_ms;
    int64_t allow;     /* rows that may break it */
    int64_t weeks;
    int64_t tolerance; /* percent */
    enum quality_on_fail on_fail;
    bool scheduled;
    const char *file; /* where it stands */
    int line;
};

struct quality_settings {
    int64_t every_ms; /* the daemon checks by itself; 0: it does not */
    int64_t keep_ms;  /* how long results are kept */
    int64_t settle_ms;
    int64_t timeout_ms; /* of a statement */
    const char *mark;   /* the column of ON_FAIL_MARK */
    struct quality_rule *rules;
    size_t rule_count;
};

struct pipeline_settings; /* ods/pipeline.h */
struct table_settings;

/* The rules for a table of the source, one after the other: those of the pipeline that concern it,
 * then its own. `at` begins with 0. NULL: there are no more. */
const struct quality_rule *quality_rule_next(const struct pipeline_settings *pipeline,
                                             const char *schema, const char *table,
                                             const struct table_settings *entry, size_t *at);
/* Has the pipeline any rule, or any that looks at records on their way? */
bool quality_any(const struct pipeline_settings *pipeline, bool in_flight);

#ifdef __cplusplus
}
#endif

#endif
