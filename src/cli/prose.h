/* The texts of the command table: paragraphs of them, and what is code within one. */
#ifndef PROSE_H
#define PROSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum paragraph_kind {
    PARAGRAPH_TEXT,    /* to be filled */
    PARAGRAPH_LITERAL, /* indented by four: lines as they stand, without the indent */
    PARAGRAPH_TERM,    /* a line, and an explanation that is indented by two */
};

struct paragraph {
    enum paragraph_kind kind;
    const char *text;      /* of a literal with its indent */
    size_t length;
    const char *body;      /* the explanation; its lines keep their indent */
    size_t body_length;
};

/* The next paragraph; *text moves after it. False: there is none. NULL has none. */
bool prose_next(const char **text, struct paragraph *paragraph);

/* The next piece of a text: code between backquotes or what stands between two of those. */
struct span {
    const char *text;
    size_t length;
    bool code;
};
bool prose_span(const char **text, const char *end, struct span *span);

/* What a filled text begins and goes on with. */
struct filler {
    FILE *out;
    size_t width;  /* of a line; 0: no end */
    size_t indent; /* of the lines after the first */
    size_t column; /* where the text stands */
    const char *code, *plain; /* around code */
};

/* Words, filled; line ends count as spaces. The last line is not ended. */
void prose_fill(struct filler *filler, const char *text, size_t length);

#endif
