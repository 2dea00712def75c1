/* JSON on standard output. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdint.h>

#include <jansson.h>

/* A string of any text: what is not UTF-8 becomes U+FFFD. */
json_t *cli_json(const char *text);

/* Print a value, indented, and give it back. */
void cli_print_json(json_t *value);
/* The same on one line. */
void cli_print_json_line(json_t *value);

/* Of an object's members: "" and -1 where there is none, or it is of another kind. */
const char *text_in(const json_t *object, const char *name);
int64_t number_in(const json_t *object, const char *name);

#endif
