/* The reference of all settings, as Markdown: docs/configuration.md is what this prints. */
#include "config/config.h"
#include "config/setting.h"
#include "config/table.h"

static const char head[] =
    "# Configuration\n"
    "\n"
    "<!-- Written by `ods-sink reference`; the test suite compares. Edit src/config. -->\n"
    "\n"
    "Two files: `ods-sink.conf` says how the daemon runs, `tables.yaml` what it moves. "
    "`ods-sink check -c ods-sink.conf` validates both, names every finding with file and line, "
    "and prints all settings as they came out; with `--connect` it also asks Kafka and the "
    "targets.\n"
    "\n"
    "## Values from elsewhere\n"
    "\n"
    "In every string of both files, and in place of any number, boolean or word:\n"
    "\n"
    "| written | becomes |\n"
    "|---|---|\n"
    "| `${NAME}` | the environment variable; it must be set |\n"
    "| `${NAME:-text}` | the same, or `text` when it is unset or empty |\n"
    "| `${file:/path}` | the file's content without its last newline; a relative path starts at "
    "the folder of the file that names it |\n"
    "| `${topic}` `${db}` `${schema}` `${table}` | in `schema` and `target` of a table, what each "
    "record says |\n"
    "| `$$` | one `$` |\n"
    "\n"
    "A `$` before anything else stays as it is, so patterns may end in one. What was put in is "
    "not looked at again. In libconfig a value with `${…}` stands in quotes "
    "(`lanes = \"${LANES:-2}\";`), in YAML inside `[…]` and `{…}` too. A password that stands in "
    "a file which group or others may read draws a warning.\n"
    "\n"
    "## Patterns\n"
    "\n"
    "A topic that begins with `^` is a POSIX extended regular expression. librdkafka compiles it "
    "with the C library's `regcomp` when it was built with the feature `regex`, as Debian's is, "
    "and `check` compiles it the same way; a librdkafka without that feature has a small engine "
    "of its own, which knows less. There is no `\\d`, no `(?i)` and no lazy `*?`; `check` refuses "
    "a backslash before a letter that would be that letter alone. Write a digit as `[0-9]`, a "
    "literal dot as `\\.`, and patterns in single quotes, where YAML leaves backslashes alone.\n"
    "\n"
    "## Changing settings\n"
    "\n"
    "SIGHUP reads both files again. Settings marked *reload* take effect at once; if any other "
    "has changed, the log names each, and it waits for a restart. A configuration with errors "
    "changes nothing.\n"
    "\n"
    "A file that values come from by `${file:…}`, or that a setting of ods-sink.conf names as "
    "certificate, key or authority, may be replaced while the daemon runs: some seconds later, "
    "or at once by SIGHUP, all pipelines end as at SIGTERM and start anew by both files, in the "
    "same process. See [security.md](security.md#rotation).\n";

static void print_default(FILE *out, const struct setting *row)
{
    if (row->flags & SETTING_REQUIRED)
        fputs("*required*", out);
    else if (row->inherits)
        fputs(row->inherits, out);
    else if (row->type == SETTING_OBJECT || !row->fallback)
        fputs("none", out);
    else if (!*row->fallback)
        fputs("empty", out);
    else
        fprintf(out, "`%s`", row->fallback);
}

static void print_group(FILE *out, const struct setting_group *group)
{
    char type[256];
    fprintf(out, "\n## %s\n\n%s\n\n", group->title, group->intro);
    fputs("| setting | takes | default | meaning |\n|---|---|---|---|\n", out);
    SETTINGS_EACH (row, group) {
        if (row->type == SETTING_PLUGIN)
            continue;
        fprintf(out, "| `%s` | %s | ", row->name, setting_expects(row, true, type, sizeof(type)));
        print_default(out, row);
        fprintf(out, " | %s%s |\n", row->doc, row->flags & SETTING_RELOAD ? " *reload*" : "");
    }
}

/* Each plug-in's own settings, behind the group that chooses it. */
static void print_plugins(FILE *out, const struct setting_group *group)
{
    const struct setting_group *own;
    const char *name;
    SETTINGS_EACH (row, group) {
        for (size_t i = 0; row->type == SETTING_PLUGIN && (own = row->plugins(i, &name)); i++) {
            if (own->count)
                print_group(out, own);
        }
    }
}

void config_reference(FILE *out)
{
    fputs(head, out);
    static const struct setting_group *const groups[] = {
        &settings_of_daemon,   &settings_of_target, &settings_of_database, &settings_of_connect,
        &settings_of_broker,   &settings_of_operator,
        &settings_of_moves,    &settings_of_pipeline, &settings_of_input,
        &settings_of_transform, &settings_of_table, &settings_of_history,
        &settings_of_quality,  &settings_of_quality_rule,
        &settings_of_derived,  &settings_of_derived_source,
    };
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        print_group(out, groups[i]);
        print_plugins(out, groups[i]);
    }
}
