/* A frame is put together in memory, fitted to the window, and written over the last one by one
 * write, each row to its end: so nothing flickers. The window is measured again ten times a second,
 * the daemon asked once. See status_watch.h. */
#include "cli/status_watch.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <ods/buffer.h>
#include "cli/interrupt.h"
#include "core/exit.h"
#include "core/time.h"

#define ASK_US  INT64_C(1000000)
#define LOOK_MS 100

/* The other screen, so that what stood on the terminal comes back; no cursor. */
#define ENTER "\033[?1049h\033[?25l\033[2J"
#define LEAVE "\033[?25h\033[?1049l"
/* Terminals that know it show the frame when it is whole. */
#define BEGIN_FRAME "\033[?2026h\033[H"
#define END_FRAME   "\033[J\033[?2026l"

struct watched {
    struct terminal terminal;
    size_t height;
    struct status_view view;
    json_t *status;     /* the last answer, NULL: there was none */
    struct buffer why;  /* it is not ready */
    struct error error; /* why there is no newer one; "": there is */
    int64_t failed_us;  /* wall clock, since when; 0: it answers */
    int64_t asked_us;   /* monotonic */
};

/* --- a frame -------------------------------------------------------------------------------- */

/* How many bytes an escape sequence for colours takes, 0: there is none. */
static size_t escape_at(const char *text)
{
    if (text[0] != '\033' || text[1] != '[')
        return 0;
    size_t length = 2 + strcspn(text + 2, "m\n");
    return text[length] == 'm' ? length + 1 : 0;
}

/* How many bytes of the line fit into a row: whole characters, colours not counted. */
static size_t row_of(const char *line, size_t length, size_t width)
{
    size_t taken = 0, columns = 0;
    while (taken < length) {
        size_t escape = escape_at(line + taken);
        if (escape) {
            taken += escape;
            continue;
        }
        size_t next = taken + 1;
        while (next < length && ((unsigned char) line[next] & 0xc0) == 0x80)
            next++;
        char character[8];
        snprintf(character, sizeof character, "%.*s", (int) (next - taken), line + taken);
        columns += terminal_columns(character);
        if (columns > width)
            return taken ? taken : next;
        taken = next;
    }
    return taken;
}

/* Lines become rows of the window; those that do not fit it are only counted. */
static size_t fit(const struct watched *watched, const char *text, struct buffer *frame)
{
    size_t rows = 0, room = watched->height > 2 ? watched->height - 2 : 1;
    while (*text) {
        size_t length = strcspn(text, "\n");
        const char *next = text + length + (text[length] == '\n');
        do {
            size_t taken = row_of(text, length, watched->terminal.width);
            if (rows++ < room) {
                buffer_add(frame, text, taken);
                buffer_puts(frame, "\033[K\r\n");
            }
            text += taken;
            length -= taken;
        } while (length);
        text = next;
    }
    return rows > room ? rows - room : 0;
}

static void put_last_row(const struct watched *watched, size_t left_out, struct buffer *frame)
{
    char clock[32], row[160];
    time_t now = (time_t) (time_wall_us() / 1000000);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(clock, sizeof clock, "%H:%M:%S", &utc);
    if (left_out)
        snprintf(row, sizeof row, "%zu rows more than fit; %s UTC; q ends", left_out, clock);
    else
        snprintf(row, sizeof row, "%s UTC; q ends", clock);
    buffer_puts(frame, terminal_paint(&watched->terminal, PAINT_DIM));
    buffer_add(frame, row, terminal_cut(row, watched->terminal.width));
    buffer_puts(frame, terminal_plain(&watched->terminal, PAINT_DIM));
    buffer_puts(frame, "\033[K");
}

static void tell_failure(const struct watched *watched, FILE *out)
{
    if (watched->failed_us)
        terminal_line(
            out, "■ nobody answers at %s:%s for %lld s: %s", watched->view.host, watched->view.port,
            (long long) ((time_wall_us() - watched->failed_us) / 1000000), watched->error.text);
    if (watched->failed_us && watched->status)
        terminal_line(out, "what follows is the last answer");
}

static void write_all(const struct buffer *frame)
{
    for (size_t done = 0; done < frame->length;) {
        ssize_t written = write(STDOUT_FILENO, frame->bytes + done, frame->length - done);
        if (written <= 0 && !interrupt_came())
            return; /* the terminal is gone */
        done += written > 0 ? (size_t) written : 0;
        if (interrupt_came())
            return;
    }
}

/* False: memory is out. */
static bool draw(struct watched *watched)
{
    char *text = NULL;
    size_t size = 0;
    struct buffer frame;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return false;
    struct terminal terminal = watched->terminal;
    terminal.out = out;
    tell_failure(watched, out);
    watched->view.status = watched->status;
    watched->view.why = buffer_text(&watched->why);
    bool good = !watched->status || status_show(&terminal, &watched->view);
    good = fclose(out) == 0 && good;
    buffer_init(&frame);
    if (good) {
        buffer_puts(&frame, BEGIN_FRAME);
        size_t left_out = fit(watched, text, &frame);
        put_last_row(watched, left_out, &frame);
        buffer_puts(&frame, END_FRAME);
        good = !frame.failed;
    }
    if (good)
        write_all(&frame);
    buffer_done(&frame);
    free(text);
    return good;
}

/* --- the loop ------------------------------------------------------------------------------- */

static void take_answer(struct watched *watched, status_asker *ask, void *context)
{
    json_t *status = NULL;
    watched->asked_us = time_monotonic_us();
    if (ask(context, &watched->view, &status, &watched->error)) {
        json_decref(watched->status);
        watched->status = status;
        watched->failed_us = 0;
        buffer_reset(&watched->why);
        buffer_puts(&watched->why, watched->view.why);
    } else if (!watched->failed_us) {
        watched->failed_us = time_wall_us();
    }
}

static bool resized(struct watched *watched)
{
    size_t width, height;
    terminal_size(&width, &height);
    if (width == watched->terminal.width && height == watched->height)
        return false;
    watched->terminal.width = width;
    watched->height = height;
    return true;
}

/* True: q. Also where standard input has ended nothing is read again. */
static bool is_told_to_end(struct pollfd *keys)
{
    char pressed[16];
    if (poll(keys, 1, LOOK_MS) <= 0)
        return false;
    ssize_t count = read(keys->fd, pressed, sizeof pressed);
    if (count <= 0)
        keys->fd = -1;
    return count > 0 &&
           (memchr(pressed, 'q', (size_t) count) || memchr(pressed, 'Q', (size_t) count));
}

static int watch(struct watched *watched, status_asker *ask, void *context)
{
    struct pollfd keys = {.fd = isatty(STDIN_FILENO) ? STDIN_FILENO : -1, .events = POLLIN};
    int code = CLI_OK;
    bool due = true;
    while (!interrupt_came() && code == CLI_OK) {
        bool other_size = resized(watched);
        if (due)
            take_answer(watched, ask, context);
        if ((due || other_size) && !draw(watched))
            code = CLI_INTERNAL;
        if (is_told_to_end(&keys))
            break;
        due = time_monotonic_us() - watched->asked_us >= ASK_US;
    }
    return interrupt_came() ? interrupt_code() : code;
}

int status_watch(const struct terminal *terminal, status_asker *ask, void *context,
                 const struct status_view *wanted)
{
    struct watched watched = {.terminal = *terminal, .view = *wanted};
    struct termios before, keys;
    bool has_keys = tcgetattr(STDIN_FILENO, &before) == 0;
    error_init(&watched.error);
    buffer_init(&watched.why);
    interrupt_catch();
    if (has_keys) {
        keys = before;
        keys.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    }
    fputs(ENTER, stdout);
    fflush(stdout);
    int code = watch(&watched, ask, context);
    fputs(LEAVE, stdout);
    fflush(stdout);
    if (has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    json_decref(watched.status);
    buffer_done(&watched.why);
    return code;
}
