/* Finds secrets. When in doubt it hides too much rather than too little.
 *
 * Connection strings: PostgreSQL documentation, "Connection Strings" (keyword/value and URI).
 */
#include "config/secret.h"

#include <ctype.h>
#include <string.h>

#include <ods/buffer.h>

bool secret_name(const char *name)
{
    static const char *const words[] = {
        "password", "secret",        "passwd", "token",      "key.pem",   "jaas",
        "oauthbearer.config",        "authorization",        "credential", "cookie",
        "api-key",  "api_key",       "apikey", "passphrase", "authentication", "x-auth",
        "functions-key",             "subscription-key",     "auth-key",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcasestr(name, words[i]))
            return !strcasestr(name, "endpoint.url") && strcmp(name, "token_file") != 0;
    }
    return false;
}

/* A password given as ${…} is not in the file. */
static void put_masked(struct buffer *out, const char *value, size_t length, bool *literal)
{
    if (length == 0)
        return;
    buffer_puts(out, SECRET_MASK);
    if (!memmem(value, length, "${", 2))
        *literal = true;
}

static size_t skip_space(const char *at)
{
    size_t length = 0;
    while (isspace((unsigned char) at[length]))
        length++;
    return length;
}

/* The length of a conninfo value, quoted or bare; with ${…} as one piece. 0: not understood. */
static size_t value_length(const char *at)
{
    size_t i = 0;
    bool quoted = at[0] == '\'';
    for (i = quoted; at[i]; i++) {
        if (at[i] == '\\' && at[i + 1]) {
            i++;
        } else if (at[i] == '$' && at[i + 1] == '{') {
            const char *end = strchr(at + i, '}');
            if (!end)
                return 0;
            i = (size_t) (end - at);
        } else if (quoted ? at[i] == '\'' : isspace((unsigned char) at[i])) {
            return quoted ? i + 1 : i;
        }
    }
    return quoted ? 0 : i;
}

static bool redact_keywords(struct buffer *out, const char *at, bool *literal)
{
    for (at += skip_space(at); *at; at += skip_space(at)) {
        char name[64];
        size_t length = strcspn(at, "= \t\r\n\f\v");
        if (length == 0 || length >= sizeof(name))
            return false;
        memcpy(name, at, length);
        name[length] = 0;
        at += length;
        at += skip_space(at);
        if (*at != '=')
            return false;
        at++;
        at += skip_space(at);
        size_t value = value_length(at);
        if (value == 0 && *at)
            return false;
        if (out->length)
            buffer_puts(out, " ");
        buffer_printf(out, "%s=", name);
        if (secret_name(name))
            put_masked(out, at, value, literal);
        else
            buffer_add(out, at, value);
        at += value;
    }
    return true;
}

/* The password is between the first colon and the last @. */
static void redact_uri(struct buffer *out, const char *dsn, const char *authority, bool *literal)
{
    const char *last = strrchr(authority, '@');
    const char *colon = last ? memchr(authority, ':', (size_t) (last - authority)) : NULL;
    const char *at = authority;
    buffer_add(out, dsn, (size_t) (authority - dsn));
    if (colon) {
        buffer_add(out, authority, (size_t) (colon + 1 - authority));
        put_masked(out, colon + 1, (size_t) (last - colon - 1), literal);
        at = last;
    }
    size_t path = strcspn(at, "?");
    buffer_add(out, at, path);
    at += path;
    while (*at) {
        char name[64] = "";
        size_t named = strcspn(at + 1, "=&");
        if (named < sizeof(name))
            memcpy(name, at + 1, named);
        buffer_add(out, at, 1 + named);
        at += 1 + named;
        size_t value = strcspn(at, "&");
        if (value && (!*name || strchr(name, '%') || secret_name(name))) {
            buffer_puts(out, "=");
            put_masked(out, at + 1, value - 1, literal);
        } else {
            buffer_add(out, at, value);
        }
        at += value;
    }
}

const char *secret_redact_dsn(struct pool *pool, const char *dsn, bool *literal)
{
    struct buffer out;
    bool found = false;
    const char *authority = strstr(dsn, "://");
    const char *equals = strchr(dsn, '=');
    const char *redacted = NULL;
    buffer_init(&out);
    if (authority && (!equals || authority < equals)) {
        redact_uri(&out, dsn, authority + 3, &found);
    } else if (!redact_keywords(&out, dsn, &found)) {
        buffer_reset(&out);
        put_masked(&out, dsn, strlen(dsn), &found);
        found = found && strcasestr(dsn, "password");
    }
    if (!out.failed)
        redacted = pool_strndup(pool, out.bytes ? out.bytes : "", out.length);
    else
        pool->failed = true;
    buffer_done(&out);
    if (literal)
        *literal = found;
    return redacted;
}
