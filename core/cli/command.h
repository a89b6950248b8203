// SPDX-License-Identifier: Apache-2.0
// The commands as a table: names, arguments, options, exit codes and texts, from which come parsing, --help, man pages and
// shell completions.
//
//   argv ── args_parse ──► the row and its values ── row->run ──► exit code
//
// Rows are static. Parsed values borrow argv. A command's name may be two words ("topics create"); its options and the
// global ones (global_options) may stand anywhere behind it, global ones also before.
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,       // the command, or something it reports on, failed
    EXIT_USAGE = 2,        // the command line is wrong
    EXIT_NO_DAEMON = 3,    // no daemon answers
    EXIT_BAD_DATA = 65,    // the data folder is damaged or of a newer version
    EXIT_BAD_CONFIG = 78,  // configuration is wrong
};

enum cli_option_flags { CLI_REPEAT = 1, CLI_NUMBER = 2, CLI_FILE = 4, CLI_DIR = 8, CLI_HIDDEN = 16 };
struct cli_option {
    const char *name;  // "data"
    char letter;       // 'd', or 0
    const char *value; // "DIR"; NULL: a flag
    const char *doc;   // one line
    unsigned flags;    // enum cli_option_flags
};

struct args;
struct command {
    const char *name;      // "topics create"
    const char *arguments; // "NAME…", as shown; "" for none
    unsigned min, max;     // how many; max UINT_MAX: any
    const char *summary;   // one line, lower case
    const char *doc;       // paragraphs for --help and the manual, or NULL
    const struct cli_option *options;
    size_t option_count;
    const char *exits;     // beyond the usual: "1 something failed; 3 no daemon", or NULL
    const char *example;   // one command line, or NULL
    const char *completes; // what its arguments are, for shells: "file", "connector", "topic", or NULL
    int (*run)(const struct args *a);
};

extern const struct command commands[];
extern const size_t command_count;
extern const struct cli_option global_options[];
extern const size_t global_option_count;

struct arg_value { const struct cli_option *option; const char *text; };
struct args {
    const struct command *command; // NULL: none was named
    const char **words;            // arguments
    size_t n;
    struct arg_value *values;
    size_t value_count, value_cap;
    bool help;
};
// Parses argv[1..). ERR_INVALID with a hint ("did you mean --data?") when it is wrong; *ret is filled as far as it went.
int args_parse(int argc, const char *const *argv, struct args *ret, struct err *err) MUST_USE;
void args_done(struct args *a);
bool arg_flag(const struct args *a, const char *option);
const char *arg_text(const struct args *a, const char *option, const char *otherwise); // the last one given
// A CLI_NUMBER option's value; `otherwise` when it was not given. args_parse has checked the form.
int64_t arg_number(const struct args *a, const char *option, int64_t otherwise);
// The option's values in order; *at starts at 0. NULL at the end.
const char *arg_next(const struct args *a, const char *option, size_t *at);

// The command by its name; NULL.
const struct command *command_find(const char *name);

// ── texts from the table (help.c) ──
void help_overview(struct buf *out);
void help_command(const struct command *c, struct buf *out);
void help_man(struct buf *out);                            // connectd.1, in man(7)
int help_completion(const char *shell, struct buf *out);   // bash, zsh, fish; -1: another

#endif
