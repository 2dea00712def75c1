/* What is done with a table of a lake where a command is not for it. */
#ifndef LAKE_INSTEAD_H
#define LAKE_INSTEAD_H

enum lake_act { LAKE_READS, LAKE_ORDERS };

/* Behind an error, with what joins it to that; "" where the type is none of a lake. */
const char *lake_instead(const char *type, enum lake_act act);

#endif
