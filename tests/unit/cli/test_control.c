// SPDX-License-Identifier: Apache-2.0
#include "cli/control.h"

#include <errno.h>
#include <stdio.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tmpdir.h"
#include "test.h"

// ── a server with a few requests, and a raw client ──

static atomic_int waiting;

static int say_many(struct control_call *call) {
    for (int64_t i = 0, n = doc_int(call_request(call), "n", 0); i < n; i++) {
        char line[64];
        snprintf(line, sizeof line, "{\"i\":%lld}", (long long)i);
        if (call_line(call, str_of(line)) != 0) return 1;
    }
    return 7;
}

static int wait_until_gone(struct control_call *call) {
    atomic_fetch_add(&waiting, 1);
    while (!call_gone(call)) usleep(1000);
    atomic_fetch_sub(&waiting, 1);
    return 0;
}

static int count_lines(struct control_call *call, struct err *err) {
    struct str line;
    struct buf out = {0};
    int n = 0, rc;
    while ((rc = call_read(call, 100, &line, err)) > 0) n++;
    if (rc < 0) return -1;
    buf_printf(&out, "{\"lines\":%d}", n);
    rc = call_line(call, buf_str(&out));
    buf_done(&out);
    return rc;
}

static int handle(void *arg, struct control_call *call, struct err *err) {
    const char *c = call_command(call);
    if (strcmp(c, "many") == 0) return say_many(call);
    if (strcmp(c, "wait") == 0) return wait_until_gone(call);
    if (strcmp(c, "count") == 0) return count_lines(call, err);
    err_set(err, ERR_UNSUPPORTED, "no such thing as %s", c);
    return err_hint(err, "ask for something else");
}

struct fixture { const char *dir; char *path; struct control *control; };

static void set_up(struct fixture *f) {
    struct err err;
    f->dir = tmpdir_new();
    f->path = xasprintf("%s/control.sock", f->dir);
    struct control_options o = {.path = f->path, .handle = handle};
    assert_ok(control_open(&o, &f->control, &err), err);
}
static void tear_down(struct fixture *f) {
    control_close(f->control);
    assert_int_not_equal(access(f->path, F_OK), 0);
    free(f->path);
}

static int dial(struct fixture *f) {
    struct err err;
    int fd;
    assert_ok(control_connect(f->path, &fd, &err), err);
    return fd;
}

static void send_text(int fd, const char *text) { assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text)); }

// Everything until the server closes.
static const char *read_all(int fd, struct buf *to) {
    char room[65536];
    for (ssize_t n; (n = read(fd, room, sizeof room)) > 0;) buf_put(to, room, (size_t)n);
    close(fd);
    return buf_cstr(to);
}

static void assert_answer(struct fixture *f, const char *request, const char *want) {
    struct buf got = {0};
    int fd = dial(f);
    send_text(fd, request);
    assert_string_equal(read_all(fd, &got), want);
    buf_done(&got);
}

TEST(an_answer_is_lines_and_ends_with_done) {
    struct fixture f;
    set_up(&f);
    assert_answer(&f, "{\"command\":\"many\",\"n\":2}\n", "{\"i\":0}\n{\"i\":1}\n{\"done\":true,\"exit\":7}\n");
    tear_down(&f);
}

TEST(a_failure_stands_in_the_last_line_with_its_hint) {
    struct fixture f;
    set_up(&f);
    assert_answer(&f, "{\"command\":\"dance\"}\n", "{\"done\":true,\"exit\":1,\"error\":\"no such thing as dance\",\"hint\":\"ask for something else\"}\n");
    assert_answer(&f, "{]\n", "{\"done\":true,\"exit\":1,\"error\":\"request: not JSON at byte 1: key expected\"}\n");
    tear_down(&f);
}

TEST(a_request_may_come_in_pieces) {
    struct fixture f;
    struct buf got = {0};
    set_up(&f);
    int fd = dial(&f);
    for (const char *p = "{\"command\":\"many\",\"n\":1}\n"; *p; p++) {
        char one[2] = {*p, 0};
        send_text(fd, one);
    }
    assert_string_equal(read_all(fd, &got), "{\"i\":0}\n{\"done\":true,\"exit\":7}\n");
    buf_done(&got);
    tear_down(&f);
}

TEST(lines_behind_the_request_reach_the_handler_also_an_unended_one) {
    struct fixture f;
    struct buf got = {0};
    set_up(&f);
    int fd = dial(&f);
    send_text(fd, "{\"command\":\"count\"}\na\nb\n\nc");
    shutdown(fd, SHUT_WR);
    assert_string_equal(read_all(fd, &got), "{\"lines\":4}\n{\"done\":true,\"exit\":0}\n");
    buf_done(&got);
    tear_down(&f);
}

TEST(a_line_past_its_limit_is_refused) {
    struct fixture f;
    struct buf got = {0};
    char line[102];
    set_up(&f);
    memset(line, 'x', sizeof line);
    line[101] = 0;
    int fd = dial(&f);
    send_text(fd, "{\"command\":\"count\"}\n");
    send_text(fd, line);
    send_text(fd, "\n");
    assert_has(read_all(fd, &got), "a line is longer than 100 bytes");
    buf_done(&got);
    tear_down(&f);
}

TEST(a_client_that_does_not_read_does_not_hold_up_others) {
    struct fixture f;
    set_up(&f);
    int slow = dial(&f);
    send_text(slow, "{\"command\":\"many\",\"n\":1000000}\n");
    assert_answer(&f, "{\"command\":\"many\",\"n\":1}\n", "{\"i\":0}\n{\"done\":true,\"exit\":7}\n");
    close(slow);
    tear_down(&f);
}

TEST(the_thirty_third_client_is_turned_away) {
    struct fixture f;
    int fds[32];
    set_up(&f);
    for (int i = 0; i < 32; i++) {
        fds[i] = dial(&f);
        send_text(fds[i], "{\"command\":\"wait\"}\n");
    }
    while (atomic_load(&waiting) < 32) usleep(1000);
    struct buf got = {0};
    assert_has(read_all(dial(&f), &got), "32 clients are connected already");
    buf_done(&got);
    for (int i = 0; i < 32; i++) close(fds[i]);
    while (atomic_load(&waiting)) usleep(1000);
    tear_down(&f);
}

TEST(closing_ends_clients_that_wait) {
    struct fixture f;
    set_up(&f);
    int fd = dial(&f);
    send_text(fd, "{\"command\":\"wait\"}\n");
    while (!atomic_load(&waiting)) usleep(1000);
    tear_down(&f);
    close(fd);
}

TEST(a_second_daemon_on_the_socket_is_refused_and_a_dead_ones_socket_replaced) {
    struct fixture f;
    struct control *second;
    struct err err;
    set_up(&f);
    struct control_options o = {.path = f.path, .handle = handle};
    assert_fails(control_open(&o, &second, &err), err, ERR_BUSY);
    _cleanup_free_ char *kept = xasprintf("%s/kept", f.dir);
    assert_int_equal(link(f.path, kept), 0);
    control_close(f.control);
    assert_int_equal(rename(kept, f.path), 0); // as a crash leaves it
    assert_fails(control_connect(f.path, &(int){0}, &err), err, ERR_NOT_FOUND);
    assert_ok(control_open(&o, &f.control, &err), err);
    tear_down(&f);
}

TEST(the_socket_is_for_its_owner_and_group_only) {
    struct fixture f;
    struct stat st;
    set_up(&f);
    assert_int_equal(stat(f.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    tear_down(&f);
}

TEST(a_file_of_that_name_is_left_alone) {
    struct fixture f = {0};
    struct err err;
    f.dir = tmpdir_new();
    f.path = xasprintf("%s/control.sock", f.dir);
    fclose(fopen(f.path, "w"));
    struct control_options o = {.path = f.path, .handle = handle};
    assert_fails(control_open(&o, &f.control, &err), err, ERR_EXISTS);
    free(f.path);
}

TEST(a_path_longer_than_a_socket_address_works) {
    struct fixture f;
    struct err err;
    f.dir = tmpdir_new();
    char *deep = xstrdup(f.dir);
    for (int i = 0; i < 6; i++) {
        char *next = xasprintf("%s/a-folder-with-a-long-name", deep);
        assert_int_equal(mkdir(next, 0700), 0);
        free(deep);
        deep = next;
    }
    f.path = xasprintf("%s/control.sock", deep);
    assert_true(strlen(f.path) > 108);
    struct control_options o = {.path = f.path, .handle = handle};
    assert_ok(control_open(&o, &f.control, &err), err);
    assert_answer(&f, "{\"command\":\"many\",\"n\":0}\n", "{\"done\":true,\"exit\":7}\n");
    free(deep);
    tear_down(&f);
}
