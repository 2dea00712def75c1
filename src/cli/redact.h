/* What no command shows. */
#ifndef REDACT_H
#define REDACT_H

#include <stdbool.h>

#include <ods/pipeline.h>

#define REDACTED "[redacted]"

/* Is the column of the source one whose values are shown nowhere but in the target's own table? */
bool is_redacted(const struct table_settings *table, const char *column);
/* The same of a column of the target. */
bool is_redacted_target(const struct table_settings *table, const char *column);

#endif
