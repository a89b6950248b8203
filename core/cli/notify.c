// SPDX-License-Identifier: Apache-2.0
#include "cli/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void notify_status(const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sd_notifyf(0, "STATUS=%s", text);
}

void notify_ready(void) { sd_notify(0, "READY=1"); }

void notify_reloading(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
}

void notify_stopping(void) { sd_notify(0, "STOPPING=1\nSTATUS=draining"); }

void notify_extend(int64_t ms) { sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, (uint64_t)ms * 1000); }

int64_t notify_watchdog_ms(void) {
    uint64_t us;
    return sd_watchdog_enabled(0, &us) > 0 ? (int64_t)(us / 2000) : 0;
}

void notify_alive(void) { sd_notify(0, "WATCHDOG=1"); }
