// SPDX-License-Identifier: Apache-2.0
// Tailing files that stay where they are: lines, positions, restarts, finding.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tailing.h"
#include "test.h"
#include "tmpdir.h"

enum { QUIET_MS = 30 };
#define OPTIONS(...) (const char *const[]){__VA_ARGS__, NULL}

TEST(lines_that_are_there_and_lines_that_come) {
    struct tailing t = tailing_start("*.log", NULL);
    file_append(&t, "a.log", "one\ntwo\r\n");
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "one|two|");
    file_append(&t, "a.log", "three\n");
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "one|two|three|");
    tailing_end(&t);
}

TEST(a_hint_ends_the_wait_for_more) {
    struct tailing t = tailing_start("*.log", OPTIONS("scan.interval.ms=1h"));
    file_append(&t, "a.log", "one\n");
    tailing_drain(&t, QUIET_MS);
    file_append(&t, "a.log", "two\n");
    assert_int_equal(testhost_poll(t.host, 60000), CN_POLL_OK);
    file_append(&t, "b.log", "three\n");
    assert_int_equal(testhost_take(t.host, 1, 60000), 1);
    tailing_end(&t);
}

TEST(an_unfinished_line_waits_for_its_end) {
    struct tailing t = tailing_start("*.log", NULL);
    file_append(&t, "a.log", "one\ntw");
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "one|");
    file_append(&t, "a.log", "o");
    tailing_drain(&t, QUIET_MS);
    tailing_restart(&t);
    file_append(&t, "a.log", "\nthree");
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "one|two|");
    tailing_end(&t);
}

TEST(an_unfinished_line_comes_after_idle_where_that_is_asked_for) {
    struct tailing t = tailing_start("*.log", OPTIONS("idle.flush.ms=50ms", "format=struct"));
    file_append(&t, "a.log", "prompt> ");
    assert_int_equal(testhost_open(t.host), 0);
    assert_int_equal(testhost_take(t.host, 1, 5000), 1);
    assert_has(t.host->lines[0], "\"line\":\"prompt> \",\"incomplete\":true");
    file_append(&t, "a.log", "x\n");
    assert_int_equal(testhost_take(t.host, 1, 5000), 1);
    assert_has(t.host->lines[1], "\"offset\":8,\"line\":\"x\"}");
    tailing_end(&t);
}

TEST(long_lines_are_cut_also_over_a_restart) {
    struct tailing t = tailing_start("*.log", OPTIONS("max.line.bytes=64", "format=struct"));
    char line[1000];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    file_append(&t, "a.log", line);
    tailing_drain(&t, QUIET_MS);
    assert_int_equal(t.host->line_count, 1);
    assert_has(t.host->lines[0], "xxx\",\"truncated\":true}");
    tailing_restart(&t);
    file_append(&t, "a.log", "still of the line\nnext\n");
    tailing_drain(&t, QUIET_MS);
    assert_int_equal(t.host->line_count, 2);
    assert_has(t.host->lines[1], "\"line\":\"next\"}");
    assert_int_equal(t.kept_count, 2);
    tailing_end(&t);
}

TEST(lines_longer_than_a_read_are_whole) {
    struct tailing t = tailing_start("*.log", OPTIONS("max.line.bytes=8MiB"));
    size_t n = 3 << 20;
    char *line = malloc(n + 2);
    memset(line, 'y', n);
    strcpy(line + n, "\n");
    file_append(&t, "a.log", "before\n");
    file_append(&t, "a.log", line);
    file_append(&t, "a.log", "after\n");
    tailing_drain(&t, QUIET_MS);
    assert_int_equal(t.kept_count, 3);
    assert_string_equal(t.kept[0], "before");
    assert_int_equal(strlen(t.kept[1]), n);
    assert_string_equal(t.kept[2], "after");
    free(line);
    tailing_end(&t);
}

TEST(what_is_not_utf8_keeps_its_bytes_and_says_so) {
    struct tailing t = tailing_start("*.log", OPTIONS("headers=true"));
    file_append(&t, "a.log", "ok\ncaf\xe9\n");
    assert_int_equal(testhost_open(t.host), 0);
    assert_int_equal(testhost_take(t.host, 2, 1000), 2);
    assert_has(t.host->lines[0], "\"value\":\"ok\",\"headers\":[[\"file.path\",\"");
    assert_has(t.host->lines[0], "/a.log\"],[\"file.offset\",0]]}");
    assert_has(t.host->lines[1], "\"value\":\"caf\xef\xbf\xbd\"");
    assert_has(t.host->lines[1], "[\"file.offset\",3],[\"file.parse_error\",\"not UTF-8 at byte 3: replaced\"],[\"file.raw\",\"Y2Fm6Q==\"]");
    tailing_end(&t);
}

TEST(bytes_and_keys_by_option) {
    struct tailing t = tailing_start("*.log", OPTIONS("format=bytes", "key=path"));
    file_append(&t, "a.log", "\xff\n");
    assert_int_equal(testhost_open(t.host), 0);
    assert_int_equal(testhost_take(t.host, 1, 1000), 1);
    assert_has(t.host->lines[0], "/a.log\",\"value\":\"/w==\"");
    tailing_end(&t);
}

TEST(a_restart_goes_on_where_the_commit_was) {
    struct tailing t = tailing_start("*.log", NULL);
    file_append(&t, "a.log", "1\n2\n");
    tailing_drain(&t, QUIET_MS);
    file_append(&t, "a.log", "3\n");
    tailing_poll(&t); // not committed
    tailing_restart(&t);
    file_append(&t, "a.log", "4\n");
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "1|2|3|4|");
    tailing_end(&t);
}

TEST(many_small_batches_are_as_good_as_one) {
    struct tailing t = tailing_start("*.log", OPTIONS("batch.size=3"));
    for (int i = 0; i < 50; i++) {
        char line[32];
        snprintf(line, sizeof line, "%d\n", i);
        file_append(&t, "a.log", line);
    }
    for (int i = 0; i < 30; i++) {
        tailing_step(&t);
        tailing_restart(&t);
    }
    assert_int_equal(t.kept_count, 50);
    for (int i = 0; i < 50; i++) assert_int_equal(atoi(t.kept[i]), i);
    tailing_end(&t);
}

TEST(equal_short_files_are_read_each) {
    struct tailing t = tailing_start("*.log", NULL);
    file_append(&t, "a.log", "# same head\n");
    file_append(&t, "b.log", "# same head\n");
    file_append(&t, "c.log", "");
    file_append(&t, "d.log", "");
    tailing_drain(&t, QUIET_MS);
    assert_int_equal(t.kept_count, 2);
    file_append(&t, "c.log", "c\n");
    file_append(&t, "d.log", "d\n");
    tailing_drain(&t, QUIET_MS);
    assert_int_equal(t.kept_count, 4);
    tailing_end(&t);
}

TEST(the_end_is_where_to_start_when_asked_and_only_for_what_was_there) {
    struct tailing t = tailing_start("*.log", OPTIONS("start.position=end"));
    file_append(&t, "a.log", "old\nhalf");
    tailing_drain(&t, QUIET_MS);
    file_append(&t, "a.log", " of a line\nnew\n");
    file_append(&t, "b.log", "all of it\n");
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "new|all of it|");
    testhost_close(t.host);
    file_append(&t, "c.log", "came while nobody looked\n");
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "new|all of it|came while nobody looked|");
    tailing_end(&t);
}

TEST(the_end_is_remembered_when_nothing_was_there) {
    struct tailing t = tailing_start("*.log", OPTIONS("start.position=end"));
    tailing_drain(&t, QUIET_MS);
    testhost_close(t.host);
    file_append(&t, "a.log", "came after the first start\n");
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "came after the first start|");
    tailing_end(&t);
}

TEST(folders_and_files_that_come_later_are_found) {
    struct tailing t = tailing_start("app*/logs/*.log", OPTIONS("scan.interval.ms=1h"));
    tailing_drain(&t, QUIET_MS);
    assert_int_equal(mkdir(file_path(&t, "app1"), 0755), 0);
    tailing_drain(&t, 100);
    assert_int_equal(mkdir(file_path(&t, "app1/logs"), 0755), 0);
    tailing_drain(&t, 100);
    file_append(&t, "app1/logs/x.log", "found\n");
    tailing_drain(&t, 100);
    assert_string_equal(tailing_lines(&t), "found|");
    tailing_end(&t);
}

TEST(what_is_excluded_is_not_read) {
    struct tailing t = tailing_start("a*", NULL);
    file_append(&t, "a.log", "text\n");
    file_append(&t, "a.log.1.gz", "not text\n");
    mkdir(file_path(&t, "a.dir"), 0755);
    mkfifo(file_path(&t, "a.fifo"), 0644);
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "text|");
    tailing_end(&t);
}

TEST(a_link_and_its_target_are_one_file) {
    struct tailing t = tailing_start("*.log", NULL);
    file_append(&t, "real.log", "once\n");
    assert_int_equal(symlink("real.log", file_path(&t, "link.log")), 0);
    tailing_drain(&t, QUIET_MS);
    file_append(&t, "link.log", "more\n");
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "once|more|");
    tailing_end(&t);
}

TEST(a_link_that_is_pointed_elsewhere_is_followed_and_the_old_target_read_to_its_end) {
    struct tailing t = tailing_start("current.log", NULL);
    mkdir(file_path(&t, "pods"), 0755);
    file_append(&t, "pods/0.log", "1\n");
    assert_int_equal(symlink("pods/0.log", file_path(&t, "current.log")), 0);
    tailing_drain(&t, QUIET_MS);
    file_append(&t, "pods/0.log", "2\n");
    file_append(&t, "pods/1.log", "3\n");
    unlink(file_path(&t, "current.log"));
    assert_int_equal(symlink("pods/1.log", file_path(&t, "current.log")), 0);
    tailing_drain(&t, 100);
    assert_string_equal(tailing_lines(&t), "1|2|3|");
    tailing_end(&t);
}

TEST(more_files_than_may_be_open_are_all_read) {
    struct tailing t = tailing_start("*.log", OPTIONS("max.open.files=2"));
    char name[32], line[32];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 7; i++) {
            snprintf(name, sizeof name, "%d.log", i);
            snprintf(line, sizeof line, "%d-%d\n", i, round);
            file_append(&t, name, line);
        }
        tailing_drain(&t, 150);
        assert_int_equal(t.kept_count, 7 * (round + 1));
    }
    tailing_end(&t);
}

TEST(a_file_with_another_device_number_after_a_reboot_is_the_same) {
    struct tailing t = tailing_start("*.log", NULL);
    file_append(&t, "a.log", "1\n2\n");
    tailing_drain(&t, QUIET_MS);
    const struct cn_stored_position *p = testhost_stored_at(t.host, 0);
    char *offset = strdup(p->offset), *partition = strdup(p->partition);
    testhost_close(t.host);
    testhost_position(t.host, partition, NULL);
    testhost_position(t.host, "{\"device\":99999,\"inode\":77}", offset);
    file_append(&t, "a.log", "3\n");
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "1|2|3|");
    assert_non_null(testhost_stored(t.host, partition));
    assert_null(testhost_stored(t.host, "{\"device\":99999,\"inode\":77}"));
    free(offset);
    free(partition);
    tailing_end(&t);
}

TEST(positions_of_files_that_are_gone_are_kept_for_a_while) {
    struct tailing t = tailing_start("*.log", OPTIONS("forget.after.ms=1000"));
    static const char partition[] = "{\"device\":99999,\"inode\":77}";
    char offset[256];
    snprintf(offset, sizeof offset, "{\"path\":\"%s/a.log\",\"offset\":2,\"head\":\"2:0\",\"mark\":\"2:0\",\"skipping\":false,\"at\":%d}", t.dir, 1768046400);
    testhost_position(t.host, partition, offset);
    testhost_time(t.host, 1768046400500000);
    tailing_drain(&t, QUIET_MS);
    assert_non_null(testhost_stored(t.host, partition));
    assert_true(testhost_logged(t.host, "is not there; its position is kept"));
    testhost_advance(t.host, 10000);
    tailing_drain(&t, QUIET_MS);
    assert_null(testhost_stored(t.host, partition));
    tailing_end(&t);
}

TEST(a_file_that_may_not_be_read_is_named_with_the_way_out) {
    if (geteuid() != 0) skip();
    struct tailing t = tailing_start("*.log", NULL);
    file_append(&t, "a.log", "secret\n");
    chmod(file_path(&t, "a.log"), 0600);
    chmod(t.dir, 0755);
    assert_int_equal(seteuid(65534), 0);
    assert_int_equal(testhost_check(t.host), -1);
    assert_has(t.host->failure.text, "/a.log: Permission denied");
    tailing_drain(&t, QUIET_MS);
    assert_true(testhost_logged(t.host, "/a.log: Permission denied; let the daemon's user read it"));
    assert_int_equal(seteuid(0), 0);
    tailing_restart(&t); // what could not be read is read once it can
    tailing_drain(&t, QUIET_MS);
    assert_string_equal(tailing_lines(&t), "secret|");
    tailing_end(&t);
}

TEST(wrong_configurations_say_what_to_do) {
    static const struct { const char *options[4], *text; } rows[] = {
        {{"topic=x", NULL}, "neither path nor file is set"},
        {{"topic=x", "path=/a", "file=/b", NULL}, "path and file are both set"},
        {{"topic=x", "path=var/log/a", NULL}, "var/log/a is relative"},
        {{"topic=x", "file=a", NULL}, "file: a is relative"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct testhost *t = testhost_new_component(connectd_plugin_v1()->components[0], rows[i].options);
        assert_int_equal(testhost_validate(t), -1);
        assert_has(t->failure.text, rows[i].text);
        testhost_free(t);
    }
}

TEST(kafkas_names_work) {
    const char *dir = tmpdir_new();
    char option[512];
    snprintf(option, sizeof option, "file=%s", tmpdir_file(dir, "a[1].log", "one\n"));
    struct testhost *t = testhost_new_component(connectd_plugin_v1()->components[0], OPTIONS("topic=x", "batch.size=5", option));
    assert_int_equal(testhost_open(t), 0);
    assert_int_equal(testhost_take(t, 1, 1000), 1);
    testhost_free(t);
    assert_has(connectd_plugin_v1()->components[0]->aliases, "org.apache.kafka.connect.file.FileStreamSourceConnector");
    assert_has(connectd_plugin_v1()->components[1]->aliases, "org.apache.kafka.connect.file.FileStreamSinkConnector");
}

TEST(a_position_of_another_kind_is_refused) {
    struct tailing t = tailing_start("*.log", NULL);
    testhost_position(t.host, "{\"filename\":\"/a\"}", "{\"position\":3}");
    assert_int_equal(testhost_open(t.host), -1);
    assert_has(t.host->failure.text, "stored position {\"filename\":\"/a\"}");
    tailing_end(&t);
}
