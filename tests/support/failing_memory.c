/* The functions that the linker puts between the program and its allocators (--wrap). */
#include "failing_memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>
#include <yyjson.h>

static unsigned long left; /* allocations until the one that fails; 0: none will */
static bool failed;

void memory_fail_at(unsigned long n)
{
    left = n;
    failed = false;
}

bool memory_has_failed(void)
{
    return failed;
}

static bool fails(void)
{
    if (!left || --left)
        return false;
    failed = true;
    errno = ENOMEM;
    return true;
}

#define WRAP(type, name, parameters, arguments, answer)                                            \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails() ? (answer) : __real_##name arguments;                                       \
    }

WRAP(void *, malloc, (size_t bytes), (bytes), NULL)
WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAP(void *, realloc, (void *memory, size_t bytes), (memory, bytes), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(char *, strndup, (const char *text, size_t length), (text, length), NULL)
WRAP(int, vasprintf, (char **text, const char *format, va_list arguments),
     (text, format, arguments), -1)
WRAP(ssize_t, getline, (char **line, size_t *bytes, FILE *file), (line, bytes, file), -1)
WRAP(FILE *, open_memstream, (char **text, size_t *length), (text, length), NULL)
WRAP(PGconn *, PQconnectStartParams,
     (const char *const *names, const char *const *values, int expand), (names, values, expand),
     NULL)
WRAP(PQconninfoOption *, PQconninfoParse, (const char *text, char **problem), (text, problem),
     NULL)
WRAP(char *, PQescapeLiteral, (PGconn * pg, const char *text, size_t length), (pg, text, length),
     NULL)
WRAP(int, PQsendQueryParams,
     (PGconn * pg, const char *sql, int count, const Oid *types, const char *const *values,
      const int *lengths, const int *formats, int format),
     (pg, sql, count, types, values, lengths, formats, format), 0)
WRAP(int, PQsendQueryPrepared,
     (PGconn * pg, const char *name, int count, const char *const *values, const int *lengths,
      const int *formats, int format),
     (pg, name, count, values, lengths, formats, format), 0)
WRAP(int, PQsendPrepare,
     (PGconn * pg, const char *name, const char *sql, int count, const Oid *types),
     (pg, name, sql, count, types), 0)
WRAP(int, PQsendQuery, (PGconn * pg, const char *sql), (pg, sql), 0)
WRAP(int, PQputCopyData, (PGconn * pg, const char *bytes, int count), (pg, bytes, count), -1)
WRAP(int, PQputCopyEnd, (PGconn * pg, const char *problem), (pg, problem), -1)

int __wrap_asprintf(char **text, const char *format, ...);
int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = __wrap_vasprintf(text, format, arguments);
    va_end(arguments);
    return length;
}

yyjson_doc *__real_yyjson_read_opts(char *text, size_t length, yyjson_read_flag flags,
                                    const yyjson_alc *allocator, yyjson_read_err *problem);
yyjson_doc *__wrap_yyjson_read_opts(char *text, size_t length, yyjson_read_flag flags,
                                    const yyjson_alc *allocator, yyjson_read_err *problem);
yyjson_doc *__wrap_yyjson_read_opts(char *text, size_t length, yyjson_read_flag flags,
                                    const yyjson_alc *allocator, yyjson_read_err *problem)
{
    if (!fails())
        return __real_yyjson_read_opts(text, length, flags, allocator, problem);
    if (problem)
        *problem = (yyjson_read_err){.code = YYJSON_READ_ERROR_MEMORY_ALLOCATION,
                                     .msg = "memory allocation failed"};
    return NULL;
}

char *__real_yyjson_val_write_opts(const yyjson_val *value, yyjson_write_flag flags,
                                   const yyjson_alc *allocator, size_t *length,
                                   yyjson_write_err *problem);
char *__wrap_yyjson_val_write_opts(const yyjson_val *value, yyjson_write_flag flags,
                                   const yyjson_alc *allocator, size_t *length,
                                   yyjson_write_err *problem);
char *__wrap_yyjson_val_write_opts(const yyjson_val *value, yyjson_write_flag flags,
                                   const yyjson_alc *allocator, size_t *length,
                                   yyjson_write_err *problem)
{
    return fails() ? NULL
                   : __real_yyjson_val_write_opts(value, flags, allocator, length, problem);
}
