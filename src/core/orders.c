/* Lists of orders. See ods/control.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/control.h>

const char *order_state_name(enum order_state state)
{
    static const char *const names[ORDER_STATES] = {"running", "paused", "resync"};
    return names[state];
}

static void order_done(struct order *order)
{
    free(order->topic);
    free(order->table);
    free(order->reason);
    free(order->by);
}

void orders_done(struct orders *orders)
{
    for (size_t i = 0; i < orders->count; i++)
        order_done(&orders->items[i]);
    free(orders->items);
    *orders = (struct orders){0};
}

bool orders_add(struct orders *orders, const struct order *order)
{
    if (orders->count == orders->capacity) {
        size_t larger = orders->capacity ? orders->capacity * 2 : 8;
        struct order *items = realloc(orders->items, larger * sizeof *items);
        if (!items)
            return false;
        orders->items = items;
        orders->capacity = larger;
    }
    struct order *copy = &orders->items[orders->count];
    *copy = (struct order){.topic = strdup(order->topic),
                           .state = order->state,
                           .table = strdup(order->table),
                           .reason = strdup(order->reason),
                           .by = strdup(order->by),
                           .at_us = order->at_us};
    if (copy->topic && copy->table && copy->reason && copy->by) {
        orders->count++;
        return true;
    }
    order_done(copy);
    return false;
}

static int compare(const void *topic, const void *order)
{
    return strcmp(topic, ((const struct order *) order)->topic);
}

const struct order *orders_find(const struct orders *orders, const char *topic)
{
    if (!orders->count)
        return NULL;
    return bsearch(topic, orders->items, orders->count, sizeof *orders->items, compare);
}

const struct control_member *control_members_late(const struct control_members *members,
                                                  int64_t number)
{
    for (size_t i = 0; i < members->count; i++)
        if (members->items[i].confirmed < number)
            return &members->items[i];
    return NULL;
}

void topic_tables_done(struct topic_tables *tables)
{
    for (size_t i = 0; i < tables->count; i++) {
        struct topic_table *table = &tables->items[i];
        free(table->topic);
        free(table->database);
        free(table->schema);
        free(table->table);
        free(table->target_schema);
        free(table->target_table);
    }
    free(tables->items);
    *tables = (struct topic_tables){0};
}

void topics_complete_done(struct topics_complete *topics)
{
    for (size_t i = 0; i < topics->count; i++)
        free(topics->items[i].topic);
    free(topics->items);
    *topics = (struct topics_complete){0};
}

static int compare_complete(const void *topic, const void *one)
{
    return strcmp(topic, ((const struct topic_complete *) one)->topic);
}

int64_t topics_complete_us(const struct topics_complete *topics, const char *topic)
{
    const struct topic_complete *found =
        topics->count ? bsearch(topic, topics->items, topics->count, sizeof *topics->items,
                                compare_complete)
                      : NULL;
    return found ? found->complete_us : INT64_MIN;
}

static bool is_either(const char *name, const char *before, const char *table)
{
    size_t length = strlen(before);
    if (strcmp(name, table) == 0)
        return true;
    return length && strncmp(name, before, length) == 0 && name[length] == '.' &&
           strcmp(name + length + 1, table) == 0;
}

bool topic_table_is(const struct topic_table *row, const char *name)
{
    char both[600];
    snprintf(both, sizeof both, "%s.%s", row->database, row->schema);
    return is_either(name, row->schema, row->table) || is_either(name, row->database, row->table) ||
           is_either(name, both, row->table) ||
           is_either(name, row->target_schema, row->target_table);
}
