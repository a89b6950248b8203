// SPDX-License-Identifier: Apache-2.0
// CRC-32C in hardware or by table, murmur2, Java's string hash, UUIDs.
#include "base/hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/text.h"

#define CRC32C_POLY 0x82f63b78u // Castagnoli, bits reversed

// table[k][b]: the CRC of byte b followed by k zero bytes.
static uint32_t crc_table[8][256];

static void crc_table_fill(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = (c >> 1) ^ (c & 1 ? CRC32C_POLY : 0);
        crc_table[0][i] = c;
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < 256; i++)
            crc_table[k][i] = (crc_table[k - 1][i] >> 8) ^ crc_table[0][crc_table[k - 1][i] & 0xff];
}

static void crc_table_need(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, crc_table_fill);
}

// A difference of states is changed by every byte in the same way, whatever the byte is; so it can be followed back to where it began.
size_t crc32c_one_byte(uint32_t difference, uint64_t n, struct crc_byte *ret, size_t max) {
    uint8_t index_of[256]; // by the highest byte of the table's entry
    size_t found = 0;
    crc_table_need();
    for (int i = 0; i < 256; i++) index_of[crc_table[0][i] >> 24] = (uint8_t)i;
    for (uint64_t at = n; at-- > 0 && difference && found < max;) {
        uint8_t i = index_of[difference >> 24];
        difference = (difference ^ crc_table[0][i]) << 8 | i;
        if (difference <= 0xff) ret[found++] = (struct crc_byte){at, (uint8_t)difference};
    }
    return found;
}

uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n) {
    crc_table_need();
    const uint8_t *b = p;
    uint32_t c = ~crc;
    for (; n >= 8; n -= 8, b += 8) {
        uint32_t low, high;
        memcpy(&low, b, 4);
        memcpy(&high, b + 4, 4);
        low ^= c;
        c = crc_table[7][low & 0xff] ^ crc_table[6][low >> 8 & 0xff] ^ crc_table[5][low >> 16 & 0xff] ^
            crc_table[4][low >> 24] ^ crc_table[3][high & 0xff] ^ crc_table[2][high >> 8 & 0xff] ^
            crc_table[1][high >> 16 & 0xff] ^ crc_table[0][high >> 24];
    }
    while (n--) c = (c >> 8) ^ crc_table[0][(c ^ *b++) & 0xff];
    return ~c;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>

#define HARDWARE __attribute__((target("sse4.2,pclmul")))

static uint64_t load_u64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

// What the state `crc` becomes over n zero bytes, for k = x^(8n-33) mod P.
HARDWARE static uint32_t crc_shift(uint32_t crc, uint32_t k) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)crc), _mm_cvtsi32_si128((int)k), 0);
    return (uint32_t)_mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

// The instruction has a latency of three cycles and a throughput of one: three neighbouring blocks run interleaved and
// their CRCs are shifted into place.
HARDWARE static uint32_t crc_triple(uint32_t crc, const uint8_t *p, size_t block, uint32_t shift_two, uint32_t shift_one) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < block; i += 8) {
        a = _mm_crc32_u64(a, load_u64(p + i));
        b = _mm_crc32_u64(b, load_u64(p + block + i));
        c = _mm_crc32_u64(c, load_u64(p + 2 * block + i));
    }
    return crc_shift((uint32_t)a, shift_two) ^ crc_shift((uint32_t)b, shift_one) ^ (uint32_t)c;
}

HARDWARE static uint32_t crc32c_hardware(uint32_t crc, const void *p, size_t n) {
    enum { LARGE = 1024, SMALL = 128 };
    const uint8_t *b = p;
    uint32_t c = ~crc;
    for (; n >= 3 * LARGE; n -= 3 * LARGE, b += 3 * LARGE) c = crc_triple(c, b, LARGE, 0xa51b6135, 0x170076fa);
    for (; n >= 3 * SMALL; n -= 3 * SMALL, b += 3 * SMALL) c = crc_triple(c, b, SMALL, 0xb9e02b86, 0x0d3b6092);
    for (; n >= 8; n -= 8, b += 8) c = (uint32_t)_mm_crc32_u64(c, load_u64(b));
    while (n--) c = _mm_crc32_u8(c, *b++);
    return ~c;
}

static int have_hardware(void) { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"); }

#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>

__attribute__((target("+crc"))) static uint32_t crc32c_hardware(uint32_t crc, const void *p, size_t n) {
    const uint8_t *b = p;
    uint32_t c = ~crc;
    for (; n >= 8; n -= 8, b += 8) {
        uint64_t v;
        memcpy(&v, b, 8);
        c = __crc32cd(c, v);
    }
    while (n--) c = __crc32cb(c, *b++);
    return ~c;
}

static int have_hardware(void) { return (getauxval(AT_HWCAP) & (1 << 7)) != 0; } // HWCAP_CRC32

#else
#define crc32c_hardware crc32c_portable
static int have_hardware(void) { return 0; }
#endif

uint32_t crc32c(uint32_t crc, const void *p, size_t n) {
    return have_hardware() ? crc32c_hardware(crc, p, n) : crc32c_portable(crc, p, n);
}

uint32_t murmur2(const void *p, size_t n) {
    const uint32_t m = 0x5bd1e995;
    const uint8_t *b = p;
    uint32_t h = 0x9747b28cu ^ (uint32_t)n;
    for (; n >= 4; n -= 4, b += 4) {
        uint32_t k;
        memcpy(&k, b, 4);
        k *= m;
        k ^= k >> 24;
        h = h * m ^ k * m;
    }
    switch (n) {
    case 3: h ^= (uint32_t)b[2] << 16; __attribute__((fallthrough));
    case 2: h ^= (uint32_t)b[1] << 8; __attribute__((fallthrough));
    case 1: h = (h ^ b[0]) * m;
    }
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

// The code point at s.p[*at]; U+FFFD for a byte that starts no valid sequence, as Java decodes it.
static uint32_t code_point(struct str s, size_t *at) {
    size_t n = utf8_sequence(str_from(s, *at));
    const uint8_t *p = (const uint8_t *)s.p + *at;
    *at += n ? n : 1;
    switch (n) {
    case 1: return p[0];
    case 2: return (p[0] & 0x1fu) << 6 | (p[1] & 0x3f);
    case 3: return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3f);
    case 4: return (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3f);
    default: return 0xfffd;
    }
}

int32_t java_string_hash(const char *utf8, size_t n) {
    uint32_t h = 0;
    for (size_t at = 0; at < n;) {
        uint32_t c = code_point(str_make(utf8, n), &at);
        if (c >= 0x10000) {
            h = h * 31 + (0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        h = h * 31 + c;
    }
    return (int32_t)h;
}

static void random_bytes(void *p, size_t n) {
    while (getrandom(p, n, 0) != (ssize_t)n) // short only when a signal came
        if (errno != EINTR) abort();
}

uint64_t random_u64(void) {
    uint64_t v;
    random_bytes(&v, sizeof(v));
    return v;
}

static const char url64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Version 4. As Kafka, none whose text begins with '-': command lines would take it for an option.
struct uuid uuid_random(void) {
    struct uuid u;
    do random_bytes(u.b, sizeof(u.b));
    while (url64[u.b[0] >> 2] == '-');
    u.b[6] = (u.b[6] & 0x0f) | 0x40;
    u.b[8] = (u.b[8] & 0x3f) | 0x80;
    return u;
}

bool uuid_eq(struct uuid a, struct uuid b) { return memcmp(&a, &b, sizeof(a)) == 0; }

bool uuid_is_zero(struct uuid u) { return uuid_eq(u, (struct uuid){{0}}); }

void uuid_kafka(struct uuid u, char out[23]) {
    char *o = out;
    for (int i = 0; i < 15; i += 3) {
        uint32_t v = (uint32_t)u.b[i] << 16 | (uint32_t)u.b[i + 1] << 8 | u.b[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6) *o++ = url64[v >> shift & 63];
    }
    *o++ = url64[u.b[15] >> 2];
    *o++ = url64[(u.b[15] & 3) << 4];
    *o = 0;
}

int uuid_from_kafka(const char *text, size_t n, struct uuid *ret) {
    struct uuid u;
    uint32_t bits = 0;
    if (n != 22) return -1;
    for (size_t i = 0, have = 0, at = 0; i < n; i++) {
        const char *digit = text[i] ? strchr(url64, text[i]) : NULL;
        if (!digit) return -1;
        bits = bits << 6 | (uint32_t)(digit - url64);
        have += 6;
        if (have >= 8) u.b[at++] = (uint8_t)(bits >> (have -= 8));
    }
    if (bits & 0xf) return -1; // the last character's four spare bits
    *ret = u;
    return 0;
}

void uuid_hex(struct uuid u, char out[37]) {
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
        snprintf(out, 3, "%02x", u.b[i]);
        out += 2;
    }
}
