// SPDX-License-Identifier: Apache-2.0
// The functions behind the command table, one file a theme (cmd_*.c), and what several of them need.
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "cli/command.h"
#include "config/worker_config.h"

int command_run(const struct args *a);
int command_check(const struct args *a);
int command_reload(const struct args *a);
int command_status(const struct args *a);
int command_target(const struct args *a); // pause, resume, stop, restart
int command_plugins(const struct args *a);
int command_plugins_show(const struct args *a);
int command_plugins_check(const struct args *a);
int command_plugins_new(const struct args *a);
int command_plugins_run(const struct args *a);
int command_plugins_forgive(const struct args *a);
int command_topics(const struct args *a);
int command_topics_create(const struct args *a);
int command_topics_delete(const struct args *a);
int command_topics_alter(const struct args *a);
int command_topics_delete_records(const struct args *a);
int command_consume(const struct args *a);
int command_produce(const struct args *a);
int command_offsets_get(const struct args *a);
int command_offsets_set(const struct args *a);
int command_offsets_reset(const struct args *a);
int command_log_dump(const struct args *a);
int command_repair_show(const struct args *a);
int command_repair_salvage(const struct args *a);
int command_repair_accept(const struct args *a);
int command_version(const struct args *a);
int command_help(const struct args *a);

// connectd.yaml (--config, else the default one where it exists) with --data, --control, --plugin-path, --set and --log-*
// over it. 0, or EXIT_BAD_CONFIG after the findings were printed.
int cmd_load_config(const struct args *a, struct worker_config **ret);
// What the user wrote for an option, NULL when only its default stands.
const char *config_text_set(const struct worker_config *c, const char *option);

struct plugins;
// The built-in plugins and those of --plugin-path, else of plugin.path, else of the default folders. Faulty ones are entered.
struct plugins *cmd_load_plugins(const struct worker_config *c);

#endif
