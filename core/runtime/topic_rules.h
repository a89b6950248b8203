// SPDX-License-Identifier: Apache-2.0
// How the topics a source writes to are made: Connect's topic.creation.* groups, first match wins, then `default`.
//
// Immutable once made; one thread for topic_rules_ensure.
#ifndef RUNTIME_TOPIC_RULES_H
#define RUNTIME_TOPIC_RULES_H

#include "backend/backend.h"
#include "config/connector_options.h"

struct topic_rules;
// Copies what it needs. ERR_INVALID names the key: a pattern that does not compile, a group without include, a wrong number.
int topic_rules_new(const struct connector_options *o, struct topic_rules **ret, struct err *err) MUST_USE;
void topic_rules_free(struct topic_rules *r);
// What a topic of that name would be made with; valid as long as the rules.
void topic_rules_spec(const struct topic_rules *r, const char *topic, struct topic_spec *ret);
int topic_rules_ensure(const struct topic_rules *r, struct backend *b, const char *topic, struct err *err) MUST_USE;

#endif
