// SPDX-License-Identifier: Apache-2.0
// Small allocations, the reserve behind them, and the bump arena.
#include "base/mem.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void out_of_memory(size_t n) {
    dprintf(STDERR_FILENO, "connectd: out of memory (%zu bytes)\n", n);
    abort();
}

// ── when memory is short ─────────────────────────────────────────────────────────────────────────────────────────────

enum { WAIT_MOST_MS = 100, AGAIN_MS = 1000 }; // between attempts; before the reserve is made up for

size_t mem_large = MEM_LARGE;
static atomic_size_t reserve_bytes;
static _Atomic(void *) reserve;     // NULL: given up, or none is kept
static atomic_bool is_short, told;  // an allocation has failed; somebody waits
static _Atomic int64_t failed_ms;   // when one did last

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void keep(void *p) { free(atomic_exchange(&reserve, p)); }

void mem_reserve(size_t bytes) {
    atomic_store(&reserve_bytes, bytes);
    keep(bytes ? malloc(bytes) : NULL);
}

static _Thread_local uint64_t refusals;

uint64_t mem_refusals(void) { return refusals; }
void mem_refused(void) { refusals++; }

// False when it has lasted too long.
static bool wait_on(unsigned *tries, size_t n) {
    void *given_up = atomic_exchange(&reserve, NULL);
    atomic_store(&failed_ms, now_ms());
    atomic_store(&is_short, true);
    free(given_up);
    unsigned try = (*tries)++;
    if (!try) return true; // there is the reserve now, or others gave something back
    if (try > 7 + MEM_PATIENCE_MS / WAIT_MOST_MS) return false;
    if (!atomic_exchange(&told, true)) dprintf(STDERR_FILENO, "connectd: no memory for %zu bytes, waiting for it\n", n);
    usleep((try > 7 ? WAIT_MOST_MS : 1u << (try - 1)) * 1000);
    return true;
}

void mem_wait(unsigned *tries, size_t n) {
    if (!wait_on(tries, n)) out_of_memory(n);
}

// Makes up for the reserve once nothing has failed for a while.
static void look_again(void) {
    if (now_ms() - atomic_load(&failed_ms) < AGAIN_MS || !atomic_exchange(&is_short, false)) return;
    size_t bytes = atomic_load(&reserve_bytes);
    void *p = bytes ? malloc(bytes) : NULL;
    if (p) keep(p);
    if (bytes && !p) atomic_store(&failed_ms, now_ms()), atomic_store(&is_short, true);
    else if (atomic_exchange(&told, false)) dprintf(STDERR_FILENO, "connectd: there is memory again\n");
}

static inline void *got(void *p) {
    if (atomic_load_explicit(&is_short, memory_order_relaxed)) look_again();
    return p;
}

// ── small allocations ────────────────────────────────────────────────────────────────────────────────────────────────

void *xmalloc(size_t n) {
    void *p;
    for (unsigned tries = 0; !(p = malloc(n ? n : 1));) mem_wait(&tries, n);
    return got(p);
}

void *xcalloc(size_t count, size_t size) {
    void *p;
    for (unsigned tries = 0; !(p = calloc(count ? count : 1, size ? size : 1));) mem_wait(&tries, count * size);
    return got(p);
}

void *xrealloc(void *p, size_t n) {
    void *grown;
    for (unsigned tries = 0; !(grown = realloc(p, n ? n : 1));) mem_wait(&tries, n);
    return got(grown);
}

void *mem_realloc(void *p, size_t n) {
    void *grown;
    for (unsigned tries = 0; !(grown = realloc(p, n ? n : 1));) {
        if (wait_on(&tries, n)) continue;
        mem_refused();
        return NULL;
    }
    return got(grown);
}

char *xstrdup(const char *z) { return xmemdup(z, strlen(z) + 1); }

void *xmemdup(const void *p, size_t n) {
    void *copy = xmalloc(n);
    if (n) memcpy(copy, p, n);
    return copy;
}

char *xasprintf(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) out_of_memory(0);
    char *z = xmalloc((size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(z, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return z;
}

void cleanup_closep(int *fd) {
    if (*fd >= 0) close(*fd);
}

void vec_reserve(void **items, size_t *cap, size_t need, size_t size) {
    if (need <= *cap) return;
    size_t grown = *cap ? *cap : 8, bytes;
    while (grown < need) grown = grown > SIZE_MAX / 2 ? need : grown * 2;
    if (__builtin_mul_overflow(grown, size, &bytes)) out_of_memory(SIZE_MAX);
    *items = xrealloc(*items, bytes);
    *cap = grown;
}

struct arena_chunk {
    struct arena_chunk *older;
    size_t cap, at; // of data
    size_t unused;  // keeps data 16-byte aligned
    _Alignas(16) char data[];
};

enum { ARENA_FIRST = 16 * 1024, ARENA_MOST = 4 * 1024 * 1024 };

static struct arena_chunk *chunk_new(struct arena *a, size_t need) {
    size_t size = a->chunk_size ? a->chunk_size : ARENA_FIRST;
    if (size < need) size = need;
    if (size > SIZE_MAX - sizeof(struct arena_chunk)) out_of_memory(need);
    struct arena_chunk *c = malloc(sizeof(*c) + size);
    if (!c) c = xmalloc(sizeof(*c) + (size = need)); // a large chunk only spares calls
    *c = (struct arena_chunk){.older = a->chunk, .cap = size};
    a->chunk_size = size >= ARENA_MOST ? size : size * 2;
    if (a->chunk_size > ARENA_MOST) a->chunk_size = ARENA_MOST;
    return a->chunk = c;
}

void *arena_alloc(struct arena *a, size_t n) {
    if (n > SIZE_MAX - 15) out_of_memory(n);
    size_t rounded = (n + 15) & ~(size_t)15;
    struct arena_chunk *c = a->chunk;
    if (!c || c->cap - c->at < rounded) c = chunk_new(a, rounded);
    void *p = c->data + c->at;
    c->at += rounded;
    a->used += rounded;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n) { return memset(arena_alloc(a, n), 0, n); }

struct str arena_copy(struct arena *a, struct str s) {
    char *p = arena_alloc(a, s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return str_make(p, s.n);
}

char *arena_printf(struct arena *a, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) out_of_memory(0);
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

static void free_older(struct arena_chunk *c) {
    while (c) {
        struct arena_chunk *older = c->older;
        free(c);
        c = older;
    }
}

void arena_reset(struct arena *a) {
    struct arena_chunk *largest = a->chunk;
    for (struct arena_chunk *c = a->chunk; c; c = c->older)
        if (c->cap > largest->cap) largest = c;
    for (struct arena_chunk *c = a->chunk, *older; c; c = older) {
        older = c->older;
        if (c != largest) free(c);
    }
    if (largest) largest->older = NULL, largest->at = 0;
    a->chunk = largest;
    a->used = 0;
}

void arena_wipe(struct arena *a) {
    for (struct arena_chunk *c = a->chunk; c; c = c->older) explicit_bzero(c->data, c->at);
    arena_done(a);
}

void arena_done(struct arena *a) {
    free_older(a->chunk);
    *a = (struct arena){0};
}
