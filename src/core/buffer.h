/* Moved: <ods/buffer.h>. */
#include <ods/buffer.h>
