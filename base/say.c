// SPDX-License-Identifier: Apache-2.0
// The daemon's log lines: rendering in three formats, and counting of repeats.
#include "base/say.h"

#define SD_JOURNAL_SUPPRESS_LOCATION // every line would name this file
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/thread.h"

enum { SAY_FIELDS = 16, REPEAT_MS = 1000 };

// The only state: where lines go, and the last one.
static struct {
    pthread_mutex_t mutex; // guards all but max
    _Atomic int max;
    enum say_format format;
    int fd;
    uint64_t last_hash;
    enum say_level last_level;
    int64_t last_ms;
    unsigned repeats;
} out = {.mutex = PTHREAD_MUTEX_INITIALIZER, .max = SAY_INFO, .format = SAY_TEXT, .fd = STDERR_FILENO};

struct line {
    enum say_level level;
    struct str text;
    const struct say_field *fields;
    size_t n;
};

void say_setup(enum say_format format, enum say_level max, int fd) {
    LOCK_SCOPE(&out.mutex);
    atomic_store(&out.max, max);
    out.format = format;
    out.fd = fd;
}

enum say_format say_format_auto(int fd) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2 || fstat(fd, &st)) return SAY_TEXT;
    return st.st_dev == device && st.st_ino == inode ? SAY_JOURNAL : SAY_TEXT;
}

bool say_enabled(enum say_level level) { return (int)level <= atomic_load_explicit(&out.max, memory_order_relaxed); }

static const char *level_name(enum say_level level) {
    switch (level) {
    case SAY_ERROR: return "error";
    case SAY_WARN: return "warn";
    case SAY_INFO: return "info";
    default: return "debug";
    }
}

// Control characters would let a value forge lines or drive a terminal.
static void put_visible(struct buf *b, struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];
        if (c >= 0x20 && c != 0x7f) buf_u8(b, c);
        else buf_printf(b, "\\x%02x", c);
    }
}

static bool needs_quotes(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == 0x7f) return true;
    return !s.n;
}

static void render_text(struct buf *b, const struct line *l) {
    time_print(b, clock_real.wall_us(&clock_real));
    buf_printf(b, " %-5s ", level_name(l->level));
    put_visible(b, l->text);
    for (size_t i = 0; i < l->n; i++) {
        bool quoted = needs_quotes(l->fields[i].value);
        buf_printf(b, " %s=%s", l->fields[i].name, quoted ? "\"" : "");
        if (quoted) json_escape(b, l->fields[i].value);
        else buf_puts(b, l->fields[i].value);
        if (quoted) buf_u8(b, '"');
    }
    buf_u8(b, '\n');
}

static void render_json(struct buf *b, const struct line *l) {
    struct json_writer w = json_to(b);
    char time[48];
    struct buf t = {0};
    time_print(&t, clock_real.wall_us(&clock_real));
    snprintf(time, sizeof(time), "%s", buf_cstr(&t));
    buf_done(&t);
    json_object(&w);
    json_kz(&w, "time", time);
    json_kz(&w, "level", level_name(l->level));
    json_ks(&w, "message", l->text);
    for (size_t i = 0; i < l->n; i++) json_ks(&w, l->fields[i].name, l->fields[i].value);
    json_object_end(&w);
    buf_u8(b, '\n');
}

// "NAME=" in the journal's spelling, then the value.
static struct iovec journal_field(struct buf *b, const char *name, struct str value) {
    for (const char *c = name; *c; c++) buf_u8(b, (uint8_t)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c));
    buf_u8(b, '=');
    buf_puts(b, value);
    return (struct iovec){b->p, b->n};
}

static void send_journal(const struct line *l) {
    struct buf parts[SAY_FIELDS + 3] = {0};
    struct iovec iov[SAY_FIELDS + 3];
    char priority[2] = {(char)('0' + l->level), 0};
    int n = 0;
    iov[n] = journal_field(&parts[n], "PRIORITY", str_of(priority)), n++;
    iov[n] = journal_field(&parts[n], "SYSLOG_IDENTIFIER", STR("connectd")), n++;
    iov[n] = journal_field(&parts[n], "MESSAGE", l->text), n++;
    for (size_t i = 0; i < l->n; i++, n++) iov[n] = journal_field(&parts[n], l->fields[i].name, l->fields[i].value);
    sd_journal_sendv(iov, n);
    while (n--) buf_done(&parts[n]);
}

// One write a line, so that lines of other processes on the same descriptor do not mix in.
static void emit(const struct line *l) {
    struct buf b = {0};
    if (out.format == SAY_JOURNAL) return send_journal(l);
    if (out.format == SAY_JSON) render_json(&b, l);
    else render_text(&b, l);
    for (size_t at = 0; at < b.n;) {
        ssize_t put = write(out.fd, b.p + at, b.n - at);
        if (put <= 0) break; // nowhere left to complain
        at += (size_t)put;
    }
    buf_done(&b);
}

static void emit_repeats(void) {
    if (!out.repeats) return;
    char text[64];
    snprintf(text, sizeof(text), "last line repeated %u %s", out.repeats, out.repeats == 1 ? "time" : "times");
    out.repeats = 0;
    emit(&(struct line){.level = out.last_level, .text = str_of(text)});
}

static uint64_t line_hash(const struct line *l) {
    uint64_t h = str_hash(l->text) + l->level;
    for (size_t i = 0; i < l->n; i++) h = h * 31 + str_hash(l->fields[i].value);
    return h;
}

static void say_line(const struct line *l) {
    uint64_t hash = line_hash(l);
    int64_t now = clock_mono_ms(&clock_real);
    LOCK_SCOPE(&out.mutex);
    bool repeat = hash == out.last_hash && now - out.last_ms < REPEAT_MS;
    if (repeat) {
        out.repeats++;
        return;
    }
    emit_repeats();
    out.last_hash = hash;
    out.last_level = l->level;
    out.last_ms = now;
    emit(l);
}

void say_flush(void) {
    LOCK_SCOPE(&out.mutex);
    emit_repeats();
}

__attribute__((format(printf, 4, 0)))
static void say_formatted(enum say_level level, const struct say_field *fields, size_t n, const char *fmt, va_list ap,
                          const struct err *err) {
    struct buf text = {0};
    buf_vprintf(&text, fmt, ap);
    if (err) buf_printf(&text, ": %s", err->msg);
    if (err && err->hint[0]) buf_printf(&text, " (hint: %s)", err->hint);
    say_line(&(struct line){level, buf_str(&text), fields, n < SAY_FIELDS ? n : SAY_FIELDS});
    buf_done(&text);
}

void say(enum say_level level, const char *fmt, ...) {
    if (!say_enabled(level)) return;
    va_list ap;
    va_start(ap, fmt);
    say_formatted(level, NULL, 0, fmt, ap, NULL);
    va_end(ap);
}

void say_fields(enum say_level level, const struct say_field *fields, size_t n, const char *fmt, ...) {
    if (!say_enabled(level)) return;
    va_list ap;
    va_start(ap, fmt);
    say_formatted(level, fields, n, fmt, ap, NULL);
    va_end(ap);
}

void say_err(enum say_level level, const struct err *err, const char *fmt, ...) {
    if (!say_enabled(level)) return;
    va_list ap;
    va_start(ap, fmt);
    say_formatted(level, NULL, 0, fmt, ap, err);
    va_end(ap);
}
