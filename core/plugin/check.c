// SPDX-License-Identifier: Apache-2.0
// The parent's side: one child a case, its questions, its end.
#include "plugin/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/batch_check.h"
#include "plugin/check_int.h"
#include "plugin/descriptor.h"
#include "plugin/load.h"
#include "plugin/probe.h"

enum { REGION_MAX = 1 << 29, MESSAGE_MAX = 4096, DEFAULT_CASE_MS = 30000 };

struct run {
    const struct check_params *p;
    const char *path; // real
    const struct component *component;
    int memory;
    void (*each)(void *, const struct check_result *);
    void *arg;
    struct check_totals totals;
};

// One case under way.
struct child {
    pid_t pid;
    int channel, output;
    char step[64];
    char verdict; // 'O', 'F', 'S'; 0: not heard yet
    char detail[MESSAGE_MAX];
};

// ── the child ──

static const char *const no_options[] = {NULL};

static _Noreturn void run_case(const struct run *r, const struct check_case *c, int channel, int output) {
    struct checking k = {.component = r->component, .path = r->path, .options = r->p->options ? r->p->options : no_options,
        .options_given = r->p->options && r->p->options[0], .channel = channel, .memory = r->memory};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    dup2(output, STDOUT_FILENO);
    for (int sig = 1; sig < 32; sig++)
        if (sig != SIGPIPE) signal(sig, SIG_DFL);
    signal(SIGPIPE, SIG_IGN); // as the daemon
    c->run(&k);
    (void)!write(channel, "O", 1);
    _exit(0);
}

// ── the parent ──

// The child asks: is the region's batch of `cap` bytes well formed?
static void answer_batch(const struct run *r, struct child *c, const char *message, size_t n) {
    uint32_t cap;
    struct err err;
    char reply[1024] = "";
    if (n < sizeof cap) return;
    memcpy(&cap, message, sizeof cap);
    void *p = mmap(NULL, cap, PROT_READ, MAP_SHARED, r->memory, 0);
    if (p == MAP_FAILED) return;
    struct cn_batch b = {.base = p, .cap = cap};
    if (record_batch_check(&b, &err) != 0) snprintf(reply, sizeof reply, "%s", err.msg);
    munmap(p, cap);
    (void)!send(c->channel, reply, strlen(reply) + 1, MSG_NOSIGNAL);
}

// Messages begin with a letter: P step, B batch to check, O F S the end. False at the end of them.
static bool hear_one(const struct run *r, struct child *c) {
    char m[MESSAGE_MAX];
    ssize_t n = recv(c->channel, m, sizeof m - 1, 0);
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0) return false;
    m[n] = 0;
    if (m[0] == 'P') snprintf(c->step, sizeof c->step, "%.60s", m + 1);
    if (m[0] == 'B') answer_batch(r, c, m + 1, (size_t)n - 1);
    if (strchr("OFS", m[0])) {
        c->verdict = m[0];
        snprintf(c->detail, sizeof c->detail, "%s", m + 1);
        return false;
    }
    return true;
}

static void ended(struct child *c, int status, int case_ms, bool in_time) {
    if (c->verdict) return;
    c->verdict = 'F';
    if (!in_time) snprintf(c->detail, sizeof c->detail, "%s has not returned after %d ms", c->step, case_ms);
    else if (WIFSIGNALED(status)) snprintf(c->detail, sizeof c->detail, "crashed with %s in %s", strsignal(WTERMSIG(status)), c->step);
    else snprintf(c->detail, sizeof c->detail, "ended the process (exit code %d) in %s", WEXITSTATUS(status), c->step);
}

static void look_at_output(struct child *c) {
    char text[200];
    ssize_t n = pread(c->output, text, sizeof text - 1, 0);
    if (n <= 0 || c->verdict == 'F') return;
    text[n] = 0;
    text[strcspn(text, "\n")] = 0;
    c->verdict = 'F';
    snprintf(c->detail, sizeof c->detail, "wrote to standard output: '%s'", text);
}

static void follow(const struct run *r, struct child *c) {
    int case_ms = r->p->case_ms ? r->p->case_ms : DEFAULT_CASE_MS, status = 0;
    int64_t until = check_now_ms() + case_ms;
    bool in_time = true, more = true;
    while (more && in_time) {
        int64_t left = until - check_now_ms();
        struct pollfd p = {.fd = c->channel, .events = POLLIN};
        in_time = left > 0 && poll(&p, 1, (int)left) != 0;
        if (in_time) more = hear_one(r, c);
    }
    if (!in_time) kill(c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {}
    ended(c, status, case_ms, in_time);
    look_at_output(c);
}

static void tell(struct run *r, const char *component, const char *name, enum check_status status, const char *detail) {
    unsigned *const totals[] = {[CHECK_OK] = &r->totals.ok, [CHECK_FAILED] = &r->totals.failed, [CHECK_SKIPPED] = &r->totals.skipped};
    ++*totals[status];
    r->each(r->arg, &(struct check_result){component, name, status, detail});
}

static int start(const struct run *r, const struct check_case *c, struct child *ret, struct err *err) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return err_sys(err, errno, "socketpair");
    *ret = (struct child){.channel = ends[0], .output = memfd_create("stdout", MFD_CLOEXEC), .step = "start"};
    fflush(NULL);
    ret->pid = fork();
    if (ret->pid == 0) {
        close(ends[0]);
        run_case(r, c, ends[1], ret->output);
    }
    close(ends[1]);
    if (ret->pid > 0) return 0;
    int sys = errno;
    close(ends[0]), close(ret->output);
    return err_sys(err, sys, "fork");
}

static bool wanted(const struct run *r, const struct check_case *c) {
    for (const char *const *s = r->p->skip; s && *s; s++)
        if (strstr(c->name, *s)) return false;
    return true;
}

static void run_one(struct run *r, const struct check_case *c, const char *component) {
    struct child child;
    struct err err;
    if (!wanted(r, c)) {
        tell(r, component, c->name, CHECK_SKIPPED, "as asked for");
        return;
    }
    if (start(r, c, &child, &err) != 0) {
        tell(r, component, c->name, CHECK_FAILED, err.msg);
        return;
    }
    follow(r, &child);
    close(child.channel), close(child.output);
    tell(r, component, c->name, child.verdict == 'O' ? CHECK_OK : child.verdict == 'S' ? CHECK_SKIPPED : CHECK_FAILED, child.detail);
}

static void run_component(struct run *r) {
    static const struct check_case *const lists[] = {check_common_cases, check_source_cases, check_sink_cases, check_other_cases};
    _cleanup_free_ char *name = xasprintf("%s %s", plugin_kind_name(r->component->kind), r->component->name);
    for (size_t i = 0; i < countof(lists); i++)
        for (const struct check_case *c = lists[i]; c->name; c++)
            if (c->kinds & KIND_BIT(r->component->kind) && (!r->p->only || strstr(c->name, r->p->only))) run_one(r, c, name);
}

// ── the file as a whole ──

#define LOADS "the file loads and its descriptor is sound"

// 0 loaded, 1 told as faulty.
static int load_checked(struct run *r, const char *path, struct plugin *plugin) {
    struct probe_result tried;
    probe_files(&path, 1, 2000, &tried);
    if (tried.ok) tried.ok = load_file(path, plugin, &tried.err) == 0;
    tell(r, "", LOADS, tried.ok ? CHECK_OK : CHECK_FAILED, tried.ok ? "" : tried.err.msg);
    return tried.ok ? 0 : 1;
}

static int check_loaded(struct run *r, const struct plugin *plugin, struct err *err) {
    bool any = false;
    r->memory = memfd_create("batches", MFD_CLOEXEC);
    if (r->memory < 0 || ftruncate(r->memory, REGION_MAX) != 0) return err_sys(err, errno, "shared memory");
    for (size_t i = 0; i < plugin->n; i++) {
        r->component = &plugin->components[i];
        if (r->p->component && !component_named(r->component, r->p->component)) continue;
        any = true;
        run_component(r);
    }
    close(r->memory);
    return any ? 0 : err_set(err, ERR_NOT_FOUND, "%s has no component %s", r->p->path, r->p->component);
}

int plugin_check(const struct check_params *p, void (*each)(void *arg, const struct check_result *r), void *arg, struct check_totals *ret, struct err *err) {
    struct plugin plugin = {0};
    _cleanup_free_ char *real = realpath(p->path, NULL);
    if (!real) return err_sys(err, errno, "%s", p->path);
    struct run r = {.p = p, .path = real, .each = each, .arg = arg};
    int rc = load_checked(&r, real, &plugin) == 0 ? check_loaded(&r, &plugin, err) : 0;
    descriptor_done(&plugin);
    *ret = r.totals;
    return rc;
}
