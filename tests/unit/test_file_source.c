/* The file source by its own functions, as a lane calls them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ods/pipeline.h>
#include <ods/source.h>

static struct {
    char path[64];
    FILE *file;
    const struct source_ops *ops;
    struct source *source;
    struct error error;
    char came[256]; /* "topic/partition " of each that was assigned */
} f;

static const char *topics[] = {"a", "^b"};
static const struct pipeline_settings pipeline = {.name = "p", .topics = {topics, 2}, .lanes = 1};

static void assigned(void *context, const struct place *places, size_t count)
{
    size_t length = strlen(f.came);
    snprintf(f.came + length, sizeof f.came - length, "%s/%d ", places->topic,
             (int) places->partition);
}

static void revoked(void *context, const struct place *places, size_t count, bool lost)
{
}

static void acknowledged(void *context, const struct place *places, size_t count)
{
}

/* As a configuration that names the path alone. */
static void open_source(bool is_pipe)
{
    static char settings[256];
    f.came[0] = '\0';
    strcpy(f.path, "/tmp/ods-sink-test-XXXXXX");
    close(mkstemp(f.path));
    if (is_pipe) {
        unlink(f.path);
        assert_int_equal(mkfifo(f.path, 0600), 0);
    }
    f.ops = source_find("file");
    SETTINGS_EACH(row, f.ops->settings)
    {
        if (row->type == SETTING_STRING)
            *(const char **) (settings + row->offset) = strcmp(row->name, "path") ? "" : f.path;
        else if (row->type == SETTING_BYTES)
            *(int64_t *) (settings + row->offset) = 4096;
        else
            *(bool *) (settings + row->offset) = true;
    }
    const struct source_config config = {.settings = settings,
                                         .pipeline = &pipeline,
                                         .events = {assigned, revoked, acknowledged, NULL}};
    assert_int_equal(f.ops->open(&f.source, &config, &f.error), ODS_OK);
    f.file = fopen(f.path, "a");
    f.ops->join(f.source);
}

static void close_source(void)
{
    f.ops->leave(f.source);
    f.ops->close(f.source);
    fclose(f.file);
    unlink(f.path);
}

static void put(const char *topic, int partition, int offset)
{
    fprintf(f.file, "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%d,\"key\":\"k\\u00e4\"}\n",
            topic, partition, offset);
    fflush(f.file);
}

/* What the source says next: "a/0@7" a record, "end a/0@8", "gap a/0", "failed", "-" nothing. */
static const char *next(void)
{
    static char text[128];
    struct record record = {0};
    error_init(&f.error);
    enum source_event event = f.ops->next(f.source, &record, &f.error);
    static const char *const words[] = {[SOURCE_RECORD] = "", [SOURCE_END] = "end ",
                                        [SOURCE_GAP] = "gap "};
    if (event == SOURCE_NOTHING || event == SOURCE_FAILED)
        return event == SOURCE_NOTHING ? "-" : "failed";
    snprintf(text, sizeof text, "%s%s/%d@%lld", words[event], record.topic, (int) record.partition,
             (long long) record.offset);
    f.ops->release(record.owner);
    return text;
}

static void start(const char *topic, int partition, int64_t offset)
{
    struct place place = {.topic = topic, .partition = partition, .offset = offset};
    assert_int_equal(f.ops->start(f.source, &place, 1, &f.error), ODS_OK);
}

static void stop(const char *topic, int partition)
{
    const struct place place = {.topic = topic, .partition = partition};
    f.ops->pause(f.source, &place, 1);
}

static void a_partition_comes_with_its_first_line_and_holds_the_rest(void **state)
{
    open_source(false);
    put("a", 0, 3);
    put("other", 0, 0);
    put("b", 1, 0);
    put("a", 0, 4);
    assert_string_equal(next(), "-");
    assert_string_equal(f.came, "a/0 ");
    start("a", 0, POSITION_BEGINNING);
    assert_string_equal(next(), "a/0@3");
    assert_string_equal(next(), "-");
    assert_string_equal(f.came, "a/0 b/1 ");
    assert_string_equal(next(), "-"); /* though a's next line stands behind it */
    start("b", 1, 0);
    assert_string_equal(next(), "b/1@0");
    stop("a", 0);
    assert_string_equal(next(), "-");
    start("a", 0, 4);
    assert_string_equal(next(), "a/0@4");
    assert_string_equal(next(), "end a/0@5");
    assert_string_equal(next(), "end b/1@1");
    assert_string_equal(next(), "-");
    fputs("{\"topic\":\"a\",", f.file);
    fflush(f.file);
    assert_string_equal(next(), "-"); /* half a line */
    fputs("\"partition\":0,\"offset\":9}\n", f.file);
    fflush(f.file);
    assert_string_equal(next(), "a/0@9");
    close_source();
}

/* Far and near, more lines than there are marks of one level; the other partition's come once. */
static void an_earlier_offset_is_read_again(void **state)
{
    open_source(false);
    for (int i = 0; i < 5000; i++) {
        put("a", 0, i);
        put("a", 1, i);
    }
    next();
    start("a", 0, 0);
    next();
    assert_string_equal(next(), "-");
    start("a", 1, 0);
    while (strcmp(next(), "a/1@4999") != 0)
        ;
    static const int from[] = {4999, 4990, 4500, 17, 0, 2500};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        stop("a", 0);
        start("a", 0, from[i]);
        for (int offset = from[i]; offset < 5000;) {
            char wanted[32];
            const char *got = next();
            snprintf(wanted, sizeof wanted, "a/0@%d", offset);
            if (strcmp(got, "-") == 0 || strncmp(got, "end", 3) == 0)
                continue;
            assert_string_equal(got, wanted);
            offset++;
        }
    }
    close_source();
}

static void what_the_file_does_not_have_is_a_gap(void **state)
{
    open_source(false);
    put("a", 0, 10);
    next();
    start("a", 0, 5);
    assert_string_equal(next(), "gap a/0@11");
    assert_string_equal(next(), "-");
    start("a", 0, 10);
    assert_string_equal(next(), "a/0@10");
    assert_string_equal(next(), "end a/0@11");
    stop("a", 0);
    start("a", 0, 20);
    assert_string_equal(next(), "gap a/0@11");
    close_source();
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
    open_source(false);
    put("a", 0, 1);
    fputs("\n\n[]\n", f.file);
    fflush(f.file);
    next();
    start("a", 0, 0);
    start("a", 0, POSITION_BEGINNING);
    next();
    assert_string_equal(next(), "failed");
    assert_int_equal(f.error.fault, FAULT_ROW);
    assert_non_null(strstr(f.error.text, " line 4: not a record: expected an object"));
    assert_string_equal(next(), "failed");
    close_source();
}

static void a_pipe_can_not_be_read_again(void **state)
{
    open_source(true);
    put("a", 0, 0);
    put("a", 0, 1);
    next();
    start("a", 0, 0);
    assert_string_equal(next(), "a/0@0");
    stop("a", 0);
    start("a", 0, 1); /* nothing that has been read */
    assert_string_equal(next(), "a/0@1");
    start("a", 0, 0);
    assert_string_equal(next(), "failed");
    assert_non_null(strstr(f.error.text, "once more from offset 0 on"));
    close_source();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_partition_comes_with_its_first_line_and_holds_the_rest),
        cmocka_unit_test(an_earlier_offset_is_read_again),
        cmocka_unit_test(what_the_file_does_not_have_is_a_gap),
        cmocka_unit_test(what_is_wrong_is_said_with_its_line),
        cmocka_unit_test(a_pipe_can_not_be_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
