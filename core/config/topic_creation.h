// SPDX-License-Identifier: Apache-2.0
// Kafka Connect's topic.creation.* options, checked: groups, patterns, partitions, settings.
#ifndef CONFIG_TOPIC_CREATION_H
#define CONFIG_TOPIC_CREATION_H

#include "config/options.h"

// Reports unknown groups and settings, groups without patterns, wrong patterns and values. *ret_pairs gets the options
// without the prefix and with values as Kafka writes them: plain numbers for sizes and durations; settings without effect
// here are left out. Its texts live in `texts`.
int topic_creation_read(const struct props *props, const struct cn_list *groups, struct arena *texts, struct cn_pairs *ret_pairs, struct findings *f);

// The settings a topic can have, as option rows.
extern const struct cn_option topic_rows[];
extern const size_t topic_row_count;

#endif
