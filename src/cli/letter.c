/* Encrypted letters and their keys; erased letters. See letter.h, and pipeline/deadletter_line.c
 * for how a letter is encrypted. */
#include "cli/letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "cli/cli.h"
#include "pipeline/deadletter.h"
#include "source/file/file_line.h"
#include "source/kafka/kafka.h"

int letter_keys_read(struct letter_keys *keys, const struct strings *files, struct error *error)
{
    *keys = (struct letter_keys){0};
    if (files->count > LETTER_KEYS) {
        error_set(error, ODS_FATAL, "%zu private keys are more than the %d that are read",
                  files->count, LETTER_KEYS);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < files->count; i++) {
        if (jwe_key_read_private(&keys->items[keys->count], files->items[i], error) != ODS_OK)
            return CLI_USAGE;
        keys->count++;
    }
    return CLI_OK;
}

void letter_keys_done(struct letter_keys *keys)
{
    while (keys->count)
        jwe_key_free(keys->items[--keys->count]);
}

const char *letter_header(const struct record *letter, letter_headers_of *headers,
                          const char *name, size_t *length)
{
    const char *value = NULL;
    size_t count = headers(letter, NULL, 0);
    struct header *all = calloc(count + 1, sizeof *all);
    if (all)
        headers(letter, all, count);
    for (size_t i = 0; all && i < count; i++)
        if (strcmp(all[i].name, name) == 0) {
            value = all[i].value;
            *length = all[i].length;
        }
    free(all);
    return value;
}

bool letter_is_sealed(const struct record *letter, letter_headers_of *headers,
                      char id[JWE_KEY_ID_BYTES])
{
    size_t length;
    const char *value = letter_header(letter, headers, DEADLETTER_KEY_ID, &length);
    if (value && id) {
        length = length < JWE_KEY_ID_BYTES - 1 ? length : JWE_KEY_ID_BYTES - 1;
        memcpy(id, value, length);
        id[length] = '\0';
    }
    return value != NULL;
}

size_t letter_headers(const struct record *record, struct header *headers, size_t max)
{
    return file_line_headers(record, headers, max);
}

static bool has(const struct record *letter, letter_headers_of *headers, const char *name,
                struct slice text)
{
    size_t length = 0;
    const char *value = letter_header(letter, headers, name, &length);
    return value && length == text.length && memcmp(value, text.bytes, length) == 0;
}

static bool has_number(const struct record *letter, letter_headers_of *headers, const char *name,
                       int64_t number)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long) number);
    return has(letter, headers, name, (struct slice){digits, (size_t) length});
}

/* What is sealed is a line of a recorded file: the record that the letter's headers name. */
static enum ods_status read_line(const struct record *letter, letter_headers_of *headers,
                                 const struct buffer *line, struct record *record,
                                 struct error *error)
{
    struct file_line read;
    struct arena arena;
    arena_init(&arena);
    enum ods_status status = file_line_read(
        &read, (struct slice){line->bytes, line->length}, &arena, error);
    if (status == ODS_OK && (!has(letter, headers, "ods.topic", read.topic) ||
                             !has_number(letter, headers, "ods.partition", read.partition) ||
                             !has_number(letter, headers, "ods.offset", read.offset)))
        status = error_set(error, ODS_REJECT, "it holds another record than its headers say");
    if (status == ODS_OK && !file_line_record(&read, record))
        status = error_out_of_memory(error);
    arena_done(&arena);
    return status;
}

enum ods_status letter_open(const struct letter_keys *keys, const struct record *letter,
                            letter_headers_of *headers, struct record *record,
                            struct error *error)
{
    char id[JWE_KEY_ID_BYTES] = "";
    struct buffer line;
    letter_is_sealed(letter, headers, id);
    if (!keys->count)
        return error_set(error, ODS_REJECT,
                         "the letter is encrypted for the key %s, and no private key is given", id);
    buffer_init(&line);
    enum ods_status status = jwe_open(keys->items, keys->count, letter->value,
                                      letter->value_length, &line, error);
    if (status == ODS_OK)
        status = read_line(letter, headers, &line, record, error);
    if (status == ODS_REJECT)
        error_prefix(error, "the letter can't be opened: ");
    if (line.bytes)
        OPENSSL_cleanse(line.bytes, line.length);
    buffer_done(&line);
    return status;
}

bool letter_erases(const struct record *record, int64_t *offset)
{
    size_t length;
    char digits[24];
    const char *value = record->value ? NULL : kafka_header(record, LETTER_ERASED, &length);
    if (!value || !length || length >= sizeof digits)
        return false;
    memcpy(digits, value, length);
    digits[length] = '\0';
    return cli_parse_number(digits, INT64_MAX - 1, offset);
}
