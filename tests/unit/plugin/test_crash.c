// SPDX-License-Identifier: Apache-2.0
// Crashes happen in children; what they leave behind is read here.
#include "plugin/crash.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/plugins.h"
#include "test.h"
#include "tmpdir.h"

static int64_t now_ms(void) { return (int64_t)time(NULL) * 1000; }

// Runs `crash` in a child that reports to dir; returns how it ended.
static int in_child(const char *dir, void (*crash)(void)) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err;
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        for (int sig = 1; sig < 32; sig++) signal(sig, SIG_DFL); // the test framework's, a sanitizer's
        int fd = open("/dev/null", O_WRONLY);
        dup2(fd, 2);
        if (crash_setup(dir, &err) != 0) _exit(99);
        crash();
        _exit(98);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void by_pointer(void) {
    crash_thread("thing", "shop-db", "poll");
    raise(SIGSEGV);
}
static void by_abort(void) {
    crash_thread("thing", "shop-db", "put");
    abort();
}
static void outside(void) { raise(SIGBUS); }
__attribute__((noinline)) static int deeper(volatile char *p) { // a stack overflow: the handler has a stack of its own
    volatile char more[4096];
    more[0] = *p;
    return more[0] == 1 ? 0 : deeper(more) + more[1];
}
static void by_depth(void) {
    char c = 0;
    crash_thread("deep", "x", "open");
    (void)deeper(&c);
}

TEST(a_crash_dies_by_its_signal_and_names_plugin_connector_and_call) {
    const char *dir = tmpdir_new();
    int status = in_child(dir, by_pointer);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    _cleanup_free_ char *path = xasprintf("%s/crashes", dir), *last = xasprintf("%s/crash.last", dir);
    _cleanup_free_ char *history = tmpdir_read(path), *report = tmpdir_read(last);
    assert_has(history, "\tSIGSEGV\tthing\tshop-db\tpoll\n");
    assert_has(report, "SIGSEGV in plugin thing, connector shop-db in poll");
    assert_has(report, "stack:\n");
}

TEST(an_abort_and_a_stack_overflow_are_reported_too) {
    const char *dir = tmpdir_new();
    assert_int_equal(WTERMSIG(in_child(dir, by_abort)), SIGABRT);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_int_equal(WTERMSIG(in_child(dir, by_depth)), SIGSEGV);
    _cleanup_free_ char *path = xasprintf("%s/crashes", dir), *history = tmpdir_read(path);
    assert_has(history, "\tSIGABRT\tthing\tshop-db\tput\n");
    assert_has(history, "\tSIGSEGV\tdeep\tx\topen\n");
#else
    (void)by_depth;
#endif
}

static void in_plugin_code(void) {
    struct plugins *p = plugins_new();
    struct err err;
    if (plugins_load(p, CASES "/case_good.so", &err) != 0) _exit(97);
    const struct component *c;
    if (plugins_find(p, CN_SOURCE, "case-source", &c, &err) != 0) _exit(96);
    c->ops.source.open(NULL, NULL, 0, (void **)8); // *ret_task lies nowhere: faults inside the plugin
}

TEST(code_inside_a_plugin_is_named_by_its_address) {
    const char *dir = tmpdir_new();
    assert_int_equal(WTERMSIG(in_child(dir, in_plugin_code)), SIGSEGV);
    _cleanup_free_ char *path = xasprintf("%s/crashes", dir), *history = tmpdir_read(path);
    assert_has(history, "\tSIGSEGV\tcase-plugin\t-\t-\n");
}

TEST(two_crashes_within_ten_minutes_suspend_a_plugin) {
    const char *dir = tmpdir_new();
    char why[300], hint[300];
    struct err err;
    assert_false(crash_suspended(dir, "thing", now_ms(), why, sizeof why, hint, sizeof hint));
    in_child(dir, by_pointer);
    in_child(dir, outside);
    assert_false(crash_suspended(dir, "thing", now_ms(), why, sizeof why, hint, sizeof hint));
    in_child(dir, by_abort);
    assert_true(crash_suspended(dir, "thing", now_ms(), why, sizeof why, hint, sizeof hint));
    assert_has(why, "plugin thing crashed the daemon 2 times within ten minutes, the last time with SIGABRT in put of connector shop-db");
    assert_has(hint, "plugins forgive thing");
    assert_false(crash_suspended(dir, "other", now_ms(), why, sizeof why, hint, sizeof hint));
    assert_false(crash_suspended(dir, "thing", now_ms() + 11 * 60000, why, sizeof why, hint, sizeof hint));
    assert_ok(crash_forgive(dir, "other", &err), err);
    assert_true(crash_suspended(dir, "thing", now_ms(), why, sizeof why, hint, sizeof hint));
    assert_ok(crash_forgive(dir, "thing", &err), err);
    assert_false(crash_suspended(dir, "thing", now_ms(), why, sizeof why, hint, sizeof hint));
}

TEST(a_history_of_rubbish_and_of_any_length_is_read) {
    const char *dir = tmpdir_new();
    char why[300], hint[300];
    struct buf b = {0};
    buf_printf(&b, "nonsense\n\t\t\n%lld\tSIGSEGV\tthing\n", (long long)now_ms()); // cut short: does not count
    for (int i = 0; i < 20000; i++) buf_printf(&b, "%lld\tSIGSEGV\tthing\tc\tpoll\n", (long long)i);
    buf_printf(&b, "%lld\tSIGSEGV\tthing\tc\tpoll\n%lld\tSIGSEGV\tthing\tc\tpoll", (long long)now_ms(), (long long)now_ms());
    tmpdir_bytes(dir, "crashes", b.p, b.n);
    buf_done(&b);
    assert_true(crash_suspended(dir, "thing", now_ms(), why, sizeof why, hint, sizeof hint));
    in_child(dir, outside); // crash_setup shortens it
    _cleanup_free_ char *path = xasprintf("%s/crashes", dir), *history = tmpdir_read(path);
    assert_true(strlen(history) < 70000);
}
