// SPDX-License-Identifier: Apache-2.0
// The history is a text file that only grows while the daemon runs, a line an event, fields separated by tabs:
//   unix_ms  SIGSEGV  plugin  connector  op       a crash; "-" where unknown
//   unix_ms  forgive  plugin                      what came before does not count any more ("*": of all)
#include "plugin/crash.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/thread.h"

#define HISTORY "crashes"
#define REPORT "crash.last"
enum { MOST_RANGES = 256, MOST_FRAMES = 64, ALT_STACK = 64 << 10, HISTORY_KEPT = 64 << 10, WINDOW_MS = 600000 };

struct range { uintptr_t from, to; char name[101]; };

// What the handler reads: written before it can run, or with the count last.
static struct range ranges[MOST_RANGES];
static _Atomic unsigned range_count;
static pthread_mutex_t range_lock = PTHREAD_MUTEX_INITIALIZER;
static int history_fd = -1, dir_fd = -1;
static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
static struct sigaction before[NSIG];
static _Atomic bool crashed;

static __thread struct { const char *plugin, *connector, *op; bool has_stack; } now_calling;

// ── the handler: async-signal-safe only ──

struct line { char p[1024]; size_t n; };
static void put(struct line *l, const char *z) {
    for (; *z && l->n < sizeof l->p - 1; z++) l->p[l->n++] = *z;
}
static void put_number(struct line *l, uint64_t v) {
    char digits[24], *at = digits + sizeof digits - 1;
    *at = 0;
    do *--at = (char)('0' + v % 10);
    while (v /= 10);
    put(l, at);
}
static void put_field(struct line *l, const char *z) {
    put(l, "\t");
    put(l, z && *z ? z : "-");
}
static void write_line(int fd, const struct line *l) {
    if (fd >= 0) (void)!write(fd, l->p, l->n);
}

static uintptr_t program_counter(const void *context) {
#if defined(__x86_64__)
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}
static const char *plugin_at(uintptr_t pc) {
    unsigned n = atomic_load(&range_count);
    for (unsigned i = 0; i < n; i++)
        if (pc >= ranges[i].from && pc < ranges[i].to) return ranges[i].name;
    return NULL;
}
static const char *blame(const void *context, void **frames, int n) {
    const char *name = plugin_at(program_counter(context));
    for (int i = 0; i < n && !name; i++) name = plugin_at((uintptr_t)frames[i]);
    return name ? name : now_calling.plugin;
}
static const char *signal_name(int sig) {
    static const struct { int sig; const char *name; } names[] = {
        {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGILL, "SIGILL"}, {SIGFPE, "SIGFPE"}, {SIGABRT, "SIGABRT"}};
    for (size_t i = 0; i < countof(names); i++)
        if (names[i].sig == sig) return names[i].name;
    return "signal";
}

static void report(int sig, const siginfo_t *info, const void *context) {
    void *frames[MOST_FRAMES];
    int n = backtrace(frames, MOST_FRAMES);
    const char *plugin = blame(context, frames, n);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    struct line l = {.n = 0};
    put_number(&l, (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000);
    put_field(&l, signal_name(sig));
    put_field(&l, plugin);
    put_field(&l, now_calling.connector);
    put_field(&l, now_calling.op);
    put(&l, "\n");
    write_line(history_fd, &l);
    if (history_fd >= 0) (void)fdatasync(history_fd);

    struct line text = {.n = 0};
    put(&text, "connectd crashed: ");
    put(&text, signal_name(sig));
    put(&text, plugin ? " in plugin " : " outside of plugins");
    put(&text, plugin ? plugin : "");
    if (now_calling.connector) {
        put(&text, ", connector ");
        put(&text, now_calling.connector);
        put(&text, " in ");
        put(&text, now_calling.op ? now_calling.op : "?");
    }
    put(&text, ", process ");
    put_number(&text, (uint64_t)getpid());
    put(&text, info->si_code > 0 ? "; stack:\n" : " (sent by a process or abort); stack:\n");
    int last = dir_fd < 0 ? -1 : openat(dir_fd, REPORT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    write_line(STDERR_FILENO, &text);
    write_line(last, &text);
    backtrace_symbols_fd(frames, n, STDERR_FILENO);
    if (last >= 0) backtrace_symbols_fd(frames, n, last);
}

static void on_fatal(int sig, siginfo_t *info, void *context) {
    int sys = errno;
    if (atomic_exchange(&crashed, true)) {
        for (;;) pause(); // another thread reports; it takes the process down
    }
    report(sig, info, context);
    for (size_t i = 0; i < countof(fatal_signals); i++) sigaction(fatal_signals[i], &before[fatal_signals[i]], NULL);
    if (info->si_code <= 0) raise(sig); // a fault comes again by itself when we return
    errno = sys;
}

// ── set-up ──

// Keeps the end of a history that has grown long.
static int trim_history(int fd, const char *path, struct err *err) {
    struct stat st;
    if (fstat(fd, &st) != 0) return err_sys(err, errno, "%s", path);
    if (st.st_size <= 2 * HISTORY_KEPT) return 0;
    char *tail = xmalloc(HISTORY_KEPT);
    ssize_t n = pread(fd, tail, HISTORY_KEPT, st.st_size - HISTORY_KEPT);
    char *line = n > 0 ? memchr(tail, '\n', (size_t)n) : NULL;
    size_t left = line ? (size_t)(tail + n - line - 1) : 0;
    int rc = ftruncate(fd, 0) != 0 || (left && write(fd, line + 1, left) != (ssize_t)left) ? err_sys(err, errno, "%s", path) : 0;
    free(tail);
    return rc;
}

static int open_history(const char *data_dir, struct err *err) {
    _cleanup_free_ char *path = xasprintf("%s/" HISTORY, data_dir);
    dir_fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) return err_sys(err, errno, "%s", data_dir);
    history_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (history_fd < 0) return err_sys(err, errno, "%s", path);
    return trim_history(history_fd, path, err);
}

int crash_setup(const char *data_dir, struct err *err) {
    void *warm[4];
    if (data_dir && open_history(data_dir, err) != 0) return err_wrap(err, "crash report");
    (void)backtrace(warm, 4); // loads libgcc now, not in the handler
    crash_thread(NULL, NULL, NULL);
    struct sigaction sa = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < countof(fatal_signals); i++)
        if (sigaction(fatal_signals[i], &sa, &before[fatal_signals[i]]) != 0) return err_sys(err, errno, "crash report");
    return 0;
}

struct wanted { const char *name, *path; };
static int add_ranges(struct dl_phdr_info *info, size_t size, void *arg) {
    const struct wanted *w = arg;
    (void)size;
    if (strcmp(info->dlpi_name, w->path) != 0) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        unsigned n = atomic_load(&range_count);
        if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X) || n == MOST_RANGES) continue;
        ranges[n].from = info->dlpi_addr + ph->p_vaddr;
        ranges[n].to = ranges[n].from + ph->p_memsz;
        snprintf(ranges[n].name, sizeof ranges[n].name, "%s", w->name);
        atomic_store(&range_count, n + 1);
    }
    return 1;
}
void crash_add_plugin(const char *name, const char *path) {
    LOCK_SCOPE(&range_lock);
    dl_iterate_phdr(add_ranges, &(struct wanted){name, path});
}

// ── a stack for the handler, a thread ──

static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;
static void free_stack(void *p) {
    sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    munmap(p, ALT_STACK);
}
static void make_key(void) { pthread_key_create(&stack_key, free_stack); }
static void give_stack(void) {
    stack_t have;
    if (sigaltstack(NULL, &have) == 0 && !(have.ss_flags & SS_DISABLE)) return; // a sanitizer's
    void *p = mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (p == MAP_FAILED) return; // a stack overflow will go unreported, all else not
    pthread_once(&stack_once, make_key);
    pthread_setspecific(stack_key, p);
    sigaltstack(&(stack_t){.ss_sp = p, .ss_size = ALT_STACK}, NULL);
}
void crash_thread(const char *plugin, const char *connector, const char *op) {
    if (!now_calling.has_stack) {
        now_calling.has_stack = true;
        give_stack();
    }
    now_calling.plugin = plugin;
    now_calling.connector = connector;
    now_calling.op = op;
}

// ── the history ──

struct event { int64_t ms; struct str what, plugin, connector, op; };
static bool parse(struct str line, struct event *ret) {
    struct str ms;
    return str_split(&line, '\t', &ms) && str_to_i64(ms, &ret->ms) && str_split(&line, '\t', &ret->what) && str_split(&line, '\t', &ret->plugin) &&
           ((str_split(&line, '\t', &ret->connector) && str_split(&line, '\t', &ret->op)) || str_eqz(ret->what, "forgive"));
}

static bool read_history(const char *data_dir, struct buf *ret) {
    _cleanup_free_ char *path = xasprintf("%s/" HISTORY, data_dir);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) return false;
    off_t from = st.st_size > HISTORY_KEPT ? st.st_size - HISTORY_KEPT : 0;
    if (!buf_reserve(ret, HISTORY_KEPT)) return false;
    ssize_t n = pread(fd, ret->p, HISTORY_KEPT, from);
    ret->n = n > 0 ? (size_t)n : 0;
    return ret->n > 0;
}

bool crash_suspended(const char *data_dir, const char *plugin, int64_t now_ms, char *why, size_t why_cap, char *hint, size_t hint_cap) {
    struct buf text = {0};
    struct event last = {0};
    unsigned count = 0;
    if (!read_history(data_dir, &text)) {
        buf_done(&text);
        return false;
    }
    struct str rest = buf_str(&text), line;
    while (rest.p && str_split(&rest, '\n', &line)) {
        struct event e = {0};
        if (!parse(line, &e)) continue;
        bool forgive = str_eqz(e.what, "forgive");
        if (forgive && (str_eqz(e.plugin, plugin) || str_eqz(e.plugin, "*"))) count = 0;
        if (forgive || !str_eqz(e.plugin, plugin) || e.ms < now_ms - WINDOW_MS) continue;
        count++;
        last = e;
    }
    if (count >= 2) {
        snprintf(why, why_cap, "plugin %s crashed the daemon %u times within ten minutes, the last time with %.*s in %.*s of connector %.*s", plugin,
                 count, STR_FMT(last.what), STR_FMT(last.op), STR_FMT(last.connector));
        snprintf(hint, hint_cap, "%s/" REPORT " has the stack; start it again with `connectd plugins forgive %s`, or update the plugin", data_dir, plugin);
    }
    buf_done(&text);
    return count >= 2;
}

int crash_forgive(const char *data_dir, const char *plugin, struct err *err) {
    _cleanup_free_ char *path = xasprintf("%s/" HISTORY, data_dir);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (fd < 0) return err_sys(err, errno, "%s", path);
    int64_t ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    if (dprintf(fd, "%lld\tforgive\t%s\n", (long long)ms, plugin ? plugin : "*") < 0 || fdatasync(fd) != 0) return err_sys(err, errno, "%s", path);
    return 0;
}
