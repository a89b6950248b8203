// SPDX-License-Identifier: Apache-2.0
// The syslog source: option rows and operations. Data flows so:
//
//   datagram.c  UDP, Unix ──────────────► record.c ─► batch
//   conn.c      TCP ─► framing.c ─► frame ──┘ │
//   source.c    the poll loop over both       └─ message.c ─► rfc5424.c or rfc3164.c, when.c
#include <connectd/sdk.h>

#include "listen.h"
#include "source.h"

static const char *const formats[] = {"parsed", "raw", NULL};
static const char *const keys[] = {"source", "hostname", "none", NULL};

static const struct cn_option options[] = {
    CN_STR("udp", struct options, udp.address, NULL, 0, "Listening",
           "Address for UDP, as 127.0.0.1:5514 or [::]:514. Beyond loopback, allowed.networks must say who may send."),
    CN_STR("tcp", struct options, tcp.address, NULL, 0, "Listening",
           "Address for TCP. Octet-counted and line framing are told apart frame by frame. Plain TCP syslog is not acknowledged."),
    CN_STR("unix", struct options, local.address, NULL, 0, "Listening", "Path of a Unix datagram socket, as /run/connectd/log."),
    CN_STR("udp.name", struct options, udp.name, NULL, 0, "Listening",
           "FileDescriptorName= of the UDP socket in a systemd socket unit; then no address is needed."),
    CN_STR("tcp.name", struct options, tcp.name, NULL, 0, "Listening", "FileDescriptorName= of the TCP socket in a systemd socket unit."),
    CN_STR("unix.name", struct options, local.name, NULL, 0, "Listening", "FileDescriptorName= of the Unix socket in a systemd socket unit."),
    CN_LIST("allowed.networks", struct options, networks, "127.0.0.0/8,::1/128", 0, "Listening",
            "Networks that may send by UDP and TCP, as 192.0.2.0/24; 0.0.0.0/0 and ::/0 let everybody. Others are refused and counted."),
    CN_INT("udp.sockets", struct options, udp_sockets, "1", 1, 16, CN_OPT_ADVANCED, "Listening",
           "UDP sockets a task binds to the address (SO_REUSEPORT); the kernel spreads senders over them."),
    CN_SIZE("udp.receive.buffer", struct options, udp_receive_buffer, "8MiB", 65536, 1 << 30, 0, "Listening",
            "Kernel buffer of each UDP socket, in bytes: what arrives while nothing is read must fit."),
    CN_INT("tcp.max.connections", struct options, tcp_max_connections, "1000", 1, 100000, 0, "Listening",
           "TCP connections a task serves at once; more wait until one ends."),
    CN_SIZE("max.message.bytes", struct options, max_message, "64KiB", 480, 8 << 20, 0, "Messages",
            "Longest message in bytes; a longer one is cut there and marked truncated. Also bounds what each connection may hold in memory."),
    CN_STR("topic", struct options, topic, "syslog", 0, "Messages", "Topic of the records."),
    CN_ENUM("format", struct options, format, "parsed", formats, 0, "Messages",
            "parsed: a struct of the message's fields. raw: its bytes, unparsed, with the sender in headers."),
    CN_ENUM("key", struct options, key, "source", keys, 0, "Messages",
            "Record key: the sender's address (keeps each sender's order in a topic of many partitions), the message's hostname, or none."),
    CN_BOOL("keep.raw", struct options, keep_raw, "false", 0, "Messages",
            "Whether every parsed record also holds the bytes as sent, in the field raw; those with a parse_error always do."),
    CN_STR("timezone", struct options, timezone, "local", 0, "Messages",
           "Time zone of timestamps that name none (RFC 3164): local, UTC, or an offset as +02:00."),
};

static int read_options(struct cn_host *h, struct options *o) { return CN_BIND(h, options, o); }

static uint32_t plan(struct cn_host *h, uint32_t max) {
    struct options o;
    uint32_t most = read_options(h, &o) == 0 ? (uint32_t)(LISTEN_MAX / o.udp_sockets) : 1;
    return max < most ? max : most;
}

static int check_exposure(struct cn_host *h, const char *name, const char *address) {
    struct cn_option_value v;
    if (!address || !*address || access_is_loopback(address)) return 0;
    if (h->ops->config(h, "allowed.networks", &v) == 0 && v.set) return 0;
    return cn_failf(h, CN_FAIL_CONFIG, "say who may send, as allowed.networks: [192.0.2.0/24], or [0.0.0.0/0, \"::/0\"] for everybody",
                    "%s: %s is reachable from other machines and allowed.networks is not set", name, address);
}

static int validate(struct cn_host *h) {
    struct options o;
    struct access access;
    struct zone zone;
    if (read_options(h, &o) != 0) return -1;
    if (!listen_wanted(&o.udp) && !listen_wanted(&o.tcp) && !listen_wanted(&o.local))
        return cn_failf(h, CN_FAIL_CONFIG, "set at least one, as udp: 127.0.0.1:5514", "none of udp, tcp and unix is set: nothing to listen on");
    if (check_exposure(h, "udp", o.udp.address) != 0 || check_exposure(h, "tcp", o.tcp.address) != 0) return -1;
    if (zone_parse(&zone, o.timezone) != 0)
        return cn_failf(h, CN_FAIL_CONFIG, "write local, UTC, or an offset as +02:00", "timezone: %s is none", o.timezone);
    if (access_init(&access, h, &o.networks) != 0) return -1;
    access_done(&access);
    return 0;
}

static int open_task(struct cn_host *h, const struct cn_stored_position *positions, uint32_t n, void **ret_task) {
    struct options o; // nothing to go on from: senders keep no history
    (void)positions;
    (void)n;
    return read_options(h, &o) == 0 ? source_open(h, &o, ret_task) : -1;
}

static const struct cn_source_ops ops = {
    .struct_size = sizeof ops,
    .plan = plan,
    .validate = validate,
    .open = open_task,
    .poll = source_poll,
    .tick = source_tick,
    .close = source_close,
};

CN_COMPONENT(syslog_source, CN_SOURCE, "syslog", "io.confluent.connect.syslog.SyslogSourceConnector",
             "Receives syslog messages over UDP, TCP and Unix sockets", options, ops);
CN_PLUGIN("syslog", CN_VERSION, "connectd", "Apache-2.0", NULL, &syslog_source)
