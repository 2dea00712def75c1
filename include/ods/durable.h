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

/* Put bytes behind the first `at` bytes of a file, in place of what stands there; a file is made
 * where `at` is 0. ENODATA: it is not there, or has fewer bytes than that, and is left as it is. */
int durable_append(int folder, const char *name, const char *bytes, size_t length, int64_t at);

/* A file with these bytes takes the place of the one that is there, at once. */
int durable_replace(int folder, const char *name, const char *bytes, size_t length);

#ifdef __cplusplus
}
#endif

#endif
