// SPDX-License-Identifier: Apache-2.0
// Dumping a log's files: text and JSON lines, damage, indexes held against the log, folders, internal topics by a decoder.
#include "store/dump.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "fs_mem.h"
#include "index.h"
#include "producers.h"
#include "test.h"
#include "txnindex.h"

static int take(void *arg, struct str line) {
    buf_puts(arg, line);
    buf_u8(arg, '\n');
    return 0;
}
static void write_file(struct fs *fs, const char *path, const void *p, size_t n) {
    struct fs_file *f;
    struct err err;
    assert_ok(fs->ops->open(fs, path, FS_WRITE | FS_CREATE | FS_TRUNC, &f, &err), err);
    assert_ok(fs_pwrite(fs, f, p, n, 0, &err), err);
    assert_ok(fs->ops->close(f, &err), err);
}
static const struct record_header_in header = {{"h", 1}, {"v\n", 2}, false};

// A segment of base 100: one batch of two records, a marker, one compressed batch of two.
static struct buf segment(void) {
    struct buf b = {0};
    struct batch_builder w;
    struct err err;
    batch_begin(&w, &b, CODEC_NONE);
    w.producer_id = 7, w.producer_epoch = 1, w.base_sequence = 5, w.attributes = BATCH_TRANSACTIONAL;
    batch_add(&w, 1000, STR("key"), STR("a \"text\""), &header, 1);
    batch_add(&w, 1001, (struct str){NULL, 0}, str_make("\xff\xfe", 2), NULL, 0);
    assert_ok(batch_end(&w, &err), err);
    batch_patch(b.p, 100, 2);
    size_t second = b.n;
    batch_control(&b, 7, 1, false, 3, 1002);
    batch_patch(b.p + second, 102, 2);
    size_t third = b.n;
    char *large = xmalloc(2000);
    memset(large, 'x', 2000);
    batch_begin(&w, &b, CODEC_ZSTD);
    batch_add(&w, 900, STR("k"), str_make(large, 2000), NULL, 0);
    batch_add(&w, 2000, STR("k"), (struct str){NULL, 0}, NULL, 0);
    assert_ok(batch_end(&w, &err), err);
    batch_patch(b.p + third, 103, 2);
    free(large);
    return b;
}

static struct dump_result dump(struct fs *fs, struct dump_options o, const char *path, struct buf *out) {
    struct dump_result r = {0};
    struct err err;
    o.fs = fs, o.write = take, o.arg = out;
    assert_ok(dump_file(&o, path, &r, &err), err);
    return r;
}
static uint32_t crc_at(const struct buf *b, size_t at) { return get_be32(b->p + at + 17); }

TEST(a_segment_is_printed_as_kafkas_tool_does) {
    struct fs *fs = fs_mem_new();
    struct buf b = segment(), out = {0}, want = {0};
    write_file(fs, "00000000000000000100.log", b.p, b.n);
    struct dump_result r = dump(fs, (struct dump_options){.values = true, .max_bytes = 10}, "00000000000000000100.log", &out);
    assert_int_equal(r.batches, 3);
    assert_int_equal(r.records, 5);
    assert_int_equal(r.faults, 0);
    size_t second = 12 + get_be32(b.p + 8), third = second + 12 + get_be32(b.p + second + 8);
    buf_printf(&want,
               "Dumping 00000000000000000100.log\n"
               "baseOffset: 100 lastOffset: 101 count: 2 baseSequence: 5 lastSequence: 6 producerId: 7 producerEpoch: 1 partitionLeaderEpoch: 2 "
               "isTransactional: true isControl: false deleteHorizonMs: none position: 0 CreateTime: 1001 size: %zu magic: 2 compresscodec: none "
               "crc: %u isvalid: true\n"
               "| offset: 100 CreateTime: 1000 keySize: 3 valueSize: 8 sequence: 5 headers: [h=v\\n] key: key payload: a \\\"text\\\"\n"
               "| offset: 101 CreateTime: 1001 keySize: -1 valueSize: 2 sequence: 6 key: null payload_base64: //4=\n"
               "baseOffset: 102 lastOffset: 102 count: 1 baseSequence: -1 lastSequence: -1 producerId: 7 producerEpoch: 1 partitionLeaderEpoch: 2 "
               "isTransactional: true isControl: true deleteHorizonMs: none position: %zu CreateTime: 1002 size: %zu magic: 2 compresscodec: none "
               "crc: %u isvalid: true\n"
               "| offset: 102 CreateTime: 1002 keySize: 4 valueSize: 6 sequence: -1 endTxnMarker: ABORT coordinatorEpoch: 3\n"
               "baseOffset: 103 lastOffset: 104 count: 2 baseSequence: -1 lastSequence: -1 producerId: -1 producerEpoch: -1 partitionLeaderEpoch: 2 "
               "isTransactional: false isControl: false deleteHorizonMs: none position: %zu CreateTime: 2000 size: %zu magic: 2 compresscodec: zstd "
               "crc: %u isvalid: true\n"
               "| offset: 103 CreateTime: 900 keySize: 1 valueSize: 2000 sequence: -1 key: k payload: xxxxxxxxxx\n"
               "| offset: 104 CreateTime: 2000 keySize: 1 valueSize: -1 sequence: -1 key: k payload: null\n",
               second, crc_at(&b, 0), second, third - second, crc_at(&b, second), third, b.n - third, crc_at(&b, third));
    assert_buf(&out, buf_cstr(&want));
    buf_done(&b), buf_done(&out), buf_done(&want);
    fs_close(fs);
}

TEST(json_lines_hold_the_same_and_can_be_bounded_by_offset) {
    struct fs *fs = fs_mem_new();
    struct buf b = segment(), out = {0};
    write_file(fs, "00000000000000000100.log", b.p, b.n);
    dump(fs, (struct dump_options){.json = true, .values = true, .from = 102, .to = 103}, "00000000000000000100.log", &out);
    const char *text = buf_cstr(&out);
    assert_has(text, "{\"type\":\"file\",\"file\":\"00000000000000000100.log\"}\n{\"type\":\"batch\",\"baseOffset\":102,");
    assert_has(text, "\"deleteHorizonMs\":null");
    assert_has(text, "{\"type\":\"record\",\"offset\":102,\"CreateTime\":1002,\"keySize\":4,\"valueSize\":6,\"sequence\":-1,\"endTxnMarker\":\"ABORT\","
                     "\"coordinatorEpoch\":3}\n");
    assert_null(strstr(text, "\"baseOffset\":103"));
    struct str rest = str_trim(buf_str(&out)), line;
    while (str_split(&rest, '\n', &line)) {
        struct json_reader j;
        json_reader_init(&j, line);
        assert_int_equal(json_next(&j), JSON_OBJECT);
        assert_true(json_skip(&j));
        assert_int_equal(json_next(&j), JSON_END);
        json_reader_done(&j);
    }
    buf_done(&b), buf_done(&out);
    fs_close(fs);
}

TEST(without_values_a_record_has_its_sizes_and_key_and_the_number_of_batches_can_be_bounded) {
    struct fs *fs = fs_mem_new();
    struct buf b = segment(), out = {0};
    write_file(fs, "00000000000000000100.log", b.p, b.n);
    struct dump_result r = dump(fs, (struct dump_options){.json = true, .records = true, .max_batches = 1}, "00000000000000000100.log", &out);
    assert_int_equal(r.batches, 1);
    assert_has(buf_cstr(&out), "\"sequence\":5,\"headers\":[[\"h\",\"v\\n\"]],\"key\":\"key\"}\n");
    assert_null(strstr(buf_cstr(&out), "payload"));
    buf_done(&b), buf_done(&out);
    fs_close(fs);
}

TEST(headers_keep_their_order_and_names_may_repeat_and_values_be_null_or_no_text) {
    static const struct record_header_in list[] = {{{"a", 1}, {"1", 1}, false}, {{"a", 1}, {"\xff", 1}, false}, {{"b", 1}, {NULL, 0}, true}};
    struct fs *fs = fs_mem_new();
    struct buf b = {0}, out = {0};
    struct batch_builder w;
    struct err err;
    batch_begin(&w, &b, CODEC_NONE);
    batch_add(&w, 1000, STR(""), STR("v"), list, 3);
    assert_ok(batch_end(&w, &err), err);
    write_file(fs, "0.log", b.p, b.n);
    dump(fs, (struct dump_options){.json = true, .values = true}, "0.log", &out);
    assert_has(buf_cstr(&out), "\"headers\":[[\"a\",\"1\"],[\"a\",{\"$base64\":\"/w==\"}],[\"b\",null]],\"key\":\"\",\"payload\":\"v\"}");
    buf_clear(&out);
    dump(fs, (struct dump_options){.values = true}, "0.log", &out);
    assert_has(buf_cstr(&out), "headers: [a=1,a=\xef\xbf\xbd,b] key:  payload: v\n");
    buf_done(&b), buf_done(&out);
    fs_close(fs);
}

TEST(control_records_of_kafkas_metadata_have_their_names) {
    static const char key[] = {0, 0, 0, 3}, later[] = {0, 0, 0, 99};
    struct fs *fs = fs_mem_new();
    struct buf b = {0}, out = {0};
    struct batch_builder w;
    struct err err;
    batch_begin(&w, &b, CODEC_NONE);
    w.attributes = BATCH_CONTROL;
    batch_add(&w, 1000, str_make(key, 4), STR("v"), NULL, 0);
    batch_add(&w, 1000, str_make(later, 4), STR("v"), NULL, 0);
    assert_ok(batch_end(&w, &err), err);
    write_file(fs, "00000000000000000019-0000000001.checkpoint", b.p, b.n);
    struct dump_result r = dump(fs, (struct dump_options){.records = true}, "00000000000000000019-0000000001.checkpoint", &out);
    assert_int_equal(r.faults, 0);
    assert_has(buf_cstr(&out), "sequence: -1 controlType: SnapshotHeader\n");
    assert_has(buf_cstr(&out), "sequence: -1 controlType: unknown\n");
    buf_done(&b), buf_done(&out);
    fs_close(fs);
}

TEST(zeros_to_the_end_are_unused_and_no_damage) {
    struct fs *fs = fs_mem_new();
    struct buf b = segment(), out = {0};
    size_t n = b.n;
    buf_fill(&b, 0, 20000);
    write_file(fs, "00000000000000000100.log", b.p, b.n);
    struct dump_result r = dump(fs, (struct dump_options){.prefix = "/"}, "00000000000000000100.log", &out);
    assert_int_equal(r.faults, 0);
    assert_int_equal(r.batches, 3);
    struct buf want = {0};
    buf_printf(&want, "unused position: %zu size: 20000\n", n);
    assert_has(buf_cstr(&out), buf_cstr(&want));
    assert_has(buf_cstr(&out), "Dumping /00000000000000000100.log\n");
    fs_mem_flip(fs, "00000000000000000100.log", n + 19999, 1);
    buf_clear(&out);
    assert_int_equal(dump(fs, (struct dump_options){.prefix = "/"}, "00000000000000000100.log", &out).faults, 1);
    assert_has(buf_cstr(&out), "FAULT file: /00000000000000000100.log at: ");
    buf_done(&b), buf_done(&out), buf_done(&want);
    fs_close(fs);
}

TEST(epochs_are_printed_and_a_wrong_file_of_them_is_damage) {
    static const struct { const char *text, *has; uint64_t faults, entries; } rows[] = {
        {"0\n2\n0 0\n2 117\n", "epoch: 0 startOffset: 0\nepoch: 2 startOffset: 117\n", 0, 2},
        {"0\n2\n0 0\n", "at: 1 fault: a row is missing or wrong", 1, 1},
        {"0\n1\n0 0 0\n", "at: 0 fault: a row is missing or wrong", 1, 0},
        {"0\n1\n0 x\n", "fault: a row is missing or wrong", 1, 0},
        {"1\n1\n0 0\n", "fault: neither version 0", 1, 0},
        {"", "fault: neither version 0", 1, 0},
    };
    struct fs *fs = fs_mem_new();
    struct buf out = {0};
    for (size_t i = 0; i < countof(rows); i++) {
        buf_clear(&out);
        write_file(fs, "leader-epoch-checkpoint", rows[i].text, strlen(rows[i].text));
        struct dump_result r = dump(fs, (struct dump_options){0}, "leader-epoch-checkpoint", &out);
        assert_has(buf_cstr(&out), rows[i].has);
        assert_int_equal(r.faults, rows[i].faults);
        assert_int_equal(r.entries, rows[i].entries);
    }
    buf_done(&out);
    fs_close(fs);
}

TEST(damage_is_printed_and_counted_and_the_rest_goes_on) {
    struct fs *fs = fs_mem_new();
    struct buf b = segment(), out = {0};
    write_file(fs, "00000000000000000100.log", b.p, b.n);
    fs_mem_flip(fs, "00000000000000000100.log", 70, 1); // in the first batch's records
    struct dump_result r = dump(fs, (struct dump_options){.records = true}, "00000000000000000100.log", &out);
    assert_int_equal(r.faults, 1);
    assert_int_equal(r.batches, 3);
    assert_has(buf_cstr(&out), "isvalid: false\nFAULT file: 00000000000000000100.log at: 0 fault: record batch at offset 100: checksum is");
    fs_mem_flip(fs, "00000000000000000100.log", 70, 1);
    buf_clear(&out);
    write_file(fs, "00000000000000000100.log", b.p, b.n - 1); // torn
    r = dump(fs, (struct dump_options){0}, "00000000000000000100.log", &out);
    assert_int_equal(r.faults, 1);
    assert_int_equal(r.batches, 2);
    assert_has(buf_cstr(&out), "fault: no whole record batch here");
    buf_clear(&out);
    put_be64(b.p, 500);
    write_file(fs, "00000000000000000100.log", b.p, b.n);
    r = dump(fs, (struct dump_options){0}, "00000000000000000100.log", &out);
    assert_int_equal(r.faults, 1);
    assert_has(buf_cstr(&out), "fault: offsets do not rise");
    buf_done(&b), buf_done(&out);
    fs_close(fs);
}

// The segment again and again, with both indexes.
static void write_indexed(struct fs *fs) {
    struct buf all = {0};
    struct index *x;
    struct err err;
    struct index_options o = {.fs = fs, .stem = "t-0/00000000000000000100", .base_offset = 100, .interval = 100};
    assert_ok(fs->ops->mkdir(fs, "t-0", &err), err);
    assert_ok(index_create(&o, &x, &err), err);
    for (int i = 0; i < 20; i++) {
        struct batch_builder w;
        struct batch_header h;
        size_t at = all.n;
        batch_begin(&w, &all, CODEC_NONE);
        batch_add(&w, 1000 + i, STR("k"), STR("v"), NULL, 0);
        assert_ok(batch_end(&w, &err), err);
        batch_patch(all.p + at, 100 + i, 0);
        assert_int_equal(batch_read_header(all.p + at, all.n - at, &h), 0);
        index_note(x, &h, at);
    }
    assert_ok(index_seal(x, &err), err);
    index_free(x);
    write_file(fs, "t-0/00000000000000000100.log", all.p, all.n);
    buf_done(&all);
}

TEST(index_entries_are_printed_and_held_against_the_log) {
    struct fs *fs = fs_mem_new();
    struct buf out = {0};
    write_indexed(fs);
    struct dump_options o = {.verify = true};
    struct dump_result r = dump(fs, o, "t-0/00000000000000000100.index", &out);
    assert_int_equal(r.faults, 0);
    assert_true(r.entries > 5);
    assert_has(buf_cstr(&out), "Dumping t-0/00000000000000000100.index\noffset: 102 position: 140\n");
    buf_clear(&out);
    r = dump(fs, o, "t-0/00000000000000000100.timeindex", &out);
    assert_int_equal(r.faults, 0);
    assert_has(buf_cstr(&out), "timestamp: 1002 offset: 102\n");
    fs_mem_flip(fs, "t-0/00000000000000000100.index", 7, 1);
    fs_mem_flip(fs, "t-0/00000000000000000100.timeindex", 7, 1);
    assert_int_equal(dump(fs, o, "t-0/00000000000000000100.index", &out).faults, 1);
    assert_int_equal(dump(fs, o, "t-0/00000000000000000100.timeindex", &out).faults, 1);
    assert_int_equal(dump(fs, (struct dump_options){0}, "t-0/00000000000000000100.index", &out).faults, 0);
    buf_done(&out);
    fs_close(fs);
}

TEST(what_kafka_preallocates_in_an_index_is_not_printed) {
    struct fs *fs = fs_mem_new();
    struct buf out = {0};
    static const uint8_t entries[64] = {0, 0, 0, 5, 0, 0, 0, 100};
    write_file(fs, "00000000000000000100.index", entries, sizeof(entries));
    struct dump_result r = dump(fs, (struct dump_options){0}, "00000000000000000100.index", &out);
    assert_int_equal(r.faults, 0);
    assert_buf(&out, "Dumping 00000000000000000100.index\noffset: 105 position: 100\n");
    buf_clear(&out);
    static const uint8_t times[36] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 8}; // a record of 1970 is none of them
    write_file(fs, "00000000000000000100.timeindex", times, sizeof(times));
    dump(fs, (struct dump_options){0}, "00000000000000000100.timeindex", &out);
    assert_buf(&out, "Dumping 00000000000000000100.timeindex\ntimestamp: 0 offset: 107\ntimestamp: 9 offset: 108\n");
    buf_clear(&out);
    write_file(fs, "00000000000000000100.index", entries + 8, sizeof(entries) - 8); // of a segment just begun
    dump(fs, (struct dump_options){0}, "00000000000000000100.index", &out);
    assert_buf(&out, "Dumping 00000000000000000100.index\n");
    buf_done(&out);
    fs_close(fs);
}

TEST(aborted_transactions_and_producers_are_printed) {
    struct fs *fs = fs_mem_new();
    struct buf out = {0}, snapshot = {0};
    struct err err;
    const struct producer_end end = {7, 1, 5, 6, true};
    struct producers *p = producers_new();
    struct producer_end unused;
    const struct batch_header h = {.base_offset = 10, .last_offset_delta = 2, .max_timestamp = 99, .producer_id = 4, .producer_epoch = 1, .base_sequence = 0,
                                   .attributes = BATCH_TRANSACTIONAL};
    assert_ok(txnindex_put(fs, "0", 0, &end, &err), err);
    dump(fs, (struct dump_options){0}, "0.txnindex", &out);
    assert_buf(&out, "Dumping 0.txnindex\nversion: 0 producerId: 7 firstOffset: 1 lastOffset: 5 lastStableOffset: 6\n");
    producers_apply(p, &h, NULL, 0, &unused);
    producers_snapshot(p, &snapshot);
    write_file(fs, "13.snapshot", snapshot.p, snapshot.n);
    dump(fs, (struct dump_options){0}, "13.snapshot", &out);
    assert_buf(&out, "Dumping 13.snapshot\nproducerId: 4 producerEpoch: 1 coordinatorEpoch: -1 currentTxnFirstOffset: 10 lastTimestamp: 99 batches: 1 "
                     "lastSequence: 2 lastOffset: 12 offsetDelta: 2\n");
    fs_mem_flip(fs, "13.snapshot", 20, 1);
    assert_int_equal(dump(fs, (struct dump_options){0}, "13.snapshot", &out).faults, 1);
    producers_free(p);
    buf_done(&out), buf_done(&snapshot);
    fs_close(fs);
}

static bool decode(void *arg, const char *path, struct str key, struct str value, struct json_writer *w) {
    if (!strstr(path, "__")) return false;
    json_ks(w, "decoded_key", key);
    return true;
}
static int stop(void *arg, struct str line) { return 1; }

TEST(folders_are_walked_and_internal_topics_decoded) {
    struct fs *fs = fs_mem_new();
    struct buf b = segment(), out = {0};
    struct err err;
    struct dump_result r = {0};
    struct dump_options o = {.fs = fs, .values = true, .write = take, .arg = &out, .decode = decode};
    write_indexed(fs);
    assert_ok(fs->ops->mkdir(fs, "__x-0", &err), err);
    write_file(fs, "__x-0/00000000000000000100.log", b.p, b.n);
    write_file(fs, "__x-0/partition.metadata", "x", 1);
    write_file(fs, "journal", "x", 1);
    assert_ok(dump_directory(&o, ".", &r, &err), err);
    assert_int_equal(r.files, 4);
    assert_int_equal(r.records, 25);
    assert_has(buf_cstr(&out), "sequence: 5 headers: [h=v\\n] {\"decoded_key\":\"key\"}\n");
    buf_clear(&out);
    o.json = true;
    assert_ok(dump_directory(&o, "__x-0", &r, &err), err);
    assert_has(buf_cstr(&out), "\"headers\":[[\"h\",\"v\\n\"]],\"decoded\":{\"decoded_key\":\"key\"}}\n");
    assert_fails(dump_file(&o, "journal", &r, &err), err, ERR_UNSUPPORTED);
    assert_fails(dump_file(&o, "no.log", &r, &err), err, ERR_NOT_FOUND);
    o.write = stop;
    assert_fails(dump_directory(&o, ".", &r, &err), err, ERR_CANCELLED);
    buf_done(&b), buf_done(&out);
    fs_close(fs);
}
