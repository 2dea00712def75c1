/* Suggested tables as they stand in tables.yaml. */
#include <string.h>

#include "xml/suggest.h"

static bool is_word(const char *text, size_t length)
{
    static const char words[] = " y n yes no on off true false null ~ ";
    char word[16];
    if (length + 3 > sizeof word)
        return false;
    word[0] = ' ';
    memcpy(word + 1, text, length);
    memcpy(word + 1 + length, " ", 2);
    return strstr(words, word);
}

/* A name in YAML. */
static void put_scalar(struct buffer *out, const char *text)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    size_t length = strlen(text);
    if (length && strspn(text, letters) == length && !strchr("0123456789.", *text) &&
        !is_word(text, length)) {
        buffer_puts(out, text);
        return;
    }
    buffer_puts(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_puts(out, "\\");
        if ((unsigned char) *text < ' ') /* a line's end would be folded into a blank */
            buffer_printf(out, "\\x%02x", (unsigned char) *text);
        else
            buffer_add(out, text, 1);
    }
    buffer_puts(out, "\"");
}

static void put_list(struct buffer *out, const char *name, char *const *items, size_t count)
{
    buffer_printf(out, "%s: [", name);
    for (size_t i = 0; i < count; i++) {
        buffer_puts(out, i ? ", " : "");
        put_scalar(out, items[i]);
    }
    buffer_puts(out, "]");
}

static void put_lines(struct buffer *out, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        buffer_puts(out, "      ");
        buffer_add(out, text, length);
        buffer_puts(out, "\n");
        text += length + (text[length] == '\n');
    }
}

static void put_base(struct buffer *out, const struct suggest_base *base)
{
    struct buffer name;
    buffer_init(&name);
    if (*base->schema && strcmp(base->schema, "public") != 0)
        buffer_printf(&name, "%s.", base->schema);
    buffer_puts(&name, base->table);
    put_scalar(out, buffer_text(&name));
    out->failed |= name.failed;
    buffer_done(&name);
}

bool suggested_yaml(const struct suggested *suggested, const struct suggest_base *base,
                    struct buffer *out)
{
    for (size_t i = 0; i < suggested->count; i++) {
        const struct suggested_table *table = &suggested->tables[i];
        buffer_puts(out, "  - name: ");
        put_scalar(out, table->name);
        if (table->key_count > table->anchors) {
            buffer_puts(out, "\n    ");
            put_list(out, "anchor", table->keys, table->anchors);
        }
        buffer_puts(out, "\n    ");
        put_list(out, "key", table->keys, table->key_count);
        buffer_puts(out, "\n    query: |\n");
        put_lines(out, table->query);
        buffer_puts(out, "    depends: { ");
        put_base(out, base);
        buffer_puts(out, ": { ");
        put_list(out, "by", table->keys, table->anchors);
        buffer_puts(out, " } }\n");
    }
    return !out->failed;
}
