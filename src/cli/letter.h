/* A dead letter as commands see it: encrypted ones are opened by the private keys that were given,
 * erased ones are known, and what is shown hides redacted and masked columns. */
#ifndef LETTER_H
#define LETTER_H

typedef struct json_t json_t;

#include <ods/batch.h>
#include <ods/pipeline.h>
#include "core/jwe.h"

/* --- keys --- */

#define LETTER_KEYS 32

struct letter_keys {
    struct jwe_key *items[LETTER_KEYS];
    size_t count;
};

/* Reads the keys in PEM files. A cli_exit. */
int letter_keys_read(struct letter_keys *keys, const struct strings *files, struct error *error);
void letter_keys_done(struct letter_keys *keys);

/* As batch.headers: kafka_headers of a letter in Kafka, letter_headers of one in a file. */
typedef size_t letter_headers_of(const struct record *record, struct header *headers, size_t max);
letter_headers_of letter_headers;
/* The last one of that name, since those of the record stand before ours; NULL: there is none. */
const char *letter_header(const struct record *letter, letter_headers_of *headers,
                          const char *name, size_t *length);

/* Is the letter's record encrypted? Then *id, if it is asked for, becomes that of its key. */
bool letter_is_sealed(const struct record *letter, letter_headers_of *headers,
                      char id[JWE_KEY_ID_BYTES]);

/* The record in an encrypted letter, with an owner of its own, which free() frees and whose headers
 * are letter_headers(); the letter's stays. ODS_REJECT: no key fits, or it was altered. */
enum ods_status letter_open(const struct letter_keys *keys, const struct record *letter,
                            letter_headers_of *headers, struct record *record,
                            struct error *error);

/* --- erased letters --- */

/* Does the record say that the letter at an offset of its partition is erased? */
#define LETTER_ERASED "ods.erased"
bool letter_erases(const struct record *record, int64_t *offset);

/* --- what is shown --- */

/* Which columns of the source a letter's output hides. */
struct letter_view {
    const struct pipeline_settings *pipeline;
    const char *schema, *table; /* NULL: not known, so any table of the pipeline counts */
    bool opened;                /* by a private key: redacted columns are shown, masked ones not */
    bool hides;                 /* anything at all? */
    bool transformed;           /* what is looked at has been transformed, so it is masked */
    json_t *values; /* that were hidden: they are hidden wherever else they stand */
};

/* `schema` and `table` are the source's. */
void letter_view_init(struct letter_view *view, const struct pipeline_settings *pipeline,
                      const char *schema, const char *table, bool opened);
void letter_view_done(struct letter_view *view);
/* Hide such members of objects at any depth, and then their values wherever they stand. */
void letter_hide(struct letter_view *view, json_t *value);
/* The bytes of a record as JSON: hidden in JSON text; whole where nothing is hidden; else a note
 * that says how many there are. *encoded: in base64. */
json_t *letter_bytes(struct letter_view *view, const char *bytes, size_t length, bool *encoded);
/* A header that the record came with. */
bool letter_hides_header(const struct letter_view *view, const char *name);

#endif
