// SPDX-License-Identifier: Apache-2.0
#include "keytable.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "base/mem.h"

struct slot {
    uint64_t hash[2];
    int64_t next; // offset + 1, 0 free
};

struct keytable {
    struct slot *slots;
    size_t n, most, cap;
    uint8_t secret[16];
};

enum { SLOTS_LEAST = 3 };

static uint64_t rotate(uint64_t v, unsigned n) { return v << n | v >> (64 - n); }

static void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

static uint64_t little_endian(const uint8_t *p, size_t n) {
    uint64_t w = 0;
    for (size_t i = 0; i < n; i++) w |= (uint64_t)p[i] << 8 * i;
    return w;
}

void siphash128(const uint8_t secret[16], const void *bytes, size_t n, uint64_t ret[2]) {
    const uint8_t *p = bytes;
    uint64_t k0 = little_endian(secret, 8), k1 = little_endian(secret + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
    size_t words = n / 8;
    for (size_t i = 0; i < words; i++) sip_word(v, little_endian(p + i * 8, 8));
    sip_word(v, little_endian(p + words * 8, n % 8) | (uint64_t)n << 56);
    v[2] ^= 0xee;
    for (int i = 0; i < 4; i++) sip_round(v);
    ret[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    for (int i = 0; i < 4; i++) sip_round(v);
    ret[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}

// Fresh pages are zeros, and small ones, so that a few keys touch little.
struct keytable *keytable_new(size_t max_bytes, struct err *err) {
    size_t cap = max_bytes / sizeof(struct slot);
    if (cap < SLOTS_LEAST) cap = SLOTS_LEAST;
    void *slots = mmap(NULL, cap * sizeof(struct slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slots == MAP_FAILED) {
        err_sys(err, errno, "%zu bytes for the keys of a compaction", cap * sizeof(struct slot));
        return NULL;
    }
    madvise(slots, cap * sizeof(struct slot), MADV_NOHUGEPAGE);
    struct keytable *t = xcalloc(1, sizeof(*t));
    *t = (struct keytable){.slots = slots, .cap = cap, .most = cap - (cap + 4) / 5};
    for (size_t i = 0; i < 2; i++) {
        uint64_t r = random_u64();
        memcpy(t->secret + i * 8, &r, 8);
    }
    return t;
}

void keytable_free(struct keytable *t) {
    if (!t) return;
    munmap(t->slots, t->cap * sizeof(struct slot));
    free(t);
}

// The slot that holds the hash, or the free one where it belongs. There is always a free one.
static struct slot *slot_of(const struct keytable *t, const uint64_t hash[2]) {
    size_t i = (size_t)(((unsigned __int128)hash[0] * t->cap) >> 64);
    while (t->slots[i].next && (t->slots[i].hash[0] != hash[0] || t->slots[i].hash[1] != hash[1]))
        if (++i == t->cap) i = 0;
    return &t->slots[i];
}

bool keytable_put(struct keytable *t, struct str key, int64_t offset) {
    uint64_t hash[2];
    siphash128(t->secret, key.p, key.n, hash);
    struct slot *s = slot_of(t, hash);
    if (!s->next) {
        if (t->n == t->most) return false;
        *s = (struct slot){.hash = {hash[0], hash[1]}};
        t->n++;
    }
    if (offset >= s->next) s->next = offset + 1;
    return true;
}

int64_t keytable_get(const struct keytable *t, struct str key) {
    uint64_t hash[2];
    siphash128(t->secret, key.p, key.n, hash);
    return slot_of(t, hash)->next - 1;
}

size_t keytable_count(const struct keytable *t) { return t->n; }
