// SPDX-License-Identifier: Apache-2.0
// The command table.
#include <limits.h>

#include "base/mem.h"
#include "cli/cmd.h"

#define ROWS(table) table, countof(table)
#define NO_ROWS NULL, 0

const struct cli_option global_options[] = {
    {"data", 0, "DIR", "the data folder of the daemon", CLI_DIR},
    {"control", 0, "SOCKET", "the daemon's control socket", CLI_FILE},
    {"json", 0, NULL, "print JSON, for programs", 0},
};
const size_t global_option_count = countof(global_options);

#define CONFIG {"config", 'c', "FILE", "options of the daemon; " "/etc/connectd/connectd.yaml where it exists", CLI_FILE}
#define PLUGIN_PATH {"plugin-path", 'p', "DIR", "a folder with plugins, instead of the installed ones", CLI_REPEAT | CLI_DIR}
#define DRY_RUN {"dry-run", 0, NULL, "only show what would change", 0}
#define PARTITION {"partition", 0, "N", "only this partition", CLI_NUMBER}

static const struct cli_option run_options[] = {
    CONFIG,
    PLUGIN_PATH,
    {"set", 0, "OPTION=VALUE", "an option of connectd.yaml, over what it says", CLI_REPEAT},
    {"core", 0, NULL, "allow core files and debuggers: they see the secrets in memory", 0},
    {"log-level", 0, "LEVEL", "error, warn, info or debug", 0},
    {"log-format", 0, "FORMAT", "auto, text, json or journal", 0},
};
static const struct cli_option check_options[] = {
    CONFIG,
    PLUGIN_PATH,
    {"connect", 0, NULL, "also dial what the pipelines name, changing nothing there", 0},
    {"secrets", 0, "DIR", "folder of ${file:NAME}", CLI_DIR},
};
static const struct cli_option status_options[] = {
    {"quiet", 'q', NULL, "print nothing, only end with the exit code", 0},
    {"names", 0, NULL, "only the connectors' names", 0},
    {"verbose", 'v', NULL, "also the metrics of every task, how the log started, and who writes most to it", 0},
};
static const struct cli_option restart_options[] = {{"only-failed", 0, NULL, "only tasks that have failed", 0}};
static const struct cli_option plugins_options[] = {CONFIG, PLUGIN_PATH};
static const struct cli_option plugins_show_options[] = {
    CONFIG,
    PLUGIN_PATH,
    {"advanced", 'a', NULL, "also the options that are seldom needed", 0},
};
static const struct cli_option plugins_check_options[] = {
    {"option", 'o', "KEY=VALUE", "an option of the connector under test", CLI_REPEAT},
    {"component", 0, "NAME", "only this one of the plugin", 0},
};
static const struct cli_option plugins_new_options[] = {
    {"kind", 0, "KIND", "source or sink; source when not given", 0},
    {"directory", 'C', "DIR", "where to write it; the current folder when not given", CLI_DIR},
};
static const struct cli_option plugins_run_options[] = {
    {"option", 'o', "KEY=VALUE", "an option of the connector", CLI_REPEAT},
    {"component", 0, "NAME", "which one, when the plugin has several", 0},
    {"max", 'n', "N", "end after so many records", CLI_NUMBER},
    {"idle", 0, "MS", "end when a source was quiet for so long", CLI_NUMBER},
    {"verbose", 'v', NULL, "also the plugin's log lines", 0},
};
static const struct cli_option topics_options[] = {
    {"internal", 0, NULL, "also topics of connectd's own (__…)", 0},
    {"names", 0, NULL, "only the names", 0},
    {"verbose", 'v', NULL, "of one topic, also what was appended since the start, and the time commits took", 0},
};
static const struct cli_option topics_create_options[] = {
    {"partitions", 0, "N", "how many partitions; 1 when not given", CLI_NUMBER},
    {"set", 0, "NAME=VALUE", "a setting: retention.ms, cleanup.policy …", CLI_REPEAT},
};
static const struct cli_option topics_alter_options[] = {
    {"partitions", 0, "N", "grow to so many partitions", CLI_NUMBER},
    {"set", 0, "NAME=VALUE", "change a setting", CLI_REPEAT},
    {"unset", 0, "NAME", "reset a setting to its default", CLI_REPEAT},
};
static const struct cli_option delete_records_options[] = {
    {"partition", 0, "N", "of this partition; 0 when not given", CLI_NUMBER},
    {"before", 0, "OFFSET", "the first offset that stays", CLI_NUMBER},
    {"all", 0, NULL, "all there are", 0},
};
static const struct cli_option consume_options[] = {
    {"from-beginning", 'b', NULL, "begin with the oldest record; else only what comes from now on", 0},
    {"until-end", 'e', NULL, "end at what was there when it began, in topic, partition, offset order", 0},
    {"offset", 0, "N", "begin at this offset", CLI_NUMBER},
    PARTITION,
    {"max", 'n', "N", "end after so many records", CLI_NUMBER},
    {"group", 'g', "NAME", "go on where this group stands, and commit what was printed", 0},
    {"internal", 0, NULL, "also topics of connectd's own (__…)", 0},
    {"no-headers", 0, NULL, "leave the headers out of the text", 0},
};
static const struct cli_option produce_options[] = {
    {"key", 'k', "KEY", "the key of every record", 0},
    {"json-lines", 0, NULL, "each line is {\"key\":…,\"value\":…,\"headers\":[[name,value]],\"partition\":…}", 0},
    PARTITION,
};
static const struct cli_option offsets_change_options[] = {DRY_RUN};
static const struct cli_option log_dump_options[] = {
    {"records", 'r', NULL, "also the records: offsets, sizes, headers, keys", 0},
    {"values", 'v', NULL, "also the records' values; those of internal topics in words", 0},
    {"topic", 0, "NAME", "whose values they are, where the folder does not say it: __consumer_offsets or __transaction_state", 0},
    {"from", 0, "OFFSET", "only batches with offsets from this one on", CLI_NUMBER},
    {"to", 0, "OFFSET", "only batches with offsets below this one", CLI_NUMBER},
    {"max", 'n', "N", "end after so many batches", CLI_NUMBER},
    {"verify", 0, NULL, "hold the entries of indexes against the segments beside them", 0},
};
#define DATA_DIR {"data-dir", 0, "DIR", "without a daemon, on this data folder", CLI_DIR}
static const struct cli_option repair_show_options[] = {DATA_DIR};
static const struct cli_option repair_salvage_options[] = {{"to", 0, "NEW_TOPIC", "the topic to make", 0}, DATA_DIR};
static const struct cli_option repair_accept_options[] = {
    {"yes", 0, NULL, "accept without asking", 0},
    {"unreadable", 0, NULL, "also what the disk does not give now, and may give another time", 0},
    DATA_DIR,
};
static const struct cli_option help_options[] = {
    {"man", 0, NULL, "the manual page, for man -l", 0},
    {"completion", 0, "SHELL", "the completion script of bash, zsh or fish", 0},
};

const struct command commands[] = {
    {"run", "[PIPELINE.yaml…]", 0, UINT_MAX, "run the daemon",
     "Runs the pipelines in the foreground until SIGTERM or Ctrl-C; SIGHUP (or connectd reload) reads them again. Without files,\n"
     "those of the pipelines folder that connectd.yaml names. Needs nothing in /etc: the data folder is --data, else that of\n"
     "connectd.yaml, else $CONNECTD_DATA, else $STATE_DIRECTORY, else ./connectd-data.",
     ROWS(run_options), "1 it could not start, or a task had to be abandoned; 65 the data folder is damaged or of a newer version; 78 connectd.yaml is wrong",
     "connectd run shop.yaml --data /var/tmp/shop", "file", command_run},
    {"check", "[PIPELINE.yaml…]", 0, UINT_MAX, "say what is wrong with pipeline files, with line and column",
     "Reads the files as the daemon would and lets the plugins check their options; --connect also dials.", ROWS(check_options),
     "78 something is wrong", "connectd check --connect shop.yaml", "file", command_check},
    {"reload", "", 0, 0, "have the daemon read its pipeline files again, wait, and show what changed",
     "A file that is wrong keeps its running version.", NO_ROWS, "1 something was refused; 3 no daemon", NULL, NULL, command_reload},
    {"status", "[CONNECTOR]", 0, 1, "what runs, how far it is, and what is wrong", NULL, ROWS(status_options),
     "1 something has failed; 3 no daemon", NULL, "connector", command_status},
    {"pause", "CONNECTOR…", 1, UINT_MAX, "let connectors wait, keeping their connections", "Survives restarts of the daemon.", NO_ROWS,
     "1 failed; 3 no daemon", NULL, "connector", command_target},
    {"resume", "CONNECTOR…", 1, UINT_MAX, "let paused or stopped connectors go on", NULL, NO_ROWS, "1 failed; 3 no daemon", NULL, "connector", command_target},
    {"stop", "CONNECTOR…", 1, UINT_MAX, "end the tasks of connectors; their offsets can be changed then", "Survives restarts of the daemon.", NO_ROWS,
     "1 failed; 3 no daemon", NULL, "connector", command_target},
    {"restart", "CONNECTOR[/TASK]…", 1, UINT_MAX, "start tasks afresh", NULL, ROWS(restart_options), "1 failed; 3 no daemon",
     "connectd restart shop-db/0", "connector", command_target},
    {"plugins", "", 0, 0, "the plugins there are, and what they offer",
     "Of the running daemon where there is one and no --plugin-path is given; else of the folders. \"changed\": the file on disk is\n"
     "not the one that runs; it is used after a restart.", ROWS(plugins_options), "1 one of them is faulty", NULL, NULL, command_plugins},
    {"plugins show", "NAME", 1, 1, "the options of a connector, transform, predicate or converter", "Reads the plugin folders; no daemon is needed.",
     ROWS(plugins_show_options), "1 there is none of that name", "connectd plugins show http-sink", NULL, command_plugins_show},
    {"plugins check", "FILE.so", 1, 1, "run the conformance suite over a plugin", "The plugin runs in a child process, its batches in shared memory.",
     ROWS(plugins_check_options), "1 it breaks a rule", "connectd plugins check ./hello.so", "file", command_plugins_check},
    {"plugins new", "NAME", 1, 1, "write a new plugin: source, test and pipeline", NULL, ROWS(plugins_new_options), "1 failed",
     "connectd plugins new weather", NULL, command_plugins_new},
    {"plugins run", "FILE.so", 1, 1, "run a connector without a daemon",
     "A source's records are printed as JSON lines; a sink is fed JSON lines from standard input and its verdicts are printed.",
     ROWS(plugins_run_options), "1 it failed", "connectd plugins run ./hello.so -o count=3", "file", command_plugins_run},
    {"plugins forgive", "PLUGIN", 1, 1, "let the connectors of a plugin start that crashed the daemon twice", NULL, NO_ROWS, "1 failed; 3 no daemon",
     NULL, NULL, command_plugins_forgive},
    {"topics", "[TOPIC]", 0, 1, "list the topics, or the partitions of one", NULL, ROWS(topics_options), "1 there is no such topic; 3 no daemon",
     NULL, "topic", command_topics},
    {"topics create", "TOPIC", 1, 1, "make a topic", NULL, ROWS(topics_create_options), "1 failed; 3 no daemon",
     "connectd topics create orders --partitions 4 --set cleanup.policy=compact", NULL, command_topics_create},
    {"topics alter", "TOPIC", 1, 1, "change a topic's settings, or grow it",
     "Partitions can not become fewer. More of them change where keys go: records of one key may stand in two partitions then.", ROWS(topics_alter_options),
     "1 failed; 3 no daemon", "connectd topics alter orders --set retention.ms=86400000 --unset retention.bytes", "topic", command_topics_alter},
    {"topics delete-records", "TOPIC", 1, 1, "delete the oldest records of a partition", "Durable when it ends. The space is freed by whole segments.",
     ROWS(delete_records_options), "1 failed; 3 no daemon", "connectd topics delete-records orders --partition 0 --before 1000", "topic",
     command_topics_delete_records},
    {"topics delete", "TOPIC", 1, 1, "delete a topic and its records", NULL, NO_ROWS, "1 failed; 3 no daemon", NULL, "topic", command_topics_delete},
    {"consume", "REGEX", 1, 1, "print the records of the topics whose whole name matches",
     "Follows what comes until interrupted, unless --until-end or --max end it. With --json one object a record: topic, partition,\n"
     "offset, timestamp, key and value (JSON where they are JSON, else text; bytes that are no text as {\"$base64\":…}), headers as\n"
     "[[name, value]].", ROWS(consume_options), "1 failed; 3 no daemon", "connectd consume 'shop\\..*' --from-beginning --until-end --json", "topic", command_consume},
    {"tap", "CONNECTOR|REGEX", 1, 1, "watch the topics of a connector, or those whose name matches", NULL, ROWS(consume_options), "1 failed; 3 no daemon", "connectd tap shop-db", "connector", command_consume},
    {"produce", "TOPIC", 1, 1, "append lines of standard input as records", "The topic is made when it is not there. Ends when everything is durable.",
     ROWS(produce_options), "1 failed; 3 no daemon", "echo hello | connectd produce greetings", "topic", command_produce},
    {"offsets get", "CONNECTOR", 1, 1, "how far a connector is: a source's positions, a sink's offsets", NULL, NO_ROWS, "1 failed; 3 no daemon", NULL,
     "connector", command_offsets_get},
    {"offsets set", "CONNECTOR [TOPIC/PARTITION=OFFSET…]", 1, UINT_MAX, "set them; the connector must be stopped",
     "A sink's as arguments; a source's as the JSON that offsets get --json prints, from standard input. An offset null resets.",
     ROWS(offsets_change_options), "1 failed; 3 no daemon", "connectd offsets set shop-search shop.orders/0=42", "connector", command_offsets_set},
    {"offsets reset", "CONNECTOR", 1, 1, "forget them: the connector begins afresh", "The connector must be stopped, or gone.",
     ROWS(offsets_change_options), "1 failed; 3 no daemon", NULL, "connector", command_offsets_reset},
    {"log-dump", "PATH…", 1, UINT_MAX, "print what the files of a log hold, connectd's or Apache Kafka's",
     "Segments, indexes, producer snapshots and epochs, each alone or all of a partition's or a log's folder, as Kafka's\n"
     "kafka-dump-log.sh prints them. Reads the files alone; no daemon is needed, and one may run.",
     ROWS(log_dump_options), "1 a file can not be read; 65 something is damaged", "connectd log-dump --records orders-0", "file", command_log_dump},
    {"log-repair show", "[TOPIC-PARTITION]", 0, 1, "what is damaged in a partition, what is whole, and how to go on",
     "A partition whose bytes are damaged is stopped, and the others go on. Without a name all stopped ones are shown. Reads their files\n"
     "from the first to the last byte and changes nothing of them. --data-dir opens the folder as a start of the daemon would.",
     ROWS(repair_show_options), "1 failed; 3 no daemon; 65 something is damaged or stopped", "connectd log-repair show orders-0", NULL, command_repair_show},
    {"log-repair salvage", "TOPIC-PARTITION", 1, 1, "copy every record outside of the damage into a new topic",
     "Key, value, headers, timestamp and order stay; offsets count from 0, and it is said which became which. Records of aborted and of\n"
     "open transactions are left out. The new topic has one partition and keeps everything. The damaged partition is not changed.",
     ROWS(repair_salvage_options), "1 failed, and there is no new topic; 3 no daemon", "connectd log-repair salvage orders-0 --to orders.salvaged", NULL,
     command_repair_salvage},
    {"log-repair accept", "TOPIC-PARTITION", 1, 1, "give up what is damaged, so that a stopped partition serves again",
     "The damaged bytes are kept in quarantine/ of the data folder until somebody removes them. All other records are served at their\n"
     "offsets, and the next offset stays what it was. What is lost is said, counted (status --json: accepted_losses), and written to the\n"
     "dead-letter topics of sinks that had not read it. Where a file was put back from a copy, nothing is lost.",
     ROWS(repair_accept_options), "1 failed, and nothing was changed; 3 no daemon", "connectd log-repair accept orders-0", NULL, command_repair_accept},
    {"version", "", 0, 0, "print the version", NULL, NO_ROWS, NULL, NULL, NULL, command_version},
    {"help", "[COMMAND]", 0, 2, "this, the manual page, or a shell's completions", NULL, ROWS(help_options), NULL, NULL, NULL, command_help},
};
const size_t command_count = countof(commands);
