// SPDX-License-Identifier: Apache-2.0
#include "plugin/sockets.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

static struct cn_listen udp(const char *address) { return (struct cn_listen){sizeof(struct cn_listen), CN_LISTEN_UDP, "in", address, 1, 0, 0}; }

static unsigned port_of(int fd) {
    struct sockaddr_in a;
    socklen_t n = sizeof a;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    return ntohs(a.sin_port);
}
static int udp_socket(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

TEST(a_bound_socket_is_held_until_its_connector_goes) {
    struct sockets *s = sockets_new();
    struct cn_listen l = udp("127.0.0.1:0");
    int a, b;
    struct err err;
    assert_int_equal(sockets_listen(s, "x", &l, &a, 1, &err), 1);
    assert_int_equal(sockets_listen(s, "x", &l, &b, 1, &err), 1);
    assert_int_equal(a, b);
    int fd = udp_socket(), got; // a packet sent while no task looks waits in the kernel
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port_of(a))};
    assert_int_equal(sendto(fd, "hi", 2, 0, (struct sockaddr *)&to, sizeof to), 2);
    assert_int_equal(sockets_listen(s, "x", &l, &got, 1, &err), 1);
    char buf[8];
    assert_int_equal(recv(got, buf, sizeof buf, 0), 2);
    sockets_release(s, "x");
    assert_int_equal(recv(a, buf, sizeof buf, 0), -1); // closed
    close(fd);
    sockets_free(s);
}

TEST(another_address_takes_the_old_ones_place) {
    struct sockets *s = sockets_new();
    struct cn_listen l = udp("127.0.0.1:0"), m = udp("[::1]:0");
    int a, b;
    struct err err;
    assert_int_equal(sockets_listen(s, "x", &l, &a, 1, &err), 1);
    unsigned port = port_of(a);
    assert_int_equal(sockets_listen(s, "x", &m, &b, 1, &err), 1);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    struct cn_listen again = udp(address); // free again
    assert_int_equal(sockets_listen(s, "y", &again, &a, 1, &err), 1);
    sockets_free(s);
}

TEST(an_address_in_use_says_so_with_the_way_out) {
    struct sockets *s = sockets_new();
    int fd = udp_socket(), got;
    char address[32];
    struct err err;
    snprintf(address, sizeof address, "127.0.0.1:%u", port_of(fd));
    struct cn_listen l = udp(address);
    assert_fails(sockets_listen(s, "x", &l, &got, 1, &err) < 0, err, ERR_BUSY);
    assert_has(err.msg, address);
    assert_has(err.hint, "ss -lnp");
    close(fd);
    sockets_free(s);
}

TEST(systemds_sockets_go_by_name_to_one_connector) {
    struct sockets *s = sockets_new();
    int fds[] = {udp_socket(), udp_socket()}, got[4];
    struct cn_listen l = udp("127.0.0.1:514");
    struct err err;
    sockets_give(s, "in", fds, 2);
    assert_int_equal(sockets_listen(s, "x", &l, got, 4, &err), 2);
    assert_int_equal(got[1], fds[1]);
    assert_fails(sockets_listen(s, "y", &l, got, 4, &err) < 0, err, ERR_BUSY);
    assert_has(err.msg, "already used by connector x");
    sockets_release(s, "x");
    assert_int_equal(sockets_listen(s, "y", &l, got, 4, &err), 2);
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    sockets_json(s, &w);
    assert_buf(&out, "[{\"name\":\"in\",\"connector\":\"y\",\"address\":null,\"from\":\"systemd\",\"sockets\":2}]");
    buf_done(&out);
    struct cn_listen tcp = l;
    tcp.kind = CN_LISTEN_TCP;
    assert_fails(sockets_listen(s, "y", &tcp, got, 4, &err) < 0, err, ERR_INVALID);
    sockets_free(s);
}
