/* What the files of `ods-sink erase` share: erase.c (the command, in which order), erase_letters.c
 * (the row's dead letters), erase_files.c (those in files), erase_show.c (what is erased, and what
 * can't be reached).
 *
 * It stands on trace, which finds a row's letters and asks the source for the row. */
#ifndef ERASE_COMMAND_H
#define ERASE_COMMAND_H

#include "cli/trace.h"
#include "sink/postgres/read/history.h"

/* A dead letter of the row. */
struct erased_letter {
    int32_t partition;
    int64_t offset;
    char *key; /* NULL: it has none */
    size_t key_length;
    bool done;
};

/* A file of dead letters, and what of it is the row's. */
struct erased_file {
    const char *path;
    uint64_t count;      /* lines of the row */
    uint64_t closed;     /* letters that no key opens */
    uint64_t unreadable; /* lines that can't be read */
};

enum source_answer { SOURCE_UNKNOWN, SOURCE_HAS_NONE, SOURCE_HAS_ROW };

struct erase {
    struct trace trace; /* the options that both have, and what is found */
    int64_t wait_ms;
    bool yes, dry_run, force;
    struct strings file_names;
    struct erased_file *files; /* one for each name */

    struct sink *sink;
    struct erasing erasing;
    const char **columns, **values; /* of the key, in the target */
    struct read_history past;
    char *history; /* by name, where the target knows of none */
    char *history_schema;
    struct position *reached;
    char by[200];
    enum source_answer source;
    struct erased_letter *letters;
    size_t letter_count, letter_capacity;
    uint64_t closed, mentions, unreadable; /* letters: no key opens them; name the key, but can't be
                                              read; can't be read at all */
    bool erased;
};

/* Finds the row's letters, also earlier ones of the same record. A cli_exit. */
int erase_find_letters(struct erase *erase, struct error *error);
/* Writes a tombstone for each. */
int erase_letters(struct erase *erase, struct error *error);

/* The same for files: how many lines of each are the row's; take them out. */
int erase_find_in_files(struct erase *erase, struct error *error);
int erase_in_files(struct erase *erase, struct error *error);

void erase_print_plan(const struct erase *erase);
void erase_print_json(const struct erase *erase);

#endif
