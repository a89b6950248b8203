// SPDX-License-Identifier: Apache-2.0
// Secret references: finding them in a text, and reading what they name.
#include "config/interpolate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { SECRET_BYTES = 64 * 1024 };

// One ${provider:rest}, at `from` in the text, `n` bytes long.
struct reference {
    struct str whole, provider, rest;
};

// The next reference or escape at or after `at`; false when there is none. An escape has no provider.
static bool next_reference(struct str text, size_t at, struct reference *ret) {
    for (; (at = str_find(text, '$', at)) < text.n; at++) {
        struct str from = str_from(text, at);
        if (str_starts(from, STR("$${"))) {
            *ret = (struct reference){.whole = str_first(from, 3)};
            return true;
        }
        size_t end = str_find(from, '}', 0), colon = str_find(from, ':', 0);
        if (!str_starts(from, STR("${")) || end == from.n || colon > end) continue;
        ret->whole = str_first(from, end + 1);
        ret->provider = str_from(str_first(from, colon), 2);
        ret->rest = str_from(str_first(from, end), colon + 1);
        return true;
    }
    return false;
}

bool interpolate_has_reference(struct str text) {
    struct reference r;
    for (size_t at = 0; next_reference(text, at, &r); at = (size_t)(r.whole.p - text.p) + r.whole.n)
        if (r.provider.p) return true;
    return false;
}

bool interpolate_is_reference(struct str text) {
    struct reference r;
    return next_reference(text, 0, &r) && r.provider.p && r.whole.n == text.n;
}

static int read_fd(int fd, const char *path, struct buf *ret, struct err *err) {
    struct stat st;
    if (fstat(fd, &st)) return err_sys(err, errno, "read %s", path);
    if (!S_ISREG(st.st_mode)) return err_set(err, ERR_INVALID, "%s is not a file", path);
    for (;;) {
        if (!buf_reserve(ret, 4096)) return err_set(err, ERR_TOO_LARGE, "%s is larger than %d bytes", path, SECRET_BYTES);
        ssize_t got = read(fd, ret->p + ret->n, 4096);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return err_sys(err, errno, "read %s", path);
        if (!got) return 0;
        ret->n += (size_t)got;
    }
}

// A secret's bytes do not stay in freed memory.
static void buf_wipe(struct buf *b) {
    if (b->p) explicit_bzero(b->p, b->cap);
    buf_done(b);
}

static int read_whole(const char *path, struct buf *ret, struct err *err) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return err_sys(err, errno, "open %s", path);
    ret->limit = SECRET_BYTES + 4096;
    return read_fd(fd, path, ret, err);
}

// A whole file, without the newline an editor leaves at its end.
static int put_file(const char *path, struct buf *ret, struct err *err) {
    struct buf content = {0};
    int failed = read_whole(path, &content, err);
    struct str text = buf_str(&content);
    if (!failed && str_ends(text, STR("\n"))) text.n--;
    if (!failed && str_ends(text, STR("\r"))) text.n--;
    if (!failed && str_find(text, 0, 0) < text.n) failed = err_set(err, ERR_INVALID, "%s contains a NUL character", path);
    if (!failed) buf_puts(ret, text);
    buf_wipe(&content);
    return failed;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

// One character of a .properties text, escapes resolved; moves *at past it.
static char property_char(struct str s, size_t *at) {
    static const char names[] = "tnrf", values[] = "\t\n\r\f";
    char c = s.p[(*at)++];
    if (c != '\\' || *at == s.n) return c;
    c = s.p[(*at)++];
    const char *hit = c ? strchr(names, c) : NULL;
    return hit ? values[hit - names] : c;
}

// Key and value of one line, as java.util.Properties splits it: at the first '=', ':' or blank that is not escaped.
static bool split_property(struct str line, struct buf *key, struct str *ret_value) {
    size_t at = 0;
    while (at < line.n && is_blank(line.p[at])) at++;
    if (at == line.n || line.p[at] == '#' || line.p[at] == '!') return false;
    while (at < line.n && line.p[at] != '=' && line.p[at] != ':' && !is_blank(line.p[at]))
        buf_u8(key, (uint8_t)property_char(line, &at));
    while (at < line.n && is_blank(line.p[at])) at++;
    if (at < line.n && (line.p[at] == '=' || line.p[at] == ':')) at++;
    while (at < line.n && is_blank(line.p[at])) at++;
    *ret_value = str_from(line, at);
    return true;
}

static void put_property(struct str value, struct buf *ret) {
    if (str_ends(value, STR("\r"))) value.n--;
    for (size_t at = 0; at < value.n;) buf_u8(ret, (uint8_t)property_char(value, &at));
}

// The last line of a key counts, as in Java.
static bool find_property(struct str text, struct str key, struct str *ret) {
    struct str line, value;
    struct buf name = {0};
    bool found = false;
    while (str_split(&text, '\n', &line)) {
        buf_clear(&name);
        if (!split_property(line, &name, &value) || !str_eq(buf_str(&name), key)) continue;
        *ret = value;
        found = true;
    }
    buf_done(&name);
    return found;
}

static int put_from_properties(const char *path, struct str key, struct buf *ret, struct err *err) {
    struct buf content = {0};
    struct str value = {NULL, 0};
    int failed = read_whole(path, &content, err);
    if (!failed && !find_property(buf_str(&content), key, &value)) {
        failed = err_set(err, ERR_NOT_FOUND, "%s has no key %.*s", path, STR_FMT(key));
    }
    if (!failed) put_property(value, ret);
    buf_wipe(&content);
    return failed;
}

// A name that stays inside its folder.
static int check_name(struct str name, struct err *err) {
    if (!name.n || str_eqz(name, ".") || str_eqz(name, "..") || str_find(name, '/', 0) < name.n) {
        return err_set(err, ERR_INVALID, "'%.*s' is not a file's name", STR_FMT(str_first(name, 100)));
    }
    return 0;
}

static const char *credentials_dir(const struct secret_places *from) {
    return from->credentials_dir ? from->credentials_dir : getenv("CREDENTIALS_DIRECTORY");
}

static int put_in_dir(const char *dir, const char *prefix, struct str name, struct buf *ret, struct err *err) {
    _cleanup_free_ char *path = xasprintf("%s/%s%.*s", dir, prefix, STR_FMT(name));
    return put_file(path, ret, err);
}

// LoadCredential=secrets:/etc/connectd/secrets passes each file of that folder as secrets_NAME.
static int put_credential(const struct secret_places *from, struct str name, struct buf *ret, struct err *err) {
    const char *dir = credentials_dir(from);
    if (check_name(name, err)) return -1;
    if (!dir) {
        err_set(err, ERR_NOT_FOUND, "there are no credentials: $CREDENTIALS_DIRECTORY is not set");
        return err_hint(err, "add LoadCredential=%.*s:/path to the service", STR_FMT(name));
    }
    if (!put_in_dir(dir, "secrets_", name, ret, NULL)) return 0;
    return put_in_dir(dir, "", name, ret, err);
}

static int put_secret_file(const struct secret_places *from, struct str name, struct buf *ret, struct err *err) {
    const char *dir = credentials_dir(from);
    if (check_name(name, err)) return -1;
    if (from->secrets_dir && !put_in_dir(from->secrets_dir, "", name, ret, err)) return 0;
    if (dir && !put_in_dir(dir, "secrets_", name, ret, NULL)) return 0; // where the folder itself is not readable
    if (!from->secrets_dir) return err_set(err, ERR_NOT_FOUND, "there is no secrets folder");
    return err_hint(err, "put the secret into %s/%.*s, readable by the daemon alone", from->secrets_dir, STR_FMT(name));
}

static int put_by_file(const struct secret_places *from, struct str rest, struct buf *ret, struct err *err) {
    size_t colon = str_find(rest, ':', 0);
    if (colon == rest.n) return put_secret_file(from, rest, ret, err);
    struct str path = str_first(rest, colon), key = str_from(rest, colon + 1);
    bool absolute = str_starts(path, STR("/"));
    if (!absolute && check_name(path, err)) return -1;
    _cleanup_free_ char *full =
        absolute ? str_dup(path) : xasprintf("%s/%.*s", from->secrets_dir ? from->secrets_dir : ".", STR_FMT(path));
    return put_from_properties(full, key, ret, err);
}

static int put_by_directory(const struct secret_places *from, struct str rest, struct buf *ret, struct err *err) {
    size_t colon = str_find(rest, ':', 0);
    struct str name = str_from(rest, colon + 1);
    if (colon == rest.n || rest.p[0] != '/') return err_set(err, ERR_INVALID, "it is written ${directory:/folder:name}");
    if (check_name(name, err)) return -1;
    _cleanup_free_ char *dir = str_dup(str_first(rest, colon));
    return put_in_dir(dir, "", name, ret, err);
}

static int put_by_env(const struct secret_places *from, struct str rest, struct buf *ret, struct err *err) {
    _cleanup_free_ char *name = str_dup(rest);
    const char *value = getenv(name);
    if (!value) return err_set(err, ERR_NOT_FOUND, "environment variable %s is not set", name);
    buf_putz(ret, value);
    return 0;
}

static const struct {
    const char *name;
    int (*put)(const struct secret_places *from, struct str rest, struct buf *ret, struct err *err);
} providers[] = {
    {"env", put_by_env}, {"file", put_by_file}, {"directory", put_by_directory}, {"credential", put_credential},
};

static int put_reference(const struct secret_places *from, const struct reference *r, struct buf *ret, struct err *err) {
    for (size_t i = 0; i < countof(providers); i++) {
        if (!str_eqz(r->provider, providers[i].name)) continue;
        if (!providers[i].put(from, r->rest, ret, err)) return 0;
        return err_wrap(err, "%.*s", STR_FMT(str_first(r->whole, 200)));
    }
    err_set(err, ERR_INVALID, "%.*s: there is no provider '%.*s'", STR_FMT(str_first(r->whole, 200)),
            STR_FMT(str_first(r->provider, 50)));
    return err_hint(err, "providers are env, file, directory and credential; write $${ for a literal ${");
}

int interpolate(const struct secret_places *from, struct str text, struct buf *ret, struct err *err) {
    struct reference r;
    size_t at = 0;
    while (next_reference(text, at, &r)) {
        buf_puts(ret, str_make(text.p + at, (size_t)(r.whole.p - text.p) - at));
        if (!r.provider.p) buf_putz(ret, "${");
        else if (put_reference(from, &r, ret, err)) return -1;
        at = (size_t)(r.whole.p - text.p) + r.whole.n;
    }
    buf_puts(ret, str_from(text, at));
    return ret->bad ? err_set(err, ERR_TOO_LARGE, "value is too large") : 0;
}

int interpolate_check(struct str text, struct err *err) {
    struct reference r;
    for (size_t at = 0; next_reference(text, at, &r); at = (size_t)(r.whole.p - text.p) + r.whole.n) {
        bool known = !r.provider.p;
        for (size_t i = 0; i < countof(providers); i++) known |= str_eqz(r.provider, providers[i].name);
        struct buf none = {0};
        if (!known) return put_reference(&(struct secret_places){0}, &r, &none, err);
    }
    return 0;
}
