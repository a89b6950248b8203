// SPDX-License-Identifier: Apache-2.0
// What systemd is told: ready, reloading, stopping, status, still alive. Nothing happens without $NOTIFY_SOCKET. Thread-safe.
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

#include <stdint.h>

void notify_status(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void notify_ready(void);
void notify_reloading(void); // with the monotonic time, as Type=notify-reload wants it
void notify_stopping(void);
void notify_extend(int64_t ms); // the start (or stop) may take so much longer from now
int64_t notify_watchdog_ms(void); // how often notify_alive must come: half of WatchdogSec; 0: never
void notify_alive(void);

#endif
