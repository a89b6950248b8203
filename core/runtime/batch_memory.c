// SPDX-License-Identifier: Apache-2.0
#include "runtime/batch_memory.h"

#include "base/mem.h"

enum { FIRST = 64 << 10, KEPT = 4 << 20 };

void batch_memory_init(struct batch_memory *m, uint32_t max) { *m = (struct batch_memory){.max = max}; }

void batch_memory_done(struct batch_memory *m) {
    free(m->p);
    m->p = NULL;
}

static int grow(struct cn_batch *b, uint32_t need) {
    struct batch_memory *m = b->owner;
    if (need > m->max) return -1;
    uint64_t cap = m->cap;
    while (cap < need) cap *= 2;
    if (cap > m->max) cap = m->max;
    void *p = mem_realloc(m->p, cap);
    if (!p) return -1;
    m->p = p;
    m->cap = (uint32_t)cap;
    b->base = m->p;
    b->cap = m->cap;
    return 0;
}

bool batch_memory_starved(const struct batch_memory *m) { return mem_refusals() != m->refusals; }

void batch_memory_trim(struct batch_memory *m) {
    if (m->cap > KEPT) batch_memory_done(m);
}

struct cn_batch *batch_memory_reset(struct batch_memory *m) {
    if (!m->p) {
        m->cap = FIRST;
        m->p = xmalloc(m->cap);
    }
    m->refusals = mem_refusals();
    cn_batch_init(&m->batch, m->p, m->cap, grow, m);
    return &m->batch;
}
