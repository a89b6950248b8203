// SPDX-License-Identifier: Apache-2.0
// Committed reads of a partition: order, resuming, transactions of either end, batches of any codec, positions inside a batch.
#include "store/scan.h"

#include <errno.h>
#include <stdio.h>

#include "base/hash.h"
#include "fixture.h"

static struct partition *part(struct store *s, struct topic **t) {
    *t = topic_get(s, "t");
    return topic_partition(*t, 0);
}

// Everything from `scan` on, as "offset:text ".
static void assert_scan(struct scan *scan, const char *want) {
    struct buf b = {0};
    struct record r;
    struct err err;
    int got;
    while ((got = scan_next(scan, &r, &err)) > 0) buf_printf(&b, "%lld:%.*s ", (long long)r.offset, STR_FMT(r.value));
    if (got < 0) fail_msg("%s", err.msg);
    assert_buf(&b, want);
    buf_done(&b);
}

static void append(struct store *s, struct partition *p, struct buf b, bool txn) {
    struct err err;
    struct commit *c = commit_new(s);
    if (txn) {
        b.p[22] |= BATCH_TRANSACTIONAL;
        put_be32(b.p + 17, crc32c(0, b.p + 21, b.n - 21));
    }
    assert_ok(commit_append(c, p, &b, false, &err), err);
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
}
static void end(struct store *s, struct partition *p, int64_t id, bool commit) {
    struct err err;
    struct commit *c = commit_new(s);
    assert_ok(commit_marker(c, p, id, 0, commit, 0, &err), err);
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
}

TEST(a_record_appended_alone_is_stamped_and_read_back_and_one_that_is_refused_leaves_nothing) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct scan scan;
    struct record r;
    struct err err;
    int64_t offset = -1, before = clock_wall_ms(&clock_real);
    fixture_topic(s, "t", 1, "max.message.bytes", "1000");
    struct partition *p = part(s, &t);
    char large[2000] = "";
    assert_ok(partition_append(p, STR("k"), STR("v"), &offset, &err), err);
    assert_int_equal(offset, 0);
    assert_fails(partition_append(p, STR("k"), str_make(large, sizeof(large)), &offset, &err), err, ERR_TOO_LARGE);
    assert_ok(partition_append(p, (struct str){0}, (struct str){0}, NULL, &err), err);
    scan_init(&scan, p, 0);
    assert_int_equal(scan_next(&scan, &r, &err), 1);
    assert_true(str_eqz(r.key, "k") && str_eqz(r.value, "v") && r.timestamp >= before);
    assert_int_equal(scan_next(&scan, &r, &err), 1);
    assert_true(!r.key.p && !r.value.p && r.offset == 1);
    assert_int_equal(scan_next(&scan, &r, &err), 0);
    scan_done(&scan);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(records_come_in_order_and_the_scan_goes_on_where_it_stopped) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct scan scan;
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    struct partition *p = part(s, &t);
    scan_init(&scan, p, 0);
    assert_scan(&scan, "");
    fixture_put(s, "t", 0, "a", &err);
    fixture_put(s, "t", 0, "b", &err);
    assert_scan(&scan, "0:a 1:b ");
    assert_scan(&scan, "");
    fixture_put(s, "t", 0, "c", &err);
    assert_scan(&scan, "2:c ");
    assert_int_equal(scan.next, 3);
    scan_done(&scan);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_scan_may_begin_inside_a_batch) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct scan scan;
    static const char *const texts[] = {"a", "b", "c", "d"};
    fixture_topic(s, "t", 1, NULL, NULL);
    struct partition *p = part(s, &t);
    append(s, p, fixture_batch(-1, -1, -1, texts, 4), false);
    scan_init(&scan, p, 2);
    assert_scan(&scan, "2:c 3:d ");
    scan_done(&scan);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(aborted_and_open_transactions_are_not_seen) {
    static const char *const one[] = {"a1", "a2"}, *const two[] = {"b1"};
    for (size_t read_bytes = 1; read_bytes < 2000; read_bytes += 150) { // also one batch at a time
        struct fs *fs = fs_mem_new();
        struct store *s = fixture_open(fs);
        struct topic *t;
        struct scan scan;
        struct err err;
        fixture_topic(s, "t", 1, NULL, NULL);
        struct partition *p = part(s, &t);
        append(s, p, fixture_batch(1, 0, 0, one, 2), true);  // 0 1
        append(s, p, fixture_batch(2, 0, 0, two, 1), true);  // 2
        fixture_put(s, "t", 0, "plain", &err);               // 3
        end(s, p, 1, false);                                 // 4
        end(s, p, 2, true);                                  // 5
        append(s, p, fixture_batch(1, 0, 2, one, 2), true);  // 6 7
        end(s, p, 1, true);                                  // 8
        append(s, p, fixture_batch(1, 0, 4, two, 1), true);  // 9
        scan_init(&scan, p, 0);
        scan.read_bytes = read_bytes;
        assert_scan(&scan, "2:b1 3:plain 6:a1 7:a2 ");
        end(s, p, 1, false); // 10
        fixture_put(s, "t", 0, "last", &err);
        assert_scan(&scan, "11:last ");
        scan_done(&scan);
        scan_init(&scan, p, 0); // with several transactions of one producer in one read
        scan.read_bytes = read_bytes;
        assert_scan(&scan, "2:b1 3:plain 6:a1 7:a2 11:last ");
        scan_done(&scan);
        topic_unref(t);
        fixture_close(s);
        fs_close(fs);
    }
}

TEST(a_scan_from_below_the_log_start_begins_there) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct scan scan;
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    struct partition *p = part(s, &t);
    for (int i = 0; i < 5; i++) fixture_put(s, "t", 0, "x", &err);
    assert_ok(partition_delete_before(p, 3, &err), err);
    scan_init(&scan, p, 0);
    assert_scan(&scan, "3:x 4:x ");
    scan_done(&scan);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_scan_that_goes_on_after_a_failure_shows_nothing_aborted_and_passes_nothing_over) {
    static const char *const one[] = {"a1", "a2"};
    struct fs *fs = fs_fault_new(fs_mem_new());
    struct store *s = fixture_open(fs);
    struct topic *t;
    struct scan scan;
    struct err err;
    struct record r;
    fixture_topic(s, "t", 1, NULL, NULL);
    struct partition *p = part(s, &t);
    append(s, p, fixture_batch(1, 0, 0, one, 2), true);
    fixture_put(s, "t", 0, "plain", &err);
    end(s, p, 1, false);
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_OPEN, .path = ".txnindex", .sys = EMFILE});
    scan_init(&scan, p, 0);
    assert_int_equal(scan_next(&scan, &r, &err), -1);
    assert_scan(&scan, "2:plain ");
    scan_done(&scan);
    topic_unref(t);
    fixture_close(s);
    fs_close(fs);
}
