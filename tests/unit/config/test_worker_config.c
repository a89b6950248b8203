// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/mem.h"
#include "config/worker_config.h"
#include "test.h"
#include "tmpdir.h"

static struct findings f;
static struct worker_config *c;

static void reset(void) {
    worker_config_free(c);
    findings_done(&f);
    c = NULL;
}

static int load(const char *text) {
    reset();
    return worker_config_load(tmpdir_file(tmpdir_new(), "connectd.yaml", text), NULL, &c, &f);
}

static void assert_says(const char *want) {
    struct buf out = {0};
    findings_print(&f, &out);
    assert_has(buf_cstr(&out), want);
    buf_done(&out);
}

static void assert_error(const char *text, const char *want) {
    assert_int_equal(load(text), -1);
    assert_null(c);
    assert_says(want);
    reset();
}

TEST(an_absent_or_empty_file_means_the_defaults) {
    static const char *const files[] = {NULL, "/nonexistent/connectd.yaml"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(worker_config_load(files[i], NULL, &c, &f), 0);
        assert_string_equal(c->data_dir, "/var/lib/connectd");
        assert_string_equal(c->spool_dir, "/var/lib/connectd/spool");
        assert_int_equal(c->plugin_path.n, 2);
        assert_string_equal(c->plugin_path.items[1], "/usr/local/lib/connectd/plugins");
        assert_string_equal(c->key_converter, "json");
        assert_int_equal(c->shutdown_ms, 5000);
        assert_int_equal(c->commit_max_bytes, 16 << 20);
        assert_int_equal(c->max_message_bytes, 64 << 20);
        assert_int_equal(c->retention_ms, 604800000);
        assert_int_equal(c->retention_bytes, -1);
        assert_int_equal(c->say_level, WORKER_SAY_INFO);
        reset();
    }
    assert_int_equal(load("# only comments\n"), 0);
    reset();
}

TEST(options_are_read_in_any_spelling) {
    setenv("TEST_DIR", "/srv/connectd", 1);
    assert_int_equal(load("data.dir: ${env:TEST_DIR}\nlog: {level: debug, retention: {ms: 1d}, segment.bytes: 64MiB}\nplugin.path: [/a, '/b,c']\nvalue.converter: {type: json, schemas.enable: true}\n"), 0);
    assert_string_equal(c->data_dir, "/srv/connectd");
    assert_int_equal(c->say_level, WORKER_SAY_DEBUG);
    assert_int_equal(c->retention_ms, 86400000);
    assert_int_equal(c->segment_bytes, 64 << 20);
    assert_string_equal(c->plugin_path.items[1], "/b,c");
    assert_string_equal(c->value_converter, "json");
    assert_string_equal(props_text(&c->props, "value.converter.schemas.enable", ""), "true");
    reset();
}

TEST(the_command_line_goes_before_the_file) {
    struct props over = {0};
    props_set(&over, "data.dir", "/tmp/x");
    props_set(&over, "num.partitions", "3");
    assert_int_equal(worker_config_load(tmpdir_file(tmpdir_new(), "c.yaml", "data.dir: /srv\nlog.level: warn\n"), &over, &c, &f), 0);
    assert_string_equal(c->data_dir, "/tmp/x");
    assert_int_equal(c->default_partitions, 3);
    assert_int_equal(c->say_level, WORKER_SAY_WARN);
    props_done(&over);
    reset();
}

TEST(what_is_wrong_is_named_with_its_line) {
    assert_error("data.dri: /x\n", "connectd.yaml:1:1: error: option data.dri is unknown\n    hint: did you mean data.dir?");
    assert_error("log.level: info\nlog: {level: warn}\n", "option log.level is given twice: it is also in line 1");
    assert_error("num.partitions: 0\n", "0 is out of range: 1 to 10000");
    assert_error("log.journal.bytes: 32MiB\nlog.commit.max.bytes: 32MiB\n", "connectd.yaml:1:20: error: log.journal.bytes (33554432) is less than twice log.commit.max.bytes (33554432)");
    assert_error("[a]\n", "it is a map of options");
    assert_error("a: [\n", "connectd.yaml:");
}

TEST(what_is_not_there_yet_is_refused_by_name) {
    assert_error("listeners: PLAINTEXT://:9092\n", "option listeners is not supported: the log is not served to Kafka clients, and there is no REST interface in this version");
    assert_error("bootstrap.servers: k:9092\n", "option bootstrap.servers is not supported");
    assert_error("rest.port: 8083\n", "option rest.port is not supported");
    assert_int_equal(load("exactly.once.source.support: enabled\n"), 0);
    assert_says("warning: option exactly.once.source.support has no effect here");
    reset();
}

// Takes the # off every option line of the printed file.
static char *uncommented(const char *printed) {
    struct buf out = {0};
    struct str rest = str_of(printed), line;
    while (str_split(&rest, '\n', &line)) {
        bool option = line.n > 1 && line.p[0] == '#' && line.p[1] != ' ' && line.p[line.n - 1] != '.';
        buf_puts(&out, str_from(line, option));
        buf_u8(&out, '\n');
    }
    char *text = xstrdup(buf_cstr(&out));
    buf_done(&out);
    return text;
}

TEST(the_printed_file_loads_commented_and_uncommented) {
    struct buf out = {0};
    worker_config_print(&out);
    assert_int_equal(load(buf_cstr(&out)), 0);
    assert_int_equal(c->props.n, 0);
    _cleanup_free_ char *all = uncommented(buf_cstr(&out));
    if (load(all)) {
        assert_says("nothing");
    }
    assert_true(c->props.n > 30);
    assert_string_equal(c->data_dir, "/var/lib/connectd");
    assert_int_equal(c->commit_max_bytes, 16 << 20);
    assert_int_equal(c->plugin_path.n, 2);
    for (size_t i = 0; i < worker_row_count; i++)
        if (!(worker_rows[i].flags & (CN_OPT_REFUSED | CN_OPT_IGNORED))) assert_has(all, worker_rows[i].name);
    assert_null(strstr(buf_cstr(&out), "bootstrap.servers"));
    buf_done(&out);
    reset();
}

TEST(the_installed_file_is_up_to_date) {
    struct buf out = {0};
    worker_config_print(&out);
    _cleanup_free_ char *installed = tmpdir_read(CONFIGS_DIR "/connectd.yaml");
    if (!installed || strcmp(installed, buf_cstr(&out))) fail_msg("configs/connectd.yaml is stale: build the target update-connectd-yaml");
    buf_done(&out);
}

TEST(every_row_is_documented_and_its_default_fits) {
    for (size_t i = 0; i < worker_row_count; i++) {
        const struct cn_option *row = &worker_rows[i];
        assert_true(row->doc && strlen(row->doc) > 15);
        if (!(row->flags & (CN_OPT_REFUSED | CN_OPT_IGNORED))) assert_non_null(row->group);
        for (size_t k = 0; k < i; k++) assert_string_not_equal(row->name, worker_rows[k].name);
    }
}
