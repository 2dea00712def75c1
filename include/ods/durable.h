/* Files that outlive a crash of the machine: what is written is on disk when the call returns.
 *
 * `folder` is a descriptor of the folder that `name` stands in. Each answers 0, or an errno.
 */
#ifndef ODS_DURABLE_H
#define ODS_DURABLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Write bytes after the first `at` bytes of a file and cut off whatever followed them; if `at` is 0
 * the file is created. ENODATA: the file is missing, or has fewer bytes than that, and is not
 * changed. */
int durable_append(int folder, const char *name, const char *bytes, size_t length, int64_t at);

/* Replace the file by one with these bytes, atomically. */
int durable_replace(int folder, const char *name, const char *bytes, size_t length);

#ifdef __cplusplus
}
#endif

#endif
