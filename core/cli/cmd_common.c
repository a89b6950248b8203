// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cmd.h"
#include "cli/paths.h"
#include "cli/term.h"
#include "converters/converter.h"
#include "plugin/plugins.h"
#include "transforms/transform.h"

// ── connectd.yaml ──

static const struct place command_line = {"command line", 0, 0};

static int override_set(struct props *p, const char *text, struct findings *f) {
    struct str rest = str_of(text), name;
    if (!str_split(&rest, '=', &name) || !name.n || !rest.p) {
        findings_error(f, command_line, NULL, "--set %s: OPTION=VALUE is expected", text);
        return findings_hint(f, "for example --set log.retention.ms=1d");
    }
    _cleanup_free_ char *key = str_dup(name);
    props_remove(p, key);
    props_add(p, name, rest, command_line);
    return 0;
}

static void override_text(struct props *p, const struct args *a, const char *option, const char *key) {
    const char *v = arg_text(a, option, NULL);
    if (v) props_add(p, str_of(key), str_of(v), command_line);
}

static void override_list(struct props *p, const struct args *a, const char *option, const char *key) {
    struct str items[64];
    size_t n = 0, at = 0;
    for (const char *v; n < countof(items) && (v = arg_next(a, option, &at));) items[n++] = str_of(v);
    if (n) props_add_list(p, str_of(key), items, n, command_line);
}

static void overrides_of(const struct args *a, struct props *p, struct findings *f) {
    size_t at = 0;
    override_text(p, a, "data", "data.dir");
    override_text(p, a, "control", "control.socket");
    override_text(p, a, "log-level", "log.level");
    override_text(p, a, "log-format", "log.format");
    override_text(p, a, "secrets", "secrets.dir");
    override_list(p, a, "plugin-path", "plugin.path");
    for (const char *v; (v = arg_next(a, "set", &at));) override_set(p, v, f);
}

static int print_findings(struct findings *f, bool json) {
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    findings_sort(f);
    if (json) findings_json(f, &w), buf_u8(&out, '\n');
    else findings_print(f, &out);
    fputs(buf_cstr(&out), json ? stdout : stderr);
    buf_done(&out);
    return f->errors ? EXIT_BAD_CONFIG : EXIT_OK;
}

int cmd_load_config(const struct args *a, struct worker_config **ret) {
    struct findings f = {0};
    struct props overrides = {0};
    struct err err = {0};
    const char *path = arg_text(a, "config", NULL);
    if (path && access(path, R_OK) != 0) {
        err_sys(&err, errno, "%s", path);
        findings_err(&f, (struct place){path, 0, 0}, NULL, &err);
    }
    overrides_of(a, &overrides, &f);
    if (!f.errors && worker_config_load(path ? path : CONFIG_DEFAULT, &overrides, ret, &f) != 0) *ret = NULL;
    int code = print_findings(&f, false);
    props_done(&overrides);
    findings_done(&f);
    return code;
}

const char *config_text_set(const struct worker_config *c, const char *option) {
    const struct cn_option_value *v = option_values_get(c->values, option);
    return v && v->set ? v->text : NULL;
}

// ── plugins ──

static void scan_default(struct plugins *p) {
    char *folders[8];
    const char *list[8];
    size_t n = paths_plugins(folders, countof(folders));
    for (size_t i = 0; i < n; i++) list[i] = folders[i];
    plugins_scan(p, list, n);
    for (size_t i = 0; i < n; i++) free(folders[i]);
}

struct plugins *cmd_load_plugins(const struct worker_config *c) {
    const struct cn_plugin *const builtin[] = {&converters_plugin, &transforms_plugin};
    const struct cn_option_value *path = option_values_get(c->values, "plugin.path");
    struct plugins *p = plugins_new();
    struct err err;
    for (size_t i = 0; i < countof(builtin); i++)
        if (plugins_add_builtin(p, builtin[i], &err) != 0) abort(); // a table of ours is wrong
    if (path && path->set) plugins_scan(p, c->plugin_path.items, c->plugin_path.n);
    else scan_default(p);
    return p;
}
