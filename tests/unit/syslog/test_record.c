// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <connectd/json.h>

#include "record.h"
#include "test.h"

static const int64_t received_us = 1768046400123456; // 2026-01-10T12:00:00.123456Z

static struct recorder recorder;
static struct cn_batch batch;
static uint64_t memory[1 << 15];


static struct peer sender(void) {
    struct peer p;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(40000)};
    inet_pton(AF_INET, "192.0.2.9", &in.sin_addr);
    peer_set(&p, TRANSPORT_TCP, &in);
    return p;
}

// The record of one frame, as JSON; the caller frees it.
static char *recorded_frame(struct record_options options, const struct frame *f) {
    struct cn_json j = {0};
    struct peer p = sender();
    if (!options.topic) options.topic = "logs";
    assert_int_equal(recorder_init(&recorder, &options), 0);
    cn_batch_init(&batch, memory, sizeof memory, NULL, NULL);
    recorder_begin(&recorder, &batch);
    recorder_add(&recorder, &batch, &p, f, received_us);
    assert_int_equal(batch.failed, 0);
    assert_int_equal(cn_count(&batch), 1);
    cn_json_record(&j, &batch, cn_record_at(&batch, 0));
    cn_json_char(&j, '\0');
    recorder_done(&recorder);
    return j.p;
}

static void check_n(struct record_options options, struct frame f, const char *want) {
    char *copy = malloc(f.n ? f.n : 1), *got;
    memcpy(copy, f.p, f.n);
    f.p = copy;
    got = recorded_frame(options, &f);
    free(copy);
    assert_string_equal(got, want);
    free(got);
}
static void check(struct record_options options, const char *text, const char *want) {
    check_n(options, (struct frame){text, strlen(text), false, false}, want);
}

#define HEAD "{\"topic\":\"logs\",\"partition\":null,\"offset\":0,\"timestamp\":1768046400123,\"key\":\"192.0.2.9\",\"value\":{"
#define FROM ",\"transport\":\"tcp\",\"source_address\":\"192.0.2.9\",\"source_port\":40000,\"received_at\":1768046400123456"
#define END "},\"headers\":[]}"

TEST(a_message_becomes_a_struct_of_its_fields) {
    check((struct record_options){0}, "<165>1 2003-10-11T22:14:15.003Z m e 12 ID47 [x@1 a=\"3\" b=\"q\\\"\\n\"][y] text",
          HEAD "\"timestamp\":1065910455003000,\"hostname\":\"m\",\"app_name\":\"e\",\"procid\":\"12\",\"msgid\":\"ID47\",\"facility\":20,"
               "\"facility_name\":\"local4\",\"severity\":5,\"severity_name\":\"notice\",\"structured_data\":{\"x@1\":{\"a\":\"3\",\"b\":\"q\\\"\\\\n\"},\"y\":{}},"
               "\"message\":\"text\",\"format\":\"rfc5424\"" FROM END);
}

TEST(a_guessed_time_keeps_its_text) {
    check((struct record_options){0}, "<34>Oct 11 22:14:15 mymachine su[7]: failed",
          HEAD "\"timestamp\":1760220855000000,\"hostname\":\"mymachine\",\"app_name\":\"su\",\"procid\":\"7\",\"msgid\":null,\"facility\":4,"
               "\"facility_name\":\"auth\",\"severity\":2,\"severity_name\":\"crit\",\"structured_data\":null,\"message\":\"failed\",\"format\":\"rfc3164\"" FROM
               ",\"timestamp_text\":\"Oct 11 22:14:15\"" END);
}

TEST(what_does_not_parse_keeps_its_bytes_and_says_the_reason) {
    check((struct record_options){0}, "not syslog",
          HEAD "\"timestamp\":null,\"hostname\":null,\"app_name\":null,\"procid\":null,\"msgid\":null,\"facility\":null,"
               "\"facility_name\":null,\"severity\":null,\"severity_name\":null,\"structured_data\":null,\"message\":\"not syslog\",\"format\":\"unknown\"" FROM
               ",\"parse_error\":\"no priority, at byte 0\",\"raw\":\"bm90IHN5c2xvZw==\"" END);
}

TEST(bytes_that_are_not_utf8_are_replaced_and_kept) {
    check((struct record_options){0}, "<13>app: caf\xe9!",
          HEAD "\"timestamp\":null,\"hostname\":null,\"app_name\":\"app\",\"procid\":null,\"msgid\":null,\"facility\":1,"
               "\"facility_name\":\"user\",\"severity\":5,\"severity_name\":\"notice\",\"structured_data\":null,\"message\":\"caf\xef\xbf\xbd!\",\"format\":\"rfc3164\"" FROM
               ",\"parse_error\":\"not UTF-8 at byte 12: replaced\",\"raw\":\"PDEzPmFwcDogY2Fm6SE=\"" END);
}

TEST(truncated_and_incomplete_frames_are_marked) {
    check_n((struct record_options){0}, (struct frame){"<13>app: x", 10, true, true},
            HEAD "\"timestamp\":null,\"hostname\":null,\"app_name\":\"app\",\"procid\":null,\"msgid\":null,\"facility\":1,"
                 "\"facility_name\":\"user\",\"severity\":5,\"severity_name\":\"notice\",\"structured_data\":null,\"message\":\"x\",\"format\":\"rfc3164\"" FROM
                 ",\"truncated\":true,\"incomplete\":true,\"raw\":\"PDEzPmFwcDogeA==\"" END);
}

TEST(raw_can_be_kept_for_all) {
    char *got = recorded_frame((struct record_options){.always_raw = true}, &(struct frame){"<13>app: x", 10, false, false});
    assert_non_null(strstr(got, ",\"raw\":\"PDEzPmFwcDogeA==\"}"));
    assert_null(strstr(got, "parse_error"));
    free(got);
}

TEST(names_that_come_twice_are_numbered) {
    static const char text[] = "<13>1 - h a - - [x a=\"1\" b=\"2\" a=\"3\" a=\"4\"][x c=\"5\"]";
    char *got = recorded_frame((struct record_options){0}, &(struct frame){text, sizeof text - 1, false, false});
    assert_non_null(strstr(got, "\"structured_data\":{\"x\":{\"a\":\"1\",\"b\":\"2\",\"a#2\":\"3\",\"a#3\":\"4\"},\"x#2\":{\"c\":\"5\"}}"));
    free(got);
}

TEST(the_key_is_the_sender_the_hostname_or_none) {
    const struct frame f = {"<13>1 - web1 a - - - x", 22, false, false};
    char *got = recorded_frame((struct record_options){.key = RECORD_KEY_HOSTNAME}, &f);
    assert_non_null(strstr(got, "\"key\":\"web1\""));
    free(got);
    got = recorded_frame((struct record_options){.key = RECORD_KEY_NONE}, &f);
    assert_non_null(strstr(got, "\"key\":null"));
    free(got);
}

TEST(raw_records_are_the_bytes_with_their_sender_in_headers) {
    check_n((struct record_options){.format = RECORD_RAW}, (struct frame){"<13>\xff", 5, false, true},
            "{\"topic\":\"logs\",\"partition\":null,\"offset\":0,\"timestamp\":1768046400123,\"key\":\"192.0.2.9\",\"value\":\"PDEzPv8=\","
            "\"headers\":[[\"syslog.transport\",\"tcp\"],[\"syslog.source_address\",\"192.0.2.9\"],[\"syslog.incomplete\",true]]}");
}

TEST(records_of_one_sender_share_its_address) {
    struct peer p = sender();
    struct frame f = {"<13>app: x", 10, false, false};
    assert_int_equal(recorder_init(&recorder, &(struct record_options){.topic = "logs"}), 0);
    for (int round = 0; round < 2; round++) { // a new batch, a new copy
        cn_batch_init(&batch, memory, sizeof memory, NULL, NULL);
        recorder_begin(&recorder, &batch);
        recorder_add(&recorder, &batch, &p, &f, received_us);
        recorder_add(&recorder, &batch, &p, &f, received_us);
        assert_int_equal(cn_record_at(&batch, 0)->key.u.at, cn_record_at(&batch, 1)->key.u.at);
        assert_memory_equal(cn_bytes_at(&batch, cn_record_at(&batch, 0)->key.u.at), "192.0.2.9", 9);
    }
    assert_int_equal(recorder.counts.records, 4);
    recorder_done(&recorder);
}

TEST(a_batch_too_small_fails_and_breaks_nothing) {
    struct peer p = sender();
    struct frame f = {"<165>1 2003-10-11T22:14:15.003Z m e 12 ID47 [x@1 a=\"3\" a=\"q\\\"\\n\"][x] text", 72, false, false};
    assert_int_equal(recorder_init(&recorder, &(struct record_options){.topic = "logs"}), 0);
    for (uint32_t cap = 256; cap < 8192; cap += 8) {
        p.batch = 0;
        cn_batch_init(&batch, memory, cap, NULL, NULL);
        recorder_begin(&recorder, &batch);
        recorder_add(&recorder, &batch, &p, &f, received_us);
        assert_true(cn_head(&batch)->used <= cap);
    }
    recorder_done(&recorder);
}
