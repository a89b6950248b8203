// SPDX-License-Identifier: Apache-2.0
// The map over a log in memory: what it shows, and when; refusals; what others append.
#include "coord/kvmap.h"

#include <stdio.h>

#include "base/mem.h"
#include "test.h"

// ── a log in memory ──────────────────────────────────────────────────────────────────────────────────────────────────

struct fake {
    struct kvmap_log log;
    struct { char *key, *value; } records[100];
    int64_t n;
    bool refuse_read, refuse_append, closed;
};

static void fake_add(struct fake *f, const char *key, const char *value) {
    f->records[f->n].key = xstrdup(key);
    f->records[f->n++].value = value ? xstrdup(value) : NULL;
}
static int fake_read(struct kvmap_log *l, int64_t *next, void (*each)(void *arg, struct str key, struct str value), void *arg, struct err *err) {
    struct fake *f = container_of(l, struct fake, log);
    if (f->refuse_read) return err_set(err, ERR_IO, "no reading");
    for (; *next < f->n; ++*next) each(arg, str_of(f->records[*next].key), str_of(f->records[*next].value));
    return 0;
}
static int fake_append(struct kvmap_log *l, const struct kvmap_entry *entries, size_t n, struct err *err) {
    struct fake *f = container_of(l, struct fake, log);
    if (f->refuse_append) return err_set(err, ERR_NOSPACE, "full");
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *key = str_dup(entries[i].key), *value = entries[i].value.p ? str_dup(entries[i].value) : NULL;
        fake_add(f, key, value);
    }
    return 0;
}
static void fake_close(struct kvmap_log *l) {
    struct fake *f = container_of(l, struct fake, log);
    for (int64_t i = 0; i < f->n; i++) {
        free(f->records[i].key);
        free(f->records[i].value);
    }
    f->n = 0;
    f->closed = true;
}
static const struct kvmap_log_ops fake_ops = {fake_read, fake_append, fake_close};

static struct kvmap *open_fake(struct fake *f) {
    struct kvmap *m;
    struct err err;
    f->log.ops = &fake_ops;
    assert_ok(kvmap_open(&f->log, &m, &err), err);
    return m;
}
static int print(void *arg, struct str key, struct str value) {
    buf_printf(arg, "%.*s=%.*s ", STR_FMT(key), STR_FMT(value));
    return 0;
}
static void assert_map(struct kvmap *m, const char *prefix, const char *want) {
    struct buf b = {0};
    kvmap_each(m, str_of(prefix), print, &b);
    assert_buf(&b, want);
    buf_done(&b);
}

// ── cases ────────────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(the_latest_record_of_each_key_is_what_the_map_holds) {
    struct fake f = {0};
    fake_add(&f, "a", "1");
    fake_add(&f, "b", "2");
    fake_add(&f, "a", "3");
    fake_add(&f, "c", "4");
    fake_add(&f, "b", NULL);
    fake_add(&f, "e", "");
    struct kvmap *m = open_fake(&f);
    struct buf value = {0};
    assert_map(m, "", "a=3 c=4 e= ");
    assert_int_equal(kvmap_count(m), 3);
    assert_true(kvmap_get(m, STR("a"), &value));
    assert_buf(&value, "3");
    assert_true(kvmap_get(m, STR("e"), &value));
    assert_false(kvmap_get(m, STR("b"), &value));
    assert_int_equal(value.n, 0);
    kvmap_close(m);
    assert_true(f.closed);
    buf_done(&value);
}

TEST(puts_and_deletions_are_seen_when_they_return) {
    struct fake f = {0};
    struct err err;
    struct kvmap *m = open_fake(&f);
    const struct kvmap_entry put[] = {{STR("k/1"), STR("one")}, {STR("k/2"), STR("two")}, {STR("other"), STR("x")}};
    const struct kvmap_entry remove[] = {{STR("k/1"), {NULL, 0}}, {STR("never"), {NULL, 0}}};
    assert_ok(kvmap_put(m, put, 3, &err), err);
    assert_map(m, "k/", "k/1=one k/2=two ");
    assert_ok(kvmap_put(m, remove, 2, &err), err);
    assert_map(m, "", "k/2=two other=x ");
    assert_ok(kvmap_put(m, NULL, 0, &err), err);
    assert_int_equal(f.n, 5);
    kvmap_close(m);
}

TEST(a_refused_put_changes_nothing) {
    struct fake f = {0};
    struct err err;
    struct kvmap *m = open_fake(&f);
    const struct kvmap_entry put[] = {{STR("k"), STR("v")}};
    f.refuse_append = true;
    assert_fails(kvmap_put(m, put, 1, &err), err, ERR_NOSPACE);
    assert_map(m, "", "");
    kvmap_close(m);
}

TEST(what_others_appended_comes_with_a_refresh_in_its_place) {
    struct fake f = {0};
    struct err err;
    struct kvmap *m = open_fake(&f);
    const struct kvmap_entry put[] = {{STR("k"), STR("mine")}};
    fake_add(&f, "k", "theirs");
    fake_add(&f, "l", "theirs");
    assert_map(m, "", "");
    assert_ok(kvmap_put(m, put, 1, &err), err);
    assert_map(m, "", "k=mine l=theirs ");
    fake_add(&f, "k", "theirs again");
    assert_ok(kvmap_refresh(m, &err), err);
    assert_map(m, "", "k=theirs again l=theirs ");
    kvmap_close(m);
}

TEST(a_log_that_can_not_be_read_is_closed) {
    struct fake f = {.log = {&fake_ops}, .refuse_read = true};
    struct kvmap *m;
    struct err err;
    assert_fails(kvmap_open(&f.log, &m, &err), err, ERR_IO);
    assert_true(f.closed);
}
