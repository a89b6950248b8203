// SPDX-License-Identifier: Apache-2.0
// The helper writes, for each file, "b" before and "o" or "x" + struct err after; the parent reads with a deadline.
#include "plugin/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/descriptor.h"
#include "plugin/load.h"

#define PROBE_ARGUMENT "--connectd-probe-plugins"
enum { PROBE_FD = 3 };

// ── the helper ──

static void send_all(const void *p, size_t n) {
    for (const char *at = p; n;) {
        ssize_t k = write(PROBE_FD, at, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) _exit(1);
        at += k;
        n -= (size_t)k;
    }
}

static void try_one(const char *path) {
    struct plugin p = {0};
    struct err err = {0};
    send_all("b", 1);
    if (load_file(path, &p, &err) == 0) {
        send_all("o", 1);
        return;
    }
    send_all("x", 1);
    send_all(&err, sizeof err);
}

// Runs before main, with main's arguments (glibc).
__attribute__((constructor)) static void probe_helper(int argc, char **argv) {
    if (argc < 3 || strcmp(argv[1], PROBE_ARGUMENT) != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}; // a sanitizer's handlers would hide the signal
    for (size_t i = 0; i < countof(fatal); i++) signal(fatal[i], SIG_DFL);
    for (int i = 2; i < argc; i++) try_one(argv[i]);
    _exit(0);
}

// ── the parent ──

struct helper { pid_t pid; int fd; };

static int spawn_helper(const char *const *paths, size_t n, struct helper *ret, struct err *err) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return err_sys(err, errno, "pipe");
    const char **argv = xcalloc(n + 3, sizeof *argv);
    argv[0] = "connectd";
    argv[1] = PROBE_ARGUMENT;
    memcpy(argv + 2, paths, n * sizeof *paths);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, 0, 1);
    posix_spawn_file_actions_adddup2(&actions, 0, 2);
    posix_spawn_file_actions_adddup2(&actions, fds[1], PROBE_FD);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    extern char **environ;
    int sys = posix_spawn(&ret->pid, "/proc/self/exe", &actions, &attr, (char *const *)(uintptr_t)argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    free(argv);
    close(fds[1]);
    if (sys == 0) {
        ret->fd = fds[0];
        return 0;
    }
    close(fds[0]);
    return err_sys(err, sys, "start the helper process");
}

// Reads n bytes by the deadline: 0, 1 at the end of the pipe, 2 at the time-out.
static int read_by(int fd, void *p, size_t n, int timeout_ms) {
    for (char *at = p; n;) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        int ready = poll(&pfd, 1, timeout_ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return 2;
        ssize_t k = read(fd, at, n);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return 1;
        at += k;
        n -= (size_t)k;
    }
    return 0;
}

static void died(int status, struct err *err) {
    if (WIFSIGNALED(status)) {
        err_set(err, ERR_INVALID, "crashes on load with %s (%s)", sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?", strsignal(WTERMSIG(status)));
        err_hint(err, "tell its author; `connectd plugins check` shows more");
        return;
    }
    err_set(err, ERR_INVALID, "ends the process on load with exit code %d", WEXITSTATUS(status));
}

// Results of one helper; returns how many files it decided on.
static size_t hear(struct helper *h, size_t n, int timeout_ms, struct probe_result *results) {
    size_t i = 0;
    int rc = 0;
    for (; i < n && rc == 0; i++) {
        char c;
        rc = read_by(h->fd, &c, 1, 10000); // "b": the helper itself is not the plugin's fault
        if (rc == 0) rc = read_by(h->fd, &c, 1, timeout_ms);
        if (rc == 0 && c == 'x') rc = read_by(h->fd, &results[i].err, sizeof results[i].err, timeout_ms);
        results[i].ok = rc == 0 && c == 'o';
    }
    if (rc == 2) kill(h->pid, SIGKILL);
    int status = 0;
    while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR) {}
    close(h->fd);
    if (rc == 1) died(status, &results[i - 1].err);
    if (rc == 2) {
        err_set(&results[i - 1].err, ERR_INVALID, "hangs on load: not back after %d ms", timeout_ms);
        err_hint(&results[i - 1].err, "a plugin may not work in constructors or in connectd_plugin_v1; tell its author");
    }
    return i;
}

void probe_files(const char *const *paths, size_t n, int timeout_ms, struct probe_result *results) {
    memset(results, 0, n * sizeof *results);
    for (size_t at = 0; at < n;) {
        struct helper h;
        struct err err;
        if (spawn_helper(paths + at, n - at, &h, &err) != 0) {
            for (; at < n; at++) results[at].err = err;
            return;
        }
        at += hear(&h, n - at, timeout_ms, results + at);
    }
}
