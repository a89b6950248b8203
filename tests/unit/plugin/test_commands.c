// SPDX-License-Identifier: Apache-2.0
#include "plugin/commands.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "test.h"
#include "tmpdir.h"

struct ran { int code; char *out, *err_out; };
static struct ran run(struct run_params p, const char *input) {
    struct ran r;
    size_t n;
    struct err err = {0};
    FILE *in = fmemopen((void *)(uintptr_t)(*input ? input : "\n"), *input ? strlen(input) : 1, "r");
    FILE *out = open_memstream(&r.out, &n), *err_out = open_memstream(&r.err_out, &n);
    r.code = cmd_plugins_run(&p, in, out, err_out, &err);
    fprintf(err_out, "%s%s", err.msg, err.hint);
    fclose(in), fclose(out), fclose(err_out);
    return r;
}
static void done(struct ran *r) { free(r->out), free(r->err_out); }

TEST(a_source_is_run_to_its_end_and_shows_where_it_stands) {
    struct ran r = run((struct run_params){.path = BAD "/hello-source.so", .options = (const char *const[]){"interval=0", "count=3", NULL}}, "");
    assert_int_equal(r.code, 0);
    assert_has(r.out, "{\"topic\":\"hello\",\"partition\":null,\"offset\":0,\"timestamp\":null,\"key\":null,\"value\":\"hello 2\",\"headers\":[]}\n");
    assert_has(r.err_out, "position {\"source\":\"hello\"} {\"next\":3}");
    done(&r);
    r = run((struct run_params){.path = BAD "/hello-source.so", .options = (const char *const[]){"interval=0", NULL}, .max = 2,
        .positions = (const char *const[]){"{\"source\":\"hello\"}", "{\"next\":40}", NULL}}, "");
    assert_has(r.out, "hello 41");
    assert_null(strstr(r.out, "hello 42"));
    done(&r);
}

TEST(a_sink_is_fed_json_lines_and_its_verdicts_are_printed) {
    const char *dir = tmpdir_new();
    _cleanup_free_ char *option = xasprintf("path=%s/out", dir), *path = xasprintf("%s/out", dir);
    struct ran r = run((struct run_params){.path = BAD "/hello-sink.so", .options = (const char *const[]){option, NULL}}, "{\"topic\":\"a\",\"offset\":5,\"value\":[1]}\n\"x\"\n");
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out, "{\"topic\":\"a\",\"partition\":0,\"offset\":5,\"verdict\":\"ok\"}\n{\"topic\":\"test\",\"partition\":0,\"offset\":0,\"verdict\":\"ok\"}\n");
    done(&r);
    char *text = tmpdir_read(path);
    assert_string_equal(text, "[1]\n\"x\"\n");
    free(text);
    r = run((struct run_params){.path = BAD "/hello-sink.so", .options = (const char *const[]){option, NULL}}, "{\"topic\":");
    assert_int_equal(r.code, 1);
    assert_has(r.err_out, "record 1 is no JSON");
    done(&r);
}

TEST(what_can_not_be_run_says_why) {
    struct ran r = run((struct run_params){.path = BAD "/hello-sink.so"}, "");
    assert_int_equal(r.code, 1);
    assert_has(r.err_out, "open: option path: required");
    done(&r);
    r = run((struct run_params){.path = BAD "/hello-sink.so", .component = "other"}, "");
    assert_int_equal(r.code, 2);
    assert_has(r.err_out, "hello-sink has no component other; it has sink/hello-sink");
    done(&r);
    r = run((struct run_params){.path = CASES "/case_crash.so"}, "");
    assert_int_equal(r.code, 2);
    assert_has(r.err_out, "crashes on load");
    done(&r);
}

TEST(a_new_plugin_is_written_once_with_its_test_and_its_pipeline) {
    const char *dir = tmpdir_new();
    _cleanup_free_ char *folder = xasprintf("%s/my-in", dir), *c = xasprintf("%s/my-in.c", folder), *yaml = xasprintf("%s/my-in.yaml", folder);
    _cleanup_free_ char *test = xasprintf("%s/test_my-in.c", folder), *make = xasprintf("%s/Makefile", folder);
    struct err err;
    char *out;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    assert_ok(cmd_plugins_new("my-in", CN_SOURCE, folder, f, &err), err);
    assert_fails(cmd_plugins_new("my-in", CN_SOURCE, folder, f, &err), err, ERR_EXISTS);
    assert_fails(cmd_plugins_new("My In", CN_SINK, folder, f, &err), err, ERR_INVALID);
    assert_has(err.hint, "small letters");
    fclose(f);
    assert_has(out, "my-in.yaml\n");
    free(out);
    const char *const files[] = {c, yaml, test, make};
    for (size_t i = 0; i < countof(files); i++) {
        char *text = tmpdir_read(files[i]);
        assert_non_null(text);
        assert_null(strchr(text, '@') && strstr(text, "NAME@") ? text : NULL);
        free(text);
    }
    char *text = tmpdir_read(c);
    assert_has(text, "struct my_in {");
    assert_has(text, "CN_PLUGIN(\"my-in\"");
    free(text);
}

TEST(plugins_are_listed_with_what_they_offer) {
    struct plugins *p = plugins_new();
    struct err err;
    char *out;
    size_t n;
    assert_ok(plugins_load(p, BAD "/hello-sink.so", &err), err);
    FILE *f = open_memstream(&out, &n);
    assert_int_equal(cmd_plugins_list(p, false, f), 0);
    assert_fails(plugins_load(p, CASES "/case_other_abi.so", &err), err, ERR_INVALID);
    assert_int_equal(cmd_plugins_list(p, false, f), 1);
    fclose(f);
    assert_has(out, "hello-sink 1.0.0  loaded  " BAD "/hello-sink.so\n  sink      hello-sink               Appends JSON lines to a file\n");
    assert_has(out, "case_other_abi   faulty  ");
    assert_has(out, "  hint: upgrade connectd");
    free(out);
    plugins_free(p);
}
