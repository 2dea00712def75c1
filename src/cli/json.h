/* JSON on standard output. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdint.h>

#include <jansson.h>

#include "pipeline/json_text.h"

/* A string of any text: what is not UTF-8 becomes U+FFFD. */
json_t *cli_json(const char *text);

/* Print a value, indented, and give it back. */
void cli_print_json(json_t *value);
/* The same on one line. */
void cli_print_json_line(json_t *value);

/* An object's member as text_in() (pipeline/json_text.h); -1 where it is no integer. */
int64_t number_in(const json_t *object, const char *name);

#endif
