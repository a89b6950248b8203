// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <connectd/sdk.h>

#include "identity.h"

static const uint64_t fnv_basis = 0xcbf29ce484222325u, fnv_prime = 0x100000001b3u;

static uint64_t fnv(uint64_t h, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) h = (h ^ (uint8_t)p[i]) * fnv_prime;
    return h;
}

void identity_reset(struct identity *id) {
    memset(id, 0, sizeof *id);
    id->head = fnv_basis;
}

static void extend_mark(struct identity *id, const char *p, size_t n) {
    size_t keep = n >= IDENTITY_MARK ? 0 : IDENTITY_MARK - n;
    if (keep > id->mark_n) keep = id->mark_n;
    memmove(id->mark, id->mark + id->mark_n - keep, keep);
    if (n > IDENTITY_MARK) {
        p += n - IDENTITY_MARK;
        n = IDENTITY_MARK;
    }
    memcpy(id->mark + keep, p, n);
    id->mark_n = (uint32_t)(keep + n);
}

void identity_consume(struct identity *id, int64_t offset, const char *p, size_t n) {
    if (offset == id->head_n && id->head_n < IDENTITY_HEAD) {
        size_t more = n < IDENTITY_HEAD - id->head_n ? n : IDENTITY_HEAD - id->head_n;
        id->head = fnv(id->head, p, more);
        id->head_n += (uint32_t)more;
    }
    extend_mark(id, p, n);
}

// Exactly n bytes at the offset; false when there are fewer.
static bool read_at(int fd, char *p, size_t n, int64_t offset) {
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, p + done, n - done, (off_t)(offset + (int64_t)done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

int identity_load(struct identity *id, int fd, int64_t offset) {
    char head[IDENTITY_HEAD];
    size_t head_n = offset < IDENTITY_HEAD ? (size_t)offset : IDENTITY_HEAD;
    identity_reset(id);
    id->mark_n = offset < IDENTITY_MARK ? (uint32_t)offset : IDENTITY_MARK;
    if (!read_at(fd, head, head_n, 0) || !read_at(fd, id->mark, id->mark_n, offset - id->mark_n)) return -1;
    id->head = fnv(id->head, head, head_n);
    id->head_n = (uint32_t)head_n;
    return 0;
}

struct place identity_place(const struct identity *id, int64_t offset, bool skipping) {
    return (struct place){
        .offset = offset,
        .head = id->head,
        .head_n = id->head_n,
        .mark = fnv(fnv_basis, id->mark, id->mark_n),
        .mark_n = id->mark_n,
        .skipping = skipping,
    };
}

bool identity_matches(int fd, const struct place *place) {
    char bytes[IDENTITY_HEAD];
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size < place->offset) return false;
    if (place->head_n > IDENTITY_HEAD || place->mark_n > IDENTITY_MARK || place->head_n > place->offset || place->mark_n > place->offset) return false;
    if (!read_at(fd, bytes, place->head_n, 0) || fnv(fnv_basis, bytes, place->head_n) != place->head) return false;
    return read_at(fd, bytes, place->mark_n, place->offset - place->mark_n) && fnv(fnv_basis, bytes, place->mark_n) == place->mark;
}

const char *position_partition(char *to, size_t cap, uint64_t device, uint64_t inode) {
    struct cn_pos w;
    cn_pos_begin(&w, to, cap);
    cn_pos_int(&w, "device", (int64_t)device);
    cn_pos_int(&w, "inode", (int64_t)inode);
    return cn_pos_end(&w);
}

static void put_hash(struct cn_pos *w, const char *name, uint32_t n, uint64_t hash) {
    char text[32];
    snprintf(text, sizeof text, "%" PRIu32 ":%016" PRIx64, n, hash);
    cn_pos_str(w, name, text);
}

const char *position_offset(char *to, size_t cap, const struct position *p) {
    struct cn_pos w;
    cn_pos_begin(&w, to, cap);
    cn_pos_str(&w, "path", p->path);
    cn_pos_int(&w, "offset", p->place.offset);
    put_hash(&w, "head", p->place.head_n, p->place.head);
    put_hash(&w, "mark", p->place.mark_n, p->place.mark);
    cn_pos_bool(&w, "skipping", p->place.skipping);
    cn_pos_int(&w, "at", p->at_s);
    return cn_pos_end(&w);
}

// "912:00ff…": a length and a hash.
static int get_hash(const char *json, const char *name, uint32_t *ret_n, uint64_t *ret_hash) {
    char text[64], *end;
    if (cn_pos_get_str(json, name, text, sizeof text) < 0 || text[0] < '0' || text[0] > '9') return -1;
    unsigned long n = strtoul(text, &end, 10);
    if (*end++ != ':' || n > UINT32_MAX) return -1;
    size_t digits = strspn(end, "0123456789abcdef");
    if (digits == 0 || digits > 16 || end[digits] != '\0') return -1;
    *ret_n = (uint32_t)n;
    *ret_hash = strtoull(end, NULL, 16);
    return 0;
}

int position_parse(struct position *ret, const char *partition, const char *offset) {
    int64_t device, inode;
    int skipping = 0;
    memset(ret, 0, sizeof *ret);
    if (!offset || cn_pos_get_int(partition, "device", &device) != 0 || cn_pos_get_int(partition, "inode", &inode) != 0) return -1;
    ret->device = (uint64_t)device;
    ret->inode = (uint64_t)inode;
    if (cn_pos_get_str(offset, "path", ret->path, sizeof ret->path) < 0) return -1;
    if (cn_pos_get_int(offset, "offset", &ret->place.offset) != 0 || ret->place.offset < 0) return -1;
    if (get_hash(offset, "head", &ret->place.head_n, &ret->place.head) != 0) return -1;
    if (get_hash(offset, "mark", &ret->place.mark_n, &ret->place.mark) != 0) return -1;
    (void)cn_pos_get_bool(offset, "skipping", &skipping);
    ret->place.skipping = skipping;
    (void)cn_pos_get_int(offset, "at", &ret->at_s);
    return 0;
}
