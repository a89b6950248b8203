/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: a failure says why. */
#include <connectd/sdk.h>

static int sink_open(struct cn_host *h, void **ret) {
    (void)h, (void)ret;
    return -1;
}
static int sink_put(void *t, const struct cn_batch *b) {
    (void)t, (void)b;
    return CN_PUT_OK;
}
static void sink_close(void *t) { (void)t; }
static const struct cn_sink_ops ops = {sizeof ops, 0, NULL, NULL, NULL, sink_open, NULL, NULL, sink_put, NULL, NULL, sink_close};
CN_COMPONENT_PLAIN(sink, CN_SINK, "silent-sink", NULL, "Does not say why", ops);
CN_PLUGIN("silent-sink", "1.0", "", "Apache-2.0", NULL, &sink)
