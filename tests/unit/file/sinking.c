// SPDX-License-Identifier: Apache-2.0
#include "sinking.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sink.h"
#include "test.h"

static struct io_plan plan;
static atomic_long calls, kinds[IO_KINDS];

void sinking_plan(const struct io_plan *p) {
    plan = p ? *p : (struct io_plan){0};
    atomic_store(&calls, 0);
    for (int i = 0; i < IO_KINDS; i++) atomic_store(&kinds[i], 0);
}
long sinking_calls(void) { return atomic_load(&calls); }

// Whether the call is to fail. Kills where that is planned.
static bool planned(enum io_kind kind, int fd, const void *p, size_t n, int64_t offset) {
    long call = atomic_fetch_add(&calls, 1) + 1, of_kind = atomic_fetch_add(&kinds[kind], 1) + 1;
    if (plan.kill_at && call >= plan.kill_at) {
        if (kind == IO_WRITE && plan.kill_half) file_io_system.write_at(fd, p, n / 2, offset);
        raise(SIGKILL);
    }
    if (!plan.fail_errno || plan.fail_kind != (int)kind || of_kind < plan.fail_from) return false;
    if (kind == IO_WRITE) file_io_system.write_at(fd, p, n / 2, offset); // as a full disk does
    errno = plan.fail_errno;
    return true;
}

static int plan_create(const char *path, int flags, mode_t mode) { return planned(IO_CREATE, -1, NULL, 0, 0) ? -1 : file_io_system.create(path, flags, mode); }
static int plan_mkdir(const char *path, mode_t mode) { return planned(IO_MKDIR, -1, NULL, 0, 0) ? -1 : file_io_system.make_directory(path, mode); }
static int plan_write(int fd, const void *p, size_t n, int64_t offset) { return planned(IO_WRITE, fd, p, n, offset) ? -1 : file_io_system.write_at(fd, p, n, offset); }
static int plan_sync(int fd) { return planned(IO_SYNC, fd, NULL, 0, 0) ? -1 : file_io_system.sync(fd); }
static int plan_truncate(int fd, int64_t length) { return planned(IO_TRUNCATE, fd, NULL, 0, 0) ? -1 : file_io_system.truncate(fd, length); }
static int plan_rename(const char *from, const char *to, int replace) { return planned(IO_RENAME, -1, NULL, 0, 0) ? -1 : file_io_system.rename(from, to, replace); }
static int plan_sync_directory(const char *path) { return planned(IO_SYNC_DIRECTORY, -1, NULL, 0, 0) ? -1 : file_io_system.sync_directory(path); }

const struct file_io sinking_io = {plan_create, plan_mkdir, plan_write, plan_sync, plan_truncate, plan_rename, plan_sync_directory};

static int open_planned(struct cn_host *h, void **ret_task) { return sink_open_with(h, &sinking_io, ret_task); }

struct testhost *sinking_new(const char *const *options) {
    static struct cn_component component;
    static struct cn_sink_ops ops;
    component = *connectd_plugin_v1()->components[1];
    ops = *(const struct cn_sink_ops *)component.ops;
    ops.open = open_planned;
    component.ops = &ops;
    return testhost_new_component(&component, options);
}

struct testhost *sinking_start(const char *const *options) {
    struct testhost *t = sinking_new(options);
    if (testhost_open(t) != 0) fail_msg("%s (%s)", t->failure.text, t->failure.hint);
    return t;
}

int sinking_put(struct testhost *t, const char *topic, int partition, int64_t first, int64_t end) {
    char *lines = malloc((size_t)(end - first) * 128 + 1);
    size_t n = 0;
    lines[0] = '\0';
    for (int64_t i = first; i < end; i++)
        n += (size_t)sprintf(lines + n, "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"value\":{\"n\":%lld}}\n", topic, partition, (long long)i, (long long)i);
    int rc = testhost_put_json(t, lines);
    free(lines);
    return rc;
}

int64_t sinking_number(const char *line) { return strncmp(line, "{\"n\":", 5) == 0 ? atoll(line + 5) : -1; }
