// SPDX-License-Identifier: Apache-2.0
// What the files of the pipeline reader share.
#ifndef CONFIG_PIPELINE_INT_H
#define CONFIG_PIPELINE_INT_H

#include "config/pipeline.h"
#include "config/yaml.h"

// `transforms` and `predicates` of a connector's map (lists or maps of maps) as Connect's flat options in c->props.
int pipeline_steps(const struct yaml_node *connector, struct connector_config *c, struct findings *f);
// Whether a member was taken by pipeline_steps, so that flattening leaves it out.
bool pipeline_is_steps(const struct yaml_member *m);
// The pipeline's `topics:` as topic.creation rules of every source.
int pipeline_topics(const struct yaml_node *topics, struct pipeline *p, struct findings *f);
// Options whose map form names the value as `type`.
bool pipeline_typed_key(const char *key);

int pipeline_parse_json(struct pipeline *p, struct str text, struct findings *f);
// Fills plugin, is_source and kind_known from a class or plugin name.
void pipeline_set_plugin(struct connector_config *c, const char *name);
bool pipeline_name_ok(struct str name);
#define PIPELINE_NAME_HINT "a name is made of letters, digits, '-', '_' and '.', begins with a letter or digit and has at most 100 characters"

struct connector_config *pipeline_add(struct pipeline *p);
void pipeline_done_connector(struct connector_config *c);
// Keeps its own copy of the file's name, so that its places outlive what they came from.
void pipeline_own_file(struct connector_config *c, const char *file);

#endif
