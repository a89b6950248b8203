// SPDX-License-Identifier: Apache-2.0
// version, help.
#include <stdio.h>

#include "base/json.h"
#include "cli/cmd.h"
#include "cli/term.h"
#include "core.h"

static int print_buf(struct buf *b) {
    bool ok = fwrite(b->p, 1, b->n, stdout) == b->n;
    buf_done(b);
    return ok ? EXIT_OK : EXIT_FAILED;
}

int command_version(const struct args *a) {
    struct buf out = {0};
    if (arg_flag(a, "json")) buf_printf(&out, "{\"version\":\"%s\"}\n", connectd_version());
    else buf_printf(&out, "connectd %s\n", connectd_version());
    return print_buf(&out);
}

int command_help(const struct args *a) {
    struct buf out = {0};
    struct err err = {0};
    char name[64] = "";
    const char *shell = arg_text(a, "completion", NULL);
    for (size_t i = 0; i < a->n; i++) snprintf(name + strlen(name), sizeof(name) - strlen(name), "%s%s", i ? " " : "", a->words[i]);
    const struct command *c = command_find(name);
    if (shell && help_completion(shell, &out) != 0) err_set(&err, ERR_INVALID, "no completions for %s: bash, zsh and fish have them", shell);
    else if (arg_flag(a, "man")) help_man(&out);
    else if (c) help_command(c, &out);
    else if (*name) err_set(&err, ERR_INVALID, "there is no command '%s'", name);
    else if (!shell) help_overview(&out);
    if (!err.code) return print_buf(&out);
    term_error(false, &err);
    return EXIT_USAGE;
}
