// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/mem.h"
#include "test.h"

// RFC 3720 B.4, and the check value of the CRC catalogue.
TEST(a_single_changed_byte_is_found_by_what_it_does_to_the_crc32c) {
    uint8_t bytes[3000];
    struct crc_byte found[8];
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)(i * 31 + (i >> 3));
    for (size_t at = 0; at < sizeof(bytes); at += 7) {
        uint8_t mask = (uint8_t)(at % 255 + 1);
        uint32_t was = crc32c(9, bytes, sizeof(bytes));
        bytes[at] ^= mask;
        uint32_t is = crc32c(9, bytes, sizeof(bytes));
        bytes[at] ^= mask;
        assert_int_equal(crc32c_one_byte(was ^ is, sizeof(bytes), found, 8), 1);
        assert_int_equal(found[0].position, at);
        assert_int_equal(found[0].mask, mask);
    }
    assert_int_equal(crc32c_one_byte(0, sizeof(bytes), found, 8), 0);
}

TEST(crc32c_has_the_published_values) {
    uint8_t bytes[32];
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, "", 0), 0);
}

TEST(hardware_and_table_agree_at_every_length_and_alignment) {
    enum { MOST = 8000 };
    uint8_t *bytes = xmalloc(MOST + 8);
    uint64_t seed = 7;
    for (int i = 0; i < MOST + 8; i++) bytes[i] = (uint8_t)test_random(&seed);
    for (size_t n = 0; n < MOST; n += n < 1000 ? 1 : 61)
        for (size_t skip = 0; skip < 8; skip += n < 1000 ? 1 : 3)
            assert_int_equal(crc32c((uint32_t)n, bytes + skip, n), crc32c_portable((uint32_t)n, bytes + skip, n));
    free(bytes);
}

TEST(a_crc_continues_over_parts) {
    char text[5000];
    memset(text, 'q', sizeof(text));
    uint32_t whole = crc32c(0, text, sizeof(text));
    for (size_t cut = 0; cut <= sizeof(text); cut += 333)
        assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, sizeof(text) - cut), whole);
}

// From org.apache.kafka.common.utils.UtilsTest.testMurmur2.
TEST(murmur2_matches_kafkas_partitioner) {
    static const struct {
        const char *key;
        int32_t hash;
    } rows[] = {{"21", -973932308}, {"foobar", -790332482}, {"a-little-bit-long-string", -985981536},
                {"a-little-bit-longer-string", -1486304829}, {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
                {"abc", 479470107}};
    for (size_t i = 0; i < countof(rows); i++)
        assert_int_equal((int32_t)murmur2(rows[i].key, strlen(rows[i].key)), rows[i].hash);
    assert_int_equal((int32_t)murmur2("", 0), 275646681);
}

// By the definition in java.lang.String, over UTF-16 units.
TEST(string_hashes_match_javas) {
    static const struct {
        const char *text;
        int32_t hash;
    } rows[] = {{"", 0}, {"a", 97}, {"hello", 99162322}, {"connect-shop-search", -2030874628}, {"\xc3\xa9", 233}, {"\xf0\x9f\x98\x80", 1772899}};
    for (size_t i = 0; i < countof(rows); i++)
        assert_int_equal(java_string_hash(rows[i].text, strlen(rows[i].text)), rows[i].hash);
}

TEST(uuids_print_and_read_back_in_kafkas_form) {
    for (int i = 0; i < 200; i++) {
        struct uuid u = uuid_random(), back;
        char text[23], hex[37];
        uuid_kafka(u, text);
        assert_int_equal(strlen(text), 22);
        assert_true(text[0] != '-');
        assert_int_equal(uuid_from_kafka(text, 22, &back), 0);
        assert_memory_equal(&u, &back, sizeof(u));
        uuid_hex(u, hex);
        assert_true(strlen(hex) == 36 && hex[14] == '4' && strchr("89ab", hex[19]));
    }
    struct uuid u = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, back;
    char text[23];
    uuid_kafka(u, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ"); // Kafka's METADATA_TOPIC_ID
    assert_int_equal(uuid_from_kafka("AAAAAAAAAAAAAAAAAAAAAQ", 22, &back), 0);
    assert_int_equal(uuid_from_kafka("AAAAAAAAAAAAAAAAAAAAAR", 22, &back), -1); // spare bits
    assert_int_equal(uuid_from_kafka("AAAAAAAAAAAAAAAAAAAAA", 21, &back), -1);
    assert_int_equal(uuid_from_kafka("AAAAAAAAAA+AAAAAAAAAAQ", 22, &back), -1);
}

TEST(random_numbers_differ) { assert_true(random_u64() != random_u64()); }
