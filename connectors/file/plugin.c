// SPDX-License-Identifier: Apache-2.0
// The file connectors: option rows and operations. Data flows so:
//
//   source   pattern.c, watch.c ─► track.c which files ─► tailed.c reads one ─► lines.c ─► linerec.c ─► batch
//            identity.c: which file is which, and how far it was read, as the log keeps it
//   sink     batch ─► sink.c ─► jsonline.c ─► output.c the file, rolling ─► journal.c what is in it
#include <connectd/sdk.h>

#include "sink.h"
#include "tail.h"

// ── source ──

static const char *const starts[] = {"beginning", "end", NULL};
static const char *const line_formats[] = {"line", "bytes", "struct", NULL};
static const char *const line_keys[] = {"none", "path", NULL};
#define T struct tail_options

static const struct cn_option source_options[] = {
    CN_LIST("path", T, path, NULL, 0, "Files", "Files to read: absolute glob patterns, as /var/log/app/*.log. '*' does not cross '/'."),
    CN_STR("file", T, file, NULL, 0, "Files", "One file to read, taken as it is written (Kafka's FileStreamSource); instead of path."),
    CN_LIST("exclude", T, exclude, "*.gz,*.bz2,*.xz,*.zst,*.lz4,*.Z,*.zip", 0, "Files",
            "Patterns of files not to read: without '/' for the name, else for the whole path."),
    CN_ENUM("start.position", T, start, "beginning", starts, 0, "Files",
            "Where files are begun that are there at the connector's first start; those that appear later always at the beginning."),
    CN_STR("topic", T, topic, NULL, CN_OPT_REQUIRED, "Records", "Topic of the records."),
    CN_ENUM("format", T, format, "line", line_formats, 0, "Records",
            "Value of a record: line (a string), bytes, or struct (file, offset, line)."),
    CN_ENUM("key", T, key, "none", line_keys, 0, "Records", "Record key: none, or the file's path."),
    CN_BOOL("headers", T, headers, "true", 0, "Records", "Whether records carry the headers file.path and file.offset."),
    CN_SIZE("max.line.bytes", T, max_line, "1MiB", 64, 64 << 20, 0, "Records", "Longest line in bytes; a longer one is cut there and marked truncated."),
    CN_MS("idle.flush.ms", T, idle_flush_ms, "0", 0, 0, 0, "Records",
          "After how long without growth a last line without a line end becomes a record all the same; 0: never while the file may grow."),
    CN_MS("scan.interval.ms", T, scan_ms, "5s", 100, 3600000, CN_OPT_ADVANCED, "Files", "How often files are looked for, besides the hints of inotify."),
    CN_MS("rotate.wait.ms", T, rotate_wait_ms, "60s", 0, 86400000, CN_OPT_ADVANCED, "Files",
          "How long a file that was renamed away or deleted is kept open after it was read to its end, in case it is still written to."),
    CN_INT("max.open.files", T, max_open, "1000", 1, 60000, CN_OPT_ADVANCED, "Files",
           "Files held open at once; beyond it those that are read to their end are closed until they grow."),
    CN_MS("forget.after.ms", T, forget_ms, "7d", 0, 0, CN_OPT_ADVANCED, "Files", "How long the position of a file that can not be found is kept."),
    CN_INT("batch.size", T, batch_lines, "20000", 1, 1000000, CN_OPT_ADVANCED, "Records", "Most lines in one batch."),
};
#undef T

static int tail_options_of(struct cn_host *h, struct tail_options *o) { return CN_BIND(h, source_options, o); }

static int source_validate(struct cn_host *h) {
    struct tail_options o;
    return tail_options_of(h, &o) == 0 ? tail_validate(h, &o) : -1;
}
static int source_check(struct cn_host *h) {
    struct tail_options o;
    return tail_options_of(h, &o) == 0 && tail_validate(h, &o) == 0 ? tail_check(h, &o) : -1;
}
static int source_open(struct cn_host *h, const struct cn_stored_position *positions, uint32_t n, void **ret_task) {
    struct tail_options o;
    return tail_options_of(h, &o) == 0 ? tail_open(h, &o, positions, n, ret_task) : -1;
}

static const struct cn_source_ops source_ops = {
    .struct_size = sizeof source_ops,
    .validate = source_validate,
    .check = source_check,
    .open = source_open,
    .poll = tail_poll,
    .tick = tail_tick,
    .close = tail_close,
};

// ── sink ──

static const char *const line_kinds[] = {"json", "raw", NULL};
static const char *const contents[] = {"value", "record", NULL};
static const char *const existings[] = {"fail", "append", NULL};
#define S struct sink_options

static const struct cn_option sink_options[] = {
    CN_STR("path", S, path, NULL, 0, "File", "File to write, absolute. {topic} and {partition} make one for each; then tasks.max may be above one."),
    CN_STR("file", S, file, NULL, 0, "File", "The same, by the name of Kafka's FileStreamSink; then format is raw unless it is set."),
    CN_ENUM("format", S, format, "json", line_kinds, 0, "Lines", "One line a record: json, or raw (strings and bytes as they are)."),
    CN_ENUM("json.content", S, content, "value", contents, 0, "Lines",
            "What a JSON line holds: the value, or the record (topic, partition, offset, timestamp, key, value, headers)."),
    CN_SIZE("roll.size", S, roll_size, "0", 0, 0, 0, "Rolling", "Size in bytes at which a new file is begun; 0: not by size."),
    CN_MS("roll.interval.ms", S, roll_ms, "0", 0, 0, 0, "Rolling", "Age of its first record at which a new file is begun; 0: not by age."),
    CN_INT("roll.records", S, roll_records, "0", 0, INT64_MAX, 0, "Rolling", "Number of records after which a new file is begun; 0: not by number."),
    CN_ENUM("existing.file", S, existing, "fail", existings, 0, "File",
            "What to do about content that this connector did not write, or with a file that somebody cut: fail, or append behind it."),
    CN_STR("file.mode", S, mode, "0640", CN_OPT_ADVANCED, "File", "Permissions of new files, in octal, less the daemon's umask."),
    CN_MS("sync.interval.ms", S, sync_ms, "5ms", 0, 60000, CN_OPT_ADVANCED, "File",
          "Least time between two syncs to disk; records count as delivered when they are synced."),
};
#undef S

int sink_read_options(struct cn_host *h, struct sink_options *o) {
    struct cn_option_value v;
    if (CN_BIND(h, sink_options, o) != 0) return -1;
    if (o->file && h->ops->config(h, "format", &v) == 0 && !v.set) o->format = 1;
    return 0;
}

static const struct cn_sink_ops sink_ops = {
    .struct_size = sizeof sink_ops,
    .plan = sink_plan,
    .validate = sink_validate,
    .check = sink_check,
    .open = sink_open,
    .assign = sink_assign,
    .revoke = sink_revoke,
    .put = sink_put,
    .flush = sink_flush,
    .tick = sink_tick,
    .close = sink_close,
};

CN_COMPONENT(file_source, CN_SOURCE, "file", "org.apache.kafka.connect.file.FileStreamSourceConnector,FileStreamSource,FileStreamSourceConnector",
             "Tails files through rotation, line by line", source_options, source_ops);
CN_COMPONENT(file_sink, CN_SINK, "file", "org.apache.kafka.connect.file.FileStreamSinkConnector,FileStreamSink,FileStreamSinkConnector",
             "Writes records to files as JSON lines or raw, exactly once", sink_options, sink_ops);
CN_PLUGIN("file", CN_VERSION, "connectd", "Apache-2.0", NULL, &file_source, &file_sink)
