/* A JDBC URL of PostgreSQL's driver as a connection string of libpq. The driver's properties: its
 * documentation, "Initializing the Driver"; libpq's: "Parameter Key Words". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import.h"
#include "config/secret.h"

bool is_reference(const char *value)
{
    const char *end = strncmp(value, "${", 2) == 0 ? strchr(value, '}') : NULL;
    return end && !end[1] && memchr(value, ':', (size_t) (end - value));
}

/* Doubled dollar signs, since ods-sink.conf replaces ${…}; and libpq's quotes. */
void import_dsn(struct import *import, const char *keyword, const char *value)
{
    struct buffer *dsn = &import->dsn;
    bool plain = *value && !strpbrk(value, " '\\\t\n");
    buffer_printf(dsn, "%s%s=%s", dsn->length ? " " : "", keyword, plain ? "" : "'");
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            buffer_puts(dsn, "\\");
        buffer_add(dsn, value, 1);
        if (*value == '$')
            buffer_puts(dsn, "$");
    }
    buffer_puts(dsn, plain ? "" : "'");
}

/* --- the password ---------------------------------------------------------------------------- */

/* As a connection string has it, since the file's text takes its place there. */
static char *quoted(const char *password)
{
    struct buffer out;
    buffer_init(&out);
    bool plain = *password && !strpbrk(password, " '\\\t\n");
    buffer_puts(&out, plain ? "" : "'");
    for (; *password; password++) {
        if (*password == '\'' || *password == '\\')
            buffer_puts(&out, "\\");
        buffer_add(&out, password, 1);
    }
    buffer_puts(&out, plain ? "" : "'");
    char *text = out.failed ? NULL : strdup(buffer_text(&out));
    buffer_done(&out);
    return text;
}

static void take_password(struct import *import, const char *property, const char *value)
{
    struct buffer *dsn = &import->dsn;
    const char *space = dsn->length ? " " : "";
    char variable[256];
    if (sscanf(value, "${env:%200[A-Za-z0-9_]}", variable) == 1) {
        buffer_printf(dsn, "%spassword=${%s:-}", space, variable);
        import_say(import, property, CARRIED, "the environment variable %s, of the daemon now",
                   variable);
    } else if (is_reference(value) || !import->can_write_secrets) {
        buffer_printf(dsn, "%spassword=${ODS_PASSWORD:-}", space);
        import_say(import, property, CARRIED,
                   "expected in the environment variable ODS_PASSWORD; a file is ${file:/path}");
    } else {
        import->database_secret = quoted(value);
        import->failed |= !import->database_secret;
        buffer_printf(dsn, "%spassword=${file:ods-password}", space);
        import_say(import, property, CARRIED,
                   "stands in the file ods-password, for its owner alone");
    }
}

/* --- parameters of the URL ------------------------------------------------------------------- */

/* Where `libpq` is NULL the note says why there is none. */
static const struct {
    const char *jdbc, *libpq;
    enum verdict verdict;
    const char *note;
} parameters[] = {
    {"ApplicationName", "application_name", CARRIED, NULL},
    {"connectTimeout", "connect_timeout", CARRIED, NULL},
    {"loginTimeout", "connect_timeout", CARRIED, NULL},
    {"options", "options", CARRIED, NULL},
    {"sslmode", "sslmode", CARRIED, NULL},
    {"sslrootcert", "sslrootcert", CARRIED, NULL},
    {"sslcert", "sslcert", CARRIED, NULL},
    {"sslkey", "sslkey", DIFFERS,
     "sslkey is carried; libpq wants the key as PEM, the driver PKCS-8 DER"},
    {"channelBinding", "channel_binding", CARRIED, NULL},
    {"gssEncMode", "gssencmode", CARRIED, NULL},
    {"kerberosServerName", "krbsrvname", CARRIED, NULL},
    {"tcpKeepAlive", NULL, SAME, "libpq keeps connections alive anyway"},
    {"reWriteBatchedInserts", NULL, SAME, "one statement takes a whole batch anyway"},
    {"stringtype", NULL, SAME, "values are given the type that the column has"},
    {"prepareThreshold", NULL, SAME, "statements are prepared anyway"},
    {"preparedStatementCacheQueries", NULL, DIFFERS, "see max_prepared_statements of the target"},
    {"preparedStatementCacheSizeMiB", NULL, DIFFERS, "see max_prepared_statements of the target"},
    {"binaryTransfer", NULL, SAME, "values travel in binary form anyway"},
    {"autosave", NULL, SAME, "a refused row takes only itself back"},
    {"socketTimeout", NULL, DIFFERS,
     "a target that is silent is waited for: statement_timeout_ms bounds a statement"},
    {"defaultRowFetchSize", NULL, SAME, "nothing is fetched"},
    {"logUnclosedConnections", NULL, SAME, "it is the driver's own"},
    {"loggerLevel", NULL, SAME, "it is the driver's own; see log.level"},
    {"loadBalanceHosts", NULL, LEFT, "hosts are tried in their order"},
};

static int hex(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

static char *decoded(const char *text, size_t length)
{
    char *out = malloc(length + 1), *to = out;
    for (size_t i = 0; out && i < length; i++) {
        bool escape = text[i] == '%' && i + 2 < length && hex(text[i + 1]) >= 0 &&
                      hex(text[i + 2]) >= 0;
        *to++ = escape ? (char) (hex(text[i + 1]) * 16 + hex(text[i + 2])) : text[i];
        i += escape ? 2 : 0;
    }
    if (out)
        *to = '\0';
    return out;
}

static void take_parameter(struct import *import, const char *name, const char *value)
{
    char property[128];
    snprintf(property, sizeof property, "connection.url: %.80s", name);
    if (strcmp(name, "user") == 0) {
        import_dsn(import, "user", value);
        import_say(import, property, CARRIED, "the target's dsn");
        return;
    }
    if (strcmp(name, "password") == 0) {
        take_password(import, property, value);
        return;
    }
    if (strcmp(name, "currentSchema") == 0) {
        import->schema = strndup(value, strcspn(value, ","));
        import_say(import, property, CARRIED, "defaults.schema in tables.yaml");
        return;
    }
    if (strcmp(name, "ssl") == 0) {
        import_dsn(import, "sslmode", strcmp(value, "false") == 0 ? "prefer" : "verify-full");
        import_say(import, property, CARRIED, "sslmode of the target's dsn");
        return;
    }
    if (strcmp(name, "targetServerType") == 0) {
        import_dsn(import, "target_session_attrs",
                   strcmp(value, "any") == 0 ? "any" : "read-write");
        import_say(import, property, CARRIED, "target_session_attrs of the target's dsn");
        return;
    }
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        if (strcasecmp(parameters[i].jdbc, name) != 0)
            continue;
        if (parameters[i].libpq)
            import_dsn(import, parameters[i].libpq, value);
        import_say(import, property, parameters[i].verdict, "%s",
                   parameters[i].note ? parameters[i].note : "the target's dsn");
        return;
    }
    import_say(import, property, UNKNOWN, "no parameter of the driver that is known here");
}

static void take_parameters(struct import *import, const char *query)
{
    while (*query) {
        size_t length = strcspn(query, "&"), name_length = strcspn(query, "=&");
        char *name = decoded(query, name_length);
        char *value = name_length < length
                          ? decoded(query + name_length + 1, length - name_length - 1)
                          : strdup("true");
        import->given = value;
        if (name && value && *name)
            take_parameter(import, name, value);
        import->given = NULL;
        import->failed |= !name || !value;
        free(name);
        free(value);
        query += length + (query[length] == '&');
    }
}

/* host:port,host:port or [address]:port into libpq's two lists. */
static void take_hosts(struct import *import, const char *text, size_t length)
{
    struct buffer hosts, ports;
    buffer_init(&hosts);
    buffer_init(&ports);
    for (size_t at = 0; at < length;) {
        size_t end = at;
        while (end < length && text[end] != ',')
            end++;
        const char *colon = memrchr(text + at, ':', end - at);
        bool bracket = text[at] == '[';
        if (colon && bracket && memchr(colon, ']', (size_t) (text + end - colon)))
            colon = NULL; /* of the address itself */
        size_t host_end = colon ? (size_t) (colon - text) : end;
        const char *comma = hosts.length ? "," : "";
        buffer_printf(&hosts, "%s%.*s", comma, (int) (host_end - at - 2 * bracket),
                      text + at + bracket);
        buffer_printf(&ports, "%s%.*s", comma, colon ? (int) (text + end - colon - 1) : 4,
                      colon ? colon + 1 : "5432");
        at = end + 1;
    }
    if (hosts.length) {
        import_dsn(import, "host", buffer_text(&hosts));
        import_dsn(import, "port", buffer_text(&ports));
    }
    buffer_done(&hosts);
    buffer_done(&ports);
}

/* jdbc:postgresql://hosts/database?…, or jdbc:postgresql:database */
static void take_address(struct import *import, const char *at)
{
    if (strncmp(at, "//", 2) == 0) {
        at += 2;
        size_t hosts = strcspn(at, "/?");
        take_hosts(import, at, hosts);
        at += hosts + (at[hosts] == '/');
    } else {
        import_dsn(import, "host", "localhost");
    }
    char *database = decoded(at, strcspn(at, "?"));
    if (database && *database)
        import_dsn(import, "dbname", database);
    import->failed |= !database;
    free(database);
}

enum ods_status import_url(struct import *import, struct error *error)
{
    static const char postgres[] = "jdbc:postgresql:";
    const char *url = import_value(import, "connection.url");
    const char *user_property =
        import->kind == JDBC_DEBEZIUM ? "connection.username" : "connection.user";
    const char *user = import_value(import, user_property);
    const char *password = import_value(import, "connection.password");
    if (!url)
        return error_set(error, ODS_FATAL, "%s: \"connection.url\" is missing", import->path);
    if (strncmp(url, postgres, sizeof postgres - 1) != 0) {
        size_t kind = strncmp(url, "jdbc:", 5) == 0 ? strcspn(url + 5, ":") : 0;
        return error_set(error, ODS_FATAL,
                         "%s: the connector writes to \"%.*s\", and only one that writes to "
                         "PostgreSQL (jdbc:postgresql:) can be imported",
                         import->path, (int) kind, kind ? url + 5 : "");
    }
    const char *at = url + sizeof postgres - 1, *query = strchr(at, '?');
    import_say(import, "connection.url", CARRIED, "the target's dsn");
    take_address(import, at);
    take_parameters(import, query ? query + 1 : "");
    const char *said = buffer_text(&import->dsn);
    bool has_user = strstr(said, "user=") != NULL, has_password = strstr(said, "password=") != NULL;
    if (user && has_user) {
        import_say(import, user_property, DIFFERS, "the URL has one, which goes before");
    } else if (user && !is_reference(user)) {
        import_dsn(import, "user", user);
        import_say(import, user_property, CARRIED, "the target's dsn");
    } else if (user) {
        buffer_puts(&import->dsn, " user=${ODS_USER:-ods}");
        import_say(import, user_property, CARRIED,
                   "expected in the environment variable ODS_USER");
    }
    if (password && has_password)
        import_say(import, "connection.password", DIFFERS, "the URL has one, which goes before");
    else if (password)
        take_password(import, "connection.password", password);
    return ODS_OK;
}
