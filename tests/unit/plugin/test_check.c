// SPDX-License-Identifier: Apache-2.0
// The conformance suite: green on what keeps the rules, red with the right words on what breaks one (bad/*.c).
#include "plugin/check.h"

#include <stdlib.h>

#include "base/mem.h"
#include "plugin/commands.h"
#include "test.h"
#include "tmpdir.h"

static struct buf said;
static void note(void *arg, const struct check_result *r) {
    static const char *const words[] = {"ok", "FAILED", "skipped"};
    (void)arg;
    buf_printf(&said, "%s: %s: %s\n", words[r->status], r->name, r->detail);
}
static struct check_totals run(const char *file, const char *only, const char *const *options) {
    struct check_totals totals;
    struct err err;
    _cleanup_free_ char *path = xasprintf("%s/%s.so", BAD, file);
    buf_clear(&said);
    assert_ok(plugin_check(&(struct check_params){.path = path, .only = only, .options = options}, note, NULL, &totals, &err), err);
    return totals;
}
static void green(const char *file, const char *const *options) {
    struct check_totals t = run(file, NULL, options);
    if (t.failed || !t.ok) fail_msg("%s: %s", file, buf_cstr(&said));
}
static void red(const char *file, const char *only, const char *want) {
    struct check_totals t = run(file, only, NULL);
    if (!t.failed) fail_msg("%s is green under '%s': %s", file, only, buf_cstr(&said));
    assert_has(buf_cstr(&said), want);
}

TEST(plugins_that_keep_the_rules_are_green) {
    green("good_source", NULL);
    green("good_sink", NULL);
}
TEST(the_examples_are_green) {
    _cleanup_free_ char *path = xasprintf("path=%s/out", tmpdir_new());
    green("hello-source", (const char *const[]){"interval=0", "count=30", NULL});
    green("hello-source", NULL);
    green("hello-sink", (const char *const[]){path, NULL});
}
TEST(what_can_not_be_checked_is_skipped_loudly) {
    struct check_totals t = run("hello-sink", NULL, NULL); // its path is required
    assert_int_equal(t.failed, 0);
    assert_true(t.skipped >= 5);
    assert_has(buf_cstr(&said), "does not open without options (-o) or its remote: option path: required");
}
TEST(with_options_what_does_not_open_is_red) {
    struct check_totals t = run("hello-sink", "open and close", (const char *const[]){"path=/no/such/folder/x", NULL});
    assert_int_equal(t.failed, 1);
    assert_has(buf_cstr(&said), "does not open: open /no/such/folder/x");
}

#define RED(file, only, want) TEST(file##_is_red) { red(#file, only, want); }
RED(position_not_json, "well formed", "offset: 'next=1' is no JSON object")
RED(string_not_utf8, "well formed", "record 0: value: string: is not UTF-8")
RED(cell_out_of_bounds, "well formed", "record 0: value: bytes: 1048576 bytes at offset 64 are outside of the batch")
RED(type_against_schema, "well formed", "record 0: value: int32 under a schema of string")
RED(does_not_resume, "resumes", "it does not go on where that stands")
RED(ignores_wake, "a wake ends", "a wake did not end a waiting poll")
RED(spins, "waits until then", "instead of waiting for its time-out")
RED(writes_to_stdout, "two instances", "wrote to standard output: 'hello from open'")
RED(leaks_descriptors, "leave nothing behind", "left 12 descriptors open")
RED(changes_signal_handler, "leave nothing behind", "changed the process's handler of Terminated")
RED(fails_silently, "leave nothing behind", "open failed without saying why")
RED(settles_twice, "exactly once", "was settled 2 times")
RED(never_settles, "exactly once", "was never settled")
RED(settles_after_revoke, "after a revoke", "came for partitions after their revoke returned")
RED(talks_after_close, "says no more", "log was called after close returned")
RED(wrong_thread, "exactly once", "schema_get was called from a thread of the plugin's own")
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // these answer a fault with an exit of their own
RED(leaks_memory, "leave nothing behind", "every open and close leaves about 10")
RED(keeps_pointer_over_growth, "well formed", "crashed with Segmentation fault in poll")
RED(keeps_batch_after_put, "exactly once", "crashed with Segmentation fault in flush")
RED(writes_into_put_batch, "exactly once", "crashed with Segmentation fault in put")
#endif

TEST(a_file_that_does_not_load_is_red_at_once) {
    struct check_totals t;
    struct err err;
    buf_clear(&said);
    assert_ok(plugin_check(&(struct check_params){.path = CASES "/case_crash.so"}, note, NULL, &t, &err), err);
    assert_int_equal(t.failed, 1);
    assert_int_equal(t.ok, 0);
    assert_has(buf_cstr(&said), "crashes on load");
    assert_fails(plugin_check(&(struct check_params){.path = "/no/such.so"}, note, NULL, &t, &err), err, ERR_NOT_FOUND);
}

TEST(the_command_prints_a_line_a_rule_and_says_red_by_its_code) {
    char *text = NULL;
    size_t n;
    struct err err;
    FILE *out = open_memstream(&text, &n);
    struct check_params p = {.path = BAD "/position_not_json.so", .only = "well formed"};
    assert_int_equal(cmd_plugins_check(&p, false, out, &err), 1);
    fclose(out);
    assert_has(text, "source good-source\n  FAILED  every batch is well formed\n");
    assert_has(text, "1 ok, 1 failed, 0 skipped\n");
    free(text);
    out = open_memstream(&text, &n);
    p.path = BAD "/good_source.so";
    assert_int_equal(cmd_plugins_check(&p, true, out, &err), 0);
    fclose(out);
    assert_has(text, "{\"component\":\"source good-source\",\"rule\":\"every batch is well formed\",\"result\":\"ok\",\"detail\":\"\"}");
    free(text);
    buf_done(&said);
}
