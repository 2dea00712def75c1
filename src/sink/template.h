/* Texts with placeholders for parts of a change: "{{after.status}}". */
#ifndef TEMPLATE_H
#define TEMPLATE_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include <ods/status.h>

struct pipeline_settings;

enum template_form {
    TEMPLATE_URL,    /* values percent-encoded; none may be NULL */
    TEMPLATE_HEADER, /* values as text without control characters */
    TEMPLATE_JSON,   /* values as JSON, or as text where they stand between quotes */
    TEMPLATE_TEXT,   /* values as text */
};

struct piece;
struct template
{
    enum template_form form;
    struct piece *pieces; /* point into the text */
    size_t count;
};

/* The text outlives the template. ODS_FATAL: it has a name that is not known. */
enum ods_status template_compile(struct template *template, const char *text,
                                 enum template_form form, struct error *error);
void template_done(struct template *template);
/* Is it the same text for every change? */
bool template_is_constant(const struct template *template);

/* Where a text is filled in. */
struct template_change {
    const struct batch *batch;
    uint32_t index;
    const struct pipeline_settings *pipeline;
    struct buffer *scratch;
};

/* Append the text for a change. ODS_REJECT: a value can't stand there. */
enum ods_status template_put(struct buffer *out, const struct template *template,
                             const struct template_change *change, struct error *error);

/* The key by which a receiver recognizes a change that is sent again. */
void template_put_identity(struct buffer *out, const struct template_change *change);

#endif
