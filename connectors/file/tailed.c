// SPDX-License-Identifier: Apache-2.0
//   file   …│ marker │ line ⏎ line ⏎ unfinished │
//           offset - mark_n  └ offset            └ end
//   batch    │ marker │ line ⏎ line ⏎│             read in one go; records refer to the lines where they lie,
//                                    └ given back  the unfinished one is read again when it has grown
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tailed.h"

enum { CHUNK = 256 * 1024 };

bool tailed_batch_full(const struct cn_batch *b, const struct tailed_limits *l) {
    return b->failed || cn_head(b)->used >= l->batch_bytes || cn_count(b) >= l->batch_lines;
}

void tailed_restart(struct tailed *f) {
    f->offset = 0;
    f->pending = 0;
    f->skipping = false;
    f->told = false;
    f->dirty = true;
    identity_reset(&f->identity);
}

static ssize_t read_fully(int fd, char *p, size_t n, int64_t offset) {
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, p + done, n - done, (off_t)(offset + (int64_t)done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

// Records of the lines in text[0..n), which lie at `at` in the batch. Returns the bytes done with. The pointer is taken anew for each line, since
// building a record may move the batch.
static size_t take_lines(struct tailed *f, struct cn_batch *b, struct linerec *r, const struct tailed_limits *l, cn_off at, size_t n, bool final) {
    size_t done = 0, used;
    size_t searched = f->pending < n ? f->pending : 0;
    struct line line;
    while (!b->failed && cn_count(b) < l->batch_lines) {
        const char *text = cn_bytes_at(b, at);
        int got = lines_next(&f->skipping, text + done, n - done, searched, l->max_line, final, &line, &used);
        searched = 0;
        if (got) linerec_add(r, b, &f->path, &line, at + (cn_off)(line.p - text), f->offset + (line.p - text));
        done += used;
        if (!got) break;
    }
    return done;
}

// Gives back what of the last allocation is not used: the batch ends behind the lines that were taken, if nothing was built after them.
static void give_back(struct cn_batch *b, cn_off at, size_t taken, uint32_t allocated_to) {
    struct cn_batch_head *h = cn_head(b);
    if (h->used == allocated_to) h->used = (uint32_t)((at + taken + 7) & ~(size_t)7);
}

// One read of up to `chunk` bytes and its lines. *ret_end: it reached the end of the file.
static enum tailed_read read_chunk(struct tailed *f, struct cn_batch *b, struct linerec *r, const struct tailed_limits *l, size_t chunk, bool final,
                                   size_t *ret_got, size_t *ret_done) {
    uint32_t mark = f->identity.mark_n;
    cn_off at = cn_alloc(b, mark + chunk);
    if (!at) return TAILED_MORE; // the poll sees that the batch failed
    uint32_t allocated_to = cn_head(b)->used;
    ssize_t got = read_fully(f->fd, (char *)b->base + at, mark + chunk, f->offset - mark);
    if (got < 0) {
        give_back(b, at, 0, allocated_to);
        return TAILED_FAILED;
    }
    if (got < (ssize_t)mark || memcmp(b->base + at, f->identity.mark, mark) != 0) {
        give_back(b, at, 0, allocated_to);
        return TAILED_REWRITTEN;
    }
    *ret_got = (size_t)got - mark;
    bool end = *ret_got < chunk;
    give_back(b, at, (size_t)got, allocated_to);
    *ret_done = take_lines(f, b, r, l, at + mark, *ret_got, final && end);
    if (*ret_done == 0) give_back(b, at, 0, (uint32_t)((at + (size_t)got + 7) & ~(size_t)7));
    identity_consume(&f->identity, f->offset, cn_bytes_at(b, at + mark), *ret_done);
    return end ? TAILED_END : TAILED_MORE;
}

// How much to read at once: a chunk, more for a line known to be longer, never more than there is.
static size_t chunk_size(const struct tailed *f, const struct tailed_limits *l, size_t least) {
    size_t most = (size_t)l->max_line + 2 > CHUNK ? (size_t)l->max_line + 2 : CHUNK; // a longer line than that is cut
    size_t chunk = least > CHUNK ? least : CHUNK, there = (size_t)(f->size - f->offset) + 1;
    if (chunk > most) chunk = most;
    return chunk < there ? chunk : there;
}

// Whether the bytes before the offset are still those that were read.
static bool mark_is_there(const struct tailed *f) {
    char bytes[IDENTITY_MARK];
    uint32_t n = f->identity.mark_n;
    return read_fully(f->fd, bytes, n, f->offset - n) == (ssize_t)n && memcmp(bytes, f->identity.mark, n) == 0;
}

enum tailed_read tailed_read(struct tailed *f, struct cn_batch *b, struct linerec *r, const struct tailed_limits *l, bool final) {
    size_t turn = 0, least = 2 * (size_t)f->pending;
    struct stat st;
    f->dirty = false;
    if (fstat(f->fd, &st) != 0) return TAILED_FAILED;
    f->size = st.st_size;
    f->changed_ns = tailed_changed_ns(&st);
    if (f->size < f->offset) return TAILED_REWRITTEN;
    if (f->size - f->offset == f->pending && (!final || !f->pending)) return mark_is_there(f) ? TAILED_END : TAILED_REWRITTEN; // it may have grown back to its size
    for (;;) {
        size_t got = 0, done = 0, chunk = chunk_size(f, l, least);
        enum tailed_read result = read_chunk(f, b, r, l, chunk, final, &got, &done);
        if (result == TAILED_REWRITTEN || result == TAILED_FAILED || b->failed) return result;
        f->offset += (int64_t)done;
        f->pending = (uint32_t)(got - done);
        if (done) f->told = false;
        turn += done;
        if (tailed_batch_full(b, l) || turn >= l->turn) {
            if (result == TAILED_END && got == done) return TAILED_END;
            f->pending = 0; // what remains may be whole lines: nothing is known of it
            f->dirty = true;
            return TAILED_MORE;
        }
        if (result == TAILED_END) return TAILED_END;
        least = done ? 0 : 2 * chunk; // a line longer than the chunk
    }
}
