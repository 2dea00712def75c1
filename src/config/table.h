/* The table of all settings: one row each; parsing, `check`, reload and reference come from it. */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum setting_type {
    SETTING_STRING,     /* const char *; min, max: its length in bytes */
    SETTING_CHOICE,     /* const char *, one of choices */
    SETTING_ENUM,       /* int-sized enum: index into choices */
    SETTING_BOOL,       /* bool */
    SETTING_INT,        /* int64_t; min, max */
    SETTING_MS,         /* int64_t milliseconds; min, max */
    SETTING_BYTES,      /* int64_t; min, max; "16 MiB" is understood */
    SETTING_COLUMN,     /* const char *, "" when off */
    SETTING_STRINGS,    /* struct strings */
    SETTING_PROPERTIES, /* struct properties */
    SETTING_RENAMES,    /* struct properties: names by column */
    SETTING_TYPES,      /* struct properties: types by column */
    SETTING_OBJECT,     /* an embedded struct of scope `of` */
    SETTING_OBJECTS,    /* list: struct * of scope `of` and, at count_offset, how many */
    SETTING_NAMED,      /* map of names: the same, each a copy of the OBJECT beside it at first */
};

enum setting_scope {
    SCOPE_DAEMON,   /* ods-sink.conf: struct settings */
    SCOPE_TARGET,   /* struct target_settings */
    SCOPE_MOVES,    /* tables.yaml: struct settings too */
    SCOPE_PIPELINE, /* struct pipeline_settings */
    SCOPE_TABLE,    /* struct table_settings */
    SCOPE_COUNT
};

enum {
    SETTING_REQUIRED = 1, /* no default */
    SETTING_RELOAD = 2,   /* SIGHUP takes it over */
    SETTING_SECRET = 4,   /* a connection string: passwords in it are hidden */
    SETTING_PLACES = 8,   /* may hold ${topic}, ${db}, ${schema}, ${table} for each record's own */
};

struct setting {
    enum setting_scope scope;
    const char *name; /* dotted below its scope */
    enum setting_type type;
    size_t offset;
    const char *fallback; /* default as it would stand in the file; NULL: zero or empty */
    const char *inherits; /* what the default is when it is not a constant, for the reference */
    int64_t min, max; /* of lists and maps: max entries, 0 for any number */
    const char *const *choices; /* NULL-terminated */
    unsigned flags;
    size_t count_offset;
    enum setting_scope of;
    const char *doc;
};

struct scope {
    const char *title; /* of its chapter in the reference */
    const char *intro;
    size_t size; /* of its struct */
};

extern const struct setting settings_table[];
extern const size_t settings_table_count;
extern const struct scope settings_scopes[SCOPE_COUNT];

#define SETTINGS_EACH(row, wanted)                                                               \
    for (const struct setting *row = settings_table, *row##_end = row + settings_table_count;    \
         row < row##_end; row++)                                                                 \
        if (row->scope == (wanted))

/* Structs of lists and maps begin with their name. */
static inline const char *setting_object_name(const void *object)
{
    return *(const char *const *) object;
}

/* The embedded object that the entries of a SETTING_NAMED start from, NULL for other rows. */
const void *setting_template(const struct setting *row, const void *object);

/* "string", "milliseconds 0 – 60000", "one of `a`, `b`": what a setting expects, for messages
 * (markdown false) and the reference (true). */
const char *setting_expects(const struct setting *row, bool markdown, char *buffer, size_t size);

#endif
