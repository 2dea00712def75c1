/* A value as text: the canonical form that decode prints and that PostgreSQL's input functions
 * take. Dates and times are ISO 8601 as PostgreSQL writes them ("2025-12-19 08:02:27.123456",
 * "0002-11-30 BC", "infinity"), decimals plain digits, bits 0 and 1, bytes \x hex, arrays {…}.
 */
#ifndef TEXT_H
#define TEXT_H

#include <ods/status.h>
#include <ods/value.h>
#include <ods/buffer.h>

/* Append the text of a value that is neither ABSENT nor NULL. ODS_REJECT: it has none (malformed
 * decimals, dates outside PostgreSQL's range; a time of day out of range is still written). */
enum ods_status text_value(struct buffer *out, const struct column *column,
                           const struct value *value, struct error *error);

#endif
