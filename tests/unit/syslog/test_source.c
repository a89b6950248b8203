// SPDX-License-Identifier: Apache-2.0
// The source as a host drives it, with real sockets on free loopback ports.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <connectd/plugin.h>

#include "test.h"
#include "testhost.h"
#include "tmpdir.h"

enum { WAIT_MS = 5000 };

#define OPTIONS(...) (const char *const[]){__VA_ARGS__, NULL}

static struct testhost *started(const char *const *options) {
    struct testhost *t = testhost_new(connectd_plugin_v1(), "syslog", options);
    if (testhost_open(t) != 0) fail_msg("%s (%s)", t->failure.text, t->failure.hint);
    return t;
}

static int connected(struct testhost *t, int type, const char *listen_name) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)testhost_port(t, listen_name))};
    int fd = socket(AF_INET, type, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}
static int tcp(struct testhost *t) { return connected(t, SOCK_STREAM, "test-tcp"); }
static int udp(struct testhost *t) { return connected(t, SOCK_DGRAM, "test-udp"); }

static void send_n(int fd, const char *p, size_t n) {
    while (n) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        assert_true(sent > 0);
        p += sent;
        n -= (size_t)sent;
    }
}
static void send_z(int fd, const char *z) { send_n(fd, z, strlen(z)); }

static void has_message(struct testhost *t, size_t line, const char *text) {
    char want[256];
    snprintf(want, sizeof want, "\"message\":\"%s\"", text);
    assert_true(line < t->line_count);
    assert_has(t->lines[line], want);
}

TEST(datagrams_become_records) {
    struct testhost *t = started(OPTIONS("udp=127.0.0.1:0", "topic=logs"));
    int fd = udp(t);
    send_z(fd, "<14>1 2026-01-01T00:00:00Z h a - - - one");
    send_z(fd, "<14>a: two\n");
    assert_int_equal(testhost_take(t, 2, WAIT_MS), 2);
    has_message(t, 0, "one");
    has_message(t, 1, "two");
    assert_has(t->lines[0], "\"topic\":\"logs\"");
    assert_has(t->lines[0], "\"transport\":\"udp\",\"source_address\":\"127.0.0.1\"");
    close(fd);
    testhost_free(t);
}

TEST(both_framings_arrive_on_one_connection) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0"));
    int fd = tcp(t);
    send_z(fd, "<14>a: one\n10 <14>a: two12 <14>a: three\n");
    assert_int_equal(testhost_take(t, 3, WAIT_MS), 3);
    has_message(t, 0, "one");
    has_message(t, 1, "two");
    has_message(t, 2, "three");
    close(fd);
    testhost_free(t);
}

TEST(a_frame_in_pieces_is_one_record) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0"));
    int fd = tcp(t);
    static const char text[] = "10 <14>a: one";
    for (size_t i = 0; i + 2 < sizeof text; i++) {
        send_n(fd, text + i, 1);
        assert_int_equal(testhost_take(t, 1, 1), 0);
    }
    send_n(fd, text + sizeof text - 2, 1);
    assert_int_equal(testhost_take(t, 1, WAIT_MS), 1);
    has_message(t, 0, "one");
    close(fd);
    testhost_free(t);
}

TEST(the_last_frame_is_kept_when_the_sender_closes_inside_it) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0"));
    int fd = tcp(t);
    send_z(fd, "<14>a: one\n<14>a: no end");
    close(fd);
    assert_int_equal(testhost_take(t, 2, WAIT_MS), 2);
    has_message(t, 1, "no end");
    assert_has(t->lines[1], "\"incomplete\":true");
    assert_null(strstr(t->lines[0], "incomplete"));
    testhost_free(t);
}

TEST(long_messages_are_cut_and_the_connection_lives) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0", "udp=127.0.0.1:0", "max.message.bytes=480"));
    int fd = tcp(t), ufd = udp(t);
    char big[300000];
    memset(big, 'x', sizeof big);
    memcpy(big, "<14>a: ", 7);
    send_n(fd, big, sizeof big);
    send_z(fd, "\n<14>a: after\n");
    assert_int_equal(testhost_take(t, 2, WAIT_MS), 2);
    assert_has(t->lines[0], "\"truncated\":true");
    has_message(t, 1, "after");
    send_n(ufd, big, 600);
    assert_int_equal(testhost_take(t, 1, WAIT_MS), 1);
    assert_has(t->lines[2], "\"truncated\":true");
    close(fd);
    close(ufd);
    testhost_free(t);
}

TEST(unix_datagrams_are_welcome) {
    const char *dir = tmpdir_new();
    char option[256];
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s/log", dir);
    snprintf(option, sizeof option, "unix=%s", to.sun_path);
    struct testhost *t = started(OPTIONS(option));
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    send_z(fd, "<14>Jan  1 00:00:00 a: local");
    assert_int_equal(testhost_take(t, 1, WAIT_MS), 1);
    has_message(t, 0, "local");
    assert_has(t->lines[0], "\"transport\":\"unix\",\"source_address\":null,\"source_port\":null");
    assert_has(t->lines[0], "\"key\":null");
    close(fd);
    testhost_free(t);
}

TEST(who_is_in_no_allowed_network_is_refused_and_counted) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0", "udp=127.0.0.1:0", "allowed.networks=192.0.2.0/24"));
    int fd = tcp(t), ufd = udp(t);
    char byte;
    send_z(ufd, "<14>a: x");
    for (int i = 0; i < 100 && !testhost_logged(t, "refused 127.0.0.1"); i++) assert_int_equal(testhost_take(t, 1, 50), 0);
    assert_true(testhost_logged(t, "refused 127.0.0.1"));
    assert_true(recv(fd, &byte, 1, 0) <= 0); // closed
    close(fd);
    close(ufd);
    testhost_free(t);
}

TEST(connections_above_the_limit_wait_and_lose_nothing) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0", "tcp.max.connections=1"));
    int first = tcp(t), second;
    send_z(first, "<14>a: first\n");
    assert_int_equal(testhost_take(t, 1, WAIT_MS), 1);
    second = tcp(t);
    send_z(second, "<14>a: second\n");
    assert_int_equal(testhost_take(t, 1, 50), 0);
    assert_true(testhost_logged(t, "all 1 connections are taken"));
    close(first);
    assert_int_equal(testhost_take(t, 1, WAIT_MS), 1);
    has_message(t, 1, "second");
    close(second);
    testhost_free(t);
}

TEST(no_connection_starves_another) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0", "key=none"));
    enum { SENDERS = 4, EACH = 1500 };
    int fds[SENDERS];
    char line[256];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < SENDERS; i++) {
        fds[i] = tcp(t);
        line[3] = '>';
        memcpy(line, "<1", 2);
        line[2] = '4';
        line[4] = (char)('a' + i);
        for (int k = 0; k < EACH; k++) send_n(fds[i], line, sizeof line);
    }
    // One batch holds about a thousand of these: after a few, every sender has been heard.
    bool heard[SENDERS] = {false};
    for (int polls = 0; polls < SENDERS + 1; polls++) {
        size_t before = t->line_count;
        (void)testhost_poll(t, WAIT_MS);
        assert_true(t->line_count - before < 3000);
        for (size_t i = before; i < t->line_count; i++) heard[strstr(t->lines[i], "\"message\":\"")[11] - 'a'] = true;
    }
    for (int i = 0; i < SENDERS; i++) assert_true(heard[i]);
    size_t rest = SENDERS * EACH - t->line_count;
    assert_int_equal(testhost_take(t, rest, WAIT_MS), rest);
    for (int i = 0; i < SENDERS; i++) close(fds[i]);
    testhost_free(t);
}

TEST(order_within_a_connection_is_kept_over_many_batches) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0"));
    int fd = tcp(t);
    char line[64];
    enum { COUNT = 20000 };
    size_t seen = 0;
    for (int sent = 0; sent < COUNT;) {
        char block[64 * 500];
        size_t n = 0;
        for (int i = 0; i < 500; i++, sent++) {
            int length = snprintf(line, sizeof line, "<14>a: n=%d", sent);
            n += (size_t)snprintf(block + n, sizeof block - n, sent % 3 ? "%d %s" : "%.0d%s\n", sent % 3 ? length : 0, line);
        }
        send_n(fd, block, n);
        testhost_take(t, 1, 0);
    }
    while (t->line_count < COUNT) assert_true(testhost_take(t, 1, WAIT_MS) > 0);
    for (; seen < COUNT; seen++) {
        snprintf(line, sizeof line, "n=%zu", seen);
        has_message(t, seen, line);
    }
    close(fd);
    testhost_free(t);
}

TEST(what_the_kernel_dropped_is_counted_and_shown) {
    struct testhost *t = started(OPTIONS("udp=127.0.0.1:0", "udp.receive.buffer=64KiB"));
    int fd = udp(t);
    char text[1000];
    enum { SENT = 5000 };
    testhost_time(t, 1768046400000000);
    memset(text, 'x', sizeof text);
    memcpy(text, "<14>a: ", 7);
    size_t got = 0, more;
    for (int i = 0; i < SENT / 2; i++) (void)send(fd, text, sizeof text, 0);
    while ((more = testhost_take(t, 1, 100)) > 0) got += more;
    for (int i = 0; i < SENT / 2; i++) (void)send(fd, text, sizeof text, 0);
    testhost_advance(t, 1500);
    assert_int_equal(testhost_tick(t), 0); // asks the kernel; the datagrams that wait tell an older count
    while ((more = testhost_take(t, 1, 100)) > 0) got += more;
    assert_true(got > 0 && got < SENT);
    testhost_advance(t, 1500);
    assert_int_equal(testhost_tick(t), 0);
    assert_int_equal(testhost_metric(t, "dropped-datagrams"), SENT - (int64_t)got);
    testhost_close(t); // a new task finds the same socket and its count
    testhost_clear(t);
    assert_int_equal(testhost_open(t), 0);
    assert_true(testhost_logged(t, "datagrams before this start"));
    assert_int_equal(testhost_tick(t), 0);
    assert_int_equal(testhost_metric(t, "dropped-datagrams"), SENT - (int64_t)got);
    close(fd);
    testhost_free(t);
}

TEST(drops_while_polls_are_withheld_show_at_the_tick) {
    struct testhost *t = started(OPTIONS("udp=127.0.0.1:0", "udp.receive.buffer=64KiB"));
    int fd = udp(t);
    char text[1000];
    memset(text, 'x', sizeof text);
    testhost_time(t, 1768046400000000);
    assert_int_equal(testhost_tick(t), 0);
    assert_int_equal(testhost_metric(t, "dropped-datagrams"), 0);
    for (int i = 0; i < 5000; i++) (void)send(fd, text, sizeof text, 0);
    testhost_advance(t, 1500);
    assert_int_equal(testhost_tick(t), 0);
    assert_true(testhost_metric(t, "dropped-datagrams") > 0);
    assert_true(testhost_logged(t, "the kernel dropped"));
    close(fd);
    testhost_free(t);
}

TEST(nothing_is_read_while_polls_are_withheld) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0"));
    int fd = tcp(t);
    char block[65536];
    memset(block, '\n', sizeof block);
    size_t sent = 0;
    for (ssize_t n; (n = send(fd, block, sizeof block, MSG_DONTWAIT)) > 0;) {
        sent += (size_t)n;
        assert_int_equal(testhost_tick(t), 0);
        assert_true(sent < 64u << 20); // the window closes long before
    }
    close(fd);
    testhost_free(t);
}

TEST(a_stop_brings_out_what_was_read) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0"));
    int fd = tcp(t);
    send_z(fd, "<14>a: one\n<14>a: unfinished");
    assert_int_equal(testhost_take(t, 1, WAIT_MS), 1);
    testhost_poll(t, 20);
    testhost_stop(t);
    assert_int_equal(testhost_poll(t, 20), CN_POLL_OK);
    has_message(t, 1, "unfinished");
    assert_has(t->lines[1], "\"incomplete\":true");
    close(fd);
    testhost_free(t);
}

TEST(a_wake_ends_a_waiting_poll) {
    struct testhost *t = started(OPTIONS("tcp=127.0.0.1:0"));
    testhost_wake(t);
    assert_int_equal(testhost_poll(t, 60000), CN_POLL_IDLE);
    testhost_free(t);
}

TEST(several_sockets_serve_one_address) {
    struct testhost *t = started(OPTIONS("udp=127.0.0.1:0", "udp.sockets=4"));
    for (int i = 0; i < 32; i++) { // each from a port of its own, so that the kernel spreads them
        int fd = udp(t);
        send_z(fd, "<14>a: x");
        close(fd);
    }
    size_t got = 0;
    while (got < 32) {
        size_t more = testhost_take(t, 32 - got, WAIT_MS);
        assert_true(more > 0);
        got += more;
    }
    testhost_free(t);
}

static void refused(const char *const *options, const char *text, const char *hint) {
    struct testhost *t = testhost_new(connectd_plugin_v1(), "syslog", options);
    assert_int_equal(testhost_validate(t), -1);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.text, text);
    assert_has(t->failure.hint, hint);
    testhost_free(t);
}

TEST(wrong_configurations_say_what_to_do) {
    refused(OPTIONS("topic=x"), "nothing to listen on", "udp: 127.0.0.1:5514");
    refused(OPTIONS("udp=0.0.0.0:514"), "udp: 0.0.0.0:514 is reachable from other machines", "allowed.networks");
    refused(OPTIONS("tcp=[::]:514"), "tcp: [::]:514 is reachable", "allowed.networks");
    refused(OPTIONS("tcp=127.0.0.1:514", "allowed.networks=10.0.0.0/33"), "10.0.0.0/33 is not an address or a network", "192.0.2.0/24");
    refused(OPTIONS("tcp=127.0.0.1:514", "timezone=Mars/Olympus"), "timezone: Mars/Olympus is none", "+02:00");
    struct testhost *t = testhost_new(connectd_plugin_v1(), "syslog", OPTIONS("udp=0.0.0.0:514", "allowed.networks=0.0.0.0/0"));
    assert_int_equal(testhost_validate(t), 0);
    testhost_free(t);
}

TEST(a_socket_systemd_did_not_pass_is_named) {
    struct testhost *t = testhost_new(connectd_plugin_v1(), "syslog", OPTIONS("udp.name=syslog-udp"));
    assert_int_equal(testhost_open(t), -1);
    assert_has(t->failure.text, "systemd passed no socket named syslog-udp");
    testhost_free(t);
}

TEST(a_port_in_use_is_named) {
    struct testhost *first = started(OPTIONS("tcp=127.0.0.1:0"));
    char option[64];
    snprintf(option, sizeof option, "tcp=127.0.0.1:%u", testhost_port(first, "test-tcp"));
    struct testhost *t = testhost_new(connectd_plugin_v1(), "syslog", OPTIONS(option));
    assert_int_equal(testhost_open(t), -1);
    assert_has(t->failure.text, "Address already in use");
    testhost_free(t);
    testhost_free(first);
}
