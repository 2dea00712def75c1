/* libFuzzer: any bytes as samples of XML, with zeros between them, and what is suggested for them.
 *
 * Beside crashes and leaks it looks for: entries that another parser of YAML refuses, a document
 * that is refused and counts all the same, names that are not told apart. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "xml/outline.h"
#include "xml/suggest.h"

static void check_yaml(struct buffer *text)
{
    yaml_parser_t parser;
    yaml_document_t document;
    assert(yaml_parser_initialize(&parser));
    yaml_parser_set_input_string(&parser, (const unsigned char *) text->bytes, text->length);
    assert(yaml_parser_load(&parser, &document) && "the entries are no YAML");
    yaml_node_t *root = yaml_document_get_root_node(&document);
    assert(root && root->type == YAML_MAPPING_NODE);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
}

static void check_names(const struct suggested *suggested)
{
    for (size_t i = 0; i < suggested->count; i++) {
        const struct suggested_table *table = &suggested->tables[i];
        assert(*table->name && strlen(table->name) <= 63 && *table->query && table->columns);
        for (size_t j = 0; j < i; j++)
            assert(strcmp(table->name, suggested->tables[j].name) != 0);
        for (size_t j = 0; j < table->key_count; j++)
            for (size_t k = 0; k < j; k++)
                assert(strcmp(table->keys[j], table->keys[k]) != 0);
    }
}

static void check_suggestions(const struct outline *outline)
{
    static const struct suggest_base base = {
        .schema = "public", .table = "orders", .column = "doc", .key = {"id", "order"},
        .key_count = 2};
    struct suggested *suggested = calloc(1, sizeof *suggested);
    struct buffer text;
    struct error error;
    error_init(&error);
    buffer_init(&text);
    buffer_puts(&text, "derived:\n");
    for (struct outline_node *root = outline->root.child; root; root = root->next) {
        assert(suggest(suggested, outline, root, &base, &error) == ODS_OK);
        check_names(suggested);
        if (suggested->count && root == outline->root.child) {
            assert(suggested_yaml(suggested, &base, &text));
            check_yaml(&text);
        }
        suggested_done(suggested);
    }
    buffer_done(&text);
    free(suggested);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outline outline;
    outline_init(&outline);
    const char *at = (const char *) data, *end = at + size;
    for (bool text = true; at < end; text = !text) {
        const char *zero = memchr(at, '\0', (size_t) (end - at));
        size_t length = zero ? (size_t) (zero - at) : (size_t) (end - at), nodes = outline.nodes;
        struct error error;
        error_init(&error);
        enum ods_status status = outline_read(&outline, at, length, text, &error);
        assert(status == ODS_OK || (status == ODS_REJECT && *error.text));
        assert(status == ODS_OK || outline.nodes == nodes);
        at += length + (zero != NULL);
    }
    assert(outline.nodes <= OUTLINE_NODES);
    check_suggestions(&outline);
    outline_done(&outline);
    return 0;
}
