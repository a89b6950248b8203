// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"
#include "plugin/commands.h"

static int print_plugin(void *arg, const struct plugin *p) {
    FILE *out = arg;
    const char *note = p->status == PLUGIN_LOADED && plugin_changed(p) ? " (changed on disk, used after restart)" : "";
    fprintf(out, "%s %s  %s%s%s%s\n", p->name, p->version, plugin_status_name(p->status), note, p->path ? "  " : "", p->path ? p->path : "");
    if (p->error) fprintf(out, "  %s\n", p->error);
    if (p->hint) fprintf(out, "  hint: %s\n", p->hint);
    for (size_t i = 0; i < p->n; i++) fprintf(out, "  %-9s %-24s %s\n", plugin_kind_name(p->components[i].kind), p->components[i].name, p->components[i].summary);
    return 0;
}
static int is_faulty(void *arg, const struct plugin *p) {
    (void)arg;
    return p->status == PLUGIN_FAULTY;
}

int cmd_plugins_list(const struct plugins *p, bool json, FILE *out) {
    if (json) {
        struct buf b = {0};
        struct json_writer w = json_to(&b);
        plugins_json(p, &w);
        fprintf(out, "%s\n", buf_cstr(&b));
        buf_done(&b);
    } else {
        plugins_each(p, print_plugin, out);
    }
    return plugins_each(p, is_faulty, NULL);
}
