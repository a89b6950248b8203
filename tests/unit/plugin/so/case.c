/* SPDX-License-Identifier: Apache-2.0 */
/* One plugin file a case of the loader: CASE picks what is wrong with it. */
#include <connectd/sdk.h>
#include <signal.h>
#include <unistd.h>

struct o { const char *topic; int64_t n; };
static const struct cn_option options[] = {
    CN_STR("topic", struct o, topic, "t", 0, "G", "A topic."),
    CN_INT("n", struct o, n, "1", 1, 5, 0, "G", "A number."),
#if CASE == BAD_DEFAULT
    {"bad", CN_OPT_INT, 0, 0, CN_NOT_BOUND, "nine", 0, 0, NULL, "G", "d", NULL},
#elif CASE == TWICE
    CN_STR("topic", struct o, topic, "t", 0, "G", "A topic."),
#endif
};
static int source_open(struct cn_host *h, const struct cn_stored_position *p, uint32_t n, void **ret) {
    (void)p, (void)n;
    *ret = h;
    return 0;
}
__attribute__((unused)) static int source_poll(void *t, struct cn_batch *b, uint32_t ms) {
    (void)t, (void)b, (void)ms;
    return CN_POLL_IDLE;
}
static void source_close(void *t) { (void)t; }

#if CASE == CRASH || CASE == HANG || CASE == QUIT
__attribute__((constructor)) static void on_load(void) {
#if CASE == CRASH
    raise(SIGSEGV);
#elif CASE == HANG
    for (;;) pause();
#else
    _exit(3);
#endif
}
#endif

static const struct cn_source_ops ops = {
    .struct_size = sizeof ops,
    .open = source_open,
#if CASE != NO_POLL
    .poll = source_poll,
#endif
    .close = source_close};

#ifndef NAME
#define NAME "case-source"
#endif
__attribute__((unused)) CN_COMPONENT(source, CN_SOURCE, NAME, "org.example.CaseSourceConnector", "A case", options, ops);

#if CASE == OLD_SIZES
/* As a plugin compiled when the structs were shorter: one row without aliases, ops that end behind close. */
struct old_row { char bytes[offsetof(struct cn_option, aliases)]; };
static struct { char bytes[sizeof(struct cn_option) * 2]; } rows;
static struct cn_component old;
static const struct cn_component *const olds[] = {&old};
static struct cn_plugin plugin;
CN_EXPORT const struct cn_plugin *connectd_plugin_v1(void) {
    memcpy(rows.bytes, &options[0], sizeof(struct old_row));
    memcpy(rows.bytes + sizeof(struct old_row), &options[1], sizeof(struct old_row));
    memcpy(&old, &source, sizeof old);
    old.options = (const struct cn_option *)(const void *)&rows;
    old.option_size = sizeof(struct old_row);
    old.struct_size = offsetof(struct cn_component, ops) + sizeof(void *);
    memset(&plugin, 0, sizeof plugin);
    plugin.struct_size = offsetof(struct cn_plugin, reserved);
    plugin.abi_minor = 1;
    plugin.name = "case-old", plugin.version = "0.1";
    plugin.components = olds, plugin.component_count = 1;
    return &plugin;
}
#elif CASE == OTHER_ABI
static const struct cn_plugin plugin = {.struct_size = sizeof plugin, .abi_major = 7, .abi_minor = 3, .name = "x", .version = "1"};
CN_EXPORT const struct cn_plugin *connectd_plugin_v1(void) { return &plugin; }
#elif CASE == NEXT_SYMBOL
CN_EXPORT int connectd_plugin_v2(void);
CN_EXPORT int connectd_plugin_v2(void) { return (int)sizeof source; }
#elif CASE == NO_SYMBOL
CN_EXPORT int something_else(void);
CN_EXPORT int something_else(void) { return (int)sizeof source; }
#else
#if CASE == UNDEFINED
void is_nowhere_to_be_found(void);
CN_EXPORT void use_it(void);
CN_EXPORT void use_it(void) { is_nowhere_to_be_found(); }
#endif
CN_PLUGIN("case-plugin", "1.2.3", "Author", "Apache-2.0", "https://example.org", &source)
#endif
