/* Settings as tables: a row describes one setting, a group describes one struct. Parsing, defaults,
 * `check`, reload, the reference page and the JSON schema for editors all come from the rows, so a
 * plug-in only has to bring its group.
 *
 * Strings of a parsed struct are owned by the configuration, terminated, already substituted, never
 * NULL unless said; the struct is immutable and outlives whatever is opened with it.
 */
#ifndef ODS_SETTING_H
#define ODS_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct property { /* of librdkafka, or of a column */
    const char *name, *value;
};

struct properties {
    struct property *items;
    size_t count;
};

struct strings {
    const char **items;
    size_t count;
};

/* What is said of a column: `flag: 1`, `region: [eu, us]`, `total: { lua: "…" }`. A map of several
 * words makes several terms. */
struct term {
    const char *column;
    const char *word;      /* "" where the value stands by itself */
    struct strings values; /* one of a scalar; none of a null */
    bool list;             /* it is written as a list, of any length */
    const char *file;      /* where it stands */
    int line;
};

struct terms {
    struct term *items;
    size_t count;
};

enum setting_type {
    SETTING_STRING,     /* const char *; min, max: its length in bytes */
    SETTING_CHOICE,     /* const char *, one of choices */
    SETTING_ENUM,       /* int-sized enum: index into choices */
    SETTING_BOOL,       /* bool */
    SETTING_INT,        /* int64_t; min, max */
    SETTING_MS,         /* int64_t milliseconds; min, max */
    SETTING_BYTES,      /* int64_t; min, max; "16 MiB" is understood */
    SETTING_DURATION,   /* int64_t milliseconds; min, max; written with its unit, "90s", "1h" */
    SETTING_COLUMN,     /* const char *, "" when off */
    SETTING_STRINGS,    /* struct strings, each one of choices if there are any */
    SETTING_PROPERTIES, /* struct properties */
    SETTING_RENAMES,    /* struct properties: names by column */
    SETTING_TYPES,      /* struct properties: types by column */
    SETTING_VALUES,     /* struct properties: values by column; choices as in STRINGS */
    SETTING_TERMS,      /* struct terms; choices: the words, "" if a value may stand by itself */
    SETTING_OBJECT,     /* an embedded struct of group `of` */
    SETTING_OBJECTS,    /* list: struct * of group `of` and, at count_offset, how many */
    SETTING_NAMED,      /* map from name to group: the same; each starts as a copy of the OBJECT
                           of that group beside it */
    SETTING_PLUGIN,     /* const void *: the struct of the plug-in that the row of the same name
                           chooses; the plug-in's settings are written beside this group's own.
                           NULL: it has none */
};

enum {
    SETTING_REQUIRED = 1, /* no default */
    SETTING_RELOAD = 2,   /* SIGHUP takes it over */
    SETTING_SECRET = 4,   /* a connection string: passwords in it are hidden; of terms: values of
                             `hmac` are */
    SETTING_PLACES = 8,   /* may hold ${topic}, ${db}, ${schema}, ${table} for each record's own */
    SETTING_HIDDEN = 16,  /* a string that is a secret as a whole; with SETTING_SECRET a URL that
                             may be one, of which its host alone is shown */
    SETTING_SWITCH = 32,  /* an OBJECT whose struct begins with a bool: `true` and `false` may be
                             written in its place, and a group sets it to true */
};

struct setting_group;

/* The settings of the plug-in with this number, and its name in *name; a plug-in without settings
 * has a group without rows. NULL: there is no such number. */
typedef const struct setting_group *setting_plugins(size_t number, const char **name);

struct setting {
    const char *name; /* may be dotted, as "batch.max_bytes"; of a SETTING_PLUGIN: the row that
                         chooses the plug-in */
    enum setting_type type;
    size_t offset;
    const char *fallback; /* default as it would stand in the file; NULL: zero or empty */
    const char *inherits; /* what the default is when it is not a constant, for the reference */
    int64_t min, max; /* of lists and maps: max entries, 0 for any number */
    const char *const *choices; /* NULL-terminated */
    unsigned flags;
    size_t count_offset;
    const struct setting_group *of;
    setting_plugins *plugins;
    const char *doc; /* Markdown */
};

struct setting_group {
    const char *title; /* of its chapter in the reference */
    const char *intro;
    size_t size; /* of its struct */
    const struct setting *rows;
    size_t count;
    /* Of a plug-in's group: what the rows can't say of a parsed struct. ODS_OK, or an error that
     * says which setting is wrong and why; it is shown with file and line. NULL: nothing. */
    enum ods_status (*check)(const void *own, struct error *error);
};

#define SETTING_ROWS(array) .rows = (array), .count = sizeof(array) / sizeof *(array)

#define SETTINGS_EACH(row, group)                                                                \
    for (const struct setting *row = (group)->rows, *row##_end = row + (group)->count;           \
         row < row##_end; row++)

#ifdef __cplusplus
}
#endif

#endif
