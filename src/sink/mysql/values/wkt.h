/* Geometries as well-known text. */
#ifndef MYSQL_WKT_H
#define MYSQL_WKT_H

#include <ods/buffer.h>

/* Appends the well-known binary of a geometry of two dimensions. False: the text is none; what was
 * appended is to be thrown away. */
bool mysql_wkt_read(struct buffer *out, const char *text, size_t length);

#endif
