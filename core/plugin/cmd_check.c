// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"
#include "base/mem.h"
#include "plugin/commands.h"

static const char *const words[] = {[CHECK_OK] = "ok", [CHECK_FAILED] = "FAILED", [CHECK_SKIPPED] = "skipped"};

struct printing {
    FILE *out;
    char *component;
    struct buf json;
    struct json_writer w;
    bool as_json;
};

static void print_json(struct printing *p, const struct check_result *r) {
    json_object(&p->w);
    json_kz(&p->w, "component", r->component);
    json_kz(&p->w, "rule", r->name);
    json_kz(&p->w, "result", words[r->status]);
    json_kz(&p->w, "detail", r->detail);
    json_object_end(&p->w);
}
static void print_one(void *arg, const struct check_result *r) {
    struct printing *p = arg;
    if (p->as_json) {
        print_json(p, r);
        return;
    }
    if (strcmp(p->component, r->component) != 0) {
        free(p->component);
        p->component = xstrdup(r->component);
        fprintf(p->out, "%s\n", r->component);
    }
    fprintf(p->out, "  %-8s%s\n", words[r->status], r->name);
    if (*r->detail) fprintf(p->out, "          %s\n", r->detail);
    fflush(p->out);
}

int cmd_plugins_check(const struct check_params *params, bool json, FILE *out, struct err *err) {
    struct printing p = {.out = out, .component = xstrdup(""), .as_json = json};
    struct check_totals totals;
    p.w = json_to(&p.json);
    if (json) json_array(&p.w);
    int rc = plugin_check(params, print_one, &p, &totals, err);
    if (json) json_array_end(&p.w);
    if (rc == 0 && json) fprintf(out, "%s\n", buf_cstr(&p.json));
    if (rc == 0 && !json) fprintf(out, "%u ok, %u failed, %u skipped\n", totals.ok, totals.failed, totals.skipped);
    buf_done(&p.json);
    free(p.component);
    return rc != 0 ? 2 : totals.failed != 0;
}
