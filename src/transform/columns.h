/* Settings of the transforms that others ask about. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <ods/setting.h>

struct rename_settings {
    struct properties columns; /* the new name by the old one */
};

struct mask_settings {
    struct terms columns;
    const char *key; /* of hmac; "": none */
};

#endif
