/* A text that Lua makes of a change: the body of a request, where a template does not do. The
 * sandbox and its limits are those of transforms. One thread.
 */
#ifndef SCRIPT_TEXT_H
#define SCRIPT_TEXT_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include <ods/status.h>

struct script_text;

/* Of an expression, or of a file of Lua with `function body(c)`; the other one is "". ODS_FATAL: it
 * can't be compiled. */
enum ods_status script_text_open(struct script_text **text, const char *expression,
                                 const char *file, struct error *error);
void script_text_close(struct script_text *text); /* accepts NULL */

/* Append what it makes of a change: a string as it is, any other value as JSON. ODS_REJECT: it
 * fails, or makes nothing. */
enum ods_status script_text_put(struct script_text *text, struct buffer *out,
                                const struct batch *batch, const struct change *change,
                                struct error *error);

#endif
