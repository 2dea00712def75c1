/* Each plug-in that a registry lists has what its header asks for, and a name of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ods/format.h>
#include <ods/sink.h>
#include <ods/source.h>
#include <ods/transform.h>

#define HAS(plugin, name, member)                                                                  \
    do {                                                                                           \
        if (!(plugin)->member)                                                                     \
            fail_msg("%s has no " #member, name);                                                  \
    } while (0)

/* Found by its name, its settings are those that its number has, and their rows have
 * a text each. */
static void look_at_settings(const struct setting_group *own, setting_plugins *groups,
                             size_t number, const char *name)
{
    const char *listed = NULL;
    const struct setting_group *group = groups(number, &listed);
    assert_non_null(group);
    assert_string_equal(listed, name);
    if (!own)
        return;
    assert_ptr_equal(group, own);
    assert_true(*own->title && *own->intro);
    SETTINGS_EACH(row, own)
    {
        HAS(row, row->name, doc);
        assert_true(row->offset < own->size);
    }
}

static void targets(void **state)
{
    for (size_t i = 0; sink_list()[i]; i++) {
        const struct sink_ops *ops = sink_list()[i];
        assert_ptr_equal(sink_find(ops->type), ops);
        HAS(ops, ops->type, summary);
        HAS(ops, ops->type, settings);
        HAS(ops, ops->type, open);
        HAS(ops, ops->type, connect);
        HAS(ops, ops->type, resume);
        HAS(ops, ops->type, apply);
        HAS(ops, ops->type, close);
        if (!ops->interrupt != !ops->clear_interrupt)
            fail_msg("%s has one of interrupt and clear_interrupt", ops->type);
        if (ops->control)
            HAS(ops, ops->type, interrupt);
        look_at_settings(ops->settings, sink_groups, i, ops->type);
        ops->close(NULL);
    }
}

static void sources(void **state)
{
    for (size_t i = 0; source_list()[i]; i++) {
        const struct source_ops *ops = source_list()[i];
        assert_ptr_equal(source_find(ops->type), ops);
        HAS(ops, ops->type, summary);
        HAS(ops, ops->type, open);
        HAS(ops, ops->type, join);
        HAS(ops, ops->type, next);
        HAS(ops, ops->type, start);
        HAS(ops, ops->type, pause);
        HAS(ops, ops->type, ack);
        HAS(ops, ops->type, look);
        HAS(ops, ops->type, release);
        HAS(ops, ops->type, leave);
        HAS(ops, ops->type, close);
        if (ops->acked)
            HAS(ops, ops->type, ends);
        look_at_settings(ops->settings, source_groups, i, ops->type);
        ops->close(NULL);
    }
}

static void formats(void **state)
{
    for (size_t i = 0; format_list()[i]; i++) {
        const struct format_ops *ops = format_list()[i];
        assert_ptr_equal(format_find(ops->name), ops);
        HAS(ops, ops->name, summary);
        HAS(ops, ops->name, open);
        HAS(ops, ops->name, decode);
        HAS(ops, ops->name, close);
        if (ops->look_back)
            HAS(ops, ops->name, observe);
        ops->close(NULL);
    }
}

static void transforms(void **state)
{
    for (size_t i = 0; transform_list()[i]; i++) {
        const struct transform_ops *ops = transform_list()[i];
        assert_ptr_equal(transform_find(ops->type), ops);
        HAS(ops, ops->type, summary);
        HAS(ops, ops->type, settings);
        HAS(ops, ops->type, open);
        HAS(ops, ops->type, apply);
        HAS(ops, ops->type, close);
        look_at_settings(ops->settings, transform_groups, i, ops->type);
        ops->close(NULL);
    }
}

/* As `ods-sink decode` opens it: without a pipeline. */
static void formats_open_without_a_pipeline(void **state)
{
    for (size_t i = 0; format_list()[i]; i++) {
        const struct format_ops *ops = format_list()[i];
        struct shape_table *shapes = shape_table_new();
        const struct decoder_config config = {.shapes = shapes};
        struct decoder *decoder = NULL;
        struct error error;
        error_init(&error);
        assert_int_equal(ops->open(&decoder, &config, &error), ODS_OK);
        assert_ptr_equal(decoder->ops, ops);
        ops->close(decoder);
        shape_table_free(shapes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets),
        cmocka_unit_test(sources),
        cmocka_unit_test(formats),
        cmocka_unit_test(transforms),
        cmocka_unit_test(formats_open_without_a_pipeline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
