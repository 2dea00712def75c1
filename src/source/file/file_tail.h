/* The lines of a file that grows and is rotated, each with its place. Used by one thread; no call
 * waits.
 *
 * A file is read to its end, then the file that has taken its name. Each file is opened as soon as
 * it is seen under the name, so that it is not missed when it is renamed before it is read. The
 * writer has gone on to the new file when that is not empty. What was read must not change: a file
 * that becomes shorter, or has other bytes there, is refused.
 */
#ifndef FILE_TAIL_H
#define FILE_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/buffer.h>
#include <ods/status.h>

#include "core/json_scan.h"

#define TAIL_FILES_MAX 16 /* files open at once: the one that is read, and later ones */

struct file_tail {
    /* Set by the owner. */
    const char *path;    /* "-": standard input */
    const char *rotated; /* a file to be read first, if it exists; "": none */
    const char *name;    /* of what is being read, for messages */
    bool follow;
    int64_t max_line_bytes;

    int files[TAIL_FILES_MAX]; /* the first is read */
    size_t count;
    bool older; /* the first is the rotated one */
    bool seekable;
    bool hung_up;      /* the writer of a pipe is gone */
    bool overrun;      /* more files came than can be kept open */
    bool changed;      /* bytes that were read have changed */
    uint64_t line;     /* lines taken from this file */
    int64_t base;      /* where in the file the buffer's bytes begin */
    struct buffer in;  /* bytes that were read: */
    size_t at, looked; /* up to where they are taken, and searched for a line end */
};

enum tail_answer {
    TAIL_LINE,
    TAIL_NOTHING,   /* more may come */
    TAIL_FILE_ENDS, /* another one follows: tail_go_on() */
    TAIL_ENDS,      /* nothing more will come */
    TAIL_NO_MEMORY, /* the next call tries again */
    TAIL_FAILED,
};

/* A line's place: its first byte, and the number of lines before it. */
struct tail_place {
    int64_t at;
    uint64_t line;
};

/* ODS_FATAL: the file can't be opened. A file that is followed may be created later. */
enum ods_status tail_open(struct file_tail *tail, struct error *error);
void tail_close(struct file_tail *tail); /* also for a zeroed or partly opened one */

/* The next line, without its line end, and its place. Line and bytes stay the same until the line
 * is taken. */
enum tail_answer tail_peek(struct file_tail *tail, struct slice *text, struct tail_place *place,
                           struct error *error);
void tail_take(struct file_tail *tail, struct slice text);

/* Goes back to a place in the present file, which must be seekable. */
void tail_seek(struct file_tail *tail, struct tail_place place);
/* Called after TAIL_FILE_ENDS: closes the file and goes on with the next. */
void tail_go_on(struct file_tail *tail);
/* Opens a new file that has taken the name. Called about once a second while nobody asks for lines.
 * ODS_FATAL: the file can't be followed. */
enum ods_status tail_watch(struct file_tail *tail, struct error *error);

#endif
