/* route: which table of the target a row goes to, or whether it is for this pipeline's target,
 * by what a column holds or by the table's name.
 *
 * A row that an update moves to another place is deleted at the old one and created at the new one.
 * Where the old place is not known, since the before image was not sent, the row is deleted at all
 * other places that the configuration names; where it names none in full (`{value}`), the change is
 * a dead letter.
 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pattern.h"
#include "transform/rewrite.h"
#include "transform/rows.h"
#include "transform/words.h"

#define NAME_BYTES 400

enum otherwise { OTHERWISE_REJECT, OTHERWISE_KEEP, OTHERWISE_DROP };

struct route_settings {
    const char *column;
    struct properties tables, targets;
    enum otherwise otherwise;
};

struct rule {
    const char *place; /* a table, perhaps with {value} and {table}; a target */
    const char *value;
    regex_t regex;
    bool pattern;
};

/* Where a row goes. */
enum where { TO_TABLE, STAYS, NOWHERE, UNKNOWN };

struct place {
    enum where where;
    int dot; /* between another schema and the table, where the form has one; -1: it has none */
    char table[NAME_BYTES];
};

/* A shape under another table's name. */
struct routed {
    struct routed *next;
    const struct shape *shape;
    int dot;
    char table[];
};

struct route {
    struct transform transform;
    const struct route_settings *settings;
    const struct pipeline_settings *pipeline;
    struct shape_table *shapes;
    struct by_shape routed;
    struct rule *rules;
    size_t count;
    bool targets; /* places are targets */
    struct buffer text;
};

#define AT(member) offsetof(struct route_settings, member)

extern const struct transform_ops route_transform;

static const char *const otherwises[] = {"reject", "keep", "drop", NULL};

static const struct setting rows[] = {
    {"column", SETTING_STRING, AT(column), "", .inherits = "the table's name", .max = 200,
     .doc = "The column whose value decides."},
    {"to", SETTING_VALUES, AT(tables), .max = 2000,
     .doc = "By value, or by a POSIX extended regular expression over it that begins with `^`, the "
            "table that the row goes to, as `{ eu: orders_eu, '^2024': 'orders_{value}' }`: "
            "`{value}` and `{table}` stand for the row's own. The table's settings are those of "
            "its new name. `schema.table` gives it another schema (or database) too."},
    {"targets", SETTING_VALUES, AT(targets), .max = 2000,
     .doc = "By value or pattern the target that the row is for. Of several pipelines that read "
            "the same topics each keeps the rows for its own `target`."},
    {"otherwise", SETTING_ENUM, AT(otherwise), "reject", .choices = otherwises,
     .doc = "What happens to a row that no value or pattern fits: a dead letter, `keep` it as it "
            "is, or `drop` it."},
};

static const struct setting_group settings = {
    .title = "transforms of type `route`",
    .intro = "Sends rows to tables or targets by a value: `route: { column: region, to: { eu: "
             "orders_eu, us: orders_us } }`.",
    .size = sizeof(struct route_settings),
    SETTING_ROWS(rows),
};

/* --- places --------------------------------------------------------------------------------- */

/* A value may not name another schema: only the form's own dot does. */
static bool put_place(struct place *place, const char *form, const char *value, size_t length,
                      const char *table)
{
    size_t used = 0;
    place->dot = -1;
    while (*form) {
        const char *put = form;
        size_t put_length = 1, taken = 1;
        bool foreign = false;
        if (strncmp(form, "{value}", 7) == 0) {
            put = value;
            put_length = length;
            taken = 7;
            foreign = memchr(value, '.', length);
        } else if (strncmp(form, "{table}", 7) == 0) {
            put = table;
            put_length = strlen(table);
            taken = 7;
        } else if (*form == '.' && place->dot < 0) {
            place->dot = (int) used;
        }
        if (used + put_length >= NAME_BYTES || memchr(put, 0, put_length) || foreign)
            return false;
        memcpy(place->table + used, put, put_length);
        used += put_length;
        form += taken;
    }
    place->table[used] = '\0';
    return used > 0;
}

static const struct rule *rule_of(const struct route *route, const char *value, size_t length)
{
    for (size_t i = 0; i < route->count; i++) {
        const struct rule *rule = &route->rules[i];
        if (rule->pattern
                ? words_match(&rule->regex, value, length)
                : strlen(rule->value) == length && memcmp(rule->value, value, length) == 0)
            return rule;
    }
    return NULL;
}

static enum ods_status place_by(struct route *route, const struct shape *shape, const char *value,
                                size_t length, struct place *place, struct error *error)
{
    const struct rule *rule = rule_of(route, value, length);
    if (!rule && route->settings->otherwise == OTHERWISE_REJECT)
        return error_set(error, ODS_REJECT,
                         "no value or pattern fits what %s%s holds (otherwise: keep or drop)",
                         *route->settings->column ? "column " : "the table's name",
                         route->settings->column);
    place->where = route->settings->otherwise == OTHERWISE_KEEP ? STAYS : NOWHERE;
    if (!rule)
        return ODS_OK;
    if (route->targets) {
        place->where = strcmp(rule->place, route->pipeline->target) == 0 ? STAYS : NOWHERE;
        return ODS_OK;
    }
    place->where = TO_TABLE;
    if (put_place(place, rule->place, value, length, shape->table))
        return ODS_OK;
    return error_set(error, ODS_REJECT,
                     "'%s' makes no name of a table of the row's value, which is empty, too long "
                     "or has a dot",
                     rule->place);
}

static enum ods_status place_of(struct route *route, const struct change *change,
                                const struct value *image, struct place *place,
                                struct error *error)
{
    const struct shape *shape = change->shape;
    const char *name = route->settings->column, *text = shape->table;
    size_t length = strlen(text);
    place->where = UNKNOWN;
    if (!*name)
        return place_by(route, shape, text, length, place, error);
    int column = shape_column(shape, name, strlen(name));
    if (column < 0 && change->tombstone)
        return ODS_OK; /* it has its key and nothing else */
    if (column < 0)
        return error_set(error, ODS_REJECT,
                         "table %s has no column %s (tables: [...] chooses tables)", shape->table,
                         name);
    if (!image || image[column].kind == VALUE_ABSENT)
        return ODS_OK;
    if (image[column].kind == VALUE_NULL)
        return place_by(route, shape, "", 0, place, error);
    enum ods_status status = words_of(&route->text, &shape->columns[column], &image[column],
                                      &text, &length, error);
    return status == ODS_OK ? place_by(route, shape, text, length, place, error) : status;
}

static bool is_same(const struct place *a, const struct place *b)
{
    return a->where == b->where &&
           (a->where != TO_TABLE || (a->dot == b->dot && strcmp(a->table, b->table) == 0));
}

/* --- moving --------------------------------------------------------------------------------- */

static const struct shape *routed_shape(struct route *route, const struct shape *shape,
                                        const struct place *place)
{
    const char *table = place->table;
    void **at = by_shape_at(&route->routed, shape);
    if (!at)
        return NULL;
    for (struct routed *known = *at; known; known = known->next)
        if (known->dot == place->dot && strcmp(known->table, table) == 0)
            return known->shape;
    struct shape to = *shape;
    char schema[NAME_BYTES];
    if (place->dot >= 0) {
        snprintf(schema, sizeof schema, "%.*s", place->dot, table);
        *(*shape->schema ? &to.schema : &to.database) = schema;
    }
    to.table = table + place->dot + 1;
    const struct shape *made = shape_intern(route->shapes, &to);
    size_t size = strlen(table) + 1;
    struct routed *known = made ? malloc(sizeof *known + size) : NULL;
    if (!known)
        return NULL;
    memcpy(known->table, table, size);
    known->dot = place->dot;
    known->shape = made;
    known->next = *at;
    *at = known;
    return made;
}

static enum ods_status move(struct route *route, struct change *change, const struct place *place,
                            struct error *error)
{
    const struct shape *shape = change->shape;
    if (place->where != TO_TABLE)
        return ODS_OK;
    change->shape = routed_shape(route, shape, place);
    if (change->shape)
        return ODS_OK;
    change->shape = shape;
    return shape_table_full(route->shapes)
               ? error_set(error, ODS_REJECT, "too many tables and kinds of rows: table %s",
                           place->table)
               : error_out_of_memory(error);
}

/* A delete of the row at a place, added after the change `index`. */
static enum ods_status add_delete(struct route *route, struct batch *batch, uint32_t index,
                                  const struct value *row, const struct place *place,
                                  struct error *error)
{
    struct change *change = rows_double(batch, index);
    if (!change || !row)
        return error_out_of_memory(error);
    change->op = OP_DELETE;
    change->before = row;
    change->after = NULL;
    return move(route, change, place, error);
}

/* The row, of which nobody knows where it was, is deleted everywhere but at `now` (NULL: there
 * too).
 */
static enum ods_status delete_everywhere(struct route *route, struct batch *batch, uint32_t index,
                                         const struct place *now, struct error *error)
{
    const struct change was = batch->changes[index];
    const struct value *row = rows_before(&was, batch);
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < route->count; i++) {
        struct place place = {.where = TO_TABLE};
        bool named = !strchr(route->rules[i].place, '{') &&
                     put_place(&place, route->rules[i].place, "", 0, was.shape->table);
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again |= strcmp(route->rules[j].place, route->rules[i].place) == 0;
        if (!named)
            return error_set(error, ODS_REJECT,
                             "column %s of the row as it was is not known, so nor is its table "
                             "(PostgreSQL: alter table … replica identity full)",
                             route->settings->column);
        if (!again && !(now && is_same(now, &place)))
            status = add_delete(route, batch, index, row, &place, error);
    }
    const struct place kept = {.where = STAYS};
    if (status == ODS_OK && now && route->settings->otherwise == OTHERWISE_KEEP &&
        now->where != STAYS)
        status = add_delete(route, batch, index, row, &kept, error);
    return status;
}

static enum ods_status route_update(struct route *route, struct batch *batch, uint32_t index,
                                    bool *kept, struct error *error)
{
    struct change *change = &batch->changes[index];
    const struct value *after = rows_filled(change, batch), *row;
    struct place is, was;
    if (!after || !(row = rows_before(change, batch)))
        return error_out_of_memory(error);
    enum ods_status status = place_of(route, change, after, &is, error);
    if (status == ODS_OK)
        status = place_of(route, change, row, &was, error);
    if (status != ODS_OK)
        return status;
    if (is.where == UNKNOWN)
        return error_set(error, ODS_REJECT, "column %s was not sent",
                         route->settings->column);
    *kept = is.where != NOWHERE;
    if (is_same(&is, &was))
        return move(route, change, &is, error);
    bool moved = was.where != UNKNOWN;
    if (*kept && moved) {
        change->op = was.where == NOWHERE || !route->targets ? OP_CREATE : change->op;
        change->after = after;
    }
    if (route->targets) { /* the pipeline's own target, or none */
        if (*kept)
            change->before = change->op == OP_CREATE ? NULL : change->before;
        else if (was.where != NOWHERE)
            *change = (struct change){.op = OP_DELETE, .record = change->record,
                                      .shape = change->shape, .before = row,
                                      .source_us = change->source_us,
                                      .sequence = change->sequence};
        *kept |= was.where != NOWHERE;
        return ODS_OK;
    }
    if (!moved)
        status = delete_everywhere(route, batch, index, &is, error);
    else if (was.where != NOWHERE)
        status = add_delete(route, batch, index, row, &was, error);
    change = &batch->changes[index];
    if (moved)
        change->before = NULL;
    return status == ODS_OK && *kept ? move(route, change, &is, error) : status;
}

/* Can the form make this name? */
static bool fits(const char *form, const char *name)
{
    size_t before = strcspn(form, "{");
    const char *after = strrchr(form, '}');
    if (!form[before] || !after)
        return strcmp(form, name) == 0;
    size_t length = strlen(name), behind = strlen(after + 1);
    return length > before + behind && strncmp(form, name, before) == 0 &&
           strcmp(name + length - behind, after + 1) == 0;
}

/* A row of no value goes where somebody asks whether rows go. */
static enum ods_status probe_change(struct route *route, struct batch *batch, uint32_t index,
                                    bool *kept, struct error *error)
{
    const char *asked = batch->probed;
    struct place place = {.where = TO_TABLE, .dot = -1};
    *kept = route->targets || (!asked && route->settings->otherwise == OTHERWISE_KEEP);
    for (size_t i = 0; asked && !*kept && i < route->count; i++)
        *kept = fits(route->rules[i].place, asked);
    if (!*kept || !asked || route->targets || strlen(asked) >= sizeof place.table)
        return ODS_OK;
    snprintf(place.table, sizeof place.table, "%s", asked);
    if (strchr(asked, '.'))
        place.dot = (int) (strchr(asked, '.') - asked);
    return move(route, &batch->changes[index], &place, error);
}

static enum ods_status route_change(struct route *route, struct batch *batch, uint32_t index,
                                    bool *kept, struct error *error)
{
    struct change *change = &batch->changes[index];
    struct place place;
    *kept = true;
    if (batch->probes && *route->settings->column)
        return probe_change(route, batch, index, kept, error);
    if (change->op == OP_UPDATE && change->after)
        return route_update(route, batch, index, kept, error);
    const struct value *image = change->after ? change->after : change->before;
    if (change->op == OP_TRUNCATE && *route->settings->column)
        return error_set(error, ODS_REJECT,
                         "a truncate has no row by which its table could be told");
    enum ods_status status = place_of(route, change, image, &place, error);
    if (status != ODS_OK)
        return status;
    if (place.where == UNKNOWN && change->op != OP_DELETE)
        return error_set(error, ODS_REJECT, "column %s was not sent", route->settings->column);
    if (place.where == UNKNOWN && !route->targets) {
        status = delete_everywhere(route, batch, index, NULL, error);
        *kept = route->settings->otherwise == OTHERWISE_KEEP;
        return status;
    }
    *kept = place.where != NOWHERE;
    return move(route, change, &place, error);
}

static enum ods_status route_apply(struct transform *transform, struct batch *batch,
                                   uint32_t first, struct error *error)
{
    struct route *route = (struct route *) transform;
    for (uint32_t i = batch->change_count; i-- > first;) {
        bool kept = true;
        enum ods_status status = route_change(route, batch, i, &kept, error);
        if (status != ODS_OK)
            return status;
        if (!kept)
            transform_drop(batch, i);
    }
    return ODS_OK;
}

/* --- opening -------------------------------------------------------------------------------- */

static void free_routed(void *item)
{
    for (struct routed *known = item, *next; known; known = next) {
        next = known->next;
        free(known);
    }
}

static void route_close(struct transform *transform)
{
    struct route *route = (struct route *) transform;
    if (!route)
        return;
    for (size_t i = 0; i < route->count; i++)
        if (route->rules[i].pattern)
            regfree(&route->rules[i].regex);
    by_shape_done(&route->routed, free_routed);
    buffer_done(&route->text);
    free(route->rules);
    free(route);
}

static enum ods_status read_rules(struct route *route, struct error *error)
{
    const struct route_settings *told = route->settings;
    const struct properties *list = told->targets.count ? &told->targets : &told->tables;
    route->targets = told->targets.count > 0;
    if (!list->count || (told->targets.count && told->tables.count))
        return error_set(error, ODS_FATAL, "expected either 'to' or 'targets'");
    route->rules = calloc(list->count, sizeof *route->rules);
    if (!route->rules)
        return error_out_of_memory(error);
    for (; route->count < list->count; route->count++) {
        struct rule *rule = &route->rules[route->count];
        rule->value = list->items[route->count].name;
        rule->place = list->items[route->count].value;
        if (*rule->value != '^')
            continue;
        enum ods_status status = pattern_compile(rule->value, 0, &rule->regex, error);
        if (status != ODS_OK)
            return status;
        rule->pattern = true;
    }
    return ODS_OK;
}

static enum ods_status route_open(struct transform **transform,
                                  const struct transform_config *config, struct error *error)
{
    struct route *route = calloc(1, sizeof *route);
    *transform = NULL;
    if (!route)
        return error_out_of_memory(error);
    route->transform.ops = &route_transform;
    route->settings = config->settings;
    route->transform.wants_before = *route->settings->column != '\0';
    route->pipeline = config->pipeline;
    route->shapes = config->shapes;
    buffer_init(&route->text);
    enum ods_status status = read_rules(route, error);
    if (status == ODS_OK)
        *transform = &route->transform;
    else
        route_close(&route->transform);
    return status;
}

const struct transform_ops route_transform = {
    .type = "route",
    .summary = "sends rows to tables or targets by a value",
    .settings = &settings,
    .open = route_open,
    .apply = route_apply,
    .close = route_close,
};
