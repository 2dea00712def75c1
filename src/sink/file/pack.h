/* Compression of what is appended: each time a gzip member (RFC 1952) or a zstd frame (RFC 8878) of
 * its own, which readers take one after the other as one stream. */
#ifndef PACK_H
#define PACK_H

#include <ods/buffer.h>

#include "sink/file/settings.h"

/* Append the bytes to `out`, packed. False: out of memory. */
bool pack(struct buffer *out, enum file_compression compression, const char *bytes, size_t length);

#endif
