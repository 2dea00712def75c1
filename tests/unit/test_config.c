/* The configuration: files of cases in config/valid and config/invalid, then what they can't say.
 *
 * A case is NAME.conf, NAME.yaml or both; what is missing is the smallest that loads. Its comments
 * say what is expected: "# expect: LINE: …" each finding of that file, "# shows: …" a line that
 * `check` prints. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "config/finding.h"
#include "config/secret.h"
#include <ods/buffer.h>

static const char small_daemon[] =
    "targets = ( { name = \"ods\"; type = \"postgres\"; dsn = \"\"; } );\n";
static const char small_tables[] = "pipelines: [{ name: p, topics: [t] }]\n";
#include "sink/postgres/tables/settings.h"

static char *slurp(const char *path)
{
    FILE *file = fopen(path, "r");
    struct buffer bytes;
    char chunk[4096];
    size_t got;
    if (!file)
        return NULL;
    buffer_init(&bytes);
    while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buffer_add(&bytes, chunk, got);
    fclose(file);
    char *text = strdup(buffer_text(&bytes));
    buffer_done(&bytes);
    return text;
}

static char *printed(const struct config *config)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    config_print(config, out);
    fclose(out);
    return text;
}

static struct config *parse(const char *daemon, const char *tables, enum ods_status expected)
{
    struct config *config = NULL;
    struct config_text first = {"x.conf", daemon, strlen(daemon)};
    struct config_text second = {"x.yaml", tables, strlen(tables)};
    enum ods_status status = config_parse(&config, &first, &second);
    size_t count;
    const struct finding *findings = config_findings(config, &count);
    for (size_t i = 0; i < count && status != expected; i++)
        print_message("%s\n", findings[i].text);
    assert_int_equal(status, expected);
    return config;
}

static const struct postgres_settings *postgres_of(const struct config *config)
{
    return config_settings(config)->targets[0].own;
}

static void expect_finding(const struct config *config, size_t index, bool warning,
                           const char *part)
{
    size_t count;
    const struct finding *findings = config_findings(config, &count);
    assert_true(index < count);
    if (findings[index].warning != warning || !strstr(findings[index].text, part))
        fail_msg("expected \"%s\", found \"%s\"", part, findings[index].text);
}

/* --- the files of cases --- */

/* The lines of `text` that begin with the mark, each with the prefix before it. */
static size_t marked_lines(const char *text, const char *mark, const char *prefix,
                           struct buffer *out)
{
    size_t count = 0;
    for (const char *line = text; line && *line;) {
        const char *end = strchrnul(line, '\n');
        if (strncmp(line, mark, strlen(mark)) == 0) {
            line += strlen(mark);
            buffer_printf(out, "%s%.*s\n", prefix, (int) (end - line), line);
            count++;
        }
        line = *end ? end + 1 : end;
    }
    return count;
}

/* False, and said, when the findings are not those expected. */
static bool check_findings(const struct config *config, const char *stem, const char *daemon,
                           const char *tables)
{
    struct buffer expected, found;
    char prefix[300];
    size_t count;
    const struct finding *findings = config_findings(config, &count);
    buffer_init(&expected);
    buffer_init(&found);
    snprintf(prefix, sizeof(prefix), "%s.conf:", stem);
    marked_lines(daemon, "# expect: ", prefix, &expected);
    snprintf(prefix, sizeof(prefix), "%s.yaml:", stem);
    marked_lines(tables, "# expect: ", prefix, &expected);
    for (size_t i = 0; i < count; i++)
        buffer_printf(&found, "%s\n", findings[i].text);
    bool same = strcmp(buffer_text(&found), buffer_text(&expected)) == 0;
    if (!same)
        print_message("%s: expected\n%sfound\n%s", stem, buffer_text(&expected),
                      buffer_text(&found));
    buffer_done(&expected);
    buffer_done(&found);
    return same;
}

static bool check_shown(const struct config *config, const char *stem, const char *daemon,
                        const char *tables)
{
    struct buffer expected;
    bool good;
    char *shown = printed(config);
    buffer_init(&expected);
    size_t wanted = marked_lines(daemon, "# shows: ", "\n", &expected);
    wanted += marked_lines(tables, "# shows: ", "\n", &expected);
    good = wanted > 0;
    for (char *line = strtok((char *) buffer_text(&expected), "\n"); line;
         line = strtok(NULL, "\n")) {
        char *at = strstr(shown, line);
        size_t length = strlen(line);
        if (at && (at == shown || at[-1] == '\n') && at[length] == '\n')
            continue;
        print_message("%s: not shown: %s\n", stem, line);
        good = false;
    }
    buffer_done(&expected);
    free(shown);
    return good;
}

static bool run_case(const char *folder, const char *stem, bool valid)
{
    char path[1024], names[2][300];
    struct config *config = NULL;
    snprintf(path, sizeof(path), ODS_TEST_DATA "/config/%s/%s.conf", folder, stem);
    char *daemon = slurp(path);
    snprintf(path, sizeof(path), ODS_TEST_DATA "/config/%s/%s.yaml", folder, stem);
    char *tables = slurp(path);
    snprintf(names[0], sizeof(names[0]), "%s.conf", stem);
    snprintf(names[1], sizeof(names[1]), "%s.yaml", stem);
    struct config_text first = {names[0], daemon ? daemon : small_daemon, 0};
    struct config_text second = {names[1], tables ? tables : small_tables, 0};
    first.length = strlen(first.bytes);
    second.length = strlen(second.bytes);
    enum ods_status status = config_parse(&config, &first, &second);
    bool good = check_findings(config, stem, first.bytes, second.bytes) &&
                (status == ODS_OK) == valid && (config_settings(config) != NULL) == valid;
    if (good && valid)
        good = check_shown(config, stem, first.bytes, second.bytes);
    config_free(config);
    free(daemon);
    free(tables);
    return good;
}

/* Every stem once; a .yaml beside a .conf belongs to it. */
static void run_folder(const char *folder, bool valid, size_t at_least)
{
    struct dirent **entries;
    char path[1024], previous[256] = "";
    size_t cases = 0, bad = 0;
    snprintf(path, sizeof(path), ODS_TEST_DATA "/config/%s", folder);
    int count = scandir(path, &entries, NULL, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        char *dot = strrchr(entries[i]->d_name, '.');
        bool is_case = dot && (strcmp(dot, ".conf") == 0 || strcmp(dot, ".yaml") == 0);
        if (is_case) {
            *dot = 0;
            if (strcmp(previous, entries[i]->d_name) != 0) {
                bad += !run_case(folder, entries[i]->d_name, valid);
                cases++;
            }
            snprintf(previous, sizeof(previous), "%s", entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    assert_int_equal(bad, 0);
    assert_true(cases >= at_least);
}

static void test_valid_files(void **state)
{
    run_folder("valid", true, 6);
}

static void test_invalid_files(void **state)
{
    run_folder("invalid", false, 40);
}

/* --- real files --- */

struct folder {
    char path[64];
};

static void folder_make(struct folder *folder)
{
    strcpy(folder->path, "/tmp/ods-sink-config-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
}

static const char *folder_path(const struct folder *folder, const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    return path;
}

static void folder_write(const struct folder *folder, const char *name, mode_t mode,
                         const char *text)
{
    const char *path = folder_path(folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void folder_remove(const struct folder *folder)
{
    static const char *const names[] = {"ods-sink.conf", "more.conf", "tables.yaml", "password"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        unlink(folder_path(folder, names[i]));
    rmdir(folder->path);
}

static void test_includes_and_secret_files(void **state)
{
    struct folder folder;
    struct config *config = NULL;
    size_t count;
    folder_make(&folder);
    folder_write(&folder, "ods-sink.conf", 0600,
                 "lanes = 2;\n@include \"more.conf\"\nlanex = 3;\n");
    folder_write(&folder, "more.conf", 0600,
                 "targets = ( { name = \"ods\"; type = \"postgres\";\n"
                 "  dsn = \"password=${file:password}\"; } );\n"
                 "batch = { max_wait_ms = 70000; };\n");
    folder_write(&folder, "tables.yaml", 0644, small_tables);
    folder_write(&folder, "password", 0600, "hidden words\n");

    assert_int_equal(config_load(&config, folder_path(&folder, "ods-sink.conf")), ODS_FATAL);
    config_findings(config, &count);
    assert_int_equal(count, 2);
    expect_finding(config, 0, false, "/ods-sink.conf:3: unknown setting 'lanex'");
    expect_finding(config, 1, false, "/more.conf:3: 'batch.max_wait_ms' expects");
    config_free(config);

    folder_write(&folder, "ods-sink.conf", 0600, "lanes = 2;\n@include \"more.conf\"\n");
    folder_write(&folder, "more.conf", 0644,
                 "targets = ( { name = \"ods\"; type = \"postgres\";\n"
                 "  dsn = \"password=${file:password}\"; } );\n");
    assert_int_equal(config_load(&config, folder_path(&folder, "ods-sink.conf")), ODS_OK);
    config_findings(config, &count);
    assert_int_equal(count, 0);
    assert_string_equal(postgres_of(config)->session.dsn, "password=hidden words");
    assert_string_equal(config_settings(config)->tables, folder_path(&folder, "tables.yaml"));
    config_free(config);
    folder_remove(&folder);
}

/* What values come from, and what settings name, is known; and when it is another one. */
static void test_files_that_are_replaced(void **state)
{
    struct folder folder;
    struct config *config = NULL;
    folder_make(&folder);
    folder_write(&folder, "ods-sink.conf", 0600,
                 "targets = ( { name = \"ods\"; type = \"postgres\";\n"
                 "  dsn = \"password=${file:password}\"; } );\n"
                 "kafka = { properties = { \"ssl.ca.location\" = \"ca.pem\"; }; };\n");
    folder_write(&folder, "tables.yaml", 0644, small_tables);
    folder_write(&folder, "ca.pem", 0644, "an authority\n");
    folder_write(&folder, "password", 0600, "one\n");
    assert_int_equal(config_load(&config, folder_path(&folder, "ods-sink.conf")), ODS_OK);
    uint64_t loaded = config_files_loaded(config), before = config_files_now(config);
    assert_int_equal(before, loaded);
    folder_write(&folder, "password", 0600, "another\n");
    uint64_t after = config_files_now(config);
    assert_int_not_equal(after, loaded);
    folder_write(&folder, "ca.pem", 0644, "another authority\n");
    assert_int_not_equal(config_files_now(config), after);
    assert_int_equal(config_files_loaded(config), loaded);
    unlink(folder_path(&folder, "ca.pem"));
    assert_int_equal(config_files_now(config), 0);
    config_free(config);
    folder_remove(&folder);
}

static void test_readable_passwords_warn(void **state)
{
    static const struct {
        const char *dsn;
        const char *properties;
        mode_t mode;
        size_t warnings;
    } cases[] = {
        {"host=x password=geheim", "", 0640, 1},
        {"host=x password=geheim", "", 0604, 1},
        {"host=x password=geheim", "", 0600, 0},
        {"postgresql://u:geheim@h/db", "", 0644, 1},
        {"postgresql://u@h/db", "", 0644, 0},
        {"host=x password=${ODS_TEST_SECRET}", "", 0644, 0},
        {"${ODS_TEST_SECRET}", "", 0644, 0},
        {"", "\"sasl.password\" = \"geheim\";", 0644, 1},
        {"", "\"sasl.oauthbearer.client.secret\" = \"geheim\";", 0644, 1},
        {"", "\"sasl.password\" = \"${ODS_TEST_SECRET}\";", 0644, 0},
        {"password=geheim", "\"ssl.key.password\" = \"geheim\";", 0666, 2},
    };
    struct folder folder;
    folder_make(&folder);
    folder_write(&folder, "tables.yaml", 0644, small_tables);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct config *config = NULL;
        char text[1024];
        size_t count;
        snprintf(text, sizeof(text),
                 "targets = ( { name = \"ods\"; type = \"postgres\"; dsn = \"%s\"; } );\n"
                 "kafka = { properties = { %s }; };\n",
                 cases[i].dsn, cases[i].properties);
        folder_write(&folder, "ods-sink.conf", cases[i].mode, text);
        assert_int_equal(config_load(&config, folder_path(&folder, "ods-sink.conf")), ODS_OK);
        const struct finding *findings = config_findings(config, &count);
        assert_int_equal(count, cases[i].warnings);
        for (size_t j = 0; j < count; j++) {
            assert_true(findings[j].warning);
            assert_null(strstr(findings[j].text, "geheim"));
        }
        char *shown = printed(config);
        assert_null(strstr(shown, "geheim"));
        assert_null(strstr(shown, "s3cret"));
        free(shown);
        config_free(config);
    }
    folder_remove(&folder);
}

static void test_missing_files(void **state)
{
    struct folder folder;
    struct config *config = NULL;
    folder_make(&folder);
    assert_int_equal(config_load(&config, folder_path(&folder, "ods-sink.conf")), ODS_FATAL);
    expect_finding(config, 0, false, "No such file or directory");
    config_free(config);
    folder_write(&folder, "ods-sink.conf", 0600, small_daemon);
    assert_int_equal(config_load(&config, folder_path(&folder, "ods-sink.conf")), ODS_FATAL);
    expect_finding(config, 0, false, "tables.yaml: No such file or directory");
    config_free(config);
    assert_int_equal(config_load(&config, folder.path), ODS_FATAL);
    expect_finding(config, 0, false, "it is not a regular file");
    config_free(config);
    folder_remove(&folder);
}

/* An include that includes itself ends in a finding. */
static void test_include_of_itself(void **state)
{
    struct folder folder;
    struct config *config = NULL;
    folder_make(&folder);
    folder_write(&folder, "ods-sink.conf", 0600, "@include \"ods-sink.conf\"\n");
    assert_int_equal(config_load(&config, folder_path(&folder, "ods-sink.conf")), ODS_FATAL);
    expect_finding(config, 0, false, "includes go deeper than ten files");
    config_free(config);
    folder_remove(&folder);
}

static void test_shipped_examples(void **state)
{
    struct folder folder;
    struct config *config = NULL;
    size_t count;
    char *daemon = slurp(ODS_SOURCE_DIR "/config/ods-sink.conf.example");
    char *tables = slurp(ODS_SOURCE_DIR "/config/tables.yaml.example");
    assert_non_null(daemon);
    assert_non_null(tables);
    folder_make(&folder);
    folder_write(&folder, "ods-sink.conf", 0644, daemon);
    folder_write(&folder, "tables.yaml", 0644, tables);
    assert_int_equal(config_load(&config, folder_path(&folder, "ods-sink.conf")), ODS_OK);
    config_findings(config, &count);
    assert_int_equal(count, 0);
    assert_int_equal(config_settings(config)->pipelines[0].table_count, 3);
    config_free(config);
    folder_remove(&folder);
    free(daemon);
    free(tables);
}

static void test_reference_is_not_stale(void **state)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    config_reference(out);
    fclose(out);
    char *file = slurp(ODS_SOURCE_DIR "/docs/configuration.md");
    assert_non_null(file);
    if (strcmp(text, file) != 0)
        fail_msg("docs/configuration.md is stale: ods-sink reference > docs/configuration.md");
    free(file);
    free(text);
}

/* --- bytes that no text file has --- */

static void test_zero_bytes_and_noise(void **state)
{
    static const struct {
        const char *daemon;
        size_t daemon_length;
        const char *tables;
        size_t tables_length;
        const char *finding;
    } cases[] = {
        {"lanes = 2;\0", 11, small_tables, sizeof(small_tables) - 1, "zero byte"},
        {small_daemon, sizeof(small_daemon) - 1, "a: \0", 4, "control characters"},
        {small_daemon, sizeof(small_daemon) - 1, "a: \"\\0\"", 7, "zero byte"},
        {small_daemon, sizeof(small_daemon) - 1, "a: \xff\xfe", 5, "not YAML"},
        {"\xff", 1, small_tables, sizeof(small_tables) - 1, "no meaning here"},
        {"\"", 1, small_tables, sizeof(small_tables) - 1, "does not end"},
        {"\"\" = 1;", 7, small_tables, sizeof(small_tables) - 1, "a quoted name"},
        {"@include", 8, small_tables, sizeof(small_tables) - 1, "followed by a path"},
        {"", 0, "", 0, "'targets' is missing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct config *config = NULL;
        struct config_text daemon = {"x.conf", cases[i].daemon, cases[i].daemon_length};
        struct config_text tables = {"x.yaml", cases[i].tables, cases[i].tables_length};
        assert_int_equal(config_parse(&config, &daemon, &tables), ODS_FATAL);
        expect_finding(config, 0, false, cases[i].finding);
        config_free(config);
    }
    config_free(NULL);
}

/* A file with thousands of mistakes still answers, and soon. */
static void test_many_findings_and_tables(void **state)
{
    struct buffer text;
    size_t count;
    buffer_init(&text);
    for (int i = 0; i < 20000; i++)
        buffer_printf(&text, "unknown%d: 1\n", i);
    struct config *config = parse(small_daemon, buffer_text(&text), ODS_FATAL);
    const struct finding *findings = config_findings(config, &count);
    assert_int_equal(count, FINDINGS_MAX + 1);
    assert_string_equal(findings[count - 1].text, "and 19801 more findings");
    config_free(config);

    buffer_reset(&text);
    buffer_puts(&text, "pipelines:\n- name: a\n  topics: [t]\n  tables:\n");
    for (int i = 0; i < 20000; i++)
        buffer_printf(&text, "    table%d: { key: [id] }\n", i);
    config = parse(small_daemon, buffer_text(&text), ODS_OK);
    assert_int_equal(config_settings(config)->pipelines[0].table_count, 20000);
    config_free(config);
    buffer_done(&text);
}

/* --- look-ups, comparison, secrets, names --- */

static void test_table_lookup(void **state)
{
    static const struct {
        const char *schema, *table, *target;
    } cases[] = {
        {"shop", "orders", "shop_orders"}, {"other", "orders", "any_orders"},
        {"", "orders", "any_orders"},      {"shop", "order", ""},
        {"shop", "items", "shop_items"},   {"other", "items", ""},
        {"sho", "orders", "any_orders"},   {"", "shop.items", "shop_items"},
    };
    struct config *config = parse(small_daemon,
                                  "pipelines:\n"
                                  "- name: a\n"
                                  "  topics: [t]\n"
                                  "  tables:\n"
                                  "    shop.orders: { target: shop_orders }\n"
                                  "    orders: { target: any_orders }\n"
                                  "    shop.items: { target: shop_items }\n",
                                  ODS_OK);
    const struct settings *settings = config_settings(config);
    const struct pipeline_settings *pipeline = &settings->pipelines[0];
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct table_settings *table =
            pipeline_table(pipeline, cases[i].schema, cases[i].table);
        assert_string_equal(table->target, cases[i].target);
    }
    assert_ptr_equal(pipeline_table(pipeline, "x", "y"), &pipeline->defaults);
    assert_ptr_equal(settings_target(settings, "ods"), &settings->targets[0]);
    assert_null(settings_target(settings, "other"));
    assert_string_equal(pipeline->file, "x.yaml");
    assert_int_equal(pipeline->line, 2);
    config_free(config);
}

static void test_compare(void **state)
{
    static const char target[] =
        "targets = ( { name = \"ods\"; type = \"postgres\"; dsn = \"password=one\"; } );";
    static const struct {
        const char *daemon, *tables, *lines;
        size_t count;
    } cases[] = {
        {"", small_tables, "", 0},
        {"log = { level = \"debug\"; format = \"json\"; };", small_tables, "", 0},
        {"batch = { max_wait_ms = 5; }; retry = { max_ms = 5000; };", small_tables, "", 0},
        {"batch = { per_lane = 3; };", small_tables,
         "batch.per_lane = 3, before 2, needs a restart\n", 1},
        {"lanes = 3;", small_tables,
         "lanes = 3, before 2, needs a restart\n"
         "pipelines[p].lanes = 3, before 2, needs a restart\n",
         2},
        {"", "pipelines: [{ name: p, topics: [t, u], tables: { x: {}, y: { skip: true } } }]",
         "pipelines[p].tables[y].skip = true is new and needs a restart\n"
         "pipelines[p].topics = [\"t\", \"u\"], before [\"t\"], needs a restart\n",
         2},
    };
    char text[1024], *lines = NULL;
    size_t length = 0;
    struct config *old = parse(target, small_tables, ODS_OK);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(text, sizeof(text), "%s %s", target, cases[i].daemon);
        struct config *new = parse(text, cases[i].tables, ODS_OK);
        FILE *out = open_memstream(&lines, &length);
        assert_non_null(out);
        assert_int_equal(config_compare(old, new, out), cases[i].count);
        fclose(out);
        assert_string_equal(lines, cases[i].lines);
        free(lines);
        config_free(new);
    }
    struct config *other = parse(
        "targets = ( { name = \"ods\"; type = \"postgres\"; dsn = \"password=two\"; } );",
        small_tables, ODS_OK);
    FILE *out = open_memstream(&lines, &length);
    assert_non_null(out);
    assert_int_equal(config_compare(old, other, out), 1);
    fclose(out);
    assert_string_equal(lines, "targets[ods].dsn has another secret and needs a restart\n");
    free(lines);
    config_free(other);
    config_free(old);
}

static void test_redaction(void **state)
{
    static const struct {
        const char *dsn, *redacted;
        bool literal;
    } cases[] = {
        {"", "", false},
        {"host=h dbname=d", "host=h dbname=d", false},
        {"host=h password=geheim user=u", "host=h password=*** user=u", true},
        {" password = 'ge\\'h eim'  user='u v' ", "password=*** user='u v'", true},
        {"password=ge\\ heim user=u", "password=*** user=u", true},
        {"PASSWORD=x sslpassword=y passfile=/p", "PASSWORD=*** sslpassword=*** passfile=/p", true},
        {"password='open", "***", true},
        {"password geheim", "***", true},
        {"password=${PW} user=u", "password=*** user=u", false},
        {"password=${file:/a b} user=u", "password=*** user=u", false},
        {"password= user=u", "password=***", true}, /* libpq skips the blank */
        {"host=h password=''", "host=h password=***", true},
        {"postgres://u@h/d", "postgres://u@h/d", false},
        {"postgres://u:geheim@h:5432/d?a=b", "postgres://u:***@h:5432/d?a=b", true},
        {"postgres://u:ge@he/im?@h/d", "postgres://u:***@h/d", true},
        {"postgres://h:1/d?user=u&password=geheim&x=y",
         "postgres://h:1/d?user=u&password=***&x=y", true},
        {"postgres://h/d?pass%77ord=geheim", "postgres://h/d?pass%77ord=***", true},
        {"postgres://u:${PW}@h/d", "postgres://u:***@h/d", false},
        {"host=h options='a://b:c@d' password=x", "host=h options='a://b:c@d' password=***", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pool pool = {0};
        bool literal = false;
        const char *redacted = secret_redact_dsn(&pool, cases[i].dsn, &literal);
        assert_non_null(redacted);
        if (strcmp(redacted, cases[i].redacted) != 0)
            fail_msg("%s became %s", cases[i].dsn, redacted);
        if (literal != cases[i].literal)
            fail_msg("%s: literal is %d", cases[i].dsn, literal);
        pool_done(&pool);
    }
    assert_true(secret_name("sasl.password"));
    assert_true(secret_name("ssl.key.pem"));
    assert_true(secret_name("sasl.oauthbearer.config"));
    assert_false(secret_name("ssl.certificate.pem"));
    assert_false(secret_name("sasl.oauthbearer.token.endpoint.url"));
    assert_false(secret_name("client.id"));
    assert_true(secret_name("Authorization"));
    assert_true(secret_name("X-Api-Key"));
    assert_true(secret_name("token"));
    assert_false(secret_name("token_file"));
}

static void test_name_distance(void **state)
{
    static const struct {
        const char *one, *other;
        unsigned distance;
    } cases[] = {
        {"", "", 0},       {"a", "", 1},        {"lane", "lanes", 1}, {"LANES", "lanes", 0},
        {"lnaes", "lanes", 1}, {"gruop", "group", 1}, {"abc", "xyz", 3},   {"ca", "abc", 3},
    };
    static const char *const names[] = {"lanes", "log", "batch"};
    char longer[80];
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_int_equal(name_distance(cases[i].one, cases[i].other), cases[i].distance);
        assert_int_equal(name_distance(cases[i].other, cases[i].one), cases[i].distance);
    }
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = 0;
    assert_int_equal(name_distance(longer, "x"), ~0u);
    assert_string_equal(name_nearest("lanse", names, 3), "lanes");
    assert_null(name_nearest("zookeeper", names, 3));
    assert_null(name_nearest(longer, names, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid_files),
        cmocka_unit_test(test_invalid_files),
        cmocka_unit_test(test_includes_and_secret_files),
        cmocka_unit_test(test_files_that_are_replaced),
        cmocka_unit_test(test_readable_passwords_warn),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_include_of_itself),
        cmocka_unit_test(test_shipped_examples),
        cmocka_unit_test(test_reference_is_not_stale),
        cmocka_unit_test(test_zero_bytes_and_noise),
        cmocka_unit_test(test_many_findings_and_tables),
        cmocka_unit_test(test_table_lookup),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_redaction),
        cmocka_unit_test(test_name_distance),
    };
    setenv("ODS_TEST_WORD", "word", 1);
    setenv("ODS_TEST_SECRET", "s3cret", 1);
    setenv("ODS_TEST_EMPTY", "", 1);
    unsetenv("ODS_TEST_UNSET");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
