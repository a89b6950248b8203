// SPDX-License-Identifier: Apache-2.0
// --help, the manual page and shell completions, all from the command table.
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/command.h"
#include "core.h"

// ── --help ──

static void put_option(const struct cli_option *o, struct buf *out) {
    struct buf left = {0};
    if (o->flags & CLI_HIDDEN) return;
    if (o->letter) buf_printf(&left, "-%c, ", o->letter);
    else buf_putz(&left, "    ");
    buf_printf(&left, "--%s", o->name);
    if (o->value) buf_printf(&left, " %s", o->value);
    buf_printf(out, "  %-28s  %s%s\n", buf_cstr(&left), o->doc, o->flags & CLI_REPEAT ? " (may be repeated)" : "");
    buf_done(&left);
}

static void put_options(const char *title, const struct cli_option *o, size_t n, struct buf *out) {
    if (!n) return;
    buf_printf(out, "\n%s\n", title);
    for (size_t i = 0; i < n; i++) put_option(&o[i], out);
}

void help_overview(struct buf *out) {
    buf_printf(out, "connectd %s: moves data between databases, logs, files and services through a durable log\n\n"
                    "usage: connectd COMMAND [OPTION…]\n\ncommands\n", connectd_version());
    for (size_t i = 0; i < command_count; i++) buf_printf(out, "  %-20s  %s\n", commands[i].name, commands[i].summary);
    put_options("everywhere", global_options, global_option_count, out);
    buf_putz(out, "\nconnectd COMMAND --help says more about one.  To begin: connectd run pipeline.yaml\n");
}

// "1 something failed; 3 no daemon" as a list.
static void put_exits(const struct command *c, const char *indent, struct buf *out) {
    struct str rest = str_of(c->exits), part;
    buf_printf(out, "%s0  done\n", indent);
    while (c->exits && str_split(&rest, ';', &part)) {
        part = str_trim(part);
        size_t space = str_find(part, ' ', 0);
        buf_printf(out, "%s%-2.*s %.*s\n", indent, (int)space, part.p, STR_FMT(str_trim(str_from(part, space))));
    }
    buf_printf(out, "%s2  wrong command line\n", indent);
}

void help_command(const struct command *c, struct buf *out) {
    buf_printf(out, "usage: connectd %s%s%s%s\n\n  %s\n", c->name, c->option_count ? " [OPTION…]" : "", *c->arguments ? " " : "", c->arguments, c->summary);
    if (c->doc) buf_printf(out, "\n%s\n", c->doc);
    put_options("options", c->options, c->option_count, out);
    put_options("everywhere", global_options, global_option_count, out);
    buf_putz(out, "\nexit codes\n");
    put_exits(c, "  ", out);
    if (c->example) buf_printf(out, "\nexample\n  %s\n", c->example);
}

// ── man ──

// Text for roff: hyphens and a leading dot or quote are escaped, the ellipsis is three dots.
static void roff(struct buf *out, const char *text) {
    if (*text == '.' || *text == '\'') buf_putz(out, "\\&");
    for (; *text; text++) {
        if (strncmp(text, "…", 3) == 0) buf_putz(out, "..."), text += 2;
        else if (*text == '\\') buf_putz(out, "\\e");
        else if (*text == '-') buf_putz(out, "\\-");
        else buf_u8(out, (uint8_t)*text);
        if (*text == '\n' && (text[1] == '.' || text[1] == '\'')) buf_putz(out, "\\&");
    }
}

static void man_options(const struct cli_option *o, size_t n, struct buf *out) {
    for (size_t i = 0; i < n; i++) {
        if (o[i].flags & CLI_HIDDEN) continue;
        buf_putz(out, ".TP\n");
        if (o[i].letter) buf_printf(out, "\\fB\\-%c\\fR, ", o[i].letter);
        buf_putz(out, "\\fB\\-\\-");
        roff(out, o[i].name);
        buf_putz(out, "\\fR");
        if (o[i].value) buf_printf(out, " \\fI%s\\fR", o[i].value);
        buf_u8(out, '\n');
        roff(out, o[i].doc);
        buf_putz(out, o[i].flags & CLI_REPEAT ? " (may be repeated)\n" : "\n");
    }
}

static void man_paragraphs(const char *text, struct buf *out) {
    struct str rest = str_of(text), line;
    while (str_split(&rest, '\n', &line)) {
        _cleanup_free_ char *z = str_dup(line);
        if (!*z) buf_putz(out, ".PP\n");
        else if (*z == ' ') buf_putz(out, ".br\n");
        if (*z) roff(out, z), buf_u8(out, '\n');
    }
}

static void man_command(const struct command *c, struct buf *out) {
    buf_putz(out, ".SS ");
    roff(out, c->name);
    buf_u8(out, ' ');
    roff(out, c->arguments);
    buf_u8(out, '\n');
    roff(out, c->summary);
    buf_putz(out, ".\n");
    if (c->doc) buf_putz(out, ".PP\n"), man_paragraphs(c->doc, out);
    man_options(c->options, c->option_count, out);
    if (c->exits) {
        buf_putz(out, ".PP\nExit codes: 0 done; ");
        roff(out, c->exits);
        buf_putz(out, "; 2 wrong command line.\n");
    }
    if (c->example) {
        buf_putz(out, ".PP\n.nf\n.RS\n$ ");
        roff(out, c->example);
        buf_putz(out, "\n.RE\n.fi\n");
    }
}

void help_man(struct buf *out) {
    buf_printf(out, ".TH CONNECTD 1 \"\" \"connectd %s\" \"connectd\"\n.SH NAME\nconnectd \\- data integration daemon with a durable log inside\n"
                    ".SH SYNOPSIS\n.B connectd\n\\fICOMMAND\\fR [\\fIOPTION\\fR\\&...] [\\fIARGUMENT\\fR\\&...]\n", connectd_version());
    buf_putz(out, ".SH DESCRIPTION\nconnectd reads sources (changes of a database, syslog, files), keeps their records durably in a partitioned log,\n"
                  "and writes them to sinks (HTTP, files). Pipelines are YAML files; connectors are plugins.\n.SH COMMANDS\n");
    for (size_t i = 0; i < command_count; i++) man_command(&commands[i], out);
    buf_putz(out, ".SH OPTIONS OF ALL COMMANDS\n");
    man_options(global_options, global_option_count, out);
    buf_putz(out, ".SH ENVIRONMENT\n.TP\n.B CONNECTD_DATA\nThe data folder, where \\-\\-data is not given.\n"
                  ".TP\n.B STATE_DIRECTORY, RUNTIME_DIRECTORY, CREDENTIALS_DIRECTORY\nAs systemd sets them: data folder, control socket, credentials.\n"
                  ".TP\n.B NO_COLOR\nWhen set, no colours on a terminal.\n"
                  ".SH FILES\n.TP\n.I /etc/connectd/connectd.yaml\nOptions of the daemon.\n.TP\n.I /etc/connectd/pipelines.d/*.yaml\nThe pipelines.\n"
                  ".TP\n.I /etc/connectd/secrets/\nOne file a secret, named by ${file:NAME}.\n"
                  ".TP\n.I /usr/lib/connectd/plugins, /usr/local/lib/connectd/plugins\nThe plugins.\n"
                  ".TP\n.I /run/connectd/control.sock\nThe control socket.\n");
}

// ── completions ──

static void put_words(const char *prefix, const struct cli_option *o, size_t n, struct buf *out) {
    for (size_t i = 0; i < n; i++)
        if (!(o[i].flags & CLI_HIDDEN)) buf_printf(out, " %s%s", prefix, o[i].name);
}

// " create delete" for topics.
static void put_second_words(const char *first, struct buf *out) {
    size_t n = strlen(first);
    for (size_t i = 0; i < command_count; i++)
        if (strncmp(commands[i].name, first, n) == 0 && commands[i].name[n] == ' ') buf_printf(out, " %s", commands[i].name + n + 1);
}

// Each first word once, in the table's order; NULL at the end.
static const char *next_first_word(size_t *at, char *room, size_t n) {
    while (*at < command_count) {
        const char *name = commands[(*at)++].name;
        snprintf(room, n, "%.*s", (int)strcspn(name, " "), name);
        bool seen = false;
        for (size_t i = 0; i + 1 < *at && !seen; i++) seen = strncmp(commands[i].name, room, strlen(room)) == 0 && strchr(" ", commands[i].name[strlen(room)]);
        if (!seen) return room;
    }
    return NULL;
}

static void bash_case(const struct command *c, struct buf *out) {
    bool two = strchr(c->name, ' ') != NULL;
    buf_printf(out, "    \"%s%s\"*) rest=\"", c->name, two ? "" : " ");
    if (!two) put_second_words(c->name, out);
    put_words("--", c->options, c->option_count, out);
    buf_putz(out, "\"");
    const char *kind = c->completes ? c->completes : "";
    if (strcmp(kind, "file") == 0) buf_putz(out, "; [[ $cur == -* ]] || { COMPREPLY=($(compgen -f -- \"$cur\")); return; }");
    if (strcmp(kind, "connector") == 0) buf_putz(out, "; [[ $cur == -* ]] || rest+=\" $(connectd status --names 2>/dev/null)\"");
    if (strcmp(kind, "topic") == 0) buf_putz(out, "; [[ $cur == -* ]] || rest+=\" $(connectd topics --names 2>/dev/null)\"");
    buf_putz(out, " ;;\n");
}

static void completion_bash(struct buf *out) {
    char first[64];
    size_t at = 0;
    buf_putz(out, "# bash completion for connectd, from its command table\n_connectd() {\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=() w rest\n"
                  "    for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do [[ $w == -* ]] || words+=(\"$w\"); done\n    COMPREPLY=()\n    case $prev in\n"
                  "    --data | --plugin-path | --directory | --secrets) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n"
                  "    --control | --config) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n    esac\n    case \"${words[0]} ${words[1]}\" in\n");
    for (int two = 1; two >= 0; two--) // two words first: the longer match wins
        for (size_t i = 0; i < command_count; i++)
            if ((strchr(commands[i].name, ' ') != NULL) == two) bash_case(&commands[i], out);
    while (next_first_word(&at, first, sizeof(first))) {
        if (command_find(first)) continue;
        buf_printf(out, "    \"%s \"*) rest=\"", first);
        put_second_words(first, out);
        buf_putz(out, "\" ;;\n");
    }
    buf_putz(out, "    *) rest=\"");
    for (at = 0; next_first_word(&at, first, sizeof(first));) buf_printf(out, " %s", first);
    buf_putz(out, "\" ;;\n    esac\n    [[ $cur == -* ]] && rest+=\"");
    put_words("--", global_options, global_option_count, out);
    buf_putz(out, " --help\"\n    COMPREPLY=($(compgen -W \"$rest\" -- \"$cur\"))\n}\ncomplete -o default -F _connectd connectd\n");
}

// Text inside single quotes of any of the shells; colons and brackets are zsh's own.
static void quoted(struct buf *out, const char *text, bool zsh) {
    for (; *text; text++) {
        if (*text == '\'') buf_putz(out, "'\\''");
        else if (zsh && (*text == ':' || *text == '[' || *text == ']')) buf_u8(out, '\\'), buf_u8(out, (uint8_t)*text);
        else buf_u8(out, (uint8_t)*text);
    }
}

static void zsh_options(const struct cli_option *o, size_t n, struct buf *out) {
    for (size_t i = 0; i < n; i++) {
        if (o[i].flags & CLI_HIDDEN) continue;
        buf_printf(out, " '%s--%s%s[", o[i].flags & CLI_REPEAT ? "*" : "", o[i].name, o[i].value ? "=" : "");
        quoted(out, o[i].doc, true);
        buf_u8(out, ']');
        if (o[i].value) buf_printf(out, ":%s:%s", o[i].value, o[i].flags & CLI_DIR ? "_files -/" : o[i].flags & CLI_FILE ? "_files" : " ");
        buf_u8(out, '\'');
    }
}

static void completion_zsh(struct buf *out) {
    buf_putz(out, "#compdef connectd\n# zsh completion for connectd, from its command table\n_connectd() {\n  local -a commands\n  commands=(\n");
    char first[64];
    for (size_t at = 0; next_first_word(&at, first, sizeof(first));) {
        const struct command *c = command_find(first);
        buf_printf(out, "    '%s:", first);
        quoted(out, c ? c->summary : "", true);
        buf_putz(out, "'\n");
    }
    buf_putz(out, "  )\n  if (( CURRENT == 2 )); then _describe command commands; return; fi\n  case \"$words[2] $words[3]\" in\n");
    for (int two = 1; two >= 0; two--)
        for (size_t i = 0; i < command_count; i++) {
            if ((strchr(commands[i].name, ' ') != NULL) != two) continue;
            buf_printf(out, "    '%s%s'*) _arguments", commands[i].name, two ? "" : " ");
            zsh_options(commands[i].options, commands[i].option_count, out);
            zsh_options(global_options, global_option_count, out);
            const char *kind = commands[i].completes ? commands[i].completes : "";
            if (strcmp(kind, "connector") == 0) buf_putz(out, " '*:connector:($(connectd status --names 2>/dev/null))'");
            else if (strcmp(kind, "topic") == 0) buf_putz(out, " '*:topic:($(connectd topics --names 2>/dev/null))'");
            else buf_putz(out, " '*:file:_files'");
            if (!two) {
                struct buf words = {0};
                put_second_words(commands[i].name, &words);
                if (words.n) buf_printf(out, "; (( CURRENT == 3 )) && compadd --%s", buf_cstr(&words));
                buf_done(&words);
            }
            buf_putz(out, " ;;\n");
        }
    buf_putz(out, "  esac\n}\n_connectd \"$@\"\n");
}

static void fish_options(const char *condition, const struct cli_option *o, size_t n, struct buf *out) {
    for (size_t i = 0; i < n; i++) {
        if (o[i].flags & CLI_HIDDEN) continue;
        buf_printf(out, "complete -c connectd%s -l %s", condition, o[i].name);
        if (o[i].letter) buf_printf(out, " -s %c", o[i].letter);
        if (o[i].value) buf_putz(out, o[i].flags & (CLI_FILE | CLI_DIR) ? " -r -F" : " -x");
        buf_putz(out, " -d '");
        quoted(out, o[i].doc, false);
        buf_putz(out, "'\n");
    }
}

static void completion_fish(struct buf *out) {
    buf_putz(out, "# fish completion for connectd, from its command table\ncomplete -c connectd -f\n");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        const char *space = strchr(c->name, ' ');
        char condition[160];
        if (space)
            snprintf(condition, sizeof(condition), " -n '__fish_seen_subcommand_from %.*s; and not __fish_seen_subcommand_from %s'", (int)(space - c->name), c->name, space + 1);
        else
            snprintf(condition, sizeof(condition), " -n __fish_use_subcommand");
        buf_printf(out, "complete -c connectd%s -a %s -d '", condition, space ? space + 1 : c->name);
        quoted(out, c->summary, false);
        buf_putz(out, "'\n");
        snprintf(condition, sizeof(condition), " -n '__fish_seen_subcommand_from %s'", space ? space + 1 : c->name);
        fish_options(condition, c->options, c->option_count, out);
        const char *kind = c->completes ? c->completes : "";
        if (strcmp(kind, "file") == 0) buf_printf(out, "complete -c connectd%s -F\n", condition);
        if (strcmp(kind, "connector") == 0) buf_printf(out, "complete -c connectd%s -a '(connectd status --names 2>/dev/null)'\n", condition);
        if (strcmp(kind, "topic") == 0) buf_printf(out, "complete -c connectd%s -a '(connectd topics --names 2>/dev/null)'\n", condition);
    }
    fish_options("", global_options, global_option_count, out);
}

int help_completion(const char *shell, struct buf *out) {
    static const struct { const char *name; void (*put)(struct buf *); } shells[] = {
        {"bash", completion_bash}, {"zsh", completion_zsh}, {"fish", completion_fish}};
    for (size_t i = 0; i < countof(shells); i++)
        if (strcmp(shells[i].name, shell) == 0) return shells[i].put(out), 0;
    return -1;
}
