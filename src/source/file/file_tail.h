/* The lines of a file that grows and is rotated, and where each stands. One thread; nothing waits.
 *
 * A file is read to its end, then the one that has taken its name. Each is opened as soon as it is
 * seen under the name, so that what is renamed while nobody reads is not missed; its writer has
 * gone over to it when something stands in it. What was read must stay as it was: a file that is
 * shorter than that, or has other bytes there, is refused.
 */
#ifndef FILE_TAIL_H
#define FILE_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/buffer.h>
#include <ods/status.h>

#include "core/json_scan.h"

#define TAIL_FILES_MAX 16 /* open at once: one that is read, and those that came after it */

struct file_tail {
    /* What the owner says. */
    const char *path;    /* "-": standard input */
    const char *rotated; /* read first, if it is there; "": nothing is */
    const char *name;    /* of what is being read, for messages */
    bool follow;
    int64_t max_line_bytes;

    int files[TAIL_FILES_MAX]; /* the first is read */
    size_t count;
    bool older; /* that is the rotated one */
    bool seekable;
    bool hung_up;      /* of a pipe: its writer is gone */
    bool overrun;      /* more files came than can be kept open */
    bool changed;      /* the file is not what it was when it was read */
    uint64_t line;     /* lines taken from this file */
    int64_t base;      /* where in the file the buffer's bytes begin */
    struct buffer in;  /* bytes that were read: */
    size_t at, looked; /* taken up to here, looked for an end of line up to there */
};

enum tail_answer {
    TAIL_LINE,
    TAIL_NOTHING,   /* more may come */
    TAIL_FILE_ENDS, /* another one follows: tail_go_on() */
    TAIL_ENDS,      /* nothing will come */
    TAIL_NO_MEMORY, /* tried again with the next call */
    TAIL_FAILED,
};

/* A line's place: its first byte, and the number of lines before it. */
struct tail_place {
    int64_t at;
    uint64_t line;
};

/* ODS_FATAL: what is to be read cannot be opened. A file that is followed may come later. */
enum ods_status tail_open(struct file_tail *tail, struct error *error);
void tail_close(struct file_tail *tail); /* zeroed and opened in part is fine */

/* The next line, without its end, and where it stands. It stays the next one until it is taken, and
 * its bytes until then. */
enum tail_answer tail_peek(struct file_tail *tail, struct slice *text, struct tail_place *place,
                           struct error *error);
void tail_take(struct file_tail *tail, struct slice text);

/* Back to a place in the file that is being read; only where it is seekable. */
void tail_seek(struct file_tail *tail, struct tail_place place);
/* After TAIL_FILE_ENDS: the next file is read, the last one is closed. */
void tail_go_on(struct file_tail *tail);
/* Open what has come under the name. For whoever does not ask for lines: about once a second.
 * ODS_FATAL: it can't be followed. */
enum ods_status tail_watch(struct file_tail *tail, struct error *error);

#endif
