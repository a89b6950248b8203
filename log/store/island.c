// SPDX-License-Identifier: Apache-2.0
// The heaviest rising subsequence: for each island the best that may stand before it, by a tree of maxima over the offsets where islands end.
#include "island.h"

#include <stdlib.h>

#include "base/mem.h"

struct best { uint64_t bytes; size_t island; }; // a choice that ends with this island, + 1; 0 none

struct choosing {
    const struct island *islands;
    int64_t *ends;                // sorted, each once
    size_t n;
    struct best *tree;            // Fenwick: entry i covers ends (i - lowest bit, i]
    size_t *before;               // each island, + 1: the one chosen before it
};

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// How many of the ends are ≤ offset.
static size_t rank_of(const struct choosing *c, int64_t offset) {
    size_t lo = 0, hi = c->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c->ends[mid] <= offset) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

static struct best best_until(const struct choosing *c, int64_t offset) {
    struct best b = {0};
    for (size_t i = rank_of(c, offset); i; i &= i - 1)
        if (c->tree[i].bytes > b.bytes) b = c->tree[i];
    return b;
}

static void enter(struct choosing *c, const struct best *b) {
    if (!b->island) return;
    for (size_t i = rank_of(c, c->islands[b->island - 1].next); i <= c->n; i += i & -i)
        if (b->bytes > c->tree[i].bytes) c->tree[i] = *b;
}

// The best choice that ends with each island; *late: the one before, which is not in the tree yet.
static void choose_for(struct choosing *c, size_t at, bool sparse, struct best *late) {
    const struct island *x = &c->islands[at];
    bool contradict = !sparse && at && x->position == x[-1].end;
    if (!contradict) enter(c, late), *late = (struct best){0};
    struct best b = best_until(c, x->first);
    c->before[at + 1] = b.island;
    enter(c, late);
    *late = x->doubted ? (struct best){0} : (struct best){.bytes = b.bytes + (x->end - x->position), .island = at + 1};
}

void islands_choose(struct island *islands, size_t n, bool sparse) {
    struct choosing c = {.islands = islands, .n = n};
    struct best late = {0};
    c.ends = xcalloc(n + 1, sizeof(*c.ends));
    c.tree = xcalloc(n + 1, sizeof(*c.tree));
    c.before = xcalloc(n + 1, sizeof(*c.before));
    for (size_t i = 0; i < n; i++) c.ends[i] = islands[i].next, islands[i].chosen = false;
    if (n) qsort(c.ends, n, sizeof(*c.ends), by_value);
    for (size_t i = 0; i < n; i++) choose_for(&c, i, sparse, &late);
    enter(&c, &late);
    for (size_t last = best_until(&c, INT64_MAX).island; last; last = c.before[last]) islands[last - 1].chosen = true;
    free(c.before);
    free(c.tree);
    free(c.ends);
}
