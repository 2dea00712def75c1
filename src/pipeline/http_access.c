/* See http_access.h. */
#include "pipeline/http_access.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MOST_BYTES 1048576

bool http_access_same(const char *given, const char *token)
{
    size_t length = strlen(token);
    unsigned differ = strlen(given) != length;
    for (size_t i = 0, k = 0; i < length; i++) {
        differ |= (unsigned char) given[k] ^ (unsigned char) token[i];
        k += given[k] != '\0';
    }
    return !differ;
}

bool http_access_has_token(struct MHD_Connection *connection, const char *token)
{
    char *password = NULL;
    if (!*token)
        return false;
    const char *header =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!header)
        return false;
    if (strncasecmp(header, "Bearer ", 7) == 0)
        return http_access_same(header + 7 + strspn(header + 7, " "), token);
    char *user = MHD_basic_auth_get_username_password(connection, &password);
    bool good = password && http_access_same(password, token);
    MHD_free(user);
    MHD_free(password);
    return good;
}

/* What GnuTLS says of a chain, in words. */
static void explain(gnutls_session_t session, unsigned verdict, struct error *error)
{
    gnutls_datum_t words = {0};
    gnutls_certificate_type_t type = gnutls_certificate_type_get(session);
    int code = gnutls_certificate_verification_status_print(verdict, type, &words, 0);
    error_set(error, ODS_REJECT, "its certificate is refused: %.400s",
              code == 0 ? (const char *) words.data : "not valid");
    gnutls_free(words.data);
}

bool http_access_certified(struct MHD_Connection *connection, struct error *error)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    gnutls_session_t session = info ? (gnutls_session_t) info->tls_session : NULL;
    gnutls_typed_vdata_st purpose = {
        .type = GNUTLS_DT_KEY_PURPOSE_OID,
        .data = (unsigned char *) (uintptr_t) GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned verdict = 0, shown = 0;
    if (session)
        gnutls_certificate_get_peers(session, &shown);
    if (!shown) {
        error_set(error, ODS_REJECT, "it has shown none");
        return false;
    }
    int code = gnutls_certificate_verify_peers(session, &purpose, 1, &verdict);
    if (code == 0 && verdict == 0)
        return true;
    if (code)
        error_set(error, ODS_REJECT, "its certificate can't be verified: %s",
                  gnutls_strerror(code));
    else
        explain(session, verdict, error);
    return false;
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
