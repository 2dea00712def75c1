/* Values compared; names of semantic types, for messages and generated comments. */
#include <ods/value.h>

#include <string.h>

const char *semantic_name(enum semantic type)
{
    static const char *const names[SEM_COUNT] = {
        [SEM_UNKNOWN] = "unknown",
        [SEM_BOOLEAN] = "boolean",
        [SEM_INT8] = "int8",
        [SEM_INT16] = "int16",
        [SEM_INT32] = "int32",
        [SEM_INT64] = "int64",
        [SEM_FLOAT32] = "float32",
        [SEM_FLOAT64] = "float64",
        [SEM_STRING] = "string",
        [SEM_BYTES] = "bytes",
        [SEM_DECIMAL] = "decimal",
        [SEM_VARIABLE_DECIMAL] = "variable-scale decimal",
        [SEM_DATE] = "date",
        [SEM_TIME_MS] = "time (ms)",
        [SEM_TIME_US] = "time (us)",
        [SEM_TIME_NS] = "time (ns)",
        [SEM_TIMESTAMP_MS] = "timestamp (ms)",
        [SEM_TIMESTAMP_US] = "timestamp (us)",
        [SEM_TIMESTAMP_NS] = "timestamp (ns)",
        [SEM_ZONED_TIMESTAMP] = "zoned timestamp",
        [SEM_ZONED_TIME] = "zoned time",
        [SEM_ISO_DATE] = "ISO date",
        [SEM_ISO_TIME] = "ISO time",
        [SEM_ISO_TIMESTAMP] = "ISO timestamp",
        [SEM_DURATION_US] = "duration (us)",
        [SEM_DURATION_NS] = "duration (ns)",
        [SEM_INTERVAL] = "interval",
        [SEM_YEAR] = "year",
        [SEM_BITS] = "bits",
        [SEM_JSON] = "json",
        [SEM_XML] = "xml",
        [SEM_UUID] = "uuid",
        [SEM_ENUM] = "enum",
        [SEM_ENUM_SET] = "enum set",
        [SEM_LTREE] = "ltree",
        [SEM_TSVECTOR] = "tsvector",
        [SEM_POINT] = "point",
        [SEM_GEOMETRY] = "geometry",
        [SEM_GEOGRAPHY] = "geography",
        [SEM_VECTOR] = "vector",
        [SEM_SPARSE_VECTOR] = "sparse vector",
        [SEM_STRUCTURED_DATE] = "structured date",
        [SEM_STRUCTURED_TIMESTAMP] = "structured timestamp",
        [SEM_STRUCTURED_TIME] = "structured time",
        [SEM_STRUCTURED_ZONED_TIMESTAMP] = "structured zoned timestamp",
        [SEM_STRUCTURED_ZONED_TIME] = "structured zoned time",
        [SEM_CIRCLE] = "circle",
        [SEM_LINE] = "line",
        [SEM_STRUCTURED_DURATION] = "structured duration",
        [SEM_ARRAY] = "array",
        [SEM_MAP] = "map",
        [SEM_STRUCT] = "struct",
    };
    const char *name = (unsigned) type < SEM_COUNT ? names[type] : NULL;
    return name ? name : "unknown";
}

/* By their bits: a NaN is the same as itself, and -0 is another value than 0. */
static uint64_t bits_of(double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    return bits;
}

bool value_same(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind <= VALUE_NULL)
        return true;
    if (a->kind == VALUE_DOUBLE)
        return bits_of(a->real) == bits_of(b->real);
    if (a->kind <= VALUE_INT)
        return a->integer == b->integer;
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}
