/* Compression of what is appended. */
#include "sink/file/pack.h"

#include <limits.h>

#include <zlib.h>
#include <zstd.h>

#define ZSTD_LEVEL  3
#define GZIP_WINDOW (15 + 16) /* zlib's way to say: with gzip's header */

static bool pack_gzip(struct buffer *out, const char *bytes, size_t length)
{
    z_stream stream = {0};
    if (length > UINT_MAX || deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW,
                                          8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    size_t start = out->length, room = deflateBound(&stream, length);
    char *at = room <= UINT_MAX ? buffer_take(out, room) : NULL;
    int done = Z_MEM_ERROR;
    if (at) {
        stream.next_in = (Bytef *) (uintptr_t) bytes;
        stream.avail_in = (uInt) length;
        stream.next_out = (Bytef *) at;
        stream.avail_out = (uInt) room;
        done = deflate(&stream, Z_FINISH);
        out->length = start + room - stream.avail_out;
    }
    deflateEnd(&stream);
    return done == Z_STREAM_END;
}

static bool pack_zstd(struct buffer *out, const char *bytes, size_t length)
{
    size_t start = out->length, room = ZSTD_compressBound(length);
    char *at = buffer_take(out, room);
    size_t written = at ? ZSTD_compress(at, room, bytes, length, ZSTD_LEVEL) : 0;
    if (!at || ZSTD_isError(written))
        return false;
    out->length = start + written;
    return true;
}

bool pack(struct buffer *out, enum file_compression compression, const char *bytes, size_t length)
{
    if (compression == FILE_GZIP)
        return pack_gzip(out, bytes, length);
    if (compression == FILE_ZSTD)
        return pack_zstd(out, bytes, length);
    buffer_add(out, bytes, length);
    return !out->failed;
}
