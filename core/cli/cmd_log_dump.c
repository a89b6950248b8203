// SPDX-License-Identifier: Apache-2.0
// log-dump: what the files of a log hold, as Apache Kafka's DumpLogSegments shows it. The work is store/dump.h's.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/cmd.h"
#include "cli/term.h"
#include "coord/print.h"
#include "store/dump.h"

static int print_line(void *arg, struct str line) {
    (void)arg;
    return fwrite(line.p, 1, line.n, stdout) == line.n && putchar('\n') != EOF ? 0 : -1;
}

// By its absolute path: the folder's name says which topic it is, wherever it is called from.
static int dump_path(const struct dump_options *o, const char *word, struct dump_result *result, struct err *err) {
    struct fs_stat st;
    _cleanup_free_ char *path = realpath(word, NULL);
    if (!path) return err_sys(err, errno, "%s", word);
    if (o->fs->ops->stat(o->fs, path + 1, &st, err) != 0) return -1;
    return st.is_dir ? dump_directory(o, path + 1, result, err) : dump_file(o, path + 1, result, err);
}

int command_log_dump(const struct args *a) {
    bool json = arg_flag(a, "json");
    struct dump_options o = {
        .json = json, .prefix = "/", .records = arg_flag(a, "records"), .values = arg_flag(a, "values"), .verify = arg_flag(a, "verify"),
        .from = arg_number(a, "from", 0), .to = arg_number(a, "to", 0), .max_batches = (uint64_t)arg_number(a, "max", 0),
        .decode = coord_print, .decode_arg = (void *)(uintptr_t)arg_text(a, "topic", NULL), .write = print_line,
    };
    struct dump_result result = {0};
    struct err err = {0};
    int code = EXIT_OK;
    if (fs_posix_open("/", &o.fs, &err) != 0) return term_error(json, &err), EXIT_FAILED;
    for (size_t i = 0; i < a->n; i++)
        if (dump_path(&o, a->words[i], &result, &err) != 0) term_error(json, &err), code = EXIT_FAILED;
    fs_close(o.fs);
    if (fflush(stdout) != 0) code = EXIT_FAILED;
    return code == EXIT_OK && result.faults ? EXIT_BAD_DATA : code;
}
