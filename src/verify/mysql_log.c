/* MySQL's binary log: where it stands, and whether a table was changed in a part of it. See
   mysql.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/mysql.h"

#define EVENTS_MAX   20000               /* of the log, in one answer */
#define SEARCHED_MAX UINT64_C(1073741824) /* bytes of it */

static enum ods_status first_row(struct mysql_database *mysql, const char *sql, bool *found,
                                 struct field row[2], char room[512], struct error *error)
{
    const struct field *cells;
    *found = false;
    enum ods_status status = mysql_run(&mysql->base, sql, error);
    while (status == ODS_OK) {
        status = mysql_next(&mysql->base, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        for (size_t i = 0; !*found && i < 2; i++) {
            size_t length = cells[i].length < 255 ? cells[i].length : 255;
            memcpy(room + i * 256, cells[i].bytes, length);
            room[i * 256 + length] = '\0';
            row[i] = (struct field){room + i * 256, length};
        }
        *found = true;
    }
    return status;
}

enum ods_status mysql_place(struct database *database, struct source_place *place,
                                   struct error *error)
{
    static const char *const questions[] = {"show master status", "show binary log status"};
    struct mysql_database *mysql = mysql_of(database);
    struct field row[2];
    char room[512];
    bool found = false;
    *place = (struct source_place){0};
    for (size_t i = 0; !found && i < 2; i++) {
        struct error why;
        error_init(&why);
        enum ods_status status = first_row(mysql, questions[i], &found, row, room, &why);
        if (status == ODS_RETRY)
            return error_set(error, status, "%s", why.text);
        if (status != ODS_OK && !*place->why) /* 8.4 has another name for it */
            snprintf(place->why, sizeof place->why,
                     "where its binary log stands can't be asked (grant replication client)"
                     ": %.150s",
                     why.text);
    }
    place->known = found;
    if (found) {
        snprintf(place->file, sizeof place->file, "%.255s", room);
        place->position = strtoull(room + 256, NULL, 10);
    } else if (!*place->why) {
        snprintf(place->why, sizeof place->why, "it has no binary log");
    }
    return database_number(database, "select cast(unix_timestamp(now(6)) * 1000000 as signed)",
                           &place->clock_us, error);
}

enum place_of_event { LOG_NAME, POSITION, EVENT_TYPE, SERVER, END, INFO };

struct search {
    const struct source_table *table;
    const struct source_place *from, *to;
    char name[520];        /* "(db.table)" */
    uint64_t next, events; /* where the next answer begins, and how many events this one had */
    char ids[64][24];      /* numbers of tables that are others */
    size_t id_count;
    bool touched;
};

static bool holds(const struct field *cell, const char *text)
{
    return cell->bytes && memmem(cell->bytes, cell->length, text, strlen(text));
}

static uint64_t big_number(const struct field *cell)
{
    char text[32] = "";
    if (cell->bytes && cell->length < sizeof text)
        memcpy(text, cell->bytes, cell->length);
    return strtoull(text, NULL, 10);
}

/* "table_id: 108 (db.t)", "table_id: 108 flags: STMT_END_F" */
static void table_number(const struct field *info, char *number, size_t size)
{
    const char *at = info->bytes ? memmem(info->bytes, info->length, "table_id: ", 10) : NULL;
    size_t length = 0;
    for (at = at ? at + 10 : NULL; at && at + length < info->bytes + info->length &&
                                   at[length] >= '0' && at[length] <= '9' && length + 1 < size;)
        length++;
    memcpy(number, at ? at : "", length);
    number[length] = '\0';
}

static bool is_other(const struct search *search, const char *number)
{
    for (size_t i = 0; i < search->id_count && i < 64; i++)
        if (strcmp(search->ids[i], number) == 0)
            return true;
    return false;
}

static void look_at_event(struct search *search, const struct field *cells, bool first_file)
{
    char number[24];
    uint64_t position = big_number(&cells[POSITION]);
    bool rows = holds(&cells[EVENT_TYPE], "_rows");
    search->next = big_number(&cells[END]);
    search->events++;
    if (first_file && position <= search->from->position)
        return; /* the record's own */
    if (holds(&cells[EVENT_TYPE], "Table_map")) {
        table_number(&cells[INFO], number, sizeof number);
        if (holds(&cells[INFO], search->name))
            search->touched = true;
        else if (!is_other(search, number))
            memcpy(search->ids[search->id_count++ % 64], number, sizeof number);
    } else if (rows) {
        table_number(&cells[INFO], number, sizeof number);
        search->touched |= !is_other(search, number);
    } else if (holds(&cells[EVENT_TYPE], "Query")) {
        search->touched |= holds(&cells[INFO], search->table->name);
    }
}

/* From search->next on; false: there is no more of this file before the end that was asked for. */
static enum ods_status search_more(struct mysql_database *mysql, struct search *search,
                                   const char *file, bool first, bool last, bool *more,
                                   struct error *error)
{
    char sql[512];
    const struct field *cells;
    snprintf(sql, sizeof sql, "show binlog events in '%s' from %llu limit %d", file,
             (unsigned long long) search->next, EVENTS_MAX);
    search->events = 0;
    *more = true;
    enum ods_status status = mysql_run(&mysql->base, sql, error);
    while (status == ODS_OK) {
        status = mysql_next(&mysql->base, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        if (last && big_number(&cells[POSITION]) >= search->to->position)
            *more = false;
        if (*more && !search->touched)
            look_at_event(search, cells, first);
    }
    *more &= search->events == EVENTS_MAX && !search->touched;
    return status;
}

/* The files of the log from the first to the last, and how much of them is to be looked at. */
static enum ods_status list_files(struct mysql_database *mysql, const struct search *search,
                                  char files[64][256], size_t *count, uint64_t *bytes,
                                  struct error *error)
{
    const struct field *cells;
    *count = 0;
    *bytes = 0;
    enum ods_status status = mysql_run(&mysql->base, "show binary logs", error);
    while (status == ODS_OK) {
        struct source_place file = {0};
        status = mysql_next(&mysql->base, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        memcpy(file.file, cells[0].bytes, cells[0].length < 255 ? cells[0].length : 255);
        struct source_place first = *search->from, last = *search->to;
        first.position = last.position = 0;
        if (source_place_compare(&file, &first) < 0 || source_place_compare(&file, &last) > 0)
            continue;
        *bytes += big_number(&cells[1]);
        if (*count < 64)
            memcpy(files[*count], file.file, sizeof file.file);
        ++*count;
    }
    return status;
}

enum ods_status mysql_touched(struct database *database, const struct source_table *table,
                                     const struct source_place *from, const struct source_place *to,
                                     enum touched *touched, char *why, size_t size,
                                     struct error *error)
{
    struct mysql_database *mysql = mysql_of(database);
    struct search search = {.table = table, .from = from, .to = to};
    struct error problem;
    char files[64][256];
    size_t count = 0;
    uint64_t bytes = 0;
    error_init(&problem);
    *touched = TOUCHED_UNKNOWN;
    snprintf(search.name, sizeof search.name, "(%s.%s)", table->database, table->name);
    enum ods_status status = list_files(mysql, &search, files, &count, &bytes, &problem);
    bool known = count && count <= 64 && strcmp(files[0], from->file) == 0;
    if (status == ODS_OK && (!known || bytes > SEARCHED_MAX + from->position)) {
        snprintf(why, size, "%s",
                 known ? "the connector is more than 1 GiB of the binary log behind"
                       : "the binary log from the connector's place on is gone");
        return ODS_OK;
    }
    for (size_t i = 0; status == ODS_OK && i < count && !search.touched; i++) {
        bool more = true;
        search.next = i ? 4 : from->position;
        while (status == ODS_OK && more)
            status = search_more(mysql, &search, files[i], i == 0, i + 1 == count, &more, &problem);
    }
    if (status == ODS_RETRY)
        return error_set(error, status, "%s", problem.text);
    if (status != ODS_OK)
        snprintf(why, size, "its binary log can't be read (grant replication slave): %.150s",
                 problem.text);
    else
        *touched = search.touched ? TOUCHED_YES : TOUCHED_NO;
    return ODS_OK;
}

