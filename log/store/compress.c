// SPDX-License-Identifier: Apache-2.0
// zstd and LZ4 (frame format, independent 64 KiB blocks, as Kafka's clients write and expect it).
#include "compress.h"

#include <lz4frame.h>
#include <pthread.h>
#include <zstd.h>

#include "base/mem.h"

enum { STEP_MIN = 64 * 1024 }; // least room given to a decompressor at once

// ── contexts, one set a thread ───────────────────────────────────────────────────────────────────────────────────────

struct contexts {
    ZSTD_CCtx *zstd_c;
    ZSTD_DCtx *zstd_d;
    LZ4F_dctx *lz4_d;
};

static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;

static void contexts_free(void *arg) {
    struct contexts *c = arg;
    ZSTD_freeCCtx(c->zstd_c);
    ZSTD_freeDCtx(c->zstd_d);
    LZ4F_freeDecompressionContext(c->lz4_d);
    free(c);
}

static void contexts_init(void) {
    if (pthread_key_create(&contexts_key, contexts_free) != 0) abort();
}

static struct contexts *contexts(void) {
    pthread_once(&contexts_once, contexts_init);
    struct contexts *c = pthread_getspecific(contexts_key);
    if (c) return c;
    c = xcalloc(1, sizeof(*c));
    if (pthread_setspecific(contexts_key, c) != 0) abort();
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
    if (s->out->bad) return err_set(err, ERR_TOO_LARGE, "%s block: no room for its content", codec);
    return err_set(err, ERR_TOO_LARGE, "%s block expands to more than %zu bytes", codec, s->max);
}

// ── zstd ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

static int zstd_compress(int level, const void *p, size_t n, struct buf *out, struct err *err) {
    struct contexts *c = contexts();
    if (!c->zstd_c && !(c->zstd_c = ZSTD_createCCtx())) return err_set(err, ERR_INTERNAL, "zstd: no context");
    if (!buf_reserve(out, ZSTD_compressBound(n))) return err_set(err, ERR_TOO_LARGE, "zstd: no room for %zu bytes", n);
    size_t got = ZSTD_compressCCtx(c->zstd_c, out->p + out->n, out->cap - out->n, p, n, level ? level : ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_isError(got)) return err_set(err, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(got));
    out->n += got;
    return 0;
}

static int zstd_decompress(const void *p, size_t n, struct sink *s, struct err *err) {
    struct contexts *c = contexts();
    if (!c->zstd_d && !(c->zstd_d = ZSTD_createDCtx())) return err_set(err, ERR_INTERNAL, "zstd: no context");
    ZSTD_DCtx_reset(c->zstd_d, ZSTD_reset_session_only);
    ZSTD_inBuffer in = {p, n, 0};
    size_t more = 1; // 0 when a frame ended and all of it was handed out
    while (in.pos < in.size || more) {
        size_t room = sink_room(s), was = in.pos;
        uint8_t none;
        ZSTD_outBuffer out = {room ? s->out->p + s->out->n : &none, room, 0};
        more = ZSTD_decompressStream(c->zstd_d, &out, &in);
        if (ZSTD_isError(more)) return err_set(err, ERR_CORRUPT, "zstd block: %s", ZSTD_getErrorName(more));
        s->out->n += out.pos;
        if (out.pos || in.pos != was || (in.pos == in.size && !more)) continue;
        if (!room) return too_large("zstd", s, err);
        return err_set(err, ERR_CORRUPT, "zstd block ends early");
    }
    return 0;
}

// ── lz4 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

static int lz4_compress(int level, const void *p, size_t n, struct buf *out, struct err *err) {
    const LZ4F_preferences_t prefs = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level,
    };
    if (!buf_reserve(out, LZ4F_compressFrameBound(n, &prefs))) return err_set(err, ERR_TOO_LARGE, "lz4: no room for %zu bytes", n);
    size_t got = LZ4F_compressFrame(out->p + out->n, out->cap - out->n, p, n, &prefs);
    if (LZ4F_isError(got)) return err_set(err, ERR_INTERNAL, "lz4: %s", LZ4F_getErrorName(got));
    out->n += got;
    return 0;
}

static int lz4_decompress(const void *p, size_t n, struct sink *s, struct err *err) {
    struct contexts *c = contexts();
    if (!c->lz4_d && LZ4F_isError(LZ4F_createDecompressionContext(&c->lz4_d, LZ4F_VERSION)))
        return err_set(err, ERR_INTERNAL, "lz4: no context");
    LZ4F_resetDecompressionContext(c->lz4_d);
    const uint8_t *in = p, *end = in + n;
    size_t more = 1;
    while (in < end || more) {
        size_t room = sink_room(s), out_n = room, in_n = (size_t)(end - in);
        uint8_t none;
        more = LZ4F_decompress(c->lz4_d, room ? s->out->p + s->out->n : &none, &out_n, in, &in_n, NULL);
        if (LZ4F_isError(more)) return err_set(err, ERR_CORRUPT, "lz4 block: %s", LZ4F_getErrorName(more));
        s->out->n += out_n;
        in += in_n;
        if (out_n || in_n || (in == end && !more)) continue;
        if (!room) return too_large("lz4", s, err);
        return err_set(err, ERR_CORRUPT, "lz4 block ends early");
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
    [CODEC_GZIP] = {"gzip", NULL, NULL},
    [CODEC_SNAPPY] = {"snappy", NULL, NULL},
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

const char *codec_name(enum codec c) { return (size_t)c < countof(codecs) ? codecs[c].name : "unknown"; }

static int unsupported(enum codec c, struct err *err) {
    err_set(err, ERR_UNSUPPORTED, "compression %s (%d) is not supported", codec_name(c), (int)c);
    return err_hint(err, "use none, lz4 or zstd");
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
