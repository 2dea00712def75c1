/* Settings of the transforms that others ask about. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <ods/setting.h>

struct rename_settings {
    struct properties columns; /* the new name by the old one */
};

struct filter_settings {
    struct strings op;
    struct terms where;
    const char *lua;
};

struct explode_settings {
    const char *column, *table, *index;
    struct properties key;
    bool keep;
    int64_t most;
};

struct mask_settings {
    struct terms columns;
    const char *key; /* of hmac; "": none */
};

#endif
