// SPDX-License-Identifier: Apache-2.0
// The built-in table and the chain.
#include "transforms/transform.h"

#include "base/mem.h"
#include "config/setup.h"
#include "transforms/builtin.h"

static const struct cn_component *const components[] = {
    &transform_insert_field_key, &transform_insert_field_value, &transform_replace_field_key,
    &transform_replace_field_value, &transform_filter, &transform_regex_router,
    &predicate_topic_name_matches, &predicate_has_header_key, &predicate_record_is_tombstone,
};

const struct cn_plugin transforms_plugin = {
    .struct_size = sizeof(struct cn_plugin),
    .abi_major = CN_ABI_MAJOR,
    .abi_minor = CN_ABI_MINOR,
    .name = "transforms",
    .version = CN_VERSION,
    .author = "connectd",
    .license = "Apache-2.0",
    .components = components,
    .component_count = countof(components),
};

// One opened transform or predicate.
struct part {
    const struct setup_part *setup;
    const struct cn_transform_ops *ops;
    struct instance instance;
    void *self;
    bool guarded; // a third party's: each call is noted for crash and hang reports
};
struct transform_chain {
    struct part *parts; // predicates first, then the steps
    size_t predicates, steps, opened;
};

static int config_of(void *arg, const char *option, struct cn_option_value *ret) {
    const struct setup_part *part = arg;
    const struct cn_option_value *v = option_values_get(part->values, option);
    if (!v) return -1;
    *ret = *v;
    return 0;
}

static int part_failed(struct part *p, enum cn_fail_class *ret_class, struct err *err) {
    struct instance_failure why;
    instance_failed(&p->instance, "open", &why);
    *ret_class = why.fail_class == CN_FAIL_BUG || why.fail_class == CN_FAIL_RECORD ? CN_FAIL_CONFIG : why.fail_class;
    err_set(err, ERR_INVALID, "%s %s (%s): %s", p->setup->component->kind == CN_PREDICATE ? "predicate" : "transform",
            p->setup->alias, p->setup->component->name, why.text);
    if (why.hint[0]) err_hint(err, "%s", why.hint);
    return -1;
}

static int part_open(const struct transform_params *p, const struct setup_part *s, struct part *part, enum cn_fail_class *ret_class, struct err *err) {
    struct instance_params ip = {
        .component = (const struct component *)((const char *)s->component - offsetof(struct component, view)),
        .connector = p->connector,
        .task = p->task,
        .tasks = p->tasks,
        .config = config_of,
        .config_arg = (void *)(uintptr_t)s,
        .clock = p->clock,
        .metrics = p->metrics,
    };
    *part = (struct part){.setup = s, .ops = s->component->ops, .guarded = ip.component->plugin->status != PLUGIN_BUILTIN};
    *ret_class = CN_FAIL_TRANSIENT;
    if (instance_init(&part->instance, &ip, err) != 0) return -1;
    instance_enter(&part->instance, "open");
    int rc = part->ops->open(&part->instance.host, &part->self);
    instance_leave(&part->instance);
    if (rc == 0) return 0;
    part_failed(part, ret_class, err);
    instance_done(&part->instance);
    return -1;
}

int transform_chain_open(const struct transform_params *p, struct transform_chain **ret, enum cn_fail_class *ret_class, struct err *err) {
    const struct connector_setup *s = p->setup;
    struct transform_chain *c = xcalloc(1, sizeof(*c));
    c->predicates = s->predicate_count;
    c->steps = s->transform_count;
    c->parts = xcalloc(c->predicates + c->steps + 1, sizeof(c->parts[0]));
    for (size_t i = 0; i < c->predicates + c->steps; i++, c->opened++) {
        const struct setup_part *part = i < c->predicates ? &s->predicates[i] : &s->transforms[i - c->predicates];
        if (part_open(p, part, &c->parts[i], ret_class, err) == 0) continue;
        transform_chain_close(c);
        return -1;
    }
    *ret = c;
    return 0;
}

void transform_chain_close(struct transform_chain *c) {
    if (!c) return;
    for (size_t i = 0; i < c->opened; i++) {
        struct part *p = &c->parts[i];
        instance_enter(&p->instance, "close");
        p->ops->close(p->self);
        instance_leave(&p->instance);
        instance_done(&p->instance);
    }
    free(c->parts);
    free(c);
}

size_t transform_chain_steps(const struct transform_chain *c) { return c ? c->steps : 0; }

// ── applying ──

// The op's answer, or CN_APPLY_FAILED with *ret filled.
static int part_apply(struct part *p, struct cn_batch *b, uint32_t record, struct transform_failure *ret) {
    if (p->guarded) instance_enter(&p->instance, "apply");
    int rc = p->ops->apply(p->self, b, record);
    if (p->guarded) instance_leave(&p->instance);
    if (rc >= 0 && !b->failed) return rc;
    *ret = (struct transform_failure){.alias = p->setup->alias, .type = p->setup->component->name};
    if (rc < 0) instance_failed(&p->instance, "apply", &ret->failure);
    else ret->failure = (struct instance_failure){.set = true, .fail_class = CN_FAIL_RECORD, .text = "the batch has no room for the record"};
    ret->failure.record = record;
    return CN_APPLY_FAILED;
}

// Whether the step applies to the record: 1, 0, or -1.
static int step_wanted(struct transform_chain *c, const struct setup_part *s, struct cn_batch *b, uint32_t record, struct transform_failure *ret) {
    if (s->predicate < 0) return 1;
    int holds = part_apply(&c->parts[s->predicate], b, record, ret);
    return holds < 0 ? -1 : (holds != 0) != s->negate;
}

static int apply_record(struct transform_chain *c, struct cn_batch *b, uint32_t record, struct transform_failure *ret) {
    for (size_t i = c->predicates; i < c->predicates + c->steps; i++) {
        struct part *p = &c->parts[i];
        int wanted = step_wanted(c, p->setup, b, record, ret);
        if (wanted < 0) return -1;
        if (!wanted) continue;
        int rc = part_apply(p, b, record, ret);
        if (rc == CN_APPLY_FAILED) return -1;
        if (rc == CN_DROP) {
            cn_record_at(b, record)->flags |= CN_RECORD_DROPPED;
            return 0;
        }
    }
    return 0;
}

uint32_t transform_chain_apply(struct transform_chain *c, struct cn_batch *b, uint32_t from, struct transform_failure *ret) {
    uint32_t n = cn_count(b);
    if (!transform_chain_steps(c)) return n;
    for (uint32_t i = from; i < n; i++)
        if (!(cn_record_at(b, i)->flags & CN_RECORD_DROPPED) && apply_record(c, b, i, ret) != 0) return i;
    return n;
}
