// SPDX-License-Identifier: Apache-2.0
#include "plugin/trust.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

// Debian and Ubuntu give every user a group of their own, often with umask 002: nobody else is in it.
static bool private_group(gid_t gid) {
    char user_mem[4096], group_mem[4096];
    struct passwd pw, *user;
    struct group gr, *group;
    if (gid == 0) return true;
    if (getpwuid_r(geteuid(), &pw, user_mem, sizeof user_mem, &user) != 0 || !user) return false;
    if (getgrgid_r(gid, &gr, group_mem, sizeof group_mem, &group) != 0 || !group) return false;
    if (strcmp(group->gr_name, user->pw_name) != 0) return false;
    for (char **m = group->gr_mem; *m; m++)
        if (strcmp(*m, user->pw_name) != 0) return false;
    return true;
}

static int check_one(const char *path, struct err *err) {
    struct stat st;
    if (lstat(path, &st) != 0) return err_sys(err, errno, "%s", path);
    const char *what = S_ISDIR(st.st_mode) ? "folder" : "file";
    bool sticky = S_ISDIR(st.st_mode) && st.st_mode & S_ISVTX;
    if (st.st_uid != 0 && st.st_uid != geteuid()) {
        err_set(err, ERR_DENIED, "%s %s belongs to user %u, who could change it", what, path, (unsigned)st.st_uid);
        return err_hint(err, "chown root %s", path);
    }
    if (st.st_mode & S_IWOTH && !sticky) {
        err_set(err, ERR_DENIED, "%s %s is writable by everybody (mode %04o)", what, path, (unsigned)st.st_mode & 07777);
        return err_hint(err, "chmod o-w %s", path);
    }
    if (st.st_mode & S_IWGRP && !sticky && !private_group(st.st_gid)) {
        err_set(err, ERR_DENIED, "%s %s is writable by group %u (mode %04o)", what, path, (unsigned)st.st_gid, (unsigned)st.st_mode & 07777);
        return err_hint(err, "chmod g-w %s", path);
    }
    return 0;
}

int trust_check(const char *path, struct err *err) {
    _cleanup_free_ char *p = xstrdup(path);
    for (;;) {
        if (check_one(*p ? p : "/", err) != 0) return -1;
        char *slash = strrchr(p, '/');
        if (!*p || !slash) return 0;
        *slash = 0;
    }
}
