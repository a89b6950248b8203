// SPDX-License-Identifier: Apache-2.0
// Kafka's coordinator records: fixed layouts, round trips, every cut, older and flexible versions.
#include "coord/records.h"

#include "base/mem.h"
#include "base/text.h"
#include "test.h"

static struct buf hex(const char *text) {
    struct buf b = {0};
    assert_true(hex_decode(&b, str_of(text)));
    return b;
}
static void assert_hex(struct buf *b, const char *want) {
    struct buf text = {0};
    hex_encode(&text, b->p, b->n);
    assert_buf(&text, want);
    buf_done(&text);
    buf_done(b);
}

// ── partitions ───────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(groups_lie_where_kafka_puts_them) {
    assert_int_equal(coord_partition(STR("console-consumer-1"), 50), 24); // as String.hashCode says
    assert_int_equal(coord_partition(STR("a"), 50), 97 % 50);
    assert_int_equal(coord_partition(STR("polygenelubricants"), 50), 0); // its hashCode is the smallest integer
    assert_int_equal(coord_partition(STR(""), 50), 0);
}

// ── layouts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(offset_commits_are_laid_out_as_kafkas) {
    struct buf b = {0};
    offsets_key_encode(&b, &(struct offsets_key){.kind = OFFSETS_KEY_COMMIT, .group = STR("g"), .topic = STR("top"), .partition = 7});
    assert_hex(&b, "0001" "000167" "0003746f70" "00000007");
    offset_value_encode(&b, &(struct offset_value){258, 5, STR("me"), 1000, -1});
    assert_hex(&b, "0003" "0000000000000102" "00000005" "00026d65" "00000000000003e8");
    struct uuid id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    offset_value_encode(&b, &(struct offset_value){258, 5, STR("me"), 1000, -1, id});
    assert_hex(&b, "0004" "0000000000000102" "00000005" "036d65" "00000000000003e8" "01" "00" "10" "0102030405060708090a0b0c0d0e0f10");
    offsets_key_encode(&b, &(struct offsets_key){.kind = OFFSETS_KEY_GROUP, .group = STR("g")});
    assert_hex(&b, "0002" "000167");
}

TEST(a_group_is_laid_out_as_kafkas) {
    struct buf b = {0};
    struct group_member m = {STR("m"), {NULL, 0}, STR("c"), STR("/h"), 300000, 45000, STR("sub"), STR("as")};
    group_value_encode(&b, &(struct group_value){STR("consumer"), STR("range"), {NULL, 0}, 3, 9, &m, 1});
    assert_hex(&b, "0003" "0008636f6e73756d6572" "00000003" "000572616e6765" "ffff" "0000000000000009" "00000001"
                   "00016d" "ffff" "000163" "00022f68" "000493e0" "0000afc8" "00000003737562" "000000026173");
}

TEST(transactions_are_laid_out_as_kafkas) {
    struct buf b = {0};
    const int32_t partitions[] = {0, 2};
    struct txn_topic topic = {STR("t"), partitions, 2};
    txn_key_encode(&b, STR("id"));
    assert_hex(&b, "0000" "00026964");
    txn_value_encode(&b, &(struct txn_value){.producer_id = 1, .producer_epoch = 2, .previous_id = -1, .next_id = -1, .timeout_ms = 60000,
                                             .status = TXN_ONGOING, .topics = &topic, .topic_count = 1, .update_ms = 10, .start_ms = 11});
    assert_hex(&b, "0000" "0000000000000001" "0002" "0000ea60" "01" "00000001" "000174" "00000002" "00000000" "00000002"
                   "000000000000000a" "000000000000000b");
    txn_value_encode(&b, &(struct txn_value){.producer_id = 1, .producer_epoch = 2, .previous_id = -1, .next_id = 5, .client_version = 2,
                                             .timeout_ms = 60000, .status = TXN_EMPTY, .update_ms = 10, .start_ms = -1});
    assert_hex(&b, "0001" "0000000000000001" "0002" "0000ea60" "00" "00" "000000000000000a" "ffffffffffffffff"
                   "02" "0108" "0000000000000005" "0202" "0002");
}

// ── round trips and cuts ─────────────────────────────────────────────────────────────────────────────────────────────

// What a decoder makes of an input, as text; failed is true when it refused.
typedef bool decoder(struct str in, struct buf *ret_text);

static bool decode_key(struct str in, struct buf *t) {
    struct offsets_key k;
    if (offsets_key_decode(in, &k, NULL) < 0) return false;
    buf_printf(t, "%d %.*s %.*s %d", k.kind, STR_FMT(k.group), STR_FMT(k.topic), k.partition);
    return true;
}
static bool decode_offset(struct str in, struct buf *t) {
    struct offset_value v;
    if (offset_value_decode(in, &v, NULL) < 0) return false;
    buf_printf(t, "%lld %d %.*s %lld %lld", (long long)v.offset, v.leader_epoch, STR_FMT(v.metadata), (long long)v.commit_ms, (long long)v.expire_ms);
    if (!uuid_is_zero(v.topic_id)) buf_printf(t, " id %d", v.topic_id.b[15]);
    return true;
}
static bool decode_group(struct str in, struct buf *t) {
    struct group_value v;
    if (group_value_decode(in, &v, NULL) < 0) return false;
    buf_printf(t, "%.*s %d %.*s %s %lld", STR_FMT(v.protocol_type), v.generation, STR_FMT(v.protocol), v.leader.p ? "leader" : "null", (long long)v.state_ms);
    for (uint32_t i = 0; i < v.member_count; i++) {
        const struct group_member *m = &v.members[i];
        buf_printf(t, " [%.*s %s %.*s %.*s %d %d %.*s %.*s]", STR_FMT(m->id), m->instance.p ? "static" : "dynamic", STR_FMT(m->client_id),
                   STR_FMT(m->client_host), m->rebalance_timeout_ms, m->session_timeout_ms, STR_FMT(m->subscription), STR_FMT(m->assignment));
    }
    group_value_done(&v);
    return true;
}
static bool decode_txn_key(struct str in, struct buf *t) {
    struct str id;
    if (txn_key_decode(in, &id, NULL) < 0) return false;
    buf_puts(t, id);
    return true;
}
static bool decode_txn(struct str in, struct buf *t) {
    struct txn_value v;
    if (txn_value_decode(in, &v, NULL) < 0) return false;
    buf_printf(t, "%lld/%d %lld %lld %d %s %d", (long long)v.producer_id, v.producer_epoch, (long long)v.previous_id, (long long)v.next_id,
               v.client_version, txn_status_name(v.status), v.timeout_ms);
    for (uint32_t i = 0; i < v.topic_count; i++) {
        buf_printf(t, " %.*s", STR_FMT(v.topics[i].name));
        for (uint32_t j = 0; j < v.topics[i].partition_count; j++) buf_printf(t, "-%d", v.topics[i].partitions[j]);
    }
    buf_printf(t, " %lld %lld", (long long)v.update_ms, (long long)v.start_ms);
    txn_value_done(&v);
    return true;
}

static const struct sample {
    const char *hex, *want;
    decoder *decode;
} samples[] = {
    {"0001" "000167" "0003746f70" "00000007", "0 g top 7", decode_key},
    {"0000" "000167" "0003746f70" "00000007", "0 g top 7", decode_key},
    {"0002" "000167", "1 g  0", decode_key},
    // offset values, version 0 to 4 (the last with an unknown tagged field)
    {"0000" "0000000000000102" "00026d65" "00000000000003e8", "258 -1 me 1000 -1", decode_offset},
    {"0001" "0000000000000102" "00026d65" "00000000000003e8" "00000000000003e9", "258 -1 me 1000 1001", decode_offset},
    {"0002" "0000000000000102" "00026d65" "00000000000003e8", "258 -1 me 1000 -1", decode_offset},
    {"0003" "0000000000000102" "00000005" "00026d65" "00000000000003e8", "258 5 me 1000 -1", decode_offset},
    {"0004" "0000000000000102" "00000005" "036d65" "00000000000003e8" "00", "258 5 me 1000 -1", decode_offset},
    {"0004" "0000000000000102" "00000005" "036d65" "00000000000003e8" "01" "01" "03" "aabbcc", "258 5 me 1000 -1", decode_offset},
    {"0004" "0000000000000102" "00000005" "036d65" "00000000000003e8" "01" "00" "10" "0102030405060708090a0b0c0d0e0f10", "258 5 me 1000 -1 id 16", decode_offset},
    // group values, version 0 to 4
    {"0000" "000163" "00000003" "000172" "ffff" "00000001" "00016d" "000163" "00022f68" "0000afc8" "00000001aa" "00000000", NULL, decode_group},
    {"0001" "000163" "00000003" "000172" "ffff" "00000001" "00016d" "000163" "00022f68" "000493e0" "0000afc8" "00000000" "00000000",
     "c 3 r null -1 [m dynamic c /h 300000 45000  ]", decode_group},
    {"0002" "000163" "00000003" "000172" "00016c" "0000000000000009" "00000000", "c 3 r leader 9", decode_group},
    {"0003" "000163" "00000003" "000172" "ffff" "0000000000000009" "00000001" "00016d" "000169" "000163" "00022f68" "000493e0" "0000afc8"
     "0000000173" "0000000161", "c 3 r null 9 [m static c /h 300000 45000 s a]", decode_group},
    {"0004" "0263" "00000003" "0272" "00" "0000000000000009" "02" "026d" "00" "0263" "032f68" "000493e0" "0000afc8" "0273" "0261" "00" "00",
     "c 3 r null 9 [m dynamic c /h 300000 45000 s a]", decode_group},
    {"0000" "00026964", "id", decode_txn_key},
    {"0000" "0000000000000001" "0002" "0000ea60" "01" "00000001" "000174" "00000002" "00000000" "00000002" "000000000000000a" "000000000000000b",
     "1/2 -1 -1 0 Ongoing 60000 t-0-2 10 11", decode_txn},
    {"0000" "0000000000000001" "0002" "0000ea60" "00" "ffffffff" "000000000000000a" "ffffffffffffffff", "1/2 -1 -1 0 Empty 60000 10 -1", decode_txn},
    {"0001" "0000000000000001" "0002" "0000ea60" "03" "02" "0274" "02" "00000004" "00" "000000000000000a" "000000000000000b"
     "03" "0008" "0000000000000009" "0108" "0000000000000005" "0202" "0002", "1/2 9 5 2 PrepareAbort 60000 t-4 10 11", decode_txn},
};

TEST(every_version_reads_back) {
    for (size_t i = 0; i < countof(samples); i++) {
        struct buf in = hex(samples[i].hex), text = {0};
        if (!samples[i].decode(buf_str(&in), &text)) fail_msg("sample %zu was refused", i);
        if (samples[i].want) assert_buf(&text, samples[i].want);
        buf_done(&in);
        buf_done(&text);
    }
}

TEST(a_record_cut_at_any_byte_or_with_more_behind_is_refused) {
    for (size_t i = 0; i < countof(samples); i++) {
        struct buf in = hex(samples[i].hex), text = {0};
        for (size_t n = 0; n < in.n; n++) {
            uint8_t *exact = xmemdup(in.p, n);
            assert_false(samples[i].decode(str_make(exact, n), &text));
            free(exact);
        }
        buf_u8(&in, 0);
        assert_false(samples[i].decode(buf_str(&in), &text));
        buf_done(&in);
        buf_done(&text);
    }
}

TEST(a_flipped_bit_never_reads_past_the_end) {
    for (size_t i = 0; i < countof(samples); i++) {
        struct buf in = hex(samples[i].hex), text = {0};
        for (size_t bit = 0; bit < in.n * 8; bit++) {
            uint8_t *exact = xmemdup(in.p, in.n);
            exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
            samples[i].decode(str_make(exact, in.n), &text);
            buf_clear(&text);
            free(exact);
        }
        buf_done(&in);
        buf_done(&text);
    }
}

TEST(later_versions_are_told_from_damage) {
    struct offsets_key k;
    struct offset_value v;
    struct group_value g;
    struct txn_value t;
    struct str id;
    struct err err;
    assert_ok(offsets_key_decode(str_make("\0\3anything", 10), &k, &err), err);
    assert_int_equal(k.kind, OFFSETS_KEY_UNKNOWN);
    assert_fails(offset_value_decode(str_make("\0\5anything", 10), &v, &err), err, ERR_UNSUPPORTED);
    assert_fails(group_value_decode(str_make("\0\5anything", 10), &g, &err), err, ERR_UNSUPPORTED);
    assert_fails(txn_value_decode(str_make("\0\2anything", 10), &t, &err), err, ERR_UNSUPPORTED);
    assert_fails(txn_key_decode(str_make("\0\1anything", 10), &id, &err), err, ERR_UNSUPPORTED);
    assert_fails(txn_key_decode(str_make("\0", 1), &id, &err), err, ERR_CORRUPT);
}

TEST(claimed_counts_are_bounded_by_the_bytes_that_are_there) {
    struct buf b = hex("0003" "000163" "00000003" "000172" "ffff" "0000000000000009" "7fffffff");
    struct group_value g;
    struct txn_value t;
    struct err err;
    assert_fails(group_value_decode(buf_str(&b), &g, &err), err, ERR_CORRUPT);
    buf_done(&b);
    b = hex("0001" "0000000000000001" "0002" "0000ea60" "03" "ffffffffffffffffff01" "00");
    assert_fails(txn_value_decode(buf_str(&b), &t, &err), err, ERR_CORRUPT);
    buf_done(&b);
}
