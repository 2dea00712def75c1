/* Debezium's placeholder for an unchanged TOAST value, in every form in which it may stand in a
 * record: text, base64, hex, a one-element array (of bytes: of its base64), a map, an array of the
 * bytes as numbers, a UUID made of it. Source: documentation of unavailable.value.placeholder,
 * PostgreSQL connector. */
#ifndef UNAVAILABLE_H
#define UNAVAILABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/blocks.h"

enum unavailable_place { UNAVAILABLE_TEXT = 1, UNAVAILABLE_BASE64 = 2, UNAVAILABLE_JSON = 4 };

#define UNAVAILABLE_FORMS 9

struct unavailable {
    struct blocks blocks;
    struct unavailable_form {
        const char *bytes;
        size_t length;
        unsigned places;
    } forms[UNAVAILABLE_FORMS];
    size_t count;
    uint64_t lengths; /* bit (length mod 64) of every form, by which most values are excluded at
                         once */
};

/* `placeholder` as configured at the source; "hex:…" names bytes. "" : nothing is ever unavailable.
 * False when memory is out. */
bool unavailable_init(struct unavailable *unavailable, const char *placeholder);
void unavailable_done(struct unavailable *unavailable);

static inline bool unavailable_is(const struct unavailable *unavailable, const char *bytes,
                                  size_t length, unsigned place)
{
    if (!(unavailable->lengths >> (length & 63) & 1))
        return false;
    for (size_t i = 0; i < unavailable->count; i++) {
        const struct unavailable_form *form = &unavailable->forms[i];
        if (form->length == length && form->places & place &&
            memcmp(form->bytes, bytes, length) == 0)
            return true;
    }
    return false;
}

#endif
