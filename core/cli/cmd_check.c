// SPDX-License-Identifier: Apache-2.0
// check: pipeline files as the daemon would read them, with the plugins' own opinion.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/term.h"
#include "config/check.h"
#include "plugin/plugins.h"
#include "runtime/validate.h"

// ── checking ──

struct checking { bool dial; size_t connectors; };
static void check_connector(void *arg, const struct connector_config *c, const struct connector_setup *s, struct findings *f) {
    struct checking *x = arg;
    x->connectors++;
    if (connector_validate(c, s, x->dial, f) != 0) return; // said in f
}

static void check(const struct args *a, const struct worker_config *c, struct checking *x, struct findings *f) {
    struct plugins *p = cmd_load_plugins(c);
    struct component_lookup lookup = {plugins_lookup, plugins_lookup_each, p, plugins_lookup_explain};
    struct secret_places secrets = {.secrets_dir = c->secrets_dir};
    const char *const folder[] = {c->pipelines_dir};
    struct check_input in = {
        .files = a->n ? a->words : (const char *const *)folder,
        .n = a->n ? a->n : 1,
        .lookup = &lookup,
        .secrets = x->dial || arg_flag(a, "secrets") ? &secrets : NULL,
        .default_key_converter = c->key_converter,
        .default_value_converter = c->value_converter,
        .worker_props = &c->props,
    };
    check_files(&in, f, check_connector, x);
    plugins_free(p);
}

static void print(const struct args *a, const struct checking *x, struct findings *f) {
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    if (arg_flag(a, "json")) {
        json_object(&w);
        json_ki(&w, "errors", (int64_t)f->errors);
        json_ki(&w, "connectors", (int64_t)x->connectors);
        json_key(&w, STR("findings"));
        findings_json(f, &w);
        json_object_end(&w);
        buf_u8(&out, '\n');
    } else {
        findings_print(f, &out);
        if (!f->errors) buf_printf(&out, "%zu connector%s, nothing wrong\n", x->connectors, x->connectors == 1 ? "" : "s");
    }
    fwrite(out.p, 1, out.n, stdout);
    buf_done(&out);
}

int command_check(const struct args *a) {
    struct worker_config *c;
    struct findings f = {0};
    struct checking x = {.dial = arg_flag(a, "connect")};
    int code = cmd_load_config(a, &c);
    if (code) return code;
    check(a, c, &x, &f);
    findings_sort(&f);
    print(a, &x, &f);
    code = f.errors ? EXIT_BAD_CONFIG : EXIT_OK;
    findings_done(&f);
    worker_config_free(c);
    return code;
}
