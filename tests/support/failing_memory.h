/* Allocations that fail on purpose, for programs linked with --wrap
 * (tests/integration/CMakeLists.txt).
 *
 * Covered is every allocation that our own objects ask for, and what they ask of yyjson and of
 * libpq where those answer that memory is out. Not covered is what the libraries allocate in
 * between. One thread. */
#ifndef FAILING_MEMORY_H
#define FAILING_MEMORY_H

#include <stdbool.h>

/* The nth allocation from now on fails, once; 0: none does. */
void memory_fail_at(unsigned long n);
bool memory_has_failed(void); /* since memory_fail_at() */

#endif
