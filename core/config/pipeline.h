// SPDX-License-Identifier: Apache-2.0
// Pipeline files: YAML, or Kafka Connect's connector JSON, read into connectors with Connect's flat options.
//
//   pipeline: shop                      sources.db   → connector shop-db       sinks.search → connector shop-search
//   sources: {db: {connector: …}}      `source:`    → connector shop-source   `sink:`      → connector shop-sink
//   topics: [{match: …, …}]            → topic.creation.groups, .rule1.include, … of every source
//   transforms: [{name:, type:, …}]    → transforms=a,b  transforms.a.type=…  predicates.a.type=…
//
// The file is the unit of failure: a pipeline is either whole or not there. Secret references stay as written.
#ifndef CONFIG_PIPELINE_H
#define CONFIG_PIPELINE_H

#include "config/props.h"

struct connector_config {
    char *name;       // "shop-db": identity of positions and groups
    char *pipeline;   // "shop"; NULL when it was defined by itself (connector JSON, REST)
    bool is_source;   // connector JSON: guessed from `topics` and the class until connector_setup knows the plugin
    bool kind_known;
    char *plugin;     // "postgres-cdc", Java class names already translated
    struct props props; // all other options, flat; without `name` and `connector`/`connector.class`
    bool pipeline_topics; // a sink without `topics`: reads all topics of its pipeline's sources (names in `sources`)
    char **sources;
    size_t source_count;
    struct place at;  // where it is defined
    char *file;       // what the places point to; NULL: no file
};

struct pipeline {
    char *name; // NULL for connector JSON
    char *file; // as given
    struct connector_config *connectors;
    size_t n;
    uint64_t content; // of the bytes read: equal means unchanged
};

// Reads a file (.json: connector JSON, one or an array; else YAML). Everything wrong with its structure goes to `f`; options
// are not looked at (check.h, setup.h). Returns 0, or -1 with *ret NULL when there were errors.
int pipeline_load(const char *path, struct pipeline **ret, struct findings *f) MUST_USE;
int pipeline_parse(const char *file, struct str text, bool json, struct pipeline **ret, struct findings *f) MUST_USE;
// One connector from REST: an object of texts, numbers and booleans. `name` NULL: the object's own "name".
int pipeline_connector_json(const char *name, struct str json, struct connector_config **ret, struct findings *f) MUST_USE;
void pipeline_free(struct pipeline *p);
void connector_config_free(struct connector_config *c);
struct connector_config *connector_config_copy(const struct connector_config *c);
// Same plugin and options: a reload leaves such a connector alone.
bool connector_config_equal(const struct connector_config *a, const struct connector_config *b);

// The pipeline files of a folder (*.yaml, *.yml, *.json, not hidden), sorted. Caller frees names and array.
int pipeline_files(const char *dir, char ***ret, size_t *ret_n, struct err *err) MUST_USE;

// Our name for a Java class name or short form of the field ("io.debezium.connector.postgresql.PostgresConnector" →
// "postgres-cdc", "org.apache.kafka.connect.transforms.Cast$Value" → "Cast$Value"); what is unknown comes back unchanged.
// ret_source (may be NULL): 1 source, 0 sink, -1 unknown.
const char *pipeline_class_alias(const char *class_name, int *ret_source);

#endif
