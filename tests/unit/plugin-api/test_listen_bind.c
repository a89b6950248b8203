// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen_bind.h"
#include "test.h"
#include "tmpdir.h"

static int bind_it(uint32_t kind, const char *address, uint32_t count, int *fds, char *why) {
    struct cn_listen l = {sizeof l, kind, "x", address, count, 0, 0};
    return listen_bind(&l, fds, 16, why, 256);
}

TEST(several_sockets_share_one_free_port) {
    int fds[16];
    char why[256];
    assert_int_equal(bind_it(CN_LISTEN_UDP, "127.0.0.1:0", 4, fds, why), 4);
    for (int i = 1; i < 4; i++) assert_int_equal(listen_port(fds[i]), listen_port(fds[0]));
    for (int i = 0; i < 4; i++) close(fds[i]);
    assert_int_equal(bind_it(CN_LISTEN_TCP, "[::1]:0", 2, fds, why), 2);
    assert_int_equal(listen_port(fds[1]), listen_port(fds[0]));
    close(fds[0]), close(fds[1]);
}

TEST(a_port_in_use_is_named) {
    int fds[16], more[16];
    char why[256], address[64];
    assert_int_equal(bind_it(CN_LISTEN_TCP, "127.0.0.1:0", 1, fds, why), 1);
    snprintf(address, sizeof address, "127.0.0.1:%u", listen_port(fds[0]));
    assert_int_equal(bind_it(CN_LISTEN_TCP, address, 1, more, why), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_has(why, address);
    close(fds[0]);
}

TEST(wrong_addresses_are_refused) {
    static const char *const wrong[] = {"127.0.0.1", "127.0.0.1:", "::1:514", "[::1:514", "1.2.3.4:x", "1.2.3.4:99999999", "no-such-host.invalid:1"};
    int fds[16];
    char why[256];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) assert_int_equal(bind_it(CN_LISTEN_UDP, wrong[i], 1, fds, why), -1);
    assert_int_equal(bind_it(9, "127.0.0.1:0", 1, fds, why), -1);
}

TEST(a_stale_unix_socket_is_replaced_and_a_live_one_is_not) {
    const char *dir = tmpdir_new();
    char path[100], why[256];
    int first[16], second[16];
    snprintf(path, sizeof path, "%s/s", dir);
    assert_int_equal(bind_it(CN_LISTEN_UNIX_STREAM, path, 1, first, why), 1);
    assert_int_equal(bind_it(CN_LISTEN_UNIX_STREAM, path, 1, second, why), -1);
    close(first[0]); // as after a crash: the file stays
    assert_int_equal(bind_it(CN_LISTEN_UNIX_STREAM, path, 1, second, why), 1);
    close(second[0]);
    assert_int_equal(bind_it(CN_LISTEN_UNIX_DGRAM, path, 4, first, why), 1);
    close(first[0]);
}
