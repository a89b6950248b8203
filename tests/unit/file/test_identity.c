// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "identity.h"
#include "test.h"
#include "tmpdir.h"

static void random_bytes(char *p, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) p[i] = (char)test_random(&seed);
}

TEST(what_is_consumed_in_pieces_is_what_is_loaded_at_once) {
    enum { SIZE = 5000 };
    char bytes[SIZE];
    uint64_t seed = 3;
    random_bytes(bytes, SIZE, 1);
    int fd = open(tmpdir_bytes(tmpdir_new(), "f", bytes, SIZE), O_RDONLY);
    for (int round = 0; round < 200; round++) {
        struct identity consumed, loaded;
        size_t at = 0, end = test_random(&seed) % (SIZE + 1);
        identity_reset(&consumed);
        while (at < end) {
            size_t n = 1 + test_random(&seed) % 700;
            if (n > end - at) n = end - at;
            identity_consume(&consumed, (int64_t)at, bytes + at, n);
            at += n;
        }
        assert_int_equal(identity_load(&loaded, fd, (int64_t)end), 0);
        struct place a = identity_place(&consumed, (int64_t)end, false), b = identity_place(&loaded, (int64_t)end, false);
        assert_true(a.head == b.head && a.head_n == b.head_n && a.mark == b.mark && a.mark_n == b.mark_n);
        assert_true(identity_matches(fd, &a));
    }
    close(fd);
}

// The file holds `bytes` with the byte at `change` changed (-1: none), cut to n.
static bool matches(const char *bytes, size_t n, int64_t change, const struct place *place) {
    char *copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    if (change >= 0) copy[change] ^= 1;
    int fd = open(tmpdir_bytes(tmpdir_new(), "f", copy, n), O_RDONLY);
    bool is = identity_matches(fd, place);
    close(fd);
    free(copy);
    return is;
}

TEST(another_file_does_not_match) {
    enum { SIZE = 3000, OFFSET = 2000 };
    char bytes[SIZE];
    struct identity id;
    random_bytes(bytes, SIZE, 2);
    identity_reset(&id);
    identity_consume(&id, 0, bytes, OFFSET);
    struct place place = identity_place(&id, OFFSET, false);
    assert_true(matches(bytes, SIZE, -1, &place));
    assert_true(matches(bytes, SIZE, OFFSET, &place));            // what follows may differ
    assert_true(matches(bytes, OFFSET, -1, &place));
    assert_false(matches(bytes, OFFSET - 1, -1, &place));         // truncated
    assert_false(matches(bytes, SIZE, 0, &place));                // another head
    assert_false(matches(bytes, SIZE, IDENTITY_HEAD - 1, &place));
    assert_false(matches(bytes, SIZE, OFFSET - 1, &place));       // equal heads, another marker
    assert_false(matches(bytes, SIZE, OFFSET - IDENTITY_MARK, &place));
}

TEST(nothing_read_matches_any_file) {
    struct identity id;
    identity_reset(&id);
    struct place place = identity_place(&id, 0, false);
    assert_true(matches("x", 0, -1, &place));
    assert_true(matches("xyz", 3, -1, &place));
}

TEST(positions_survive_their_text) {
    struct position p = {.device = 0xffffffffffu, .inode = 1234567890123, .at_s = 1768046400}, back;
    char partition[128], offset[POSITION_MAX];
    strcpy(p.path, "/var/log/a \"quoted\" \\ name.log");
    p.place = (struct place){.offset = 1 << 30, .head = 0xfedcba9876543210u, .mark = 1, .head_n = 1024, .mark_n = 256, .skipping = true};
    assert_non_null(position_partition(partition, sizeof partition, p.device, p.inode));
    assert_non_null(position_offset(offset, sizeof offset, &p));
    assert_string_equal(partition, "{\"device\":1099511627775,\"inode\":1234567890123}");
    assert_has(offset, "\"head\":\"1024:fedcba9876543210\",\"mark\":\"256:0000000000000001\",\"skipping\":true,\"at\":1768046400}");
    assert_int_equal(position_parse(&back, partition, offset), 0);
    assert_string_equal(back.path, p.path);
    assert_true(back.device == p.device && back.inode == p.inode && back.at_s == p.at_s);
    assert_memory_equal(&back.place, &p.place, sizeof p.place);
}

TEST(what_is_no_position_is_refused) {
    struct position p;
    static const char good[] = "{\"path\":\"/a\",\"offset\":1,\"head\":\"1:0\",\"mark\":\"1:0\",\"skipping\":false,\"at\":1}";
    assert_int_equal(position_parse(&p, "{\"device\":1,\"inode\":2}", good), 0);
    assert_int_equal(position_parse(&p, "{\"filename\":\"/a\"}", good), -1);
    assert_int_equal(position_parse(&p, "{\"device\":1,\"inode\":2}", NULL), -1);
    assert_int_equal(position_parse(&p, "{\"device\":1,\"inode\":2}", "{\"position\":3}"), -1);
    assert_int_equal(position_parse(&p, "{\"device\":1,\"inode\":2}", "{\"path\":\"/a\",\"offset\":-1,\"head\":\"1:0\",\"mark\":\"1:0\"}"), -1);
    assert_int_equal(position_parse(&p, "{\"device\":1,\"inode\":2}", "{\"path\":\"/a\",\"offset\":1,\"head\":\"1:0x\",\"mark\":\"1:0\"}"), -1);
}

TEST(a_place_that_claims_more_than_can_be_read_does_not_match) {
    struct place place = {.offset = 10, .head_n = 100000, .mark_n = 5};
    assert_false(matches("0123456789", 10, -1, &place));
    place = (struct place){.offset = 10, .head_n = 5, .mark_n = 11};
    assert_false(matches("0123456789", 10, -1, &place));
}
