/* mask: what is in a column is not shown to the target: a keyed hash of it, its end, a word or
 * nothing. Before and after images, and keys, are masked alike. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transform/columns.h"
#include "transform/rewrite.h"
#include "transform/words.h"

enum masking { MASK_NULL, MASK_REDACT, MASK_KEEP_LAST, MASK_HMAC };

struct masked {
    const char *column;
    enum masking how;
    const char *word; /* REDACT: the text; HMAC: the key */
    EVP_MAC_CTX *hmac; /* with its key: restarting it is cheap */
    size_t keep;      /* KEEP_LAST */
};

struct mask {
    struct rewriter rewriter;
    struct masked *columns;
    size_t count;
    struct buffer text;
};

extern const struct transform_ops mask_transform;

static const char *const words[] = {"", "hmac", "redact", "keep_last", NULL};

static const struct setting rows[] = {
    {"columns", SETTING_TERMS, offsetof(struct mask_settings, columns), .max = 2000,
     .flags = SETTING_REQUIRED | SETTING_SECRET, .choices = words,
     .doc = "How by column: `hmac` (HMAC-SHA-256 of the value's text, 64 hexadecimal digits; equal "
            "values stay equal), `redact` (`***`), `{ redact: text }` (that text), `{ keep_last: 4 "
            "}` (`*` for all characters but the last 4; for all of a text of 4 or fewer), `null`."},
    {"key", SETTING_STRING, offsetof(struct mask_settings, key), "", .max = 4096,
     .flags = SETTING_HIDDEN,
     .doc = "The key of `hmac`, at least 16 bytes: `${file:/path}` or `${NAME}`. Its own key has "
            "`{ hmac: ${file:/path} }`."},
};

static const struct setting_group settings = {
    .title = "transforms of type `mask`",
    .intro = "Hides what is in columns: `mask: { columns: { email: hmac, card: { keep_last: 4 } }, "
             "key: '${file:/etc/ods-sink/mask.key}' }`. NULL stays NULL. A masked column is text, "
             "except with `null`. Dead letters keep the record as the source sent it.",
    .size = sizeof(struct mask_settings),
    SETTING_ROWS(rows),
};

static bool mask_plan(struct rewriter *rewriter, struct draft *draft)
{
    const struct mask *mask = (const struct mask *) rewriter;
    for (size_t i = 0; i < mask->count; i++) {
        int found = draft_column(draft, mask->columns[i].column);
        if (found < 0)
            continue;
        struct column column = draft->columns[found];
        if (mask->columns[i].how != MASK_NULL)
            column = words_column(mask->columns[i].column, SEM_STRING);
        column.optional = draft->columns[found].optional || mask->columns[i].how == MASK_NULL;
        column.default_json = NULL;
        draft_set(draft, &column, (uint32_t) i + 1);
    }
    return true;
}

static void put_last(struct buffer *out, const char *text, size_t length, size_t keep)
{
    size_t characters = 0, seen = 0;
    for (size_t i = 0; i < length; i++)
        characters += ((unsigned char) text[i] & 0xC0) != 0x80;
    for (size_t i = 0; i < length; i++) {
        bool begins = ((unsigned char) text[i] & 0xC0) != 0x80;
        seen += begins;
        if (characters > keep && seen > characters - keep)
            buffer_add(out, text + i, 1);
        else if (begins)
            buffer_add(out, "*", 1);
    }
}

static bool put_hmac(struct buffer *out, const struct masked *how, const char *text,
                     size_t length)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE];
    size_t size = 0;
    if (!EVP_MAC_init(how->hmac, NULL, 0, NULL) ||
        !EVP_MAC_update(how->hmac, (const unsigned char *) text, length) ||
        !EVP_MAC_final(how->hmac, hash, &size, sizeof hash))
        return false;
    for (size_t i = 0; i < size; i++)
        buffer_add(out, (char[]){digits[hash[i] >> 4], digits[hash[i] & 15]}, 2);
    return true;
}

static enum ods_status mask_value(struct rewriter *rewriter, uint32_t work,
                                  const struct change *change, const struct value *image,
                                  uint32_t at, struct batch *batch, struct value *value,
                                  struct error *error)
{
    struct mask *mask = (struct mask *) rewriter;
    const struct masked *how = &mask->columns[work - 1];
    struct buffer out;
    const char *text;
    size_t length;
    if (image[at].kind == VALUE_ABSENT || image[at].kind == VALUE_NULL)
        return ODS_OK;
    if (how->how == MASK_NULL) {
        *value = (struct value){.kind = VALUE_NULL};
        return ODS_OK;
    }
    buffer_init(&out);
    enum ods_status status =
        words_of(&mask->text, &change->shape->columns[at], &image[at], &text, &length, error);
    if (status == ODS_OK && how->how == MASK_REDACT)
        buffer_puts(&out, how->word);
    else if (status == ODS_OK && how->how == MASK_KEEP_LAST)
        put_last(&out, text, length, how->keep);
    else if (status == ODS_OK && !put_hmac(&out, how, text, length))
        status = error_set(error, ODS_RETRY, "column %s: its hash can't be made", how->column);
    if (status == ODS_OK)
        *value = words_text(&batch->arena, out.bytes ? out.bytes : "", out.length);
    if (status == ODS_OK && (out.failed || value->kind == VALUE_ABSENT))
        status = error_out_of_memory(error);
    buffer_done(&out);
    return status;
}

static const struct rewriter_ops mask_rewriter = {.plan = mask_plan, .value = mask_value};

/* --- opening -------------------------------------------------------------------------------- */

static enum ods_status open_hmac(struct masked *masked, struct error *error)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *) "SHA256", 0),
        OSSL_PARAM_construct_end()};
    masked->hmac = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    if (masked->hmac && EVP_MAC_init(masked->hmac, (const unsigned char *) masked->word,
                                     strlen(masked->word), params))
        return ODS_OK;
    return error_set(error, ODS_FATAL, "column %s: OpenSSL can't make an HMAC", masked->column);
}

static enum ods_status read_key(struct masked *masked, const struct term *term, const char *shared,
                                struct error *error)
{
    bool own = *term->word && term->values.count == 1;
    masked->how = MASK_HMAC;
    masked->word = own ? term->values.items[0] : shared;
    if (strlen(masked->word) >= 16)
        return open_hmac(masked, error);
    return error_set(error, ODS_FATAL, "column %s: hmac needs a key of at least 16 bytes: %s",
                     term->column,
                     *masked->word ? "this one is shorter"
                                   : "set key: '${file:/etc/ods-sink/mask.key}'");
}

static enum ods_status read_term(struct masked *masked, const struct term *term, const char *key,
                                 struct error *error)
{
    const char *value = term->values.count == 1 ? term->values.items[0] : "", *word = term->word;
    char *end;
    if (!*word && !term->list && !term->values.count) {
        masked->how = MASK_NULL;
        return ODS_OK;
    }
    if (!*word && strcmp(value, "null") == 0) {
        masked->how = MASK_NULL;
        return ODS_OK;
    }
    if (strcmp(*word ? word : value, "hmac") == 0)
        return read_key(masked, term, key, error);
    if (strcmp(*word ? word : value, "redact") == 0) {
        masked->how = MASK_REDACT;
        masked->word = *word ? value : "***";
        return ODS_OK;
    }
    masked->how = MASK_KEEP_LAST;
    masked->keep = strtoul(value, &end, 10);
    if (strcmp(word, "keep_last") == 0 && end > value && !*end && masked->keep <= 1000)
        return ODS_OK;
    return error_set(error, ODS_FATAL,
                     "column %s: expected hmac, redact, { redact: text }, { keep_last: n } or null",
                     term->column);
}

static void mask_close(struct transform *transform)
{
    struct mask *mask = (struct mask *) transform;
    if (!mask)
        return;
    rewriter_done(&mask->rewriter);
    buffer_done(&mask->text);
    for (size_t i = 0; i < mask->count; i++)
        EVP_MAC_CTX_free(mask->columns[i].hmac);
    free(mask->columns);
    free(mask);
}

static enum ods_status mask_open(struct transform **transform,
                                 const struct transform_config *config, struct error *error)
{
    const struct mask_settings *told = config->settings;
    struct mask *mask = calloc(1, sizeof *mask);
    enum ods_status status = ODS_OK;
    *transform = NULL;
    if (mask)
        mask->columns = calloc(told->columns.count + 1, sizeof *mask->columns);
    if (!mask || !mask->columns) {
        free(mask);
        return error_out_of_memory(error);
    }
    rewriter_init(&mask->rewriter, &mask_transform, &mask_rewriter, config);
    buffer_init(&mask->text);
    for (size_t i = 0; status == ODS_OK && i < told->columns.count; i++) {
        mask->columns[mask->count].column = told->columns.items[i].column;
        status = read_term(&mask->columns[mask->count++], &told->columns.items[i], told->key,
                           error);
    }
    if (status == ODS_OK)
        *transform = &mask->rewriter.transform;
    else
        mask_close(&mask->rewriter.transform);
    return status;
}

const struct transform_ops mask_transform = {
    .type = "mask",
    .summary = "hides what is in columns",
    .settings = &settings,
    .open = mask_open,
    .apply = rewriter_apply,
    .close = mask_close,
};
