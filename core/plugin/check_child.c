// SPDX-License-Identifier: Apache-2.0
// The child's side: its words to the parent, the moving region, opening and closing, and the cases of every kind.
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/check_int.h"

// ── words to the parent ──

static _Noreturn void finish(struct checking *k, char verdict, const char *fmt, va_list ap) {
    char m[2048] = {verdict};
    vsnprintf(m + 1, sizeof m - 1, fmt, ap);
    (void)!write(k->channel, m, strlen(m));
    _exit(0);
}
void check_fail(struct checking *k, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    finish(k, 'F', fmt, ap);
}
void check_skip(struct checking *k, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    finish(k, 'S', fmt, ap);
}
void check_step(struct checking *k, const char *step) {
    char m[64] = "P";
    snprintf(m + 1, sizeof m - 1, "%.60s", step);
    (void)!write(k->channel, m, strlen(m));
}
void check_batch(struct checking *k, const char *when) {
    char m[1 + sizeof(uint32_t)] = "B", reply[1024];
    if (k->t->batch.failed) check_fail(k, "%s: the batch did not fit, which was not reported as a failure", when);
    memcpy(m + 1, &k->t->batch.cap, sizeof(uint32_t));
    (void)!write(k->channel, m, sizeof m);
    ssize_t n = recv(k->channel, reply, sizeof reply - 1, 0);
    if (n > 1) check_fail(k, "%s: %s", when, reply);
}
int64_t check_now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

// ── the region ──

// Where it stood nothing may be mapped soon: a stale pointer shall fault, not read another's memory.
static void leave(struct checking *k) {
    if (k->mapped) mmap(k->mapped, k->mapped_n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    k->mapped = NULL;
}
static void *map(struct checking *k, size_t n) {
    leave(k);
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, k->memory, 0);
    if (p == MAP_FAILED) return NULL;
    k->mapped = p;
    k->mapped_n = n;
    return p;
}
static int grow(struct cn_batch *b, uint32_t need) {
    struct checking *k = b->owner;
    uint64_t cap = b->cap;
    while (cap < need) cap *= 2;
    if (cap > 1 << 29) return -1;
    void *p = map(k, cap);
    if (!p) return -1;
    b->base = p;
    b->cap = (uint32_t)cap;
    return 0;
}
void check_region(struct checking *k) {
    void *p = map(k, 4096);
    if (!p) check_skip(k, "no shared memory: %s", strerror(errno));
    memset(p, 0, 4096);
    testhost_region(k->t, p, 4096, grow, k);
}
void check_region_read_only(struct checking *k) { mprotect(k->mapped, k->mapped_n, PROT_READ); }
void check_region_gone(struct checking *k) {
    leave(k);
    memset(&k->t->batch, 0, sizeof k->t->batch);
}

// ── opening and closing ──

void check_said_why(struct checking *k, const char *op) {
    if (k->t->failure.count == 0 || !*k->t->failure.text) check_fail(k, "%s failed without saying why (cn_host.fail)", op);
}
void check_manners(struct checking *k) {
    const char *v = testhost_violation(k->t);
    if (*v) check_fail(k, "%s", v);
}
// Before the host itself reads what the plugin built.
static void look(void *arg) { check_batch(arg, "poll"); }

void check_new(struct checking *k) {
    k->t = testhost_new_component(&k->component->view, k->options);
    testhost_inspect(k->t, look, k);
}
void check_open_at(struct checking *k, const struct cn_stored_position *positions, size_t n) {
    check_new(k);
    for (size_t i = 0; i < n; i++) testhost_position(k->t, positions[i].partition, positions[i].offset);
    check_step(k, "open");
    int rc = testhost_open(k->t);
    if (rc == 0) return;
    check_said_why(k, "open");
    if (!k->options_given) check_skip(k, "does not open without options (-o) or its remote: %s", k->t->failure.text);
    check_fail(k, "does not open: %s", k->t->failure.text);
}
void check_open(struct checking *k) { check_open_at(k, NULL, 0); }
void check_close(struct checking *k) {
    check_step(k, "close");
    testhost_close(k->t);
    check_manners(k);
    testhost_free(k->t);
    k->t = NULL;
}

// ── what a process has open ──

static unsigned entries(const char *dir) {
    unsigned n = 0;
    DIR *d = opendir(dir);
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}
struct footprint {
    unsigned fds, threads;
    size_t heap;
};
static struct footprint footprint(void) { return (struct footprint){entries("/proc/self/fd"), entries("/proc/self/task"), mallinfo2().uordblks}; }
// Threads end a little after they were joined.
static struct footprint settled_footprint(struct footprint before) {
    struct footprint now = footprint();
    for (int i = 0; i < 50 && now.threads > before.threads; i++) {
        nanosleep(&(struct timespec){0, 10000000}, NULL);
        now = footprint();
    }
    return now;
}

// Signal handlers, folder, umask: they belong to the daemon.
struct manners {
    struct sigaction actions[32];
    char cwd[4096];
    mode_t mask;
};
static void note_manners(struct manners *m) {
    memset(m, 0, sizeof *m);
    for (int sig = 1; sig < 32; sig++) sigaction(sig, NULL, &m->actions[sig]);
    if (!getcwd(m->cwd, sizeof m->cwd)) m->cwd[0] = 0;
    m->mask = umask(0);
    umask(m->mask);
}
static void compare_manners(struct checking *k, const struct manners *a) {
    struct manners b;
    note_manners(&b);
    for (int sig = 1; sig < 32; sig++)
        if (a->actions[sig].sa_handler != b.actions[sig].sa_handler) check_fail(k, "changed the process's handler of %s", strsignal(sig));
    if (strcmp(a->cwd, b.cwd) != 0) check_fail(k, "changed the process's working directory");
    if (a->mask != b.mask) check_fail(k, "changed the process's umask");
}

// ── cases of every kind ──

static void case_descriptor(struct checking *k) {
    void *so = dlopen(k->path, RTLD_NOW | RTLD_LOCAL);
    union { void *p; const struct cn_plugin *(*f)(void); } entry = {so ? dlsym(so, "connectd_plugin_v1") : NULL};
    check_step(k, "connectd_plugin_v1");
    if (!entry.p) check_fail(k, "does not load again: %s", dlerror());
    if (entry.f() != entry.f()) check_fail(k, "connectd_plugin_v1 gives another descriptor at each call");
}

// Values a row allows; texts that are easy to mishandle. NULL ends the list.
struct values { char text[12][80]; unsigned n; };
static void add_value(struct values *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_value(struct values *v, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (v->n < countof(v->text)) vsnprintf(v->text[v->n++], sizeof v->text[0], fmt, ap);
    va_end(ap);
}
static void values_of(const struct cn_option *o, struct values *v) {
    static const char *const texts[] = {"x", "", "../..", "%s%n%d", "caf\xc3\xa9 \xf0\x9f\x98\x80", "a,b", "/dev/null", "0", "http://127.0.0.1:1/x"};
    v->n = 0;
    switch (o->type) {
    case CN_OPT_BOOL: add_value(v, "true"), add_value(v, "false"); return;
    case CN_OPT_INT:
    case CN_OPT_SIZE:
    case CN_OPT_MS:
        if (o->min || o->max) add_value(v, "%lld", (long long)o->min), add_value(v, "%lld", (long long)o->max);
        else add_value(v, "0"), add_value(v, "1"), add_value(v, "9223372036854775807");
        return;
    case CN_OPT_DOUBLE: add_value(v, "0"), add_value(v, "1"), add_value(v, "0.5"); return;
    case CN_OPT_ENUM:
        for (const char *const *c = o->choices; *c; c++) add_value(v, "%s", *c);
        return;
    default:
        for (size_t i = 0; i < countof(texts); i++) add_value(v, "%s", texts[i]);
    }
}

// The user's options, something for what is required, and one of the values under trial.
static const char *const *with_value(const struct checking *k, const struct cn_option *o, const char *value) {
    static const char *list[512];
    static char texts[512][160];
    const struct component *c = k->component;
    size_t n = 0;
    for (const char *const *p = k->options; *p && n < 200; p++)
        if (strncmp(*p, o->name, strlen(o->name)) != 0 || (*p)[strlen(o->name)] != '=') list[n++] = *p;
    for (uint32_t i = 0; i < c->option_count && n < 500; i++) {
        bool given = &c->options[i] == o;
        for (const char *const *p = k->options; *p && !given; p++) given = strncmp(*p, c->options[i].name, strlen(c->options[i].name)) == 0;
        if (!(c->options[i].flags & CN_OPT_REQUIRED) || given) continue;
        struct values v;
        values_of(&c->options[i], &v);
        snprintf(texts[n], sizeof texts[0], "%s=%s", c->options[i].name, v.text[0]);
        list[n] = texts[n], n++;
    }
    snprintf(texts[n], sizeof texts[0], "%.70s%s=%s", o->name, o->type == CN_OPT_MAP ? "key" : "", value);
    list[n] = texts[n], n++;
    list[n] = NULL;
    return list;
}

static void try_value(struct checking *k, const struct cn_option *o, const char *value) {
    char step[64];
    snprintf(step, sizeof step, "validate with %.40s", o->name);
    check_step(k, step);
    k->t = testhost_new_component(&k->component->view, with_value(k, o, value));
    int64_t from = check_now_ms();
    int first = testhost_validate(k->t);
    if (check_now_ms() - from > 1000) check_fail(k, "validate took %lld ms with %s='%s': it may not dial or wait", (long long)(check_now_ms() - from), o->name, value);
    if (first != 0) check_said_why(k, "validate");
    if (first != 0 && k->t->failure.fail_class != CN_FAIL_CONFIG) check_fail(k, "validate refuses %s='%s' with a class other than CN_FAIL_CONFIG", o->name, value);
    if (testhost_validate(k->t) != first) check_fail(k, "validate answers differently the second time with %s='%s'", o->name, value);
    check_manners(k);
    testhost_free(k->t);
}
static void case_options(struct checking *k) {
    const struct component *c = k->component;
    if (!c->option_count) check_skip(k, "it has no options");
    for (uint32_t i = 0; i < c->option_count; i++) {
        struct values v;
        values_of(&c->options[i], &v);
        for (unsigned n = 0; n < v.n; n++) try_value(k, &c->options[i], v.text[n]);
    }
}

static void case_leaks(struct checking *k) {
    enum { WARM = 3, ROUNDS = 12 };
    struct footprint before = {0};
    struct manners manners;
    note_manners(&manners);
    for (int i = 0; i < WARM + ROUNDS; i++) {
        if (i == WARM) before = settled_footprint((struct footprint){0, 1000, 0});
        check_open(k);
        check_close(k);
    }
    struct footprint after = settled_footprint(before);
    if (after.fds > before.fds) check_fail(k, "%u open and close rounds left %u descriptors open", ROUNDS, after.fds - before.fds);
    if (after.threads > before.threads) check_fail(k, "%u open and close rounds left %u threads running", ROUNDS, after.threads - before.threads);
    if (after.heap > before.heap + ROUNDS * 512) check_fail(k, "every open and close leaves about %zu bytes behind", (after.heap - before.heap) / ROUNDS);
    compare_manners(k, &manners);
}

static void case_strangers(struct checking *k) {
    struct testhost *first;
    check_open(k);
    first = k->t;
    check_new(k);
    testhost_name(k->t, "other", 0, 1);
    check_step(k, "open of a second instance");
    if (testhost_open(k->t) != 0) {
        check_said_why(k, "open");
        check_skip(k, "a second one does not open beside the first: %s", k->t->failure.text);
    }
    check_step(k, "close of the first of two instances");
    testhost_close(first);
    check_step(k, "use of the second after the first was closed");
    if (k->component->kind == CN_SOURCE) {
        check_region(k);
        if (testhost_poll(k->t, 50) < 0) check_said_why(k, "poll");
        check_step(k, "tick");
        if (testhost_tick(k->t) != 0) check_said_why(k, "tick");
    }
    check_close(k);
}

const struct check_case check_common_cases[] = {
    {"the descriptor is the same at every call", KIND_ALL, case_descriptor},
    {"validate takes every value the rows allow, or says why not", KIND_ALL, case_options},
    {"open and close leave nothing behind", KIND_ALL, case_leaks},
    {"two instances do not know of each other", KIND_ALL, case_strangers},
    {NULL, 0, NULL},
};
