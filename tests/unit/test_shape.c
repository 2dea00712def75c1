/* Interned shapes: equal ones are one, any difference makes another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ods/shape.h>

static struct column columns[2];
static uint32_t key[1];

static struct shape example(void)
{
    columns[0] = (struct column){
        .name = "id", .name_length = 2, .type = SEM_INT32, .length = -1, .scale = INT32_MIN};
    columns[1] = (struct column){.name = "v",
                                 .name_length = 1,
                                 .type = SEM_STRING,
                                 .length = 20,
                                 .scale = INT32_MIN,
                                 .optional = true};
    key[0] = 0;
    return (struct shape){.topic = "t",
                          .database = "d",
                          .schema = "",
                          .table = "x",
                          .connector = "mysql",
                          .typed = true,
                          .column_count = 2,
                          .columns = columns,
                          .key_count = 1,
                          .key = key};
}

static void equal_shapes_are_one_and_copied_deeply(void **state)
{
    struct shape_table *table = shape_table_new();
    struct shape candidate = example();
    char name[] = "v";
    columns[1].name = name;
    const struct shape *first = shape_intern(table, &candidate);
    name[0] = '?';
    assert_string_equal(first->columns[1].name, "v");
    assert_ptr_not_equal(first->columns, candidate.columns);
    candidate = example();
    candidate.topic = "another topic";
    assert_ptr_equal(shape_intern(table, &candidate), first);
    assert_int_equal(shape_table_count(table), 1);
    assert_int_equal(shape_column(first, "v", 1), 1);
    assert_int_equal(shape_column(first, "w", 1), -1);
    assert_int_equal(shape_column(first, "vv", 2), -1);
    shape_table_free(table);
}

static void any_difference_makes_another_shape(void **state)
{
    static const struct column element = {.name = "", .type = SEM_INT64, .length = -1};
    static const struct column other = {.name = "", .type = SEM_INT32, .length = -1};
    struct shape_table *table = shape_table_new();
    struct shape candidate = example();
    uint32_t id = 0;
    assert_int_equal(shape_intern(table, &candidate)->id, id++);
#define ANOTHER(change)                                                                            \
    candidate = example();                                                                         \
    change;                                                                                        \
    assert_int_equal(shape_intern(table, &candidate)->id, id++)
    ANOTHER(candidate.database = "e");
    ANOTHER(candidate.schema = "s");
    ANOTHER(candidate.table = "y");
    ANOTHER(candidate.connector = "");
    ANOTHER(candidate.typed = false);
    ANOTHER(candidate.column_count = 1);
    ANOTHER(candidate.key_count = 0);
    ANOTHER(key[0] = 1);
    ANOTHER(columns[1].name = "w");
    ANOTHER(columns[1].type = SEM_UUID);
    ANOTHER(columns[1].length = 21);
    ANOTHER(columns[1].scale = 2);
    ANOTHER(columns[1].optional = false);
    ANOTHER(columns[1].default_json = "1");
    ANOTHER(columns[1].source_type = "VARCHAR");
    ANOTHER(columns[1].allowed = "a,b");
    ANOTHER(columns[1].element = &element);
    ANOTHER((columns[1].fields = &element, columns[1].field_count = 1));
    ANOTHER((columns[1].fields = &other, columns[1].field_count = 1));
#undef ANOTHER
    assert_int_equal(shape_table_count(table), id);
    shape_table_free(table);
}

static void the_table_has_a_ceiling(void **state)
{
    struct shape_table *table = shape_table_new();
    struct shape candidate = example();
    char name[24];
    size_t count = 0;
    do {
        snprintf(name, sizeof name, "table %zu", count++);
        candidate.table = name;
    } while (shape_intern(table, &candidate) && count < 200000);
    assert_true(shape_table_full(table));
    assert_int_equal(shape_table_count(table), count - 1);
    candidate = example();
    candidate.table = "table 7";
    assert_non_null(shape_intern(table, &candidate));
    shape_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_shapes_are_one_and_copied_deeply),
        cmocka_unit_test(any_difference_makes_another_shape),
        cmocka_unit_test(the_table_has_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
