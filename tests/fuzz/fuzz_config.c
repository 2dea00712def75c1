/* Both configuration parsers under libFuzzer: the bytes before the first zero are ods-sink.conf,
 * those after it tables.yaml. Whatever they are, loading must end, answer, and free all.
 *
 * Inputs that loaded are printed and compared with themselves, so that the other users of the
 * table of settings are entered too. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses a string of a few bytes at some syntax errors. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *) data;
    const char *zero = size ? memchr(bytes, 0, size) : NULL;
    size_t length = zero ? (size_t) (zero - bytes) : size;
    struct config_text daemon = {"ods-sink.conf", bytes, length};
    struct config_text tables = {"tables.yaml", zero ? zero + 1 : "",
                                 zero ? size - length - 1 : 0};
    struct config *config = NULL;
    size_t count = 0, errors = 0;
    enum ods_status status = config_parse(&config, &daemon, &tables);
    const struct finding *findings = config_findings(config, &count);
    for (size_t i = 0; i < count; i++)
        errors += !findings[i].warning;
    assert((status == ODS_OK) == (errors == 0));
    assert((status == ODS_OK) == (config_settings(config) != NULL));
    if (status == ODS_OK) {
        FILE *out = fopen("/dev/null", "w");
        assert(out);
        config_print(config, out);
        assert(config_compare(config, config, out) == 0);
        fclose(out);
    }
    config_free(config);
    return 0;
}
