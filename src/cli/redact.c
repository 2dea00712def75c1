/* See redact.h. */
#include "cli/redact.h"

#include <string.h>

bool is_redacted(const struct table_settings *table, const char *column)
{
    return strings_contain(&table->redact, column);
}

bool is_redacted_target(const struct table_settings *table, const char *column)
{
    for (size_t i = 0; i < table->renames.count; i++)
        if (strcmp(table->renames.items[i].value, column) == 0)
            return is_redacted(table, table->renames.items[i].name);
    return is_redacted(table, column);
}
