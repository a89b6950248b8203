// SPDX-License-Identifier: Apache-2.0
// connectd: one binary. The tree, in the order in which data flows through it:
//
//   connectors/NAME/      plugins: postgres-cdc, syslog, file, http-sink. They include plugin-api and nothing else of ours
//   plugin-api/           the C ABI they are written against: connectd/*.h, the author's SDK, the conformance rules
//   core/plugin/          finds and opens .so files, gives each instance its host, names the one that crashes
//   core/config/          YAML and option tables: what a pipeline file says, with line and column where it is wrong
//   core/runtime/         a thread a task: polls sources, puts to sinks, retries, dead letters, restarts, reports
//   core/transforms/      records ► records                      one interface, one file an implementation
//   core/converters/      values ◄► bytes: json, string, bytes   one interface, one file an implementation
//   core/state/           target states, owners, statuses: small durable state
//   core/backend/         where records live; embedded: the log below by direct call
//   log/coord/            consumer groups' offsets, transactions, maps over topics, in Kafka's record formats
//   log/store/            topics ▸ partitions ▸ segments, the commit journal, recovery, retention
//   base/                 leaf utilities: err, str, buf, cur, json, fs, loop, say …
//
//   core/cli/             this folder: main.c ─► command table (commands.c, args.c, help.c) ─► cmd_*.c
//                           run:    daemon.c opens the parts above in order; control.c serves the socket; serve*.c answer
//                           others: client.c asks the running daemon; check, plugins, log-dump and log-repair --data-dir need none
//
//   tests/ mirrors the tree; docs/ architecture, decisions, manuals; packaging/ unit file, deb; scripts/ demo, test, lint.
#include <stdio.h>

#include "cli/cmd.h"
#include "cli/term.h"

static int print_help(const struct args *a) {
    struct buf out = {0};
    if (a->command) help_command(a->command, &out);
    else help_overview(&out);
    fwrite(out.p, 1, out.n, stdout);
    buf_done(&out);
    return EXIT_OK;
}

static int run_args(const struct args *a) {
    if (a->help) return print_help(a);
    if (a->command) return a->command->run(a);
    print_help(a);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    struct args a;
    struct err err = {0};
    int code = EXIT_USAGE;
    if (args_parse(argc, (const char *const *)argv, &a, &err) == 0) code = run_args(&a);
    else term_error(false, &err);
    args_done(&a);
    if (fflush(stdout) != 0 && code == EXIT_OK) code = EXIT_FAILED;
    return code;
}
