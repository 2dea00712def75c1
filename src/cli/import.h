/* What the files of `ods-sink import` share. import.c reads the connector's configuration and
 * reports; import_properties.c has a row for each property that the two JDBC sinks and Connect
 * know; import_url.c, import_names.c and import_transforms.c understand the parts that are
 * languages of their own; import_files.c writes the two files. */
#ifndef IMPORT_H
#define IMPORT_H

#include <jansson.h>
#include <stdbool.h>

#include <ods/buffer.h>
#include <ods/setting.h>
#include <ods/status.h>

enum jdbc_kind { JDBC_DEBEZIUM = 1, JDBC_CONFLUENT = 2 };

/* What has become of a property. */
enum verdict {
    CARRIED, /* stands in the files */
    SAME,    /* ods-sink does so anyway */
    DIFFERS, /* ods-sink does it otherwise, and the note says how */
    LEFT,    /* has no counterpart */
    UNKNOWN, /* is not a property of these connectors */
};

struct report_line {
    char *property, *value; /* secrets are hidden; value NULL: not set, its default is meant */
    enum verdict verdict;
    char *note;
};

/* An entry of `tables`. */
struct import_table {
    char *name;   /* of the source's table, or a pattern */
    char *target; /* NULL: as in defaults */
    char *topic;  /* NULL: none is named */
};

struct names {
    char **items;
    size_t count;
};

struct import {
    const char *path;
    json_t *config; /* texts by property */
    const char *name;
    enum jdbc_kind kind;
    bool can_write_secrets; /* a folder is given */

    const char *given; /* the value to report where it is not the property's; else NULL */
    struct report_line *lines;
    size_t line_count;
    bool failed; /* out of memory */

    /* ods-sink.conf */
    char *bootstrap, *auto_offset_reset;
    struct buffer properties; /* of librdkafka, as lines of libconfig */
    struct buffer dsn;        /* keywords of libpq */
    char *database_secret;    /* its password, NULL: there is none, or a reference to one */
    char *kafka_secret;
    int64_t lanes;
    char *dead_letter;
    /* tables.yaml */
    struct names topics;
    char *format, *group;
    bool stop_on_error;
    const char *on_delete, *on_tombstone, *on_truncate, *evolve, *keyless;
    bool create_tables, lower;
    char *schema, *target; /* of defaults; NULL: not set */
    char *cdc_operation;
    struct names key, include, exclude, renames; /* renames: from and to in turn */
    struct import_table *tables;
    size_t table_count;

    /* on the way */
    char *name_format; /* of tables, as the connector has it */
    struct {
        char *regex, *replacement;
    } routers[16]; /* RegexRouter, in their order */
    size_t router_count;
    bool named_by_class; /* by a class of the user's own */
};

/* A value, NULL when it is not set. */
const char *import_value(const struct import *import, const char *property);

/* Add a line of the report. */
void import_say(struct import *import, const char *property, enum verdict verdict,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

bool names_add(struct names *names, const char *text, size_t length);
/* a, b ,c */
bool names_split(struct names *names, const char *list);
void names_done(struct names *names);
char *copy_text(const char *text); /* NULL stays NULL */

/* Every property of the configuration, and defaults that mean something else here. */
void import_properties(struct import *import);

/* connection.url, and the user and the password beside it. ODS_FATAL: no target can be made of
 * it. */
enum ods_status import_url(struct import *import, struct error *error);
/* A keyword of libpq, quoted where it has to be. */
void import_dsn(struct import *import, const char *keyword, const char *value);
/* Is the value Connect's own reference to a secret, ${provider:path:key}? */
bool is_reference(const char *value);

/* topics and topics.regex, or the list that replaces them. */
enum ods_status import_topics(struct import *import, const char *instead, struct error *error);
/* Where the rows of each topic go, once routers and formats are known. */
void import_names(struct import *import);

/* A regular expression of Java's for whole texts as one of POSIX that does the same. NULL: there is
 * none; *why then says what it has. Heap. */
char *posix_regex(const char *java, const char **why);

void import_transforms(struct import *import);

/* The two files' texts. */
void import_write_daemon(const struct import *import, struct buffer *out);
void import_write_tables(const struct import *import, struct buffer *out);

#endif
