// SPDX-License-Identifier: Apache-2.0
#include "test.h"

#include "base/mem.h"
#include "runtime/settled.h"

static void note(void *arg, int64_t offset, const char *reason) { buf_printf(arg, "%lld:%s ", (long long)offset, reason); }
static void no_dead(void *arg, int64_t offset, const char *reason) {
    (void)arg;
    fail_msg("dead record %lld: %s", (long long)offset, reason);
}
static int64_t advance(struct settled *s) { return settled_advance(s, s->end, no_dead, NULL); }

static void put_run(struct settled *s, int64_t first, int64_t last) {
    for (int64_t i = first; i <= last; i++) assert_true(settled_put(s, i, 10));
}

TEST(the_prefix_moves_over_settled_records_only) {
    (void)state;
    struct settled s;
    settled_init(&s, 40);
    put_run(&s, 40, 49);
    assert_int_equal(s.bytes, 100);
    assert_int_equal(settled_mark(&s, 41, 43, SETTLE_OK, NULL), 3);
    assert_int_equal(advance(&s), 40);
    assert_int_equal(settled_first_open(&s), 40);
    assert_int_equal(settled_mark(&s, 40, 40, SETTLE_OK, NULL), 1);
    assert_int_equal(advance(&s), 44);
    assert_int_equal(settled_mark(&s, 44, 49, SETTLE_OK, NULL), 6);
    assert_int_equal(advance(&s), 50);
    assert_int_equal(s.bytes, 0);
    assert_int_equal(settled_first_open(&s), -1);
    settled_done(&s);
}

TEST(gaps_do_not_hold_the_prefix_back) {
    (void)state;
    struct settled s;
    settled_init(&s, 0);
    assert_true(settled_put(&s, 3, 1));
    assert_true(settled_put(&s, 9, 1));
    assert_int_equal(advance(&s), 0);
    settled_mark(&s, 3, 3, SETTLE_OK, NULL);
    assert_int_equal(advance(&s), 4); // up to what is settled, the gap behind it is only known with the next record
    settled_mark(&s, 0, 100, SETTLE_OK, NULL);
    assert_int_equal(advance(&s), 10);
    assert_int_equal(settled_advance(&s, 15, no_dead, NULL), 15); // the reader has passed control records
    settled_done(&s);
}

TEST(a_second_verdict_changes_nothing) {
    (void)state;
    struct settled s;
    settled_init(&s, 0);
    put_run(&s, 0, 2);
    assert_int_equal(settled_mark(&s, 1, 1, SETTLE_OK, NULL), 1);
    assert_int_equal(settled_mark(&s, 1, 1, SETTLE_RETRY, NULL), 0);
    assert_int_equal(settled_mark(&s, 1, 1, SETTLE_DEAD, "late"), 0);
    assert_int_equal(settled_mark(&s, 5, 9, SETTLE_OK, NULL), 0); // never put
    settled_mark(&s, 0, 2, SETTLE_OK, NULL);
    assert_int_equal(advance(&s), 3);
    settled_done(&s);
}

TEST(a_retried_record_comes_again_with_all_later_unsettled_ones) {
    (void)state;
    struct settled s;
    settled_init(&s, 0);
    put_run(&s, 0, 5);
    settled_mark(&s, 0, 0, SETTLE_OK, NULL);
    settled_mark(&s, 2, 2, SETTLE_OK, NULL);
    settled_mark(&s, 1, 1, SETTLE_RETRY, NULL);
    assert_false(settled_wants_redelivery(&s)); // 3..5 are still with the sink
    settled_mark(&s, 3, 4, SETTLE_RETRY, NULL);
    assert_false(settled_wants_redelivery(&s));
    settled_mark(&s, 5, 5, SETTLE_OK, NULL);
    assert_true(settled_wants_redelivery(&s));
    assert_int_equal(advance(&s), 1);
    assert_int_equal(settled_redeliver(&s), 1);
    assert_false(settled_wants_redelivery(&s));
    assert_true(settled_put(&s, 1, 10));
    assert_false(settled_put(&s, 2, 10)); // OK already
    assert_true(settled_put(&s, 3, 10));
    assert_true(settled_put(&s, 4, 10));
    assert_false(settled_put(&s, 5, 10));
    assert_true(settled_put(&s, 6, 10)); // new
    settled_mark(&s, 1, 6, SETTLE_OK, NULL);
    assert_int_equal(advance(&s), 7);
    settled_done(&s);
}

TEST(a_record_is_not_put_twice_at_once) {
    (void)state;
    struct settled s;
    settled_init(&s, 0);
    put_run(&s, 0, 1);
    assert_false(settled_put(&s, 0, 10));
    assert_int_equal(s.unanswered, 2);
    settled_done(&s);
}

TEST(what_is_ok_is_passed_at_once_but_not_what_is_dead) {
    (void)state;
    struct settled s;
    struct buf got = {0};
    settled_init(&s, 0);
    put_run(&s, 0, 9);
    settled_mark(&s, 0, 3, SETTLE_OK, NULL);
    settled_mark(&s, 4, 4, SETTLE_DEAD, "x");
    settled_mark(&s, 5, 6, SETTLE_OK, NULL);
    settled_pass(&s);
    assert_int_equal(s.prefix, 4);
    assert_int_equal(s.n, 6);
    assert_int_equal(settled_advance(&s, s.end, note, &got), 7);
    assert_buf(&got, "4:x ");
    buf_done(&got);
    settled_done(&s);
}

TEST(dead_records_are_handed_out_as_the_prefix_passes_them) {
    (void)state;
    struct settled s;
    struct buf got = {0};
    settled_init(&s, 0);
    put_run(&s, 0, 3);
    settled_mark(&s, 1, 1, SETTLE_DEAD, "bad date");
    settled_mark(&s, 3, 3, SETTLE_DEAD, NULL);
    settled_skip(&s, 4, SETTLE_DEAD, "no json");
    assert_int_equal(settled_advance(&s, s.end, note, &got), 0);
    assert_int_equal(got.n, 0);
    settled_mark(&s, 0, 0, SETTLE_OK, NULL);
    assert_int_equal(settled_advance(&s, s.end, note, &got), 2);
    assert_buf(&got, "1:bad date ");
    settled_mark(&s, 2, 2, SETTLE_OK, NULL);
    assert_int_equal(settled_advance(&s, s.end, note, &got), 5);
    assert_buf(&got, "3:rejected by the sink without a reason 4:no json ");
    buf_done(&got);
    settled_done(&s);
}

TEST(skipped_records_count_as_settled) {
    (void)state;
    struct settled s;
    settled_init(&s, 7);
    settled_skip(&s, 7, SETTLE_OK, NULL);
    put_run(&s, 8, 8);
    settled_skip(&s, 9, SETTLE_OK, NULL);
    assert_int_equal(advance(&s), 8);
    settled_mark(&s, 8, 8, SETTLE_OK, NULL);
    assert_int_equal(advance(&s), 10);
    assert_false(settled_put(&s, 7, 1)); // below the prefix
    settled_done(&s);
}

TEST(what_the_sink_forgets_is_put_again) {
    (void)state;
    struct settled s;
    settled_init(&s, 0);
    put_run(&s, 0, 3);
    settled_mark(&s, 1, 1, SETTLE_OK, NULL);
    settled_forget(&s);
    assert_int_equal(s.bytes, 0);
    assert_true(settled_wants_redelivery(&s));
    assert_int_equal(settled_redeliver(&s), 0);
    assert_true(settled_put(&s, 0, 10));
    assert_false(settled_put(&s, 1, 10));
    settled_mark(&s, 0, 0, SETTLE_OK, NULL);
    assert_int_equal(advance(&s), 2);
    settled_done(&s);
}

// Against a model that remembers every record: random puts, verdicts, redeliveries.
TEST(it_agrees_with_a_plain_model_for_random_histories) {
    (void)state;
    enum { N = 400 };
    for (uint64_t seed = 1; seed <= 300; seed++) {
        uint64_t random = seed;
        struct settled s;
        settled_init(&s, 0);
        uint8_t model[N] = {0}; // 0 absent, 1 held by the sink, 2 ok, 3 retry, 4 dead, 5 waits for its redelivery
        int64_t next = 0;
        struct buf dead = {0};
        size_t dead_want = 0, dead_got = 0;
        for (int step = 0; step < 2000; step++) {
            uint64_t r = test_random(&random);
            int64_t o = (int64_t)(test_random(&random) % N);
            switch (r % 6) {
            case 0:
            case 1: // put the next one, sometimes leaving a gap, unless some wait for their redelivery
                if (next >= N || s.retries) break;
                next += r % 17 == 0 && next + 1 < N;
                assert_true(settled_put(&s, next, 5));
                model[next++] = 1;
                break;
            case 2:
            case 3: { // a verdict on a range
                int64_t last = o + (int64_t)(r / 8 % 9);
                int kind = (int)(r / 128 % 8);
                enum settle_state verdict = kind < 5 ? SETTLE_OK : kind < 7 ? SETTLE_RETRY : SETTLE_DEAD;
                for (int64_t i = o; i <= last && i < N; i++)
                    if (model[i] == 1) model[i] = verdict == SETTLE_OK ? 2 : verdict == SETTLE_RETRY ? 3 : 4;
                settled_mark(&s, o, last, verdict, "x");
                break;
            }
            case 4: { // redelivery when all is answered
                bool held = false, retry = false;
                for (int64_t i = 0; i < N; i++) held |= model[i] == 1, retry |= model[i] == 3;
                assert_int_equal(settled_wants_redelivery(&s), retry && !held);
                if (!retry || held) break;
                int64_t from = settled_redeliver(&s);
                for (int64_t i = 0; i < N; i++)
                    if (model[i] == 3) {
                        assert_true(from <= i);
                        break;
                    }
                for (int64_t i = from; i < next; i++) {
                    bool put = model[i] != 0 && settled_put(&s, i, 5);
                    assert_int_equal(put, model[i] == 3);
                    if (put) model[i] = 1;
                }
                break;
            }
            default: {
                if (r % 7 == 0) settled_pass(&s);
                dead.n = 0;
                int64_t before = s.prefix, prefix = settled_advance(&s, next, note, &dead);
                for (int64_t i = 0; i < prefix && i < N; i++) assert_true(model[i] == 0 || model[i] == 2 || model[i] == 4);
                for (int64_t i = before; i < prefix; i++) dead_want += model[i] == 4;
                for (size_t i = 0; i < dead.n; i++) dead_got += dead.p[i] == ' ';
                assert_int_equal(dead_want, dead_got);
                int64_t first = settled_first_open(&s);
                assert_true(first < 0 ? prefix == next : prefix <= first);
                if (first >= 0) assert_true(model[first] == 1 || model[first] == 3);
            }
            }
            size_t held = 0;
            for (int64_t i = 0; i < N; i++) held += model[i] == 1;
            assert_int_equal(s.unanswered, held);
            assert_int_equal(s.bytes, 5 * held);
        }
        buf_done(&dead);
        settled_done(&s);
    }
}
