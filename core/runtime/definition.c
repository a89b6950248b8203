// SPDX-License-Identifier: Apache-2.0
#include "runtime/definition.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "plugin/spool.h"

uint64_t secrets_digest(const struct task_env *env, const struct connector_config *c) {
    uint64_t digest = 0;
    for (size_t i = 0; i < c->props.n; i++) {
        const struct prop *p = &c->props.items[i];
        struct buf text = {0};
        struct err err;
        if (!env->secrets || !p->secret) continue;
        if (interpolate(env->secrets, str_of(p->value), &text, &err) != 0) buf_putz(&text, err.msg);
        digest = digest * 31 + str_hash(buf_str(&text));
        if (text.p) explicit_bzero(text.p, text.n);
        buf_done(&text);
    }
    return digest;
}

// Known before the options are read, because the folder belongs to the connector and not to a run.
static int64_t spool_quota(const struct task_env *env, const struct connector_config *c) {
    int64_t own = 0;
    if (!size_parse(str_of(props_text(&c->props, "spool.max.bytes", "0")), &own) || own <= 0) own = env->spool_max_bytes;
    return own;
}

int definition_new(const struct task_env *env, struct connector_config *config, const char *file, struct definition **ret, struct err *err) {
    const struct component *component;
    if (plugins_find(env->plugins, config->is_source ? CN_SOURCE : CN_SINK, config->plugin, &component, err) != 0) {
        err_wrap(err, "connector %s", config->name);
        connector_config_free(config);
        return -1;
    }
    struct definition *d = xcalloc(1, sizeof(*d));
    *d = (struct definition){.refs = 1, .env = env, .config = config, .component = component};
    d->file = file ? xstrdup(file) : NULL;
    d->group = xasprintf("connect-%s", config->name);
    d->secrets = secrets_digest(env, config);
    if (env->spool_dir) d->spool = spool_new(env->spool_dir, config->name, spool_quota(env, config));
    *ret = d;
    return 0;
}

struct definition *definition_ref(struct definition *d) {
    atomic_fetch_add(&d->refs, 1);
    return d;
}

void definition_unref(struct definition *d) {
    if (!d || atomic_fetch_sub(&d->refs, 1) != 1) return;
    if (d->spool) spool_free(d->spool);
    connector_config_free(d->config);
    free(d->file);
    free(d->group);
    free(d);
}

int definition_setup(const struct definition *d, struct connector_setup **ret, struct findings *findings, struct failure *f) {
    struct findings own = {0}, *to = findings ? findings : &own;
    const struct setup_input in = {
        .config = d->config,
        .lookup = &d->env->lookup,
        .secrets = d->env->secrets,
        .default_key_converter = d->env->key_converter,
        .default_value_converter = d->env->value_converter,
        .worker_props = d->env->worker_props,
    };
    struct connector_setup *setup = NULL;
    struct err err;
    int r = 0;
    if (connector_setup(&in, &setup, to) != 0) {
        if (findings_result(to, &err) == 0) err_set(&err, ERR_INVALID, "the configuration is wrong");
        r = failure_set(f, CN_FAIL_CONFIG, err.hint, "%s", err.msg);
        connector_setup_free(setup);
    } else {
        *ret = setup;
    }
    findings_done(&own);
    return r;
}

int setup_part_config(void *arg, const char *option, struct cn_option_value *ret) {
    const struct setup_part *part = arg;
    const struct cn_option_value *v = option_values_get(part->values, option);
    if (!v) return -1;
    *ret = *v;
    return 0;
}

int definition_plan(struct definition *d, const struct connector_setup *setup, uint32_t *ret, struct failure *f) {
    const struct component *c = d->component;
    uint32_t max = setup->options.tasks_max < 1 ? 1 : (uint32_t)setup->options.tasks_max;
    uint32_t (*plan)(struct cn_host *, uint32_t) = definition_is_source(d) ? c->ops.source.plan : c->ops.sink.plan;
    *ret = definition_is_source(d) ? 1 : max;
    if (!plan) return 0;
    const struct instance_params params = {
        .component = c,
        .connector = definition_name(d),
        .tasks = max,
        .config = setup_part_config,
        .config_arg = (void *)(uintptr_t)&setup->connector,
        .clock = d->env->clock,
    };
    struct instance i;
    struct err err;
    if (instance_init(&i, &params, &err) != 0) return failure_err(f, &err, CN_FAIL_BUG);
    instance_enter(&i, "plan");
    uint32_t n = plan(&i.host, max);
    instance_leave(&i);
    int r = n >= 1 && n <= max ? 0 : failure_set(f, CN_FAIL_BUG, "tell the plugin's author", "plan of %s wants %u tasks of at most %u", c->name, n, max);
    instance_done(&i);
    if (r == 0) *ret = n;
    return r;
}
