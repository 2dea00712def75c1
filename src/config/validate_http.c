/* What the settings of the HTTP server must be together. */
#include "config/validate_room.h"

#include <string.h>

static bool listen_is_good(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    if (!colon || colon == listen || !validate_port(colon + 1))
        return false;
    if (*listen == '[')
        return colon[-1] == ']' && colon > listen + 2;
    return memchr(listen, ':', (size_t) (colon - listen)) == NULL;
}

/* A token tells who acts, and that who only reads does not. */
static void check_operators(struct load *load, const struct node *node,
                            const struct http_settings *http)
{
    const struct entry *list = node_find(node, "http.operators");
    for (size_t i = 0; i < http->operator_count; i++) {
        const struct operator_settings *one = &http->operators[i];
        const struct node *place = list->node->entries[i].node;
        if (!*one->token)
            continue; /* it is missing, which has been said */
        if (strcmp(one->token, http->token) == 0)
            REFUSE(load, validate_place(place, "token"),
                   "the token of operator '%s' is http.token too: whoever may look could act",
                   one->name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(one->name, http->operators[j].name) == 0 ||
                strcmp(one->token, http->operators[j].token) == 0)
                REFUSE(load, validate_place(place, "name"),
                       "operators '%s' and '%s' have the same name or token, the first in line %d",
                       http->operators[j].name, one->name, list->node->entries[j].line);
    }
    if (http->operator_count && !*http->listen)
        REFUSE(load, list->node, "'http.operators' are for http.listen, which is empty");
}

void validate_http(struct load *load, const struct node *node, const struct http_settings *http)
{
    if (*http->listen && !listen_is_good(http->listen))
        REFUSE(load, validate_place(node, "http.listen"),
               "'http.listen' expects host:port, [address]:port or nothing, found \"%s\"",
               http->listen);
    if (*http->health_listen && !listen_is_good(http->health_listen))
        REFUSE(load, validate_place(node, "http.health_listen"),
               "'http.health_listen' expects host:port, [address]:port or nothing, found \"%s\"",
               http->health_listen);
    if (!*http->certificate != !*http->key)
        REFUSE(load, validate_place(node, *http->key ? "http.key" : "http.certificate"),
               "'http.certificate' and 'http.key' go together: set both, or neither");
    if (!*http->listen && (*http->certificate || *http->token))
        REFUSE(load, validate_place(node, "http.listen"),
               "'http.certificate' and 'http.token' are for http.listen, which is empty");
    if (*http->client_ca && !*http->certificate)
        REFUSE(load, validate_place(node, "http.client_ca"),
               "'http.client_ca' is for TLS: it needs 'http.certificate' and 'http.key'");
    check_operators(load, node, http);
}
