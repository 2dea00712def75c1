/* libavro's generic reader on the records of `bench decode --format debezium-avro`: what a sink would
 * get by it before it has made anything of the values. FILE: lines with value_b64; SCHEMA: the
 * values' schema. Prints events a second of one core.
 *
 *   cc -O2 -o avro_reader bench/avro_reader.c -lavro && ./avro_reader FILE SCHEMA
 */
#include <avro.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static size_t decode(const char *text, char *out)
{
    size_t length = 0;
    unsigned bits = 0, have = 0;
    for (; digit(*text) >= 0; text++) {
        bits = bits << 6 | (unsigned) digit(*text);
        have += 6;
        if (have >= 8)
            out[length++] = (char) (bits >> (have -= 8));
    }
    return length;
}

static char *slurp(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        exit(1);
    *length = (size_t) ftell(file);
    rewind(file);
    char *bytes = malloc(*length + 1);
    if (fread(bytes, 1, *length, file) != *length)
        exit(1);
    bytes[*length] = 0;
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    size_t length, schema_length, count = 0, events = 0, sizes[100000];
    char *lines = slurp(argv[1], &length), *text = slurp(argv[2], &schema_length), *at = lines;
    char **records = malloc(sizeof *records * 100000);
    avro_schema_t schema; /* the same for all records */
    avro_value_t value;
    if (argc != 3 || avro_schema_from_json_length(text, schema_length, &schema))
        return 1;
    while (count < 100000 && (at = strstr(at, "\"value_b64\": \""))) {
        at += 14;
        records[count] = malloc(65536); /* longer records are not what this measures */
        sizes[count] = decode(at, records[count]);
        count++;
    }
    avro_value_iface_t *class = avro_generic_class_from_schema(schema);
    avro_generic_value_new(class, &value);
    clock_t began = clock();
    while (clock() - began < 3 * CLOCKS_PER_SEC)
        for (size_t i = 0; i < count; i++, events++) {
            avro_reader_t reader = avro_reader_memory(records[i] + 5, (int64_t) sizes[i] - 5);
            if (avro_value_read(reader, &value))
                return 1;
            avro_reader_free(reader);
            avro_value_reset(&value);
        }
    printf("{\"events_per_second\":%.0f}\n", (double) events * CLOCKS_PER_SEC / (double) (clock() - began));
    return 0;
}
