/* Lines of a growing file. See file_tail.h. */
#include "source/file/file_tail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES  65536
#define WITNESS     64 /* the last bytes read, which are compared with the file's */

/* --- files --- */

static enum ods_status cannot(const char *path, struct error *error)
{
    return error_set(error, ODS_FATAL, "%s: %s", path, strerror(errno));
}

/* -1: it can't be opened. For a pipe it does not wait for a writer. */
static int open_file(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Sets the state for the first of the files, of which nothing is read yet. */
static void begin_file(struct file_tail *tail)
{
    struct stat file;
    bool regular = fstat(tail->files[0], &file) == 0 && !S_ISFIFO(file.st_mode) &&
                   !S_ISCHR(file.st_mode) && !S_ISSOCK(file.st_mode);
    tail->seekable = regular && tail->files[0] != STDIN_FILENO;
    tail->name = tail->older                         ? tail->rotated
                 : tail->files[0] == STDIN_FILENO ? "standard input"
                                                     : tail->path;
    tail->changed = false;
    tail->line = 0;
    tail->base = 0;
    tail->at = tail->looked = 0;
    buffer_reset(&tail->in);
}

static bool add_file(struct file_tail *tail, int file)
{
    if (tail->count == TAIL_FILES_MAX)
        return false;
    tail->files[tail->count++] = file;
    if (tail->count == 1)
        begin_file(tail);
    return true;
}

/* The rotated file is read before the one that has its name now. It may be gone, or it may be the
 * same file, if it was renamed in between. */
static enum ods_status add_rotated(struct file_tail *tail, struct error *error)
{
    struct stat one, other;
    int older = open_file(tail->rotated);
    if (older < 0)
        return errno == ENOENT ? ODS_OK : cannot(tail->rotated, error);
    if (fstat(older, &one) == 0 && tail->count && fstat(tail->files[0], &other) == 0 &&
        one.st_dev == other.st_dev && one.st_ino == other.st_ino) {
        close(older);
        return ODS_OK;
    }
    if (tail->count)
        tail->files[tail->count] = tail->files[0];
    tail->files[0] = older;
    tail->count++;
    tail->older = true;
    begin_file(tail);
    return ODS_OK;
}

enum ods_status tail_open(struct file_tail *tail, struct error *error)
{
    bool standard_input = strcmp(tail->path, "-") == 0;
    int file = standard_input ? STDIN_FILENO : open_file(tail->path);
    buffer_init(&tail->in);
    tail->name = tail->path;
    if (file < 0 && (errno != ENOENT || !tail->follow))
        return cannot(tail->path, error);
    if (file >= 0)
        add_file(tail, file);
    return *tail->rotated ? add_rotated(tail, error) : ODS_OK;
}

void tail_close(struct file_tail *tail)
{
    for (size_t i = 0; i < tail->count; i++)
        if (tail->files[i] != STDIN_FILENO)
            close(tail->files[i]);
    tail->count = 0;
    buffer_done(&tail->in);
}

static enum ods_status overrun(const struct file_tail *tail, struct error *error)
{
    return error_set(error, ODS_FATAL,
                     "%s: has been rotated %d times while its lines wait for the target: ods-sink "
                     "replay applies the files that came before it, in their order",
                     tail->path, TAIL_FILES_MAX);
}

enum ods_status tail_watch(struct file_tail *tail, struct error *error)
{
    struct stat named, newest;
    if (tail->overrun)
        return overrun(tail, error);
    if (!tail->follow || (tail->count && !tail->seekable))
        return ODS_OK;
    if (stat(tail->path, &named) != 0)
        return errno == ENOENT ? ODS_OK : cannot(tail->path, error);
    if (tail->count && fstat(tail->files[tail->count - 1], &newest) == 0 &&
        named.st_dev == newest.st_dev && named.st_ino == newest.st_ino)
        return ODS_OK;
    int file = open_file(tail->path);
    if (file < 0)
        return errno == ENOENT ? ODS_OK : cannot(tail->path, error);
    if (add_file(tail, file))
        return ODS_OK;
    close(file);
    tail->overrun = true;
    return overrun(tail, error);
}

void tail_go_on(struct file_tail *tail)
{
    close(tail->files[0]);
    memmove(tail->files, tail->files + 1, --tail->count * sizeof *tail->files);
    tail->older = false;
    begin_file(tail);
}

/* --- bytes --- */

/* Does the file still have the bytes that were read last? -1: that can't be found out, see
 * errno. */
static int is_as_it_was(const struct file_tail *tail)
{
    const struct buffer *in = &tail->in;
    char bytes[WITNESS];
    size_t length = in->length < WITNESS ? in->length : WITNESS;
    int64_t end = tail->base + (int64_t) in->length;
    if (!length)
        return 1;
    ssize_t seen = pread(tail->files[0], bytes, length, end - (int64_t) length);
    if (seen < 0)
        return -1;
    return (size_t) seen == length && memcmp(bytes, in->bytes + in->length - length, length) == 0;
}

void tail_seek(struct file_tail *tail, struct tail_place place)
{
    tail->changed |= is_as_it_was(tail) != 1;
    tail->line = place.line;
    tail->base = place.at;
    tail->at = tail->looked = 0;
    buffer_reset(&tail->in);
}

/* Removes from the buffer what was taken, except the last WITNESS bytes. */
static void make_room(struct file_tail *tail)
{
    struct buffer *in = &tail->in;
    size_t spare = in->length > WITNESS ? in->length - WITNESS : 0;
    size_t drop = tail->at < spare ? tail->at : spare;
    if (!drop)
        return;
    assert(in->bytes);
    memmove(in->bytes, in->bytes + drop, in->length - drop);
    in->length -= drop;
    tail->at -= drop;
    tail->looked -= drop;
    tail->base += (int64_t) drop;
}

/* -1: it failed, see errno. 0: there is nothing now. */
static ssize_t read_stream(struct file_tail *tail, char *room)
{
    struct pollfd ready = {.fd = tail->files[0], .events = POLLIN};
    if (poll(&ready, 1, 0) == 0)
        return 0;
    ssize_t got = read(tail->files[0], room, READ_BYTES);
    tail->hung_up = got == 0;
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : got;
}

/* The same; -2: the file has changed. */
static ssize_t read_file(struct file_tail *tail, char *room)
{
    int same = tail->changed ? 0 : is_as_it_was(tail);
    if (same != 1)
        return same == 0 ? -2 : -1;
    return pread(tail->files[0], room, READ_BYTES, tail->base + (int64_t) tail->in.length);
}

/* More bytes into the buffer. TAIL_LINE: they are there. */
static enum tail_answer read_more(struct file_tail *tail, struct error *error)
{
    struct buffer *in = &tail->in;
    make_room(tail);
    char *room = buffer_take(in, READ_BYTES);
    if (!room) {
        in->failed = false;
        return TAIL_NO_MEMORY;
    }
    in->length -= READ_BYTES;
    ssize_t got = tail->seekable ? read_file(tail, room) : read_stream(tail, room);
    if (got > 0)
        in->length += (size_t) got;
    if (got >= 0)
        return got ? TAIL_LINE : TAIL_NOTHING;
    if (got == -1)
        cannot(tail->name, error);
    else
        error_set(error, ODS_FATAL,
                  "%s line %llu: the file was cut short or written anew behind this line, and what "
                  "stood there may not have been read: rotate it by renaming it, have ods-sink "
                  "replay apply what is missing, and start again",
                  tail->name, (unsigned long long) tail->line);
    return TAIL_FAILED;
}

/* Has the writer gone on to another file? Then everything that it wrote here can be read. */
static bool is_left(const struct file_tail *tail)
{
    struct stat next;
    return tail->count > 2 ||
           (tail->count == 2 && fstat(tail->files[1], &next) == 0 && next.st_size > 0);
}

/* Called when everything has been read. TAIL_LINE: meanwhile there is more. */
static enum tail_answer at_end(struct file_tail *tail, struct error *error)
{
    if (!tail->follow)
        return tail->seekable || tail->hung_up ? TAIL_ENDS : TAIL_NOTHING;
    if (tail_watch(tail, error) != ODS_OK)
        return TAIL_FAILED;
    if (!is_left(tail))
        return TAIL_NOTHING;
    enum tail_answer answer = read_more(tail, error);
    return answer == TAIL_NOTHING ? TAIL_FILE_ENDS : answer;
}

/* --- lines --- */

static enum tail_answer too_long(const struct file_tail *tail, struct error *error)
{
    error_set(error, ODS_FATAL,
              "%s line %llu: is longer than input.max_line_bytes allows: %lld bytes", tail->name,
              (unsigned long long) tail->line + 1, (long long) tail->max_line_bytes);
    return TAIL_FAILED;
}

enum tail_answer tail_peek(struct file_tail *tail, struct slice *text, struct tail_place *place,
                           struct error *error)
{
    struct buffer *in = &tail->in;
    if (!tail->count && tail_watch(tail, error) != ODS_OK)
        return TAIL_FAILED;
    if (!tail->count)
        return TAIL_NOTHING;
    for (;;) {
        const char *from = in->bytes ? in->bytes + tail->at : NULL;
        size_t rest = in->length - tail->at;
        const char *end =
            in->bytes ? memchr(in->bytes + tail->looked, '\n', in->length - tail->looked) : NULL;
        *place = (struct tail_place){tail->base + (int64_t) tail->at, tail->line};
        *text = (struct slice){from, end ? (size_t) (end - from) : rest};
        if (text->length > (size_t) tail->max_line_bytes)
            return too_long(tail, error);
        if (end)
            return TAIL_LINE;
        tail->looked = in->length;
        enum tail_answer answer = read_more(tail, error);
        if (answer == TAIL_NOTHING)
            answer = at_end(tail, error);
        if (rest && (answer == TAIL_ENDS || answer == TAIL_FILE_ENDS)) {
            text->bytes = in->bytes + tail->at;
            return TAIL_LINE; /* the last line of its file, without a line end */
        }
        if (answer != TAIL_LINE)
            return answer;
    }
}

void tail_take(struct file_tail *tail, struct slice text)
{
    size_t end = tail->at + text.length;
    tail->at = tail->looked = end < tail->in.length ? end + 1 : end;
    tail->line++;
}
