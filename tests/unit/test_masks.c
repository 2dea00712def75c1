/* Which columns transform_masks() says are hidden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <ods/transform.h>
#include "config/config.h"

static const char daemon_text[] =
    "targets = ( { name = \"t\"; type = \"postgres\"; dsn = \"host=h\"; } );";

static const char tables_text[] =
    "pipelines:\n"
    "- name: p\n"
    "  topics: [t]\n"
    "  transforms:\n"
    "  - rename: { mail: email }\n"
    "  - mask: { email: redact }\n"
    "  - { type: mask, columns: { ssn: null }, tables: [shop.people] }\n"
    "  tables:\n"
    "    orders:\n"
    "      transforms:\n"
    "      - mask: { note: { keep_last: 2 } }\n";

static const char plain_text[] = "pipelines:\n- { name: p, topics: [t] }\n";

static struct config *load(const char *text)
{
    struct config *config = NULL;
    const struct config_text daemon = {"d.conf", daemon_text, sizeof daemon_text - 1};
    const struct config_text tables = {"tables.yaml", text, strlen(text)};
    assert_int_equal(config_parse(&config, &daemon, &tables), ODS_OK);
    return config;
}

static void masks(void **state)
{
    struct config *config = load(tables_text);
    const struct pipeline_settings *pipeline = &config_settings(config)->pipelines[0];
    assert_true(transform_masks(pipeline, "shop", "any", "mail"));
    assert_true(transform_masks(pipeline, "shop", "any", "email"));
    assert_false(transform_masks(pipeline, "shop", "any", "ssn"));
    assert_true(transform_masks(pipeline, "shop", "people", "ssn"));
    assert_true(transform_masks(pipeline, "shop", "orders", "note"));
    assert_false(transform_masks(pipeline, "shop", "people", "note"));
    assert_true(transform_masks(pipeline, NULL, NULL, "note"));
    assert_false(transform_masks(pipeline, NULL, NULL, "other"));
    assert_true(transform_masks(pipeline, NULL, NULL, NULL));
    assert_true(transform_masks(pipeline, "shop", "people", NULL));
    config_free(config);
    config = load(plain_text);
    assert_false(transform_masks(&config_settings(config)->pipelines[0], NULL, NULL, NULL));
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(masks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
