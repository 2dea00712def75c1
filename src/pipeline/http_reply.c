/* See http_reply.h. */
#include "pipeline/http_reply.h"

enum MHD_Result http_reply(struct MHD_Connection *connection, unsigned code, const char *type,
                           struct buffer *body, const char *challenge)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->length, body->bytes, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_NO;
    if (response) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
        MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
        MHD_add_response_header(response, "Content-Security-Policy",
                                "default-src 'none'; script-src 'unsafe-inline'; style-src "
                                "'unsafe-inline'; connect-src 'self'; img-src data:; "
                                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
        if (code == MHD_HTTP_UNAUTHORIZED && challenge)
            MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, challenge);
        result = MHD_queue_response(connection, code, response);
        MHD_destroy_response(response);
    }
    return result;
}
