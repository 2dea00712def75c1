/* What the settings of AMQP brokers must be together. */
#include "config/validate_room.h"

#include <string.h>

/* amqp://host, amqps://host:port, [address]:port. */
static bool broker_url_is_good(const char *url)
{
    const char *host = strncmp(url, "amqp://", 7) == 0    ? url + 7
                       : strncmp(url, "amqps://", 8) == 0 ? url + 8
                                                          : "";
    const char *end = *host == '[' ? strchr(host, ']') : strchrnul(host, ':');
    if (!*host || !end || end == host || strpbrk(host, "@/ ,"))
        return false;
    end += *end == ']';
    return !*end || (*end == ':' && validate_port(end + 1));
}

static void check_broker(struct load *load, const struct node *node,
                         const struct broker_settings *broker)
{
    for (size_t i = 0; i < broker->urls.count; i++)
        if (!broker_url_is_good(broker->urls.items[i]))
            REFUSE(load, validate_place(node, "urls"),
                   "'urls' expects amqp://host:port or amqps://host:port without user and path, "
                   "which have settings of their own");
    if (node_find(node, "urls") && !broker->urls.count)
        REFUSE(load, validate_place(node, "urls"), "'urls' is empty: expected at least one server");
    if (*broker->key && !*broker->certificate)
        REFUSE(load, validate_place(node, "key"),
               "'key' is the key to 'certificate', which is not set");
    bool named = broker->sasl == BROKER_SASL_PLAIN || broker->sasl == BROKER_SASL_SCRAM_256 ||
                 broker->sasl == BROKER_SASL_SCRAM_512;
    if (named && !*broker->user)
        REFUSE(load, validate_place(node, "sasl"),
               "this way to sign in needs 'user' and 'password'");
    if (broker->sasl == BROKER_SASL_EXTERNAL && !*broker->certificate)
        REFUSE(load, validate_place(node, "sasl"),
               "'external' signs in by 'certificate', which is not set");
}

void validate_brokers(struct load *load, const struct node *node, const struct settings *settings)
{
    const struct entry *brokers = node_find(node, "amqp");
    for (size_t i = 0; i < settings->broker_count; i++) {
        const struct node *one = brokers->node->entries[i].node;
        check_broker(load, one, &settings->brokers[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(settings->brokers[i].name, settings->brokers[j].name) == 0)
                REFUSE(load, validate_place(one, "name"),
                       "two brokers are named '%s', the first in line %d",
                       settings->brokers[i].name, brokers->node->entries[j].line);
    }
}
