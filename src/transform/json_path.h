/* Paths into JSON values, as `address.city`, `items[0].name`, `["a.b"].c`; they may begin with
 * a `$`.
 */
#ifndef JSON_PATH_H
#define JSON_PATH_H

#include <yyjson.h>

#include <ods/batch.h>
#include <ods/change.h>

struct json_path;

struct json_path *json_path_new(const char *text); /* NULL: malformed, or out of memory */
void json_path_free(struct json_path *path);       /* accepts NULL */
yyjson_val *json_path_find(const struct json_path *path, yyjson_val *root); /* NULL: not there */

/* The JSON that a column holds. ODS_REJECT: it is not JSON, or deeper than 500. *document NULL:
 * the column is NULL. */
enum ods_status json_document(const struct column *column, const struct value *value,
                              yyjson_doc **document, struct error *error);

/* What stands there as a value of the column: numbers exact, objects and arrays as JSON. */
enum ods_status json_to_value(yyjson_val *from, const struct column *column, struct arena *arena,
                              struct value *value, struct error *error);

#endif
