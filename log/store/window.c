// SPDX-License-Identifier: Apache-2.0
#include "window.h"

#include <inttypes.h>

#include "base/hash.h"
#include "base/mem.h"

enum { BLOCKS_MOST = 4096, WINDOW = 256 * 1024 };

int read_what_can(struct fs *fs, struct fs_file *f, void *p, size_t n, uint64_t at, uint64_t *unreadable, struct err *why) {
    struct err err;
    int lost = 0;
    if (!fs_pread_full(fs, f, p, n, at, &err)) return 0;
    if (err.code != ERR_IO) return *why = err, -1;
    for (size_t done = 0, part; done < n; done += part) {
        part = WINDOW_BLOCK - (size_t)((at + done) % WINDOW_BLOCK);
        if (part > n - done) part = n - done;
        if (!fs_pread_full(fs, f, (uint8_t *)p + done, part, at + done, &err)) continue;
        if (err.code != ERR_IO) return *why = err, -1;
        memset((uint8_t *)p + done, 0, part);
        *unreadable += part;
        *why = err;
        lost = 1;
    }
    return lost;
}

void window_done(struct window *w) {
    buf_done(&w->bytes);
    free(w->blocks);
}

static void note_block(struct window *w, uint64_t at) {
    for (size_t i = 0; i < w->block_n; i++)
        if (w->blocks[i] == at) return;
    if (w->block_n < BLOCKS_MOST) VEC_PUSH(w->blocks, w->block_n, w->block_cap, at);
}

static int read_bytes(struct window *w, uint64_t at, size_t n, struct err *err) {
    struct err why;
    uint64_t unreadable = 0;
    int lost = read_what_can(w->fs, w->file, w->bytes.p, n, at, &unreadable, &why);
    if (lost < 0) return *err = why, -1;
    if (!lost) return 0;
    if (!w->block_n) w->unreadable = why;
    for (uint64_t b = at / WINDOW_BLOCK * WINDOW_BLOCK; b < at + n; b += WINDOW_BLOCK) {
        uint64_t from = b < at ? at : b, to = b + WINDOW_BLOCK < at + n ? b + WINDOW_BLOCK : at + n, more = 0;
        if (read_what_can(w->fs, w->file, w->bytes.p + (from - at), (size_t)(to - from), from, &more, &why) > 0) note_block(w, b);
    }
    return 0;
}

static int fill(struct window *w, uint64_t at, uint64_t n, struct err *err) {
    buf_clear(&w->bytes);
    if (!buf_reserve(&w->bytes, (size_t)n)) return err_set(err, ERR_TOO_LARGE, "no memory for %" PRIu64 " bytes", n);
    if (read_bytes(w, at, (size_t)n, err)) return -1;
    if (w->mended >= at && w->mended < at + n) w->bytes.p[w->mended - at] ^= w->mask;
    w->bytes.n = (size_t)n;
    w->at = at;
    if (at > w->crc_at || at + n <= w->crc_at) return 0;
    w->crc = crc32c(w->crc, w->bytes.p + (w->crc_at - at), (size_t)(at + n - w->crc_at));
    w->crc_at = at + n;
    return 0;
}

static int read_to(struct window *w, uint64_t to, struct err *err) {
    while (w->crc_at < to)
        if (fill(w, w->crc_at, to - w->crc_at < WINDOW ? to - w->crc_at : WINDOW, err)) return -1;
    return 0;
}

int window_read_all(struct window *w, struct err *err) { return read_to(w, w->end, err); }

const uint8_t *window_view(struct window *w, uint64_t at, uint64_t n, size_t *ret_n, struct err *err) {
    if (at < w->at || at + n > w->at + w->bytes.n) {
        uint64_t want = n < WINDOW ? WINDOW : n;
        if (want > w->end - at) want = w->end - at;
        if (read_to(w, at, err) || fill(w, at, want, err)) return NULL;
    }
    if (ret_n) *ret_n = (size_t)(w->at + w->bytes.n - at);
    return w->bytes.p + (at - w->at);
}

bool window_is_unreadable(const struct window *w, uint64_t from, uint64_t to) {
    for (size_t i = 0; i < w->block_n; i++)
        if (w->blocks[i] < to && w->blocks[i] + WINDOW_BLOCK > from) return true;
    return false;
}
