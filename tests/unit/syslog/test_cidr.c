// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>

#include "access.h"
#include "test.h"

static bool is_in(const char *network, const char *address) {
    struct cidr c;
    uint8_t bytes[16];
    union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } a = {0};
    assert_int_equal(cidr_parse(&c, network), 0);
    if (inet_pton(AF_INET, address, &a.v4.sin_addr) == 1) a.any.sa_family = AF_INET;
    else if (inet_pton(AF_INET6, address, &a.v6.sin6_addr) == 1) a.any.sa_family = AF_INET6;
    assert_true(cidr_address(&a.any, bytes));
    return cidr_contains(&c, bytes);
}

TEST(an_address_is_in_its_network_and_in_no_other) {
    assert_true(is_in("192.0.2.0/24", "192.0.2.255"));
    assert_false(is_in("192.0.2.0/24", "192.0.3.0"));
    assert_true(is_in("10.1.2.3", "10.1.2.3"));
    assert_false(is_in("10.1.2.3", "10.1.2.2"));
    assert_true(is_in("10.128.0.0/9", "10.200.0.1"));
    assert_false(is_in("10.128.0.0/9", "10.127.255.255"));
    assert_true(is_in("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(is_in("2001:db8::/33", "2001:db8:8000::1"));
}

TEST(everybody_is_two_networks) {
    assert_true(is_in("0.0.0.0/0", "203.0.113.9"));
    assert_false(is_in("0.0.0.0/0", "2001:db8::1"));
    assert_true(is_in("::/0", "2001:db8::1"));
}

TEST(an_ipv4_sender_on_an_ipv6_socket_is_the_same_sender) {
    assert_true(is_in("192.0.2.0/24", "::ffff:192.0.2.7"));
}

TEST(what_is_no_network_is_refused) {
    struct cidr c;
    static const char *const wrong[] = {"", "/8", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/8x", "host", "10.0.0.0/-1",
                                        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff:0000/64"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_int_equal(cidr_parse(&c, wrong[i]), -1);
}

TEST(loopback_addresses_are_known_as_such) {
    assert_true(access_is_loopback("127.0.0.1:514"));
    assert_true(access_is_loopback("[::1]:514"));
    assert_true(access_is_loopback("localhost:514"));
    assert_false(access_is_loopback("[::]:514"));
    assert_false(access_is_loopback(":514"));
    assert_false(access_is_loopback("0.0.0.0:514"));
}
