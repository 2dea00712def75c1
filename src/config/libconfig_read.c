/* ods-sink.conf: from libconfig's settings to the neutral tree. */
#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "config/libconfig_text.h"

static struct text_line place(const struct libconfig_text *text, unsigned line)
{
    if (line < 1)
        line = 1;
    if (line > text->line_count)
        line = (unsigned) text->line_count;
    return text->lines[line - 1];
}

static struct node *scalar(const struct libconfig_text *text, config_setting_t *setting,
                           struct text_line at)
{
    char number[64];
    const char *string;
    struct node *node;
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        snprintf(number, sizeof(number), "%lld", config_setting_get_int64(setting));
        return node_scalar(text->load, STYLE_NUMBER, at.source, at.line, number, strlen(number));
    case CONFIG_TYPE_FLOAT:
        snprintf(number, sizeof(number), "%.17g", config_setting_get_float(setting));
        return node_scalar(text->load, STYLE_NUMBER, at.source, at.line, number, strlen(number));
    case CONFIG_TYPE_BOOL:
        string = config_setting_get_bool(setting) ? "true" : "false";
        return node_scalar(text->load, STYLE_BOOL, at.source, at.line, string, strlen(string));
    default:
        string = config_setting_get_string(setting);
        if (!string)
            string = "";
        node = node_scalar(text->load, STYLE_STRING, at.source, at.line, string, strlen(string));
        explicit_bzero((char *) string, strlen(string)); /* libconfig frees it as it is */
        return node;
    }
}

static struct node *convert(const struct libconfig_text *text, config_setting_t *setting,
                            unsigned depth)
{
    struct text_line at = place(text, config_setting_source_line(setting));
    size_t capacity = 0;
    if (!config_setting_is_aggregate(setting))
        return scalar(text, setting, at);
    if (depth > NODE_DEPTH_MAX) {
        findings_error(text->load->findings, at.source, at.line,
                       "groups and lists are nested deeper than %d", NODE_DEPTH_MAX);
        return NULL;
    }
    struct node *node =
        node_new(text->load, config_setting_is_group(setting) ? NODE_MAP : NODE_LIST, at.source,
                 at.line);
    for (int i = 0; node && i < config_setting_length(setting); i++) {
        config_setting_t *member = config_setting_get_elem(setting, (unsigned) i);
        const char *name = config_setting_name(member);
        struct entry entry = {
            .key = name ? libconfig_text_name(text->load, name) : "",
            .line = place(text, config_setting_source_line(member)).line,
            .node = convert(text, member, depth + 1),
        };
        if (!entry.key || !entry.node || !node_add(text->load, node, &capacity, entry))
            return NULL;
    }
    return node;
}

struct node *libconfig_read(struct load *load, const struct config_source *source,
                            const char *bytes, size_t length)
{
    struct libconfig_text text = {.load = load};
    struct node *root = NULL;
    config_t libconfig;
    buffer_init(&text.out);
    config_init(&libconfig);
    libconfig_text_add(&text, source, bytes, length);
    if (text.failed)
        goto out;
    if (!config_read_string(&libconfig, buffer_text(&text.out))) {
        struct text_line at = place(&text, (unsigned) config_error_line(&libconfig));
        const char *why = config_error_text(&libconfig);
        findings_error(load->findings, at.source, at.line,
                       "%s; expected settings of the form name = value;",
                       why ? why : "it cannot be read");
        goto out;
    }
    root = convert(&text, config_root_setting(&libconfig), 1);
out:
    config_destroy(&libconfig);
    libconfig_text_done(&text);
    return root;
}
