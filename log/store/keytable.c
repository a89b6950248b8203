// SPDX-License-Identifier: Apache-2.0
#include "keytable.h"

#include "base/hash.h"
#include "base/mem.h"

struct slot {
    uint64_t hash[2];
    int64_t offset; // -1 free
};

struct keytable {
    struct slot *slots;
    size_t n, cap, max_cap; // caps are powers of two
    uint8_t secret[16];
};

enum { FIRST_CAP = 128 };

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

static struct slot *slots_new(size_t cap) {
    struct slot *slots = xmalloc(cap * sizeof(*slots));
    for (size_t i = 0; i < cap; i++) slots[i].offset = -1;
    return slots;
}

struct keytable *keytable_new(size_t max_bytes) {
    struct keytable *t = xcalloc(1, sizeof(*t));
    t->cap = t->max_cap = FIRST_CAP;
    while (t->max_cap * 2 * sizeof(struct slot) <= max_bytes) t->max_cap *= 2;
    t->slots = slots_new(t->cap);
    for (size_t i = 0; i < 2; i++) {
        uint64_t r = random_u64();
        memcpy(t->secret + i * 8, &r, 8);
    }
    return t;
}

void keytable_free(struct keytable *t) {
    if (!t) return;
    free(t->slots);
    free(t);
}

static struct slot *slot_of(const struct keytable *t, const uint64_t hash[2]) {
    size_t i = (size_t)hash[0] & (t->cap - 1);
    while (t->slots[i].offset >= 0 && (t->slots[i].hash[0] != hash[0] || t->slots[i].hash[1] != hash[1])) i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

static void grow(struct keytable *t) {
    struct slot *old = t->slots;
    size_t n = t->cap;
    t->cap *= 2;
    t->slots = slots_new(t->cap);
    for (size_t i = 0; i < n; i++)
        if (old[i].offset >= 0) *slot_of(t, old[i].hash) = old[i];
    free(old);
}

bool keytable_put(struct keytable *t, struct str key, int64_t offset) {
    uint64_t hash[2];
    siphash128(t->secret, key.p, key.n, hash);
    struct slot *s = slot_of(t, hash);
    if (s->offset < 0) {
        if (t->n + 1 > t->cap / 4 * 3) {
            if (t->cap == t->max_cap) return false;
            grow(t);
            s = slot_of(t, hash);
        }
        *s = (struct slot){{hash[0], hash[1]}, offset};
        t->n++;
    }
    if (offset > s->offset) s->offset = offset;
    return true;
}

int64_t keytable_get(const struct keytable *t, struct str key) {
    uint64_t hash[2];
    siphash128(t->secret, key.p, key.n, hash);
    return slot_of(t, hash)->offset;
}

size_t keytable_count(const struct keytable *t) { return t->n; }
