#include "history.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CUSTOMERS = 60, FIRST_PRODUCTS = 40, SLOTS_MAX = 100000000 };

static uint64_t draw(struct history *history, uint64_t below)
{
    history->random = mix64(history->plan.seed, history->random);
    return history->random % below;
}

/* ---- rows -------------------------------------------------------------------------------------
 */

static void *larger(void *old, size_t count, size_t size)
{
    void *room = realloc(old, count * size);
    if (!room)
        die("out of memory for %zu rows", count);
    return room;
}

/* A row that does not live yet. */
static struct row *new_row(struct rows *rows)
{
    if (rows->count + 1 >= rows->room) {
        rows->room = rows->room ? rows->room * 2 : 1024;
        rows->rows = larger(rows->rows, rows->room, sizeof *rows->rows);
        rows->live = larger(rows->live, rows->room, sizeof *rows->live);
        rows->places = larger(rows->places, rows->room, sizeof *rows->places);
    }
    if (rows->count >= SLOTS_MAX)
        die("a table has %d rows: there are no more", SLOTS_MAX);
    struct row *row = &rows->rows[++rows->count];
    *row = (struct row){.slot = rows->count, .version = 1, .body = 1};
    return row;
}

static void enliven(struct rows *rows, struct row *row)
{
    row->alive = true;
    rows->places[row->slot] = rows->live_count;
    rows->live[rows->live_count++] = row->slot;
}

static void kill_row(struct rows *rows, struct row *row)
{
    uint32_t place = rows->places[row->slot], last = rows->live[--rows->live_count];
    rows->live[place] = last;
    rows->places[last] = place;
    row->alive = false;
}

static struct row *any_row(struct history *history, enum table_number table)
{
    struct rows *rows = &history->tables[table];
    return &rows->rows[rows->live[draw(history, rows->live_count)]];
}

/* ---- late partners ----------------------------------------------------------------------------
 */

static void be_late(struct history *history, uint32_t slot)
{
    if (history->late_count == history->late_room) {
        history->late_room = history->late_room ? history->late_room * 2 : 64;
        history->late = larger(history->late, history->late_room, sizeof *history->late);
    }
    struct late late = {history->number + 1 + draw(history, history->plan.late), slot};
    size_t at = history->late_count++;
    for (; at && history->late[at - 1].due < late.due; at--)
        history->late[at] = history->late[at - 1];
    history->late[at] = late;
}

/* The customer of an order. One in fifty is new, and its message late; of one in 500 it never
 * comes. */
static uint32_t partner(struct history *history)
{
    uint64_t chance = draw(history, 500);
    if (history->plan.late && chance <= 10) {
        struct row *row = new_row(&history->tables[CUSTOMERS]);
        row->step = (uint8_t) history->step;
        if (chance)
            be_late(history, row->slot);
        return row->slot;
    }
    return any_row(history, CUSTOMERS)->slot;
}

/* ---- what happens -----------------------------------------------------------------------------
 */

static void write_row(struct history *history, struct row *row)
{
    row->step = (uint8_t) history->step;
}

static void create(struct history *history, const struct table *table, char op,
                   enum hostile hostile, struct event *event)
{
    struct rows *rows = &history->tables[table->number];
    struct row *row = new_row(rows);
    if (table->number == ORDERS) {
        row->customer = partner(history);
        row->product = any_row(history, PRODUCTS)->slot;
    } else if (table->number > ORDERS) {
        row->order = any_row(history, ORDERS)->slot;
    }
    row->hostile = (uint8_t) hostile;
    write_row(history, row);
    enliven(rows, row);
    event->op = op;
    event->after = *row;
}

static void update(struct history *history, const struct table *table, struct event *event)
{
    struct row *row = any_row(history, table->number);
    event->op = 'u';
    event->before = *row;
    row->version++;
    if (draw(history, 3) == 0) {
        row->body = row->version;
        row->hostile = HOSTILE_NONE;
    }
    if (table->number == ORDERS && draw(history, 10) == 0)
        row->customer = any_row(history, CUSTOMERS)->slot;
    write_row(history, row);
    event->after = *row;
}

static void delete_row(struct history *history, const struct table *table, struct event *event)
{
    struct row *row = any_row(history, table->number);
    kill_row(&history->tables[table->number], row);
    event->op = 'd';
    event->before = *row;
}

/* A customer or product that was deleted is back. */
static bool come_back(struct history *history, const struct table *table, struct event *event)
{
    struct rows *rows = &history->tables[table->number];
    struct row *row = &rows->rows[1 + draw(history, rows->count)];
    if (row->alive || !row->version || (table->number == CUSTOMERS && row->version < 2))
        return false; /* it lives, or its first message is late */
    row->body = ++row->version;
    row->hostile = HOSTILE_NONE;
    write_row(history, row);
    enliven(rows, row);
    event->op = 'c';
    event->after = *row;
    return true;
}

/* The delete of a changed key; the create comes next. */
static void change_key(struct history *history, const struct table *table, struct event *event)
{
    struct rows *rows = &history->tables[table->number];
    uint32_t old = any_row(history, table->number)->slot;
    struct row *next = new_row(rows), *row = &rows->rows[old];
    uint32_t slot = next->slot;
    kill_row(rows, row);
    row->version++; /* so that it is known to have lived */
    history->moved[0] = *row;
    history->moved[0].version--;
    *next = history->moved[0];
    next->slot = slot;
    next->body = ++next->version;
    next->hostile = HOSTILE_NONE;
    write_row(history, next);
    history->moved[1] = *next;
    history->moving = table;
    event->op = 'd';
    event->before = history->moved[0];
    event->moved = &history->moved[1];
}

static void end_key_change(struct history *history, struct event *event)
{
    struct rows *rows = &history->tables[history->moving->number];
    struct row *row = &rows->rows[history->moved[1].slot];
    enliven(rows, row);
    event->table = history->moving;
    event->op = 'c';
    event->after = *row;
    event->moved = &history->moved[0];
    history->moving = NULL;
}

static void arrive_late(struct history *history, struct event *event)
{
    struct late late = history->late[--history->late_count];
    struct rows *rows = &history->tables[CUSTOMERS];
    struct row *row = &rows->rows[late.slot];
    enliven(rows, row);
    write_row(history, row);
    event->table = &tables[CUSTOMERS];
    event->op = 'c';
    event->after = *row;
}

static enum table_number which_table(struct history *history)
{
    static const unsigned char weights[TABLES] = {15, 10, 40, 20, 15, 5};
    unsigned all = history->step >= tables[RETURNS].since ? 105 : 100;
    unsigned chance = (unsigned) draw(history, all);
    int table = 0;
    while (chance >= weights[table])
        chance -= weights[table++];
    return (enum table_number) table;
}

static void happen(struct history *history, struct event *event)
{
    enum table_number number = which_table(history);
    const struct table *table = event->table = &tables[number];
    uint64_t chance = draw(history, 100);
    if (number > ORDERS && !history->tables[ORDERS].live_count)
        table = event->table = &tables[ORDERS];
    if (history->tables[table->number].live_count < 20 || chance < 42)
        create(history, table, 'c', HOSTILE_NONE, event);
    else if (chance < 92)
        update(history, table, event);
    else if (chance < 96)
        delete_row(history, table, event);
    else if (chance < 98 && table->number <= ORDERS)
        change_key(history, table, event);
    else if (table->number > PRODUCTS || !come_back(history, table, event))
        update(history, table, event);
}

/* ---- the plan ---------------------------------------------------------------------------------
 */

/* Schema change n comes after n eighths of the events. */
static void take_steps(struct history *history)
{
    while (history->plan.schema_changes && history->step < STEPS &&
           history->number >= history->plan.events * (uint64_t) (history->step + 1) / 8)
        history->step++;
}

/* Each hostile document comes once, after so many sixteenths. */
static enum hostile is_due(const struct history *history)
{
    for (int kind = 1; kind < HOSTILES && history->plan.hostile; kind++)
        if (history->number == history->plan.events * (uint64_t) (2 * kind + 3) / 16 &&
            history->tables[ORDERS].live_count)
            return (enum hostile) kind;
    return HOSTILE_NONE;
}

void history_init(struct history *history, const struct plan *plan)
{
    *history = (struct history){.plan = *plan, .random = plan->seed};
}

void history_done(struct history *history)
{
    for (int i = 0; i < TABLES; i++) {
        free(history->tables[i].rows);
        free(history->tables[i].live);
        free(history->tables[i].places);
    }
    free(history->late);
}

void history_next(struct history *history, struct event *event)
{
    *event = (struct event){.number = ++history->number};
    uint64_t number = history->number;
    if (!history->moving) /* both halves of a changed key are of one schema */
        take_steps(history);
    event->step = history->step;
    enum hostile hostile = is_due(history);
    if (history->moving) {
        end_key_change(history, event);
    } else if (number <= FIRST_CUSTOMERS + FIRST_PRODUCTS) {
        event->table = &tables[number <= FIRST_CUSTOMERS ? CUSTOMERS : PRODUCTS];
        create(history, event->table, 'r', HOSTILE_NONE, event);
    } else if (hostile) {
        event->table = &tables[PAYMENTS];
        create(history, event->table, 'c', hostile, event);
    } else if (history->late_count &&
               history->late[history->late_count - 1].due <= history->number) {
        arrive_late(history, event);
    } else {
        happen(history, event);
    }
}
