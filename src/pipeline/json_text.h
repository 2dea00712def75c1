/* Text for JSON that may be something else than UTF-8: names from the configuration, values. And
 * JSON that is written as it comes, where a tree of thousands of nodes would cost more than what
 * it tells. */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct buffer;

json_t *text_of(const char *text); /* JSON's null where memory is out */
/* Of an object's member; "" where there is none, or it is of another kind. */
const char *text_in(const json_t *object, const char *name);

void json_put_text(struct buffer *out, const char *text); /* with its quotes; NULL: null */
/* The number divided by ten to the power of `digits`, which are those behind the point. */
void json_put_number(struct buffer *out, int64_t number, unsigned digits);
/* The object without its last brace, for whoever adds members; it is released. False: memory is
 * out. */
bool json_put_open(struct buffer *out, json_t *object);

#endif
