/* Text for JSON that may be something else than UTF-8: names from the configuration, values. */
#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <jansson.h>

json_t *text_of(const char *text); /* JSON's null where memory is out */

#endif
