// SPDX-License-Identifier: Apache-2.0
#include "coord/damage.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

int damage_of(const char *topic, int32_t partition, struct err *err) {
    char name[300];
    if (err_retriable(err)) return -1;
    snprintf(name, sizeof(name), "%s-%d", topic, partition);
    if (strncmp(err->msg, name, strlen(name)) != 0) err_wrap(err, "%s", name); // most say it themselves
    err->code = ERR_CORRUPT;
    err_hint(err, "`connectd log-repair show %s` says what is damaged and how to go on", name);
    return 0;
}

int damage_note(struct damage *d, const char *topic, int32_t partition, struct err *err) {
    if (damage_of(topic, partition, err) != 0) return -1;
    VEC_PUSH(d->items, d->n, d->cap, ((struct damaged){topic, partition, *err}));
    return 0;
}

int damage_check(const struct damage *d, int32_t partition, struct err *err) {
    for (size_t i = 0; i < d->n; i++) {
        if (d->items[i].partition != partition) continue;
        if (err) *err = d->items[i].why;
        return -1;
    }
    return 0;
}

void damage_done(struct damage *d) { free(d->items); }
