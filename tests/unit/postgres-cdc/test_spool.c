// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>

#include "spool.h"
#include "testhost.h"

#include "test.h" // last: cmocka makes a macro of `fail`

const struct cn_plugin *connectd_plugin_v1(void);

static struct testhost *host(int64_t limit) {
    struct testhost *t = testhost_new(connectd_plugin_v1(), NULL, NULL);
    testhost_spool_limit(t, limit);
    return t;
}

static void append(struct spool *s, uint32_t xid, uint32_t sub, const char *text) {
    struct pgerr e = {0};
    assert_int_equal(spool_append(s, spool_tx(s, xid), sub, 1000 + sub, text, strlen(text), &e), 0);
}

/* What is read, joined by '|'. */
static void content_is(struct spool *s, uint32_t xid, const char *want) {
    struct pgerr e = {0};
    struct spool_tx *t = spool_find(s, xid);
    char out[4096] = "";
    const char *p;
    size_t n;
    uint64_t lsn;
    t->read_at = 0;
    while (spool_next(s, t, &lsn, &p, &n, &e) == 1) {
        if (*out) strcat(out, "|");
        strncat(out, p, n);
    }
    assert_string_equal(out, want);
}

static void run(int64_t memory) {
    struct testhost *t = host(1 << 20);
    struct pgerr e = {0};
    struct spool s;
    spool_init(&s, &t->host, memory);
    append(&s, 10, 10, "a");
    append(&s, 20, 20, "other");
    append(&s, 10, 11, "b"); /* subtransaction 11 */
    append(&s, 10, 12, "c"); /* 12 inside it */
    append(&s, 10, 12, "d");
    content_is(&s, 10, "a|b|c|d");
    assert_int_equal(spool_cut(&s, spool_find(&s, 10), 12, &e), 0);
    content_is(&s, 10, "a|b");
    append(&s, 10, 11, "x");
    append(&s, 10, 13, "e");
    content_is(&s, 10, "a|b|x|e");
    assert_int_equal(spool_cut(&s, spool_find(&s, 10), 11, &e), 0);
    content_is(&s, 10, "a");
    assert_int_equal(spool_cut(&s, spool_find(&s, 10), 99, &e), 0); /* did nothing */
    append(&s, 10, 10, "f");
    content_is(&s, 10, "a|f");
    content_is(&s, 20, "other");
    spool_drop(&s, spool_find(&s, 20));
    assert_null(spool_find(&s, 20));
    spool_done(&s);
    assert_int_equal(testhost_spooled(t), 0);
    assert_int_equal(s.in_memory, 0);
    testhost_free(t);
}

TEST(subtransactions_are_cut_from_their_first_message_on) { run(1 << 20); }
TEST(the_same_holds_in_the_file) { run(1); }
TEST(and_half_in_memory_half_in_the_file) { run(40); }

TEST(a_large_transaction_goes_through_the_file_unchanged) {
    struct testhost *t = host(64 << 20);
    struct pgerr e = {0};
    struct spool s;
    char text[5000];
    uint64_t seed = 5, lsn;
    spool_init(&s, &t->host, 1 << 16);
    struct spool_tx *x = spool_tx(&s, 7);
    for (uint32_t i = 0; i < 4000; i++) {
        size_t n = 1 + test_random(&seed) % sizeof text;
        memset(text, (char)('a' + i % 26), n);
        memcpy(text, &i, n < 4 ? n : 4);
        assert_int_equal(spool_append(&s, x, 7, i, text, n, &e), 0);
        assert_true(s.in_memory < (1 << 16) + (512 << 10));
    }
    assert_true(testhost_spooled(t) > 1 << 20);
    seed = 5;
    const char *p;
    size_t len;
    for (uint32_t i = 0; i < 4000; i++) {
        size_t n = 1 + test_random(&seed) % sizeof text;
        assert_int_equal(spool_next(&s, x, &lsn, &p, &len, &e), 1);
        assert_int_equal(lsn, i);
        assert_int_equal(len, n);
        assert_memory_equal(p, &i, n < 4 ? n : 4);
        if (n > 4) assert_int_equal(p[n - 1], 'a' + i % 26);
    }
    assert_int_equal(spool_next(&s, x, &lsn, &p, &len, &e), 0);
    spool_done(&s);
    testhost_free(t);
}

TEST(nothing_is_left_in_the_folder) {
    struct testhost *t = host(1 << 20);
    struct spool s;
    spool_init(&s, &t->host, 1);
    append(&s, 10, 10, "abc");
    int files = 0;
    DIR *d = opendir(testhost_spool(t));
    for (struct dirent *f; d && (f = readdir(d));) files += f->d_name[0] != '.';
    closedir(d);
    assert_int_equal(files, 0);
    spool_done(&s);
    testhost_free(t);
}

TEST(a_transaction_past_the_quota_says_so) {
    struct testhost *t = host(100);
    struct pgerr e = {0};
    struct spool s;
    char text[200] = {0};
    spool_init(&s, &t->host, 1);
    assert_int_equal(spool_append(&s, spool_tx(&s, 10), 10, 1, text, sizeof text, &e), -1);
    assert_int_equal(e.fail_class, CN_FAIL_CONFIG);
    assert_has(e.text, "transaction 10");
    assert_has(e.hint, "spool.max.bytes");
    spool_done(&s);
    testhost_free(t);
}
