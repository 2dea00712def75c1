/* See http_access.h. */
#include "pipeline/http_access.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MOST_BYTES 1048576

/* Takes as long for a wrong one as for the right one. */
static bool same(const char *given, const char *token)
{
    size_t length = strlen(token);
    unsigned differ = strlen(given) != length;
    for (size_t i = 0, k = 0; i < length; i++) {
        differ |= (unsigned char) given[k] ^ (unsigned char) token[i];
        k += given[k] != '\0';
    }
    return !differ;
}

bool http_access_granted(struct MHD_Connection *connection, const char *token)
{
    char *password = NULL;
    if (!*token)
        return true;
    const char *header =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!header)
        return false;
    if (strncasecmp(header, "Bearer ", 7) == 0)
        return same(header + 7 + strspn(header + 7, " "), token);
    char *user = MHD_basic_auth_get_username_password(connection, &password);
    bool good = password && same(password, token);
    MHD_free(user);
    MHD_free(password);
    return good;
}

enum ods_status http_access_read(struct buffer *pem, const char *setting, const char *path,
                                 struct error *error)
{
    char part[4096];
    size_t got;
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(error, ODS_FATAL, "%s \"%s\": %s", setting, path, strerror(errno));
    while ((got = fread(part, 1, sizeof part, file)) && pem->length < MOST_BYTES)
        buffer_add(pem, part, got);
    bool failed = ferror(file);
    fclose(file);
    if (failed || pem->failed)
        return error_set(error, ODS_FATAL, "%s \"%s\" can't be read", setting, path);
    if (!strstr(buffer_text(pem), "-----BEGIN "))
        return error_set(error, ODS_FATAL, "%s \"%s\" has nothing in PEM", setting, path);
    return ODS_OK;
}
