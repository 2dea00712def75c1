/* Text of geometries: PostgreSQL's own point, path, polygon …, and well-known binary. */
#ifndef TEXT_GEOMETRY_H
#define TEXT_GEOMETRY_H

#include "core/text_nested.h"

enum geometry_form {
    GEOMETRY_ITSELF, /* by its type: one of PostgreSQL's own, else GEOMETRY_EWKB */
    GEOMETRY_EWKB,   /* hex of PostGIS's extended well-known binary, with the SRID */
    GEOMETRY_WKB,    /* the plain bytes */
    GEOMETRY_POINT,  /* as the input function of this type of PostgreSQL reads it */
    GEOMETRY_LSEG,
    GEOMETRY_PATH,
    GEOMETRY_BOX,
    GEOMETRY_POLYGON,
    GEOMETRY_CIRCLE,
    GEOMETRY_LINE,
};

/* Of a value of type SEM_POINT, SEM_GEOMETRY, SEM_GEOGRAPHY, SEM_CIRCLE or SEM_LINE. ODS_REJECT: it
 * is malformed, or has no such form. */
enum ods_status text_geometry(struct buffer *out, const struct column *column, yyjson_val *object,
                              enum geometry_form form, struct error *error);
enum ods_status text_geometry_value(struct buffer *out, const struct column *column,
                                    const struct value *value, enum geometry_form form,
                                    struct error *error);

static inline bool text_is_geometry(enum semantic type)
{
    return type >= SEM_POINT && type <= SEM_LINE;
}

#endif
