/* A column of the source as a plan reads it, from what its record, the settings and the source's
 * own type name say. */
#ifndef SOURCE_COLUMN_H
#define SOURCE_COLUMN_H

#include <ods/value.h>
#include "config/settings.h"
#include "core/source_type.h"

/* The connector that sent the records. It decides the units of numbers without schema (units.c). */
enum connector {
    CONNECTOR_UNKNOWN,
    CONNECTOR_MYSQL, /* and MariaDB, Vitess */
    CONNECTOR_POSTGRESQL,
    CONNECTOR_SQLSERVER,
    CONNECTOR_ORACLE,
    CONNECTOR_DB2,
    CONNECTOR_OTHER,
};

/* A source's column as a plan reads it: what its record says, corrected by the settings. */
struct source_column {
    struct column column;
    struct column element; /* column.element points to it when the settings say what it is */
    enum coding coding;
    bool literal; /* as the shape says (struct shape) */
    bool strip_nul;
    bool zero_is_null;    /* a zero date */
    enum inexact inexact; /* where the column has fewer digits than the value */
    enum connector connector;
    const char
        *refusal; /* why none of its values can go into the target's column; NULL: they may */
};

enum connector connector_named(const char *name);

/* Corrects a column by the settings (`text`, or NULL) and by the source's type in the record. Its
 * connector is set already. */
void source_column_correct(struct source_column *source, const char *text);

#endif
