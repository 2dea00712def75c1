/* Files of dead letters that `replay --dead-letter` wrote: the row's lines are taken out. What
 * stays is written to a file beside it, which then replaces it, so a file is whole at each moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/erase.h"
#include "cli/interrupt.h"
#include "source/file/file_line.h"

struct lines {
    struct erase *erase;
    struct erased_file *file;
    FILE *from, *to; /* to: NULL, they are only counted */
    struct arena arena;
    struct error *error;
};

static size_t place_of(const struct trace *trace, const struct file_line *line)
{
    for (size_t i = 0; i < trace->place_count; i++)
        if (trace->places[i].partition == line->partition &&
            slice_is(line->topic, trace->places[i].topic, strlen(trace->places[i].topic)))
            return i;
    return SIZE_MAX;
}

/* The record in the letter, opened if it is encrypted. *closed: no key fits. */
static enum ods_status open_letter(struct trace *trace, struct record *record, bool *closed,
                                   struct error *error)
{
    struct record inner;
    struct error why;
    *closed = false;
    if (!letter_is_sealed(record, letter_headers, NULL))
        return ODS_OK;
    error_init(&why);
    enum ods_status status = letter_open(&trace->keys, record, letter_headers, &inner, &why);
    if (status == ODS_OK) {
        inner.topic = record->topic;
        inner.partition = record->partition;
        inner.offset = record->offset;
        inner.timestamp_ms = record->timestamp_ms;
        free(record->owner);
        *record = inner;
    }
    *closed = status == ODS_REJECT;
    if (status != ODS_OK && !*closed)
        *error = why;
    return *closed ? ODS_OK : status;
}

/* Is the line a letter of the row? */
static enum ods_status look(struct lines *lines, const struct file_line *line, size_t place,
                            bool *mine)
{
    struct trace *trace = &lines->erase->trace;
    struct record record = {0};
    struct trace_entry entry = {
        .place = place, .offset = line->offset, .time_ms = line->timestamp_ms};
    bool closed, found = false;
    uint32_t change;
    if (!file_line_record(line, &record))
        return error_out_of_memory(lines->error);
    record.topic = trace->places[place].topic;
    enum ods_status status = open_letter(trace, &record, &closed, lines->error);
    if (status != ODS_OK || closed) {
        free(record.owner);
        lines->file->closed += closed;
        return status;
    }
    uint64_t before = trace->unreadable;
    trace->opened = true;
    status = trace_look(trace, &record, true, &entry, &change, &found, lines->error);
    trace->opened = false;
    bool maybe = found && entry.maybe;
    lines->file->unreadable += maybe || trace->unreadable > before;
    trace->unreadable = before;
    *mine = status == ODS_OK && found && !maybe && !entry.truncates;
    trace_entry_done(&entry);
    return status;
}

static enum ods_status take_line(struct lines *lines, const char *text, size_t length)
{
    struct file_line line;
    struct error ignored;
    bool mine = false;
    size_t whole = length && text[length - 1] == '\n' ? length - 1 : length;
    arena_reset(&lines->arena, 1 << 20);
    error_init(&ignored);
    enum ods_status status =
        file_line_read(&line, (struct slice){text, whole}, &lines->arena, &ignored);
    if (status == ODS_RETRY)
        return error_out_of_memory(lines->error);
    size_t place = status == ODS_OK ? place_of(&lines->erase->trace, &line) : SIZE_MAX;
    lines->file->unreadable += status != ODS_OK && whole;
    status = place != SIZE_MAX ? look(lines, &line, place, &mine) : ODS_OK;
    lines->file->count += mine;
    if (status != ODS_OK || mine || !lines->to)
        return status;
    return fwrite(text, 1, length, lines->to) == length
               ? ODS_OK
               : error_set(lines->error, ODS_FATAL, "%s: can't be written anew: %s",
                           lines->file->path, strerror(errno));
}

static int read_lines(struct lines *lines)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t length;
    enum ods_status status = ODS_OK;
    struct erased_file *file = lines->file;
    *file = (struct erased_file){.path = file->path};
    arena_init(&lines->arena);
    while (status == ODS_OK && !interrupt_came() &&
           (length = getline(&text, &size, lines->from)) >= 0)
        status = take_line(lines, text, (size_t) length);
    free(text);
    arena_done(&lines->arena);
    if (status == ODS_OK && ferror(lines->from))
        status = error_set(lines->error, ODS_FATAL, "%s: %s", file->path, strerror(errno));
    return interrupt_came() ? interrupt_code() : status == ODS_OK ? CLI_OK : CLI_SOURCE;
}

static FILE *open_file(const char *path, struct stat *as, struct error *error)
{
    FILE *file = fopen(path, "r");
    if (file && fstat(fileno(file), as) == 0 && S_ISREG(as->st_mode))
        return file;
    error_set(error, ODS_FATAL, "%s: %s", path,
              file ? "it is not a regular file" : strerror(errno));
    if (file)
        fclose(file);
    return NULL;
}

int erase_find_in_files(struct erase *erase, struct error *error)
{
    int code = CLI_OK;
    erase->files = calloc(erase->file_names.count + 1, sizeof *erase->files);
    if (!erase->files) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; code == CLI_OK && i < erase->file_names.count; i++) {
        struct stat as;
        erase->files[i].path = erase->file_names.items[i];
        struct lines lines = {.erase = erase, .file = &erase->files[i], .error = error};
        lines.from = open_file(erase->files[i].path, &as, error);
        code = lines.from ? read_lines(&lines) : CLI_SOURCE;
        if (lines.from)
            fclose(lines.from);
    }
    return code;
}

/* The new file takes the old one's place, unless that has changed since it was opened. */
static int replace(const struct lines *lines, const struct stat *before, const char *path,
                   const char *made)
{
    struct stat now;
    if (fchmod(fileno(lines->to), before->st_mode & 07777) != 0 ||
        (fchown(fileno(lines->to), before->st_uid, before->st_gid) != 0 && errno != EPERM) ||
        fflush(lines->to) != 0 || fsync(fileno(lines->to)) != 0) {
        error_set(lines->error, ODS_FATAL, "%s: can't be written anew: %s", path, strerror(errno));
        return CLI_SOURCE;
    }
    if (stat(path, &now) != 0 || now.st_ino != before->st_ino || now.st_size != before->st_size ||
        now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != before->st_mtim.tv_nsec) {
        error_set(lines->error, ODS_FATAL,
                  "%s has changed meanwhile: nothing was taken out of it; when nobody writes it "
                  "any more, the same command goes on",
                  path);
        return CLI_NEGATIVE;
    }
    if (rename(made, path) == 0) {
        char folder[PATH_MAX]; /* the path is whole, so it has a slash */
        snprintf(folder, sizeof folder, "%.*s", (int) (strrchr(path, '/') - path) + 1, path);
        int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (descriptor >= 0 && fsync(descriptor) == 0) {
            close(descriptor);
            return CLI_OK;
        }
        if (descriptor >= 0)
            close(descriptor);
    }
    error_set(lines->error, ODS_FATAL, "%s: can't be replaced: %s", path, strerror(errno));
    return CLI_SOURCE;
}

static int rewrite(struct erase *erase, struct erased_file *file, struct error *error)
{
    char path[PATH_MAX], made[PATH_MAX + 16];
    struct stat before;
    struct lines lines = {.erase = erase, .file = file, .error = error};
    if (!realpath(file->path, path)) {
        error_set(error, ODS_FATAL, "%s: %s", file->path, strerror(errno));
        return CLI_SOURCE;
    }
    snprintf(made, sizeof made, "%s.XXXXXX", path);
    lines.from = open_file(path, &before, error);
    if (!lines.from)
        return CLI_SOURCE;
    int descriptor = mkstemp(made);
    lines.to = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    int code = CLI_SOURCE;
    if (lines.to)
        code = read_lines(&lines);
    else
        error_set(error, ODS_FATAL, "%s: a file beside it can't be made: %s", path,
                  strerror(errno));
    if (code == CLI_OK)
        code = replace(&lines, &before, path, made);
    if (code != CLI_OK && descriptor >= 0)
        unlink(made);
    if (lines.to)
        fclose(lines.to);
    fclose(lines.from);
    return code;
}

int erase_in_files(struct erase *erase, struct error *error)
{
    int code = CLI_OK;
    for (size_t i = 0; code == CLI_OK && i < erase->file_names.count; i++)
        if (erase->files[i].count)
            code = rewrite(erase, &erase->files[i], error);
    return code;
}
