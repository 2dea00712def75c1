/* How a schema registry is asked, for whoever has settings for one: pipelines, the daemon,
 * targets. */
#ifndef SETTINGS_REGISTRY_H
#define SETTINGS_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include <ods/pipeline.h>
#include <ods/setting.h>

/* The rows of how a registry is asked, for a struct with a member `registry`. */
#define REGISTRY_ACCESS_ROWS(type, inherited, url_doc)                                             \
    {"registry.url", SETTING_STRING, offsetof(struct type, registry.url), "", inherited,           \
     .max = 4096, .doc = url_doc},                                                                 \
    {"registry.user", SETTING_STRING, offsetof(struct type, registry.user), "", .max = 1000,       \
     .doc = "User for basic authentication. Empty: none."},                                        \
    {"registry.password", SETTING_STRING, offsetof(struct type, registry.password), "",            \
     .max = 10000,                                                                                 \
     .doc = "Its password, best as `${NAME}` or `${file:/path}`. Never printed."},                 \
    {"registry.token", SETTING_STRING, offsetof(struct type, registry.token), "", .max = 100000,   \
     .doc = "Token for bearer authentication, in place of user and password; likewise."},          \
    {"registry.ca", SETTING_STRING, offsetof(struct type, registry.ca), "",                        \
     .inherits = "the system's authorities", .max = 4096,                                          \
     .doc = "File of the certificates (PEM) by which an `https://` registry is known. Its host "   \
            "name is checked too."},                                                               \
    {"registry.client_cert", SETTING_STRING, offsetof(struct type, registry.client_cert), "",      \
     .max = 4096,                                                                                  \
     .doc = "File of our own certificate (PEM), for a registry that asks for one."},               \
    {"registry.client_key", SETTING_STRING, offsetof(struct type, registry.client_key), "",        \
     .max = 4096,                                                                                  \
     .doc = "File of the key to `registry.client_cert` (PEM); empty: it is in the same file."},    \
    {"registry.timeout_ms", SETTING_MS, offsetof(struct type, registry.timeout_ms), "10000",       \
     .min = 100, .max = 600000,                                                                    \
     .doc = "How long one answer may take. A registry that does not answer is an outage: the "     \
            "partitions whose next record needs a schema that is not known yet wait."}

/* Is each of the comma-separated list http://… or https://…, without a user, which has settings of
 * its own; or, with `files`, a file? */
bool settings_urls_are(const char *urls, bool files);
/* NULL: the settings of a registry fit together. Else what is wrong, and *setting: with which. */
const char *settings_registry_fault(const struct registry_settings *registry, bool files,
                                    const char **setting);

#endif
