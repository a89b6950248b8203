// SPDX-License-Identifier: Apache-2.0
// Discovery and the gate, on plugin files that are wrong in one way each (so/case.c).
#include "plugin/plugins.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/descriptor.h"
#include "test.h"
#include "tmpdir.h"

static const struct plugin *found;
static int take(void *arg, const struct plugin *p) {
    const char *part = arg;
    if (p->path && strstr(p->path, part)) found = p;
    return 0;
}
static const struct plugin *entry(struct plugins *p, const char *part) {
    found = NULL;
    plugins_each(p, take, (void *)(uintptr_t)part);
    assert_non_null(found);
    return found;
}

TEST(a_file_is_loaded_copied_and_found_by_name_and_alias) {
    struct plugins *p = plugins_new();
    const struct component *c;
    struct err err;
    assert_ok(plugins_load(p, CASES "/case_good.so", &err), err);
    static const char *const names[] = {"case-source", "org.example.CaseSourceConnector", "CaseSourceConnector", "CaseSource"};
    for (size_t i = 0; i < countof(names); i++) assert_ok(plugins_find(p, CN_SOURCE, names[i], &c, &err), err);
    assert_string_equal(c->plugin->name, "case-plugin");
    assert_string_equal(c->plugin->version, "1.2.3");
    assert_int_equal(c->plugin->status, PLUGIN_LOADED);
    assert_int_equal(c->option_count, 2);
    assert_string_equal(c->options[1].name, "n");
    assert_non_null(c->ops.source.poll);
    assert_null(c->ops.source.tick);
    assert_ptr_equal(component_of(&c->view), c);
    assert_ptr_equal(plugins_lookup(p, CN_SOURCE, "case-source"), &c->view);
    assert_null(plugins_lookup(p, CN_SINK, "case-source"));
    plugins_free(p);
}

TEST(structs_of_an_older_plugin_end_in_zeros) {
    struct plugins *p = plugins_new();
    const struct component *c;
    struct err err;
    assert_ok(plugins_load(p, CASES "/case_old_sizes.so", &err), err);
    assert_ok(plugins_find(p, CN_SOURCE, "case-source", &c, &err), err);
    assert_string_equal(c->options[1].name, "n");
    assert_string_equal(c->options[1].doc, "A number.");
    assert_null(c->options[1].aliases);
    assert_string_equal(c->plugin->author, "");
    plugins_free(p);
}

// Each wrong file is a faulty entry with its reason; the rest of the folder loads.
TEST(faulty_files_are_listed_with_their_reason_and_harm_nobody) {
    static const struct { const char *file, *want; } cases[] = {
        {"case_crash.so", "crashes on load with SEGV"}, {"case_hang.so", "hangs on load"}, {"case_quit.so", "exit code 3"},
        {"case_other_abi.so", "built for plugin ABI 7.3, this connectd 0.1.0 speaks 0.1"}, {"case_next_symbol.so", "offers plugin interface 2 only"},
        {"case_no_symbol.so", "not a connectd plugin"}, {"case_undefined.so", "undefined symbol: is_nowhere_to_be_found"},
        {"case_no_poll.so", "source case-source: its ops table lacks poll"}, {"case_bad_default.so", "its default does not fit: option bad: 'nine'"},
        {"case_twice.so", "option topic: stands twice"}};
    struct plugins *p = plugins_new();
    const char *dir = tmpdir_new();
    const struct component *c;
    struct err err;
    for (size_t i = 0; i < countof(cases); i++) {
        _cleanup_free_ char *from = xasprintf(CASES "/%s", cases[i].file), *to = xasprintf("%s/%s", dir, cases[i].file);
        assert_int_equal(link(from, to) != 0 && symlink(from, to) != 0, 0);
    }
    _cleanup_free_ char *good = xasprintf("%s/zz-good.so", dir);
    assert_int_equal(symlink(CASES "/case_good.so", good), 0);
    tmpdir_file(dir, "README.txt", "not a plugin");
    tmpdir_file(dir, "text.so", "not a plugin");
    assert_int_equal(plugins_scan(p, (const char *const[]){dir, "/no/such/folder"}, 2), countof(cases) + 1);
    for (size_t i = 0; i < countof(cases); i++) {
        const struct plugin *e = entry(p, cases[i].file);
        assert_int_equal(e->status, PLUGIN_FAULTY);
        assert_has(e->error, cases[i].want);
    }
    assert_has(entry(p, "case_other_abi.so")->hint, "upgrade connectd");
    assert_has(entry(p, "text.so")->error, "does not load");
    assert_ok(plugins_find(p, CN_SOURCE, "case-source", &c, &err), err);
    assert_int_equal(plugins_scan(p, &dir, 1), 0); // what is known is left alone
    plugins_free(p);
}

TEST(what_is_not_found_is_explained) {
    struct plugins *p = plugins_new();
    const struct component *c;
    struct err err;
    assert_fails(plugins_find(p, CN_SINK, "http-sink", &c, &err), err, ERR_NOT_FOUND);
    assert_has(err.hint, "plugin.path is empty");
    assert_ok(plugins_load(p, CASES "/case_good.so", &err), err);
    assert_fails(plugins_find(p, CN_SOURCE, "case-sorce", &c, &err), err, ERR_NOT_FOUND);
    assert_string_equal(err.msg, "no source is called 'case-sorce'");
    assert_string_equal(err.hint, "did you mean case-source?");
    assert_fails(plugins_find(p, CN_SINK, "case-source", &c, &err), err, ERR_NOT_FOUND);
    assert_string_equal(err.msg, "case-source is a source, not a sink");
    assert_fails(plugins_load(p, CASES "/case_crash.so", &err), err, ERR_INVALID);
    assert_has(err.msg, "case_crash.so: crashes on load");
    assert_fails(plugins_find(p, CN_SOURCE, "case_crash", &c, &err), err, ERR_NOT_FOUND);
    assert_has(err.msg, "can not be used: crashes on load");
    assert_fails(plugins_load(p, "/no/such.so", &err), err, ERR_NOT_FOUND);
    plugins_free(p);
}

TEST(two_files_may_not_offer_the_same_name) {
    struct plugins *p = plugins_new();
    struct err err;
    assert_ok(plugins_load(p, CASES "/case_good.so", &err), err);
    assert_fails(plugins_load(p, CASES "/case_old_sizes.so", &err), err, ERR_INVALID);
    assert_has(err.msg, "offers source case-source, which " CASES "/case_good.so offers already");
    plugins_free(p);
}

TEST(a_file_changed_on_disk_shows) {
    struct plugins *p = plugins_new();
    struct err err;
    const char *dir = tmpdir_new();
    _cleanup_free_ char *copy = xasprintf("%s/copy.so", dir), *command = xasprintf("cp " CASES "/case_good.so %s/copy.so", dir);
    assert_int_equal(system(command), 0);
    assert_ok(plugins_load(p, copy, &err), err);
    assert_false(plugin_changed(entry(p, "copy.so")));
    assert_int_equal(unlink(copy), 0);
    assert_true(plugin_changed(entry(p, "copy.so")));
    assert_int_equal(system(command), 0);
    assert_true(plugin_changed(entry(p, "copy.so")));
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    plugins_json(p, &w);
    assert_has(buf_cstr(&out), "\"status\":\"loaded\"");
    assert_has(buf_cstr(&out), "\"changed\":true");
    assert_has(buf_cstr(&out), "{\"kind\":\"source\",\"name\":\"case-source\",\"aliases\":[\"org.example.CaseSourceConnector\"],\"summary\":\"A case\"}");
    buf_done(&out);
    plugins_free(p);
}

TEST(a_file_others_may_write_is_refused) {
    struct plugins *p = plugins_new();
    struct err err;
    const char *dir = tmpdir_new();
    _cleanup_free_ char *copy = xasprintf("%s/copy.so", dir), *command = xasprintf("cp " CASES "/case_good.so %s/copy.so && chmod 666 %s/copy.so", dir, dir);
    assert_int_equal(system(command), 0);
    assert_fails(plugins_load(p, copy, &err), err, ERR_INVALID);
    assert_has(err.msg, "writable by everybody (mode 0666)");
    assert_has(err.hint, "chmod o-w ");
    plugins_free(p);
}

TEST(versions_pass_the_gate_only_when_they_fit) {
    struct err err;
    assert_ok(descriptor_abi(CN_ABI_MAJOR, CN_ABI_MINOR, &err), err);
    assert_fails(descriptor_abi(CN_ABI_MAJOR, CN_ABI_MINOR + 1, &err), err, ERR_UNSUPPORTED);
    assert_has(err.hint, "upgrade connectd");
    assert_fails(descriptor_abi(CN_ABI_MAJOR, 0, &err), err, ERR_UNSUPPORTED);
    assert_has(err.hint, "rebuild the plugin");
    assert_has(err.msg, "plugin ABI 0.0, this connectd 0.1.0 speaks 0.1");
}

// ── descriptors that never came from a file ──

static int open_it(struct cn_host *h, void **ret) { (void)h, (void)ret; return 0; }
static int put_it(void *t, const struct cn_batch *b) { (void)t, (void)b; return 0; }
static void close_it(void *t) { (void)t; }
static const struct cn_sink_ops ops = {.struct_size = sizeof ops, .open = open_it, .put = put_it, .close = close_it};

TEST(wrong_descriptors_are_named_by_their_fault) {
    struct cn_component c = {sizeof c, CN_SINK, "x", NULL, "s", NULL, 0, sizeof(struct cn_option), &ops};
    const struct cn_component *list[] = {&c};
    struct cn_plugin d = {sizeof d, CN_ABI_MAJOR, CN_ABI_MINOR, "x", "1", NULL, NULL, NULL, list, 1, 0, NULL};
    struct cn_option row = {"a", CN_OPT_STRING, 0, 0, 0, NULL, 0, 0, NULL, NULL, "d", NULL};
    struct cn_sink_ops short_ops = ops;
    struct plugin p = {0};
    struct err err;
    assert_ok(descriptor_copy(&d, &p, &err), err);
    descriptor_done(&p);
#define WRONG(set, undo, want)                                                                                         \
    set;                                                                                                               \
    assert_true(descriptor_copy(&d, &p, &err) != 0);                                                                   \
    assert_has(err.msg, want);                                                                                         \
    undo
    WRONG(c.name = "X y", c.name = "x", "names are of [a-z0-9-]");
    WRONG(c.summary = "", c.summary = "s", "without a summary");
    WRONG(c.kind = 9, c.kind = CN_SINK, "unknown kind 9");
    WRONG(c.struct_size = 8, c.struct_size = sizeof c, "struct_size 8");
    WRONG(c.ops = NULL, c.ops = &ops, "without an ops table");
    short_ops.struct_size = offsetof(struct cn_sink_ops, put);
    WRONG(c.ops = &short_ops, c.ops = &ops, "lacks put");
    short_ops.struct_size = 0;
    WRONG(c.ops = &short_ops, c.ops = &ops, "struct_size 0");
    WRONG(d.version = NULL, d.version = "1", "without a version");
    WRONG(d.component_count = 0, d.component_count = 1, "0 components");
    WRONG(d.name = "Bad Name", d.name = "x", "plugin name");
    c.options = &row, c.option_count = 1;
    WRONG(c.option_size = 12, c.option_size = sizeof row, "12 bytes");
    WRONG(row.type = 77, row.type = CN_OPT_STRING, "unknown type 77");
    WRONG(row.flags = 128, row.flags = 0, "unknown flags");
    WRONG(row.name = "a b", row.name = "a", "names are letters");
    WRONG(row.name = "a.", row.name = "a", "ends in '.'");
    WRONG(row.doc = NULL, row.doc = "d", "without documentation");
    WRONG(row.type = CN_OPT_ENUM, row.type = CN_OPT_STRING, "enum without choices");
    WRONG((row.min = 2, row.max = 1), (row.min = row.max = 0), "range 2..1 is empty");
    WRONG((row.def = "x", row.flags = CN_OPT_REQUIRED), (row.def = NULL, row.flags = 0), "can not have a default");
    assert_fails(descriptor_copy(NULL, &p, &err), err, ERR_INVALID);
#undef WRONG
}
