// SPDX-License-Identifier: Apache-2.0
// zstd, LZ4 (frame format, independent 64 KiB blocks), gzip and snappy (in the framing of the Java library), as Kafka's clients write and expect them.
#include "compress.h"

#include <dlfcn.h>
#include <lz4frame.h>
#include <pthread.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/mem.h"

enum { STEP_MIN = 64 * 1024 }; // least room given to a decompressor at once

// ── contexts, one set a thread ───────────────────────────────────────────────────────────────────────────────────────

struct contexts {
    ZSTD_CCtx *zstd_c;
    ZSTD_DCtx *zstd_d;
    LZ4F_dctx *lz4_d;
    z_stream gzip_c, gzip_d;
    int gzip_level;
    bool gzip_c_made, gzip_d_made;
    bool in_snappy;
    unsigned snappy_tries;
};

static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;

static void contexts_free(void *arg) {
    struct contexts *c = arg;
    ZSTD_freeCCtx(c->zstd_c);
    ZSTD_freeDCtx(c->zstd_d);
    LZ4F_freeDecompressionContext(c->lz4_d);
    if (c->gzip_c_made) deflateEnd(&c->gzip_c);
    if (c->gzip_d_made) inflateEnd(&c->gzip_d);
    free(c);
}

// std::set_new_handler
typedef void no_memory_handler(void);
static no_memory_handler *(*set_no_memory_handler)(no_memory_handler *);

static void contexts_init(void) {
    if (pthread_key_create(&contexts_key, contexts_free) != 0) abort();
    void *found = dlsym(RTLD_DEFAULT, "_ZSt15set_new_handlerPFvvE");
    memcpy(&set_no_memory_handler, &found, sizeof(found));
}

static struct contexts *contexts(void) {
    pthread_once(&contexts_once, contexts_init);
    struct contexts *c = pthread_getspecific(contexts_key);
    if (c) return c;
    c = xcalloc(1, sizeof(*c));
    for (unsigned tries = 0; pthread_setspecific(contexts_key, c) != 0;) mem_wait(&tries, sizeof(*c));
    return c;
}

// ── growing output under a bound ─────────────────────────────────────────────────────────────────────────────────────

struct sink {
    struct buf *out;
    size_t start, max; // out may hold start + max bytes
};

// Room for the next step, or 0 when the bound is reached.
static size_t sink_room(struct sink *s) {
    size_t used = s->out->n - s->start, left = s->max - used, want = used > STEP_MIN ? used : STEP_MIN;
    if (want > left) want = left;
    if (!want || !buf_reserve(s->out, want)) return 0;
    size_t room = s->out->cap - s->out->n;
    return room < left ? room : left;
}

static int too_large(const char *codec, const struct sink *s, struct err *err) {
    if (s->out->bad) return err_set(err, buf_fault(s->out), "%s block: no room for its content", codec);
    return err_set(err, ERR_TOO_LARGE, "%s block expands to more than %zu bytes", codec, s->max);
}

static int no_room(const char *codec, const struct buf *out, size_t n, struct err *err) {
    return err_set(err, buf_fault(out), "%s: no room for %zu bytes", codec, n);
}

static int no_context(const char *codec, struct err *err) { return err_set(err, ERR_NOMEM, "%s: no memory for its state", codec); }

// ── zstd ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

static int zstd_compress(int level, const void *p, size_t n, struct buf *out, struct err *err) {
    struct contexts *c = contexts();
    if (!c->zstd_c && !(c->zstd_c = ZSTD_createCCtx())) return no_context("zstd", err);
    if (!buf_reserve(out, ZSTD_compressBound(n))) return no_room("zstd", out, n, err);
    size_t got = ZSTD_compressCCtx(c->zstd_c, out->p + out->n, out->cap - out->n, p, n, level ? level : ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation) return no_context("zstd", err);
    if (ZSTD_isError(got)) return err_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(got));
    out->n += got;
    return 0;
}

static int zstd_decompress(const void *p, size_t n, struct sink *s, struct err *err) {
    struct contexts *c = contexts();
    if (!c->zstd_d && !(c->zstd_d = ZSTD_createDCtx())) return no_context("zstd", err);
    ZSTD_DCtx_reset(c->zstd_d, ZSTD_reset_session_only);
    ZSTD_inBuffer in = {p, n, 0};
    size_t more = 1; // 0 when a frame ended and all of it was handed out
    while (in.pos < in.size || more) {
        size_t room = sink_room(s), was = in.pos;
        uint8_t none;
        ZSTD_outBuffer out = {room ? s->out->p + s->out->n : &none, room, 0};
        more = ZSTD_decompressStream(c->zstd_d, &out, &in);
        if (ZSTD_getErrorCode(more) == ZSTD_error_memory_allocation) return no_context("zstd", err);
        if (ZSTD_isError(more)) return err_set(err, ERR_CORRUPT, "zstd block: %s", ZSTD_getErrorName(more));
        s->out->n += out.pos;
        if (out.pos || in.pos != was || (in.pos == in.size && !more)) continue;
        if (!room) return too_large("zstd", s, err);
        return err_set(err, ERR_CORRUPT, "zstd block ends early");
    }
    return 0;
}

// ── lz4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

enum { LZ4_ACCELERATION = -4, LZ4_KAFKA_DEFAULT = 9, LZ4_HC_LEAST = 3 };

// Kafka's default level means the fast compressor, and every other one the slow one, which knows 3 to 12. The fast one is told to look at
// every fourth place only where nothing repeats: 2.3 times as fast on rows with random text, 4 % larger (docs/decisions.md).
static int lz4_level(int level) {
    if (!level || level == LZ4_KAFKA_DEFAULT) return LZ4_ACCELERATION;
    return level < LZ4_HC_LEAST ? LZ4_HC_LEAST : level;
}

// Its codes have names only.
static bool lz4_no_memory(size_t code) { return strcmp(LZ4F_getErrorName(code), "ERROR_allocation_failed") == 0; }

static int lz4_compress(int level, const void *p, size_t n, struct buf *out, struct err *err) {
    const LZ4F_preferences_t prefs = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = lz4_level(level),
    };
    if (!buf_reserve(out, LZ4F_compressFrameBound(n, &prefs))) return no_room("lz4", out, n, err);
    size_t got = LZ4F_compressFrame(out->p + out->n, out->cap - out->n, p, n, &prefs);
    if (lz4_no_memory(got)) return no_context("lz4", err);
    if (LZ4F_isError(got)) return err_set(err, ERR_INTERNAL, "lz4: %s", LZ4F_getErrorName(got));
    out->n += got;
    return 0;
}

static int lz4_decompress(const void *p, size_t n, struct sink *s, struct err *err) {
    struct contexts *c = contexts();
    if (!c->lz4_d && LZ4F_isError(LZ4F_createDecompressionContext(&c->lz4_d, LZ4F_VERSION)))
        return no_context("lz4", err);
    LZ4F_resetDecompressionContext(c->lz4_d);
    const uint8_t *in = p, *end = in + n;
    size_t more = 1;
    while (in < end || more) {
        size_t room = sink_room(s), out_n = room, in_n = (size_t)(end - in);
        uint8_t none;
        more = LZ4F_decompress(c->lz4_d, room ? s->out->p + s->out->n : &none, &out_n, in, &in_n, NULL);
        if (lz4_no_memory(more)) return no_context("lz4", err);
        if (LZ4F_isError(more)) return err_set(err, ERR_CORRUPT, "lz4 block: %s", LZ4F_getErrorName(more));
        s->out->n += out_n;
        in += in_n;
        if (out_n || in_n || (in == end && !more)) continue;
        if (!room) return too_large("lz4", s, err);
        return err_set(err, ERR_CORRUPT, "lz4 block ends early");
    }
    return 0;
}

// ── gzip (RFC 1952) ──────────────────────────────────────────────────────────────────────────────────────────────────

enum { GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 8 }; // zlib: the largest window, with gzip's header and trailer

static int gzip_begin(struct contexts *c, int level) {
    if (c->gzip_c_made && c->gzip_level == level) return deflateReset(&c->gzip_c);
    if (c->gzip_c_made) deflateEnd(&c->gzip_c);
    c->gzip_level = level;
    int rc = deflateInit2(&c->gzip_c, level, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY);
    c->gzip_c_made = rc == Z_OK;
    return rc;
}

static int gzip_compress(int level, const void *p, size_t n, struct buf *out, struct err *err) {
    struct contexts *c = contexts();
    if (n > INT32_MAX) return err_set(err, ERR_TOO_LARGE, "gzip: no room for %zu bytes", n);
    if (gzip_begin(c, level ? level : Z_DEFAULT_COMPRESSION) != Z_OK) return no_context("gzip", err);
    size_t bound = deflateBound(&c->gzip_c, n);
    if (!buf_reserve(out, bound)) return no_room("gzip", out, n, err);
    c->gzip_c.next_in = (Bytef *)(uintptr_t)p;
    c->gzip_c.avail_in = (uInt)n;
    c->gzip_c.next_out = out->p + out->n;
    c->gzip_c.avail_out = (uInt)bound;
    if (deflate(&c->gzip_c, Z_FINISH) != Z_STREAM_END) return err_set(err, ERR_INTERNAL, "gzip: did not end");
    out->n += bound - c->gzip_c.avail_out;
    return 0;
}

static int gzip_decompress(const void *p, size_t n, struct sink *s, struct err *err) {
    struct contexts *c = contexts();
    z_stream *z = &c->gzip_d;
    if (!c->gzip_d_made && inflateInit2(z, GZIP_WINDOW) != Z_OK) return no_context("gzip", err);
    c->gzip_d_made = true;
    inflateReset(z);
    z->next_in = (Bytef *)(uintptr_t)p;
    z->avail_in = (uInt)n;
    for (bool ended = false; !ended || z->avail_in;) {
        size_t room = sink_room(s);
        uInt was = z->avail_in;
        uint8_t none;
        z->next_out = room ? s->out->p + s->out->n : &none;
        z->avail_out = (uInt)(room < INT32_MAX ? room : INT32_MAX);
        uInt had = z->avail_out;
        int rc = inflate(z, Z_NO_FLUSH);
        s->out->n += had - z->avail_out;
        ended = rc == Z_STREAM_END;
        if (ended) inflateReset(z); // another member may follow
        else if (rc == Z_MEM_ERROR) return no_context("gzip", err);
        else if (rc != Z_OK && rc != Z_BUF_ERROR) return err_set(err, ERR_CORRUPT, "gzip block: %s", z->msg ? z->msg : "damaged");
        else if (z->avail_in == was && z->avail_out == had)
            return room ? err_set(err, ERR_CORRUPT, "gzip block ends early") : too_large("gzip", s, err);
    }
    return 0;
}

// ── snappy ───────────────────────────────────────────────────────────────────────────────────────────────────────────
//
// One raw block, or the framing of the Java library, which clients write: magic 8, version 4, oldest compatible version 4, {length 4, raw
// block}…; streams may follow each other.

enum {
    SNAPPY_HEADER = 16,
    SNAPPY_BLOCK = 32 * 1024, // as the Java library cuts
    SNAPPY_RATIO = 22,        // the format's: three bytes stand for at most 64
};
static const uint8_t snappy_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

static void snappy_put_header(struct buf *out) {
    buf_put(out, snappy_magic, sizeof(snappy_magic));
    buf_be32(out, 1);
    buf_be32(out, 1);
}

// Snappy is C++, and no exception may come through here: what its new does not get is waited for, as we wait for small allocations.
static void on_no_memory(void) {
    struct contexts *c = pthread_getspecific(contexts_key);
    if (c && c->in_snappy) mem_wait(&c->snappy_tries, SNAPPY_BLOCK);
    else set_no_memory_handler(NULL); // who else uses new hears of it as usual
}

static void snappy_block_compress(const char *p, size_t n, char *to, size_t *ret_n) {
    struct contexts *c = contexts();
    c->in_snappy = true;
    c->snappy_tries = 0;
    if (set_no_memory_handler) set_no_memory_handler(on_no_memory);
    snappy_compress(p, n, to, ret_n); // fails only without room
    c->in_snappy = false;
}

static int snappy_compress_framed(int level, const void *p, size_t n, struct buf *out, struct err *err) {
    (void)level;
    snappy_put_header(out);
    size_t at = 0;
    do {
        size_t left = n - at, block = left < SNAPPY_BLOCK ? left : SNAPPY_BLOCK, got = snappy_max_compressed_length(block);
        if (!buf_reserve(out, 4 + got)) return no_room("snappy", out, n, err);
        snappy_block_compress((const char *)p + at, block, (char *)out->p + out->n + 4, &got);
        put_be32(out->p + out->n, (uint32_t)got);
        out->n += 4 + got;
        at += block;
    } while (at < n);
    return 0;
}

static int snappy_block(const uint8_t *p, size_t n, struct sink *s, struct err *err) {
    size_t length, left = s->max - (s->out->n - s->start);
    if (snappy_uncompressed_length((const char *)p, n, &length) != SNAPPY_OK || length > n * SNAPPY_RATIO)
        return err_set(err, ERR_CORRUPT, "snappy block of %zu bytes: damaged length", n);
    if (snappy_validate_compressed_buffer((const char *)p, n) != SNAPPY_OK) return err_set(err, ERR_CORRUPT, "snappy block of %zu bytes: damaged", n);
    if (length > left || !buf_reserve(s->out, length)) return too_large("snappy", s, err);
    if (!length) return 0;
    size_t room = length;
    if (snappy_uncompress((const char *)p, n, (char *)s->out->p + s->out->n, &room) != SNAPPY_OK) return err_set(err, ERR_CORRUPT, "snappy block: damaged");
    s->out->n += length;
    return 0;
}

static int snappy_decompress(const void *p, size_t n, struct sink *s, struct err *err) {
    struct cur c = cur_of(p, n);
    if (n < sizeof(snappy_magic) || memcmp(p, snappy_magic, sizeof(snappy_magic)) != 0) return snappy_block(p, n, s, err);
    for (unsigned blocks = 0; !cur_done(&c) || !blocks;) {
        if (cur_left(&c) >= sizeof(snappy_magic) && memcmp(c.p, snappy_magic, sizeof(snappy_magic)) == 0) {
            cur_take(&c, SNAPPY_HEADER);
            blocks = 0;
        }
        uint32_t length = cur_be32(&c);
        const uint8_t *block = cur_take(&c, length);
        if (c.bad) return err_set(err, ERR_CORRUPT, "snappy stream ends early");
        if (snappy_block(block, length, s, err) != 0) return -1;
        blocks++;
    }
    return 0;
}

// ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────

static const struct codec_row {
    const char *name;
    int (*compress)(int level, const void *p, size_t n, struct buf *out, struct err *err);
    int (*decompress)(const void *p, size_t n, struct sink *s, struct err *err);
} codecs[] = {
    [CODEC_NONE] = {"none", NULL, NULL},
    [CODEC_GZIP] = {"gzip", gzip_compress, gzip_decompress},
    [CODEC_SNAPPY] = {"snappy", snappy_compress_framed, snappy_decompress},
    [CODEC_LZ4] = {"lz4", lz4_compress, lz4_decompress},
    [CODEC_ZSTD] = {"zstd", zstd_compress, zstd_decompress},
};

int codec_by_name(struct str name, enum codec *ret) {
    for (size_t i = 0; i < countof(codecs); i++) {
        if (!str_eqz(name, codecs[i].name)) continue;
        *ret = (enum codec)i;
        return 0;
    }
    return -1;
}

int codec_by_type(struct str type) {
    enum codec c;
    if (str_eqz(type, "uncompressed")) return CODEC_NONE;
    return codec_by_name(type, &c) == 0 ? (int)c : -1;
}

const char *codec_name(enum codec c) { return (size_t)c < countof(codecs) ? codecs[c].name : "unknown"; }

static int unsupported(enum codec c, struct err *err) {
    return err_set(err, ERR_UNSUPPORTED, "compression %s (%d) is not supported", codec_name(c), (int)c);
}

int compress_block(enum codec codec, int level, const void *p, size_t n, struct buf *out, struct err *err) {
    if ((size_t)codec >= countof(codecs) || !codecs[codec].compress) return unsupported(codec, err);
    return codecs[codec].compress(level, p, n, out, err);
}

int decompress_block(enum codec codec, const void *p, size_t n, struct buf *out, size_t max_bytes, struct err *err) {
    if ((size_t)codec >= countof(codecs) || !codecs[codec].decompress) return unsupported(codec, err);
    size_t bound = compress_bound_of(n);
    struct sink s = {out, out->n, max_bytes < bound ? max_bytes : bound};
    return codecs[codec].decompress(p, n, &s, err);
}
