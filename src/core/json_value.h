/* Values as JSON: the parts of <ods/json.h> that conversions of json columns use too. */
#ifndef JSON_VALUE_H
#define JSON_VALUE_H

#include <ods/json.h>

/* Is the value written exactly as the record has it? nested: it is an element or a member of
 * another value, where a text is a JSON string; otherwise a text is taken for JSON. */
bool json_stays(const struct column *column, const struct value *value, bool nested);

/* Append it; neither ABSENT nor NULL. */
enum ods_status json_nested(struct buffer *out, const struct column *column,
                            const struct value *value, bool nested, struct error *error);

#endif
