// SPDX-License-Identifier: Apache-2.0
// Aborting heap helpers and the bump arena.
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static _Noreturn void out_of_memory(size_t n) {
    dprintf(STDERR_FILENO, "connectd: out of memory (%zu bytes)\n", n);
    abort();
}

void *xmalloc(size_t n) {
    void *p = malloc(n ? n : 1);
    if (!p) out_of_memory(n);
    return p;
}

void *xcalloc(size_t count, size_t size) {
    void *p = calloc(count ? count : 1, size ? size : 1);
    if (!p) out_of_memory(count * size);
    return p;
}

void *xrealloc(void *p, size_t n) {
    void *grown = realloc(p, n ? n : 1);
    if (!grown) out_of_memory(n);
    return grown;
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
    char *z = NULL;
    if (vasprintf(&z, fmt, ap) < 0) out_of_memory(0);
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
    struct arena_chunk *c = xmalloc(sizeof(*c) + size);
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
