// SPDX-License-Identifier: Apache-2.0
// The sink as a host drives it: lines, rolling, offsets of its own, other hands on its files.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sink.h"
#include "sinking.h"
#include "test.h"
#include "tmpdir.h"

enum { WAIT_MS = 10000 };
#define OPTIONS(...) (const char *const[]){__VA_ARGS__, NULL}

// "path=%/out" with the folder for the '%'.
static char *option(const char *text, const char *dir) {
    static char texts[8][512];
    static unsigned next;
    char *o = texts[next++ % 8];
    const char *mark = strchr(text, '%');
    snprintf(o, sizeof texts[0], "%.*s%s%s", (int)(mark - text), text, dir, mark + 1);
    return o;
}

static void assert_file(const char *dir, const char *name, const char *want) {
    char path[512], *text;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    text = tmpdir_read(path);
    if (!want) assert_null(text);
    else {
        assert_non_null(text);
        assert_string_equal(text, want);
    }
    free(text);
}

static void put(struct testhost *t, const char *lines) {
    int rc = testhost_put_json(t, lines);
    if (rc == CN_PUT_FAILED) fail_msg("%s (%s)", t->failure.text, t->failure.hint);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
}

TEST(values_become_json_lines) {
    const char *dir = tmpdir_new();
    struct testhost *t = sinking_start(OPTIONS(option("path=%/deep/er/out.jsonl", dir)));
    assert_int_equal(testhost_assign(t, "a", 0, -1), -1);
    put(t, "{\"topic\":\"a\",\"value\":{\"x\":1,\"y\":[true,null,\"q\\\"\\n\"]}}\n{\"topic\":\"a\",\"value\":null}\n{\"topic\":\"a\",\"value\":\"text\"}");
    assert_file(dir, "deep/er/out.jsonl", "{\"x\":1,\"y\":[true,null,\"q\\\"\\n\"]}\nnull\n\"text\"\n");
    assert_int_equal(testhost_verdict(t, "a", 0, 0), CN_OK);
    assert_int_equal(testhost_verdict(t, "a", 0, 2), CN_OK);
    assert_int_equal(testhost_stray_verdicts(t), 0);
    testhost_free(t);
}

TEST(a_line_may_hold_the_whole_record) {
    const char *dir = tmpdir_new();
    struct testhost *t = sinking_start(OPTIONS(option("path=%/out.jsonl", dir), "json.content=record"));
    testhost_assign(t, "a", 3, -1);
    put(t, "{\"topic\":\"a\",\"partition\":3,\"offset\":7,\"timestamp\":5,\"key\":\"k\",\"value\":{\"x\":1},\"headers\":[[\"h\",\"v\"]]}");
    assert_file(dir, "out.jsonl", "{\"topic\":\"a\",\"partition\":3,\"offset\":7,\"timestamp\":5,\"key\":\"k\",\"value\":{\"x\":1},\"headers\":[[\"h\",\"v\"]]}\n");
    testhost_free(t);
}

TEST(raw_lines_are_the_bytes_as_they_are) {
    const char *dir = tmpdir_new();
    struct testhost *t = sinking_start(OPTIONS(option("path=%/out", dir), "format=raw"));
    testhost_assign(t, "a", 0, -1);
    put(t, "{\"topic\":\"a\",\"value\":\"as is \\\"\"}\n{\"topic\":\"a\",\"value\":null}\n{\"topic\":\"a\",\"value\":{\"x\":1}}\n{\"topic\":\"a\",\"value\":12}");
    assert_file(dir, "out", "as is \"\n\n{\"x\":1}\n12\n");
    testhost_free(t);
}

TEST(kafkas_option_means_raw_lines) {
    const char *dir = tmpdir_new();
    struct testhost *t = sinking_start(OPTIONS(option("file=%/out", dir)));
    testhost_assign(t, "a", 0, -1);
    put(t, "{\"topic\":\"a\",\"value\":\"text\"}");
    assert_file(dir, "out", "text\n");
    testhost_free(t);
}

TEST(a_topic_made_again_is_written_from_its_start) {
    const char *dir = tmpdir_new();
    const char *const *options = OPTIONS(option("path=%/out", dir));
    struct testhost *t = sinking_start(options);
    t->topic_tag = 77;
    assert_int_equal(testhost_assign(t, "a", 0, 0), 0);
    sinking_put(t, "a", 0, 0, 2);
    assert_int_equal(testhost_flush(t, WAIT_MS), 0);
    testhost_free(t);
    t = sinking_start(options);
    t->topic_tag = 77;
    assert_int_equal(testhost_assign(t, "a", 0, 0), 2);
    t->topic_tag = 0; // a host that does not know
    assert_int_equal(testhost_assign(t, "a", 0, 0), 2);
    t->topic_tag = 78;
    assert_int_equal(testhost_assign(t, "a", 0, 0), 0);
    sinking_put(t, "a", 0, 0, 1);
    assert_int_equal(testhost_flush(t, WAIT_MS), 0);
    assert_file(dir, "out", "{\"n\":0}\n{\"n\":1}\n{\"n\":0}\n");
    testhost_free(t);
    t = sinking_start(options);
    t->topic_tag = 78;
    assert_int_equal(testhost_assign(t, "a", 0, 0), 1);
    testhost_free(t);
}

TEST(the_sinks_own_offsets_win) {
    const char *dir = tmpdir_new();
    const char *const *options = OPTIONS(option("path=%/out", dir));
    struct testhost *t = sinking_start(options);
    assert_int_equal(testhost_assign(t, "a", 0, 5), 5);
    assert_int_equal(sinking_put(t, "a", 0, 5, 9), CN_PUT_LATER);
    assert_int_equal(testhost_flush(t, WAIT_MS), 0);
    assert_int_equal(testhost_settled(t, 0), 0);
    testhost_free(t);
    t = sinking_start(options);
    assert_int_equal(testhost_assign(t, "a", 0, 6), 9);
    assert_int_equal(testhost_assign(t, "b", 0, 1), 1);
    sinking_put(t, "a", 0, 7, 11); // core was behind all the same: 7 and 8 are in the file
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_int_equal(testhost_verdict(t, "a", 0, 7), CN_OK);
    assert_file(dir, "out", "{\"n\":5}\n{\"n\":6}\n{\"n\":7}\n{\"n\":8}\n{\"n\":9}\n{\"n\":10}\n");
    testhost_free(t);
}

TEST(what_was_not_committed_is_cut_at_the_open) {
    const char *dir = tmpdir_new();
    const char *const *options = OPTIONS(option("path=%/out", dir));
    struct testhost *t = sinking_start(options);
    testhost_assign(t, "a", 0, 0);
    sinking_put(t, "a", 0, 0, 2);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    testhost_free(t);
    char path[512];
    snprintf(path, sizeof path, "%s/out", dir);
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "{\"n\":2}\n{\"n", 11), 11);
    close(fd);
    t = sinking_start(options);
    assert_int_equal(testhost_assign(t, "a", 0, 0), 2);
    sinking_put(t, "a", 0, 2, 3);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_file(dir, "out", "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    testhost_free(t);
}

TEST(files_roll_by_records_exactly) {
    const char *dir = tmpdir_new();
    const char *const *options = OPTIONS(option("path=%/out.jsonl", dir), "roll.records=3");
    struct testhost *t = sinking_start(options);
    testhost_assign(t, "a", 0, 0);
    sinking_put(t, "a", 0, 0, 7);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_file(dir, "out.000001.jsonl", "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n");
    assert_file(dir, "out.000002.jsonl", "{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n");
    assert_file(dir, "out.jsonl", "{\"n\":6}\n");
    testhost_free(t);
    t = sinking_start(options); // the count of the active file is kept
    assert_int_equal(testhost_assign(t, "a", 0, 0), 7);
    sinking_put(t, "a", 0, 7, 10);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_file(dir, "out.000003.jsonl", "{\"n\":6}\n{\"n\":7}\n{\"n\":8}\n");
    assert_file(dir, "out.jsonl", "{\"n\":9}\n");
    testhost_free(t);
}

TEST(files_roll_by_size_and_by_age) {
    const char *dir = tmpdir_new();
    struct testhost *t = sinking_start(OPTIONS(option("path=%/size", dir), "roll.size=15"));
    testhost_assign(t, "a", 0, 0);
    sinking_put(t, "a", 0, 0, 3);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_file(dir, "size.000001", "{\"n\":0}\n{\"n\":1}\n");
    assert_file(dir, "size", "{\"n\":2}\n");
    testhost_free(t);
    t = sinking_start(OPTIONS(option("path=%/age", dir), "roll.interval.ms=1m"));
    testhost_time(t, 1768046400000000);
    testhost_assign(t, "a", 0, 0);
    sinking_put(t, "a", 0, 0, 1);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_int_equal(testhost_tick(t), 0);
    assert_file(dir, "age.000001", NULL);
    testhost_advance(t, 60000);
    assert_int_equal(testhost_tick(t), 0); // also when nothing comes
    assert_file(dir, "age.000001", "{\"n\":0}\n");
    assert_file(dir, "age", "");
    testhost_free(t);
}

TEST(a_number_that_is_taken_is_passed_over) {
    const char *dir = tmpdir_new();
    tmpdir_file(dir, "out.000001", "somebody's\n");
    struct testhost *t = sinking_start(OPTIONS(option("path=%/out", dir), "roll.records=1"));
    testhost_assign(t, "a", 0, 0);
    sinking_put(t, "a", 0, 0, 2);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_file(dir, "out.000001", "somebody's\n");
    assert_file(dir, "out.000002", "{\"n\":0}\n");
    testhost_free(t);
}

TEST(each_partition_can_have_a_file_of_its_own) {
    const char *dir = tmpdir_new();
    const char *const *options = OPTIONS(option("path=%/{topic}/{partition}.jsonl", dir));
    struct testhost *t = sinking_start(options), *second = sinking_start(options);
    testhost_assign(t, "a", 0, 0);
    testhost_assign(t, "a", 1, 0);
    assert_int_equal(testhost_assign(second, "b", 0, 0), 0);
    put(t, "{\"topic\":\"a\",\"partition\":0,\"offset\":0,\"value\":1}\n{\"topic\":\"a\",\"partition\":1,\"offset\":0,\"value\":2}\n{\"topic\":\"a\",\"partition\":0,\"offset\":1,\"value\":3}");
    assert_file(dir, "a/0.jsonl", "1\n3\n");
    assert_file(dir, "a/1.jsonl", "2\n");
    assert_int_equal(testhost_assign(second, "a", 1, 0), -2); // the other task has it
    assert_has(second->failure.text, "is in use by another task");
    testhost_revoke(t, "a", 1);
    assert_int_equal(testhost_assign(second, "a", 1, 0), 1);  // and now it has moved, with its offset
    testhost_free(second);
    testhost_free(t);
}

TEST(tasks_are_planned_by_the_path) {
    static const struct { const char *path; uint32_t tasks; } rows[] = {
        {"path=/x/out", 1}, {"path=/x/{topic}", 1}, {"path=/x/{partition}", 1}, {"path=/x/{topic}-{partition}", 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct testhost *t = sinking_new(OPTIONS(rows[i].path));
        assert_int_equal(testhost_validate(t), 0);
        assert_int_equal(((const struct cn_sink_ops *)connectd_plugin_v1()->components[1]->ops)->plan(&t->host, 4), rows[i].tasks);
        testhost_free(t);
    }
}

TEST(topics_can_not_leave_the_folder) {
    char path[64];
    assert_int_equal(sink_path(path, sizeof path, "/x/{topic}/{partition}", "a.b-c", 5, 12), 0);
    assert_string_equal(path, "/x/a.b-c/12");
    assert_int_equal(sink_path(path, sizeof path, "/x/{topic}", "..", 2, 0), -1);
    assert_int_equal(sink_path(path, sizeof path, "/x/{topic}", ".hidden", 7, 0), -1);
    assert_int_equal(sink_path(path, sizeof path, "/x/{topic}", "a/b", 3, 0), -1);
    assert_int_equal(sink_path(path, sizeof path, "/x/{topic}", "a\0b", 3, 0), -1);
    assert_int_equal(sink_path(path, sizeof path, "/x/{topic}", "", 0, 0), -1);
    assert_int_equal(sink_path(path, 8, "/x/{topic}", "abcde", 5, 0), -1);
}

TEST(a_file_with_somebody_elses_content_is_left_alone) {
    const char *dir = tmpdir_new();
    tmpdir_file(dir, "out", "precious\n");
    struct testhost *t = sinking_new(OPTIONS(option("path=%/out", dir)));
    assert_int_equal(testhost_open(t), -1);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.text, "has 9 bytes that this connector did not write");
    assert_has(t->failure.hint, "existing.file: append");
    testhost_free(t);
    t = sinking_start(OPTIONS(option("path=%/out", dir), "existing.file=append"));
    testhost_assign(t, "a", 0, 0);
    put(t, "{\"topic\":\"a\",\"offset\":0,\"value\":1}");
    assert_file(dir, "out", "precious\n1\n");
    testhost_free(t);
}

TEST(a_link_or_device_is_not_written) {
    const char *dir = tmpdir_new();
    char path[512];
    tmpdir_file(dir, "target", "");
    snprintf(path, sizeof path, "%s/out", dir);
    assert_int_equal(symlink("target", path), 0);
    struct testhost *t = sinking_new(OPTIONS(option("path=%/out", dir)));
    assert_int_equal(testhost_open(t), -1);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.text, "out is not a regular file");
    testhost_free(t);
}

TEST(a_file_that_was_moved_away_is_let_go) {
    const char *dir = tmpdir_new();
    char from[512], to[512];
    snprintf(from, sizeof from, "%s/out", dir);
    snprintf(to, sizeof to, "%s/moved", dir);
    const char *const *options = OPTIONS(option("path=%/out", dir));
    struct testhost *t = sinking_start(options);
    testhost_assign(t, "a", 0, 0);
    sinking_put(t, "a", 0, 0, 1);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_int_equal(rename(from, to), 0); // while it runs
    sinking_put(t, "a", 0, 1, 2);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_file(dir, "moved", "{\"n\":0}\n");
    assert_file(dir, "out", "{\"n\":1}\n");
    testhost_free(t);
    assert_int_equal(rename(from, to), 0); // while it does not
    t = sinking_start(options);
    assert_int_equal(testhost_assign(t, "a", 0, 0), 2);
    sinking_put(t, "a", 0, 2, 3);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_file(dir, "out", "{\"n\":2}\n");
    testhost_free(t);
}

TEST(a_file_that_was_cut_is_not_written_on) {
    const char *dir = tmpdir_new();
    char path[512];
    snprintf(path, sizeof path, "%s/out", dir);
    const char *const *options = OPTIONS(option("path=%/out", dir));
    struct testhost *t = sinking_start(options);
    testhost_assign(t, "a", 0, 0);
    sinking_put(t, "a", 0, 0, 2);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(sinking_put(t, "a", 0, 2, 3), CN_PUT_FAILED);
    assert_int_equal(t->failure.fail_class, CN_FAIL_LOST_DATA);
    testhost_free(t);
    t = sinking_new(options);
    assert_int_equal(testhost_open(t), -1);
    assert_int_equal(t->failure.fail_class, CN_FAIL_LOST_DATA);
    assert_has(t->failure.text, "has 3 bytes, and 16 were written and synced");
    testhost_free(t);
    t = sinking_start(OPTIONS(option("path=%/out", dir), "existing.file=append"));
    assert_int_equal(testhost_assign(t, "a", 0, 0), 2);
    sinking_put(t, "a", 0, 2, 3);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_file(dir, "out", "{\"n{\"n\":2}\n");
    testhost_free(t);
}

TEST(two_sinks_do_not_write_one_file) {
    const char *dir = tmpdir_new();
    const char *const *options = OPTIONS(option("path=%/out", dir));
    struct testhost *t = sinking_start(options), *second = sinking_new(options);
    assert_int_equal(testhost_open(second), -1);
    assert_int_equal(second->failure.fail_class, CN_FAIL_TRANSIENT);
    testhost_free(t);
    assert_int_equal(testhost_open(second), 0);
    testhost_free(second);
    t = sinking_new(options);
    testhost_name(t, "another", 0, 1);
    assert_int_equal(testhost_open(t), -1);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.text, "belongs to the connector test");
    testhost_free(t);
}

TEST(a_record_that_can_not_be_written_is_rejected_and_what_follows_comes_again) {
    const char *dir = tmpdir_new();
    struct testhost *t = sinking_start(OPTIONS(option("path=%/out", dir)));
    struct cn_batch *b = testhost_batch(t);
    uint32_t topic = cn_topic(b, "a", 1);
    testhost_assign(t, "a", 0, 0);
    for (int i = 0; i < 3; i++) {
        uint32_t r = cn_record(b, topic);
        struct cn_cell value = cn_int(CN_INT32, i);
        for (int depth = 0; i == 1 && depth < 100; depth++) {
            cn_off at = cn_cells(b, 1);
            cn_set(b, at, 0, value);
            value = cn_run(CN_ARRAY, at, 1);
        }
        cn_set_value(b, r, value, CN_NO_SCHEMA);
        cn_record_at(b, r)->offset = i;
        cn_record_at(b, r)->partition = cn_record_at(b, r)->original_partition = 0;
    }
    assert_int_equal(testhost_put(t), CN_PUT_LATER);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_int_equal(testhost_verdict(t, "a", 0, 0), CN_OK);
    assert_int_equal(testhost_verdict(t, "a", 0, 1), CN_REJECT);
    assert_int_equal(testhost_verdict(t, "a", 0, 2), CN_RETRY);
    sinking_put(t, "a", 0, 2, 3);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    assert_file(dir, "out", "0\n{\"n\":2}\n");
    testhost_free(t);
}

TEST(a_forbidden_path_names_the_drop_in) {
    if (geteuid() != 0) skip();
    const char *dir = tmpdir_new();
    chmod(dir, 0755);
    assert_int_equal(seteuid(65534), 0);
    struct testhost *t = sinking_new(OPTIONS(option("path=%/out", dir)));
    int check = testhost_check(t), open = testhost_open(t);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(check, -1);
    assert_int_equal(open, -1);
    assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
    assert_has(t->failure.text, "Permission denied");
    assert_has(t->failure.hint, "file-sink.conf");
    testhost_free(t);
}

TEST(wrong_configurations_say_what_to_do) {
    static const struct { const char *options[4], *text; } rows[] = {
        {{NULL}, "neither path nor file is set"},
        {{"path=/a", "file=/b", NULL}, "path and file are both set"},
        {{"path=out.jsonl", NULL}, "out.jsonl is relative"},
        {{"path=/x/", NULL}, "does not name a file"},
        {{"path=/x/../y", NULL}, "does not name a file"},
        {{"path=/x/{table}", NULL}, "unknown placeholder at {table}"},
        {{"path=/x", "file.mode=rw", NULL}, "rw is no file mode"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct testhost *t = sinking_new(rows[i].options);
        assert_int_equal(testhost_validate(t), -1);
        assert_int_equal(t->failure.fail_class, CN_FAIL_CONFIG);
        assert_has(t->failure.text, rows[i].text);
        testhost_free(t);
    }
}

TEST(many_partitions_share_a_file_and_keep_their_offsets) {
    const char *dir = tmpdir_new();
    const char *const *options = OPTIONS(option("path=%/out", dir), "sync.interval.ms=0");
    struct testhost *t = sinking_start(options);
    enum { PARTITIONS = 300 };
    for (int p = 0; p < PARTITIONS; p++) testhost_assign(t, "a-rather-long-name-of-a-topic", p, 0);
    for (int p = 0; p < PARTITIONS; p++) sinking_put(t, "a-rather-long-name-of-a-topic", p, 0, 1 + p % 3);
    assert_int_equal(testhost_settled(t, WAIT_MS), 0);
    testhost_free(t);
    t = sinking_start(options);
    for (int p = 0; p < PARTITIONS; p++) assert_int_equal(testhost_assign(t, "a-rather-long-name-of-a-topic", p, 0), 1 + p % 3);
    testhost_free(t);
}
