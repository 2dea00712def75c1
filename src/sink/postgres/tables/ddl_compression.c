/* Compression of large values. See ddl_compression.h.
 *
 * PostgreSQL compresses by pglz unless it is told otherwise. lz4 needs a small part of pglz's time
 * and gives about the same size. Only new columns get it: changing a column would not compress its
 * old values again. */
#include "sink/postgres/tables/ddl_compression.h"

#include <stdlib.h>
#include <string.h>

#include "sql/postgres/has_lz4.h"

/* A row of more bytes than this is compressed: TOAST_TUPLE_THRESHOLD, rounded. */
#define ROW_BYTES 2000

enum ods_status ddl_compression_ask(struct conn *conn, enum toast_compression compression,
                                    bool *lz4, struct error *error)
{
    PGresult *rows = NULL;
    *lz4 = false;
    if (compression == TOAST_COMPRESSION_DEFAULT)
        return ODS_OK;
    enum ods_status status = conn_query(conn, sql_has_lz4, 0, NULL, &rows, error);
    *lz4 = status == ODS_OK && PQntuples(rows) == 1;
    PQclear(rows);
    return status;
}

bool ddl_compression_serves(const char *type)
{
    static const char *const types[] = {"text", "json", "jsonb",    "bytea",
                                        "xml",  "citext", "hstore", "tsvector"};
    static const char *const limited[] = {"character varying(", "character("};
    size_t length = strlen(type);
    if (length > 2 && strcmp(type + length - 2, "[]") == 0)
        return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof limited / sizeof *limited; i++) {
        size_t prefix = strlen(limited[i]);
        if (strncmp(type, limited[i], prefix) == 0)
            return atoi(type + prefix) > ROW_BYTES;
    }
    return false;
}
