/* Text in a page of HTML. */
#ifndef CLI_HTML_H
#define CLI_HTML_H

#include <stdio.h>

/* As terminal_visible() shows it, with what HTML takes for its own escaped. NULL: nothing. */
void html_put(FILE *page, const char *words);

#endif
