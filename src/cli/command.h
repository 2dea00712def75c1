/* A command as data. Parsing, help, the man page, the page in docs/cli/ and shell completion all
 * come from these rows, so they can't disagree. Each command's file ends in its constant
 * `const struct command cli_<name>`; commands.c lists them.
 *
 * Texts are prose: paragraphs with an empty line between them; `code` between backquotes; a
 * paragraph whose first line is followed by lines indented by two is a term and its explanation;
 * one that is indented by four is printed as it stands.
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/setting.h>
#include "cli/terminal.h"
#include "core/exit.h"

struct parameter;

/* What a shell offers for a value. Names are those of the configuration that -c names. */
enum completion {
    COMPLETE_NOTHING,
    COMPLETE_CHOICES,
    COMPLETE_FILES,
    COMPLETE_FOLDERS,
    COMPLETE_PIPELINES,
    COMPLETE_TOPICS,
    COMPLETE_TABLES,
};

/* A kind of value. A command may have kinds of its own. */
struct argument {
    const char *name;    /* as help shows it: FILE */
    const char *expects; /* what a value that does not parse should have been: "a whole number" */
    enum completion completion;
    /* Put the value where `member` points. The text is argv's: it outlives the command. */
    bool (*parse)(const struct parameter *row, const char *text, void *member);
};

extern const struct argument argument_text;     /* const char * */
extern const struct argument argument_file;     /* const char * */
extern const struct argument argument_folder;   /* const char * */
extern const struct argument argument_choice;   /* const char *, one of row->choices */
extern const struct argument argument_number;   /* int64_t from min to max */
extern const struct argument argument_seconds;  /* int64_t milliseconds; min and max are seconds */
extern const struct argument argument_moment;   /* int64_t microseconds, as cli_parse_moment() */
extern const struct argument argument_pipeline; /* const char * */
extern const struct argument argument_topic;    /* const char * */
extern const struct argument argument_table;    /* const char * */

enum {
    PARAMETER_REQUIRED = 1,
    PARAMETER_MANY = 2,   /* may be repeated; the member is a struct strings */
    PARAMETER_HIDDEN = 4, /* understood, but neither shown nor completed */
};

/* An option or an operand. A list ends with a row without a name. */
struct parameter {
    char letter;                     /* of -c; 0: it has none */
    const char *name;                /* of --config; of an operand FILE */
    const struct argument *argument; /* NULL: a switch, whose member is a bool */
    size_t offset;                   /* of its member in the command's struct of options */
    const char *doc;                 /* prose of one paragraph, as it follows the name in help */
    unsigned flags;
    const char *value;   /* what the argument is called here; NULL: as its kind says */
    const char *choices; /* decode|apply */
    int64_t min, max;    /* max 0: none */
    unsigned either;     /* options with the same number exclude each other; 0: none do */
    const char *also;    /* another name that is understood */
};

/* Options that belong together. */
struct parameter_group {
    const char *title;              /* prose above them in help; NULL: none */
    const char *short_title;        /* for them in the synopsis: FILTER…; NULL: each by itself */
    const struct parameter *options;
};

struct exit_meaning { /* a list ends with a row without a text */
    enum cli_exit code;
    const char *text; /* a sentence */
};

struct example { /* a list ends with a row without a line */
    const char *line;
    const char *text; /* a sentence */
};

struct section { /* a list ends with a row without a title */
    const char *title; /* SIGNALS */
    const char *text;  /* prose */
};

struct call {
    const char *name; /* the command's words, for messages: "dlq list" */
    const struct command *command;
    const struct terminal *terminal;
};

#define COMMAND_GROUPS 3

struct command {
    const char *name;
    const char *chapter;     /* of the list of commands; NULL: that of the command before it */
    const char *summary;     /* what follows the name: a phrase without a full stop */
    const char *description; /* prose */
    struct parameter_group options[COMMAND_GROUPS];
    const struct parameter *operands;      /* NULL: none */
    const struct command *const *commands; /* its own, ends with NULL; NULL: it has none */
    const struct exit_meaning *exits;      /* ascending; 2 and 70 need no row, nor 0 */
    const struct example *examples;
    const struct section *sections;
    bool hidden; /* understood, but neither shown nor completed */

    size_t options_size;  /* of its struct of options */
    const void *defaults; /* the struct at first; NULL: zeros */
    /* `options` is that struct, filled; it is the command's to change, and what lists it holds is
     * freed afterwards. Returns a cli_exit. NULL: the command has commands of its own. */
    int (*run)(const struct call *call, void *options);
};

/* Rows: the command's struct of options and its member, the name, the kind of value, the doc, and
 * what else there is to say as designated initialisers (.flags = PARAMETER_REQUIRED). */
#define SWITCH(type, member_, name_, doc_, ...)                                                  \
    {                                                                                            \
        .name = name_, .offset = offsetof(type, member_), .doc = doc_, ##__VA_ARGS__             \
    }
#define OPTION(type, member_, name_, argument_, doc_, ...)                                       \
    {                                                                                            \
        .name = name_, .argument = argument_, .offset = offsetof(type, member_), .doc = doc_,    \
        ##__VA_ARGS__                                                                            \
    }
#define OPERAND OPTION

/* Rows that many commands have. The struct's members are `const char *config` and `bool json`. */
#define OPTION_CONFIG(type)                                                                      \
    OPTION(type, config, "config", &argument_file, "ods-sink.conf", .letter = 'c',               \
           .flags = PARAMETER_REQUIRED)
#define OPTION_JSON(type) SWITCH(type, json, "json", "for programs")

#define EXIT_IS_CONFIG                                                                           \
    {                                                                                            \
        CLI_CONFIG, "The configuration is wrong."                                                \
    }
#define EXIT_IS_SOURCE                                                                           \
    {                                                                                            \
        CLI_SOURCE, "The source, Kafka, failed."                                                 \
    }
#define EXIT_IS_TARGET                                                                           \
    {                                                                                            \
        CLI_TARGET, "A target failed."                                                           \
    }
#define EXIT_IS_INTERRUPTED                                                                      \
    {                                                                                            \
        CLI_INTERRUPTED, "^C ended it early: what is done is done whole, the rest is not begun." \
    }

/* Walk rows up to the one without a name; NULL has none. */
#define PARAMETERS_EACH(row, rows)                                                               \
    for (const struct parameter *row = (rows); row && row->name; row++)

#endif
