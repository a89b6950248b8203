// SPDX-License-Identifier: Apache-2.0
// The command line against the table.
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

const struct command *command_find(const char *name) {
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

// ── did you mean ──

struct nearest { struct str wanted; const char *best; unsigned distance; };
static struct nearest nearest_to(struct str wanted) { return (struct nearest){wanted, NULL, wanted.n < 4 ? 2 : 3}; }
static void nearest_try(struct nearest *n, const char *name) {
    unsigned d = str_distance(n->wanted, str_of(name), n->distance);
    if (d < n->distance) n->distance = d, n->best = name;
}

static int unknown_command(struct str name, struct err *err) {
    struct nearest n = nearest_to(name);
    for (size_t i = 0; i < command_count; i++) nearest_try(&n, commands[i].name);
    err_set(err, ERR_INVALID, "unknown command '%.*s'", STR_FMT(str_first(name, 60)));
    return n.best ? err_hint(err, "did you mean %s?", n.best) : err_hint(err, "connectd --help lists the commands");
}

static int unknown_option(const struct args *a, struct str name, struct err *err) {
    struct nearest n = nearest_to(name);
    for (size_t i = 0; i < global_option_count; i++) nearest_try(&n, global_options[i].name);
    for (size_t i = 0; a->command && i < a->command->option_count; i++) nearest_try(&n, a->command->options[i].name);
    const char *command = a->command ? a->command->name : "";
    err_set(err, ERR_INVALID, "%s%sunknown option --%.*s", command, *command ? ": " : "", STR_FMT(str_first(name, 60)));
    return n.best ? err_hint(err, "did you mean --%s?", n.best)
                  : err_hint(err, "connectd%s%s --help lists the options", *command ? " " : "", command);
}

// ── options ──

static const struct cli_option *option_find(const struct args *a, struct str name, char letter) {
    const struct cli_option *tables[] = {a->command ? a->command->options : NULL, global_options};
    size_t counts[] = {a->command ? a->command->option_count : 0, global_option_count};
    for (size_t t = 0; t < countof(tables); t++)
        for (size_t i = 0; i < counts[t]; i++)
            if (letter ? tables[t][i].letter == letter : str_eqz(name, tables[t][i].name)) return &tables[t][i];
    return NULL;
}

static int option_add(struct args *a, const struct cli_option *o, const char *text, struct err *err) {
    int64_t number;
    if (o->flags & CLI_NUMBER && !str_to_i64(str_of(text), &number))
        return err_set(err, ERR_INVALID, "--%s: '%s' is not a number", o->name, text);
    for (size_t i = 0; i < a->value_count && !(o->flags & CLI_REPEAT) && o->value; i++)
        if (a->values[i].option == o) return err_set(err, ERR_INVALID, "--%s is given twice", o->name);
    struct arg_value v = {o, text};
    VEC_PUSH(a->values, a->value_count, a->value_cap, v);
    return 0;
}

struct line { int argc; const char *const *argv; int at; };

static int option_value(struct args *a, struct line *l, const struct cli_option *o, const char *attached, struct err *err) {
    if (!o->value) return attached ? err_set(err, ERR_INVALID, "--%s takes no value", o->name) : option_add(a, o, "", err);
    if (!attached && l->at < l->argc) attached = l->argv[l->at++];
    if (!attached) return err_set(err, ERR_INVALID, "--%s needs a value: %s", o->name, o->value);
    return option_add(a, o, attached, err);
}

static int long_option(struct args *a, struct line *l, const char *text, struct err *err) {
    struct str name = str_of(text);
    size_t equals = str_find(name, '=', 0);
    const char *attached = equals < name.n ? text + equals + 1 : NULL;
    name = str_first(name, equals);
    if (str_eqz(name, "help")) return a->help = true, 0;
    const struct cli_option *o = option_find(a, name, 0);
    return o ? option_value(a, l, o, attached, err) : unknown_option(a, name, err);
}

// -q, -kvalue, -k value; flags may stand together: -qv.
static int short_options(struct args *a, struct line *l, const char *text, struct err *err) {
    for (; *text; text++) {
        if (*text == 'h') {
            a->help = true;
            continue;
        }
        const struct cli_option *o = option_find(a, (struct str){0}, *text);
        if (!o) return err_set(err, ERR_INVALID, "unknown option -%c", *text);
        if (option_value(a, l, o, o->value && text[1] ? text + 1 : NULL, err) != 0) return -1;
        if (o->value) return 0;
    }
    return 0;
}

// ── commands ──

// "topics create" when the next word makes one, else "topics".
static const struct command *command_of(struct line *l, const char *word) {
    char two[64];
    for (int i = l->at; i < l->argc; i++) {
        if (l->argv[i][0] == '-') continue;
        if (i != l->at || snprintf(two, sizeof(two), "%s %s", word, l->argv[i]) >= (int)sizeof(two)) break;
        const struct command *c = command_find(two);
        if (c) l->at++;
        if (c) return c;
        break;
    }
    return command_find(word);
}

// "offsets" alone is no command but a family: name its members.
static int family_of(const char *word, struct err *err) {
    struct buf members = {0};
    size_t n = strlen(word);
    for (size_t i = 0; i < command_count; i++)
        if (strncmp(commands[i].name, word, n) == 0 && commands[i].name[n] == ' ')
            buf_printf(&members, "%s%s", members.n ? ", " : "", commands[i].name + n + 1);
    if (!members.n) return unknown_command(str_of(word), err);
    err_set(err, ERR_INVALID, "%s: one of %s is missing", word, buf_cstr(&members));
    buf_done(&members);
    return err_hint(err, "connectd --help lists the commands");
}

static int add_word(struct args *a, struct line *l, const char *word, struct err *err) {
    if (!a->command) {
        a->command = command_of(l, word);
        return a->command ? 0 : family_of(word, err);
    }
    if (a->n >= a->command->max) return err_set(err, ERR_INVALID, "%s: unexpected argument '%s'", a->command->name, word);
    a->words[a->n++] = word;
    return 0;
}

int args_parse(int argc, const char *const *argv, struct args *ret, struct err *err) {
    struct line l = {argc, argv, 1};
    bool words_only = false;
    *ret = (struct args){.words = xcalloc((size_t)argc + 1, sizeof(char *))};
    while (l.at < argc) {
        const char *word = argv[l.at++];
        int rc = 0;
        if (!words_only && strcmp(word, "--") == 0) words_only = true;
        else if (!words_only && word[0] == '-' && word[1] == '-') rc = long_option(ret, &l, word + 2, err);
        else if (!words_only && word[0] == '-' && word[1]) rc = short_options(ret, &l, word + 1, err);
        else rc = add_word(ret, &l, word, err);
        if (rc != 0) return -1;
    }
    if (ret->help || !ret->command || ret->n >= ret->command->min) return 0;
    err_set(err, ERR_INVALID, "%s: needs %s", ret->command->name, ret->command->arguments);
    return err_hint(err, "connectd %s --help", ret->command->name);
}

void args_done(struct args *a) {
    free(a->words);
    free(a->values);
    *a = (struct args){0};
}

const char *arg_next(const struct args *a, const char *option, size_t *at) {
    while (*at < a->value_count) {
        const struct arg_value *v = &a->values[(*at)++];
        if (strcmp(v->option->name, option) == 0) return v->text;
    }
    return NULL;
}

const char *arg_text(const struct args *a, const char *option, const char *otherwise) {
    size_t at = 0;
    for (const char *t; (t = arg_next(a, option, &at));) otherwise = t;
    return otherwise;
}

bool arg_flag(const struct args *a, const char *option) { return arg_text(a, option, NULL) != NULL; }

int64_t arg_number(const struct args *a, const char *option, int64_t otherwise) {
    const char *text = arg_text(a, option, NULL);
    if (text) str_to_i64(str_of(text), &otherwise);
    return otherwise;
}
