/* Values as JSON, as PostgreSQL's to_jsonb() writes them: numbers as numbers with all their digits,
 * moments as ISO 8601, bytes as "\\x" and hexadecimal digits, what is JSON already as itself; in
 * arrays, structs and maps too.
 */
#ifndef ODS_JSON_H
#define ODS_JSON_H

#include <ods/buffer.h>
#include <ods/status.h>
#include <ods/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Append a string in quotes. */
void json_quote(struct buffer *out, const char *text, size_t length);

/* Append a value that is not ABSENT. ODS_REJECT: it can't be written (a malformed decimal). */
enum ods_status json_value(struct buffer *out, const struct column *column,
                           const struct value *value, struct error *error);

#ifdef __cplusplus
}
#endif

#endif
