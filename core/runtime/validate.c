// SPDX-License-Identifier: Apache-2.0
#include "runtime/validate.h"

#include <string.h>

#include "base/mem.h"
#include "plugin/crash.h"
#include "runtime/definition.h"

// The place of the option a message begins with ("url: no such scheme"), else of the part.
static struct place place_of(const struct connector_config *c, const struct setup_part *part, const char *text, const char **ret_option) {
    const char *prefix = part->prefix ? part->prefix : "";
    *ret_option = NULL;
    for (size_t i = 0; i < c->props.n; i++) {
        const struct prop *p = &c->props.items[i];
        if (strncmp(p->key, prefix, strlen(prefix)) != 0) continue;
        const char *name = p->key + strlen(prefix);
        size_t n = strlen(name);
        if (!n || strncmp(text, name, n) != 0 || !strchr(": =,", text[n])) continue;
        *ret_option = p->key;
        return p->at;
    }
    return part->at.line ? part->at : c->at;
}

// Whether the plugin saw the option with a reference in place of its value: then it can not know.
static bool still_open(const struct setup_part *part, const char *option) {
    const char *prefix = part->prefix ? part->prefix : "";
    if (!option || !part->values) return false;
    const struct cn_option_value *v = option_values_get(part->values, option + strlen(prefix));
    if (v && v->text && interpolate_has_reference(str_of(v->text))) return true;
    for (size_t i = 0; v && i < v->list.n; i++)
        if (interpolate_has_reference(str_of(v->list.items[i]))) return true;
    return false;
}

// ── plugins that crash ──

static bool part_suspended(const struct task_env *env, const struct setup_part *part, struct failure *f) {
    const struct plugin *p = container_of((struct cn_component *)(uintptr_t)part->component, struct component, view)->plugin;
    if (!p) return false;
    f->fail_class = CN_FAIL_BUG;
    return crash_suspended(env->data_dir, p->name, clock_wall_ms(env->clock), f->text, sizeof(f->text), f->hint, sizeof(f->hint));
}

bool connector_suspended(const struct task_env *env, const struct connector_setup *s, struct failure *f) {
    if (!env->data_dir) return false;
    if (part_suspended(env, &s->connector, f) || part_suspended(env, &s->key_converter, f) || part_suspended(env, &s->value_converter, f)) return true;
    for (size_t i = 0; i < s->transform_count; i++)
        if (part_suspended(env, &s->transforms[i], f)) return true;
    for (size_t i = 0; i < s->predicate_count; i++)
        if (part_suspended(env, &s->predicates[i], f)) return true;
    return false;
}

// ── asking them ──

typedef int validate_fn(struct cn_host *h);

static int ask(const struct connector_config *c, const struct setup_part *part, const char *op, validate_fn *fn, struct findings *f) {
    const struct instance_params params = {
        .component = container_of((struct cn_component *)(uintptr_t)part->component, struct component, view),
        .connector = c->name,
        .tasks = 1,
        .config = setup_part_config,
        .config_arg = (void *)(uintptr_t)part,
    };
    struct instance i;
    struct err err;
    if (!fn) return 0;
    if (instance_init(&i, &params, &err) != 0) return findings_err(f, c->at, NULL, &err);
    instance_enter(&i, op);
    int r = fn(&i.host);
    instance_leave(&i);
    if (r != 0) {
        struct instance_failure why;
        const char *option;
        instance_failed(&i, op, &why);
        struct place at = place_of(c, part, why.text, &option);
        if (still_open(part, option)) r = 0;
        if (r != 0) findings_error(f, at, option, "%s: %s", c->name, why.text);
        if (r != 0 && *why.hint) findings_hint(f, "%s", why.hint);
    }
    instance_done(&i);
    return r == 0 ? 0 : -1;
}

static validate_fn *validate_of(const struct setup_part *part) {
    const struct component *c = container_of((struct cn_component *)(uintptr_t)part->component, struct component, view);
    switch (c->kind) {
    case CN_SOURCE: return c->ops.source.validate;
    case CN_SINK: return c->ops.sink.validate;
    case CN_CONVERTER: return c->ops.converter.validate;
    default: return c->ops.transform.validate;
    }
}

static validate_fn *check_of(const struct setup_part *part) {
    const struct component *c = container_of((struct cn_component *)(uintptr_t)part->component, struct component, view);
    return c->kind == CN_SOURCE ? c->ops.source.check : c->ops.sink.check;
}

int connector_validate(const struct connector_config *c, const struct connector_setup *s, bool dial, struct findings *f) {
    int r = ask(c, &s->connector, "validate", validate_of(&s->connector), f);
    r |= ask(c, &s->key_converter, "validate", validate_of(&s->key_converter), f);
    r |= ask(c, &s->value_converter, "validate", validate_of(&s->value_converter), f);
    for (size_t i = 0; i < s->transform_count; i++) r |= ask(c, &s->transforms[i], "validate", validate_of(&s->transforms[i]), f);
    for (size_t i = 0; i < s->predicate_count; i++) r |= ask(c, &s->predicates[i], "validate", validate_of(&s->predicates[i]), f);
    if (r == 0 && dial) r = ask(c, &s->connector, "check", check_of(&s->connector), f);
    return r == 0 ? 0 : -1;
}
