/* Why a task of Kafka Connect failed: the first cause in its trace, and what that usually means. */
#ifndef CONNECTOR_CAUSE_H
#define CONNECTOR_CAUSE_H

#include <ods/buffer.h>

/* One line: the message of the innermost "Caused by", with its exception's short name before it.
 * Passwords in it are hidden. */
void connector_cause(const char *trace, struct buffer *line);

struct known_cause {
    const char *meaning, *advice;
};

/* NULL: not one that is known. */
const struct known_cause *connector_known_cause(const char *trace);

#endif
