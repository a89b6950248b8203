// SPDX-License-Identifier: Apache-2.0
// Heap helpers for small allocations, what happens when memory runs out, cleanup attributes, and a bump arena.
//
// Small allocations (x…, vectors, arenas, maps) do not fail: memory that is short is waited for. The first that finds none gives up the
// reserve, then tries again for up to MEM_PATIENCE_MS, says so once on stderr, and only then ends the process, which loses nothing that
// was acknowledged. Large ones, whose sizes come from outside and are bounded by the caller, fail softly with ERR_NOMEM: a buf that
// grows past MEM_LARGE, and what is said to return NULL. An arena's allocations live until arena_reset or arena_done; it is used by one
// thread at a time.
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"

void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull, alloc_size(2)));
char *xstrdup(const char *z) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
void *xmemdup(const void *p, size_t n);

enum { MEM_LARGE = 1024 * 1024, MEM_PATIENCE_MS = 2000 };
extern size_t mem_large; // MEM_LARGE; a test makes it smaller, before it starts threads, to see what happens to any buf that fails
// For a large block whose size comes from outside and whose owner can do without: waits as long as a small one, then returns NULL.
void *mem_realloc(void *p, size_t n);
// How many large ones this thread was refused so far, bufs too: who is told of a failure can see whether it was for want of memory.
uint64_t mem_refusals(void);
void mem_refused(void); // counts one
// Keeps so many bytes to be given up when an allocation fails, and made up for when there is memory again; 0 none. It costs address
// space only. Thread-safe.
void mem_reserve(size_t bytes);
// For libraries that allocate by themselves and can not bear a failure: gives up the reserve, or waits; tries counts from 0. Ends the
// process when it has lasted too long.
void mem_wait(unsigned *tries, size_t n);

static inline void cleanup_freep(void *p) { free(*(void **)p); }
#define _cleanup_free_ __attribute__((cleanup(cleanup_freep)))
void cleanup_closep(int *fd); // closes if >= 0
#define _cleanup_close_ __attribute__((cleanup(cleanup_closep)))

#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

// Grows *items (element size `size`) so that at least `need` fit; doubles. Capacity in *cap.
void vec_reserve(void **items, size_t *cap, size_t need, size_t size);
#define VEC_PUSH(items, n, cap, value)                                                             \
    do {                                                                                           \
        vec_reserve((void **)&(items), &(cap), (n) + 1, sizeof((items)[0]));                       \
        (items)[(n)++] = (value);                                                                  \
    } while (0)

struct arena {
    struct arena_chunk *chunk; // newest; NULL when nothing was allocated
    size_t chunk_size;         // of the next chunk, 0 = 16 KiB
    size_t used;               // bytes handed out since the last reset
};
void *arena_alloc(struct arena *a, size_t n); // 16-byte aligned, not zeroed
void *arena_zalloc(struct arena *a, size_t n);
struct str arena_copy(struct arena *a, struct str s); // copy is terminated by an extra NUL
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_reset(struct arena *a); // keeps the largest chunk
void arena_done(struct arena *a);
void arena_wipe(struct arena *a);  // arena_done, for what must not stay readable in freed memory

#endif
