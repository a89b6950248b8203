/* SPDX-License-Identifier: Apache-2.0 */
/* Options as data: one row an option, from which come YAML and REST checking, defaults, --help, JSON Schema and manuals.
 *
 * A plugin declares a static table of rows and, for each task, reads typed values: either one by one through the host
 * (cn_host.config) or all at once into a struct of its own with cn_options_bind (sdk.h), by the row's `at`.
 * Rows, texts and choices are static and never change. */
#ifndef CONNECTD_OPTION_H
#define CONNECTD_OPTION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cn_option_type {
    CN_OPT_STRING = 1, /* const char *                       any text */
    CN_OPT_BOOL,       /* uint8_t (0 or 1)                   true, false (any case) */
    CN_OPT_INT,        /* int64_t                            decimal, min..max */
    CN_OPT_DOUBLE,     /* double                             min..max */
    CN_OPT_SIZE,       /* int64_t, bytes                     65536, 64k, 16MiB */
    CN_OPT_MS,         /* int64_t, milliseconds              250, 250ms, 10s, 5 min, 7d */
    CN_OPT_LIST,       /* struct cn_list                     a sequence, or text split at commas */
    CN_OPT_ENUM,       /* int32_t: index into `choices`      one of the choices, any case */
    CN_OPT_REGEX,      /* const char *                       a PCRE2 pattern that compiles */
    CN_OPT_MAP         /* struct cn_pairs                    every key below the prefix `name` (which ends in '.') */
};

enum cn_option_flags {
    CN_OPT_REQUIRED = 1,     /* no default; the connector can not start without it */
    CN_OPT_SECRET = 2,       /* never printed, logged or returned by REST */
    CN_OPT_ADVANCED = 4,     /* left out of short help */
    CN_OPT_REFUSED = 8,      /* known in the field but not supported here: `doc` says why and what to do instead */
    CN_OPT_IGNORED = 16      /* known in the field and without effect here (`doc` says why): accepted with a warning */
};

struct cn_list {
    uint32_t n;
    const char *const *items; /* terminated strings, owned by the host until the task's close returns */
};
struct cn_pairs {
    uint32_t n;
    const char *const *names;  /* without the prefix */
    const char *const *values;
};

#define CN_NOT_BOUND UINT32_MAX

struct cn_option {
    const char *name;           /* "database.hostname" */
    uint8_t type;               /* enum cn_option_type */
    uint8_t flags;              /* enum cn_option_flags */
    uint16_t reserved;
    uint32_t at;                /* offset in the plugin's own struct, or CN_NOT_BOUND */
    const char *def;            /* default, as text a user would write; NULL = none */
    int64_t min, max;           /* INT, SIZE, MS: both 0 = no range */
    const char *const *choices; /* ENUM: NULL-terminated, in the order of the plugin's own enum */
    const char *group;          /* heading in help and REST: "Connection" */
    const char *doc;            /* one or two sentences, units named */
    const char *aliases;        /* other names the field uses for it, comma separated, or NULL; values arrive under `name` */
};

/* What a typed read gives; its layout is final. `set` tells whether the user wrote it (0: the default, or nothing). */
struct cn_option_value {
    uint8_t type;  /* enum cn_option_type; 0 when neither set nor defaulted */
    uint8_t set;
    uint16_t reserved;
    int32_t choice;
    int64_t i;
    double f;
    const char *text; /* STRING, REGEX, ENUM (as in choices); owned by the host until the task's close returns */
    struct cn_list list;
    struct cn_pairs pairs;
};

#ifdef __cplusplus
}
#endif
#endif
